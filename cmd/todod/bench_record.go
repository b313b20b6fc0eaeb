package main

import (
	"maps"
	"sync"
	"sync/atomic"
	"time"
)

// A run is cut into slots for what it shows over time: short enough to see a failover, and so
// few that their memory stays below 5 MB however long it takes.
const (
	shortestSlot = 50 * time.Millisecond
	mostSlots    = 240
)

// The kinds of operations.
const (
	writes = iota
	reads
	kinds
)

var kindNames = [kinds]string{"writes", "reads"}

// recorder keeps what became of the operations, in memory that does not grow with them.
type recorder struct {
	begin, end time.Time
	step       time.Duration
	slots      []slot    // the last one is for what ended after end
	accepted   histogram // of the tries that were accepted, each from when it was sent

	mu     sync.Mutex
	tried  map[string]int // tries that failed and were repeated, by kind of failure
	failed map[string]int // operations that were given up, or whose outcome is not known
	pauses pauses
}

type slot struct {
	ok     [kinds]histogram
	failed atomic.Uint32
}

func newRecorder(begin time.Time, length time.Duration) *recorder {
	step := max(shortestSlot, (length+mostSlots-1)/mostSlots)
	return &recorder{
		begin: begin, end: begin.Add(length), step: step,
		slots: make([]slot, int((length+step-1)/step)+1),
		tried: map[string]int{}, failed: map[string]int{},
	}
}

// slot returns the slot of a moment, nil before the measuring begins.
func (r *recorder) slot(at time.Time) *slot {
	switch {
	case at.Before(r.begin):
		return nil
	case !at.Before(r.end):
		return &r.slots[len(r.slots)-1]
	}
	return &r.slots[at.Sub(r.begin)/r.step]
}

// done records an operation that was due, was last sent, and is answered now. paused is whether it
// counts for the longest pause.
func (r *recorder) done(kind int, due, sent, now time.Time, paused bool) {
	if s := r.slot(now); s != nil {
		s.ok[kind].add(now.Sub(due))
		r.accepted.add(now.Sub(sent))
	}
	if paused {
		r.mu.Lock()
		r.pauses.ack(now)
		r.mu.Unlock()
	}
}

// again records a try that failed and will be repeated.
func (r *recorder) again(kind string, now time.Time) {
	if r.slot(now) == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tried[kind]++
}

// fail records operations that came to nothing that is known.
func (r *recorder) fail(kind string, now time.Time, n int) {
	s := r.slot(now)
	if s == nil || n == 0 {
		return
	}
	s.failed.Add(uint32(n))
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failed[kind] += n
}

func (r *recorder) failures() (tried, failed map[string]int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.tried), maps.Clone(r.failed)
}

// pauses is the longest time between two acknowledgements since it was last asked to begin.
type pauses struct {
	last  time.Time
	worst time.Duration
}

func (p *pauses) ack(now time.Time) {
	if !p.last.IsZero() {
		p.worst = max(p.worst, now.Sub(p.last))
	}
	p.last = now
}

// restart forgets the longest pause so far and returns it, one that still goes on included. After the
// end nothing more is sent, and that is no pause.
func (r *recorder) restart(now time.Time) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now.After(r.end) {
		now = r.end
	}
	r.pauses.ack(now)
	worst := r.pauses.worst
	r.pauses.worst = 0
	return worst
}

// sum adds up all slots.
func (r *recorder) sum() (all [kinds]tally) {
	for i := range r.slots {
		for k := range kinds {
			all[k].add(&r.slots[i].ok[k])
		}
	}
	return all
}

// within counts what was answered before the end: the rest is of no use for operations a second.
func (r *recorder) within(kind int) (n uint64) {
	for i := range len(r.slots) - 1 {
		n += r.slots[i].count(kind)
	}
	return n
}

func (s *slot) count(kind int) (n uint64) {
	for i := range s.ok[kind].counts {
		n += uint64(s.ok[kind].counts[i].Load())
	}
	return n
}

// moment is a slot as it is shown.
type moment struct {
	At     float64 `json:"at_s"` // its end
	Ops    float64 `json:"ops_per_s"`
	Failed uint32  `json:"failed"`
	P50    float64 `json:"p50_ms"`
	P99    float64 `json:"p99_ms"`
	Max    float64 `json:"max_ms"`
}

// moment shows slot i, which has ended.
func (r *recorder) moment(i int) moment {
	var t tally
	for k := range kinds {
		t.add(&r.slots[i].ok[k])
	}
	from, to := time.Duration(i)*r.step, min(time.Duration(i+1)*r.step, r.end.Sub(r.begin))
	return moment{
		At: to.Seconds(), Ops: float64(t.n) / (to - from).Seconds(), Failed: r.slots[i].failed.Load(),
		P50: millisOf(t.quantile(.5)), P99: millisOf(t.quantile(.99)), Max: millisOf(t.max),
	}
}

func (r *recorder) series() (all []moment) {
	for i := range len(r.slots) - 1 {
		all = append(all, r.moment(i))
	}
	return all
}
