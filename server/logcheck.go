package server

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"slices"
	"time"

	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"todod/fsm"
	"todod/fsm/boltfile"
)

// lockTimeout is how long to wait for a file that another process has open.
const lockTimeout = time.Second

// checkLog reads all pages of a log that is not in use yet: opened for writing, bolt walks them in a goroutine
// of its own, where one that is wrong or missing ends the process with the text of a panic. It fails with
// fsm.ErrDamaged. A file without a byte is one that was not begun.
func checkLog(path string) (runs []run, err error) {
	info, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) || err == nil && info.Size() == 0 {
		return nil, nil
	}
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, errors.New("it is no file")
	}
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("its pages cannot be read (%v): %w", p, fsm.ErrDamaged)
		}
	}()
	db, err := bolt.Open(path, 0o600, &bolt.Options{ReadOnly: true, Timeout: lockTimeout})
	switch {
	case errors.Is(err, berrors.ErrInvalid), errors.Is(err, berrors.ErrChecksum), errors.Is(err, berrors.ErrVersionMismatch):
		return nil, fmt.Errorf("%w: %w", err, fsm.ErrDamaged)
	case err != nil:
		return nil, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	return checkPages(path)
}

// run is entries of a log without a gap. There are two runs where a crash left entries that a received replica had
// made void: the gap is below what the replica holds then.
type run struct{ first, last uint64 }

// checkPages reads the file page by page, and returns which entries it has. Both of bolt's meta pages must be well: with
// one of them gone the newest transaction, a vote it may be or an acknowledged entry, would be undone
// without a word. A power cut leaves no half of one, since they fit a sector.
func checkPages(path string) (runs []run, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	whole, err := boltfile.Walk(f, info.Size(), 0, func(bucket string, row []byte, keySize int) error {
		switch {
		case bucket == "conf" && slices.Contains(confKeys, string(row[:keySize])):
			return nil
		case bucket != "logs" || keySize != 8:
			return fmt.Errorf("it holds what is no part of a log: %w", fsm.ErrDamaged)
		}
		index := binary.BigEndian.Uint64(row)
		if n := len(runs); n > 0 && runs[n-1].last+1 == index {
			runs[n-1].last = index
		} else {
			runs = append(runs, run{index, index})
		}
		return nil
	})
	switch {
	case errors.Is(err, boltfile.ErrDamaged), errors.Is(err, io.EOF): // the latter: it is cut short
		return nil, fmt.Errorf("%v: %w", err, fsm.ErrDamaged)
	case err == nil && !whole:
		return nil, fmt.Errorf("a meta page is wrong: %w", fsm.ErrDamaged)
	}
	return runs, err
}

// owner says whose log a file is, in the file itself: the votes and promises in it bind that node, and would be
// another one's word in any other folder.
type owner struct {
	Version int    `json:"version"` // of the file's format
	Folder  string `json:"folder"`
	Group   string `json:"group"`
}

const logVersion = 1

// claim writes into a new log whose it is, and refuses one that is another's.
func (s *logStore) claim(folder, group string, fresh bool) error {
	want := owner{logVersion, folder, group}
	var b []byte
	err := s.read("read the owner", func() (err error) { b, err = s.BoltStore.Get(ownerKey); return err })
	if fresh && errors.Is(err, raftboltdb.ErrKeyNotFound) {
		if b, err = json.Marshal(want); err != nil {
			return err
		}
		return s.write("write the owner", func() error { return s.BoltStore.Set(ownerKey, b) })
	}
	var got owner
	if err == nil {
		err = json.Unmarshal(b, &got)
	}
	switch {
	case err != nil:
		return exit(ExitUnknownEntry, "the log is damaged: %s", beginAnew)
	case got.Version > logVersion:
		return exit(ExitFolderRefused, "the log is of a newer todod (format %d, this one reads up to %d): run that version", got.Version, logVersion)
	case got != want:
		return exit(ExitFolderRefused, "the log (raft.db) is that of another data folder: put the right one back, or %s", beginAnew)
	}
	return nil
}

// beginAnew is what to do where a node's own word is lost.
const beginAnew = "remove this node and begin it anew, with an empty folder and a new --id"
