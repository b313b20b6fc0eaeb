package server

import (
	"context"
	"errors"

	"todod/fsm"
	"todod/fsm/todo"
	"todod/fsm/todo/propose"
)

// maxTries is how often a write may arrive at a leader: once more after the first broke, under
// the same number, so that it is never applied twice. What was certainly not applied, since
// the node that was asked does not lead, say, does not count.
const maxTries = 2

// Write has the group apply a command and returns what it came to once a majority has it on
// disk. A refusal is in Result.Code. An error is a *todo.Invalid for a command that is
// wrong in itself, else an *Error whose Outcome is true. It may be called concurrently.
func (n *Node) Write(ctx context.Context, cmd todo.Command, opt WriteOptions) (fsm.Result, error) {
	if err := propose.Check(&cmd); err != nil {
		return fsm.Result{}, err
	}
	list := ""
	if len(cmd.Ops) == 1 {
		list = cmd.Ops[0].List
	}
	return n.write(ctx, func(e *engine) write {
		w := write{n: n, e: e, list: list, ops: len(cmd.Ops), cmd: fsm.TodoCommand(&cmd)}
		w.cmd.Principal, w.cmd.Key = opt.Principal, opt.Key
		return w
	})
}

// SetSettings has the group decide something for itself; what is 0 stays as it is. Errors are those of Write.
func (n *Node) SetSettings(ctx context.Context, s fsm.Settings) error {
	if err := s.Check(); err != nil {
		return err
	}
	_, err := n.write(ctx, func(e *engine) write {
		return write{n: n, e: e, cmd: fsm.Command{Type: fsm.TypeSettings, Version: 1, Payload: s.Encode()}}
	})
	return err
}

// write has the group apply what a client of this node asks for.
func (n *Node) write(ctx context.Context, of func(*engine) write) (fsm.Result, error) {
	if !n.gate.enter() {
		return fsm.Result{}, failure(KindJoining, NotApplied, "this node is joining a group: try again, or ask another node")
	}
	defer n.gate.leave()
	e, err := n.inGroup()
	if err != nil {
		return fsm.Result{}, err
	}
	if err := e.storage.stalled(); err != nil {
		return fsm.Result{}, err
	}
	ctx, cancel := n.deadline(ctx)
	defer cancel()
	w := of(e)
	res, err := w.run(ctx)
	if err != nil {
		return fsm.Result{}, AsError(err).toldBy(w.e.leaderID())
	}
	return res, nil
}

// write is one write of a client of this node.
type write struct {
	n    *Node
	e    *engine
	list string
	ops  int
	cmd  fsm.Command
	sent bool // an earlier try may have arrived
}

func (w *write) run(ctx context.Context) (fsm.Result, error) {
	for {
		session, number, err := w.e.number(ctx)
		if err != nil {
			return fsm.Result{}, w.known(err)
		}
		w.cmd.Session, w.cmd.Number = session, number
		res, err := asResult(w.try(ctx))
		w.e.numbers.release(session, number)
		var closed *sessionError
		if !errors.As(err, &closed) {
			return res, w.known(err)
		}
		if closed.code == fsm.SessionClosed {
			w.e.numbers.end(session)
		}
		if w.sent || closed.code == fsm.NumberClosed {
			return fsm.Result{}, failure(KindTimeout, UnknownOutcome, "the node's session was closed before the outcome was known")
		}
	}
}

// known keeps the outcome true: what may have arrived once stays unknown until it is answered.
func (w *write) known(err error) error {
	if err == nil {
		return nil
	}
	failed := AsError(err)
	if w.sent && failed.Outcome == NotApplied {
		return failure(KindTimeout, UnknownOutcome, "the leader was lost before the outcome was known")
	}
	return failed
}

// try sends the command to the leader until there is an answer.
func (w *write) try(ctx context.Context) (res fsm.Result, err error) {
	for tries := 0; ; {
		to, waitErr := w.e.awaitLeader(ctx)
		if waitErr != nil {
			if err == nil {
				err = waitErr
			}
			return res, err
		}
		w.cmd.Low = w.e.numbers.lowest()
		res, err = to.send(ctx, w)
		if err == nil {
			return res, nil
		}
		failed := AsError(err)
		if failed.Outcome == UnknownOutcome {
			w.sent = true
			tries++
		}
		if tries == maxTries || ctx.Err() != nil || !again(failed.Kind) {
			return res, failed
		}
		w.n.metrics.retried()
		if changed := w.e.awaitChange(ctx, to); !changed && failed.Kind == KindClock {
			return res, failed // nobody else could lead
		}
	}
}

// again reports whether another leader may do better.
func again(k Kind) bool {
	return k == KindNoLeader || k == KindTimeout || k == KindClock || k == KindStalled
}

// leadership is where a write goes: to this node's own term or to a peer.
type leadership struct {
	term *term  // this node leads
	id   string // the leader
	addr string // its raft address
}

func (l leadership) send(ctx context.Context, w *write) (fsm.Result, error) {
	c := &pending{cmd: w.cmd, list: w.list, ops: w.ops}
	if end, ok := ctx.Deadline(); ok {
		c.expires = end
	}
	ch := make(chan answer, 1)
	c.done = func(res fsm.Result, err error) { ch <- answer{res, err} }
	if l.term != nil {
		l.term.accept(c)
	} else {
		w.e.forwarder.submit(c)
	}
	select {
	case a := <-ch:
		return a.res, a.err
	case <-ctx.Done():
		if c.claim() {
			return fsm.Result{}, failure(KindTimeout, NotApplied, "the write could not be begun in time: try again")
		}
		return fsm.Result{}, failure(KindTimeout, UnknownOutcome, "the write was not finished in time")
	}
}

type answer struct {
	res fsm.Result
	err error
}

// awaitLeader returns where writes go now, or waits until there is a leader.
func (e *engine) awaitLeader(ctx context.Context) (leadership, error) {
	for {
		change := e.news()
		if l, ok := e.leader(); ok {
			return l, nil
		}
		select {
		case <-change:
		case <-ctx.Done():
			return leadership{}, failure(KindNoLeader, NotApplied, "the group has no leader now: try again")
		case <-e.ctx.Done():
			return leadership{}, stopping()
		}
	}
}

// awaitChange gives a group whose leader just failed a moment to say who comes next, and reports
// whether somebody did.
func (e *engine) awaitChange(ctx context.Context, failed leadership) bool {
	ctx, cancel := context.WithTimeout(ctx, electionTimeout)
	defer cancel()
	for {
		change := e.news()
		if l, ok := e.leader(); ok && l != failed {
			return true
		}
		select {
		case <-change:
		case <-ctx.Done():
			return false
		}
	}
}

// leader returns where writes go now. This node counts as leader only once its term is usable.
func (e *engine) leader() (leadership, bool) {
	if t := e.term.Load(); t != nil {
		return leadership{term: t, id: e.node.id}, true
	}
	addr, id := e.raft.LeaderWithID()
	if id == "" || string(id) == e.node.id {
		return leadership{}, false
	}
	return leadership{id: string(id), addr: string(addr)}, true
}

func (e *engine) leaderID() string {
	_, id := e.raft.LeaderWithID()
	return string(id)
}

// number takes a number in this process's session, which it opens first if need be.
func (e *engine) number(ctx context.Context) (session, number uint64, err error) {
	for {
		if session, number, ok := e.numbers.take(); ok {
			return session, number, nil
		}
		if err := e.openSession(ctx); err != nil {
			return 0, 0, err
		}
	}
}

// openSession has the group open the session of this process. To ask twice does no harm:
// the same process gets the same session.
func (e *engine) openSession(ctx context.Context) error {
	select {
	case e.opening <- struct{}{}:
		defer func() { <-e.opening }()
	case <-ctx.Done():
		return failure(KindNoLeader, NotApplied, "the group has no leader now: try again")
	}
	if session, number, ok := e.numbers.take(); ok { // another caller opened it meanwhile
		e.numbers.release(session, number)
		return nil
	}
	w := write{n: e.node, e: e, cmd: fsm.Command{Type: fsm.TypeSession, Version: 1,
		Payload: fsm.Session{Node: e.node.id, Boot: e.boot}.Encode()}}
	res, err := w.try(ctx)
	if err != nil {
		failed := AsError(err)
		return &Error{Kind: failed.Kind, Outcome: NotApplied, Detail: failed.Detail} // the write itself was never sent
	}
	if res.Code == fsm.MemberKnown {
		return failure(KindShutdown, NotApplied, "node %s was removed from its group: ask another one", e.node.id)
	}
	e.numbers.begin(res.Value)
	return nil
}
