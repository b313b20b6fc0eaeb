package fsm

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

// openFile opens a bolt file with the options that all of ours have.
func openFile(path string, opt *bolt.Options) (*bolt.DB, error) {
	opt.Timeout, opt.NoFreelistSync, opt.FreelistType = time.Second, true, bolt.FreelistMapType
	opt.NoGrowSync = opt.NoSync
	db, err := bolt.Open(path, 0o600, opt)
	switch {
	case errors.Is(err, berrors.ErrTimeout):
		return nil, errors.New("open the replica: another process uses it")
	case errors.Is(err, berrors.ErrInvalid), errors.Is(err, berrors.ErrChecksum), errors.Is(err, berrors.ErrVersionMismatch):
		return nil, fmt.Errorf("open the replica: %w: %w", err, ErrCorrupt)
	case err != nil:
		return nil, fmt.Errorf("open the replica: %w: %w", err, ErrStorage)
	}
	return db, nil
}

// createFile makes an empty replica. It gets its name when it is whole, so a crash
// on the way leaves no half of one.
func createFile(path string, noSync bool) error {
	tmp := filepath.Join(filepath.Dir(path), fmt.Sprintf(tempFormat, "new"))
	db, err := openFile(tmp, &bolt.Options{NoSync: noSync})
	if err != nil {
		return err
	}
	m := newMeta()
	err = db.Update(func(tx *bolt.Tx) error {
		b, err := tx.CreateBucket(rowsBucket)
		if err != nil {
			return err
		}
		return b.Put(metaKey, m.encode())
	})
	if err := errors.Join(err, db.Close()); err != nil {
		return fmt.Errorf("create the replica: %w", err)
	}
	return rename(tmp, path)
}

// rename puts a file in the place of another, for good.
func rename(from, to string) error {
	if err := os.Rename(from, to); err != nil {
		return fmt.Errorf("put the replica in place: %w", err)
	}
	d, err := os.Open(filepath.Dir(to))
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Sync(); err != nil {
		return fmt.Errorf("sync the data folder: %w", err)
	}
	return nil
}

// The group whose state a file holds stands beside the rows and not among them: it goes wherever the file goes, and
// is no part of the state.
var (
	groupBucket = []byte("group")
	groupKey    = []byte("id")
)

// claim writes into a file that names no group whose it is, and refuses another group's with ErrForeign.
func claim(db *bolt.DB, group string) (err error) {
	if group == "" {
		return nil
	}
	defer guard(&err, debug.SetPanicOnFault(true))
	var has string
	err = db.View(func(tx *bolt.Tx) error {
		if b := tx.Bucket(groupBucket); b != nil {
			row, err := unseal(string(groupKey), b.Get(groupKey))
			has = string(row)
			return err
		}
		return nil
	})
	switch {
	case err != nil, has == group:
		return err
	case has != "":
		return fmt.Errorf("the replica is of group %s, this node of %s: %w", has, group, ErrForeign)
	}
	return setGroup(db, group)
}

// setGroup writes into a file whose it is.
func setGroup(db *bolt.DB, group string) error {
	return db.Update(func(tx *bolt.Tx) error {
		b, err := tx.CreateBucketIfNotExists(groupBucket)
		if err != nil {
			return err
		}
		return b.Put(groupKey, seal(string(groupKey), append(newRow(len(group)), group...)))
	})
}

// ErrForeign is a replica of another group.
var ErrForeign = errors.New("the replica is another group's")

// readMeta returns the meta row, which every file of ours has.
func readMeta(tx *bolt.Tx) (meta, error) {
	b := tx.Bucket(rowsBucket)
	if b == nil {
		return meta{}, fmt.Errorf("a file without rows: %w", ErrCorrupt)
	}
	return decodeMeta(b.Get(metaKey))
}

// safeMeta is readMeta where a damaged page is not expected.
func safeMeta(tx *bolt.Tx) (m meta, err error) {
	defer guard(&err, debug.SetPanicOnFault(true))
	return readMeta(tx)
}

// flushOf returns the rows and the flush that a transaction sees. It reads no more of the meta
// row than that: its checksum is for when it is used.
func flushOf(tx *bolt.Tx) (b *bolt.Bucket, at uint64, err error) {
	defer guard(&err, debug.SetPanicOnFault(true))
	b = tx.Bucket(rowsBucket)
	row := b.Get(metaKey)
	if len(row) < 1+8 {
		return nil, 0, fmt.Errorf("the meta row is cut short: %w", ErrCorrupt)
	}
	return b, binary.BigEndian.Uint64(row[1:]), nil
}
