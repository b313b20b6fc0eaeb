package server

import (
	"context"
	"encoding/binary"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// Linearizable reads. VerifyLeader of Raft is not enough: it counts answers to what was
// sent before the read began. A read asks what the commit index is, and has a majority of
// the voters confirm afterwards that they know no newer term: a voter keeps a
// term before it votes in it, so a leader of a newer term would be known to one of any majority.

// point is where a confirmed leader's log was committed to.
type point struct {
	leader    string
	addr      string
	term      uint64
	index     uint64 // commit index
	indexTerm uint64 // term of the entry there, 0 if not known
}

// rounds confirms the leader for many reads at a time. A read joins the next round, never
// the one under way, which may have begun before it.
type rounds struct {
	e       *engine
	mu      sync.Mutex
	next    *round
	running bool

	chase struct {
		sync.Mutex
		to      point
		running bool
		news    chan struct{} // has room for one: to is another one
	}
}

type round struct {
	began time.Time // when the first read joined
	done  chan struct{}
	at    point
	err   error
}

func newRounds(e *engine) *rounds {
	r := &rounds{e: e}
	r.chase.news = make(chan struct{}, 1)
	return r
}

// join returns the next round, which is on its way.
func (r *rounds) join() *round {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.next == nil {
		r.next = &round{began: time.Now(), done: make(chan struct{})}
	}
	n := r.next
	if !r.running {
		r.running = r.e.crew.spawn(r.run)
		if !r.running {
			n.err = stopping()
			close(n.done)
			r.next = nil
		}
	}
	return n
}

func (r *rounds) run() {
	for {
		r.mu.Lock()
		n := r.next
		r.next = nil
		r.running = n != nil
		r.mu.Unlock()
		if n == nil {
			return
		}
		n.at, n.err = r.confirm(n.began.Add(readTimeout))
		close(n.done)
	}
}

// confirm tries until a leader is confirmed or the deadline passes.
func (r *rounds) confirm(deadline time.Time) (at point, err error) {
	e := r.e
	ctx, cancel := context.WithDeadline(e.ctx, deadline)
	defer cancel()
	for {
		e.node.metrics.rounds.Inc()
		if at, err = r.try(ctx); err == nil {
			return at, nil
		}
		if !wait(ctx, roundPause) {
			return at, err
		}
	}
}

// whileLeads cancels what waits for a leader once there is another, or none: a paused one would
// be waited for in vain.
func (e *engine) whileLeads(cancel context.CancelFunc, ctx context.Context, to leadership) {
	e.crew.spawn(func() {
		for {
			news := e.news()
			if now, ok := e.leader(); !ok || now != to {
				cancel()
				return
			}
			select {
			case <-news:
			case <-ctx.Done():
				return
			}
		}
	})
}

// try is one attempt, given up when the leader changes.
func (r *rounds) try(ctx context.Context) (point, error) {
	e := r.e
	to, err := e.awaitLeader(ctx)
	if err != nil {
		return point{}, err
	}
	if to.term != nil && e.soleVoter() { // the common case of a lone node needs no context
		return e.commitPoint(to.term)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	e.whileLeads(cancel, ctx, to)
	if to.term != nil {
		return e.confirmTerm(ctx, to.term)
	}
	return r.askLeader(ctx, to)
}

// commitPoint is the commit index of a term that this node leads, read before it is made
// sure that it still leads it.
func (e *engine) commitPoint(t *term) (point, error) {
	at := point{leader: e.node.id, addr: e.node.advertise, term: t.number, index: e.raft.CommitIndex()}
	if e.raft.State() != raft.Leader || e.raft.CurrentTerm() != t.number {
		return point{}, failure(KindNoLeader, NotApplied, "this node leads no longer")
	}
	return at, nil
}

// confirmTerm has a majority of the voters confirm that they know no newer term than t.
func (e *engine) confirmTerm(ctx context.Context, t *term) (point, error) {
	at, err := e.commitPoint(t)
	if err != nil {
		return at, err
	}
	conf := e.configuration()
	all := voters(conf)
	terms := make(chan uint64, len(all))
	asked, agree := 0, 0
	for _, v := range all {
		if string(v.ID) == e.node.id {
			agree++
			continue
		}
		asked++
		client := e.node.port.Client(string(v.ID), string(v.Address))
		if !e.crew.spawn(func() {
			b, err := client.Call(ctx, callTerm, nil)
			if err != nil || len(b) != 8 {
				terms <- 0
				return
			}
			terms <- binary.BigEndian.Uint64(b)
		}) {
			terms <- 0
		}
	}
	for range asked {
		if agree > len(all)/2 {
			break
		}
		if <-terms == t.number {
			agree++
		}
	}
	if agree <= len(all)/2 {
		return point{}, failure(KindNoLeader, NotApplied, "no majority of the nodes confirms the leader: try again")
	}
	return at, nil
}

// askLeader gets the commit index from the leader. In a group of two or three voters the leader
// and this voter are a majority: this node's own term, read after the answer came, stands
// in for a round of the leader's.
func (r *rounds) askLeader(ctx context.Context, to leadership) (point, error) {
	e := r.e
	b, err := e.node.port.Client(to.id, to.addr).Call(ctx, callReadIndex, nil)
	if err != nil {
		return point{}, callError(err)
	}
	at, confirmed, ok := decodePoint(b)
	if !ok || !confirmed && e.raft.CurrentTerm() != at.term {
		return point{}, failure(KindNoLeader, NotApplied, "the leader was not confirmed: try again")
	}
	at.leader, at.addr = to.id, to.addr
	if e.raft.CommitIndex() < at.index {
		r.pursue(at)
	}
	return at, nil
}

// A point on the wire: 1 if the leader confirmed itself, else 0; term, index, term of the entry.
// Empty from a node that does not lead.
func encodePoint(at point, confirmed bool) []byte {
	b := []byte{0}
	if confirmed {
		b[0] = 1
	}
	for _, v := range []uint64{at.term, at.index, at.indexTerm} {
		b = binary.BigEndian.AppendUint64(b, v)
	}
	return b
}

func decodePoint(b []byte) (at point, confirmed, ok bool) {
	if len(b) != 25 {
		return at, false, false
	}
	at.term, at.index, at.indexTerm = binary.BigEndian.Uint64(b[1:]), binary.BigEndian.Uint64(b[9:]), binary.BigEndian.Uint64(b[17:])
	return at, b[0] == 1, true
}

// handleReadIndex answers a follower's read.
func (e *engine) handleReadIndex(from string, reply func([]byte)) {
	t := e.term.Load()
	if t == nil {
		reply(nil)
		return
	}
	at, err := e.commitPoint(t)
	conf := e.configuration()
	all := voters(conf)
	caller, ok := find(conf, from)
	if ok && caller.Suffrage == raft.Voter && len(all) <= 3 {
		reply(e.pointReply(at, false, err))
		return
	}
	if !e.crew.spawn(func() {
		n := e.reads.join()
		<-n.done
		err := n.err // the round belongs to all who joined it
		if err == nil && n.at.leader != e.node.id {
			err = failure(KindNoLeader, NotApplied, "this node leads no longer")
		}
		reply(e.pointReply(n.at, true, err))
	}) {
		reply(nil)
	}
}

func (e *engine) pointReply(at point, confirmed bool, err error) []byte {
	if err != nil {
		return nil
	}
	at.indexTerm, _ = e.termOf(at.index) // 0 lets the follower wait for the heartbeat
	return encodePoint(at, confirmed)
}

// pursue brings this follower's commit index to what the leader said, which it would else
// learn with the next heartbeat, up to commitTimeout later.
func (r *rounds) pursue(at point) {
	r.chase.Lock()
	defer r.chase.Unlock()
	if at.term > r.chase.to.term || at.index > r.chase.to.index {
		r.chase.to = at
		select {
		case r.chase.news <- struct{}{}:
		default:
		}
	}
	if !r.chase.running {
		r.chase.running = r.e.crew.spawn(r.pursuit)
	}
}

// How long a pursuit waits between its messages: the entry may be on its way still.
const (
	shortestPursuit = 250 * time.Microsecond
	longestPursuit  = 8 * time.Millisecond
)

func (r *rounds) pursuit() {
	var last point
	for pause := shortestPursuit; ; pause = min(2*pause, longestPursuit) {
		r.chase.Lock()
		at := r.chase.to
		// Until it is committed here; applying it is not this message's concern, which renews the
		// leader's hold on this node each time.
		if r.e.raft.CommitIndex() >= at.index || r.e.raft.CurrentTerm() != at.term {
			r.chase.running = false
			r.chase.Unlock()
			return
		}
		r.chase.Unlock()
		r.e.handCommit(at)
		if at != last { // under load there is always something newer: each gets its quick tries
			last, pause = at, shortestPursuit
		}
		if !r.wait(pause) {
			r.chase.Lock()
			r.chase.running = false
			r.chase.Unlock()
			return
		}
	}
}

// wait waits until a pursuit should try again; false when the engine ends.
func (r *rounds) wait(pause time.Duration) bool {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-r.chase.news:
	case <-r.e.ctx.Done():
		return false
	}
	return true
}

// handCommit hands this follower the message by which its leader would tell it the commit index:
// an empty AppendEntries whose previous entry is the committed one, so that a follower
// with another entry there refuses it. Never with a previous entry of 0: that check is
// skipped then, and a divergent tail would be committed.
func (e *engine) handCommit(at point) {
	if at.index == 0 || at.indexTerm == 0 || e.raft.LastIndex() < at.index ||
		e.raft.State() != raft.Follower || e.raft.CurrentTerm() != at.term || e.leaderID() != at.leader {
		return
	}
	_, _ = e.trans.hand(&raft.AppendEntriesRequest{
		RPCHeader:    raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax, ID: []byte(at.leader), Addr: []byte(at.addr)},
		Term:         at.term,
		PrevLogEntry: at.index, PrevLogTerm: at.indexTerm, LeaderCommitIndex: at.index,
	})
}

// confirmed waits until this node has applied all that was acknowledged before now.
func (e *engine) confirmed(ctx context.Context) error {
	began := time.Now()
	n := e.reads.join()
	for {
		select {
		case <-n.done:
		case <-ctx.Done():
			return ctx.Err()
		}
		if n.err == nil {
			break
		}
		// A round ends with the patience of the read that joined it first.
		if time.Since(began) >= readTimeout || e.ctx.Err() != nil {
			return n.err
		}
		n = e.reads.join()
	}
	if applied, _ := e.replica.Applied(); applied >= n.at.index {
		return nil
	}
	ctx, cancel := context.WithDeadline(ctx, began.Add(readTimeout))
	defer cancel()
	return e.replica.WaitIndex(ctx, n.at.index)
}

// Read opens a view of this node's replica at the level asked for. Close it soon: an open one
// keeps the file from reusing pages. Errors are *Error. It may be called concurrently.
func (n *Node) Read(ctx context.Context, opt ReadOptions) (*Reading, error) {
	e, err := n.inGroup()
	if err != nil {
		return nil, err
	}
	level := opt.Level
	if level == Linearizable || level == Auto {
		switch err := e.confirmed(ctx); {
		case err == nil:
			level = Linearizable
		case level == Auto && ctx.Err() == nil:
			level = Stale
		default:
			return nil, &Error{Kind: KindNoLeader, Leader: e.leaderID(), Detail: "no leader was confirmed in time: try again"}
		}
	}
	if err := e.awaitRev(ctx, opt.MinRev); err != nil {
		return nil, err
	}
	view, err := e.replica.View()
	if err != nil {
		return nil, stopping()
	}
	n.metrics.read(level)
	return &Reading{View: view, Level: level, LastContact: e.lastContact()}, nil
}

func (e *engine) awaitRev(ctx context.Context, rev uint64) error {
	_, now := e.replica.Applied()
	if rev <= now {
		return nil
	}
	ctx, cancel := e.node.deadline(ctx)
	defer cancel()
	if err := e.replica.WaitRev(ctx, rev); err != nil {
		_, now = e.replica.Applied()
		return failure(KindBehind, NotApplied, "this node has applied rev %d, not yet %d: try again, or ask another node", now, rev).toldBy(e.leaderID())
	}
	return nil
}

// lastContact is since when this node has not heard from a leader: 0 on the leader, -1 for never.
func (e *engine) lastContact() time.Duration {
	if e.raft.State() == raft.Leader {
		return 0
	}
	return e.trans.lastContact()
}
