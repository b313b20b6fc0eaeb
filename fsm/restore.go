package fsm

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"syscall"

	"github.com/hashicorp/raft"
	bolt "go.etcd.io/bbolt"
)

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
	meta := &raft.SnapshotMeta{Version: version, ID: replicaID, Index: index, Term: term,
		Configuration: conf, ConfigurationIndex: confIndex}
	return &sink{r: s.r, meta: meta}, nil
}

// sink takes a received file. Without a Write it is that of the node's own snapshot.
type sink struct {
	r    *Replica
	meta *raft.SnapshotMeta
	file *os.File // nil before the first Write and after the end
}

func (s *sink) ID() string { return s.meta.ID }

func (s *sink) Write(b []byte) (int, error) {
	if s.file == nil {
		if err := s.r.Withheld(); err != nil {
			return 0, err
		}
		f, err := os.CreateTemp(s.r.cfg.Dir, fmt.Sprintf(tempFormat, "*"))
		if err != nil {
			return 0, s.failed(err)
		}
		s.file, s.meta.ID = f, receivedID
	}
	n, err := s.file.Write(b)
	s.r.store.at("receive: some is written")
	s.meta.Size += int64(n)
	if err != nil {
		err = s.failed(err)
	}
	return n, err
}

// failed takes away what was received, which may fill the disk, and reports the error of the disk. Raft
// would ask for the same file again and again.
func (s *sink) failed(err error) error {
	err = fmt.Errorf("receive a replica: %w: %w", err, ErrStorage)
	return s.r.store.fail(errors.Join(err, s.Cancel()))
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
	s.r.store.at("receive: all is written")
	err := s.sync()
	s.r.store.at("receive: the file is durable")
	if err == nil {
		err = prepareReceived(s.file.Name(), s.meta, s.r)
	}
	var errno syscall.Errno
	var newer *TooNew
	switch {
	case errors.As(err, &errno):
		return s.failed(err)
	case errors.As(err, &newer): // the group went on without this program
		return s.r.store.fail(errors.Join(err, s.Cancel()))
	case err != nil: // it is as it was sent: the disk is not to blame
		return errors.Join(fmt.Errorf("receive a replica: %w", err), s.Cancel())
	}
	s.r.store.at("receive: the file is checked")
	if old := s.r.received.path; old != "" { // nobody came for it
		err = os.Remove(old)
	}
	s.r.received = received{s.file.Name(), s.meta}
	s.r.fetching.end()
	err = errors.Join(err, s.file.Close())
	s.file = nil
	return err
}

func (s *sink) sync() error {
	if s.r.cfg.NoSync {
		return nil
	}
	return s.file.Sync()
}

// prepareReceived checks every row of a received file and writes into it the index, term and
// configuration that raft gave for it: its own may be lower, and "skip what is applied"
// goes by them.
func prepareReceived(path string, snap *raft.SnapshotMeta, r *Replica) (err error) {
	m, err := checkFile(path)
	if err == nil {
		err = tooNew(m.Group, r.reads)
	}
	if err != nil {
		return err
	}
	defer guard(&err, debug.SetPanicOnFault(true))
	db, err := openFile(path, &bolt.Options{NoSync: r.cfg.NoSync})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if m.Index > snap.Index {
		return fmt.Errorf("it holds log entry %d and was sent as of %d: %w", m.Index, snap.Index, ErrCorrupt)
	}
	if err := claim(db, r.cfg.Group); err != nil {
		return err
	}
	m.Flush++
	m.Index, m.Term = snap.Index, snap.Term
	m.ConfIndex, m.Conf = snap.ConfigurationIndex, raft.EncodeConfiguration(snap.Configuration)
	return db.Update(func(tx *bolt.Tx) error {
		return tx.Bucket(rowsBucket).Put(metaKey, m.encode())
	})
}

// Restore puts the received file in the place of the replica's. The stream that Raft
// hands over is empty: the file is on this disk already.
func (r *Replica) Restore(rc io.ReadCloser) (err error) {
	defer rc.Close()
	if r.received.path == "" {
		return fmt.Errorf("restore a replica: %w", errNoneReceived)
	}
	path := r.received.path
	r.received = received{}
	if err := r.store.replace(path); err != nil {
		return r.store.fail(err)
	}
	r.halted = nil
	r.fetching.begin()
	return nil
}
