package server

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// decaying is a group whose logs are cut early, so that a lost replica cannot be made anew from them.
func decaying(t *testing.T, size int) *sim {
	s := newSim(t)
	s.scan = 2 * time.Second
	for i := range size {
		if _, err := s.start(fmt.Sprintf("n%d", i+1), shortLog(func(c *Config) {
			if i > 0 {
				c.Join = []string{"n1:80"}
			}
		})); err != nil {
			t.Fatal(err)
		}
	}
	s.await("all vote", func() bool {
		l := s.leader()
		return l != nil && len(voters(l.engine().configuration())) == size && l.engine().unchanging()
	})
	s.fill(60)
	for _, id := range s.ids {
		s.await("the log of "+id+" to be cut", func() bool { return first(s.node(id).engine().logs.FirstIndex()) > 1 })
		s.await(id+" to know of the others", func() bool { return len(s.node(id).folder.peers()) == size-1 })
	}
	return s
}

func shortLog(set func(*Config)) func(*Config) {
	return func(c *Config) {
		c.SnapshotEntries, c.TrailingLogs = 20, 10
		if set != nil {
			set(c)
		}
	}
}

// fill adds entries until n are acknowledged.
func (s *sim) fill(n int) {
	s.t.Helper()
	for range n {
		if _, err := s.add(s.named("leader"), "bob", WriteOptions{}); err != nil {
			s.t.Fatal(err)
		}
	}
}

func (s *sim) replicaOf(id string) string { return filepath.Join(s.dir, id, id, replicaName) }

// spoilFile flips the first letters of all titles in a node's file, where the file has them.
func (s *sim) spoilFile(id string) {
	s.t.Helper()
	b, err := os.ReadFile(s.replicaOf(id))
	if err != nil {
		s.t.Fatal(err)
	}
	f, err := os.OpenFile(s.replicaOf(id), os.O_WRONLY, 0)
	if err != nil {
		s.t.Fatal(err)
	}
	defer f.Close()
	title := []byte("\x02t1") // a short text, with its length before it
	if !bytes.Contains(b, title) {
		s.t.Fatal("the file holds no title")
	}
	for at := 0; ; at++ {
		i := bytes.Index(b[at:], title)
		if i < 0 {
			return
		}
		at += i
		if _, err := f.WriteAt([]byte("T"), int64(at+1)); err != nil {
			s.t.Fatal(err)
		}
	}
}

// A node that was down finds its replica damaged, in whatever way: it gets another one and goes on with all it
// had promised, even if it is ended again in the middle of that.
func TestDamagedReplicaIsReplaced(t *testing.T) {
	seed := simSeed(t)
	for run := range uint64(30) {
		synctest.Test(t, func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed+run, 3))
			s := decaying(t, 3)
			id := s.ids[r.IntN(3)]
			lastIndex, lastTerm := s.node(id).engine().lastLog()
			s.crash(id)
			s.fill(r.IntN(50))
			what := r.IntN(4)
			damage(t, r, what, s.replicaOf(id))
			for range r.IntN(3) {
				if _, err := s.start(id, shortLog(nil)); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Duration(r.IntN(5000)) * time.Microsecond)
				s.crash(id)
			}
			n, err := s.start(id, shortLog(nil))
			if err != nil {
				t.Fatalf("seed %d, damage %d: %v", seed+run, what, err)
			}
			s.await(id+" to be back", func() bool { return n.engine() != nil && n.Ready() == nil })
			if index, term := n.engine().lastLog(); index < lastIndex || term < lastTerm {
				t.Errorf("seed %d: its log ended at %d of term %d, and ends at %d of %d", seed+run, lastIndex, lastTerm, index, term)
			}
			s.fill(5)
			s.check()
			if why := n.Err(); why != nil {
				t.Error(why)
			}
		})
	}
}

// damage does one of several things to a file.
func damage(t *testing.T, r *rand.Rand, what int, path string) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	switch what {
	case 0: // all pages but the first, which tell that the file is one of bolt's
		for i := 2 * 4096; i < len(b); i += 1 + r.IntN(100) {
			b[i] ^= 1 << r.IntN(8)
		}
	case 1:
		b = b[:r.IntN(len(b))]
	case 2:
		b = bytes.Repeat([]byte("garbage"), 2000)
	case 3:
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		return
	}
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// What decays under a running node is found by the next scrub, and not served: the node ends with 74, a leader hands
// over first, and started again it gets another replica.
func TestDecayIsFound(t *testing.T) {
	for _, part := range []string{"follower", "leader"} {
		t.Run(part, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := decaying(t, 3)
				time.Sleep(2 * time.Second) // all is in the file
				id := s.named(part)
				s.spoilFile(id)
				s.await(id+" to end", func() bool { return s.node(id).Err() != nil })
				if why := s.node(id).Err(); why.Code != ExitStorage || !strings.Contains(why.Reason, "start this node again") {
					t.Errorf("%s ended with %d: %s", id, why.Code, why.Reason)
				}
				if s.node(id).engine().leaderID() == id {
					t.Error("it did not hand over")
				}
				s.crash(id)
				s.fill(5)
				n, err := s.start(id, shortLog(nil))
				if err != nil {
					t.Fatal(err)
				}
				s.await(id+" to be back", func() bool { return n.engine() != nil && n.Ready() == nil })
				s.check()
				if _, err := os.Stat(filepath.Join(s.dir, id, id, asideName)); err != nil {
					t.Error("the damaged file was not kept: ", err)
				}
			})
		})
	}
}

// A node with a damaged replica holds an entry that a majority acknowledged, and the only other node that is up
// lacks it: it must get its replica from that one, and still not let it win an election.
func TestRepairKeepsWhatWasPromised(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := decaying(t, 3)
		leader, behind, holds := s.named("leader"), s.followers()[0], s.followers()[1]
		s.settle()
		s.isolate(behind)
		s.fill(3)
		s.crash(leader)
		s.crash(holds)
		damage(t, rand.New(rand.NewPCG(1, 1)), 2, s.replicaOf(holds))
		s.net.heal()
		if _, err := s.start(holds, shortLog(nil)); err != nil {
			t.Fatal(err)
		}
		s.await("a leader", func() bool { return s.leader() != nil })
		s.check()
	})
}

// A node that has just joined, and died before it wrote down who the others are, asks whom it joined by.
func TestDamagedRightAfterItJoined(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := decaying(t, 3)
		state := func() (st folderState) {
			b, err := os.ReadFile(filepath.Join(s.dir, "n3", "n3", nodeName))
			if err == nil {
				err = json.Unmarshal(b, &st)
			}
			if err != nil {
				t.Fatal(err)
			}
			return st
		}
		s.await("n3 to know of the others", func() bool { return len(state().Peers) == 2 })
		if st := state(); len(st.Targets) > 0 { // else one whose group became one of one would ask for ever
			t.Errorf("it knows the others, and whom it asked: %+v", st)
		}
		s.crash("n3")
		f := &folder{dir: filepath.Join(s.dir, "n3", "n3"), state: state()}
		if err := f.change(func(st *folderState) { st.Peers, st.Targets = nil, []string{"n9:80", "n1:80"} }); err != nil {
			t.Fatal(err)
		}
		damage(t, rand.New(rand.NewPCG(1, 1)), 2, s.replicaOf("n3"))
		n, err := s.start("n3", shortLog(nil))
		if err != nil {
			t.Fatal(err)
		}
		s.await("n3 to be back", func() bool { return n.engine() != nil && n.Ready() == nil })
		s.check()
	})
}

// A node that is alone has nobody to get a replica from. It stays as it is and says what to do.
func TestDamagedAndAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := decaying(t, 1)
		s.crash("n1")
		damage(t, rand.New(rand.NewPCG(1, 1)), 0, s.replicaOf("n1"))
		before, err := os.ReadFile(s.replicaOf("n1"))
		if err != nil {
			t.Fatal(err)
		}
		var why *Exit
		if _, err := s.start("n1", nil); !errors.As(err, &why) || why.Code != ExitStorage || !strings.Contains(why.Reason, "todod restore") {
			t.Errorf("it came to %v", err)
		}
		if after, err := os.ReadFile(s.replicaOf("n1")); err != nil || !bytes.Equal(before, after) {
			t.Error("the damaged file was changed", err)
		}
	})
}
