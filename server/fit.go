package server

import "github.com/hashicorp/raft"

// fit makes of a leader's message what Raft may act on.
//
// Raft commits as far as the leader has and this node's log reaches, though nobody compared what the log holds
// beyond the message with the leader's: only up to its last entry is that known (the thesis, figure 3.1).
//
// And where this node cut its log beyond what the leader knows it to have, Raft would look in vain for the
// entry to compare, and refuse each message that follows for good. All that is applied was
// committed, so the leader has the same: the comparison begins there.
func (e *engine) fit(req *raft.AppendEntriesRequest) *raft.AppendEntriesRequest {
	if e.node.cfg.keepStuck {
		return req
	}
	fitted := *req
	fitted.LeaderCommitIndex = min(req.LeaderCommitIndex, req.PrevLogEntry+uint64(len(req.Entries)))
	at, term := e.replica.At()
	if len(req.Entries) == 0 || req.PrevLogEntry >= at {
		return &fitted
	}
	if first, err := e.logs.FirstIndex(); err != nil || first != 0 && first <= req.PrevLogEntry+1 {
		return &fitted
	}
	known := min(at-req.PrevLogEntry, uint64(len(req.Entries)))
	fitted.PrevLogEntry, fitted.PrevLogTerm, fitted.Entries = at, term, req.Entries[known:]
	fitted.LeaderCommitIndex = min(req.LeaderCommitIndex, at+uint64(len(fitted.Entries)))
	return &fitted
}
