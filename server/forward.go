package server

import (
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"sync"
	"time"

	"todod/fsm"
	"todod/server/peer"
)

// forwarder takes the writes of a follower's clients to the leader: all that are waiting in
// one call, a few calls at a time. It is the only place where a write goes from node to node;
// the leader never sends it on, so it makes at most one hop.
type forwarder struct {
	e     *engine
	mu    sync.Mutex
	queue []*pending
	bytes int // of queue
	slots chan struct{}
}

func newForwarder(e *engine) *forwarder {
	return &forwarder{e: e, slots: make(chan struct{}, maxForwards)}
}

// submit queues a command for the leader. It does not block.
func (f *forwarder) submit(c *pending) {
	f.mu.Lock()
	if len(f.queue) >= maxWaitingHere || f.bytes >= maxWaitingBytes {
		f.mu.Unlock()
		c.fail(failure(KindOverloaded, NotApplied, "this node has too many writes waiting: try again"))
		return
	}
	f.queue = append(f.queue, c)
	f.bytes += c.cmd.Size()
	f.mu.Unlock()
	select {
	case f.slots <- struct{}{}:
		if !f.e.crew.spawn(f.drain) {
			<-f.slots
			f.abandon()
		}
	default: // a call that is under way takes it along when it returns
	}
}

// abandon fails what waits when the engine has stopped.
func (f *forwarder) abandon() {
	f.mu.Lock()
	queue := f.queue
	f.queue, f.bytes = nil, 0
	f.mu.Unlock()
	for _, c := range queue {
		c.fail(stopping())
	}
}

// drain sends batches until nothing waits.
func (f *forwarder) drain() {
	for {
		batch := f.take()
		if len(batch) == 0 {
			<-f.slots
			if !f.waits() {
				return
			}
			select { // something came between take and giving the slot back
			case f.slots <- struct{}{}:
				continue
			default:
				return
			}
		}
		f.send(batch)
	}
}

func (f *forwarder) waits() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.queue) > 0
}

func (f *forwarder) take() []*pending {
	f.mu.Lock()
	defer f.mu.Unlock()
	size, ops, n := 0, 0, 0
	for n < len(f.queue) {
		size += f.queue[n].cmd.Size() + len(f.queue[n].list)
		ops += f.queue[n].ops
		if (size > maxForwardBytes || ops > maxForwardOps) && n > 0 {
			break
		}
		f.bytes -= f.queue[n].cmd.Size()
		n++
	}
	batch := f.queue[:n:n]
	f.queue = f.queue[n:]
	if len(f.queue) == 0 {
		f.queue = nil
	}
	return batch
}

// send makes one call with a batch and tells each command's outcome.
func (f *forwarder) send(batch []*pending) {
	e := f.e
	to, ok := e.leader()
	if !ok || to.term != nil {
		for _, c := range batch {
			c.fail(failure(KindNoLeader, NotApplied, "the leader changed before the write was sent"))
		}
		return
	}
	batch = slices.DeleteFunc(batch, func(c *pending) bool { return !c.claim() })
	if len(batch) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(e.ctx, e.node.cfg.RequestTimeout)
	defer cancel()
	e.whileLeads(cancel, ctx, to)
	e.node.metrics.forwarded(len(batch))
	reply, err := e.node.port.Client(to.id, to.addr).Call(ctx, callForward, encodeForward(batch))
	var answers []answer
	if err == nil {
		answers, err = decodeAnswers(reply, len(batch))
	} else {
		err = callError(err)
	}
	for i, c := range batch {
		if err != nil {
			c.fail(err)
		} else {
			c.done(answers[i].res, answers[i].err)
		}
	}
}

// callError says what is known of a write whose call failed.
func callError(err error) *Error {
	var refused *peer.Refused
	switch {
	case errors.As(err, &refused):
		return failure(KindNoLeader, NotApplied, "the leader refused this node: %s", refused.Detail)
	case !peer.Sent(err):
		return failure(KindNoLeader, NotApplied, "the leader cannot be reached: try again")
	}
	return failure(KindTimeout, UnknownOutcome, "the connection to the leader broke before the outcome was known")
}

// A forwarded batch is the list of each command, then the commands as package fsm encodes them.
func encodeForward(batch []*pending) []byte {
	cmds := make([]*fsm.Command, len(batch))
	b := binary.AppendUvarint(nil, uint64(len(batch)))
	for i, c := range batch {
		cmds[i] = &c.cmd
		b = binary.AppendUvarint(b, uint64(len(c.list)))
		b = append(b, c.list...)
	}
	return fsm.AppendCommands(b, cmds)
}

var errMalformed = errors.New("malformed message from a peer")

func cutBytes(b []byte) (head, rest []byte, err error) {
	n, used := binary.Uvarint(b)
	if used <= 0 || n > uint64(len(b)-used) {
		return nil, nil, errMalformed
	}
	b = b[used:]
	return b[:n], b[n:], nil
}

func decodeForward(b []byte) ([]*pending, error) {
	n, used := binary.Uvarint(b)
	if used <= 0 || n > uint64(len(b)) {
		return nil, errMalformed
	}
	b = b[used:]
	lists := make([]string, n)
	for i := range lists {
		head, rest, err := cutBytes(b)
		if err != nil {
			return nil, err
		}
		lists[i], b = string(head), rest
	}
	cmds, err := fsm.DecodeCommands(b)
	if err != nil || len(cmds) != len(lists) {
		return nil, errMalformed
	}
	batch := make([]*pending, n)
	for i := range batch {
		batch[i] = &pending{cmd: cmds[i], list: lists[i]}
	}
	return batch, nil
}

// An answer is 0 and a result, or 1, kind, outcome and detail.
func encodeAnswers(answers []answer) []byte {
	var b []byte
	for i := range answers {
		var one []byte
		if a := &answers[i]; a.err == nil {
			one = fsm.AppendResult([]byte{0}, &a.res)
		} else {
			e := AsError(a.err)
			one = append([]byte{1, byte(e.Kind), byte(e.Outcome)}, e.Detail...)
		}
		b = binary.AppendUvarint(b, uint64(len(one)))
		b = append(b, one...)
	}
	return b
}

func decodeAnswers(b []byte, n int) ([]answer, error) {
	bad := failure(KindTimeout, UnknownOutcome, "the leader's answer could not be read")
	answers := make([]answer, n)
	for i := range answers {
		one, rest, err := cutBytes(b)
		if err != nil || len(one) == 0 {
			return nil, bad
		}
		b = rest
		switch {
		case one[0] == 0:
			if answers[i].res, err = fsm.DecodeResult(one[1:]); err != nil {
				return nil, bad
			}
		case len(one) < 3 || one[2] > byte(UnknownOutcome):
			return nil, bad
		default:
			answers[i].err = &Error{Kind: Kind(one[1]), Outcome: Outcome(one[2]), Detail: string(one[3:])}
		}
	}
	return answers, nil
}

// handleForward takes a batch from a follower. It returns at once; the reply goes out when
// the last outcome is known.
func (e *engine) handleForward(body []byte, reply func([]byte)) {
	batch, err := decodeForward(body)
	if err != nil {
		e.node.log.Warn("malformed batch from a peer")
		reply(nil)
		return
	}
	if t := e.term.Load(); t != nil {
		e.acceptBatch(t, batch, reply)
		return
	}
	// Elected, but the term is not usable yet: that is a matter of one commit.
	if !e.crew.spawn(func() {
		ctx, cancel := context.WithTimeout(e.ctx, electionTimeout)
		defer cancel()
		e.acceptBatch(e.usableTerm(ctx), batch, reply)
	}) {
		reply(nil)
	}
}

// acceptBatch takes a batch to the list processes of a term, nil for none, and replies once every
// outcome is known. It does not wait for that.
func (e *engine) acceptBatch(t *term, batch []*pending, reply func([]byte)) {
	expires := time.Now().Add(e.node.cfg.RequestTimeout)
	answers := make([]answer, len(batch))
	var left sync.WaitGroup
	left.Add(len(batch))
	for i, c := range batch {
		c.expires = expires
		c.done = func(res fsm.Result, err error) {
			answers[i] = answer{res, err}
			left.Done()
		}
		if t == nil {
			c.fail(failure(KindNoLeader, NotApplied, "the node that was asked does not lead"))
		} else {
			t.accept(c)
		}
	}
	if !e.crew.spawn(func() {
		left.Wait()
		reply(encodeAnswers(answers))
	}) {
		reply(nil) // stopping: the caller takes it for unknown
	}
}
