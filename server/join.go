package server

import (
	"context"
	"errors"
	"slices"
	"time"

	"todod/fsm"
)

// expect founds a group together with the nodes of --join, once all are there and name the
// same ones: the lowest ID founds it, the others join that one. If any of them has a
// group already, this node joins it.
func (n *Node) expect() {
	for {
		ids, agree := []string{n.id}, 1
		seen := n.look()
		for _, c := range seen {
			switch {
			case c.State == StateMember:
				n.join(n.cfg.Join)
				return
			case c.State == StateEmpty && c.Expect == n.cfg.BootstrapExpect && !slices.Contains(ids, c.ID):
				ids = append(ids, c.ID)
			}
		}
		slices.Sort(ids)
		n.sees.Store(&ids)
		for _, c := range seen {
			if slices.Equal(c.Sees, ids) {
				agree++
			}
		}
		if len(ids) > n.cfg.BootstrapExpect {
			n.log.Warn("more nodes than --bootstrap-expect names: give each the same --join", "nodes", ids)
		}
		if len(ids) == n.cfg.BootstrapExpect && agree == len(ids) && ids[0] == n.id {
			if err := n.found(); err != nil {
				n.end(asExit(err))
			}
			return
		}
		if !wait(n.ctx, expectEvery) {
			return
		}
	}
}

// look asks the nodes of --join how they see the group; this node itself is left out.
func (n *Node) look() (seen []Cluster) {
	for _, addr := range n.cfg.Join {
		ctx, cancel := context.WithTimeout(n.ctx, pingTimeout)
		c, err := n.cfg.Contacts.Cluster(ctx, addr)
		cancel()
		if err == nil && c.ID != n.id {
			seen = append(seen, c)
		}
	}
	return seen
}

// join asks to be let into a group until it is told yes or no. That it asked is on disk first:
// the request may arrive and the answer be lost.
func (n *Node) join(targets []string) {
	// What a group of one left is given up, also when a crash came in between.
	err := n.folder.change(func(s *folderState) { s.Phase, s.Targets, s.Group = phaseJoining, targets, "" })
	if err = errors.Join(err, n.folder.wipe()); err != nil {
		n.end(asExit(err))
		return
	}
	n.step("join: begun")
	n.log.Info("asks to join a group", "of", targets)
	for told := false; ; {
		group, err := n.ask(targets)
		var refused *Error
		switch {
		case err == nil:
			n.step("join: let in")
			n.joined(group)
			return
		case errors.As(err, &refused) && refused.Kind == KindConflict:
			n.refused(refused)
			return
		}
		if !told && n.ctx.Err() == nil {
			n.log.Warn("not let into a group yet: asks again", "of", targets, "reason", err)
			told = true
		}
		if !wait(n.ctx, joinEvery) {
			return
		}
	}
}

// ask asks each target once. A refusal ends the asking.
func (n *Node) ask(targets []string) (group string, err error) {
	req := JoinRequest{ID: n.id, HTTP: n.cfg.AdvertiseHTTP, Raft: n.advertise, Folder: n.identity().Folder, Group: n.groupID(), Reads: n.reads()}
	err = failure(KindNoLeader, NotApplied, "no address of another node to ask")
	for _, addr := range targets {
		if addr == n.cfg.AdvertiseHTTP {
			continue
		}
		ctx, cancel := context.WithTimeout(n.ctx, n.cfg.RequestTimeout)
		group, err = n.cfg.Contacts.Join(ctx, addr, req)
		cancel()
		var refused *Error
		if err == nil || errors.As(err, &refused) && refused.Kind == KindConflict {
			return group, err
		}
	}
	return "", err
}

// askAgain asks once more, as a member that the log has not reached. It knows nobody else yet: should it
// have been taken out, nobody would ever tell it.
func (n *Node) askAgain() {
	_, err := n.ask(n.folder.targets())
	var refused *Error
	if errors.As(err, &refused) && refused.Kind == KindConflict {
		n.end(exit(ExitFolderRefused, "node %s is not let into the group any more: %s", n.id, refused.Detail))
	}
}

// step lets a test end the node there.
func (n *Node) step(at string) {
	if n.cfg.step != nil {
		n.cfg.step(n.ctx, at)
	}
}

// joined makes this node a member of the group that took it in.
func (n *Node) joined(group string) {
	n.setGroup(group)
	if err := n.run(false); err != nil {
		n.end(asExit(err))
		return
	}
	n.step("join: a member")
	n.log.Info("joined", "group", group)
}

// refused makes this node a group of one again if it was one, and ends it else.
func (n *Node) refused(why *Error) {
	former := n.folder.state.Former
	if former == "" {
		n.end(exit(ExitFolderRefused, "node %s was not let into the group: %s", n.id, why.Detail))
		return
	}
	n.log.Error("not let into the group: stays a group of one", "reason", why.Detail)
	err := n.folder.change(func(s *folderState) {
		s.Phase, s.Group, s.Former, s.Targets = phaseFounding, former, "", nil
	})
	if err == nil {
		n.step("join: refused")
		err = n.found()
	}
	if err != nil {
		n.end(asExit(err))
	}
}

// JoinGroup has this node, which must be a group of one that never accepted a write, join the
// group of the node whose HTTP address is addr. It returns when the node was let in or refused,
// or when ctx ends: the node goes on asking then.
func (n *Node) JoinGroup(ctx context.Context, addr string) error {
	select {
	case n.member <- struct{}{}:
		defer func() { <-n.member }()
	default:
		return failure(KindConflict, NotApplied, "this node is joining a group already")
	}
	e, err := n.inGroup()
	if err != nil {
		return err
	}
	if err := n.mayLeave(ctx, e, addr); err != nil {
		return err
	}
	defer n.gate.open()
	if !n.gate.shut(n.ctx) { // from here on writes are refused
		return stopping()
	}
	done, err := e.alone(ctx)
	if err != nil {
		return err
	}
	defer done()
	former := n.groupID()
	err = n.folder.change(func(s *folderState) {
		s.Phase, s.Targets, s.Group, s.Former = phaseJoining, []string{addr}, "", former
	})
	if err != nil {
		n.end(asExit(err)) // what node.json says now is not known
		return failure(KindInternal, UnknownOutcome, "the data folder could not be written")
	}
	n.step("join: gives up its group")
	n.cur.Store(nil)
	n.began.Store(nil)
	n.setGroup("")
	if err := e.close(); err != nil {
		n.end(asExit(err))
		return failure(KindInternal, UnknownOutcome, "the data folder could not be closed")
	}
	asked := make(chan struct{})
	if !n.crew.spawn(func() {
		defer close(asked)
		n.join([]string{addr})
	}) {
		close(asked)
	}
	select {
	case <-asked:
	case <-ctx.Done():
		return failure(KindTimeout, UnknownOutcome, "the node goes on asking to be let in")
	}
	switch {
	case n.groupID() == former:
		return failure(KindConflict, NotApplied, "the group did not let this node in: its log says why")
	case n.engine() == nil:
		return failure(KindShutdown, UnknownOutcome, "this node stopped before it was told yes or no: started again, it goes on asking")
	}
	return nil
}

// mayLeave checks before anything is given up that there is a group to join.
func (n *Node) mayLeave(ctx context.Context, e *engine, addr string) error {
	conf := e.configuration()
	if len(conf.Servers) > 1 {
		return failure(KindConflict, NotApplied, "this node is in a group of %d nodes: remove it there first, and begin with an empty folder", len(conf.Servers))
	}
	if err := e.neverWritten(); err != nil {
		return err
	}
	if n.cfg.Contacts == nil {
		return failure(KindInternal, NotApplied, "this node cannot ask others")
	}
	c, err := n.cfg.Contacts.Cluster(ctx, addr)
	switch {
	case err != nil:
		return failure(KindNoLeader, NotApplied, "no node answers at %s: give the HTTP address of a member of the group", addr)
	case c.State != StateMember:
		return failure(KindConflict, NotApplied, "the node at %s belongs to no group yet", addr)
	case c.Group == n.groupID():
		return failure(KindConflict, NotApplied, "the node at %s is of this node's own group", addr)
	}
	return nil
}

// alone makes sure that this is still a group of one that nobody wrote to, and keeps it so until
// done is called.
func (e *engine) alone(ctx context.Context) (done func(), err error) {
	t := e.term.Load()
	if t == nil {
		return nil, failure(KindNoLeader, NotApplied, "this node is not ready yet: try again")
	}
	select {
	case t.changing <- struct{}{}:
	case <-ctx.Done():
		return nil, failure(KindTimeout, NotApplied, "another change of the group is under way: try again")
	}
	done = func() { <-t.changing }
	if len(e.configuration().Servers) != 1 {
		err = failure(KindConflict, NotApplied, "another node has just joined this one")
	} else {
		err = e.neverWritten()
	}
	if err != nil {
		done()
		return nil, err
	}
	return done, nil
}

// neverWritten refuses to give up a log that says anything.
func (e *engine) neverWritten() error {
	empty := false
	if err := e.replica.Look(func(v *fsm.View) { empty = v.Empty() }); err != nil {
		return stopping()
	}
	if !empty {
		return failure(KindConflict, NotApplied, "this node holds entries: only an empty node can join a group")
	}
	return nil
}

// expectEvery is how often a node looks for the others of --bootstrap-expect.
const expectEvery = 100 * time.Millisecond
