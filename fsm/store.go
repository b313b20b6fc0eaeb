package fsm

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tidwall/btree"
	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

const (
	// flushEvery is how far the bolt file may lag behind what is applied. Random keys
	// rewrite most of a B-tree at each flush, so this interval is the largest lever on
	// throughput; the log holds all that is not flushed.
	flushEvery = time.Second
	// maxDirty bounds the rows waiting in memory, in bytes: beyond it a flush begins at
	// once, and applying waits when the flush before is not done.
	maxDirty = 64 << 20
	// mapSize is the address space mapped for the file from the start: growing
	// a map waits for every open read transaction.
	mapSize = 16 << 30
)

var (
	rowsBucket = []byte("rows")
	metaKey    = []byte("\x00meta")
)

// tree holds rows by key that are applied but not yet in bolt; a nil row is a deleted one.
type tree = btree.Map[string, []byte]

// image is one consistent state of the store, never changed once published: what is
// applied but not flushed, over a bolt file that has it all up to a flush.
//
// A bolt transaction fits an image if its file is at flush base, or at base+1 once the frozen
// rows are in it: they say the same twice then.
type image struct {
	db     *bolt.DB
	live   *tree // newest
	frozen *tree // being flushed; nil if none
	base   uint64
	meta   meta
	next   chan struct{} // closed when a newer image is published
}

// store is bolt with rows that are written behind. One goroutine applies (it holds mu),
// one flushes; any number read.
type store struct {
	path   string
	noSync bool
	image  atomic.Pointer[image]
	failed atomic.Pointer[error]

	mu    sync.Mutex // guards the fields below and publishing
	db    *bolt.DB
	live  *tree
	meta  meta
	dirty int // bytes in live
	tx    *bolt.Tx
	saved uint64 // the log index that the file is at

	flushing sync.Mutex // held during a flush; taken before mu
}

func openStore(path string, noSync bool) (*store, error) {
	s := &store{path: path, noSync: noSync, live: new(tree)}
	return s, s.open()
}

// open opens the file and publishes its state as an image without unflushed rows.
func (s *store) open() error {
	db, err := bolt.Open(s.path, 0o600, &bolt.Options{
		Timeout: time.Second, NoFreelistSync: true, FreelistType: bolt.FreelistMapType,
		InitialMmapSize: mapSize, NoSync: s.noSync, NoGrowSync: s.noSync,
	})
	if err != nil {
		return fmt.Errorf("open the replica: %w", err)
	}
	m, err := readMeta(db)
	if err != nil {
		db.Close()
		return err
	}
	s.db, s.meta, s.live, s.dirty, s.saved = db, m, new(tree), 0, m.Index
	s.publish(nil, m.Flush)
	return nil
}

// readMeta returns the meta row; a new file gets an empty one.
func readMeta(db *bolt.DB) (m meta, err error) {
	err = db.View(func(tx *bolt.Tx) error {
		b := tx.Bucket(rowsBucket)
		if b == nil {
			return nil
		}
		m, err = decodeMeta(b.Get(metaKey))
		return err
	})
	if err != nil || m.Flush != 0 {
		return m, err
	}
	m = newMeta()
	return m, db.Update(func(tx *bolt.Tx) error {
		b, err := tx.CreateBucketIfNotExists(rowsBucket)
		if err != nil {
			return err
		}
		return b.Put(metaKey, m.encode())
	})
}

// publish makes the live rows visible. The caller holds mu, or is alone.
func (s *store) publish(frozen *tree, base uint64) {
	old := s.image.Load()
	s.image.Store(&image{db: s.db, live: s.live.Copy(), frozen: frozen, base: base, meta: s.meta, next: make(chan struct{})})
	if old != nil {
		close(old.next)
	}
}

// begin starts a change: the caller may get, scan, put and del until it calls commit.
func (s *store) begin() {
	s.mu.Lock()
}

// commit publishes what was changed since begin.
func (s *store) commit() error {
	s.closeTx()
	img := s.image.Load()
	s.publish(img.frozen, img.base)
	over := s.dirty > maxDirty
	s.mu.Unlock()
	if over { // in the applying goroutine: this is the backpressure
		return s.flush()
	}
	return nil
}

// abandon drops what was changed since begin.
func (s *store) abandon() {
	s.closeTx()
	img := s.image.Load()
	s.live, s.meta = img.live.Copy(), img.meta
	s.mu.Unlock()
}

// replace puts another file in the place of this one and opens it; unflushed rows are
// dropped. Readers of the old file finish first; those that come now wait.
func (s *store) replace(path string) error {
	s.flushing.Lock()
	defer s.flushing.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.db.Close(); err != nil {
		return fmt.Errorf("close the replica: %w", err)
	}
	if err := os.Rename(path, s.path); err != nil {
		return fmt.Errorf("put the received replica in place: %w", err)
	}
	if err := syncDir(filepath.Dir(s.path)); err != nil {
		return err
	}
	return s.open()
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Sync(); err != nil {
		return fmt.Errorf("sync the data folder: %w", err)
	}
	return nil
}

func (s *store) closeTx() {
	if s.tx != nil {
		s.tx.Rollback()
		s.tx = nil
	}
}

// rows returns the applier's own reader. The bolt transaction is opened on demand and
// lives until commit: a longer one would stall a flush that grows the file.
func (s *store) rows() rows {
	if s.tx == nil {
		tx, err := s.db.Begin(false)
		if err != nil {
			panic(storageError{err})
		}
		s.tx = tx
	}
	return rows{live: s.live, frozen: s.image.Load().frozen, bucket: s.tx.Bucket(rowsBucket)}
}

// put sets a row and keeps the set hash.
func (s *store) put(key string, payload []byte) {
	row := seal(key, payload)
	if old := s.rows().raw(key); old != nil {
		s.meta.Set -= rowHash(key, old)
	}
	s.set(key, row)
}

// insert sets a row that is known not to exist, which spares looking for it.
func (s *store) insert(key string, payload []byte) {
	s.set(key, seal(key, payload))
}

func (s *store) set(key string, row []byte) {
	s.meta.Set += rowHash(key, row)
	s.live.Set(key, row)
	s.dirty += len(key) + len(row)
}

// del takes a row away, if there is one.
func (s *store) del(key string) {
	old := s.rows().raw(key)
	if old == nil {
		return
	}
	s.meta.Set -= rowHash(key, old)
	s.live.Set(key, nil)
	s.dirty += len(key)
}

// flush brings all that is applied by now into the file, durably.
func (s *store) flush() error {
	s.flushing.Lock()
	defer s.flushing.Unlock()
	if err := s.err(); err != nil {
		return err
	}
	s.mu.Lock()
	base := s.image.Load().base
	if s.live.Len() == 0 && s.meta.Index == s.saved {
		s.mu.Unlock()
		return nil
	}
	s.meta.Flush = base + 1
	frozen, m, db := s.live, s.meta, s.db
	s.live, s.dirty = new(tree), 0
	s.publish(frozen, base)
	s.mu.Unlock()

	if err := writeFlush(db, frozen, m); err != nil {
		err = fmt.Errorf("write the replica: %w", err)
		s.failed.Store(&err)
		return err
	}
	s.mu.Lock()
	s.saved = m.Index
	s.publish(nil, m.Flush)
	s.mu.Unlock()
	return nil
}

func writeFlush(db *bolt.DB, frozen *tree, m meta) error {
	return db.Update(func(tx *bolt.Tx) error {
		b := tx.Bucket(rowsBucket)
		var err error
		frozen.Scan(func(key string, row []byte) bool {
			if row == nil {
				err = b.Delete([]byte(key))
			} else {
				err = b.Put([]byte(key), row)
			}
			return err == nil
		})
		if err != nil {
			return err
		}
		return b.Put(metaKey, m.encode())
	})
}

// err is the first storage error: nothing is written after it.
func (s *store) err() error {
	if p := s.failed.Load(); p != nil {
		return *p
	}
	return nil
}

// view opens a reader on the newest image; close it.
func (s *store) view() (rows, *image, error) {
	for {
		img := s.image.Load()
		tx, err := img.db.Begin(false)
		if errors.Is(err, berrors.ErrDatabaseNotOpen) && s.restoring(img) {
			continue
		}
		if err != nil {
			return rows{}, nil, fmt.Errorf("read the replica: %w", err)
		}
		b := tx.Bucket(rowsBucket)
		at := flushOf(b.Get(metaKey))
		if at == img.base || img.frozen != nil && at == img.base+1 {
			return rows{live: img.live, frozen: img.frozen, bucket: b, tx: tx}, img, nil
		}
		tx.Rollback()
	}
}

// restoring waits for a restore that closed the image's file; false if the store was closed.
func (s *store) restoring(img *image) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.image.Load().db != img.db
}

// rows reads rows of one state: live over frozen over bolt.
type rows struct {
	live, frozen *tree
	bucket       *bolt.Bucket
	tx           *bolt.Tx // nil for the applier's own
}

func (r rows) close() {
	if r.tx != nil {
		r.tx.Rollback()
	}
}

// raw returns a row with its version and checksum, nil if there is none. The row is valid
// until the reader is closed.
func (r rows) raw(key string) []byte {
	if row, ok := r.live.Get(key); ok {
		return row
	}
	if r.frozen != nil {
		if row, ok := r.frozen.Get(key); ok {
			return row
		}
	}
	return r.bucket.Get([]byte(key))
}

// get returns the payload of a row, nil if there is none. It panics on a damaged row:
// what cannot be trusted must not be served or built on.
func (r rows) get(key string) []byte {
	row := r.raw(key)
	if row == nil {
		return nil
	}
	return mustUnseal(key, row)
}

func mustUnseal(key string, row []byte) []byte {
	payload, err := unseal(key, row)
	if err != nil {
		panic(storageError{err})
	}
	return payload
}

// scan calls visit for each row from a key on, below a limit, in order, until it returns false.
func (r rows) scan(from, below string, visit func(key string, payload []byte) bool) {
	live, frozen := r.live.Iter(), (&tree{}).Iter()
	if r.frozen != nil {
		frozen = r.frozen.Iter()
	}
	liveOK, frozenOK := live.Seek(from), frozen.Seek(from)
	cursor := r.bucket.Cursor()
	k, v := cursor.Seek([]byte(from))
	for {
		key, row, found := "", []byte(nil), false
		if liveOK {
			key, row, found = live.Key(), live.Value(), true
		}
		if frozenOK && (!found || frozen.Key() < key) {
			key, row, found = frozen.Key(), frozen.Value(), true
		}
		if k != nil && (!found || string(k) < key) {
			key, row, found = string(k), v, true
		}
		if !found || key >= below {
			return
		}
		if liveOK && live.Key() == key {
			liveOK = live.Next()
		}
		if frozenOK && frozen.Key() == key {
			frozenOK = frozen.Next()
		}
		if k != nil && bytes.Equal(k, []byte(key)) {
			k, v = cursor.Next()
		}
		if row != nil && !visit(key, mustUnseal(key, row)) {
			return
		}
	}
}

// storageError is the panic of a row or a file that cannot be used; Replica turns it
// into the end of the process.
type storageError struct{ error }

func flushOf(row []byte) uint64 {
	if len(row) < 1+8 {
		return 0
	}
	return binary.BigEndian.Uint64(row[1:])
}

// close closes the file as it is; readers finish first.
func (s *store) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.db.Close()
}
