package server

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"
)

// watch holds linearizable reads against what was acknowledged before each began.
type watch struct {
	*sim
	newest atomic.Uint64 // rev of the newest acknowledged write
	reads  sync.Map      // node -> *atomic.Int64: reads that were answered
}

// write adds at a node and notes what was acknowledged.
func (w *watch) write(id string) error {
	res, err := w.add(id, "bob", WriteOptions{})
	for err == nil {
		old := w.newest.Load()
		if res.Rev <= old || w.newest.CompareAndSwap(old, res.Rev) {
			break
		}
	}
	return err
}

// read reads at a node: an answer that misses a write acknowledged before is the fault
// this is all about.
func (w *watch) read(ctx context.Context, id string) error {
	n := w.node(id)
	acked := w.newest.Load()
	v, err := n.Read(ctx, ReadOptions{Level: Linearizable})
	if err != nil {
		return err
	}
	defer v.Close()
	if v.Rev() < acked {
		w.t.Errorf("a linearizable read at %s saw rev %d after rev %d was acknowledged", id, v.Rev(), acked)
	}
	count, _ := w.reads.LoadOrStore(id, new(atomic.Int64))
	count.(*atomic.Int64).Add(1)
	return nil
}

func (w *watch) answered(id string) int64 {
	if count, ok := w.reads.Load(id); ok {
		return count.(*atomic.Int64).Load()
	}
	return 0
}

// start has every node read and write on and on until stop.
func (w *watch) startReads(pause func() time.Duration) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	for _, id := range w.ids {
		for range 2 {
			all.Go(func() {
				for wait(ctx, pause()) {
					_ = w.read(ctx, id) // refused while cut off
				}
			})
		}
		all.Go(func() {
			for wait(ctx, 7*pause()) {
				_ = w.write(id)
			}
		})
	}
	return func() { cancel(); all.Wait() }
}

// freeze cuts a node off as a pause of its process would, or in one direction only.
func (w *watch) freeze(id string, way int) {
	for _, o := range w.ids {
		if o != id && way != 1 {
			w.net.cutWay(o+":70", id+":70")
		}
		if o != id && way != 2 {
			w.net.cutWay(id+":70", o+":70")
		}
	}
}

// The old leader is cut off across an election, in both directions or in one, for a time that
// varies, and is back in the middle of its reads: no read at any node, level linearizable, misses what
// any other acknowledged before, in 200 elections. Without the round that confirms the leader it
// fails.
func TestReadsAcrossElections(t *testing.T) {
	for _, c := range []struct{ size, elections int }{{3, 130}, {5, 70}} {
		t.Run(fmt.Sprint(c.size), func(t *testing.T) {
			seed := simSeed(t)
			synctest.Test(t, func(t *testing.T) {
				w := &watch{sim: newSim(t)}
				w.group(c.size)
				time.Sleep(2 * pingEvery) // until each knows of all
				dice := &locked{r: rand.New(rand.NewPCG(seed, uint64(c.size)))}
				stop := w.startReads(func() time.Duration { return time.Duration(1+dice.n(20)) * time.Millisecond })
				defer func() { stop() }()
				for elections := 0; elections < c.elections; {
					old := w.named("leader")
					term := w.node(old).engine().raft.CurrentTerm()
					before := w.answered(old)
					w.freeze(old, dice.n(3))
					if dice.n(8) == 0 { // back before anyone noticed
						time.Sleep(time.Duration(dice.n(500)) * time.Millisecond)
						w.net.heal()
						continue
					}
					if dice.n(3) > 0 { // while the old one still holds its lease, as after a false alarm or a pause
						w.node(w.followers()[0]).engine().campaign("a test says so")
					}
					w.await("another leader", func() bool { l := w.leader(); return l != nil && l.id != old })
					fresh := w.named("leader")
					var after sync.WaitGroup
					for _, id := range w.ids {
						after.Go(func() {
							for tries := 0; w.read(context.Background(), id) != nil && tries < 30; tries++ {
							}
						})
					}
					for range 1 + dice.n(3) {
						if err := w.write(fresh); err != nil {
							t.Errorf("the new leader: %v", err)
						}
					}
					time.Sleep(time.Duration(dice.n(30)) * time.Millisecond)
					w.net.heal()
					after.Wait()
					if w.answered(old) == before {
						t.Errorf("no read at %s, which was back", old)
					}
					if now := w.node(fresh).engine().raft.CurrentTerm(); now > term {
						elections++
					}
				}
				stop()
				stop = func() {}
				w.check()
			})
		})
	}
}

// locked is a source of numbers for many goroutines.
type locked struct {
	mu sync.Mutex
	r  *rand.Rand
}

func (l *locked) n(below int) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.r.IntN(below)
}

// A follower hands itself its leader's commit index. Where its log has another entry there, left from
// its own time as leader, nothing of that may count as committed.
func TestHandCommitDivergentTail(t *testing.T) {
	inBubble(t, 3, func(t *testing.T, s *sim) {
		old := s.named("leader")
		e := s.node(old).engine()
		s.isolate(old)
		var stuck sync.WaitGroup
		for range 20 {
			stuck.Go(func() { _, _ = s.add(old, "bob", WriteOptions{}) })
		}
		s.await("another leader", func() bool { l := s.leader(); return l != nil && l.id != old })
		fresh := s.leader()
		for range 20 {
			if _, err := s.add(fresh.id, "bob", WriteOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		stuck.Wait()
		s.await("the old leader steps down", func() bool { return e.raft.State() != raft.Leader })
		last, committed := e.raft.LastIndex(), e.raft.CommitIndex()
		if last <= committed {
			t.Fatalf("no tail: last %d, committed %d", last, committed)
		}
		term := fresh.engine().raft.CurrentTerm()
		for index := committed + 1; index <= last; index++ {
			indexTerm, err := fresh.engine().termOf(index)
			if err != nil || indexTerm == first(e.termOf(index)) {
				t.Fatal("the logs do not differ at", index, err)
			}
			// What handCommit sends, its guards passed as in the moment after it heard of the new leader.
			reply, err := e.trans.hand(&raft.AppendEntriesRequest{
				RPCHeader: raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax, ID: []byte(fresh.id), Addr: []byte(fresh.advertise)},
				Term:      term, PrevLogEntry: index, PrevLogTerm: indexTerm, LeaderCommitIndex: index,
			})
			if err != nil {
				t.Fatal(err)
			}
			if reply.(*raft.AppendEntriesResponse).Success || e.raft.CommitIndex() != committed {
				t.Fatalf("entry %d of a divergent tail counts as committed", index)
			}
			// Now it follows the new leader in its term: handCommit goes through with all guards.
			e.handCommit(point{leader: fresh.id, addr: fresh.advertise, term: term, index: index, indexTerm: indexTerm})
			if e.raft.CommitIndex() != committed {
				t.Fatalf("entry %d of a divergent tail was committed", index)
			}
		}
		for _, at := range []point{{}, {index: committed}, {index: last + 100, indexTerm: term}, {index: committed, indexTerm: term}} {
			at.leader, at.addr, at.term = fresh.id, fresh.advertise, term
			e.handCommit(at)
		}
		if e.raft.CommitIndex() != committed {
			t.Fatal("the commit index moved")
		}
	})
}

// A read at a node that stops is refused at once.
func TestReadWhileStopping(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t)
		s.group(1)
		e := s.node("n1").engine()
		e.cancel()
		e.crew.close()
		began := time.Now()
		if err := e.confirmed(context.Background()); err == nil || time.Since(began) > 0 {
			t.Errorf("%v after %s", err, time.Since(began))
		}
	})
}

// Under load a pursuit goes on and on, for there is always something newer to pursue: it must stay as
// quick as a new one.
func TestPursuitStaysQuick(t *testing.T) {
	inBubble(t, 3, func(t *testing.T, s *sim) {
		leader, id := s.leader(), s.followers()[0]
		e, term := s.node(id).engine(), leader.engine().raft.CurrentTerm()
		write := func() {
			if _, err := s.add(leader.id, "bob", WriteOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		write()
		for range 20 {
			next := leader.engine().raft.LastIndex() + 1
			at := point{leader: leader.id, addr: leader.advertise, term: term, index: next, indexTerm: term}
			e.reads.pursue(at)
			time.Sleep(30 * time.Millisecond) // the entry is long in coming
			at.index++
			e.reads.pursue(at)
			write()
			write()
			begin := time.Now()
			for e.raft.CommitIndex() <= next {
				time.Sleep(10 * time.Microsecond)
			}
			if took := time.Since(begin); took > time.Millisecond {
				t.Errorf("it took %v until the follower knew of the commit", took)
			}
		}
	})
}
