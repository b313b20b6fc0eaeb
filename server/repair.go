package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"todod/fsm"
)

// A node whose replica is damaged gets another from a member, before its Raft runs: until then it is as good as
// down. Its log, its term and its vote stay, so whatever it promised to hold it still holds: to begin
// with an empty log instead would let a node that lacks an acknowledged entry be elected by its vote.

// scrub reads the replica's file again and again: what decays there is found before it is needed. What
// it finds is told storageFailed; what ended it early is tried again next time.
func (e *engine) scrub() {
	for wait(e.ctx, e.node.cfg.ScrubInterval) {
		if e.replica.Rescan(e.ctx) == nil {
			e.node.metrics.scrubs.Inc()
		}
	}
}

// lostReplica is the Exit of a node whose replica cannot be used, but may be had from others.
type lostReplica struct{ *Exit }

func (l lostReplica) Unwrap() error { return l.Exit }

// replicaDamaged ends a node whose replica turned out to be damaged. A leader hands over first: that
// takes its log alone.
func (n *Node) replicaDamaged(err error) {
	if n.lonely() {
		n.end(alone(err))
		return
	}
	n.log.Error("the replica is damaged", "err", err)
	n.crew.spawn(func() {
		ctx, cancel := context.WithTimeout(n.ctx, pingTimeout)
		n.HandOver(ctx)
		cancel()
		n.end(exit(ExitStorage, "the replica is damaged: start this node again, and it gets another from the other nodes (%v)", sentence(err)))
	})
}

// lonely reports whether no other node has a replica, as far as this one knows.
func (n *Node) lonely() bool { return len(n.folder.peers()) == 0 && len(n.folder.targets()) == 0 }

// alone is the end of a node with a damaged replica of which there is no other.
func alone(err error) *Exit {
	return exit(ExitStorage, "the replica is damaged and no other node has one: begin anew with an empty folder, and restore the last backup with 'todod restore FILE' (%v)", sentence(err))
}

// orRepair begins the repair if a lost replica is all that keeps this node from running.
func (n *Node) orRepair(err error) error {
	var lost lostReplica
	switch {
	case !errors.As(err, &lost):
		return err
	case n.lonely():
		return alone(lost)
	}
	n.log.Error("the replica is damaged: gets another from the other nodes", "reason", lost.Reason)
	n.crew.spawn(n.repair)
	return nil
}

// repair gets a replica and runs the node on it.
func (n *Node) repair() {
	for told := false; ; {
		err := n.refetch()
		if err == nil {
			if err := n.run(false); err != nil {
				n.end(asExit(err))
			}
			return
		}
		if why := new(Exit); errors.As(err, &why) {
			n.end(why)
			return
		}
		if !told && n.ctx.Err() == nil {
			n.log.Warn("no replica from another node yet: asks again", "reason", err)
			told = true
		}
		if !wait(n.ctx, joinEvery) {
			return
		}
	}
}

const (
	repairName = "repair"             // the folder in which a replica is received
	asideName  = replicaName + ".bad" // where the damaged one is kept, the newest only
)

// refetch gets a replica from another member and puts it in the place of the damaged one. A crash at any step leaves the
// damaged file, none, or the new one; all but the last come here again.
func (n *Node) refetch() (err error) {
	dir := n.folder.dir
	logs, err := openLogStore(filepath.Join(dir, logName), n.cfg.NoSync, newUnderway(), n.storageFailed)
	if err != nil {
		return logExit(err)
	}
	defer func() { err = errors.Join(err, logs.Close()) }()
	first, err := logs.FirstIndex()
	if err != nil {
		return err
	}
	tmp := filepath.Join(dir, repairName)
	defer func() { err = errors.Join(err, os.RemoveAll(tmp)) }()
	if err := n.meet(); err != nil {
		return err
	}
	meta, err := n.receive(tmp, first)
	if err != nil {
		return err
	}
	if n.folder.has(replicaName) {
		if err := os.Rename(filepath.Join(dir, replicaName), filepath.Join(dir, asideName)); err != nil {
			return asStorageExit(err)
		}
	}
	if err := os.Rename(filepath.Join(tmp, replicaName), filepath.Join(dir, replicaName)); err != nil {
		return asStorageExit(err)
	}
	if err := n.folder.sync(); err != nil {
		return asStorageExit(err)
	}
	n.log.Info("got a replica from another node", "log entry", meta.Index)
	return reconcile(logs, first, meta)
}

func asStorageExit(err error) error {
	return exit(ExitStorage, "the replica cannot be put in place: %v", sentence(err))
}

// reconcile brings a log in line with a replica that was received, as Raft does with a snapshot: where it
// has the replica's last entry, or begins right behind it, it goes on from there; else no entry of it that the
// replica lacks is committed.
func reconcile(logs *logStore, first uint64, meta *raft.SnapshotMeta) error {
	last, err := logs.LastIndex()
	if err != nil || first == 0 || first == meta.Index+1 {
		return err
	}
	var at raft.Log
	if last >= meta.Index {
		if err := logs.GetLog(meta.Index, &at); err != nil {
			return err
		}
	}
	if at.Term == meta.Term {
		return nil
	}
	return logs.DeleteRange(first, last)
}

// receive gets a replica from whoever has one that this node's log, which begins at first, can go on from.
func (n *Node) receive(tmp string, first uint64) (meta *raft.SnapshotMeta, err error) {
	for _, id := range n.byAge() {
		if err = os.RemoveAll(tmp); err != nil {
			return nil, asStorageExit(err)
		}
		if err = os.Mkdir(tmp, 0o700); err != nil {
			return nil, asStorageExit(err)
		}
		if meta, err = n.receiveFrom(id, tmp, first); err == nil {
			return meta, nil
		}
		err = fmt.Errorf("of node %s: %w", id, err)
	}
	if err == nil {
		err = errors.New("no other node answers")
	}
	return nil, err
}

// meet asks whom this node was let in by who the members are: it died before it wrote that down.
func (n *Node) meet() error {
	if len(n.folder.peers()) > 0 || n.cfg.Contacts == nil {
		return nil
	}
	for _, addr := range n.folder.targets() {
		ctx, cancel := context.WithTimeout(n.ctx, pingTimeout)
		c, err := n.cfg.Contacts.Cluster(ctx, addr)
		cancel()
		peers := map[string]string{}
		for _, m := range c.Members {
			if m.ID != n.id {
				peers[m.ID] = m.Raft
			}
		}
		if err == nil && c.Group == n.groupID() && len(peers) > 0 {
			return n.folder.change(func(s *folderState) { s.Peers = peers })
		}
	}
	return nil
}

// byAge are the other members that answer: one that leads first, then the newest.
func (n *Node) byAge() (ids []string) {
	pongs := map[string]pong{}
	for id, addr := range n.folder.peers() {
		ctx, cancel := context.WithTimeout(n.ctx, pingTimeout)
		body, err := n.port.Client(id, addr).Call(ctx, callPing, nil)
		cancel()
		var p pong
		if err == nil && json.Unmarshal(body, &p) == nil && len(body) > 0 {
			pongs[id] = p
		}
	}
	return slices.SortedFunc(maps.Keys(pongs), func(a, b string) int {
		pa, pb := pongs[a], pongs[b]
		switch {
		case pa.Leads != pb.Leads && pa.Leads, pa.Leads == pb.Leads && pa.Applied > pb.Applied:
			return -1
		}
		return 1
	})
}

// lentReplica is the answer to a call for a replica.
type lentReplica struct {
	Meta *raft.SnapshotMeta `json:"meta"`
	Size int64              `json:"size"`
}

func (n *Node) receiveFrom(id, tmp string, first uint64) (_ *raft.SnapshotMeta, err error) {
	client := n.port.Client(id, n.folder.peers()[id])
	ctx, cancel := context.WithTimeout(n.ctx, lendTimeout)
	defer cancel()
	body, err := client.Call(ctx, callReplica, nil)
	if err != nil {
		return nil, err
	}
	var lent lentReplica
	if json.Unmarshal(body, &lent) != nil || lent.Meta == nil {
		return nil, errors.New("it gives none away now")
	}
	if lent.Meta.Index+1 < first {
		return nil, fmt.Errorf("it ends at log entry %d, before this node's log", lent.Meta.Index)
	}
	replica, err := fsm.Open(fsm.Config{Dir: tmp, Group: n.groupID(), NoSync: n.cfg.NoSync, Reads: n.cfg.reads})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, replica.Close()) }()
	sink, err := replica.Snapshots().Create(raft.SnapshotVersionMax, lent.Meta.Index, lent.Meta.Term, lent.Meta.Configuration, lent.Meta.ConfigurationIndex, nil)
	if err != nil {
		return nil, err
	}
	for at := int64(0); at < lent.Size; {
		ctx, cancel := context.WithTimeout(n.ctx, transportTimeout)
		part, err := client.Call(ctx, callReplicaPart, mustJSON(at))
		cancel()
		if err == nil && len(part) == 0 {
			err = errors.New("it broke off")
		}
		if err == nil {
			_, err = sink.Write(part)
		}
		if err != nil {
			return nil, errors.Join(err, sink.Cancel())
		}
		at += int64(len(part))
	}
	if err := sink.Close(); err != nil { // all of it is checked here
		return nil, err
	}
	_, rc, err := replica.Snapshots().Open(sink.ID())
	if err != nil {
		return nil, err
	}
	return lent.Meta, replica.Restore(rc)
}

// lending is the copies of this node's replica that others are getting, one for each of them.
type lending struct {
	e     *engine
	mu    sync.Mutex
	files map[string]*os.File
	idle  map[string]*time.Timer
}

func newLending(e *engine) *lending {
	return &lending{e: e, files: map[string]*os.File{}, idle: map[string]*time.Timer{}}
}

// handle answers a node that asks for a replica, or for a part of the copy that was made for it.
func (l *lending) handle(from string, kind uint8, body []byte, reply func([]byte)) {
	if !l.e.crew.spawn(func() {
		if kind == callReplica {
			lent, err := l.lend(from)
			if err != nil {
				l.e.node.log.Warn("gives no replica away", "to", from, "reason", err)
			}
			reply(mustJSON(lent))
			return
		}
		reply(l.part(from, body))
	}) {
		reply(nil)
	}
}

// lend makes a copy of the replica, checked, in a file without a name: to read it from the replica itself for as
// long as the other node takes would keep its pages from being used again.
func (l *lending) lend(to string) (lent lentReplica, err error) {
	e := l.e
	if err := e.storage.room(e.replica.Path()); err != nil {
		return lent, err
	}
	if err := e.replica.Flush(); err != nil {
		return lent, err
	}
	list, err := e.replica.Snapshots().List()
	if err != nil || len(list) == 0 {
		return lent, errors.Join(err, errors.New("it is empty"))
	}
	meta, rc, err := e.replica.Snapshots().Open(list[0].ID)
	if err != nil {
		return lent, err
	}
	defer func() { err = errors.Join(err, rc.Close()) }()
	file, err := spool(e.node.folder.dir)
	if err != nil {
		return lent, err
	}
	size, err := io.Copy(file, rc)
	if err != nil {
		return lent, errors.Join(err, file.Close())
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.drop(to)
	l.files[to] = file
	l.idle[to] = time.AfterFunc(lendTimeout, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.files[to] == file {
			l.drop(to)
		}
	})
	return lentReplica{meta, size}, nil
}

// drop is called with mu held.
func (l *lending) drop(to string) {
	if f := l.files[to]; f != nil {
		_ = f.Close() // it has no name and was only read
		l.idle[to].Stop()
		delete(l.files, to)
		delete(l.idle, to)
	}
}

func (l *lending) part(to string, body []byte) []byte {
	var at int64
	if json.Unmarshal(body, &at) != nil || at < 0 {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	f := l.files[to]
	if f == nil {
		return nil
	}
	l.idle[to].Reset(lendTimeout)
	b := make([]byte, chunkBytes)
	got, err := f.ReadAt(b, at)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil
	}
	return b[:got]
}

func (l *lending) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for to := range l.files {
		l.drop(to)
	}
}

// remember keeps in the folder where the other members are: a node that has lost its replica knows it from nowhere
// else. It is called often, and does little.
func (n *Node) remember(conf raft.Configuration) {
	peers := map[string]string{}
	for _, s := range conf.Servers {
		if id := string(s.ID); id != n.id {
			peers[id] = string(s.Address)
		}
	}
	if maps.Equal(peers, n.folder.peers()) && len(n.folder.targets()) == 0 {
		return
	}
	n.crew.spawn(func() { // the disk may take its time, and who calls has others to look after
		select {
		case n.member <- struct{}{}:
			defer func() { <-n.member }()
		default:
			return // this node's own membership is changing: it comes again
		}
		if n.ctx.Err() != nil || n.folder.phase() != phaseMember {
			return
		}
		if err := n.folder.change(func(s *folderState) { s.Peers, s.Targets = peers, nil }); err != nil {
			n.end(asExit(err))
		}
	})
}
