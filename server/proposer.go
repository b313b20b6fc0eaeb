package server

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"

	"todod/fsm"
	"todod/fsm/todo"
)

// pending is a command on its way through the leader. done is called exactly once, from any
// goroutine, and must not block.
type pending struct {
	cmd     fsm.Command
	list    string    // the list it is about, "" for none or several
	ops     int       // operations, each of which is answered with an entry
	expires time.Time // not proposed after this
	retried bool      // its list process died once before it was handed on
	done    func(fsm.Result, error)
	settled atomic.Bool // it is on its way to the log, or its caller has given it up
}

// claim settles whether the command goes on its way: true for the first who asks. Whoever sends it
// claims it, and so does a caller that can wait no longer: it then knows that
// the command was never sent.
func (p *pending) claim() bool { return p.settled.CompareAndSwap(false, true) }

func (p *pending) fail(err error) { p.done(fsm.Result{}, err) }

// applier is the part of *raft.Raft that a proposer needs.
type applier interface {
	Apply(cmd []byte, timeout time.Duration) raft.ApplyFuture
}

// proposer puts all commands that are waiting into one log entry and proposes it, a few
// entries at a time: a commit round costs the same whatever it carries.
type proposer struct {
	raft  applier
	term  uint64                // commands that are logged in another one are refused
	stamp func() (int64, error) // the leader's time in Unix ms, or why it may not stamp

	mu      sync.Mutex
	queue   []*pending
	bytes   int // of queue
	closed  bool
	wake    chan struct{} // holds a token when there may be work
	slots   chan struct{} // one token for each proposal under way
	done    sync.WaitGroup
	stats   *metrics
	timeout time.Duration
}

func newProposer(r applier, term uint64, stamp func() (int64, error), stats *metrics) *proposer {
	p := &proposer{raft: r, term: term, stamp: stamp, stats: stats, timeout: electionTimeout,
		wake: make(chan struct{}, 1), slots: make(chan struct{}, maxProposals)}
	p.done.Go(p.run)
	return p
}

// submit queues a command behind all others. It does not block.
func (p *proposer) submit(c *pending) {
	p.mu.Lock()
	closed := p.closed
	if !closed {
		p.queue = append(p.queue, c)
		p.bytes += c.cmd.Size()
	}
	p.mu.Unlock()
	if closed {
		c.fail(failure(KindNoLeader, NotApplied, "this node leads no longer"))
		return
	}
	p.signal()
}

func (p *proposer) signal() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// full reports whether too much waits to be proposed.
func (p *proposer) full() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.queue) >= maxWaiting || p.bytes >= maxWaitingBytes
}

// close fails what is waiting and returns when the outcome of every proposal is known and told.
func (p *proposer) close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.signal()
	p.done.Wait()
}

// pause has nothing be proposed, once all that was is decided, until resume is called. One may pause at a time.
func (p *proposer) pause(ctx context.Context) (resume func(), err error) {
	for n := range cap(p.slots) {
		select {
		case p.slots <- struct{}{}:
		case <-ctx.Done():
			for range n {
				<-p.slots
			}
			return nil, ctx.Err()
		}
	}
	return sync.OnceFunc(func() {
		for range cap(p.slots) {
			<-p.slots
		}
	}), nil
}

func (p *proposer) run() {
	for range p.wake {
		for {
			p.slots <- struct{}{}
			batch, closed := p.take()
			if len(batch) == 0 {
				<-p.slots
				if closed {
					return
				}
				break
			}
			if closed {
				p.release(batch, failure(KindNoLeader, NotApplied, "this node leads no longer"))
				continue
			}
			p.propose(batch)
		}
	}
}

func (p *proposer) release(batch []*pending, err error) {
	for _, c := range batch {
		c.fail(err)
	}
	<-p.slots
}

// take returns as many waiting commands as one log entry carries.
func (p *proposer) take() (batch []*pending, closed bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	size, n := 0, 0
	for n < len(p.queue) {
		size += p.queue[n].cmd.Size()
		alone := p.queue[n].cmd.Type == fsm.TypeRestore // an entry of its own
		if n > 0 && (size > maxEntryBytes || alone) {
			break
		}
		if n++; alone {
			break
		}
	}
	for _, c := range p.queue[:n] {
		p.bytes -= c.cmd.Size()
	}
	batch = p.queue[:n:n]
	p.queue = p.queue[n:]
	if len(p.queue) == 0 {
		p.queue = nil // lets the array go that the batch is part of
	}
	return batch, p.closed
}

// propose stamps a batch and proposes it as one entry; its outcome is told by another goroutine.
func (p *proposer) propose(batch []*pending) {
	now := time.Now()
	stamp, stampErr := p.stamp()
	live := batch[:0]
	for _, c := range batch {
		switch {
		case !c.claim():
			// its caller has gone
		case !c.expires.IsZero() && now.After(c.expires):
			c.fail(failure(KindTimeout, NotApplied, "the deadline passed before the command was proposed"))
		case stampErr != nil && c.cmd.Type == fsm.TypeTodo:
			c.fail(stampErr)
		default:
			live = append(live, c)
		}
	}
	if len(live) == 0 {
		<-p.slots
		return
	}
	cmds := make([]*fsm.Command, len(live))
	for i, c := range live {
		cmds[i] = &c.cmd
	}
	p.stats.proposed(len(live))
	future := p.raft.Apply(fsm.EncodeEnvelope(fsm.Stamp{Term: p.term, Time: stamp}, cmds), p.timeout)
	p.done.Go(func() {
		deliver(live, future)
		<-p.slots
	})
}

// deliver waits for the outcome of a proposal and tells it to each command's caller.
func deliver(batch []*pending, future raft.ApplyFuture) {
	err := future.Error()
	if err == nil {
		if results, ok := future.Response().([]fsm.Result); ok && len(results) == len(batch) {
			for i, c := range batch {
				if results[i].Code == fsm.TermOver {
					c.fail(failure(KindNoLeader, NotApplied, "this node leads no longer"))
				} else {
					c.done(results[i], nil)
				}
			}
			return
		}
		err = errors.New("the state machine has stopped")
	}
	failed := proposalError(err)
	for _, c := range batch {
		c.fail(failed)
	}
}

// proposalError says what is known of a proposal that Raft gave an error for. Only two of
// its errors mean that nothing was appended to the log.
func proposalError(err error) *Error {
	switch {
	case errors.Is(err, raft.ErrNotLeader):
		return failure(KindNoLeader, NotApplied, "this node leads no longer")
	case errors.Is(err, raft.ErrEnqueueTimeout):
		return failure(KindOverloaded, NotApplied, "the leader has too much to do: try again")
	}
	return failure(KindTimeout, UnknownOutcome, "the leader was lost before the outcome was known: %v", err)
}

// asResult folds a refusal of a session into an error; other results are answers.
func asResult(res fsm.Result, err error) (fsm.Result, error) {
	if err == nil && (res.Code == fsm.SessionClosed || res.Code == fsm.NumberClosed) {
		return res, &sessionError{res.Code}
	}
	return res, err
}

// sessionError is a command refused because its session or its number is closed.
type sessionError struct{ code todo.Code }

func (e *sessionError) Error() string { return "the node's session is closed" }
