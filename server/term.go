package server

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"todod/fsm"
	"todod/fsm/todo"
)

// term is this node's leadership in one term of Raft: it opens when the election is won and
// is closed, with all its goroutines, before anything else is led.
type term struct {
	e        *engine
	number   uint64
	registry *registry
	proposer *proposer

	changing chan struct{} // holds a token during a change of the group
	ctx      context.Context
	cancel   context.CancelFunc
	done     sync.WaitGroup
}

// lead follows the leadership of this node until the engine stops.
func (e *engine) lead() {
	var t *term
	defer func() { e.closeTerm(t) }()
	for {
		select {
		case leads := <-e.raft.LeaderCh():
			// Two wins in a row mean that a loss between them was not seen.
			e.closeTerm(t)
			if t = nil; leads {
				t = e.openTerm()
			}
		case <-e.ctx.Done():
			return
		}
	}
}

func (e *engine) openTerm() *term {
	n := e.node
	t := &term{e: e, number: e.raft.CurrentTerm(), changing: make(chan struct{}, 1)}
	t.ctx, t.cancel = context.WithCancel(e.ctx)
	t.proposer = newProposer(e.raft, t.number, e.stamp, n.metrics)
	t.registry = newRegistry(t.proposer.submit, n.cfg.Expiry, n.log, n.metrics)
	n.log.Info("leads the group", "term", t.number)
	t.done.Go(t.run)
	return t
}

func (e *engine) closeTerm(t *term) {
	if t == nil {
		return
	}
	t.cancel()
	e.term.CompareAndSwap(t, nil)
	t.registry.close()
	t.proposer.close()
	t.done.Wait()
	e.term.CompareAndSwap(t, nil) // run may have stored it since
	e.node.metrics.processes(0)
	e.node.log.Info("leads no longer", "term", t.number)
	e.tell()
}

// run makes the term usable, then does what only a leader does. The first command of the term
// reaches every state machine, which a no-op of Raft does not: a read that waits for the
// commit index waits for something that is delivered.
func (t *term) run() {
	e := t.e
	for tries := 0; tries < 100 && !e.monitor.clock.Load().known; tries++ {
		if !wait(t.ctx, 10*time.Millisecond) { // the first answers of the others are on their way
			return
		}
	}
	for t.ctx.Err() == nil {
		_, err := t.propose(t.ctx, fsm.TypeTerm, fsm.Term{Node: e.node.id, Epoch: newEpoch()}.Encode())
		if err == nil {
			break
		}
		if !wait(t.ctx, 10*time.Millisecond) {
			return
		}
	}
	if t.ctx.Err() != nil {
		return
	}
	t.raise() // a node that founds a group alone takes all it knows from the first write on
	e.term.Store(t)
	e.tell()
	t.done.Go(t.sweep)
	t.done.Go(t.purge)
	t.done.Go(t.tend)
	t.done.Go(t.cleanUp)
	t.done.Go(t.watchClock)
	t.done.Go(t.mark)
	t.done.Go(t.upgrade)
}

// usableTerm waits until this node, which was elected, can be used as leader; nil if it does not lead.
func (e *engine) usableTerm(ctx context.Context) *term {
	for {
		change := e.news()
		if t := e.term.Load(); t != nil || e.raft.State() != raft.Leader {
			return t
		}
		select {
		case <-change:
		case <-ctx.Done():
			return nil
		}
	}
}

// newEpoch returns a random epoch, never 0. Short, since every ETag carries it.
func newEpoch() uint64 {
	var b [4]byte
	rand.Read(b[:])
	return uint64(binary.BigEndian.Uint32(b[:])) | 1
}

// propose has the leader itself propose a command that no client asked for, and waits.
func (t *term) propose(ctx context.Context, typ fsm.Type, payload []byte) (fsm.Result, error) {
	type outcome struct {
		res fsm.Result
		err error
	}
	cmd := fsm.Command{Type: typ, Version: 1, Payload: payload}
	if err := t.e.readable(&cmd); err != nil {
		return fsm.Result{}, err
	}
	ch := make(chan outcome, 1)
	t.proposer.submit(&pending{
		cmd:  cmd,
		done: func(res fsm.Result, err error) { ch <- outcome{res, err} },
	})
	select {
	case o := <-ch:
		return o.res, o.err
	case <-ctx.Done():
		return fsm.Result{}, failure(KindTimeout, UnknownOutcome, "the change was not finished in time")
	}
}

// accept takes a command of a client, of this node's or another's, to its list process, or
// straight to the proposer if it is about several lists.
func (t *term) accept(c *pending) {
	err := t.e.readable(&c.cmd)
	if err == nil {
		err = t.e.storage.refuse(c.cmd.Type)
	}
	if err != nil {
		c.fail(err)
		return
	}
	switch {
	case t.proposer.full():
		c.fail(failure(KindOverloaded, NotApplied, "the leader has too much to do: try again"))
	case c.list == "":
		t.proposer.submit(c)
	default:
		if err := t.registry.send(c); err != nil {
			c.fail(err)
		}
	}
}

// sweep takes away the rows of deleted lists, a bounded number at a time.
func (t *term) sweep() {
	for {
		pause := time.Second
		if t.e.replica.Garbage() > 0 {
			pause = 20 * time.Millisecond
			_, _ = t.propose(t.ctx, fsm.TypeSweep, fsm.Sweep{Rows: sweepRows}.Encode()) // tried again
		}
		if !wait(t.ctx, pause) {
			return
		}
	}
}

// purge has the trash and the history taken away that were kept for long enough, a bounded number of rows at a time. The
// leader only asks: each node judges by the time in the log.
func (t *term) purge() {
	for {
		pause := purgeEvery
		if now, err := t.e.stamp(); err == nil && t.e.replica.Outlived(now) {
			pause = 20 * time.Millisecond
			_, _ = t.propose(t.ctx, fsm.TypePurge, fsm.Purge{Rows: sweepRows}.Encode()) // tried again
		}
		if !wait(t.ctx, pause) {
			return
		}
	}
}

// mark has the nodes compare their hashes from time to time, whoever leads.
func (t *term) mark() {
	for {
		due := time.Until(t.e.divergence.marked().Add(t.e.node.cfg.MarkInterval))
		if !wait(t.ctx, max(due, time.Second)) {
			return
		}
		if due <= 0 {
			_, _ = t.propose(t.ctx, fsm.TypeMark, nil) // tried again
		}
	}
}

// watchClock hands leadership over while this node's clock is too far off to stamp commands.
func (t *term) watchClock() {
	for wait(t.ctx, time.Second) {
		if t.e.clockError() == nil {
			continue
		}
		t.e.node.log.Error("this node's clock is off: handing leadership over", "offset", t.e.offset())
		if err := t.e.handOver(t.ctx, ""); err != nil {
			t.e.node.log.Warn("leadership was not handed over", "err", err)
		}
	}
}

// stamp is the leader's time for a log entry, Unix ms. With a clock that is off it is the last
// time applied, and an error that says so.
func (e *engine) stamp() (int64, error) {
	if err := e.clockError(); err != nil {
		return e.replica.Time(), err
	}
	return max(e.node.cfg.Now().UnixMilli(), e.replica.Time()), nil
}

// refusal says that a change of the group was refused by the state machine.
func refusal(code todo.Code) error {
	if code == fsm.MemberKnown {
		return failure(KindConflict, NotApplied, "the node id or the data folder is known to the group already: join with an empty folder and a new id")
	}
	return failure(KindConflict, NotApplied, "the group refused the change (code %d)", code)
}
