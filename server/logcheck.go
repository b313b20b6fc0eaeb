package server

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"time"

	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"todod/fsm"
)

// lockTimeout is how long to wait for a file that another process has open.
const lockTimeout = time.Second

// checkLog reads a whole log that is not in use yet: opened for writing, bolt walks all pages in a goroutine
// of its own, where one that is wrong or missing ends the process with the text of a panic. It fails with
// fsm.ErrDamaged. A file without a byte is one that was not begun.
func checkLog(path string) (err error) {
	info, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) || err == nil && info.Size() == 0 {
		return nil
	}
	switch {
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return errors.New("it is no file")
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
		return fmt.Errorf("%w: %w", err, fsm.ErrDamaged)
	case err != nil:
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	return db.View(func(tx *bolt.Tx) error {
		if info.Size() < tx.Size() {
			return fmt.Errorf("it is cut short: %w", fsm.ErrDamaged)
		}
		return tx.ForEach(func(_ []byte, b *bolt.Bucket) error { return inOrder(b) })
	})
}

// inOrder reads a bucket, whose keys only go up: a page that stands in for another would show.
func inOrder(b *bolt.Bucket) error {
	var last []byte
	return b.ForEach(func(k, _ []byte) error {
		if last != nil && bytes.Compare(last, k) >= 0 {
			return fmt.Errorf("its pages are out of order: %w", fsm.ErrDamaged)
		}
		last = k
		return nil
	})
}

// owner says whose log a file is, in the file itself: the votes and promises in it bind that node, and would be
// another one's word in any other folder.
type owner struct {
	Version int    `json:"version"` // of the file's format
	Folder  string `json:"folder"`
	Group   string `json:"group"`
}

const logVersion = 1

var ownerKey = []byte("Owner")

// claim writes into a new log whose it is, and refuses one that is another's.
func (s *logStore) claim(folder, group string, fresh bool) error {
	want := owner{logVersion, folder, group}
	b, err := s.Get(ownerKey)
	if fresh && errors.Is(err, raftboltdb.ErrKeyNotFound) {
		if b, err = json.Marshal(want); err != nil {
			return err
		}
		return s.Set(ownerKey, b)
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
