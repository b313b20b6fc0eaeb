package httpapi

import (
	"context"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"todod/fsm"
)

// feed is what all followers of changes at a node share while there are any: each change is read and encoded once, and
// kept for them while it is new. One goroutine does that; who writes to a follower is the goroutine of its request, so a
// slow one holds up nobody.
type feed struct {
	s      *Server
	cancel context.CancelFunc
	ready  chan struct{} // closed when the first changes are there, or none will be

	mu        sync.Mutex
	followers int
	ended     bool
	epoch     uint64
	first     uint64         // rev of the first event, or of the next one if there is none
	events    []*changeEvent // of consecutive revs. What is in it stays: others read it without mu
	bytes     int            // of the events
	wakes     map[string][]*wake
}

// wake wakes some of those who wait for a change of a list, or for "" of any.
type wake struct {
	fired chan struct{} // closed when there is one, or the feed has ended
	due   bool          // it is about to be
	quiet uint64        // up to this rev there is none; set with due
	count int           // who waits
}

// joinFeed returns the feed with one follower more, begun if there is none. Each is to leave it.
func (s *Server) joinFeed() *feed {
	s.feeding.Lock()
	defer s.feeding.Unlock()
	if f := s.feeding.feed; f != nil && f.enter() {
		return f
	}
	f := &feed{s: s, ready: make(chan struct{}), followers: 1, wakes: map[string][]*wake{}}
	ctx, cancel := context.WithCancel(s.ctx)
	f.cancel = cancel
	s.feeding.feed = f
	go f.run(ctx)
	return f
}

func (f *feed) enter() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ended || f.followers == 0 {
		return false
	}
	f.followers++
	return true
}

func (f *feed) leave() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.followers--; f.followers == 0 {
		f.cancel()
	}
}

// run reads and encodes until nobody follows, or what comes next is not the next change: after a restore the followers
// must hear from elsewhere that they have to begin anew.
func (f *feed) run(ctx context.Context) {
	defer f.end()
	defer func() {
		if p := recover(); p != nil { // a damaged row: the replica has told the node, which ends
			f.s.log.Error("following the changes panicked", "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
		}
	}()
	w, err := f.s.node.Window(ctx, fsm.Window{})
	if err != nil {
		return
	}
	f.begin(w)
	for at := f.first - 1; ; {
		changes, upto, now, err := f.s.node.Changes("", at, feedChanges, feedRead)
		if err != nil || now.Epoch != f.epoch || !now.Has(at) {
			return
		}
		f.fire(ctx, f.publish(changes))
		if at == upto {
			if _, err = f.s.node.Window(ctx, now); err != nil {
				return
			}
		}
		at = upto
	}
}

// fire wakes followers, some at a time: all at once they would keep the processors from everything else until
// the last of them has written. What changes meanwhile they get together, in one write each.
func (f *feed) fire(ctx context.Context, due []*wake) {
	woken := 0
	for _, w := range due {
		if woken >= wakeAtOnce && ctx.Err() == nil {
			time.Sleep(wakePause)
			woken = 0
		}
		woken += w.count // which stands still since it is due
		close(w.fired)
	}
}

// begin starts the feed some changes back: who comes from another node, which all do at once when that went, finds its
// place in it.
func (f *feed) begin(w fsm.Window) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.epoch = w.Epoch
	f.first = max(w.First, w.Rev+1-min(w.Rev, feedBack))
}

// publish gives changes to the followers, and returns whom to wake.
func (f *feed) publish(changes []fsm.Change) (due []*wake) {
	fresh := make([]*changeEvent, len(changes))
	for i := range changes {
		fresh[i] = newChangeEvent(f.epoch, &changes[i])
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	quiet := f.first + uint64(len(f.events)) - 1
	for _, e := range fresh {
		f.bytes += e.size()
		f.events = append(f.events, e)
	}
	for f.bytes > f.s.feedBytes && len(f.events) > 1 {
		f.bytes -= f.events[0].size()
		f.events = f.events[1:]
		f.first++
	}
	if len(fresh) > 0 {
		due = f.take(due, "", quiet)
	}
	for _, e := range fresh {
		e.lists(func(list string) { due = f.take(due, list, quiet) })
	}
	f.open()
	return due
}

func (f *feed) open() {
	select {
	case <-f.ready:
	default:
		close(f.ready)
	}
}

// take takes out who waits for a list. It is called with mu held.
func (f *feed) take(due []*wake, list string, quiet uint64) []*wake {
	for _, w := range f.wakes[list] {
		w.due, w.quiet = true, quiet
		due = append(due, w)
	}
	delete(f.wakes, list)
	return due
}

func (f *feed) end() {
	f.cancel()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ended = true
	for _, some := range f.wakes {
		for _, w := range some {
			close(w.fired)
		}
	}
	clear(f.wakes)
	f.open()
}

// look is what a follower finds.
type look struct {
	ended  bool
	behind bool           // the feed begins after what it has
	events []*changeEvent // after what it has, of all lists
	upto   uint64         // the rev that these go up to
	wake   *wake          // fired when there is more, if there is none
}

// after returns what follows a rev.
func (f *feed) after(rev uint64, list string) look {
	f.mu.Lock()
	defer f.mu.Unlock()
	l := look{ended: f.ended, behind: rev+1 < f.first, upto: f.first + uint64(len(f.events)) - 1}
	switch {
	case l.ended || l.behind:
	case rev < l.upto:
		l.events = f.events[rev+1-f.first:]
	default: // rev may be above: its node has applied more than was read since
		l.upto, l.wake = rev, f.await(list)
	}
	return l
}

// await counts one more who waits for a list. It is called with mu held.
func (f *feed) await(list string) *wake {
	some := f.wakes[list]
	if n := len(some); n == 0 || some[n-1].count >= wakeAtOnce {
		some = append(some, &wake{fired: make(chan struct{})})
		f.wakes[list] = some
	}
	w := some[len(some)-1]
	w.count++
	return w
}

// waited returns up to where a follower that has a rev can be sure of having all, once it waited for w.
func (f *feed) waited(w *wake, list string, rev uint64) uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	if w.due || f.ended {
		return max(rev, w.quiet)
	}
	if w.count--; w.count == 0 {
		some := slices.DeleteFunc(f.wakes[list], func(other *wake) bool { return other == w })
		if f.wakes[list] = some; len(some) == 0 {
			delete(f.wakes, list)
		}
	}
	return max(rev, f.first+uint64(len(f.events))-1)
}
