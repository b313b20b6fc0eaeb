package server

import (
	"context"
	"io"
	"strconv"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// A replica that came to the same node loopCount times within loopWithin does not help it: something is wrong.
const (
	loopCount  = 3
	loopWithin = 5 * time.Minute
	loopPause  = 100 * time.Millisecond
)

// sendings are the replicas that this node, leading, sent to others of late.
type sendings struct {
	mu   sync.Mutex
	sent map[string][]time.Time
	told map[string]time.Time // when the alarm was given last
}

// add notes one more. It returns how many there were of late, and whether that is to be told.
func (s *sendings) add(to string) (count int, tell bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sent == nil {
		s.sent, s.told = map[string][]time.Time{}, map[string]time.Time{}
	}
	now := time.Now()
	s.sent[to] = append(s.recent(to), now)
	count = len(s.sent[to])
	if last, before := s.told[to]; count < loopCount || before && now.Sub(last) < loopWithin {
		return count, false
	}
	s.told[to] = now
	return count, true
}

// recent are the sendings to a node within loopWithin. It is called with mu held.
func (s *sendings) recent(to string) []time.Time {
	all := s.sent[to]
	for len(all) > 0 && time.Since(all[0]) > loopWithin {
		all = all[1:]
	}
	return all
}

// loops is how many nodes were sent a replica too often of late.
func (s *sendings) loops() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for to := range s.sent {
		if len(s.recent(to)) >= loopCount {
			n++
		}
	}
	return n
}

// sent notes that a replica came to a node, and gives the alarm when it was the third in a short time. From then on there
// is a pause after each, and a short one: the log is cut meanwhile, and what comes late is too old again.
func (e *engine) sent(to string) {
	e.node.metrics.snapshots.Inc()
	e.held.came(to)
	count, tell := e.sendings.add(to)
	if tell {
		e.node.event(SnapshotLoop, to, e.raft.CurrentTerm())
		e.node.log.Error("a node is sent the whole replica again and again: its log says why, and so may its disk or its network",
			"to", to, "times", count, "within", loopWithin)
	}
	if count >= loopCount {
		wait(e.ctx, loopPause)
	}
}

// install has Raft install the replica that a leader sends. It returns false when this Raft is to take no more
// messages: another one is about to begin on the same files.
//
// Raft 1.7.3 keeps in mind what its last log entry was when an installed replica has made the log void. If that was above the
// replica, or at its end in another term (the log of a leader that was cut off and went on by itself), all
// that the leader sends from there on does not fit, so that the leader sends the replica again, for ever
// (hashicorp/raft #697). What is on the disk is right: a Raft that begins anew knows no more than that.
func (e *engine) install(rpc raft.RPC, req *raft.InstallSnapshotRequest) bool {
	if resp := e.superfluous(req); resp != nil {
		_, _ = io.Copy(io.Discard, rpc.Reader) // else the stream could not be used further
		rpc.Respond(resp, nil)
		return true
	}
	stuck := e.lastInMind() >= req.LastLogIndex
	answer, own := rpc.RespChan, make(chan raft.RPCResponse, 1)
	rpc.RespChan = own
	select {
	case e.trans.in <- rpc:
	case <-e.trans.closed:
		return false
	}
	var got raft.RPCResponse
	select {
	case got = <-own:
	case <-e.trans.closed:
		return false
	}
	answer <- got // has room for it
	resp, ok := got.Response.(*raft.InstallSnapshotResponse)
	if !stuck || !ok || got.Error != nil || !resp.Success || e.node.cfg.keepStuck {
		return true
	}
	e.node.log.Warn("the replica of the leader came in place of a log that went on without it: Raft begins anew", "index", req.LastLogIndex)
	e.node.renew(e)
	return false
}

// coming is a replica on its way here. Raft reads it in its main goroutine, without a deadline: until all of it has come, this
// node neither misses its leader nor votes nor ends. A leader that vanishes in the middle, as a machine does that loses its
// power, would take it along for as long as TCP waits, and in a group of three the one node left could not be
// elected. So the streams from a leader are given up when nothing comes, or when this engine ends.
type coming struct {
	io.Reader
	e    *engine
	from string
}

func (e *engine) coming(req *raft.InstallSnapshotRequest, r io.Reader) io.Reader {
	return &coming{r, e, string(req.ID)}
}

func (c *coming) Read(b []byte) (int, error) {
	ctx, cancel := context.WithTimeout(c.e.ctx, replicaSilence)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { c.e.node.port.HangUp(c.from) })
	defer stop()
	return c.Reader.Read(b)
}

// lastInMind is the index of what Raft takes for the last entry of its log.
func (e *engine) lastInMind() uint64 {
	last, err := strconv.ParseUint(e.raft.Stats()["last_log_index"], 10, 64)
	if err != nil {
		panic(err) // Raft has just made it of a number
	}
	return last
}

// superfluous is the answer to a replica that this node has applied already, of a leader that it follows; nil if it
// has to be installed. To install it would drop what was acknowledged since.
//
// If the log still holds the replica's last entry, which is the leader's too since it was applied, the leader can go on from
// there. If the log begins above it the leader would have found an entry in common with it: then this is
// a message from long ago. But when all that is in the log was never applied, there may be none.
func (e *engine) superfluous(req *raft.InstallSnapshotRequest) *raft.InstallSnapshotResponse {
	if req.Term != e.raft.CurrentTerm() || e.raft.State() != raft.Follower {
		return nil
	}
	if term, err := e.termOf(req.LastLogIndex); err == nil && term == req.LastLogTerm {
		// The thesis, 5.1: a log that has the replica's last entry is kept. What it holds beyond that may be
		// acknowledged, also where it is not known to be committed here.
		return &raft.InstallSnapshotResponse{Term: req.Term, Success: true}
	}
	applied, _ := e.replica.Applied()
	first, err1 := e.logs.FirstIndex()
	last, err2 := e.logs.LastIndex()
	if err1 != nil || err2 != nil || applied < req.LastLogIndex {
		return nil
	}
	holds := first <= req.LastLogIndex && req.LastLogIndex <= last || last == 0 && applied == req.LastLogIndex
	if holds || last == 0 || applied >= first {
		e.node.log.Info("a replica is not installed: all of it was applied here before", "index", req.LastLogIndex, "applied", applied)
		return &raft.InstallSnapshotResponse{Term: req.Term, Success: holds}
	}
	return nil
}

// renew has a new engine take the place of one whose Raft is stuck, as a restart of the process would.
func (n *Node) renew(old *engine) {
	n.crew.spawn(func() {
		n.member <- struct{}{}
		defer func() { <-n.member }()
		for n.engine() == nil && wait(n.ctx, 10*time.Millisecond) { // it was opened a moment ago
		}
		if n.ctx.Err() != nil || n.engine() != old {
			return
		}
		ctx, cancel := context.WithTimeout(n.ctx, renewPatience)
		defer cancel()
		n.gate.shut(ctx) // others are refused for the moment that this takes
		defer n.gate.open()
		if n.ctx.Err() != nil {
			return
		}
		n.cur.Store(nil)
		err := old.close()
		if err == nil {
			err = n.run(false)
		}
		if err != nil {
			n.end(asExit(err))
		}
	})
}
