package server

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"
)

// What must come to pass in a story, and soon: whatever happened before, a majority that is well, and whose nodes
// hear each other, has a leader and acknowledges writes.

// simAlive is the most virtual time that may take: twice what 3,000 stories took.
const simAlive = 5 * time.Second

// alive has a write be acknowledged at so many of some nodes. It returns what is wrong if that takes too long.
func (w *world) alive(many int, among []string) (wrong string) {
	began := time.Now()
	var mu sync.Mutex
	did := 0 // in time
	enough := func(more int) bool {
		mu.Lock()
		defer mu.Unlock()
		if time.Since(began) <= simAlive {
			did += more
		}
		return did >= many
	}
	var writers sync.WaitGroup
	for _, id := range among {
		writers.Go(func() {
			for !enough(0) && time.Since(began) <= simAlive {
				if w.write(9, id, "", w.putOf(9)) == nil {
					enough(1)
					return
				}
				time.Sleep(10 * time.Millisecond)
			}
		})
	}
	writers.Wait()
	w.tellOf("%d of %v acknowledged a write within %s", did, among, time.Since(began))
	if !enough(0) {
		return fmt.Sprintf("%d of %v acknowledged a write within %s, and %d had to", did, among, simAlive, many)
	}
	return ""
}

// healthy are the nodes that must answer once all is well.
func (w *world) healthy() (ids []string) {
	for _, id := range w.running() {
		if !w.gone[id] && !w.wiped[id] {
			ids = append(ids, id)
		}
	}
	return ids
}

// quorate reports whether nodes are a majority of the voters as any node that runs has them, and also should each that could vote soon
// do so: a leader that nobody answers may yet send the entry out that makes it a voter.
func (w *world) quorate(ids []string) bool {
	for _, at := range w.running() {
		e := w.node(at).engine()
		if e == nil {
			continue
		}
		all, voters, vote := w.healthy(), 0, 0
		for _, v := range e.configuration().Servers {
			id := string(v.ID)
			if v.Suffrage == raft.Voter {
				voters++
				if slices.Contains(ids, id) {
					vote++
				}
			}
			if !slices.Contains(all, id) {
				all = append(all, id)
			}
		}
		if len(ids) <= len(all)/2 || vote <= voters/2 {
			return false
		}
	}
	return true
}

// calm has no trap be stepped into any more, and waits for what is under way: a node that was on its way down is down. Without
// the first the second is nothing that can be waited for.
func (w *world) calm() {
	w.watch.Lock()
	clear(w.traps)
	w.watch.Unlock()
	w.ends("deeds", w.deeds.Wait)
}

// ends waits for what must have an end: each request is answered, at the latest when the node that was asked has gone.
func (w *world) ends(what string, wait func()) {
	if !ended(wait) {
		w.errorf("some %s have no end", what)
		w.t.FailNow()
	}
}

func ended(wait func()) bool {
	done := make(chan struct{})
	go func() {
		defer close(done)
		wait()
	}()
	select {
	case <-done:
		return true
	case <-time.After(time.Minute):
		return false
	}
}

// mend has nodes and clocks be well, but for what a story took from the group for good. The network stays as it is.
func (w *world) mend() {
	w.calm()
	for _, s := range w.skew {
		s.Store(0)
	}
	w.reap()
	w.checkWiped()
	w.revive()
}

// minority mends all, but for a minority that is cut off: both ways, in the way in or in the way out, or from all but one. The
// others must go on; where it leads, and one hears it, that one must.
func (w *world) minority(who, way string) {
	w.mend()
	id := w.who(who)
	rest := slices.DeleteFunc(w.healthy(), func(o string) bool {
		return o == id || w.engine(o) == nil // the latter may ask one that is cut off to let it in
	})
	if w.node(id) == nil || w.gone[id] || w.wiped[id] || !w.quorate(rest) {
		return
	}
	off := []string{id}
	for _, o := range slices.Clone(rest) {
		less := slices.DeleteFunc(slices.Clone(rest), func(r string) bool { return r == o })
		if w.n(2) == 0 && w.quorate(less) {
			off, rest = append(off, o), less
		}
	}
	w.tellOf("minority %s %s: all is well but for %v", who, way, off)
	w.net.heal()
	many := len(rest)
	for _, o := range off {
		switch way {
		case "both":
			w.net.cutOff(o+":70", addrs(rest))
		case "in", "out":
			for _, r := range rest {
				from, to := o, r
				if way == "in" {
					from, to = r, o
				}
				w.net.cutWay(from+":70", to+":70")
			}
		case "one":
			many = 1
			w.net.cutOff(o+":70", addrs(rest[1:]))
		}
	}
	if wrong := w.alive(many, rest); wrong != "" {
		w.errorf("%v cut off (%s): %s", off, way, wrong)
		w.describe()
	}
}

func addrs(ids []string) (addrs []string) {
	for _, id := range ids {
		addrs = append(addrs, id+":70")
	}
	return addrs
}

// The checks must find what they are for: what has no end, and followers that do not miss their leader.
func TestNobodyMissesTheLeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		never := make(chan struct{})
		if ended(func() { <-never }) || !ended(func() {}) {
			t.Error("what has an end is not told from what has none")
		}
		close(never)
	})
	for _, planted := range []bool{false, true} {
		t.Run(fmt.Sprint(planted), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, &plot{size: 3})
				w.group(w.size)
				w.begin()
				if wrong := w.alive(3, w.healthy()); wrong != "" {
					t.Error(wrong)
				}
				rest := w.followers()
				for _, id := range rest {
					r := w.node(id).engine().raft
					conf := r.ReloadableConfig()
					if planted {
						conf.HeartbeatTimeout, conf.ElectionTimeout = time.Minute, time.Minute
					}
					if err := r.ReloadConfig(conf); err != nil {
						t.Fatal(err)
					}
				}
				time.Sleep(electionTimeout) // a timer that runs ends first
				w.isolate(w.named("leader"))
				if wrong := w.alive(2, rest); (wrong != "") != planted {
					t.Errorf("found %q", wrong)
				}
			})
		})
	}
}
