package server

import (
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"
)

// copyOf copies the folder of a node as it is now.
func (s *sim) copyOf(id string) (data string) {
	s.t.Helper()
	data = s.t.TempDir()
	if err := os.CopyFS(filepath.Join(data, id), os.DirFS(filepath.Join(s.dir, id, id))); err != nil {
		s.t.Fatal(err)
	}
	return data
}

// startCopy starts a process of a node on a copy of its folder, at another address.
func (s *sim) startCopy(id, data string) *Node {
	s.t.Helper()
	other := id + "b"
	n, err := Open(Config{ID: id, Data: data, AdvertiseHTTP: other + ":80", AdvertiseRaft: other + ":70", Contacts: simContacts{s, other},
		Logger: s.log, NoSync: true, Version: "test", Listener: s.net.listen(other + ":70"), Dial: s.dialFrom(other + ":70")})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		if err := n.Close(); err != nil {
			s.t.Errorf("close the copy: %v", err)
		}
	})
	return n
}

func (s *sim) mustAdd(id string, times int) {
	s.t.Helper()
	for range times {
		if _, err := s.add(id, "bob", WriteOptions{}); err != nil {
			s.t.Fatalf("a write at %s: %v", id, err)
		}
	}
}

// ends waits until a node has ended because its folder is refused.
func (s *sim) ends(n *Node, within time.Duration) {
	s.t.Helper()
	began := time.Now()
	select {
	case <-n.Done():
	case <-time.After(time.Minute):
		s.t.Fatal("it goes on")
	}
	if took := time.Since(began); n.Err().Code != ExitFolderRefused || took > within {
		s.t.Errorf("ended after %s with %+v", took, n.Err())
	}
}

// A second process on a copy of a running node's folder is turned away by all, and ends. It would be
// the same voter twice.
func TestCopyOfARunningFolder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t)
		s.group(3)
		s.mustAdd("n1", 20)
		for _, id := range []string{s.followers()[0], s.named("leader")} {
			s.settle()
			n := s.startCopy(id, s.copyOf(id))
			s.ends(n, 2*twiceFor)
			if s.node(id).Err() != nil {
				t.Errorf("%s ended because of its copy: %v", id, s.node(id).Err())
			}
			for _, id := range s.ids {
				s.mustAdd(id, 3)
			}
		}
		for _, m := range s.leader().Cluster().Members {
			if m.Raft != m.ID+":70" {
				t.Errorf("%s is looked for at %s", m.ID, m.Raft)
			}
		}
		s.check()
	})
}

// The leader dies while a copy of a voter runs: the copy is of no use to anybody.
func TestCopyDoesNotVote(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t)
		s.group(3)
		s.mustAdd("n1", 20)
		s.settle()
		ids, old := s.followers(), s.named("leader")
		n := s.startCopy(ids[0], s.copyOf(ids[0]))
		s.crash(old)
		s.crash(ids[1])
		time.Sleep(2 * time.Second)
		if l := s.leader(); l != nil || n.engine().term.Load() != nil {
			t.Error("a node and its copy elected a leader")
		}
		if _, err := s.start(ids[1], nil); err != nil {
			t.Fatal(err)
		}
		s.ends(n, 2*twiceFor)
		s.mustAdd(ids[1], 3)
		if _, err := s.start(old, nil); err != nil {
			t.Fatal(err)
		}
		s.check()
	})
}

// A folder that was put back from an old copy has forgotten what it acknowledged: it may not vote. One that
// was moved as it was is welcome at its new address.
func TestOldCopyAndMovedFolder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t)
		s.group(3)
		id := s.followers()[0]
		s.mustAdd(id, 20)
		s.settle()
		s.crash(id)
		old := s.copyOf(id)
		if _, err := s.start(id, nil); err != nil {
			t.Fatal(err)
		}
		s.mustAdd(id, 20)
		s.settle()
		time.Sleep(time.Second)
		s.crash(id)
		s.ends(s.startCopy(id, old), twiceFor)

		n := s.startCopy(id, s.copyOf(id))
		s.await("the moved node is found", func() bool {
			for _, m := range s.leader().Cluster().Members {
				if m.ID == id {
					return m.Raft == id+"b:70" && *m.Alive
				}
			}
			return false
		})
		for range 5 {
			if _, err := n.Write(t.Context(), addCommand("moved", "x"), WriteOptions{}); err != nil {
				t.Error(err)
			}
		}
		if why := n.Err(); why != nil {
			t.Errorf("ended: %v", why)
		}
	})
}

// A machine was cut off, its folder's copy has taken over elsewhere, and the machine comes back: it
// is turned away.
func TestTheOriginalComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t)
		s.group(3)
		id := s.followers()[0]
		s.mustAdd(id, 20)
		s.settle()
		data := s.copyOf(id)
		s.isolate(id)
		time.Sleep(2 * downAfter)
		n := s.startCopy(id, data)
		s.await("the copy is found", func() bool {
			for _, m := range s.leader().Cluster().Members {
				if m.ID == id {
					return m.Raft == id+"b:70" && *m.Alive
				}
			}
			return false
		})
		s.net.heal()
		s.ends(s.node(id), 3*twiceFor)
		if why := n.Err(); why != nil {
			t.Errorf("the copy ended: %v", why)
		}
		s.crash(id)
		s.mustAdd(s.named("leader"), 5)
	})
}

// The copy starts just when the original has been started again, and the others do not know yet whether
// that is back: the copy finds some that let it in. It ends all the same, and not the original.
func TestCopyRightAfterARestart(t *testing.T) {
	for round := range 6 {
		synctest.Test(t, func(t *testing.T) {
			s := newSim(t)
			s.group(3)
			s.mustAdd("n1", 5)
			s.settle()
			id := s.followers()[0]
			s.crash(id)
			data := s.copyOf(id)
			time.Sleep(pingEvery + 10*time.Millisecond) // the next ping is far
			if _, err := s.start(id, nil); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Duration(round) * 20 * time.Millisecond)
			n := s.startCopy(id, data)
			s.ends(n, 3*twiceFor)
			if why := s.node(id).Err(); why != nil {
				t.Errorf("the original ended: %v", why)
			}
			for _, m := range s.leader().Cluster().Members {
				if m.Raft != m.ID+":70" {
					t.Errorf("%s is looked for at %s", m.ID, m.Raft)
				}
			}
			s.mustAdd(id, 3)
			s.check()
		})
	}
}
