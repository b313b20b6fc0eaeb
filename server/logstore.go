package server

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"

	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
	berrors "go.etcd.io/bbolt/errors"

	"todod/fsm"
)

// logStore is the log on disk, with a CRC32C for each entry: raft-boltdb has none. The
// sum is kept in the entry's Extensions, a field that Raft carries and never reads.
//
// The first error of the disk ends the node: after a failed fsync the kernel may have dropped
// the pages, so nothing that is tried again can be trusted.
type logStore struct {
	*raftboltdb.BoltStore
	path     string
	runs     []run        // the entries that the file held when it was opened
	page     int64        // bytes
	bytes    atomic.Int64 // appended since the last snapshot, and before this start all that the file holds
	term     steadyTerm
	promises promises
	writes   *underway
	fatal    func(error)
	step     func(string)                // for tests: called where a crash may come; nil otherwise
	applied  func() (index, term uint64) // where the replica stands; nil before it is open
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func openLogStore(path string, noSync bool, writes *underway, fatal func(error)) (*logStore, error) {
	runs, err := checkLog(path)
	if err != nil {
		return nil, fmt.Errorf("open the log: %w", err)
	}
	room, err := shrinkLog(path)
	if err != nil {
		return nil, fmt.Errorf("open the log: %w", err)
	}
	s, err := raftboltdb.New(raftboltdb.Options{
		Path: path, NoSync: noSync, MsgpackUseNewTimeFormat: true, BoltOptions: logOptions(noSync),
	})
	if err != nil {
		return nil, fmt.Errorf("open the log: %w", err)
	}
	l := &logStore{BoltStore: s, path: path, runs: runs, page: max(room.page, int64(os.Getpagesize())), writes: writes, fatal: func(error) {}}
	if err := errors.Join(l.readPromises(), l.readAll()); err != nil {
		return nil, errors.Join(fmt.Errorf("open the log: %w", err), s.Close())
	}
	l.fatal = fatal
	// How much came since the last snapshot is not written down. To take all of it costs a snapshot at some
	// starts; to take nothing would let the log of a node that is restarted often grow for ever.
	l.bytes.Store(room.live())
	return l, nil
}

// readAll reads each entry, whether this node needs it again or not: it is found damaged now, and not
// once another node needs it. It fails with fsm.ErrDamaged.
func (s *logStore) readAll() error {
	for _, r := range s.runs {
		for i := r.first; i <= r.last; i++ {
			if err := s.GetLog(i, new(raft.Log)); err != nil {
				return err
			}
		}
	}
	return nil
}

// steadyTerm is Raft's term as it is on the disk, which can be kept from changing for a moment.
type steadyTerm struct {
	sync.Mutex // held while it changes
	now        atomic.Uint64
}

// room is what the file takes, and what of that is free.
func (s *logStore) room() (r logRoom) {
	if info, err := os.Stat(s.path); err == nil {
		stats := s.Stats()
		r = logRoom{page: s.page, size: info.Size(), free: int64(stats.FreePageN+stats.PendingPageN) * s.page}
	}
	return r
}

// logSum covers what an entry says. AppendedAt is left out: it is the appending node's clock,
// for metrics alone.
func logSum(log *raft.Log) []byte {
	b := make([]byte, 0, 17)
	b = binary.BigEndian.AppendUint64(b, log.Index)
	b = binary.BigEndian.AppendUint64(b, log.Term)
	b = append(b, byte(log.Type))
	sum := crc32.Update(crc32.Checksum(b, castagnoli), castagnoli, log.Data)
	return binary.BigEndian.AppendUint32(nil, sum)
}

// StoreLog stores one entry.
func (s *logStore) StoreLog(log *raft.Log) error { return s.StoreLogs([]*raft.Log{log}) }

// StoreLogs stores entries with their sums, all of them or none: a bolt transaction that finds no room
// leaves the file as it was.
func (s *logStore) StoreLogs(logs []*raft.Log) error {
	size := 0
	sealed := make([]*raft.Log, len(logs))
	for i, log := range logs {
		l := *log // the entry is shared with the goroutines that replicate it
		l.Extensions = logSum(log)
		sealed[i] = &l
		size += len(log.Data)
	}
	err := s.write("write the log", func() error { return s.BoltStore.StoreLogs(sealed) })
	if err == nil {
		s.bytes.Add(int64(size))
	}
	return err
}

// GetLog returns an entry, or fsm.ErrDamaged if it is not as it was stored.
func (s *logStore) GetLog(index uint64, log *raft.Log) error {
	return s.read("read the log", func() error {
		err := s.BoltStore.GetLog(index, log)
		switch {
		case errors.Is(err, raft.ErrLogNotFound) && s.applied != nil:
			return s.lastApplied(index, log)
		case err != nil && passes(err):
			return err
		case err != nil, string(log.Extensions) != string(logSum(log)), log.Index != index:
			return fmt.Errorf("log entry %d: %w", index, fsm.ErrDamaged)
		}
		log.Extensions = nil
		return nil
	})
}

// lastApplied gives the term of the entry that the replica stands at, for one that was cut off the log or came in
// a replica. Raft asks for it before it takes what follows; it knows the term where nothing follows yet, but with
// entries of a lost leader there instead it would refuse all others for good. The
// command is not in it: the replica has what it came to, and the entries before it, which whoever sent
// it on would need first, are not here.
func (s *logStore) lastApplied(index uint64, log *raft.Log) error {
	at, term := s.applied()
	if at != index || at == 0 {
		return raft.ErrLogNotFound
	}
	*log = raft.Log{Index: index, Term: term, Type: raft.LogNoop}
	return nil
}

// FirstIndex returns the index of the first entry, 0 if there is none.
func (s *logStore) FirstIndex() (index uint64, err error) {
	err = s.read("read the log", func() (err error) { index, err = s.BoltStore.FirstIndex(); return err })
	return index, err
}

// LastIndex returns the index of the last entry, 0 if there is none.
func (s *logStore) LastIndex() (index uint64, err error) {
	err = s.read("read the log", func() (err error) { index, err = s.BoltStore.LastIndex(); return err })
	return index, err
}

// IsMonotonic makes Raft clear the log after a snapshot was received, rather than leave a
// gap in it.
func (s *logStore) IsMonotonic() bool { return true }

// clearBelow ends what Raft began when a replica came over the log and the node died before the log was cleared: unless it holds
// the replica's last entry, nothing up to there fits the replica, nor does what follows another entry in its place.
func (s *logStore) clearBelow(index, term uint64) error {
	first, err1 := s.FirstIndex()
	last, err2 := s.LastIndex()
	if err := errors.Join(err1, err2); err != nil || first == 0 || first > index {
		return err
	}
	l := new(raft.Log)
	switch err := s.GetLog(index, l); {
	case errors.Is(err, raft.ErrLogNotFound):
		last = min(last, index)
	case err != nil || l.Term == term:
		return err
	}
	return s.DeleteRange(first, last)
}

// DeleteRange takes entries away.
func (s *logStore) DeleteRange(first, last uint64) error {
	s.at("log: about to be cut")
	err := s.write("cut the log", func() error { return s.BoltStore.DeleteRange(first, last) })
	s.at("log: cut")
	return err
}

func (s *logStore) at(step string) {
	if s.step != nil {
		s.step(step)
	}
}

// write is read for what must reach the disk: one that does not come back is noticed.
func (s *logStore) write(doing string, f func() error) error {
	write := s.writes.begin()
	defer s.writes.end(write)
	return s.read(doing, f)
}

// read reports an error of the disk before anyone else sees it: Raft panics on some of them, and goes on
// after others. Pages that the disk does not give back, or that are not what bolt wrote, come as
// a fault or a panic.
func (s *logStore) read(doing string, f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("its pages cannot be read: %v", p)
		}
		if !passes(err) {
			err = fmt.Errorf("%s: %w", doing, err)
			s.fatal(err)
		}
	}()
	return f()
}

// passes reports whether an error says nothing of the disk: what was asked for is not there, or the
// node is stopping.
func passes(err error) bool {
	return err == nil || errors.Is(err, raft.ErrLogNotFound) || errors.Is(err, raftboltdb.ErrKeyNotFound) ||
		errors.Is(err, berrors.ErrDatabaseNotOpen)
}
