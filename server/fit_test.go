package server

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/hashicorp/raft"

	"todod/fsm"
)

// A leader whose streams stood still does not know how far a follower has come, and may send it a replica
// that is behind the follower's own log. What that log holds beyond it was acknowledged.
func TestOlderReplicaTakesNothingAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t)
		s.group(3)
		leader, follower := s.node(s.named("leader")).engine(), s.node(s.named("follower")).engine()
		add := func() {
			if _, err := s.add(leader.node.id, "bob", WriteOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		add()
		if err := leader.raft.Snapshot().Error(); err != nil {
			t.Fatal(err)
		}
		meta, replica, err := leader.replica.Snapshots().Open("replica")
		if err != nil {
			t.Fatal(err)
		}
		defer replica.Close()
		for range 5 {
			add()
		}
		s.settle()
		req := &raft.InstallSnapshotRequest{RPCHeader: raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax,
			ID: []byte(leader.node.id), Addr: []byte(leader.node.advertise)}, SnapshotVersion: meta.Version, Term: leader.raft.CurrentTerm(),
			Leader: []byte(leader.node.advertise), LastLogIndex: meta.Index, LastLogTerm: meta.Term, Size: meta.Size,
			Configuration: raft.EncodeConfiguration(meta.Configuration), ConfigurationIndex: meta.ConfigurationIndex}
		var resp raft.InstallSnapshotResponse
		if err := leader.trans.InstallSnapshot(raft.ServerID(follower.node.id), raft.ServerAddress(follower.node.advertise), req, &resp, replica); err != nil {
			t.Fatal(err)
		}
		if !resp.Success {
			t.Error("the follower refused what it has: the leader would send it again and again")
		}
		if last, err := follower.logs.LastIndex(); err != nil || last != leader.raft.LastIndex() {
			t.Errorf("the follower's log ends at %d of %d, %v", last, leader.raft.LastIndex(), err)
		}
		add()
		s.check()
	})
}

// The log of a leader that was cut off was cut up to where its own, uncommitted entries begin: it must take
// those of the next leader in their place.
func TestLogCutUpToADivergentEntry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t)
		s.group(3)
		old := s.node(s.named("leader"))
		if _, err := s.add(old.id, "bob", WriteOptions{}); err != nil {
			t.Fatal(err)
		}
		s.settle()
		r := old.engine().raft
		s.isolate(old.id)
		var tried sync.WaitGroup
		tried.Go(func() { _, _ = s.add(old.id, "bob", WriteOptions{}) }) // its outcome is kept by sim.add
		s.await("an entry that nobody else has", func() bool { return r.LastIndex() > r.CommitIndex() })
		conf := r.ReloadableConfig()
		conf.TrailingLogs = 1
		if err := errors.Join(r.ReloadConfig(conf), r.Snapshot().Error()); err != nil {
			t.Fatal(err)
		}
		if first, err := old.engine().logs.FirstIndex(); err != nil || first != r.CommitIndex()+1 {
			t.Fatalf("the log begins at %d and not with what is not committed, %v", first, err)
		}
		s.await("another leader", func() bool { l := s.leader(); return l != nil && l != old })
		if _, err := s.add(s.leader().id, "bob", WriteOptions{}); err != nil {
			t.Fatal(err)
		}
		s.net.heal()
		tried.Wait()
		s.check()
	})
}

// A node that dies when a replica has come, and before the log that it came over is cleared, has no use for that log, and
// no other node has: it may hold what a lost leader left. Its own entries would follow beyond a gap, which is damage.
func TestReplicaBeforeItsLogIsCleared(t *testing.T) {
	for name, prepare := range map[string]func(*testing.T) (*sim, string){"behind": behindTheLog, "another term": cutOffLeader} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, id := prepare(t)
				r := s.replica(t)
				if err := os.WriteFile(filepath.Join(s.data(id), id, replicaName), r.data, 0o600); err != nil {
					t.Fatal(err)
				}
				n, err := s.start(id, nil)
				if err != nil {
					t.Fatal(err)
				}
				if first, err := n.engine().logs.FirstIndex(); err != nil || first != 0 && first <= r.req.LastLogIndex {
					t.Errorf("the log begins at %d, the replica ends at %d: %v", first, r.req.LastLogIndex, err)
				}
				if _, err := s.add(s.named("leader"), "bob", WriteOptions{}); err != nil {
					t.Fatal(err)
				}
				s.check()
				s.crash(id)
				if _, err := Verify(s.data(id), id); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// behindTheLog makes a group of three, one of which was away while the log of the others was cut beyond its own.
func behindTheLog(t *testing.T) (s *sim, behind string) {
	s = newSim(t)
	s.group(3)
	s.settle()
	behind = s.named("follower")
	s.crash(behind)
	for range trailingLogs + 300 {
		if _, err := s.add(s.named("leader"), "bob", WriteOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.leader().engine().raft.Snapshot().Error(); err != nil {
		t.Fatal(err)
	}
	return s, behind
}

// What a leader sends is compared from where this node's log begins, and commits no more than it covers.
func TestFit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t)
		s.group(1)
		e := s.node("n1").engine()
		for range 5 {
			if _, err := s.add("n1", "bob", WriteOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		conf := e.raft.ReloadableConfig()
		conf.TrailingLogs = 1
		if err := errors.Join(e.raft.ReloadConfig(conf), e.raft.Snapshot().Error()); err != nil {
			t.Fatal(err)
		}
		at, term := e.replica.At()
		first, err := e.logs.FirstIndex()
		if err != nil || first < 3 {
			t.Fatalf("the log begins at %d, %v", first, err)
		}
		entries := func(from, to uint64) (all []*raft.Log) {
			for i := from; i <= to; i++ {
				all = append(all, &raft.Log{Index: i})
			}
			return all
		}
		for _, c := range []struct {
			name                string
			prev, to, committed uint64
			wantPrev, wantTerm  uint64
			wantFirst           uint64 // of the entries left; 0 for none
			wantCommitted       uint64
		}{
			{"a heartbeat", 0, 0, 0, 0, 7, 0, 0},
			{"entries that follow", at, at + 3, at + 9, at, 7, at + 1, at + 3},
			{"what the log can be compared with", first - 1, at + 1, at, first - 1, 7, first, at},
			{"some were cut off", first - 2, at + 2, at + 9, at, term, at + 1, at + 2},
			{"all were cut off", 0, first - 1, at + 9, at, term, 0, at},
		} {
			got := e.fit(&raft.AppendEntriesRequest{PrevLogEntry: c.prev, PrevLogTerm: 7, Entries: entries(c.prev+1, c.to), LeaderCommitIndex: c.committed})
			var left uint64
			if len(got.Entries) > 0 {
				left = got.Entries[0].Index
			}
			if got.PrevLogEntry != c.wantPrev || got.PrevLogTerm != c.wantTerm || left != c.wantFirst || got.LeaderCommitIndex != c.wantCommitted {
				t.Errorf("%s: %+v", c.name, got)
			}
		}
	})
}

// An entry of the log whose bytes are not what was stored is told from one that is.
func TestLogEntriesAreChecked(t *testing.T) {
	path := filepath.Join(t.TempDir(), logName)
	s, err := openLogStore(path, true, newUnderway(), func(error) {})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	l := &raft.Log{Index: 1, Term: 1, Data: []byte("Dentist")}
	bad := *l
	bad.Extensions = logSum(l)
	bad.Data = []byte("dentist")
	if err := errors.Join(s.BoltStore.StoreLog(&bad), s.StoreLog(&raft.Log{Index: 2, Term: 1, Data: []byte("Dentist")})); err != nil {
		t.Fatal(err)
	}
	var got raft.Log
	if err := s.GetLog(1, &got); !errors.Is(err, fsm.ErrDamaged) {
		t.Errorf("a damaged entry was read with %v", err)
	}
	if err := s.GetLog(2, &got); err != nil || string(got.Data) != "Dentist" || got.Extensions != nil {
		t.Errorf("read %+v, %v", got, err)
	}
}
