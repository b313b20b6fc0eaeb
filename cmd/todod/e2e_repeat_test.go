package main_test

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"todod/httpapi/api"
)

// doers do one entry again and again, each time under a key until they are told yes, at one node after the other.
type doers struct {
	t    *testing.T
	ctx  context.Context
	path string
	done sync.WaitGroup

	mu    sync.Mutex
	dates map[string]int // what they were told that it is due next, and by whom
	acks  chan struct{}
}

func (d *doers) run(g *group, w int) {
	defer d.done.Done()
	for i := 0; d.ctx.Err() == nil; i++ {
		key := fmt.Sprintf("key-of-doer-%d-time-%d", w, i)
		for try := 0; ; try++ {
			ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
			a, err := g.nodes[(w+try)%len(g.nodes)].request(ctx, "PATCH", d.path, `{"done":true}`, "Idempotency-Key", key)
			cancel()
			if err == nil && a.status == 200 {
				d.told(w, a)
				break
			}
			if err == nil && a.status != 503 && a.status != 504 {
				d.t.Errorf("done at %d: %d %s", w, a.status, a.body)
				return
			}
			<-time.After(2 * time.Millisecond) // it is down, or has no leader: it need not be flooded
		}
	}
}

func (d *doers) told(w int, a answer) {
	var e api.Entry
	if err := json.Unmarshal([]byte(a.body), &e); err != nil {
		d.t.Error(err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if by, twice := d.dates[e.Date]; twice {
		d.t.Errorf("%d and %d were both told of %s", by, w, e.Date)
	}
	d.dates[e.Date] = w
	select {
	case d.acks <- struct{}{}:
	default:
	}
}

// waitDone waits until it was done so many times more.
func (d *doers) waitDone(more int) {
	d.t.Helper()
	for range more {
		select {
		case <-d.acks:
		case <-time.After(20 * time.Second):
			d.t.Fatal("nobody could do it for 20 s")
		}
	}
}

// An entry that repeats is done at all nodes at once, from replicas that may be behind, while the leader is killed. Each
// time counts once: nobody's is lost, and none is counted twice.
func TestE2EDoingWhatRepeats(t *testing.T) {
	g := newGroup(t, 3)
	body := `{"title":"Bins","date":"2020-01-01","repeat":"FREQ=DAILY;COUNT=900000"}`
	waitFor(t, "the group to take what repeats", func() error {
		return wantStatus(201)(g.nodes[0].do("POST", entriesPath("home"), body))
	})
	ctx, stop := context.WithCancel(context.Background())
	d := &doers{t: t, ctx: ctx, path: entriesPath("home") + "/1", dates: map[string]int{}, acks: make(chan struct{}, 1<<16)}
	for w := range 3 {
		d.done.Add(1)
		go d.run(g, w)
	}
	t.Cleanup(func() {
		stop()
		d.done.Wait()
	})
	for range rounds(2, 1) {
		d.waitDone(30)
		victim := g.leader()
		victim.kill()
		d.waitDone(30)
		victim.start()
		g.waitReady(victim)
	}
	stop()
	d.done.Wait()

	times := len(d.dates)
	due := time.Date(2020, 1, 1+times, 0, 0, 0, 0, time.UTC).Format(time.DateOnly)
	for _, n := range g.nodes {
		var e api.Entry
		if err := json.Unmarshal([]byte(n.must(200, "GET", d.path, "").body), &e); err != nil {
			t.Fatal(err)
		}
		if want := fmt.Sprintf("FREQ=DAILY;COUNT=%d", 900_000-times); e.Date != due || e.Repeat != want || e.Done {
			t.Errorf("%s has %+v after %d times, want %s and %s", n.id, e, times, due, want)
		}
	}
	g.wantSameHashes(g.nodes...)
	t.Logf("done %d times", times)
}
