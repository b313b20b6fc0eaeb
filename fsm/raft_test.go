package fsm

import (
	"context"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

// member is a replica under the real Raft, with its log in memory, which a restart keeps.
type member struct {
	*node
	id    raft.ServerID
	store *raft.InmemStore
	trans *raft.InmemTransport
	raft  *raft.Raft
}

func newMember(t *testing.T, id string) *member {
	_, trans := raft.NewInmemTransport(raft.ServerAddress(id))
	m := &member{node: newNode(t), id: raft.ServerID(id), store: raft.NewInmemStore(), trans: trans}
	t.Cleanup(func() { m.stop(t) })
	return m
}

func (m *member) start(t *testing.T) {
	t.Helper()
	cfg := raft.DefaultConfig()
	cfg.LocalID, cfg.LogOutput = m.id, io.Discard
	cfg.HeartbeatTimeout, cfg.ElectionTimeout, cfg.LeaderLeaseTimeout = 100*time.Millisecond, 100*time.Millisecond, 100*time.Millisecond
	cfg.CommitTimeout, cfg.TrailingLogs, cfg.SnapshotThreshold = 5*time.Millisecond, 4, 1<<40
	cfg.NoSnapshotRestoreOnStart = true
	r, err := raft.NewRaft(cfg, m.r, m.store, m.store, m.r.Snapshots(), m.trans)
	if err != nil {
		t.Fatal(err)
	}
	m.raft = r
}

func (m *member) stop(t *testing.T) {
	if m.raft != nil {
		if err := m.raft.Shutdown().Error(); err != nil {
			t.Error(err)
		}
		m.raft = nil
	}
}

func (m *member) propose(t *testing.T, c *Command) Result {
	t.Helper()
	f := m.raft.Apply(EncodeEnvelope(Stamp{Time: testTime}, []*Command{c}), 5*time.Second)
	if err := f.Error(); err != nil {
		t.Fatal(err)
	}
	return f.Response().([]Result)[0]
}

func (m *member) lead(t *testing.T) {
	t.Helper()
	for {
		select {
		case leads := <-m.raft.LeaderCh():
			if leads {
				return
			}
		case <-time.After(10 * time.Second):
			t.Fatal("no leader")
		}
	}
}

func wait(t *testing.T, f raft.Future) {
	t.Helper()
	if err := f.Error(); err != nil {
		t.Fatal(err)
	}
}

// A node that is far behind gets the replica of the leader; then it goes on with the log. Barriers
// stand at the end of each snapshot, and the log is cut as far as it may be.
func TestCatchUpUnderRaft(t *testing.T) {
	one, two := newMember(t, "one"), newMember(t, "two")
	one.trans.Connect(two.trans.LocalAddr(), two.trans)
	two.trans.Connect(one.trans.LocalAddr(), one.trans)
	one.start(t)
	wait(t, one.raft.BootstrapCluster(raft.Configuration{Servers: []raft.Server{{ID: "one", Address: one.trans.LocalAddr()}}}))
	one.lead(t)
	for i := range 30 {
		one.propose(t, addCommand("bob", fmt.Sprint(i)))
		if i%10 == 9 {
			wait(t, one.raft.Barrier(5*time.Second))
			snapshot := one.raft.Snapshot()
			wait(t, snapshot)
			if meta, rc, err := snapshot.Open(); err != nil || meta.Size == 0 {
				t.Fatalf("the snapshot is %+v, %v", meta, err)
			} else {
				rc.Close()
			}
		}
	}
	if first, _ := one.store.FirstIndex(); first < 20 {
		t.Fatalf("the log begins at %d: it was not cut", first)
	}
	two.start(t)
	wait(t, one.raft.AddVoter("two", two.trans.LocalAddr(), 0, 5*time.Second))
	last := one.propose(t, addCommand("bob", "last"))
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := two.r.WaitRev(ctx, last.Rev); err != nil {
		t.Fatal(err)
	}
	if v := two.raft.GetConfiguration().Configuration().Servers; len(v) != 2 {
		t.Errorf("the configuration that came with it is %v", v)
	}
	sameState(t, one.node, two.node)
	two.sound()

	for round := range 3 { // restarts lose nothing, flushed or not
		two.stop(t)
		two.r.Abandon()
		two.open()
		two.start(t)
		last := one.propose(t, addCommand("bob", fmt.Sprint("round ", round)))
		if err := two.r.WaitRev(ctx, last.Rev); err != nil {
			t.Fatal(err)
		}
		sameState(t, one.node, two.node)
	}
	v := two.view()
	defer v.Close()
	if list, _ := v.List("bob"); list.Entries != 34 || list.Open != 34 {
		t.Errorf("bob is %+v", list)
	}
}
