package server

import (
	"context"
	"time"

	"github.com/hashicorp/raft"

	"todod/fsm"
)

// tend is what a leader does for its members without being asked: it gives votes to those that have caught
// up, and ends removals that a leader before it began.
func (t *term) tend() {
	for {
		change, pause := t.e.news(), pingEvery
		removed := t.removed()
		for _, s := range t.e.configuration().Servers {
			switch {
			case removed[string(s.ID)]:
				t.alone(func() { t.endRemoval(string(s.ID)) })
			case s.Suffrage == raft.Nonvoter:
				pause = promoteEvery
				t.e.monitor.look(string(s.ID))
				t.alone(func() { t.mayPromote(s.ID) })
			}
		}
		if !waitOr(t.ctx, pause, change) {
			return
		}
	}
}

// alone does something unless another change of the group is under way.
func (t *term) alone(do func()) {
	select {
	case t.changing <- struct{}{}:
		defer func() { <-t.changing }()
		do()
	default:
	}
}

// removed are the nodes that the group recorded as removed.
func (t *term) removed() map[string]bool {
	ids := map[string]bool{}
	_ = t.e.replica.Look(func(v *fsm.View) { // what fails ends the node, and has been told
		for _, m := range v.Members() {
			if m.Status == fsm.Removed {
				ids[m.ID] = true
			}
		}
	})
	return ids
}

// endRemoval takes out a node that was recorded as removed and is still in.
func (t *term) endRemoval(id string) {
	if t.removed()[id] {
		ctx, cancel := context.WithTimeout(t.ctx, closeTimeout)
		defer cancel()
		t.e.node.log.Info("ends a removal that was begun", "of", id)
		if err := t.remove(ctx, id); err != nil {
			t.e.node.log.Warn("a removal that was begun did not end: tried again", "of", id, "reason", err)
		}
	}
}

// mayPromote gives a member its vote if it has caught up and answers: a group of one that gives a vote
// to a node that has just vanished is without a majority.
func (t *term) mayPromote(id raft.ServerID) {
	e := t.e
	applied, alive := e.monitor.applied(string(id))
	if !alive || applied+maxLag < e.raft.CommitIndex() {
		return
	}
	s, in := find(e.configuration(), string(id))
	m, known, err := t.member(string(id))
	if err != nil || !in || s.Suffrage != raft.Nonvoter || known && m.Status == fsm.Removed || e.monitor.answering(t.ctx, []raft.Server{s}) == 0 {
		return
	}
	e.node.log.Info("gives a vote", "to", s.ID)
	e.node.step("promote: begun")
	if err := e.raft.AddVoter(s.ID, s.Address, 0, electionTimeout).Error(); err != nil {
		e.node.log.Debug("no vote given: tried again", "to", s.ID, "err", err)
	}
	e.node.step("promote: done")
}

// standing is a member as the rule about dead ones sees it.
type standing struct {
	id     string
	voter  bool
	silent time.Duration // how long it has given no sign of life; 0 for one that is alive
}

// deadMember is the rule of --remove-dead-after: it picks the member to take out, the longest silent one,
// or none. The leader itself must have led for that long, a majority of the voters must be alive,
// and of two voters none goes: the one that is left could not tell a death from a cut cable.
func deadMember(all []standing, leads, after time.Duration) (id string) {
	voters, alive, longest := 0, 0, time.Duration(0)
	for _, m := range all {
		if m.voter {
			voters++
			if m.silent == 0 {
				alive++
			}
		}
	}
	if after <= 0 || leads < after || alive <= voters/2 {
		return ""
	}
	for _, m := range all {
		if m.silent >= after && m.silent > longest && (!m.voter || voters > 2) {
			id, longest = m.id, m.silent
		}
	}
	return id
}

// cleanUp takes out members that have been dead for long, one at a time, if the flag says so. It counts
// in its own ticks: a leader that was stopped, or a machine that slept, has not seen anyone silent.
func (t *term) cleanUp() {
	n := t.e.node
	after := n.cfg.RemoveDeadAfter
	silent := map[string]time.Duration{}
	for leads := time.Duration(0); after > 0 && wait(t.ctx, cleanEvery); {
		leads += cleanEvery
		var all []standing
		seen := map[string]time.Duration{}
		for _, s := range t.e.configuration().Servers {
			id := string(s.ID)
			if !t.e.monitor.alive(id) {
				seen[id] = silent[id] + cleanEvery
			}
			all = append(all, standing{id: id, voter: s.Suffrage == raft.Voter, silent: seen[id]})
		}
		silent = seen
		if id := deadMember(all, leads, after); id != "" {
			t.alone(func() { t.removeDead(id, silent[id]) })
		}
	}
}

// removeDead takes a dead member out, unless it has just come back.
func (t *term) removeDead(id string, silent time.Duration) {
	n := t.e.node
	ctx, cancel := context.WithTimeout(t.ctx, closeTimeout)
	defer cancel()
	server, in := find(t.e.configuration(), id)
	if !in || t.e.monitor.answering(ctx, []raft.Server{server}) > 0 {
		return
	}
	n.log.Warn("takes out a member that is dead", "about", id, "silent", silent, "remove_dead_after", n.cfg.RemoveDeadAfter)
	n.event(NodeDead, id, t.number)
	if err := t.remove(ctx, id); err != nil {
		n.log.Warn("a dead member was not taken out: tried again", "about", id, "reason", err)
	}
}
