package server

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"
	berrors "go.etcd.io/bbolt/errors"

	"todod/fsm"
)

// engine is a node's part in one group: Raft, the replica, and what runs on top of them. A
// node has none before it belongs to a group, and another one after it joined another group.
type engine struct {
	node    *Node
	logs    *logStore
	cache   *raft.LogCache
	replica *fsm.Replica
	trans   *transport
	raft    *raft.Raft

	term       atomic.Pointer[term] // this node's leadership, once it is usable
	boot       string               // of this engine: the session's, whose numbers begin anew with it
	sendings   sendings
	held       held
	numbers    numbers
	opening    chan struct{} // a token while the session is being opened
	forwarder  *forwarder
	monitor    *monitor
	reads      *rounds
	storage    *storage
	divergence *divergence
	lending    *lending
	staging    *staging
	restoring  chan struct{} // a token while a client's backup is being restored
	backups    chan struct{} // a token for each backup that is being made or read

	changes struct {
		sync.Mutex
		next chan struct{} // closed when the leader changed, or this node's term
	}
	ctx    context.Context
	cancel context.CancelFunc
	led    chan struct{} // closed when lead has returned
	crew   crew          // all other goroutines

	handing chan struct{} // a token while leadership is being handed over
}

// The names of a node's files, below its folder.
const (
	logName     = "raft.db"
	replicaName = fsm.FileName
)

// openEngine opens the files of a group and starts Raft on them. A group of one is founded first
// when found is set and the files hold nothing.
//
// A node that was let into a group is a member from when its files are there, and before its Raft runs: it never voted in
// what it might yet wipe, and a member without a log has lost it.
func openEngine(n *Node, found bool) (e *engine, err error) {
	e = &engine{node: n, boot: rand.Text(), opening: make(chan struct{}, 1), backups: make(chan struct{}, maxBackups),
		restoring: make(chan struct{}, 1), handing: make(chan struct{}, 1), led: make(chan struct{})}
	e.ctx, e.cancel = context.WithCancel(context.Background())
	e.changes.next = make(chan struct{})
	e.forwarder = newForwarder(e)
	e.reads = newRounds(e)
	e.monitor = newMonitor(e)
	e.staging = newStaging(e)
	e.divergence = newDivergence(e)
	e.lending = newLending(e)
	if err := e.openFiles(); err != nil {
		return nil, err
	}
	e.trans = newTransport(e)
	if n.folder.phase() == phaseJoining {
		err = n.folder.change(func(s *folderState) {
			if s.Phase == phaseJoining { // it may have been told by now that it was removed
				s.Phase, s.Group, s.Former = phaseMember, n.groupID(), ""
			}
		})
	}
	if err == nil {
		err = e.startRaft(found)
	}
	if err != nil {
		return nil, errors.Join(err, e.trans.Close(), e.replica.Close(), e.logs.Close(), e.storage.close())
	}
	go func() {
		defer close(e.led)
		e.lead()
	}()
	observed := make(chan raft.Observation, 16)
	e.raft.RegisterObserver(raft.NewObserver(observed, false, func(o *raft.Observation) bool {
		_, ok := o.Data.(raft.LeaderObservation)
		return ok
	}))
	e.crew.spawn(func() { e.observe(observed) })
	e.crew.spawn(e.compact)
	e.crew.spawn(e.monitor.run)
	e.crew.spawn(e.announce)
	e.crew.spawn(e.storage.watch)
	e.crew.spawn(e.staging.watch)
	e.crew.spawn(e.divergence.watch)
	e.crew.spawn(e.scrub)
	return e, nil
}

func (e *engine) openFiles() (err error) {
	n := e.node
	if e.storage, err = newStorage(e); err != nil {
		return exit(ExitStorage, "the data folder cannot be used: %v", sentence(err))
	}
	defer func() {
		if err != nil {
			_ = e.storage.close() // what failed first is told
		}
	}()
	member := n.folder.phase() == phaseMember
	if e.logs, err = openLogStore(filepath.Join(n.folder.dir, logName), n.cfg.NoSync, e.storage.writes, n.storageFailed); err != nil {
		return logExit(err)
	}
	e.logs.step = e.at
	defer func() {
		if err != nil {
			_ = e.logs.Close()
		}
	}()
	if err := e.logs.claim(n.folder.state.Folder, n.groupID(), !member); err != nil {
		return err
	}
	if err := e.openReplica(member && !n.folder.has(replicaName)); err != nil {
		if errors.Is(err, fsm.ErrCorrupt) {
			return lostReplica{replicaExit(err)}
		}
		return replicaExit(err)
	}
	if err := e.logs.clearBelow(e.replica.At()); err != nil {
		return errors.Join(logExit(err), e.replica.Abandon())
	}
	if !n.cfg.keepStuck {
		e.logs.applied = e.replica.At
	}
	return n.folder.sync()
}

// openReplica opens the replica. One that was lost is made anew if the log still tells all of it.
func (e *engine) openReplica(lost bool) (err error) {
	n := e.node
	e.replica, err = fsm.Open(fsm.Config{Dir: n.folder.dir, Group: n.groupID(), NoSync: n.cfg.NoSync, Reads: n.cfg.reads, Fatal: n.storageFailed,
		Fetch: e.staging.fetch, Step: e.at})
	if err != nil {
		return err
	}
	at, _, err1 := e.replica.Durable()
	first, err2 := e.logs.FirstIndex()
	switch {
	case err1 != nil || err2 != nil:
		err = errors.Join(err1, err2)
	case first > at+1, lost && first == 0:
		err = fmt.Errorf("the replica ends at log entry %d, and the log begins at %d: %w", at, first, fsm.ErrCorrupt)
	case lost:
		n.log.Warn("the replica is missing: it is made anew from the log")
	}
	if err != nil {
		err = errors.Join(err, e.replica.Abandon())
		if lost { // an empty one that stayed would be taken for that of a member that has just joined
			err = errors.Join(err, os.Remove(e.replica.Path()))
		}
		return err
	}
	return nil
}

// logExit says why a log cannot be used.
func logExit(err error) *Exit {
	switch {
	case errors.Is(err, fsm.ErrDamaged):
		return exit(ExitUnknownEntry, "the log is damaged: %s (%v)", beginAnew, sentence(err))
	case errors.Is(err, berrors.ErrTimeout):
		return exit(ExitFailed, "another process has the log open: stop it, or give another --id or --data")
	}
	return exit(ExitStorage, "the log cannot be opened: %v", sentence(err))
}

func (e *engine) startRaft(found bool) (err error) {
	n := e.node
	conf := raft.DefaultConfig()
	conf.LocalID = raft.ServerID(n.id)
	conf.HeartbeatTimeout, conf.ElectionTimeout, conf.LeaderLeaseTimeout = electionTimeout, electionTimeout, electionTimeout
	conf.CommitTimeout = commitTimeout
	conf.MaxAppendEntries = maxAppendEntries
	conf.TrailingLogs = n.cfg.TrailingLogs
	// Snapshots are called for by compact, which knows the bytes too.
	conf.SnapshotThreshold, conf.SnapshotInterval = 1<<40, 24*time.Hour
	conf.NoSnapshotRestoreOnStart = true // the replica on disk is the snapshot
	conf.NoLegacyTelemetry = true
	conf.ShutdownOnRemove = false // the node stops by itself, in order
	conf.Logger = newHclogger(n.log)

	if e.cache, err = raft.NewLogCache(logCache, e.logs); err != nil {
		return err
	}
	snaps := e.held.snapshots(e.replica.Snapshots())
	if found {
		has, err := raft.HasExistingState(e.cache, e.logs, snaps)
		if err != nil {
			return exit(ExitStorage, "the log cannot be read: %v", sentence(err))
		}
		if !has {
			alone := raft.Configuration{Servers: []raft.Server{{ID: conf.LocalID, Address: raft.ServerAddress(n.advertise)}}}
			if err := raft.BootstrapCluster(conf, e.cache, e.logs, snaps, e.trans, alone); err != nil {
				return exit(ExitStorage, "the group cannot be founded: %v", sentence(err))
			}
		}
	}
	defer func() { // Raft panics on an entry of the log that it cannot read
		if p := recover(); p != nil {
			err = exit(ExitStorage, "the log cannot be read: %v", p)
			if bad, ok := p.(error); ok && (errors.Is(bad, fsm.ErrDamaged) || errors.Is(bad, raft.ErrLogNotFound)) {
				err = exit(ExitUnknownEntry, "an entry of the log is damaged or missing: %s", beginAnew)
			}
		}
	}()
	machine := raft.BatchingFSM(e.replica)
	if n.cfg.machine != nil {
		machine = n.cfg.machine(machine)
	}
	if e.raft, err = raft.NewRaft(conf, machine, e.cache, e.logs, snaps, e.trans); err != nil {
		return exit(ExitStorage, "the log cannot be read: %v", sentence(err))
	}
	began := e.raft.LastIndex()
	n.began.Store(&began)
	e.trans.raft.Store(e.raft)
	return nil
}

// replicaExit says why a replica's file cannot be used.
func replicaExit(err error) *Exit {
	if newer := tooNew(err); newer != nil {
		return newer
	}
	switch {
	case errors.Is(err, fsm.ErrUnknown):
		return exit(ExitFolderRefused, "the data folder is of a newer todod: run that version")
	case errors.Is(err, fsm.ErrForeign):
		return exit(ExitFolderRefused, "the replica (replica.db) is that of another group: put the right one back, or %s", beginAnew)
	case errors.Is(err, fsm.ErrCorrupt):
		return exit(ExitStorage, "the replica is damaged: a node of a group gets another when it is started; one that is alone begins with an empty folder and restores a backup")
	}
	return exit(ExitStorage, "the replica cannot be opened: %v", sentence(err))
}

// close ends the engine. Proposals under way come to their end first: Raft forgets to answer
// some of those that it was shut down with.
func (e *engine) close() error {
	e.cancel()
	select {
	case <-e.led:
	case <-time.After(closeTimeout):
	}
	err := e.raft.Shutdown().Error()
	select { // Raft 1.7.3 answers nobody who waits for what its state machine had not come to
	case <-e.led:
	case <-time.After(closeTimeout):
	}
	e.crew.close()
	e.lending.close()
	return errors.Join(err, e.replica.Close(), e.logs.Close(), e.storage.close())
}

// within bounds what is asked of another node.
func (e *engine) within(d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(e.ctx, d)
}

// tell tells who waits for another leader, or another member, to look again.
func (e *engine) tell() {
	e.changes.Lock()
	defer e.changes.Unlock()
	close(e.changes.next)
	e.changes.next = make(chan struct{})
}

func (e *engine) news() <-chan struct{} {
	e.changes.Lock()
	defer e.changes.Unlock()
	return e.changes.next
}

// observe follows who leads.
func (e *engine) observe(observed <-chan raft.Observation) {
	last := ""
	for {
		select {
		case <-observed:
			id := e.leaderID()
			if id != last {
				last = id
				e.node.event(LeaderChanged, id, e.raft.CurrentTerm())
			}
			e.tell()
		case <-e.ctx.Done():
			return
		}
	}
}

// compact has Raft take a snapshot, which costs a flush of the replica, and cut its log when that
// has grown. It goes by what the log holds: after a restart Raft takes the replica's own
// state for the last snapshot, and would never cut a log that grows by a few entries
// between restarts.
func (e *engine) compact() {
	for tried := uint64(0); wait(e.ctx, compactEvery); {
		first, err1 := e.logs.FirstIndex()
		last, err2 := e.logs.LastIndex()
		if err1 != nil || err2 != nil {
			continue // reported by the log itself
		}
		if last-first < e.node.cfg.TrailingLogs+e.node.cfg.SnapshotEntries && e.logs.bytes.Load() < snapshotBytes || last == tried || e.keepsLog() {
			continue
		}
		tried = last
		conf := e.raft.ReloadableConfig()
		if conf.TrailingLogs = e.trailing(first, last); conf.TrailingLogs == 0 {
			continue // reported by the log itself
		}
		if err := e.raft.ReloadConfig(conf); err != nil {
			e.node.log.Error("the end of the log was not bounded", "err", err)
		}
		size := e.logs.bytes.Load()
		if err := e.raft.Snapshot().Error(); err != nil {
			e.node.log.Debug("no snapshot now: tried again", "err", err)
			continue
		}
		e.logs.bytes.Add(-size)
	}
}

// trailing is how many entries stay in the log after a snapshot: up to the TrailingLogs of Config, and to trailingBytes
// but for the newest few. 0 if the log cannot be read.
func (e *engine) trailing(first, last uint64) (n uint64) {
	size := 0
	for i := last; i >= first && n < e.node.cfg.TrailingLogs && (size < trailingBytes || n < fewestTrailing); i-- {
		var entry raft.Log
		if err := e.logs.GetLog(i, &entry); err != nil {
			return 0
		}
		size += len(entry.Data)
		n++
	}
	return n
}

// campaign starts an election at once, without waiting for a timeout.
func (e *engine) campaign(why string) {
	e.node.log.Info("begins an election", "why", why, "term", e.raft.CurrentTerm())
	e.node.metrics.elections.Inc()
	if _, err := e.trans.hand(e.timeoutNow()); err != nil {
		e.node.log.Debug("the election did not begin", "err", err)
	}
}

// timeoutNow is this node's word to begin an election at once.
func (e *engine) timeoutNow() *raft.TimeoutNowRequest {
	return &raft.TimeoutNowRequest{RPCHeader: raft.RPCHeader{
		ProtocolVersion: raft.ProtocolVersionMax, ID: []byte(e.node.id), Addr: []byte(e.node.advertise)}}
}

// configuration is the newest one in the log, committed or not. Raft does not tell its index, so
// changes of it cannot name the one they are made from: term.changing keeps them apart.
func (e *engine) configuration() raft.Configuration {
	return e.raft.GetConfiguration().Configuration()
}

// voters returns the voters of a configuration.
func voters(c raft.Configuration) (v []raft.Server) {
	for _, s := range c.Servers {
		if s.Suffrage == raft.Voter {
			v = append(v, s)
		}
	}
	return v
}

func find(c raft.Configuration, id string) (raft.Server, bool) {
	for _, s := range c.Servers {
		if string(s.ID) == id {
			return s, true
		}
	}
	return raft.Server{}, false
}

// lastLog returns the index and term of the last entry of this node's log; after a received
// snapshot that is where the replica stands.
func (e *engine) lastLog() (index, term uint64) {
	index = e.raft.LastIndex()
	if term, err := e.termOf(index); err == nil {
		return index, term
	}
	if at, term, err := e.replica.Durable(); err == nil && at == index {
		return index, term
	}
	return 0, 0
}

// lastSnapshot is the log entry that the last snapshot goes up to. Raft tells it among its statistics only.
func (e *engine) lastSnapshot() uint64 {
	index, err := strconv.ParseUint(e.raft.Stats()["last_snapshot_index"], 10, 64)
	if err != nil {
		return 0
	}
	return index
}

// termOf returns the term of an entry of this node's log.
func (e *engine) termOf(index uint64) (uint64, error) {
	var l raft.Log
	if err := e.cache.GetLog(index, &l); err != nil {
		return 0, fmt.Errorf("term of log entry %d: %w", index, err)
	}
	return l.Term, nil
}
