package fsm

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/hashicorp/raft"
	bolt "go.etcd.io/bbolt"
)

// The replica on disk is the snapshot: nothing is copied to take one. What raft asks
// for is kept in this order: flush the replica, then let raft truncate its log. Raft must run with
// NoSnapshotRestoreOnStart, and with TrailingLogs above 0: barriers count in
// a snapshot's index but never reach the state machine.
const (
	replicaID       = "replica"
	receivedID      = "received"
	receivedPattern = "received-*.tmp"
)

// Snapshots is the raft.SnapshotStore over a replica.
type Snapshots struct{ r *Replica }

var _ raft.SnapshotStore = (*Snapshots)(nil)

// Snapshots returns the snapshot store that goes with this state machine.
func (r *Replica) Snapshots() *Snapshots { return &Snapshots{r} }

// Snapshot notes how far the state machine was brought; Persist does the work.
func (r *Replica) Snapshot() (raft.FSMSnapshot, error) {
	if r.halted {
		return nil, errHalted
	}
	index, _ := r.Applied()
	return &persist{r, index}, nil
}

type persist struct {
	r     *Replica
	index uint64
}

// Persist makes all that was applied before the snapshot durable: raft truncates the
// log once it returns nil. It writes nothing to the sink.
func (p *persist) Persist(sink raft.SnapshotSink) error {
	if err := p.r.store.flush(); err != nil {
		sink.Cancel()
		p.r.fatal(err)
		return err
	}
	durable, _, err := p.r.Durable()
	if err == nil && durable < p.index {
		err = fmt.Errorf("the replica holds %d of %d log entries after a flush", durable, p.index)
	}
	if err != nil {
		sink.Cancel()
		return err
	}
	return sink.Close()
}

// Release has nothing to let go.
func (*persist) Release() {}

// List returns the replica as it is on disk, or nothing for an empty one.
func (s *Snapshots) List() ([]*raft.SnapshotMeta, error) {
	m, err := readMeta(s.r.store.image.Load().db)
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
func (s *Snapshots) Open(id string) (*raft.SnapshotMeta, io.ReadCloser, error) {
	if id == receivedID {
		return s.r.received.meta, io.NopCloser(eof{}), nil
	}
	tx, err := s.r.store.image.Load().db.Begin(false)
	if err != nil {
		return nil, nil, fmt.Errorf("read the replica: %w", err)
	}
	m, err := decodeMeta(tx.Bucket(rowsBucket).Get(metaKey))
	if err != nil {
		tx.Rollback()
		return nil, nil, err
	}
	meta := m.snapshot()
	meta.Size = tx.Size()
	return meta, newFileStream(tx), nil
}

type eof struct{}

func (eof) Read([]byte) (int, error) { return 0, io.EOF }

// fileStream reads the file of a transaction, and ends the transaction when closed.
type fileStream struct {
	*io.PipeReader
	done chan struct{}
}

func newFileStream(tx *bolt.Tx) *fileStream {
	pr, pw := io.Pipe()
	f := &fileStream{pr, make(chan struct{})}
	go func() {
		defer close(f.done)
		_, err := tx.WriteTo(pw)
		tx.Rollback()
		pw.CloseWithError(err)
	}()
	return f
}

func (f *fileStream) Close() error {
	err := f.PipeReader.Close()
	<-f.done
	return err
}

// received is a replica file of another node that waits to be put in place.
type received struct {
	path string
	meta *raft.SnapshotMeta
}

// Create returns the sink of a snapshot: of this node's own, which gets no data, or of one
// that another node sends.
func (s *Snapshots) Create(version raft.SnapshotVersion, index, term uint64, conf raft.Configuration,
	confIndex uint64, _ raft.Transport) (raft.SnapshotSink, error) {
	if version != raft.SnapshotVersionMax {
		return nil, fmt.Errorf("snapshot version %d: %w", version, ErrUnknown)
	}
	meta := &raft.SnapshotMeta{Version: version, ID: receivedID, Index: index, Term: term,
		Configuration: conf, ConfigurationIndex: confIndex}
	return &sink{r: s.r, meta: meta}, nil
}

type sink struct {
	r    *Replica
	meta *raft.SnapshotMeta
	file *os.File
}

func (s *sink) ID() string { return s.meta.ID }

func (s *sink) Write(b []byte) (int, error) {
	if s.file == nil {
		f, err := os.CreateTemp(s.r.cfg.Dir, receivedPattern)
		if err != nil {
			return 0, fmt.Errorf("receive a replica: %w", err)
		}
		s.file = f
	}
	n, err := s.file.Write(b)
	s.meta.Size += int64(n)
	return n, err
}

func (s *sink) Cancel() error {
	if s.file == nil {
		return nil
	}
	err := errors.Join(s.file.Close(), os.Remove(s.file.Name()))
	s.file = nil
	return err
}

// Close makes a received file durable and checks all of it before anything is replaced.
func (s *sink) Close() error {
	if s.file == nil {
		return nil
	}
	err := s.file.Sync()
	if err == nil {
		err = prepareReceived(s.file.Name(), s.meta)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("receive a replica: %w", err), s.Cancel())
	}
	s.r.received = received{s.file.Name(), s.meta}
	return s.file.Close()
}

// prepareReceived checks every row of a received file and writes into it the index, term and
// configuration that raft gave for it. Its own may be different, and "skip what is applied"
// would go by them.
func prepareReceived(path string, snap *raft.SnapshotMeta) (err error) {
	db, err := bolt.Open(path, 0o600, &bolt.Options{NoFreelistSync: true, FreelistType: bolt.FreelistMapType})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	m, err := checkRows(db)
	if err != nil {
		return err
	}
	m.Flush++
	m.Index, m.Term = snap.Index, snap.Term
	m.ConfIndex, m.Conf = snap.ConfigurationIndex, raft.EncodeConfiguration(snap.Configuration)
	return db.Update(func(tx *bolt.Tx) error {
		return tx.Bucket(rowsBucket).Put(metaKey, m.encode())
	})
}

// checkRows reads a whole file: each row against its checksum, all of them against the set hash.
func checkRows(db *bolt.DB) (m meta, err error) {
	err = db.View(func(tx *bolt.Tx) error {
		b := tx.Bucket(rowsBucket)
		if b == nil {
			return fmt.Errorf("file without rows: %w", ErrDamaged)
		}
		if m, err = decodeMeta(b.Get(metaKey)); err != nil {
			return err
		}
		var set uint64
		err := b.ForEach(func(k, v []byte) error {
			if string(k) == string(metaKey) {
				return nil
			}
			set += rowHash(string(k), v)
			_, err := unseal(string(k), v)
			return err
		})
		if err == nil && set != m.Set {
			err = fmt.Errorf("rows that do not add up to their hash: %w", ErrDamaged)
		}
		return err
	})
	return m, err
}

// Restore puts the received file in the place of the replica's. The stream that Raft
// hands over is empty: the file is on this disk already.
func (r *Replica) Restore(rc io.ReadCloser) error {
	defer rc.Close()
	if r.received.path == "" {
		return errors.New("restore a replica: none was received")
	}
	path := r.received.path
	r.received = received{}
	if err := r.store.replace(path); err != nil {
		r.fatal(err)
		return err
	}
	return nil
}

// Check reads the whole file of a replica that is not in use: each row against its
// checksum, all against the set hash.
func Check(dir string) error {
	db, err := bolt.Open(filepath.Join(dir, FileName), 0o600, &bolt.Options{ReadOnly: true})
	if err != nil {
		return fmt.Errorf("open the replica: %w", err)
	}
	_, err = checkRows(db)
	return errors.Join(err, db.Close())
}
