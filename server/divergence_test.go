package server

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"

	"todod/fsm"
)

// planted is a state machine that does something else than the others with an entry of the log, once
// it is told to.
type planted struct {
	raft.BatchingFSM
	mu    sync.Mutex
	wrong func(*fsm.Stamp, *fsm.Command) bool // reports whether it changed something; nil: all is well
	at    uint64                              // where it did
}

func (p *planted) ApplyBatch(logs []*raft.Log) []any {
	logs = slices.Clone(logs)
	for i, log := range logs {
		logs[i] = p.spoil(log)
	}
	return p.BatchingFSM.ApplyBatch(logs)
}

func (p *planted) spoil(log *raft.Log) *raft.Log {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.wrong == nil || log.Type != raft.LogCommand {
		return log
	}
	stamp, cmds, err := fsm.DecodeEnvelope(log.Data)
	if err != nil {
		return log
	}
	var all []*fsm.Command
	for i := range cmds {
		if p.wrong != nil && cmds[i].Type == fsm.TypeTodo && p.wrong(&stamp, &cmds[i]) {
			p.wrong, p.at = nil, log.Index
		}
		all = append(all, &cmds[i])
	}
	other := *log
	other.Data = fsm.EncodeEnvelope(stamp, all)
	return &other
}

func (p *planted) plant(wrong func(*fsm.Stamp, *fsm.Command) bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wrong = wrong
}

// where is the log entry at which it went wrong, 0 if it did not yet.
func (p *planted) where() uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.at
}

// wrongs are what a state machine may do wrong.
var wrongs = []func(*fsm.Stamp, *fsm.Command) bool{
	func(_ *fsm.Stamp, c *fsm.Command) bool { // another title
		spoiled := bytes.Replace(c.Payload, []byte("t"), []byte("T"), 1)
		changed := !bytes.Equal(spoiled, c.Payload)
		c.Payload = spoiled
		return changed
	},
	func(s *fsm.Stamp, _ *fsm.Command) bool { s.Time += 1000; return true }, // its own clock
	func(_ *fsm.Stamp, c *fsm.Command) bool { // a command left out
		c.Type, c.Version, c.Payload = fsm.TypeSweep, 1, fsm.Sweep{}.Encode()
		return true
	},
}

// spoilable is a group whose nodes can be made to go wrong.
type spoilable struct {
	*sim
	machines map[string]*planted
}

func newSpoilable(t *testing.T, size int, every time.Duration) *spoilable {
	s := &spoilable{sim: newSim(t), machines: map[string]*planted{}}
	s.mark = every
	for i := range size {
		s.begin(fmt.Sprintf("n%d", i+1))
	}
	s.await("all vote", func() bool {
		l := s.leader()
		return l != nil && len(voters(l.engine().configuration())) == size && l.engine().unchanging()
	})
	return s
}

// begin starts a node, anew or again.
func (s *spoilable) begin(id string) {
	s.t.Helper()
	p := &planted{}
	s.machines[id] = p
	if _, err := s.start(id, func(c *Config) {
		c.machine = func(real raft.BatchingFSM) raft.BatchingFSM { p.BatchingFSM = real; return p }
		if id != "n1" {
			c.Join = []string{"n1:80"}
		}
	}); err != nil {
		s.t.Fatal(err)
	}
}

// spoil has some nodes apply the next write in the same wrong way, and waits until they did.
func (s *spoilable) spoil(wrong func(*fsm.Stamp, *fsm.Command) bool, ids ...string) {
	s.t.Helper()
	for _, id := range ids {
		s.machines[id].plant(wrong)
	}
	_, _ = s.add(s.named("leader"), "bob", WriteOptions{}) // a leader that goes wrong may not answer well
	for _, id := range ids {
		s.await(id+" to go wrong", func() bool { return s.machines[id].where() > 0 })
	}
}

// agreedAt waits until a node has found itself like a majority at a mark after a log entry.
func (s *sim) agreedAfter(id string, index uint64) {
	s.t.Helper()
	s.await(id+" to be like a majority", func() bool { return s.node(id).engine().divergence.agreed.Load() > index })
}

func (s *sim) applied(id string) uint64 {
	index, _ := s.node(id).engine().replica.Applied()
	return index
}

// A difference in what one node applied is found within two marks, on that node, whichever it is: it ends
// with 70, says in its folder what differs, and is not started again. Nobody else is.
func TestPlantedDifferenceIsFenced(t *testing.T) {
	seed, runs := simSeed(t), uint64(50)
	if testing.Short() { // the race detector takes six times as long
		runs = 10
	}
	for run := range runs {
		synctest.Test(t, func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed+run, 2))
			every := time.Duration(1+r.IntN(30)) * time.Second
			s := newSpoilable(t, 3+2*r.IntN(2), every)
			for range r.IntN(10) {
				if _, err := s.add(s.named("leader"), "bob", WriteOptions{}); err != nil {
					t.Fatal(err)
				}
			}
			s.agreedAfter("n1", 0)
			wrong := fmt.Sprintf("n%d", 1+r.IntN(len(s.ids)))
			kind := r.IntN(len(wrongs))
			began := time.Now()
			s.spoil(wrongs[kind], wrong)
			s.await(wrong+" to end", func() bool { return s.node(wrong).Err() != nil })
			took := time.Since(began)
			if why := s.node(wrong).Err(); why.Code != ExitFenced {
				t.Fatalf("seed %d: %s ended with %d: %s", seed+run, wrong, why.Code, why)
			}
			if took > 2*every+markPatience {
				t.Errorf("seed %d: found after %v, with a mark every %v", seed+run, took, every)
			}
			if _, err := s.node(wrong).Read(t.Context(), ReadOptions{Level: Stale}); err == nil {
				t.Errorf("%s still serves", wrong)
			}
			report := s.report(wrong)
			if report.Index < s.machines[wrong].where() || report.Agreed >= s.machines[wrong].where() || !report.History || report.Node != wrong {
				t.Errorf("seed %d: wrong at %d, kind %d, reported as %+v", seed+run, s.machines[wrong].where(), kind, report)
			}
			s.crash(wrong)
			var why *Exit
			if _, err := s.start(wrong, nil); !errors.As(err, &why) || why.Code != ExitFenced {
				t.Errorf("started again: %v", err)
			}
			now := s.applied(s.named("leader"))
			for _, id := range s.running() {
				s.agreedAfter(id, now)
				if why := s.node(id).Err(); why != nil {
					t.Errorf("%s ended: %s", id, why)
				}
			}
			s.settle()
		})
	}
}

func (s *spoilable) report(id string) (r fenceReport) {
	s.t.Helper()
	b, err := os.ReadFile(filepath.Join(s.dir, id, id, divergenceName))
	if err == nil {
		err = json.Unmarshal(b, &r)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	return r
}

// diverged waits until a node says that the data differ, and returns what it says.
func (s *spoilable) diverged(id string) *Divergence {
	s.t.Helper()
	s.await(id+" to tell of the difference", func() bool { return s.node(id).Cluster().Diverged != nil })
	return s.node(id).Cluster().Diverged
}

// Where no majority has the same data nobody is fenced: all say so, and no replica goes from one
// to another. Once there is a majority it decides.
func TestDifferenceWithoutMajority(t *testing.T) {
	t.Run("two voters", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := newSpoilable(t, 2, 5*time.Second)
			s.agreedAfter("n1", 0)
			s.spoil(wrongs[0], "n2")
			for _, id := range s.ids {
				d := s.diverged(id)
				if len(d.Hashes) != 2 || d.Hashes["n1"] == d.Hashes["n2"] || d.Agreed == 0 {
					t.Errorf("%s tells %+v", id, d)
				}
				if _, _, err := s.node(id).engine().replica.Snapshots().Open("replica"); !errors.Is(err, errUndecided) {
					t.Errorf("%s gives its replica away: %v", id, err)
				}
				if _, err := s.node(id).Backup(t.Context(), ReadOptions{Level: Stale}); err == nil || AsError(err).Kind != KindConflict {
					t.Errorf("%s makes a backup: %v", id, err)
				}
				if err := s.node(id).Ready(); err != nil {
					t.Errorf("%s: %v", id, err)
				}
			}
			if err := s.node("n1").RemoveMember(t.Context(), "n2"); err != nil {
				t.Fatal(err)
			}
			s.await("n1 to be sure again", func() bool { return s.node("n1").Cluster().Diverged == nil })
			if _, rc, err := s.node("n1").engine().replica.Snapshots().Open("replica"); err != nil {
				t.Error(err)
			} else {
				rc.Close()
			}
		})
	})
	t.Run("2-2-1", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := newSpoilable(t, 5, 5*time.Second)
			s.spoil(wrongs[0], "n1", "n2")
			s.spoil(wrongs[1], "n3")
			now := s.applied(s.named("leader"))
			for _, id := range s.ids {
				s.await(id+" to know of all", func() bool {
					d := s.node(id).Cluster().Diverged
					return d != nil && d.Index > now && len(d.Hashes) == 5
				})
			}
			for _, id := range s.ids {
				if why := s.node(id).Err(); why != nil {
					t.Errorf("%s ended: %s", id, why)
				}
			}
		})
	})
	t.Run("one is away", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := newSpoilable(t, 3, 5*time.Second)
			s.named("leader")
			away, wrong := s.followers()[0], s.followers()[1]
			s.crash(away)
			s.spoil(wrongs[2], wrong)
			s.diverged(s.leader().id)
			s.diverged(wrong)
			s.begin(away)
			s.await(wrong+" to end", func() bool { return s.node(wrong).Err() != nil })
			if why := s.node(wrong).Err(); why.Code != ExitFenced {
				t.Error(why)
			}
			for _, id := range []string{s.leader().id, away} {
				s.await(id+" to be sure", func() bool {
					return s.node(id).Cluster().Diverged == nil && s.node(id).engine().divergence.agreed.Load() > s.machines[wrong].where()
				})
			}
		})
	})
}

// A node that gives no answer says nothing of its data: it counts for no side, and what nobody confirms
// does not count as agreed.
func TestNoAnswerIsNoPass(t *testing.T) {
	a, b, c := fsm.Hash{Index: 9, Chain: "a"}, fsm.Hash{Index: 9, Chain: "b"}, fsm.Hash{Index: 9, Chain: "c"}
	cases := []struct {
		voters int
		said   []fsm.Hash // of n1, n2...; none given: no answer
		right  fsm.Hash   // none: not decided
	}{
		{1, []fsm.Hash{a}, a},
		{2, []fsm.Hash{a}, fsm.Hash{}},
		{2, []fsm.Hash{a, b}, fsm.Hash{}},
		{2, []fsm.Hash{a, a}, a},
		{3, []fsm.Hash{a}, fsm.Hash{}},
		{3, []fsm.Hash{a, b}, fsm.Hash{}},
		{3, []fsm.Hash{a, b, b}, b},
		{3, []fsm.Hash{b, b}, b},
		{4, []fsm.Hash{a, a, b, b}, fsm.Hash{}},
		{5, []fsm.Hash{a, a, b, b, c}, fsm.Hash{}},
		{5, []fsm.Hash{a, a}, fsm.Hash{}},
		{3, []fsm.Hash{a, b, c, c, c}, fsm.Hash{}}, // those without a vote say what they like
	}
	for _, c := range cases {
		var conf raft.Configuration
		said := map[string]fsm.Hash{}
		for i := range max(c.voters, len(c.said)) {
			id, suffrage := fmt.Sprintf("n%d", i+1), raft.Voter
			if i >= c.voters {
				suffrage = raft.Nonvoter
			}
			conf.Servers = append(conf.Servers, raft.Server{ID: raft.ServerID(id), Suffrage: suffrage})
			if i < len(c.said) {
				said[id] = c.said[i]
			}
		}
		if right, decided := majority(conf, said); right != c.right || decided != (c.right != fsm.Hash{}) {
			t.Errorf("%d voters, %v: %v, %v", c.voters, c.said, right, decided)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		s := newSpoilable(t, 3, time.Hour)
		d := s.leader().engine().divergence
		d.settle(a, map[string]fsm.Hash{s.leader().id: a}, false)
		if d.agreed.Load() != 0 || d.undecided.Load() != nil {
			t.Error("silence counts")
		}
	})
}
