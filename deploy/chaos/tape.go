package main

import (
	"slices"
	"sync"
	"time"
)

// tape is what the clients lived through, second by second. The zero value but for began is ready.
type tape struct {
	began time.Time
	mu    sync.Mutex
	now   int // the second that times are of
	times []time.Duration
	bad   int
	past  []second
}

// second is one second of a run.
type second struct {
	At            int // since the run began
	Good, Bad     int // answers that said yes or no; others, and none
	P50, P99, Max time.Duration
}

func (t *tape) note(took time.Duration, good bool) {
	at := int(time.Since(t.began) / time.Second)
	t.mu.Lock()
	defer t.mu.Unlock()
	if at != t.now {
		t.turn(at)
	}
	if good {
		t.times = append(t.times, took)
	} else {
		t.bad++
	}
}

// turn ends a second. Called with mu held.
func (t *tape) turn(at int) {
	if len(t.times)+t.bad > 0 {
		slices.Sort(t.times)
		s := second{At: t.now, Good: len(t.times), Bad: t.bad}
		if n := len(t.times); n > 0 {
			s.P50, s.P99, s.Max = t.times[n/2], t.times[n*99/100], t.times[n-1]
		}
		t.past = append(t.past, s)
	}
	t.now, t.times, t.bad = at, t.times[:0], 0
}

// seconds returns all that is over.
func (t *tape) seconds() []second {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.turn(t.now + 1)
	return append([]second(nil), t.past...)
}
