package server

import (
	"context"
	"encoding/binary"
	"encoding/json"

	"todod/server/peer"
)

// The kinds of call between peers. They cross the wire: never renumber.
const (
	callForward   = 1 // writes of a follower's clients
	callTerm      = 2 // which term does the peer know?
	callReadIndex = 3 // up to where is the leader's log committed?
	callPing      = 4
	callGone      = 5 // does the peer find another node dead?
	callAdmin     = 6 // a change of the group, for the leader
	callRegistry  = 7
	callRemoved   = 8  // tells a node that it was taken out of the group
	callMark      = 9  // this node's hashes at a mark, for those of the peer
	callStage     = 10 // has the peer get a backup from this node
	callChunk     = 11 // a part of a backup that is staged
	callVow       = 12 // has the peer a backup staged, and will it keep it?
	callRestore   = 13 // restores a backup, for the leader
	// A node that lost its replica asks for a copy of the peer's, then for the parts of it.
	callReplica     = 14
	callReplicaPart = 15
)

// said is a reply to a call that is not about entries: a failure, or what was asked for.
type said struct {
	Failure *Error          `json:"failure,omitempty"`
	Value   json.RawMessage `json:"value,omitempty"`
}

// ask makes a call that is answered with a said.
func (e *engine) ask(ctx context.Context, to leadership, kind uint8, req, into any) error {
	body, err := e.node.port.Client(to.id, to.addr).Call(ctx, kind, mustJSON(req))
	if err != nil {
		return callError(err)
	}
	if len(body) == 0 {
		return failure(KindNoLeader, UnknownOutcome, "the leader is stopping: try again")
	}
	var s said
	if err := json.Unmarshal(body, &s); err != nil {
		return failure(KindInternal, UnknownOutcome, "the leader's answer could not be read")
	}
	switch {
	case s.Failure != nil:
		return s.Failure
	case into != nil:
		return json.Unmarshal(s.Value, into)
	}
	return nil
}

// handle takes a call of a peer.
func (n *Node) handle(from peer.Identity, kind uint8, body []byte, reply func([]byte)) {
	e := n.engine()
	if e == nil || n.exit.Load() != nil { // one that ends has nothing to say
		reply(nil)
		return
	}
	switch kind {
	case callForward:
		e.handleForward(body, reply)
	case callTerm:
		reply(binary.BigEndian.AppendUint64(nil, e.raft.CurrentTerm()))
	case callReadIndex:
		e.handleReadIndex(from.Node, reply)
	case callPing:
		reply(mustJSON(e.pong()))
	case callGone:
		reply(mustJSON(e.handleGone(body)))
	case callMark:
		reply(e.divergence.handle(from.Node, body))
	case callReplica, callReplicaPart:
		e.lending.handle(from.Node, kind, body, reply)
	case callRemoved:
		n.removed(0)
		reply(nil)
	case callAdmin, callRegistry:
		if !e.crew.spawn(func() { reply(mustJSON(e.answer(kind, body))) }) {
			reply(nil)
		}
	case callStage, callChunk, callVow, callRestore:
		e.handleStaged(kind, body, reply)
	default:
		reply(nil)
	}
}

// answer is what the leader says to a call that may take its time.
func (e *engine) answer(kind uint8, body []byte) said {
	ctx, cancel := e.node.deadline(e.ctx)
	defer cancel()
	t := e.usableTerm(ctx)
	if t == nil {
		return said{Failure: failure(KindNoLeader, NotApplied, "the node that was asked does not lead")}
	}
	if kind == callRegistry {
		return said{Value: mustJSON(Registry{Leader: e.node.id, Processes: t.registry.processes()})}
	}
	var a admin
	if err := json.Unmarshal(body, &a); err != nil {
		return said{Failure: failure(KindInvalid, NotApplied, "malformed message from a peer")}
	}
	if err := t.change(ctx, a); err != nil {
		return said{Failure: AsError(err)}
	}
	return said{}
}
