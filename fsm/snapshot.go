package fsm

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"syscall"

	"github.com/hashicorp/raft"
	bolt "go.etcd.io/bbolt"
)

// The replica on disk is the snapshot: nothing is copied to take one. What raft asks
// for is kept in this order: flush the replica, then let raft truncate its log. Raft must run with
// NoSnapshotRestoreOnStart, and with TrailingLogs above 0.
const (
	replicaID  = "replica"
	receivedID = "received"
)

// Snapshots is the raft.SnapshotStore over a replica.
type Snapshots struct{ r *Replica }

var _ raft.SnapshotStore = (*Snapshots)(nil)

// Snapshots returns the snapshot store that goes with this state machine.
func (r *Replica) Snapshots() *Snapshots { return &Snapshots{r} }

// Snapshot notes how far the state machine was brought; Persist does the work.
func (r *Replica) Snapshot() (raft.FSMSnapshot, error) {
	if err := errors.Join(r.store.err(), r.halted); err != nil {
		return nil, err // of a log whose entries were not all applied there is no snapshot
	}
	img := r.store.image.Load()
	return &persist{r, img.db, img.meta.Index}, nil
}

type persist struct {
	r     *Replica
	db    *bolt.DB // which a restore exchanges
	index uint64
}

// Persist makes all that was applied before the snapshot durable: raft truncates the
// log once it returns nil. It writes nothing to the sink.
func (p *persist) Persist(to raft.SnapshotSink) error {
	own, ok := to.(*sink)
	if !ok {
		return errors.Join(errors.New("a snapshot goes to the replica's own store only"), to.Cancel())
	}
	p.r.store.at("snapshot: begun")
	err := p.r.store.flush(func(m *meta) error { return p.amend(m, own.meta) })
	if err == nil {
		err = p.check()
	}
	if err != nil {
		return errors.Join(err, to.Cancel())
	}
	p.r.store.at("snapshot: the replica is durable")
	return to.Close()
}

// amend raises the index of the replica to the snapshot's. Raft counts barriers in that, which
// never reach the state machine, and truncates the log up to it: a replica that stayed
// below would ask at the next start for an entry that is gone.
func (p *persist) amend(m *meta, snap *raft.SnapshotMeta) error {
	if p.r.store.db != p.db {
		return errors.New("another node's replica came in place of this one during the snapshot")
	}
	if m.Index < snap.Index {
		m.Index, m.Term = snap.Index, snap.Term
	}
	return nil
}

func (p *persist) check() error {
	durable, _, err := p.r.Durable()
	if err == nil && durable < p.index {
		err = fmt.Errorf("the replica holds %d of %d log entries after a flush", durable, p.index)
	}
	return err
}

// Release has nothing to let go.
func (*persist) Release() {}

// List returns the replica as it is on disk, or nothing for an empty one.
func (s *Snapshots) List() ([]*raft.SnapshotMeta, error) {
	m, err := s.r.durable()
	if err != nil || m.Index == 0 {
		return nil, err
	}
	return []*raft.SnapshotMeta{m.snapshot()}, nil
}

func (m *meta) snapshot() *raft.SnapshotMeta {
	meta := &raft.SnapshotMeta{Version: raft.SnapshotVersionMax, ID: replicaID, Index: m.Index, Term: m.Term}
	if m.ConfIndex != 0 {
		meta.ConfigurationIndex, meta.Configuration = m.ConfIndex, raft.DecodeConfiguration(m.Conf)
	}
	return meta
}

// Open streams the replica's file, with the index, term and configuration that the same
// transaction holds. What was received is not read again: Restore renames it.
func (s *Snapshots) Open(id string) (_ *raft.SnapshotMeta, _ io.ReadCloser, err error) {
	if id == receivedID {
		if s.r.received.meta == nil {
			return nil, nil, errNoneReceived
		}
		return s.r.received.meta, io.NopCloser(eof{}), nil
	}
	if err := s.r.Withheld(); err != nil {
		return nil, nil, err
	}
	// What is damaged goes nowhere; the other node checks what it receives once more.
	tx, m, err := s.r.store.beginChecked(func() error { return nil })
	if err != nil {
		return nil, nil, err
	}
	meta := m.snapshot()
	meta.Size = tx.Size()
	return meta, newFileStream(tx, s.r.store), nil
}

var errNoneReceived = errors.New("no replica was received")

type eof struct{}

func (eof) Read([]byte) (int, error) { return 0, io.EOF }

// fileStream reads the file of a transaction, and ends the transaction when closed.
type fileStream struct {
	*io.PipeReader
	done chan struct{}
}

func newFileStream(tx *bolt.Tx, s *store) *fileStream {
	pr, pw := io.Pipe()
	f := &fileStream{pr, make(chan struct{})}
	s.streams.add(f)
	go func() {
		defer close(f.done)
		_, err := tx.WriteTo(pw)
		tx.Rollback()
		s.streams.drop(f)
		var errno syscall.Errno
		if errors.As(err, &errno) { // else the other node has gone
			err = s.fail(fmt.Errorf("send the replica: %w: %w", err, ErrStorage))
		}
		pw.CloseWithError(err)
	}()
	return f
}

func (f *fileStream) Close() error {
	err := f.PipeReader.Close()
	<-f.done
	return err
}

// fileStreams are those that are open. One to a node that was cut off stands still for minutes, and the file cannot be
// replaced while it is read: it is broken off then, or nobody could read here for as long.
type fileStreams struct {
	mu      sync.Mutex
	open    map[*fileStream]bool
	closing bool
}

func (all *fileStreams) add(f *fileStream) {
	all.mu.Lock()
	defer all.mu.Unlock()
	if all.closing {
		f.CloseWithError(errRestoring)
	}
	if all.open == nil {
		all.open = map[*fileStream]bool{}
	}
	all.open[f] = true
}

func (all *fileStreams) drop(f *fileStream) {
	all.mu.Lock()
	defer all.mu.Unlock()
	delete(all.open, f)
}

// breakOff ends those that are open, and until resume each that is opened.
func (all *fileStreams) breakOff() {
	all.mu.Lock()
	defer all.mu.Unlock()
	all.closing = true
	for f := range all.open {
		f.CloseWithError(errRestoring)
	}
}

func (all *fileStreams) resume() {
	all.mu.Lock()
	defer all.mu.Unlock()
	all.closing = false
}
