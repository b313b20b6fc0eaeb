package server

import (
	"context"
	"slices"
	"strings"

	"todod/fsm"
)

// What a node tells of itself and of the group as it sees it.

// Cluster returns the group as this node sees it.
func (n *Node) Cluster() Cluster {
	c := Cluster{ID: n.id, State: StateEmpty, Group: n.groupID(), Version: n.cfg.Version, Reads: n.reads(), Folder: n.identity().Folder}
	e := n.engine()
	if e == nil {
		c.Expect = n.cfg.BootstrapExpect
		if sees := n.sees.Load(); sees != nil {
			c.Sees = *sees
		}
		switch n.folder.phase() {
		case phaseJoining:
			c.State = StateJoining
		case phaseMember:
			c.State = StateRepairing
		}
		return c
	}
	c.State = StateMember
	c.Leader, c.Term, c.Commit = e.leaderID(), e.raft.CurrentTerm(), e.raft.CommitIndex()
	c.Applied, _ = e.replica.Applied()
	c.Snapshot, c.GroupVersion = e.lastSnapshot(), e.replica.GroupVersion()
	c.Members = e.members()
	c.Diverged = e.divergence.undecided.Load()
	return c
}

// members are those of the configuration, with the addresses the replica knows.
func (e *engine) members() (all []Member) {
	conf := e.configuration()
	if err := e.replica.Look(func(view *fsm.View) {
		for _, s := range conf.Servers {
			m := Member{ID: string(s.ID), Raft: string(s.Address), Voter: s.Suffrage == 0}
			if known, ok := view.Member(m.ID); ok {
				m.HTTP = known.HTTP
			}
			all = append(all, m)
		}
	}); err != nil {
		return nil
	}
	for i := range all {
		e.monitor.describe(&all[i])
	}
	slices.SortFunc(all, func(a, b Member) int { return strings.Compare(a.ID, b.ID) })
	return all
}

// Registry returns the leader's registry of list processes; it asks the leader.
func (n *Node) Registry(ctx context.Context) (Registry, error) {
	e, err := n.inGroup()
	if err != nil {
		return Registry{}, err
	}
	ctx, cancel := n.deadline(ctx)
	defer cancel()
	to, err := e.awaitLeader(ctx)
	if err != nil {
		return Registry{}, err
	}
	if to.term != nil {
		return Registry{Leader: n.id, Processes: to.term.registry.processes()}, nil
	}
	var reg Registry
	return reg, e.ask(ctx, to, callRegistry, nil, &reg)
}

// Where says at which node the process of a list would live, and whether it does: alive is
// nil on a node that does not lead. It asks no other node.
func (n *Node) Where(list string) (node string, alive *bool) {
	e := n.engine()
	if e == nil {
		return "", nil
	}
	if t := e.term.Load(); t != nil {
		lives := t.registry.alive(list)
		return n.id, &lives
	}
	return e.leaderID(), nil
}

// Ready returns nil when this node serves: it belongs to a group, its disk answers, it knows a
// leader and is not far behind it; else an *Error that says what is missing.
func (n *Node) Ready() error {
	e, err := n.inGroup()
	if err != nil {
		return err
	}
	if err := e.storage.stalled(); err != nil {
		return err
	}
	if e.leaderID() == "" {
		return failure(KindNoLeader, NotApplied, "the group has no leader now: try again")
	}
	applied, _ := e.replica.Applied()
	if commit := e.raft.CommitIndex(); applied+maxLag < commit {
		return failure(KindBehind, NotApplied, "this node is catching up: it has applied %d of %d log entries", applied, commit)
	}
	return nil
}

// Hash returns the hashes of this node's replica.
func (n *Node) Hash() fsm.Hash {
	if e := n.engine(); e != nil {
		return e.replica.Hash()
	}
	return fsm.Hash{}
}

const maxLag = 2 * maxAppendEntries
