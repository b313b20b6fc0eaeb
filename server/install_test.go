package server

import (
	"bytes"
	"context"
	"io"
	"net"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"

	"todod/fsm"
)

// cutOffLeader makes a group of three whose first leader, n1, died after it had gone on by itself for long: its log says other
// things than the group's from the same index on, and is longer than where the others' log begins.
func cutOffLeader(t *testing.T) (s *sim, old string) {
	s = newSim(t)
	return s, s.cutOffLeader()
}

func (s *sim) cutOffLeader() (old string) {
	t := s.t
	t.Helper()
	s.group(3)
	s.settle()
	old = s.named("leader")
	term := s.node(old).engine().raft.CurrentTerm()
	s.crash(old)
	logs := openTestLog(t, filepath.Join(s.data(old), old, logName))
	last, err := logs.LastIndex()
	if err != nil {
		t.Fatal(err)
	}
	for i := range uint64(2 * trailingLogs) { // as it would have appended them
		l := &raft.Log{Index: last + 1 + i, Term: term, Data: fsm.EncodeEnvelope(fsm.Stamp{Term: term}, nil)}
		if err := logs.StoreLog(l); err != nil {
			t.Fatal(err)
		}
	}
	if err := logs.Close(); err != nil {
		t.Fatal(err)
	}
	at := s.named("leader")
	for range trailingLogs + 300 {
		if _, err := s.add(at, "bob", WriteOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.node(at).engine().raft.Snapshot().Error(); err != nil {
		t.Fatal(err)
	}
	if first, _ := s.node(at).engine().logs.FirstIndex(); first <= last {
		t.Fatalf("the log begins at %d, the old leader's was left at %d", first, last)
	}
	return old
}

func (s *sim) told(typ, about string) (n int) {
	for _, id := range s.running() {
		got, _ := s.node(id).events.since(0)
		for _, ev := range got {
			if ev.Type == typ && ev.Node == about {
				n++
			}
		}
	}
	return n
}

// A replica that goes to a node whose log had gone on without the group is installed once.
func TestReplicaOverADivergentLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, old := cutOffLeader(t)
		n, err := s.start(old, nil)
		if err != nil {
			t.Fatal(err)
		}
		e := n.engine()
		s.await("another engine", func() bool { return n.engine() != nil && n.engine() != e })
		s.check()
		for range 50 {
			if _, err := s.add(old, "bob", WriteOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(10 * time.Second)
		s.check()
		if count := s.leader().engine().sendings.count(old); count < 1 || count > 2 {
			t.Errorf("the replica was sent %d times", count)
		}
		if s.told(SnapshotLoop, old) > 0 {
			t.Error("that is no loop")
		}
		s.crash(old) // and its files are sound
		if _, err := s.start(old, nil); err != nil {
			t.Fatal(err)
		}
		s.check()
	})
}

// A Raft that begins anew may be the one that the group cannot commit without. The writes under way at its node wait for that
// commit, so it must not wait for them.
func TestRenewedWhileWritesWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, old := cutOffLeader(t)
		for _, id := range s.followers() {
			s.crash(id)
		}
		began := time.Now()
		n, err := s.start(old, nil)
		if err != nil {
			t.Fatal(err)
		}
		e := n.engine()
		var writers sync.WaitGroup
		for range 3 {
			writers.Go(func() {
				for n.engine() == e {
					if _, err := s.add(old, "bob", WriteOptions{}); err != nil {
						wait(n.ctx, 10*time.Millisecond)
					}
				}
			})
		}
		s.await("another engine", func() bool { return n.engine() != nil && n.engine() != e })
		s.await("a write", func() bool {
			_, err := s.add(old, "bob", WriteOptions{})
			return err == nil
		})
		if took := time.Since(began); took > 3*time.Second {
			t.Errorf("a majority took %s to acknowledge a write", took)
		}
		writers.Wait()
		s.check()
	})
}

// What cannot be sent is no loop: the node is down, and was all the time.
func TestReplicaThatCannotBeSentIsNoLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, down := cutOffLeader(t)
		e := s.leader().engine()
		time.Sleep(time.Minute) // Raft tries again and again
		if count := e.sendings.count(down); count != 0 || s.told(SnapshotLoop, down) != 0 {
			t.Errorf("%d replicas count as sent", count)
		}
		if _, err := s.start(down, nil); err != nil {
			t.Fatal(err)
		}
		s.check()
	})
}

// Without the cure it is the loop that Raft has: the third time in five minutes is told, once in that time.
func TestSnapshotLoopIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, old := cutOffLeader(t)
		if _, err := s.start(old, func(c *Config) { c.keepStuck = true }); err != nil {
			t.Fatal(err)
		}
		e := s.leader().engine()
		s.await("the loop to be told", func() bool { return s.told(SnapshotLoop, old) > 0 })
		s.await("the loop to go on", func() bool { return e.sendings.count(old) > loopCount+1 })
		if n := e.sendings.loops(); n != 1 {
			t.Errorf("%d loops", n)
		}
		if told := s.told(SnapshotLoop, old); told != 1 {
			t.Errorf("told %d times within %s", told, loopWithin)
		}
		s.crash(old) // a restart is a cure
		if _, err := s.start(old, nil); err != nil {
			t.Fatal(err)
		}
		s.check()
		time.Sleep(loopWithin + time.Second)
		if n := e.sendings.loops(); n != 0 {
			t.Errorf("%d loops after %s of quiet", n, loopWithin)
		}
	})
}

// A loop that goes on is slowed down: from the third replica on a pause follows each, and none before. It holds up nobody but that
// node: not those who write, nor a leader that ends.
func TestSnapshotLoopIsSlowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, old := newSim(t), ""
		var pieces atomic.Int32
		s.set = func(c *Config) {
			dial := c.Dial
			c.Dial = func(ctx context.Context, addr string) (net.Conn, error) {
				conn, err := dial(ctx, addr)
				return &halting{conn, func() {
					if pieces.Add(1) == 30 { // a loop without a pause takes no time, and would have no end here
						s.isolate(old)
					}
				}}, err
			}
		}
		old = s.cutOffLeader()
		if _, err := s.start(old, func(c *Config) { c.keepStuck = true }); err != nil {
			t.Fatal(err)
		}
		n := s.leader()
		sendings := &n.engine().sendings
		s.await("the loop", func() bool {
			began := time.Now()
			if _, err := s.add(n.id, "bob", WriteOptions{}); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(began); took >= loopPause {
				t.Errorf("a write waited for %v", took)
			}
			return sendings.count(old) > 2*loopCount
		})
		sendings.mu.Lock()
		sent := slices.Clone(sendings.sent[old])
		sendings.mu.Unlock()
		for i, at := range sent[1:] {
			if gap := at.Sub(sent[i]); (gap >= loopPause) != (i+1 >= loopCount) {
				t.Errorf("replica %d came %v after the one before", i+2, gap)
			}
		}
		began := time.Now() // in the middle of a pause
		s.mu.Lock()
		delete(s.live, n.id)
		s.mu.Unlock()
		if err := n.Close(); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took >= loopPause {
			t.Errorf("it took %v to end", took)
		}
	})
}

func (s *sendings) count(to string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.recent(to))
}

// sentReplica is a replica as a leader sends it.
type sentReplica struct {
	req  raft.InstallSnapshotRequest
	data []byte
}

func (s *sim) replica(t *testing.T) sentReplica {
	t.Helper()
	e := s.leader().engine()
	if err := e.replica.Flush(); err != nil {
		t.Fatal(err)
	}
	meta, rc, err := e.replica.Snapshots().Open("replica")
	if err != nil {
		t.Fatal(err)
	}
	defer rc.Close()
	data, err := io.ReadAll(rc)
	if err != nil {
		t.Fatal(err)
	}
	return sentReplica{data: data, req: raft.InstallSnapshotRequest{
		RPCHeader:       raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax, ID: []byte(e.node.id), Addr: []byte(e.node.advertise)},
		SnapshotVersion: meta.Version, Term: e.raft.CurrentTerm(), LastLogIndex: meta.Index, LastLogTerm: meta.Term, Size: meta.Size,
		Configuration: raft.EncodeConfiguration(meta.Configuration), ConfigurationIndex: meta.ConfigurationIndex}}
}

func (r *sentReplica) to(n *Node) (success bool) {
	answer := make(chan raft.RPCResponse, 1)
	n.engine().install(raft.RPC{Command: &r.req, Reader: bytes.NewReader(r.data), RespChan: answer}, &r.req)
	got := <-answer
	resp, ok := got.Response.(*raft.InstallSnapshotResponse)
	return ok && resp.Success && got.Error == nil
}

// A replica that arrives late takes nothing away that was applied since.
func TestLateReplica(t *testing.T) {
	inBubble(t, 3, func(t *testing.T, s *sim) {
		add := func(n int) {
			t.Helper()
			for range n {
				if _, err := s.add(s.named("leader"), "bob", WriteOptions{}); err != nil {
					t.Fatal(err)
				}
			}
			s.settle()
		}
		add(50)
		r := s.replica(t)
		add(50)
		n := s.node(s.followers()[0])
		before := n.engine().replica.Hash()
		if !r.to(n) {
			t.Error("a replica whose end the log still holds was refused: the leader could not go on")
		}
		if after := n.engine().replica.Hash(); after != before {
			t.Errorf("it was at %+v and is at %+v", before, after)
		}
		add(trailingLogs + 50)
		if err := n.engine().raft.Snapshot().Error(); err != nil {
			t.Fatal(err)
		}
		before = n.engine().replica.Hash()
		if r.to(n) {
			t.Error("a replica from before the log began was taken")
		}
		if after := n.engine().replica.Hash(); after != before {
			t.Errorf("it was at %+v and is at %+v", before, after)
		}
		s.check()
	})
}

// halfReplica has the next replica that a leader sends stop in the middle, as where a machine loses its power: it returns the
// leader, cut off from all others, and the follower that waits for the rest of it.
func halfReplica(t *testing.T, s *sim) (leader, behind string) {
	t.Helper()
	var armed atomic.Bool
	cut := make(chan struct{})
	s.set = func(c *Config) {
		dial := c.Dial
		c.Dial = func(ctx context.Context, addr string) (net.Conn, error) {
			conn, err := dial(ctx, addr)
			return &halting{conn, func() {
				if armed.Swap(false) {
					s.isolate(leader)
					close(cut)
				}
			}}, err
		}
	}
	s.group(3)
	leader = s.named("leader")
	behind = s.followers()[0]
	s.crash(behind)
	for range trailingLogs + 300 {
		if _, err := s.add(leader, "bob", WriteOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	s.settle()
	if err := s.node(leader).engine().raft.Snapshot().Error(); err != nil {
		t.Fatal(err)
	}
	armed.Store(true)
	if _, err := s.start(behind, nil); err != nil {
		t.Fatal(err)
	}
	<-cut
	return leader, behind
}

// halting tells when a large piece is about to go out: of a replica, since the log's entries are small here.
type halting struct {
	net.Conn
	large func()
}

func (h *halting) Write(b []byte) (int, error) {
	if len(b) > 64<<10 {
		h.large()
	}
	return h.Conn.Write(b)
}

// A leader that vanishes while it sends a replica takes nobody along: who waits for the rest of it gives it up, and votes.
func TestLeaderVanishesAsItSendsAReplica(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t)
		leader, behind := halfReplica(t, s)
		began := time.Now()
		s.await("another leader", func() bool { l := s.leader(); return l != nil && l.id != leader })
		if took := time.Since(began); took > replicaSilence+3*time.Second {
			t.Errorf("another leads after %s", took)
		}
		s.net.heal()
		s.check()
		if s.node(behind).Ready() != nil {
			t.Error(behind, s.node(behind).Ready())
		}
	})
}

// A node that is told to end does not wait for the rest of a replica.
func TestStopInTheMiddleOfAReplica(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t)
		_, behind := halfReplica(t, s)
		began := time.Now()
		n := s.node(behind)
		s.mu.Lock()
		delete(s.live, behind)
		s.mu.Unlock()
		if err := n.Close(); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took > time.Second {
			t.Errorf("it took %s to end", took)
		}
		s.net.heal()
		if _, err := s.start(behind, nil); err != nil {
			t.Fatal(err)
		}
		s.check()
	})
}
