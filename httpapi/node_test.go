package httpapi

import (
	"bytes"
	"context"
	"io"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"todod/fsm"
	"todod/fsm/todo"
	"todod/fsm/todo/propose"
	"todod/server"
)

// testNode is a Node over a real replica that applies what is written at once, without a
// group: so its answers about lists are those of a real node. About the group it says what
// the test sets.
type testNode struct {
	replica *fsm.Replica
	writes  atomic.Int64 // commands that got as far as being applied

	mu    sync.Mutex
	index uint64
	now   int64 // leader time, Unix ms: a ms for each write

	group
	events chan struct{} // closed and replaced when an event is added
	log    []server.Event
}

// group is what a test sets.
type group struct {
	writeErr, readErr, groupErr, readyErr error
	panics                                any         // a write and a read panic with it
	late                                  bool        // writeErr comes after the write was applied: its answer is lost
	before                                func()      // is called before the next write
	failAfter                             int         // writes end with no leader after so many, if it is not 0
	answers                               *fsm.Result // instead of what a write came to
	level                                 server.Level
	contact                               time.Duration
	cluster                               server.Cluster
	registry                              server.Registry
	alive                                 *bool
	backup                                io.ReadCloser // instead of the replica's
	asked                                 []any         // what was asked of the group
	left                                  time.Duration // of the deadline of the last write or read
}

const testEpoch = 7

func newTestNode(t testing.TB) *testNode {
	t.Helper()
	n := &testNode{now: 1_545_217_200_000, events: make(chan struct{})}
	n.cluster.State = server.StateMember
	r, err := fsm.Open(fsm.Config{Dir: t.TempDir(), NoSync: true, Fatal: func(err error) { t.Errorf("fatal: %v", err) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Errorf("close the replica: %v", err)
		}
	})
	n.replica = r
	n.apply(&fsm.Command{Type: fsm.TypeTerm, Version: 1, Payload: fsm.Term{Node: "n1", Epoch: testEpoch}.Encode()},
		&fsm.Command{Type: fsm.TypeVersion, Version: 1, Payload: fsm.Version{Group: fsm.Reads}.Encode()})
	return n
}

func (n *testNode) set(f func(g *group)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	f(&n.group)
}

func (n *testNode) look() group {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.group
}

// apply applies a log entry, and returns what its first command came to.
func (n *testNode) apply(cmds ...*fsm.Command) fsm.Result {
	n.index++
	n.now++
	data := fsm.EncodeEnvelope(fsm.Stamp{Time: n.now}, cmds)
	out := n.replica.Apply(&raft.Log{Index: n.index, Term: 1, Type: raft.LogCommand, Data: data})
	return out.([]fsm.Result)[0]
}

func (n *testNode) Write(ctx context.Context, cmd todo.Command, opt server.WriteOptions) (fsm.Result, error) {
	if err := propose.Check(&cmd); err != nil {
		return fsm.Result{}, err
	}
	if f := n.look().before; f != nil {
		n.set(func(g *group) { g.before = nil })
		f()
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.left = remaining(ctx)
	if n.panics != nil {
		panic(n.panics)
	}
	if n.writeErr != nil && !n.late {
		return fsm.Result{}, n.writeErr
	}
	if n.answers != nil && n.answers.Code != todo.OK {
		return *n.answers, nil
	}
	if n.failAfter != 0 && int(n.writes.Load()) >= n.failAfter {
		return fsm.Result{}, &server.Error{Kind: server.KindNoLeader, Detail: "there is no leader"}
	}
	n.writes.Add(1)
	c := fsm.TodoCommand(&cmd)
	c.Key, c.Principal = opt.Key, opt.Principal
	res := n.apply(&c)
	if n.answers != nil {
		return *n.answers, nil
	}
	return res, n.writeErr
}

func remaining(ctx context.Context) time.Duration {
	if end, ok := ctx.Deadline(); ok {
		return time.Until(end)
	}
	return 0
}

func (n *testNode) Read(ctx context.Context, opt server.ReadOptions) (*server.Reading, error) {
	g := n.look()
	if g.panics != nil {
		panic(g.panics)
	}
	if g.readErr != nil {
		return nil, g.readErr
	}
	if opt.MinRev > 0 && n.replica.WaitRev(ctx, opt.MinRev) != nil {
		return nil, &server.Error{Kind: server.KindBehind, Leader: "n1", Detail: "this node is behind: try again or at another"}
	}
	v, err := n.replica.View()
	if err != nil {
		return nil, err
	}
	r := &server.Reading{View: v, Level: opt.Level, LastContact: g.contact}
	if g.level != "" {
		r.Level = g.level
	} else if opt.Level == server.Auto {
		r.Level = server.Linearizable
	}
	return r, nil
}

func (n *testNode) Window(ctx context.Context, from fsm.Window) (fsm.Window, error) {
	for {
		w, next := n.replica.Window()
		if w != from {
			return w, nil
		}
		select {
		case <-next:
		case <-ctx.Done():
			return w, ctx.Err()
		}
	}
}

func (n *testNode) Changes(list string, since uint64, limit, size int) (changes []fsm.Change, upto uint64, w fsm.Window, err error) {
	v, err := n.replica.View()
	if err != nil {
		return nil, since, w, err
	}
	defer v.Close()
	changes, upto, _ = v.Changes(list, since, limit, size)
	return changes, upto, v.Window(), nil
}

func (n *testNode) Backup(_ context.Context, opt server.ReadOptions) (*server.Backup, error) {
	if g := n.look(); g.readErr != nil {
		return nil, g.readErr
	} else if g.backup != nil {
		return &server.Backup{BackupInfo: fsm.BackupInfo{Size: 1 << 40}, ReadCloser: g.backup}, nil
	}
	var b bytes.Buffer
	about, err := n.replica.Backup(&b, fsm.BackupInfo{Group: "group-1", Node: "n1"})
	return &server.Backup{BackupInfo: about, Level: opt.Level, ReadCloser: io.NopCloser(&b)}, err
}

func (n *testNode) Restore(_ context.Context, from io.Reader, opt server.RestoreOptions) (server.Restored, error) {
	about, err := n.replica.Stage(from, true)
	if err != nil {
		return server.Restored{}, &server.Error{Kind: server.KindInvalid, Detail: err.Error()}
	}
	if err := n.ask(opt); err != nil {
		return server.Restored{}, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	res := n.apply(&fsm.Command{Type: fsm.TypeRestore, Version: 1, Payload: fsm.Restore{Hash: about.Hash, Size: about.Size, Epoch: testEpoch + 1}.Encode()})
	return server.Restored{Backup: about, Epoch: res.Epoch, Rev: res.Rev}, nil
}

func (n *testNode) Cluster() server.Cluster { return n.look().cluster }

func (n *testNode) ask(what any) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.asked = append(n.asked, what)
	return n.groupErr
}

func (n *testNode) AddMember(_ context.Context, req server.JoinRequest) (string, error) {
	return "group-1", n.ask(req)
}
func (n *testNode) RemoveMember(_ context.Context, id string) error { return n.ask("remove " + id) }
func (n *testNode) SetSettings(_ context.Context, s fsm.Settings) error {
	if err := s.Check(); err != nil {
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.groupErr == nil {
		n.apply(&fsm.Command{Type: fsm.TypeSettings, Version: 1, Payload: s.Encode()})
	}
	return n.groupErr
}
func (n *testNode) Transfer(_ context.Context, to string) error    { return n.ask("transfer " + to) }
func (n *testNode) JoinGroup(_ context.Context, addr string) error { return n.ask("join " + addr) }

func (n *testNode) Registry(context.Context) (server.Registry, error) {
	return n.look().registry, n.ask("registry")
}

func (n *testNode) Where(list string) (string, *bool) { return "n1", n.look().alive }

func (n *testNode) Ready() error {
	if err := n.look().readyErr; err != nil {
		return err
	}
	return nil
}

func (n *testNode) Hash() fsm.Hash { return n.replica.Hash() }

func (n *testNode) happen(kind, node string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.log = append(n.log, server.Event{Seq: uint64(len(n.log) + 1), Type: kind, Node: node, Term: 2, Time: time.UnixMilli(n.now)})
	close(n.events)
	n.events = make(chan struct{})
}

func (n *testNode) LastEvent() uint64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	return uint64(len(n.log))
}

func (n *testNode) Events(ctx context.Context, since uint64) ([]server.Event, error) {
	for {
		n.mu.Lock()
		log, next := n.log, n.events
		n.mu.Unlock()
		if uint64(len(log)) > since {
			return log[since:], nil
		}
		select {
		case <-next:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// slowNode takes its time over a write, and gives up when the caller is gone.
type slowNode struct {
	*testNode
	hold time.Duration
}

func (n *slowNode) Write(ctx context.Context, cmd todo.Command, opt server.WriteOptions) (fsm.Result, error) {
	select {
	case <-time.After(n.hold):
		return n.testNode.Write(ctx, cmd, opt)
	case <-ctx.Done():
		return fsm.Result{}, ctx.Err()
	}
}
