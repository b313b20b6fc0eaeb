package fsm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/cespare/xxhash/v2"
	bolt "go.etcd.io/bbolt"

	"todod/fsm/boltfile"
)

// Check reads the whole file of a replica that is not in use: each page, each row against its
// checksum, all against the set hash. It fails with ErrCorrupt, ErrUnknown or ErrStorage.
func Check(dir string) error {
	m, err := checkFile(filepath.Join(dir, FileName))
	if err != nil {
		return err
	}
	return tooNew(m.Group, Reads)
}

// checkFile checks a file that is not in use before anything else opens it. Opening one
// for writing makes bolt walk all pages in a goroutine of its own, where a damaged page
// ends the process and nothing can be done about it.
func checkFile(path string) (m meta, err error) {
	f, err := os.Open(path)
	if err != nil {
		return m, fmt.Errorf("open the replica: %w: %w", err, ErrStorage)
	}
	defer f.Close()
	if syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB) != nil { // bolt's own lock
		return m, errInUse
	}
	return checkPages(f, 0, func() error { return nil })
}

var errInUse = errors.New("open the replica: another process uses it")

// checkTx checks the file as an open transaction sees it.
func checkTx(tx *bolt.Tx, pause func() error) (m meta, err error) {
	f, err := os.Open(tx.DB().Path())
	if err != nil {
		return m, fmt.Errorf("read the replica: %w: %w", err, ErrStorage)
	}
	defer f.Close()
	return checkPages(f, uint64(tx.ID()), pause)
}

// checkPages reads a file as a transaction sees it, 0 for the newest. pause is called before each row: its
// error ends the check and comes back as it is.
func checkPages(f *os.File, tx uint64, pause func() error) (m meta, err error) {
	info, err := f.Stat()
	if err != nil {
		return m, fmt.Errorf("read the replica: %w: %w", err, ErrStorage)
	}
	var set uint64
	whole := false
	_, err = boltfile.Walk(f, info.Size(), tx, func(bucket string, row []byte, keySize int) error {
		key, sealed := row[:keySize], row[keySize:]
		switch {
		case bucket != string(groupBucket) && bucket != string(rowsBucket):
			return fmt.Errorf("a bucket of another name: %w", ErrCorrupt)
		case bucket == string(rowsBucket) && string(key) == string(metaKey):
			whole = true
			m, err = decodeMeta(sealed)
			return err
		}
		if _, err := unsealAs(xxhash.Sum64(key), key, sealed); err != nil {
			return err
		}
		if bucket == string(groupBucket) {
			return nil
		}
		set += xxhash.Sum64(row) // rowHash, and half of what that takes
		return pause()
	})
	var errno syscall.Errno
	switch {
	case errors.As(err, &errno):
		return m, fmt.Errorf("read the replica: %w: %w", err, ErrStorage)
	case errors.Is(err, boltfile.ErrDamaged), errors.Is(err, io.EOF): // the latter: it became shorter
		return m, fmt.Errorf("%v: %w", err, ErrCorrupt)
	case err != nil:
		return m, err
	case !whole:
		return m, fmt.Errorf("a file without rows: %w", ErrCorrupt)
	case set != m.Set:
		return m, fmt.Errorf("the rows do not add up to their hash: %w", ErrCorrupt)
	}
	return m, nil
}

// beginChecked opens a transaction on the file and checks all that it sees. Damage ends the store; an
// error of pause comes back.
func (s *store) beginChecked(pause func() error) (*bolt.Tx, meta, error) {
	for {
		tx, _, err := s.beginRead()
		if err != nil {
			return nil, meta{}, err
		}
		var stopped error
		m, err := checkTx(tx, func() error {
			stopped = pause()
			return stopped
		})
		if err == nil {
			return tx, m, nil
		}
		tx.Rollback()
		switch {
		case stopped != nil:
			return nil, m, stopped
		case !errors.Is(err, boltfile.ErrGone): // else there was a flush, or two: look again
			return nil, m, s.fail(fmt.Errorf("check the replica: %w", err))
		}
	}
}

// How a rescan shares the machine: it reads scanRows, which takes some 2 ms, then rests for scanRest.
const (
	scanRows = 2000
	scanRest = 18 * time.Millisecond
)

// errRestoring ends a rescan whose file is about to be replaced.
var errRestoring = errors.New("another replica is being put in place")

// Rescan reads the whole file as it is now, in a tenth of one CPU's time: each page, each row against its
// checksum, all of them against the set hash that was written with them. What is wrong is told
// Config.Fatal. It holds up nobody: it ends early with the context's error, or when a restore comes. It may
// be called from any goroutine.
func (r *Replica) Rescan(ctx context.Context) error {
	rows := 0
	tx, _, err := r.store.beginChecked(func() error {
		if rows++; rows%scanRows != 0 {
			return nil
		}
		rest := time.NewTimer(scanRest)
		defer rest.Stop()
		select {
		case <-rest.C:
		case <-ctx.Done():
			return ctx.Err()
		case <-r.stop:
			return errRestoring
		}
		if r.store.restoring.Load() {
			return errRestoring
		}
		return nil
	})
	if err != nil {
		return err
	}
	return tx.Rollback()
}
