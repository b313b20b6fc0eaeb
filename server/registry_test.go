package server

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"todod/fsm"
)

// desk is a registry whose commands end in a slice instead of a proposer.
type desk struct {
	*registry
	mu     sync.Mutex
	handed []string      // ids, in order
	failed []error       // what commands were refused with
	hold   chan struct{} // when not nil: a process waits for a token before it hands on
	deadly map[string]int
}

func newDesk(expiry time.Duration) *desk {
	d := &desk{deadly: map[string]int{}}
	quiet := slog.New(slog.NewTextHandler(io.Discard, nil))
	d.registry = newRegistry(d.take, expiry, quiet, newMetrics(prometheus.NewRegistry(), &Node{}))
	return d
}

func (d *desk) take(c *pending) {
	if d.hold != nil {
		<-d.hold
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.deadly[c.cmd.Key] > 0 {
		d.deadly[c.cmd.Key]--
		panic("a test says so")
	}
	d.handed = append(d.handed, c.cmd.Key)
}

func (d *desk) put(list, id string) error {
	return d.send(&pending{list: list, cmd: fsm.Command{Key: id}, done: func(_ fsm.Result, err error) {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.failed = append(d.failed, err)
	}})
}

func (d *desk) lists() (names []string) {
	for _, p := range d.processes() {
		names = append(names, p.List)
	}
	return names
}

func kindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return 0
}

func inDesk(t *testing.T, expiry time.Duration, f func(d *desk)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(expiry)
		f(d)
		d.close()
		if n := len(d.processes()); n != 0 {
			t.Errorf("%d processes after close", n)
		}
	})
}

func TestProcessLifetime(t *testing.T) {
	inDesk(t, time.Minute, func(d *desk) {
		if d.alive("bob") {
			t.Error("a process before the first write")
		}
		for i := range 3 {
			if err := d.put("bob", fmt.Sprint(i)); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if p := d.processes(); len(p) != 1 || p[0].Handled != 3 || p[0].Waiting != 0 || !slices.Equal(d.handed, []string{"0", "1", "2"}) {
			t.Fatalf("%+v, handed %v", p, d.handed)
		}
		time.Sleep(50 * time.Second)
		_ = d.put("bob", "4") // lives on for a minute from here
		time.Sleep(59 * time.Second)
		synctest.Wait()
		if !d.alive("bob") {
			t.Error("gone before its time")
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if d.alive("bob") {
			t.Error("still there after its time")
		}
		if err := d.put("bob", "5"); err != nil || !d.alive("bob") {
			t.Errorf("begun anew: %v", err)
		}
	})
}

// At the cap the longest idle leaves early; when none is idle the command is refused.
func TestProcessCap(t *testing.T) {
	inDesk(t, time.Hour, func(d *desk) {
		d.most = 3
		for _, list := range []string{"a", "b", "c", "a"} {
			_ = d.put(list, list)
			synctest.Wait()
			time.Sleep(time.Second)
		}
		if err := d.put("d", "d"); err != nil || !slices.Equal(d.lists(), []string{"a", "c", "d"}) {
			t.Errorf("%v: %v", err, d.lists())
		}
		synctest.Wait()
		d.hold = make(chan struct{})
		for _, list := range d.lists() {
			_ = d.put(list, "busy")
		}
		synctest.Wait()
		if err := d.put("e", "e"); kindOf(err) != KindOverloaded || AsError(err).Outcome != NotApplied {
			t.Errorf("all are busy: %v", err)
		}
		close(d.hold)
	})
}

func TestMailboxFull(t *testing.T) {
	inDesk(t, time.Hour, func(d *desk) {
		d.hold = make(chan struct{})
		_ = d.put("bob", "first") // is being handed on
		synctest.Wait()
		for i := range maxMailbox {
			if err := d.put("bob", fmt.Sprint(i)); err != nil {
				t.Fatal(i, err)
			}
		}
		if err := d.put("bob", "x"); kindOf(err) != KindMailboxFull {
			t.Errorf("a full mailbox: %v", err)
		}
		if err := d.put("ann", "y"); err != nil {
			t.Errorf("another list: %v", err)
		}
		close(d.hold)
		synctest.Wait()
		if len(d.handed) != maxMailbox+2 {
			t.Errorf("%d were handed on", len(d.handed))
		}
	})
}

// A panic takes its process alone: another one goes on in order. What kills two is refused.
func TestProcessPanics(t *testing.T) {
	for times, want := range map[int][]string{1: {"0", "1", "2", "3", "4"}, 2: {"0", "1", "3", "4"}} {
		t.Run(fmt.Sprint(times), func(t *testing.T) {
			inDesk(t, time.Hour, func(d *desk) {
				d.deadly["2"] = times
				for i := range 5 {
					_ = d.put("bob", fmt.Sprint(i))
				}
				_ = d.put("ann", "a")
				synctest.Wait()
				got := slices.DeleteFunc(slices.Clone(d.handed), func(id string) bool { return id == "a" })
				if !slices.Equal(got, want) || len(d.handed) != len(want)+1 || len(d.failed) != times-1 {
					t.Errorf("handed %v, failed %v", d.handed, d.failed)
				}
				if times == 2 && (kindOf(d.failed[0]) != KindInternal || AsError(d.failed[0]).Outcome != NotApplied) {
					t.Errorf("refused with %v", d.failed[0])
				}
				if !d.alive("bob") {
					t.Error("no process took over")
				}
			})
		})
	}
}

// What waits when the term ends is refused, and what comes after; nothing is both handed on and refused.
func TestRegistryClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(time.Hour)
		d.hold = make(chan struct{})
		_ = d.put("bob", "under way")
		synctest.Wait()
		for i := range 10 {
			_ = d.put("bob", fmt.Sprint(i))
		}
		closed := make(chan struct{})
		go func() { d.close(); close(closed) }()
		synctest.Wait()
		if err := d.put("ann", "late"); kindOf(err) != KindNoLeader {
			t.Errorf("after the end: %v", err)
		}
		close(d.hold)
		<-closed
		if len(d.handed)+len(d.failed) != 11 {
			t.Errorf("handed %v, failed %v", d.handed, d.failed)
		}
		for _, err := range d.failed {
			if kindOf(err) != KindNoLeader || AsError(err).Outcome != NotApplied {
				t.Errorf("refused with %v", err)
			}
		}
	})
}
