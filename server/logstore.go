package server

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"sync/atomic"

	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
	bolt "go.etcd.io/bbolt"

	"todod/fsm"
)

// logStore is the log on disk, with a CRC32C for each entry: raft-boltdb has none. The
// sum is kept in the entry's Extensions, a field that Raft carries and never reads.
//
// The first error of the disk ends the node: after a failed fsync the kernel may have dropped
// the pages, so nothing that is tried again can be trusted.
type logStore struct {
	*raftboltdb.BoltStore
	bytes atomic.Int64 // appended since the last snapshot
	fatal func(error)
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func openLogStore(path string, noSync bool, fatal func(error)) (*logStore, error) {
	s, err := raftboltdb.New(raftboltdb.Options{
		Path: path, NoSync: noSync, MsgpackUseNewTimeFormat: true,
		BoltOptions: &bolt.Options{NoFreelistSync: true, FreelistType: bolt.FreelistMapType, NoSync: noSync},
	})
	if err != nil {
		return nil, fmt.Errorf("open the log: %w", err)
	}
	return &logStore{BoltStore: s, fatal: fatal}, nil
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

// StoreLogs stores entries with their sums.
func (s *logStore) StoreLogs(logs []*raft.Log) error {
	size := 0
	sealed := make([]*raft.Log, len(logs))
	for i, log := range logs {
		l := *log // the entry is shared with the goroutines that replicate it
		l.Extensions = logSum(log)
		sealed[i] = &l
		size += len(log.Data)
	}
	if err := s.BoltStore.StoreLogs(sealed); err != nil {
		return s.failed("write the log", err)
	}
	s.bytes.Add(int64(size))
	return nil
}

// GetLog returns an entry, or fsm.ErrDamaged if it is not as it was stored.
func (s *logStore) GetLog(index uint64, log *raft.Log) error {
	err := s.BoltStore.GetLog(index, log)
	switch {
	case errors.Is(err, raft.ErrLogNotFound):
		return err
	case err != nil:
		return s.failed("read the log", err)
	case string(log.Extensions) != string(logSum(log)) || log.Index != index:
		return s.failed("read the log", fmt.Errorf("log entry %d: %w", index, fsm.ErrDamaged))
	}
	log.Extensions = nil
	return nil
}

// IsMonotonic makes Raft clear the log after a snapshot was received, rather than leave a
// gap in it.
func (s *logStore) IsMonotonic() bool { return true }

// DeleteRange takes entries away.
func (s *logStore) DeleteRange(first, last uint64) error {
	return s.failed("cut the log", s.BoltStore.DeleteRange(first, last))
}

// Set and SetUint64 keep Raft's term and vote.
func (s *logStore) Set(key, value []byte) error {
	return s.failed("write the vote", s.BoltStore.Set(key, value))
}

// SetUint64 is Set for numbers.
func (s *logStore) SetUint64(key []byte, value uint64) error {
	return s.failed("write the term", s.BoltStore.SetUint64(key, value))
}

// failed reports an error of the disk. Raft panics on some of them, and goes on after others.
func (s *logStore) failed(doing string, err error) error {
	if err != nil {
		err = fmt.Errorf("%s: %w", doing, err)
		s.fatal(err)
	}
	return err
}
