package server

import (
	"cmp"
	"context"
	"errors"

	"todod/fsm"
)

// The group has a version: what is above it is refused before it is proposed, so that no member
// ever meets an entry of the log that it cannot apply. fsm/version.go has the table.

// reads is the highest version of a group that this node can be a member of.
func (n *Node) reads() uint64 { return cmp.Or(n.cfg.reads, fsm.Reads) }

// readable refuses a command that some member of the group could not apply.
func (e *engine) readable(c *fsm.Command) error {
	if err := e.replica.Readable(c); err != nil {
		return failure(KindVersion, NotApplied, "%v: run a todod that knows it on every node of the group first", err)
	}
	return nil
}

// upgrade raises the version of the group once every member can read a higher one.
func (t *term) upgrade() {
	for {
		t.raise()
		if !wait(t.ctx, upgradeEvery) {
			return
		}
	}
}

// raise is a change of the group: nobody may join in between who cannot read what comes of it.
func (t *term) raise() {
	if t.e.allRead() <= t.e.replica.GroupVersion() {
		return
	}
	select {
	case t.changing <- struct{}{}:
		defer func() { <-t.changing }()
	default:
		return // tried again
	}
	to := t.e.allRead()
	if to <= t.e.replica.GroupVersion() {
		return
	}
	ctx, cancel := context.WithTimeout(t.ctx, electionTimeout)
	defer cancel()
	if _, err := t.propose(ctx, fsm.TypeVersion, fsm.Version{Group: to}.Encode()); err != nil {
		t.e.node.log.Warn("the version of the group was not raised yet", "to", to, "err", err)
		return
	}
	t.e.node.log.Info("raised the version of the group: no older todod can be a member from here on", "to", to)
}

// allRead is the highest version that every member can read, those without a vote too. A
// member that was not heard of lately may be anything: 0.
func (e *engine) allRead() uint64 {
	least := e.node.reads()
	for _, s := range e.configuration().Servers {
		if id := string(s.ID); id != e.node.id {
			least = min(least, e.monitor.reads(id))
		}
	}
	return least
}

// reads is the highest version of a group that another member says it can read, 0 if it gave no sign of
// life lately or has ended since: what comes back may be another program.
func (m *monitor) reads(id string) uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	p := m.peers[id]
	if p == nil || !p.alive() || p.boot == p.gone {
		return 0
	}
	return p.last.Reads
}

// mayRead refuses a node that could not read what the group logs. One that does not say what it
// reads is of the first version.
func (t *term) mayRead(req JoinRequest) error {
	group, reads := t.e.replica.GroupVersion(), max(req.Reads, 1)
	if reads >= group {
		return nil
	}
	return failure(KindConflict, NotApplied, "the group is at version %d and the todod of node %s reads up to %d: start the node with a newer todod", group, req.ID, reads)
}

// tooNew is the end of a node whose group went on to a version that its program cannot read, nil for any
// other error. Nothing of its folder was changed: a newer program goes on with it.
func tooNew(err error) *Exit {
	var newer *fsm.TooNew
	if !errors.As(err, &newer) {
		return nil
	}
	return exit(ExitFolderRefused, "%v: run a newer todod on this folder", newer)
}
