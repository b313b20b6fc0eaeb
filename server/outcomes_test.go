package server

import (
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"todod/fsm"
	"todod/server/peer"
)

// answers is what is known of every failure of this package: where the source makes one, and which were
// driven by a test that looked at the store.
type answers struct {
	*sim
	made map[string]string // kind and outcome -> a sentence of it
	seen map[string]bool
}

// collect finds all calls of failure in the package.
func (a *answers) collect() {
	paths, err := filepath.Glob("*.go")
	if err != nil {
		a.t.Fatal(err)
	}
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			a.t.Fatal(err)
		}
		ast.Inspect(file, a.note)
	}
	if len(a.made) < 15 {
		a.t.Fatalf("only %d kinds of failure found in the source", len(a.made))
	}
}

// note notes a call of failure.
func (a *answers) note(n ast.Node) bool {
	call, ok := n.(*ast.CallExpr)
	if !ok || len(call.Args) < 3 {
		return true
	}
	fun, ok := call.Fun.(*ast.Ident)
	kind, ok1 := call.Args[0].(*ast.Ident)
	outcome, ok2 := call.Args[1].(*ast.Ident)
	text, ok3 := call.Args[2].(*ast.BasicLit)
	if ok && ok1 && ok2 && ok3 && fun.Name == "failure" {
		a.made[kind.Name+" "+outcome.Name] = text.Value
	}
	return true
}

var kindNames = map[Kind]string{KindNoLeader: "KindNoLeader", KindOverloaded: "KindOverloaded", KindMailboxFull: "KindMailboxFull",
	KindBehind: "KindBehind", KindTimeout: "KindTimeout", KindClock: "KindClock", KindConflict: "KindConflict", KindNotFound: "KindNotFound",
	KindJoining: "KindJoining", KindStorage: "KindStorage", KindShutdown: "KindShutdown", KindInvalid: "KindInvalid", KindInternal: "KindInternal",
	KindStalled: "KindStalled", KindVersion: "KindVersion"}

var outcomeNames = map[Outcome]string{NotApplied: "NotApplied", Applied: "Applied", UnknownOutcome: "UnknownOutcome"}

// is expects a failure that says something, and notes it as seen.
func (a *answers) is(err error, kind Kind, outcome Outcome, says string) {
	a.t.Helper()
	var e *Error
	if !errors.As(err, &e) {
		a.t.Errorf("%q: got %v", says, err)
		return
	}
	if e.Kind != kind || e.Outcome != outcome || !strings.Contains(e.Detail, says) {
		a.t.Errorf("got %s, %s: %q, want %s, %s: %q", kindNames[e.Kind], e.Outcome, e.Detail, kindNames[kind], outcome, says)
	}
	a.seen[kindNames[kind]+" "+outcomeNames[outcome]] = true
}

// write adds an entry at a node and expects a failure. sim.check holds the outcome against the stores of all.
func (a *answers) write(id string, kind Kind, outcome Outcome, says string) {
	a.t.Helper()
	_, err := a.add(id, "bob", WriteOptions{})
	a.is(err, kind, outcome, says)
}

// within does something with a field of a node, which a lock guards, set to what leads to a failure.
func within[T any](mu sync.Locker, field *T, to T, do func()) {
	swap := func(to T) (was T) {
		mu.Lock()
		defer mu.Unlock()
		was, *field = *field, to
		return was
	}
	was := swap(to)
	do()
	swap(was)
}

// Every kind of failure that this package makes, with every outcome that it gives, is driven here, and what
// it says of a write is held against what the nodes have stored in the end. A new one without a
// case fails.
func TestOutcomesAreTrue(t *testing.T) {
	a := &answers{made: map[string]string{}, seen: map[string]bool{}}
	inBubble(t, 3, func(t *testing.T, s *sim) {
		a.sim = s
		a.collect()
		a.mustAdd("n1", 3)
		for _, id := range s.ids {
			a.mustAdd(id, 3) // each has a session
		}
		a.atTheLeader()
		a.atAFollower()
		a.onTheWay()
		a.ofTheGroup()
		a.withoutAMajority()
		a.settle()
	})
	for pair, text := range a.made {
		if !a.seen[pair] {
			t.Errorf("no case for %s, as in %s", pair, text)
		}
	}
}

func (a *answers) atTheLeader() {
	leader := a.leader()
	id, e, term := leader.id, leader.engine(), leader.engine().term.Load()
	leader.gate.shut(context.Background())
	a.write(id, KindJoining, NotApplied, "is joining a group")
	leader.gate.open()
	well := e.storage.health.Load()
	e.storage.health.Store(&health{State: DiskStalled})
	a.write(id, KindStalled, NotApplied, "does not answer")
	e.storage.health.Store(well)
	e.storage.full.Store(true)
	a.write(id, KindStorage, NotApplied, "the disks are full")
	e.storage.full.Store(false)
	within(&term.proposer.mu, &term.proposer.bytes, maxWaitingBytes, func() { a.write(id, KindOverloaded, NotApplied, "too much to do") })
	within(&term.registry.mu, &term.registry.most, 0, func() {
		busy := func(more int) {
			term.registry.mu.Lock()
			defer term.registry.mu.Unlock()
			for _, p := range term.registry.procs {
				p.waiting += more
			}
		}
		busy(1)
		_, err := a.add(id, "another", WriteOptions{})
		a.is(err, KindOverloaded, NotApplied, "too many lists are busy")
		busy(-1)
	})
	term.registry.mu.Lock()
	bob := term.registry.procs["bob"]
	term.registry.mu.Unlock()
	within(&term.registry.mu, &bob.mailbox, make([]*pending, maxMailbox), func() {
		a.write(id, KindMailboxFull, NotApplied, "too many commands waiting")
	})
	within(&term.registry.mu, &term.registry.hand, func(*pending) { panic("a test says so") }, func() {
		a.write(id, KindInternal, NotApplied, "could not be handled")
	})
	a.is(e.readable(&fsm.Command{Type: 99, Version: 1}), KindVersion, NotApplied, "on every node of the group first")
	good := e.monitor.clock.Load()
	for _, c := range []struct {
		clock clock
		says  string
	}{
		{clock{known: true, wall: good.wall.Add(-time.Hour), at: good.at}, "was set"},
		{clock{wall: good.wall, at: good.at}, "has not compared its clock"},
		{clock{known: true, offset: time.Hour, wall: good.wall, at: good.at}, "off the other nodes"},
	} {
		e.monitor.clock.Store(&c.clock)
		a.is(e.clockError(), KindClock, NotApplied, c.says)
	}
	e.monitor.clock.Store(good)

	late := make(chan error, 1)
	cmd := addCommand("bob", "late")
	term.proposer.submit(&pending{cmd: fsmCommand(&cmd), expires: time.Now().Add(-time.Second), done: func(_ fsm.Result, err error) { late <- err }})
	a.is(<-late, KindTimeout, NotApplied, "the deadline passed")
	closed := newProposer(e.raft, term.number, e.stamp, leader.metrics)
	closed.close()
	closed.submit(&pending{done: func(_ fsm.Result, err error) { late <- err }})
	a.is(<-late, KindNoLeader, NotApplied, "leads no longer")
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := term.propose(gone, fsm.TypeSweep, fsm.Sweep{}.Encode())
	a.is(err, KindTimeout, UnknownOutcome, "not finished in time")
}

func (a *answers) atAFollower() {
	id := a.followers()[0]
	e := a.node(id).engine()
	within(&e.forwarder.mu, &e.forwarder.bytes, maxWaitingBytes, func() { a.write(id, KindOverloaded, NotApplied, "too many writes waiting") })
	for range maxForwards { // nothing is sent
		e.forwarder.slots <- struct{}{}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	_, err := a.node(id).Write(ctx, addCommand("bob", "not begun"), WriteOptions{})
	a.is(err, KindTimeout, NotApplied, "could not be begun in time")
	for range maxForwards {
		<-e.forwarder.slots
	}
	a.mustAdd(id, 1) // takes along what its caller gave up: nothing

	to, _ := e.leader()
	other := leadership{id: a.followers()[1], addr: a.followers()[1] + ":70"}
	a.is(e.ask(context.Background(), other, callAdmin, admin{Transfer: new(string)}, nil), KindNoLeader, NotApplied, "does not lead")
	a.is(e.ask(context.Background(), to, 99, nil, nil), KindNoLeader, UnknownOutcome, "is stopping")
	a.is(e.ask(context.Background(), to, callTerm, nil, nil), KindInternal, UnknownOutcome, "could not be read")
	a.is(e.ask(context.Background(), leadership{id: "n8", addr: "n8:70"}, callAdmin, nil, nil), KindNoLeader, NotApplied, "cannot be reached")
	a.is(a.leader().engine().answer(callAdmin, []byte("{")).Failure, KindInvalid, NotApplied, "malformed")

	// A number that the group has closed: whether its first copy was applied is not known here.
	e.numbers.mu.Lock()
	e.numbers.next = 1
	e.numbers.mu.Unlock()
	a.write(id, KindTimeout, UnknownOutcome, "session was closed")
	a.restart(id) // its numbers begin anew
}

func (a *answers) restart(id string) {
	a.t.Helper()
	a.crash(id)
	if _, err := a.start(id, nil); err != nil {
		a.t.Fatal(err)
	}
	a.await(id+" is ready", func() bool { return a.node(id).Ready() == nil })
}

// onTheWay is what may come of a command that was proposed or sent.
func (a *answers) onTheWay() {
	a.is(proposalError(raft.ErrNotLeader), KindNoLeader, NotApplied, "leads no longer")
	a.is(proposalError(raft.ErrEnqueueTimeout), KindOverloaded, NotApplied, "too much to do")
	for _, err := range []error{raft.ErrLeadershipLost, raft.ErrRaftShutdown, raft.ErrAbortedByRestore, errors.New("another")} {
		a.is(proposalError(err), KindTimeout, UnknownOutcome, "the leader was lost")
	}
	a.is(callError(&peer.Refused{Detail: "why"}), KindNoLeader, NotApplied, "refused this node: why")
	a.is(callError(fmt.Errorf("call: %w", peer.ErrBroken)), KindTimeout, UnknownOutcome, "broke")
	a.is(callError(context.DeadlineExceeded), KindTimeout, UnknownOutcome, "broke")
	_, err := decodeAnswers([]byte{9}, 1)
	a.is(err, KindTimeout, UnknownOutcome, "could not be read")
	once := write{sent: true}
	a.is(once.known(failure(KindOverloaded, NotApplied, "the second try")), KindTimeout, UnknownOutcome, "before the outcome was known")
	a.is(begun(failure(KindConflict, NotApplied, "the second try")), KindConflict, UnknownOutcome, "the second try")
	for err, outcome := range map[error]Outcome{raft.ErrNotLeader: UnknownOutcome, raft.ErrLeadershipLost: UnknownOutcome} {
		a.is(configError(err), KindNoLeader, outcome, "during the change")
	}
	a.is(configError(raft.ErrEnqueueTimeout), KindTimeout, NotApplied, "under way")
	a.is(configError(errors.New("another")), KindTimeout, UnknownOutcome, "could not be changed")
}

// ofTheGroup is what changes of the group may come to; TestAddMemberRefusals has the refusals of joins.
func (a *answers) ofTheGroup() {
	ctx := context.Background()
	leader := a.leader()
	term := leader.engine().term.Load()
	a.is(leader.RemoveMember(ctx, "n8"), KindNotFound, NotApplied, "no node n8")
	a.is(leader.Transfer(ctx, "n8"), KindNotFound, NotApplied, "no voter n8")
	a.is(term.change(ctx, admin{}), KindInvalid, NotApplied, "does not know")
	short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	term.changing <- struct{}{}
	a.is(term.change(short, admin{Remove: "n8"}), KindTimeout, NotApplied, "under way")
	<-term.changing
	a.is(leader.JoinGroup(ctx, "n2:80"), KindConflict, NotApplied, "in a group of 3 nodes")
	_, err := leader.Read(ctx, ReadOptions{Level: Stale, MinRev: 1 << 40})
	a.is(err, KindBehind, NotApplied, "has applied rev")

	// A node that was recorded as removed gets no session: the write is refused, and the group goes on.
	out := a.followers()[0]
	m, _, err := term.member(out)
	if err != nil {
		a.t.Fatal(err)
	}
	term.changing <- struct{}{}
	m.Status = fsm.Removed
	if err := term.record(ctx, m); err != nil {
		a.t.Fatal(err)
	}
	a.write(out, KindShutdown, NotApplied, "was removed from its group")
	<-term.changing
	a.await("it ends", func() bool { return a.node(out).Err() != nil })
	a.crash(out)
	if _, err := a.start("n9", func(c *Config) { c.Join = []string{leader.id + ":80"} }); err != nil {
		a.t.Fatal(err)
	}
	a.write("n9", KindJoining, NotApplied, "belongs to no group yet")
	a.await("three voters", func() bool { return len(voters(a.leader().engine().configuration())) == 3 })
	n8, err := a.start("n8", nil) // a group of one
	if err != nil {
		a.t.Fatal(err)
	}
	a.await("its group of one", func() bool { return n8.engine().term.Load() != nil })
	a.is(n8.JoinGroup(ctx, "n7:80"), KindNoLeader, NotApplied, "no node answers")
	short, cancel = context.WithTimeout(ctx, time.Second)
	defer cancel()
	for _, id := range a.running() { // nobody there can take it in
		if id != "n8" {
			a.isolate(id)
		}
	}
	a.is(n8.JoinGroup(short, leader.id+":80"), KindTimeout, UnknownOutcome, "goes on asking")
	a.crash("n8")
	n7, err := a.start("n7", nil) // it stops while it asks
	if err != nil {
		a.t.Fatal(err)
	}
	a.await("its group of one", func() bool { return n7.engine().term.Load() != nil })
	stopped := make(chan error, 1)
	go func() { stopped <- n7.JoinGroup(ctx, leader.id+":80") }()
	a.await("it asks", func() bool { return n7.Cluster().State == StateJoining })
	a.crash("n7")
	a.is(<-stopped, KindShutdown, UnknownOutcome, "before it was told")
	a.net.heal()
}

// withoutAMajority ends with a write that may have been applied, or be applied yet.
func (a *answers) withoutAMajority() {
	old := a.named("leader")
	id := a.followers()[0]
	for _, other := range a.followers() {
		a.isolate(other)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	title := "of unknown outcome"
	_, err := a.node(old).Write(ctx, addCommand("bob", title), WriteOptions{})
	a.is(err, KindTimeout, UnknownOutcome, "not finished in time")
	a.unknown = append(a.unknown, title)
	a.await("no leader", func() bool { return a.node(id).engine().leaderID() == "" && a.node(old).engine().leaderID() == "" })
	a.write(id, KindNoLeader, NotApplied, "no leader now")
	a.write(old, KindNoLeader, NotApplied, "no leader now")
	a.net.heal()
	a.mustAdd(id, 1)
}
