package server

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"sync"

	raftboltdb "github.com/hashicorp/raft-boltdb/v2"

	"todod/fsm"
)

// What the log's file holds beside the entries: Raft's term, the term that it voted in last and for whom, and
// whose file it is (logcheck.go).
var (
	termKey     = []byte("CurrentTerm")
	voteTermKey = []byte("LastVoteTerm")
	voteKey     = []byte("LastVoteCand")
	ownerKey    = []byte("Owner")

	// confKeys are all of them: one that is not here is one of them with a flipped bit, and a value that is not found
	// any more would be a vote that was never given. A release with another raises logVersion.
	confKeys = []string{string(termKey), string(voteTermKey), string(voteKey), string(ownerKey)}
)

// promises are Raft's term and vote. With a bit flipped in one of them a node could vote twice in a term, or go back
// to a term that is over, so each is stored with a sum. They are read when the file is opened and kept in
// memory from then on: what decays under a running node is found at its next start, and misleads nobody
// before.
type promises struct {
	mu   sync.Mutex
	made map[string][]byte
}

// sealBytes is what a sealed value has beyond the value: a zero, which no address holds and no older
// program wrote, and the sum.
const sealBytes = 1 + crc32.Size

// seal gives a value its sum. An older program reads the first 8 bytes of a number, so it knows the terms; to it
// the vote went to nobody that it knows, so it gives none in that term.
func seal(key, value []byte) []byte {
	sealed := append(make([]byte, 0, len(value)+sealBytes), value...)
	return binary.BigEndian.AppendUint32(append(sealed, 0), promiseSum(key, value))
}

// promiseSum covers the key, so that no value stands in for another.
func promiseSum(key, value []byte) uint32 {
	return crc32.Update(crc32.Checksum(key, castagnoli), castagnoli, value)
}

// unseal returns a value that was sealed, or that an older program wrote without a sum. It fails with
// fsm.ErrDamaged.
func unseal(key, stored []byte) (value []byte, err error) {
	end := len(stored) - sealBytes
	switch {
	case end >= 0 && stored[end] == 0 && (bytes.Equal(key, voteKey) || end == 8):
		value = stored[:end]
		if binary.BigEndian.Uint32(stored[end+1:]) != promiseSum(key, value) {
			return nil, fmt.Errorf("%s has another sum: %w", key, fsm.ErrDamaged)
		}
		return value, nil
	case bytes.Equal(key, voteKey) && bytes.IndexFunc(stored, unprintable) < 0, !bytes.Equal(key, voteKey) && len(stored) == 8:
		return stored, nil
	}
	return nil, fmt.Errorf("%s is none: %w", key, fsm.ErrDamaged)
}

// unprintable reports whether a character is in no address.
func unprintable(r rune) bool { return r <= ' ' || r > '~' }

// readPromises reads what the file holds of them.
func (s *logStore) readPromises() error {
	s.promises.made = map[string][]byte{}
	for _, key := range [][]byte{termKey, voteTermKey, voteKey} {
		stored, err := s.BoltStore.Get(key)
		if errors.Is(err, raftboltdb.ErrKeyNotFound) {
			continue
		}
		if err == nil {
			s.promises.made[string(key)], err = unseal(key, stored)
		}
		if err != nil {
			return err
		}
	}
	if term, err := s.GetUint64(termKey); err == nil {
		s.term.now.Store(term)
	}
	return nil
}

// Set keeps one of Raft's promises.
func (s *logStore) Set(key, value []byte) error {
	doing := "write the term"
	if bytes.Equal(key, voteKey) {
		doing = "write the vote"
	}
	err := s.write(doing, func() error { return s.BoltStore.Set(key, seal(key, value)) })
	if err == nil {
		s.promises.mu.Lock()
		defer s.promises.mu.Unlock()
		s.promises.made[string(key)] = bytes.Clone(value)
	}
	return err
}

// SetUint64 is Set for numbers.
func (s *logStore) SetUint64(key []byte, value uint64) error {
	b := binary.BigEndian.AppendUint64(nil, value)
	if !bytes.Equal(key, termKey) {
		return s.Set(key, b)
	}
	if s.term.now.Load() == value {
		return nil // also for a heartbeat, which holds the term still: see transport.heartbeat
	}
	s.term.Lock()
	defer s.term.Unlock()
	if err := s.Set(key, b); err != nil {
		return err
	}
	s.term.now.Store(value)
	return nil
}

// Get returns one of Raft's promises, or raftboltdb.ErrKeyNotFound.
func (s *logStore) Get(key []byte) ([]byte, error) {
	s.promises.mu.Lock()
	defer s.promises.mu.Unlock()
	value, ok := s.promises.made[string(key)]
	if !ok {
		return nil, raftboltdb.ErrKeyNotFound
	}
	return bytes.Clone(value), nil
}

// GetUint64 is Get for numbers.
func (s *logStore) GetUint64(key []byte) (uint64, error) {
	b, err := s.Get(key)
	if err != nil {
		return 0, err
	}
	return binary.BigEndian.Uint64(b), nil
}
