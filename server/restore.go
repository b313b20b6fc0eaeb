package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"

	"github.com/hashicorp/raft"

	"todod/fsm"
)

// A restore puts the lists of a backup in the place of those there are, at every node at the same entry of the
// log. The file is whole and checked at a majority of the voters before that entry is proposed; a
// node that has it not gets it from another before it applies the entry. raft.Restore is not used: it
// changes the leader first, which comes back diverged if it dies before the others hear of it.

// RestoreOptions go with a restore.
type RestoreOptions struct {
	Size    int64 // of the backup, in bytes; 0 or less if it is not known
	Foreign bool  // another group's backup may take the place of what this group has
}

// Restored is what a restore came to.
type Restored struct {
	Backup     fsm.BackupInfo
	Epoch, Rev uint64 // that the group is at now: the epoch is a new one, the rev is above all before
}

// Restore reads a backup and puts its lists in the place of the group's. Nothing is changed before all of it was read
// and checked. Errors are *Error whose Outcome is true; KindInvalid is a file that is damaged, newer or
// no backup. It may be called concurrently, once at a time on each node.
func (n *Node) Restore(ctx context.Context, from io.Reader, opt RestoreOptions) (Restored, error) {
	e, err := n.inGroup()
	if err != nil {
		return Restored{}, err
	}
	select {
	case e.restoring <- struct{}{}:
		defer func() { <-e.restoring }()
	default:
		return Restored{}, failure(KindOverloaded, NotApplied, "another restore is under way at this node: try again")
	}
	about, err := e.receiveBackup(from, opt.Size)
	if err != nil {
		return Restored{}, err
	}
	e.at("received")
	if err := e.mayRestore(ctx, &about, opt); err != nil {
		return Restored{}, err
	}
	if !n.gate.enter() {
		return Restored{}, failure(KindJoining, NotApplied, "this node is joining a group: try again, or ask another node")
	}
	defer n.gate.leave()
	if n.engine() != e {
		return Restored{}, failure(KindJoining, NotApplied, "this node joined another group meanwhile: try again")
	}
	to, err := e.restore(ctx, fsm.Restore{Hash: about.Hash, Size: about.Size})
	if err != nil {
		return Restored{}, AsError(err).toldBy(e.leaderID())
	}
	return Restored{Backup: about, Epoch: to.Epoch, Rev: to.Rev}, nil
}

// at tells tests how far a restore is.
func (e *engine) at(step string) {
	if e.node.cfg.step != nil {
		e.node.cfg.step(e.ctx, step)
	}
}

// receiveBackup stages a backup that a client sends.
func (e *engine) receiveBackup(from io.Reader, size int64) (fsm.BackupInfo, error) {
	if err := e.storage.stalled(); err != nil {
		return fsm.BackupInfo{}, err
	}
	about, err := e.replica.Stage(&roomy{from: from, s: e.storage, left: restoreRoom * size}, true)
	if err == nil {
		return about, nil
	}
	var errno syscall.Errno
	switch {
	case errors.Is(err, fsm.ErrNotBackup), errors.Is(err, fsm.ErrDamaged):
		err = failure(KindInvalid, NotApplied, "%v: nothing was changed", err)
	case errors.Is(err, fsm.ErrUnknown):
		err = failure(KindInvalid, NotApplied, "%v: run a todod that reads it, nothing was changed", err)
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		err = noRoom()
	case errors.As(err, &errno) && errors.As(err, new(*os.PathError)):
		err = failure(KindInternal, NotApplied, "the backup could not be written: %v", sentence(err))
	case !errors.As(err, new(*Error)):
		err = failure(KindInvalid, NotApplied, "the backup did not come whole: nothing was changed")
	}
	return about, err
}

// roomy looks after the room on the disk while a backup comes in.
type roomy struct {
	from io.Reader
	s    *storage
	left int64 // to be written, as far as is known
	read int64 // since it looked last; it looks before the first byte too
}

func (r *roomy) Read(b []byte) (int, error) {
	if r.read == 0 {
		if err := r.s.roomFor(max(r.left, 0)); err != nil {
			return 0, err
		}
	}
	n, err := r.from.Read(b)
	if r.read += int64(n); r.read > lookForRoom {
		r.left -= restoreRoom * r.read
		r.read = 0
	}
	return n, err
}

// mayRestore refuses a backup of another group for a group that has something to lose. A new group takes
// any: it is how a lost one comes back.
func (e *engine) mayRestore(ctx context.Context, about *fsm.BackupInfo, opt RestoreOptions) error {
	view, err := e.node.Read(ctx, ReadOptions{Level: Linearizable})
	if err != nil {
		return err
	}
	defer view.Close()
	if about.Group != e.node.groupID() && !view.Empty() && !opt.Foreign {
		return failure(KindConflict, NotApplied,
			"the backup is of another group (%s) and would take the place of what this one has: restore it with --foreign (?foreign=true) if that is meant", about.Group)
	}
	return e.mayRead(ctx, about)
}

// mayRead refuses a backup that some member of the group could not read what comes of. A group that has just begun
// raises its version within moments.
func (e *engine) mayRead(ctx context.Context, about *fsm.BackupInfo) error {
	ctx, cancel := context.WithTimeout(ctx, raisePatience)
	defer cancel()
	for e.replica.GroupVersion() < about.Needs {
		if !wait(ctx, 50*time.Millisecond) {
			return failure(KindVersion, NotApplied, "the backup needs version %d of the group, which is at %d: run a todod that knows it on every node of the group first",
				about.Needs, e.replica.GroupVersion())
		}
	}
	return nil
}

// restore stages a backup at a majority and has the leader propose it, again with another one while it is sure
// that nothing was proposed.
func (e *engine) restore(ctx context.Context, what fsm.Restore) (res restoredAt, err error) {
	for try := 0; ; try++ {
		var to leadership
		looking, cancel := e.node.deadline(ctx)
		to, err = e.awaitLeader(looking)
		cancel()
		if err == nil {
			err = e.spread(ctx, what, to)
		}
		if err == nil {
			e.at("spread")
			res, err = e.order(ctx, what, to)
		}
		failed := AsError(err)
		if err == nil || failed.Outcome != NotApplied || !again(failed.Kind) || try == restoreTries || !wait(ctx, electionTimeout) {
			return res, err
		}
		e.node.log.Warn("the backup was not restored yet: tried again", "reason", err)
	}
}

// restoredAt is the state that a restore came to.
type restoredAt struct{ Epoch, Rev uint64 }

// order has the leader propose the restore.
func (e *engine) order(ctx context.Context, what fsm.Restore, to leadership) (res restoredAt, err error) {
	ctx, cancel := context.WithTimeout(ctx, restoreTimeout)
	defer cancel()
	if to.term != nil {
		return to.term.restore(ctx, what)
	}
	e.whileLeads(cancel, ctx, to)
	return res, e.ask(ctx, to, callRestore, what, &res)
}

// restore is the leader's part. The membership stands still meanwhile, and a majority of the voters has said in
// this term that it has the backup.
func (t *term) restore(ctx context.Context, what fsm.Restore) (restoredAt, error) {
	select {
	case t.changing <- struct{}{}:
		defer func() { <-t.changing }()
	case <-ctx.Done():
		return restoredAt{}, failure(KindOverloaded, NotApplied, "a change of the group is under way: try again")
	}
	e := t.e
	if err := e.storage.refuse(fsm.TypeTodo); err != nil {
		return restoredAt{}, err
	}
	if err := t.vouched(ctx, what.Hash); err != nil {
		return restoredAt{}, err
	}
	e.at("vouched")
	what.Epoch = newEpoch()
	e.node.log.Info("restores a backup", "sha256", what.Hash, "bytes", what.Size, "epoch", what.Epoch)
	res, err := t.propose(ctx, fsm.TypeRestore, what.Encode())
	e.at("applied")
	return restoredAt{res.Epoch, res.Rev}, err
}

// vouched asks the voters whether they have a backup. Who says so keeps it: see staging.
func (t *term) vouched(ctx context.Context, hash string) error {
	e := t.e
	ctx, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()
	req := vow{Term: t.number, Hash: hash}
	if !e.staging.vow(req) {
		return failure(KindNoLeader, NotApplied, "the leader does not have the backup yet: try again")
	}
	all := voters(e.configuration())
	have := make(chan bool, len(all))
	for _, v := range all {
		if string(v.ID) == e.node.id {
			have <- true
			continue
		}
		client := e.node.port.Client(string(v.ID), string(v.Address))
		if !e.crew.spawn(func() {
			b, err := client.Call(ctx, callVow, mustJSON(req))
			have <- err == nil && string(b) == yes
		}) {
			have <- false
		}
	}
	agree := 0
	for range all {
		if <-have {
			agree++
		}
		if agree > len(all)/2 {
			return nil
		}
	}
	return failure(KindNoLeader, NotApplied, "too few nodes have the backup: try again when a majority is up")
}

// yes is the reply to a vow that was made.
const yes = "yes"

// spread stages a backup at the members, at the same time. It returns once the leader and a majority of the voters
// have it, and those that are quick too: it spares them a wait when the entry comes.
func (e *engine) spread(ctx context.Context, what fsm.Restore, to leadership) error {
	conf := e.configuration()
	type said struct {
		server raft.Server
		err    error
	}
	answers := make(chan said, len(conf.Servers))
	for _, s := range conf.Servers {
		if !e.crew.spawn(func() { answers <- said{s, e.stageAt(string(s.ID), string(s.Address), what)} }) {
			return stopping()
		}
	}
	need, led := len(voters(conf))/2+1, false
	var grace <-chan time.Time
	for range conf.Servers {
		select {
		case a := <-answers:
			switch {
			case a.err != nil:
				e.node.log.Warn("a node does not have the backup", "node", a.server.ID, "reason", a.err)
				continue
			case a.server.Suffrage == raft.Voter:
				need--
			}
			led = led || string(a.server.ID) == to.id
		case <-grace:
			return nil
		case <-ctx.Done():
			return failure(KindTimeout, NotApplied, "the restore was not waited for: nothing was changed")
		}
		if need <= 0 && led && grace == nil {
			grace = time.After(spreadGrace)
		}
	}
	if need > 0 || !led {
		return failure(KindNoLeader, NotApplied, "the backup could not be brought to a majority of the nodes: nothing was changed, try again")
	}
	return nil
}

// stageAt has a node get a backup from this one, and gives up when that gives no sign of life.
func (e *engine) stageAt(id, addr string, what fsm.Restore) error {
	if id == e.node.id {
		if ok, err := e.replica.Prepare(what.Hash); !ok {
			return cmp.Or(err, os.ErrNotExist)
		}
		return nil
	}
	ctx, cancel := context.WithCancel(e.ctx)
	defer cancel()
	e.crew.spawn(func() {
		for wait(ctx, downAfter) {
			if !e.monitor.alive(id) {
				cancel()
			}
		}
	})
	err := e.ask(ctx, leadership{id: id, addr: addr}, callStage, stageRequest{what, e.node.id}, nil)
	if err != nil && ctx.Err() != nil {
		return fmt.Errorf("node %s gives no sign of life", id)
	}
	return err
}
