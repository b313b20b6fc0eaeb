package server

import (
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"

	"todod/server/peer"
)

// transport is Raft's transport over the peer port. It says whom it wants at an address,
// so that a reused address takes nobody in, and lets this node hand messages to itself.
type transport struct {
	*raft.NetworkTransport
	term   *steadyTerm
	handle func(raft.RPC) // Raft's own handler of heartbeats
	// sent is told when a replica came to a peer; install takes one that came here, and says whether to go on.
	sent    func(to string)
	hasAll  func(id string) // told when a peer has got all that the log held
	install func(raft.RPC, *raft.InstallSnapshotRequest) bool
	coming  func(*raft.InstallSnapshotRequest, io.Reader) io.Reader     // its replica
	fit     func(*raft.AppendEntriesRequest) *raft.AppendEntriesRequest // makes of a message what Raft may act on
	in      chan raft.RPC
	raft    atomic.Pointer[raft.Raft] // nil until it runs
	start   time.Time
	heard   atomic.Int64 // when a leader's message came last, since start; 0 for never
	closed  chan struct{}
	once    sync.Once
	done    sync.WaitGroup
}

var (
	_ raft.Transport   = (*transport)(nil)
	_ raft.WithPreVote = (*transport)(nil)
	_ raft.WithClose   = (*transport)(nil)
)

func newTransport(e *engine) *transport {
	n := e.node
	t := &transport{term: &e.logs.term, sent: e.sent, hasAll: e.held.hasAll, install: e.install, coming: e.coming, fit: e.fit, in: make(chan raft.RPC), closed: make(chan struct{}), start: time.Now()}
	t.NetworkTransport = raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{
		Stream: n.port.RaftLayer(), MaxPool: 3, Timeout: transportTimeout,
		Logger: newHclogger(n.log), MsgpackUseNewTimeFormat: true,
	})
	t.done.Go(t.pump)
	return t
}

// pump brings what peers sent to where this node's own messages go.
func (t *transport) pump() {
	for {
		select {
		case rpc := <-t.NetworkTransport.Consumer():
			t.listen(rpc)
			if req, ok := rpc.Command.(*raft.InstallSnapshotRequest); ok {
				rpc.Reader = t.coming(req, rpc.Reader)
				if t.raft.Load() != nil {
					if !t.install(rpc, req) {
						return
					}
					continue
				}
			}
			if req, ok := rpc.Command.(*raft.AppendEntriesRequest); ok && t.raft.Load() != nil {
				rpc.Command = t.fit(req)
			}
			rpc.Command = t.vouch(rpc.Command)
			select {
			case t.in <- rpc:
			case <-t.closed:
				return
			}
		case <-t.closed:
			return
		}
	}
}

// SetHeartbeatHandler has heartbeats dealt with at once, as Raft asks.
func (t *transport) SetHeartbeatHandler(handle func(raft.RPC)) {
	if handle == nil {
		t.NetworkTransport.SetHeartbeatHandler(nil)
		return
	}
	t.handle = handle
	t.NetworkTransport.SetHeartbeatHandler(t.heartbeat)
}

// heartbeat has a heartbeat dealt with beside Raft's main goroutine, so that it does not wait for the
// disk, but only the usual one: of the term that is, at a follower. It can change nothing then.
// All others wait their turn.
//
// Raft would let any heartbeat change its state and its term while its main goroutine still acts as
// leader of the old one (processHeartbeat calls appendEntries, which is for the main goroutine alone).
// What that appends next carries the new leader's term, and where two entries have the same index and term
// Raft takes them for the same: the node would never get the new leader's entry.
func (t *transport) heartbeat(rpc raft.RPC) {
	t.listen(rpc)
	if t.usual(rpc) {
		return
	}
	select {
	case t.in <- rpc:
	case <-t.closed:
	}
}

// usual deals with a usual heartbeat. Raft's term stands still meanwhile: it writes a new one to the
// disk before it goes by it.
func (t *transport) usual(rpc raft.RPC) bool {
	r := t.raft.Load()
	req, ok := rpc.Command.(*raft.AppendEntriesRequest)
	if !ok || r == nil {
		return false
	}
	t.term.Lock()
	defer t.term.Unlock()
	now := t.term.now.Load()
	if req.Term != now || r.CurrentTerm() != now || r.State() != raft.Follower {
		return false
	}
	t.handle(rpc)
	return true
}

// listen notes when a leader was heard. Raft's own last contact is renewed by what this node hands itself.
func (t *transport) listen(rpc raft.RPC) {
	req, ok := rpc.Command.(*raft.AppendEntriesRequest)
	if r := t.raft.Load(); ok && r != nil && req.Term >= r.CurrentTerm() {
		t.heard.Store(max(1, int64(time.Since(t.start))))
	}
}

// vouch has a request for a vote judged by its log alone.
//
// Raft refuses a candidate that has no vote in this node's configuration, but the log of this node
// may lack the entry that gave it one: were the leader to die right then, the two nodes
// left of three could never elect. A majority's votes are safe whatever configuration those
// who give them know, and a candidate that was itself left behind has the shorter log.
//
// Raft also refuses while it knows a leader. A heartbeat is dealt with beside its main goroutine,
// and one that comes as this node becomes a candidate leaves it with a leader that it
// stands against: it would refuse all others for as long as it does not win.
func (t *transport) vouch(command any) any {
	r := t.raft.Load()
	if r == nil {
		return command
	}
	conf := r.GetConfiguration().Configuration()
	stranger := func(id []byte) bool {
		s, in := find(conf, string(id))
		return !in || s.Suffrage != raft.Voter
	}
	leader, _ := r.LeaderWithID()
	standing := leader != "" && r.State() == raft.Candidate
	switch req := command.(type) {
	case *raft.RequestVoteRequest:
		known := *req
		if stranger(req.ID) {
			known.ID = nil // not checked then; the vote goes to the address
		}
		known.LeadershipTransfer = req.LeadershipTransfer || standing
		return &known
	case *raft.RequestPreVoteRequest:
		known := *req
		if all := voters(conf); stranger(req.ID) && len(all) > 0 {
			known.ID = []byte(all[0].ID) // checked for having a vote, and for nothing else
		}
		if standing {
			known.Addr = []byte(leader) // compared with the leader, and logged
		}
		return &known
	}
	return command
}

// lastContact is how long ago a leader was heard, -1 for never.
func (t *transport) lastContact() time.Duration {
	heard := t.heard.Load()
	if heard == 0 {
		return -1
	}
	return time.Since(t.start) - time.Duration(heard)
}

func (t *transport) Close() error {
	t.once.Do(func() { close(t.closed) })
	err := t.NetworkTransport.Close()
	t.CloseStreams()
	t.done.Wait()
	return err
}

func (t *transport) Consumer() <-chan raft.RPC { return t.in }

var errNoAnswer = errors.New("the peer does not answer")

var errTransportClosed = errors.New("the transport is closed")

// hand gives this node's Raft a message as if it had come from the network, and waits until
// it was dealt with.
func (t *transport) hand(command any) (any, error) {
	reply := make(chan raft.RPCResponse, 1)
	timeout := time.NewTimer(electionTimeout)
	defer timeout.Stop()
	select {
	case t.in <- raft.RPC{Command: command, RespChan: reply}:
	case <-t.closed:
		return nil, errTransportClosed
	case <-timeout.C:
		return nil, errTransportClosed
	}
	select {
	case r := <-reply:
		return r.Response, r.Error
	case <-t.closed:
		return nil, errTransportClosed
	}
}

func (t *transport) AppendEntriesPipeline(id raft.ServerID, to raft.ServerAddress) (raft.AppendPipeline, error) {
	p, err := t.NetworkTransport.AppendEntriesPipeline(id, peer.Target(id, to))
	if err != nil {
		return nil, err
	}
	t.hasAll(string(id)) // until then Raft sends one message at a time
	return pipeline{p}, nil
}

// pipeline is one that cannot be stuck for ever. Raft stops reading from a pipeline when an answer
// names a newer term; what it was about to send then waits for a place that nobody makes, its
// heartbeats go on in the old term, and shutting Raft down waits for them.
type pipeline struct{ raft.AppendPipeline }

func (p pipeline) AppendEntries(req *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) (raft.AppendFuture, error) {
	stuck := time.AfterFunc(electionTimeout, func() { _ = p.Close() })
	defer stuck.Stop()
	return p.AppendPipeline.AppendEntries(req, resp)
}

func (t *transport) AppendEntries(id raft.ServerID, to raft.ServerAddress, req *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) error {
	return t.NetworkTransport.AppendEntries(id, peer.Target(id, to), req, resp)
}

func (t *transport) InstallSnapshot(id raft.ServerID, to raft.ServerAddress, req *raft.InstallSnapshotRequest, resp *raft.InstallSnapshotResponse, data io.Reader) error {
	err := t.NetworkTransport.InstallSnapshot(id, peer.Target(id, to), req, resp, data)
	if err == nil {
		t.sent(string(id))
	}
	return err
}

// A pooled connection may have died with its peer's last process. Raft does not ask again for
// a vote, so one that got no answer is asked for once more: the pool drops what failed.

func (t *transport) RequestVote(id raft.ServerID, to raft.ServerAddress, req *raft.RequestVoteRequest, resp *raft.RequestVoteResponse) error {
	return t.twice(func() error { return t.NetworkTransport.RequestVote(id, peer.Target(id, to), req, resp) })
}

func (t *transport) RequestPreVote(id raft.ServerID, to raft.ServerAddress, req *raft.RequestPreVoteRequest, resp *raft.RequestPreVoteResponse) error {
	return t.twice(func() error { return t.NetworkTransport.RequestPreVote(id, peer.Target(id, to), req, resp) })
}

func (t *transport) TimeoutNow(id raft.ServerID, to raft.ServerAddress, req *raft.TimeoutNowRequest, resp *raft.TimeoutNowResponse) error {
	// Nothing is proposed until this is answered: a node that was paused a moment ago must
	// not hold the group for the transport's own timeout.
	answer := make(chan error, 1)
	var got raft.TimeoutNowResponse
	go func() {
		answer <- t.twice(func() error { return t.NetworkTransport.TimeoutNow(id, peer.Target(id, to), req, &got) })
	}()
	timeout := time.NewTimer(electionTimeout)
	defer timeout.Stop()
	select {
	case err := <-answer:
		*resp = got
		return err
	case <-timeout.C:
		return errNoAnswer
	}
}

func (t *transport) twice(ask func() error) error {
	err := ask()
	// Only a connection that ended at once was a stale one.
	for tries := 0; errors.Is(err, io.EOF) && tries < 3; tries++ { // the pool holds up to MaxPool stale ones
		err = ask()
	}
	return err
}
