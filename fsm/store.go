package fsm

import (
	"errors"
	"fmt"
	"os"
	"runtime/debug"
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
	// maxDirty bounds the rows waiting in memory, in bytes: beyond it applying stops until
	// they are in the file. As many again may be on their way there.
	maxDirty = 64 << 20
	// mapSize is the address space mapped for the file from the start: growing
	// a map waits for every open read transaction.
	mapSize = 16 << 30
	// degree of the trees of rows. Publishing a state makes the next change of each
	// node copy it, so nodes are small: 32 instead of 8 costs half as much again per entry.
	degree = 12
)

var (
	rowsBucket = []byte("rows")
	metaKey    = []byte("\x00meta")
)

// tree holds rows by key that are applied but not yet in bolt; a nil row is a deleted one.
type tree = btree.Map[string, []byte]

// noRows is what walks over no tree.
var noRows btree.MapIter[string, []byte]

func newTree() *tree { return btree.NewMap[string, []byte](degree) }

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
// one at a time flushes; any number read.
type store struct {
	path   string
	noSync bool
	limit  int          // of dirty
	onFail func(error)  // called once
	opened func(rows)   // called with mu held when the state is another one: the file was opened
	freeze func()       // called with mu held before the live rows are flushed
	step   func(string) // for tests: called where a crash may come; nil otherwise

	image  atomic.Pointer[image]
	failed atomic.Pointer[error]
	ended  chan struct{} // closed at the first failure
	// restoring asks who reads for long to make way: the file is about to be replaced.
	restoring atomic.Bool
	streams   fileStreams
	readers   readers

	mu     sync.Mutex // guards the fields below and publishing
	db     *bolt.DB
	live   *tree
	meta   meta
	urgent bool     // what is being applied is to be in the file at once
	dirty  int      // bytes in live
	tx     *bolt.Tx // the applier's
	inFile *filed   // the rows that it sees
	saved  uint64   // the log index that the file is at

	flushing sync.Mutex // held during a flush; taken before mu
	handle   *os.File   // of db
	stuck    bool       // a transaction of db was left as it stood; with flushing held
}

// open opens the file, which must exist, and publishes its state. The caller holds mu, or is alone.
func (s *store) open() (err error) {
	defer guard(&err, debug.SetPanicOnFault(true))
	db, err := openFile(s.path, &bolt.Options{InitialMmapSize: mapSize, NoSync: s.noSync,
		OpenFile: func(name string, flag int, perm os.FileMode) (f *os.File, err error) {
			f, err = os.OpenFile(name, flag, perm)
			s.handle = f
			return f, err
		}})
	if err != nil {
		return err
	}
	defer func() {
		if s.db != db {
			err = errors.Join(err, db.Close())
		}
	}()
	tx, err := db.Begin(false)
	if err != nil {
		return fmt.Errorf("read the replica: %w", err)
	}
	defer tx.Rollback()
	m, err := readMeta(tx)
	if err != nil {
		return err
	}
	s.opened(rows{live: newTree(), inFile: newFiled(tx.Bucket(rowsBucket))})
	s.db, s.meta, s.live, s.dirty, s.saved = db, m, newTree(), 0, m.Index
	s.publish(nil, m.Flush)
	return nil
}

// publish makes the live rows visible. The caller holds mu, or is alone.
func (s *store) publish(frozen *tree, base uint64) {
	old := s.image.Load()
	s.image.Store(&image{db: s.db, live: s.live.Copy(), frozen: frozen, base: base, meta: s.meta, next: make(chan struct{})})
	if old != nil {
		close(old.next)
	}
	if frozen == nil {
		s.readers.turn(s.db, base)
	} else {
		s.readers.turn(nil, 0)
	}
}

// begin starts a change: the caller may get, scan, put and del until it calls commit.
func (s *store) begin() error {
	s.mu.Lock()
	if err := s.err(); err != nil {
		s.mu.Unlock()
		return err
	}
	return nil
}

// full reports whether so much is waiting that the change must be committed.
func (s *store) full() bool { return s.dirty > s.limit }

// commit publishes what was changed since begin. When too much waits to be flushed it does
// that first: this is the backpressure. So it does when the change is urgent.
func (s *store) commit() error {
	s.closeTx()
	img := s.image.Load()
	s.publish(img.frozen, img.base)
	over := s.full() || s.urgent
	s.urgent = false
	s.mu.Unlock()
	if over {
		return s.flush(nil)
	}
	return nil
}

// abandon ends a change that must not be seen, and with it the store: what was published
// stays, nothing is changed or written after it.
func (s *store) abandon(err error) {
	s.closeTx()
	first := s.failed.CompareAndSwap(nil, &err)
	s.mu.Unlock()
	s.tell(first, err)
}

// fail makes the first failure known. Nothing is changed or written after it.
func (s *store) fail(err error) error {
	s.tell(s.failed.CompareAndSwap(nil, &err), err)
	return err
}

func (s *store) tell(first bool, err error) {
	if first {
		close(s.ended)
		s.onFail(err)
	}
}

// err is the first failure.
func (s *store) err() error {
	if p := s.failed.Load(); p != nil {
		return *p
	}
	return nil
}

// replace puts another file in the place of this one and opens it; unflushed rows are
// dropped. Readers of the old file finish first; those that come now wait.
func (s *store) replace(path string) error {
	s.flushing.Lock()
	defer s.flushing.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.err(); err != nil {
		return err
	}
	s.restoring.Store(true)
	defer s.restoring.Store(false)
	s.streams.breakOff()
	defer s.streams.resume()
	s.readers.turn(nil, 0)
	if err := s.db.Close(); err != nil {
		return fmt.Errorf("close the replica: %w", err)
	}
	s.at("restore: the old file is closed")
	if err := rename(path, s.path); err != nil {
		return err
	}
	s.at("restore: the new file is in place")
	if err := s.open(); err != nil {
		return err
	}
	s.at("restore: the new file is open")
	return nil
}

func (s *store) at(step string) {
	if s.step != nil {
		s.step(step)
	}
}

func (s *store) closeTx() {
	if s.tx != nil {
		s.tx.Rollback()
		s.tx, s.inFile = nil, nil
	}
}

// rows returns the applier's own reader.
func (s *store) rows() rows {
	return rows{live: s.live, frozen: s.image.Load().frozen, applier: s}
}

// file returns the rows in the file, for the applier. The transaction is opened on demand and
// lives until commit: a longer one would stall a flush that grows the file.
func (s *store) file() *filed {
	if s.tx == nil {
		tx, err := s.db.Begin(false)
		if err != nil {
			panic(storageError{fmt.Errorf("read the replica: %w: %w", err, ErrStorage)})
		}
		s.tx, s.inFile = tx, newFiled(tx.Bucket(rowsBucket))
	}
	return s.inFile
}

// put sets a row, begun with newRow, and keeps the set hash.
func (s *store) put(key string, row []byte) {
	old, replaced := s.set(key, seal(key, row))
	if !replaced { // else what is below was taken off the hash when it was replaced, or deleted
		if old = s.rows().below(key); old != nil {
			mustUnseal(key, old) // a damaged row taken off the hash would look like a difference of what was applied
		}
	}
	if old != nil {
		s.meta.Set -= rowHash(key, old)
	}
}

// insert sets a row that is known not to exist, which spares looking for it.
func (s *store) insert(key string, row []byte) { s.set(key, seal(key, row)) }

// set sets a sealed row and returns the live one before it: nil, and replaced, for a deleted one.
func (s *store) set(key string, row []byte) (old []byte, replaced bool) {
	s.meta.Set += rowHash(key, row)
	old, replaced = s.live.Set(key, row)
	s.dirty += len(row)
	if replaced {
		s.dirty -= len(old)
	} else {
		s.dirty += len(key)
	}
	return old, replaced
}

// del takes a row away, if there is one.
func (s *store) del(key string) {
	old := s.rows().raw(key)
	if old == nil {
		return
	}
	mustUnseal(key, old)
	s.meta.Set -= rowHash(key, old)
	s.bury(key)
}

// bury marks a row as deleted that the file may have.
func (s *store) bury(key string) {
	old, replaced := s.live.Set(key, nil)
	s.dirty -= len(old)
	if !replaced {
		s.dirty += len(key)
	}
}

// newest returns the newest image, unless the store failed.
func (s *store) newest() (*image, error) {
	if err := s.err(); err != nil {
		return nil, err
	}
	return s.image.Load(), nil
}

// beginRead opens a transaction on the file of the newest image, across a restore.
func (s *store) beginRead() (*bolt.Tx, *image, error) {
	for {
		img, err := s.newest()
		if err != nil {
			return nil, nil, err
		}
		tx, err := img.db.Begin(false)
		if errors.Is(err, berrors.ErrDatabaseNotOpen) && s.replaced(img) {
			continue
		}
		if err != nil {
			return nil, nil, fmt.Errorf("read the replica: %w", err)
		}
		return tx, img, nil
	}
}

// replaced waits for a restore that closed the image's file; false if the store was closed.
func (s *store) replaced(img *image) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.image.Load().db != img.db
}

// view opens a reader on the newest image; close it. Damage ends the store.
func (s *store) view() (rows, *image, error) {
	img, err := s.newest()
	if err != nil {
		return rows{}, nil, err
	}
	if f := s.readers.take(img); f != nil {
		return rows{live: img.live, frozen: img.frozen, inFile: f, tx: f.bucket.Tx()}, img, nil
	}
	for {
		tx, img, err := s.beginRead()
		if err != nil {
			return rows{}, nil, err
		}
		b, at, err := flushOf(tx)
		if err == nil && (at == img.base || img.frozen != nil && at == img.base+1) {
			f := newFiled(b)
			f.at = at
			return rows{live: img.live, frozen: img.frozen, inFile: f, tx: tx}, img, nil
		}
		// A flush ended between the image and the transaction: there is a newer image. Or the count of
		// flushes is damaged, and no image would ever fit.
		if err == nil {
			_, err = safeMeta(tx)
		}
		tx.Rollback()
		if err != nil {
			return rows{}, nil, s.fail(err)
		}
	}
}

// close closes the file as it is; readers finish first.
func (s *store) close() error {
	s.flushing.Lock()
	defer s.flushing.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.readers.turn(nil, 0)
	if s.stuck {
		return s.handle.Close() // bolt's own Close would wait for that transaction
	}
	return s.db.Close()
}
