package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	"github.com/hashicorp/raft"

	"todod/fsm"
)

// admin is a change of the group: exactly one of the fields is set.
type admin struct {
	Add      *JoinRequest `json:"add,omitempty"`
	Remove   string       `json:"remove,omitempty"`
	Transfer *string      `json:"transfer,omitempty"`
}

// AddMember takes a node into the group, first without a vote; the leader promotes it once it
// has caught up. It is forwarded to the leader, and returns the group's ID.
func (n *Node) AddMember(ctx context.Context, req JoinRequest) (group string, err error) {
	if err := n.change(ctx, admin{Add: &req}); err != nil {
		return "", err
	}
	return n.groupID(), nil
}

// RemoveMember takes a node out of the group for good; it is forwarded to the leader.
func (n *Node) RemoveMember(ctx context.Context, id string) error {
	if id == n.id {
		n.leaving.Store(true)
	}
	return n.change(ctx, admin{Remove: id})
}

// Transfer hands leadership to a voter, "" for any; it is forwarded to the leader.
func (n *Node) Transfer(ctx context.Context, to string) error {
	return n.change(ctx, admin{Transfer: &to})
}

// change takes a change of the group to the leader, again until there is one that answers. Every
// change may be asked for twice.
func (n *Node) change(ctx context.Context, a admin) error {
	e, err := n.inGroup()
	if err != nil {
		return err
	}
	return e.change(ctx, a)
}

func (e *engine) change(ctx context.Context, a admin) error {
	ctx, cancel := e.node.deadline(ctx)
	defer cancel()
	for sent := false; ; {
		to, err := e.awaitLeader(ctx)
		last := err != nil
		switch {
		case last:
		case to.term != nil:
			err = to.term.change(ctx, a)
		default:
			err = e.ask(ctx, to, callAdmin, a, nil)
		}
		if err == nil {
			return nil
		}
		failed := AsError(err)
		sent = sent || failed.Outcome == UnknownOutcome
		if last || !again(failed.Kind) || !wait(ctx, roundPause) {
			if sent {
				failed = begun(failed) // whatever the last try came to
			}
			return failed.toldBy(e.leaderID())
		}
	}
}

// change makes a change of the group. One is made at a time.
func (t *term) change(ctx context.Context, a admin) error {
	select {
	case t.changing <- struct{}{}:
		defer func() { <-t.changing }()
	case <-ctx.Done():
		return failure(KindTimeout, NotApplied, "another change of the group is under way: try again")
	}
	switch {
	case a.Add != nil:
		return t.add(ctx, *a.Add)
	case a.Remove != "":
		return t.remove(ctx, a.Remove)
	case a.Transfer != nil:
		return t.e.handOver(ctx, *a.Transfer)
	}
	return failure(KindInvalid, NotApplied, "a change of the group that this node does not know")
}

// add lets a node in, or changes the addresses of one that is in.
func (t *term) add(ctx context.Context, req JoinRequest) error {
	if err := t.mayAdd(req); err != nil {
		return err
	}
	if err := t.mayMove(ctx, req); err != nil {
		return err
	}
	m := fsm.Member{ID: req.ID, Folder: req.Folder, HTTP: req.HTTP, Raft: req.Raft, Status: fsm.Known}
	if err := t.record(ctx, m); err != nil {
		return err
	}
	t.e.node.step("add: recorded")
	conf := t.e.configuration()
	id, addr := raft.ServerID(req.ID), raft.ServerAddress(req.Raft)
	old, in := find(conf, req.ID)
	if in && old.Address == addr {
		return nil
	}
	change := t.e.raft.AddNonvoter
	if in && old.Suffrage == raft.Voter {
		change = t.e.raft.AddVoter
	}
	if err := change(id, addr, 0, remaining(ctx)).Error(); err != nil {
		return begun(configError(err))
	}
	t.e.node.step("add: in")
	t.e.tell() // it is to be watched, and given a vote, without delay
	return nil
}

// mayAdd checks a request by what the group knows; what it cannot see is refused when applied.
func (t *term) mayAdd(req JoinRequest) error {
	if err := CheckID(req.ID); err != nil {
		return failure(KindInvalid, NotApplied, "%v", err)
	}
	for _, addr := range []string{req.HTTP, req.Raft} {
		if host, port, err := net.SplitHostPort(addr); err != nil || host == "" || port == "" {
			return failure(KindInvalid, NotApplied, "the address %q must be host:port", addr)
		}
	}
	if req.Folder == "" || len(req.Folder) > 64 {
		return failure(KindInvalid, NotApplied, "the request names no data folder")
	}
	if err := t.mayRead(req); err != nil {
		return err
	}
	if group := t.e.node.groupID(); req.Group != "" && req.Group != group {
		return failure(KindConflict, NotApplied, "the data folder of node %s is of another group: begin with an empty folder", req.ID)
	}
	var members []fsm.Member
	if err := t.e.replica.Look(func(v *fsm.View) { members = v.Members() }); err != nil {
		return stopping()
	}
	conf := t.e.configuration()
	for _, m := range members {
		_, in := find(conf, m.ID)
		if m.ID != req.ID && in && (m.HTTP == req.HTTP || m.Raft == req.Raft) {
			return failure(KindConflict, NotApplied, "node %s has one of the addresses %s and %s already: give node %s others", m.ID, req.HTTP, req.Raft, req.ID)
		}
	}
	return nil
}

// mayMove refuses to look for a member at another address while another process of it answers at the one
// that is known: one of the two runs on a copy of the folder.
func (t *term) mayMove(ctx context.Context, req JoinRequest) error {
	old, in := find(t.e.configuration(), req.ID)
	if req.Boot == "" || !in || string(old.Address) == req.Raft {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()
	client := t.e.node.port.Client(req.ID, string(old.Address))
	if _, err := client.Call(ctx, callPing, nil); err != nil {
		return nil
	}
	if who, _ := client.Peer(); who.Boot != req.Boot {
		return failure(KindConflict, NotApplied, "node %s runs already, at %s: stop one of the two", req.ID, old.Address)
	}
	return nil
}

// record has the group remember a node.
func (t *term) record(ctx context.Context, m fsm.Member) error {
	res, err := t.propose(ctx, fsm.TypeMember, m.Encode())
	if err == nil && res.Code != 0 {
		err = refusal(res.Code)
	}
	return err
}

// remove takes a node out for good.
func (t *term) remove(ctx context.Context, id string) error {
	e := t.e
	conf := e.configuration()
	server, in := find(conf, id)
	m, known, err := t.member(id)
	switch {
	case err != nil:
		return err
	case !in && known && m.Status == fsm.Removed:
		return nil
	case !in && !known:
		return failure(KindNotFound, NotApplied, "the group has no node %s", id)
	}
	if err := t.mayRemove(ctx, conf, server, in); err != nil {
		return err
	}
	if id == e.node.id { // another one leads, and takes this one out
		if err := e.handOver(ctx, ""); err != nil {
			return err
		}
		return failure(KindNoLeader, NotApplied, "leadership was handed over: try again")
	}
	m.ID = id
	return t.takeOut(ctx, m, server, in)
}

// takeOut records a node as removed and then takes it out of the configuration. After a crash in between
// the next leader ends what was begun (tend.go); the other way round would leave a node that
// is out and could come back.
func (t *term) takeOut(ctx context.Context, m fsm.Member, server raft.Server, in bool) error {
	e := t.e
	if m.Status != fsm.Removed {
		m.Status = fsm.Removed
		if err := t.record(ctx, m); err != nil {
			return err
		}
		e.node.step("remove: recorded")
	}
	if !in {
		return nil
	}
	if err := e.raft.RemoveServer(server.ID, 0, remaining(ctx)).Error(); err != nil {
		return begun(configError(err))
	}
	e.node.step("remove: out")
	ctx, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()
	// A node that does not hear of it is told when it comes back.
	_, _ = e.node.port.Client(m.ID, string(server.Address)).Call(ctx, callRemoved, nil)
	e.node.step("remove: told")
	return nil
}

func (t *term) member(id string) (fsm.Member, bool, error) {
	m, ok, err := t.e.replica.Member(id)
	if err != nil {
		return m, false, stopping()
	}
	return m, ok, nil
}

// mayRemove refuses to take out a node when those left could not go on. Who is alive is asked anew: for
// two seconds after a machine lost its power its node counts as alive, and the one that
// is to go may be what the majority hangs on.
func (t *term) mayRemove(ctx context.Context, conf raft.Configuration, server raft.Server, in bool) error {
	if !in || server.Suffrage != raft.Voter {
		return nil
	}
	left := slices.DeleteFunc(voters(conf), func(v raft.Server) bool { return v.ID == server.ID })
	if len(left) == 0 {
		return failure(KindConflict, NotApplied, "node %s is the last voter of its group: stop it instead", server.ID)
	}
	if alive := t.e.monitor.answering(ctx, left); alive <= len(left)/2 {
		return failure(KindConflict, NotApplied, "only %d of the %d voters that would be left are alive: bring them back or remove those that are dead first", alive, len(left))
	}
	return nil
}

// begun is the error of a change that may be half done: what is asked for again, or a leader by itself,
// does the rest.
func begun(err error) *Error {
	e := *AsError(err)
	e.Outcome = UnknownOutcome
	return &e
}

// configError says what is known of a change of the configuration.
func configError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, raft.ErrNotLeader), errors.Is(err, raft.ErrLeadershipLost),
		errors.Is(err, raft.ErrRaftShutdown):
		return failure(KindNoLeader, UnknownOutcome, "the leader was lost during the change: try again")
	case errors.Is(err, raft.ErrEnqueueTimeout):
		return failure(KindTimeout, NotApplied, "another change of the group is under way: try again")
	}
	return failure(KindTimeout, UnknownOutcome, "the group could not be changed: %v", err)
}

func remaining(ctx context.Context) time.Duration {
	if end, ok := ctx.Deadline(); ok {
		return max(time.Until(end), time.Millisecond)
	}
	return electionTimeout
}

// handOver hands leadership to a voter, "" for the one that is best prepared and whose disk is well, and waits until
// this node knows who leads.
func (e *engine) handOver(ctx context.Context, to string) error {
	conf := e.configuration()
	var best raft.Server
	var most uint64
	bestFit := false
	for _, v := range voters(conf) {
		id := string(v.ID)
		applied, alive := e.monitor.applied(id)
		if id == e.node.id || !alive || to != "" && id != to {
			continue
		}
		disk, _, _ := e.monitor.disk(id)
		fit := disk.fit()
		if best.ID == "" || fit && !bestFit || fit == bestFit && applied > most {
			best, most, bestFit = v, applied, fit
		}
	}
	if to == e.node.id {
		return nil
	}
	if best.ID == "" {
		if server, in := find(conf, to); to != "" && (!in || server.Suffrage != raft.Voter) {
			return failure(KindNotFound, NotApplied, "the group has no voter %s", to)
		}
		return failure(KindConflict, NotApplied, "no other voter is alive to lead: start one first")
	}
	t := e.term.Load()
	if t == nil {
		return failure(KindNoLeader, NotApplied, "this node does not lead: try again")
	}
	return t.handTo(ctx, best)
}

// handTo has a voter begin an election that it wins: nothing is proposed meanwhile, so that its log is as good as any. Raft's
// own transfer is not used: once one of them was in vain, 1.7.3 may leave the next to the same node without an end, and should leadership
// end meanwhile and come back, the leader refuses all proposals for good.
func (t *term) handTo(ctx context.Context, v raft.Server) error {
	e := t.e
	select {
	case e.handing <- struct{}{}:
		defer func() { <-e.handing }()
	default:
		return failure(KindNoLeader, NotApplied, "leadership is on its way already: try again")
	}
	e.node.step("transfer: begun")
	ctx, cancel := context.WithTimeout(ctx, electionTimeout)
	defer cancel()
	leads, stop := context.WithCancel(ctx)
	defer context.AfterFunc(t.ctx, stop)()
	defer stop()
	resume, err := t.proposer.pause(leads)
	if err != nil {
		return failure(KindConflict, NotApplied, "leadership could not be handed over: what was proposed is not decided yet")
	}
	defer resume()
	if err := t.caughtUp(leads, v); err != nil {
		return failure(KindConflict, NotApplied, "leadership could not be handed over: %v", err)
	}
	if err := e.trans.TimeoutNow(v.ID, v.Address, e.timeoutNow(), &raft.TimeoutNowResponse{}); err != nil {
		return failure(KindConflict, UnknownOutcome, "leadership could not be handed over: %v", err) // it may have been told
	}
	e.node.step("transfer: done")
	for over := t.ctx.Done(); ; {
		change := e.news()
		if id := e.leaderID(); id != "" && id != e.node.id {
			return nil
		}
		select {
		case <-change:
		case <-over:
			resume() // what waits here is sent to whoever leads
			over = nil
		case <-ctx.Done():
			if t.ctx.Err() != nil {
				return nil // it was handed over; who got it is not known here yet
			}
			return failure(KindConflict, UnknownOutcome, "leadership could not be handed over: %s did not win an election", v.ID)
		}
	}
}

// caughtUp waits until a voter has all of this node's log.
func (t *term) caughtUp(ctx context.Context, v raft.Server) error {
	for client := t.e.node.port.Client(string(v.ID), string(v.Address)); ; {
		body, err := client.Call(ctx, callPing, nil)
		if err != nil {
			return fmt.Errorf("%s does not answer", v.ID)
		}
		var has pong
		if err := json.Unmarshal(body, &has); err != nil {
			return fmt.Errorf("read what %s answers: %w", v.ID, err)
		}
		if has.LastIndex >= t.e.raft.LastIndex() {
			return nil
		}
		if !wait(ctx, time.Millisecond) {
			return fmt.Errorf("%s has not got all of the log yet", v.ID)
		}
	}
}

// announce tells the group this node's addresses when it knows others, or none.
func (e *engine) announce() {
	n := e.node
	req := JoinRequest{ID: n.id, HTTP: n.cfg.AdvertiseHTTP, Raft: n.advertise, Folder: n.identity().Folder, Group: n.groupID(), Reads: n.reads(), Boot: n.boot}
	told := false
	for waited := false; ; waited = true {
		m, ok, err := e.replica.Member(n.id)
		if err != nil {
			return
		}
		conf := e.configuration()
		if server, in := find(conf, n.id); ok && m.HTTP == req.HTTP && m.Raft == req.Raft && (!in || string(server.Address) == req.Raft) {
			return
		}
		if waited && len(conf.Servers) == 0 {
			if n.askAgain(); !wait(e.ctx, joinEvery) {
				return
			}
			continue
		}
		ctx, cancel := context.WithTimeout(e.ctx, min(n.cfg.RequestTimeout, pingTimeout))
		if to, ok := e.monitor.leads(); ok && e.leaderID() == "" {
			err = e.ask(ctx, to, callAdmin, admin{Add: &req}, nil)
		} else {
			err = e.change(ctx, admin{Add: &req})
		}
		cancel()
		pause := joinEvery
		if err != nil && e.ctx.Err() == nil && !again(AsError(err).Kind) {
			if pause = downAfter; !told { // what is in the way may go, as a process that still ends does
				n.log.Warn("the group does not take this node's addresses", "reason", err)
				told = true
			}
		}
		if err == nil || !wait(e.ctx, pause) {
			return
		}
	}
}
