// Package fsm is the replicated state of one node: what the committed log comes to, kept
// in one bolt file. It knows nothing of nodes, networks or HTTP. DESIGN.md tells more.
package fsm

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"

	"todod/fsm/todo"
)

// Config is what a replica needs.
type Config struct {
	Dir    string // the folder of its file, which is called replica.db
	Group  string // the ID of the group whose state it is; "" to take any
	NoSync bool   // leave fsync out: for tests in memory only
	// Fatal is called once, when it is impossible to go on: with ErrDamaged or ErrUnknown for
	// a log entry, with ErrStorage for the file. From then on the replica applies, writes
	// and shows nothing; the process must end. Fatal must not wait for a Close: a
	// reader may be open.
	Fatal func(error)
	// Fetch is called when a backup is to be restored that is not staged: it gets it from another node and
	// stages it. Nothing is applied meanwhile. It returns an error when the node stops, or when ctx ends: a
	// replica was received that is further. Without it, only what is staged can be restored.
	Fetch func(ctx context.Context, what Restore) error
	Reads uint64       // in place of the highest version of a group that this program reads: for tests
	Step  func(string) // called where a crash may come, with a name that DESIGN.md has: for tests
}

// FileName is the name of the replica's file in its folder.
const FileName = "replica.db"

// Replica is the state machine of a node: a raft.BatchingFSM. Raft calls it from one
// goroutine; View, Applied, the Wait methods and Hash may be called from any.
type Replica struct {
	cfg    Config
	store  *store
	limits limits
	reads  uint64

	stage    *todo.Stage // this and what follows: touched with the store's mu held
	sessions map[uint64]*session
	moved    []*session // whose rows are to be written at the end of the log entry
	oldest   oldestKey

	oldestChange oldestChange
	firstTrace   uint64 // no history is of an older rev: spares walking over what went since the last flush

	received received // touched by Raft's goroutines, which take turns
	marks    *marks
	withheld atomic.Pointer[error]
	staged   *staged
	fetching fetching
	halted   error // why entries of the log are left out until a replica comes; touched by the applier

	stop chan struct{}
	done sync.WaitGroup
	once sync.Once
}

var _ raft.BatchingFSM = (*Replica)(nil)

// Open opens or creates the replica in cfg.Dir (a file without a byte is none), and removes what a crash left half done. It
// reads all rows once, about 25 ms for 100,000 entries: nothing else would find decay before
// it is built on. It fails with ErrUnknown for a file of a newer version, with ErrCorrupt for
// a damaged one, with ErrForeign for another group's, with ErrStorage for one that cannot be read.
func Open(cfg Config) (*Replica, error) {
	if err := removeTemp(cfg.Dir); err != nil {
		return nil, err
	}
	path := filepath.Join(cfg.Dir, FileName)
	if info, err := os.Stat(path); errors.Is(err, os.ErrNotExist) || err == nil && info.Size() == 0 {
		if err := createFile(path, cfg.NoSync); err != nil {
			return nil, err
		}
	}
	r := &Replica{cfg: cfg, limits: defaultLimits, marks: newMarks(), reads: cmp.Or(cfg.Reads, Reads), stop: make(chan struct{})}
	m, err := checkFile(path)
	if err == nil {
		err = tooNew(m.Group, r.reads)
	}
	if err != nil {
		return nil, err
	}
	r.stage = todo.NewStage((*applyView)(r))
	if r.staged, err = openStaged(cfg.Dir, cfg.NoSync, r.step); err != nil {
		return nil, err
	}
	r.store = &store{path: path, noSync: cfg.NoSync, limit: maxDirty, step: cfg.Step, ended: make(chan struct{}),
		onFail: r.fatal, opened: r.loaded, freeze: r.freezeResults}
	if err := r.store.open(); err != nil {
		return nil, err
	}
	if err := claim(r.store.db, cfg.Group); err != nil {
		return nil, errors.Join(err, r.store.close())
	}
	r.done.Go(r.flushLoop)
	return r, nil
}

// Close flushes and closes the file.
func (r *Replica) Close() error {
	r.end()
	return errors.Join(r.store.flush(nil), r.store.close())
}

// Abandon closes the file without a flush, as if the process had died.
func (r *Replica) Abandon() error {
	r.end()
	return r.store.close()
}

func (r *Replica) end() {
	r.once.Do(func() { close(r.stop) })
	r.done.Wait()
}

// flushLoop writes behind. The log holds what is not flushed, and raft replays it.
func (r *Replica) flushLoop() {
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	for {
		select {
		case <-r.stop:
			return
		case <-tick.C:
			if err := r.store.flush(nil); err != nil {
				return // Config.Fatal was told
			}
		}
	}
}

// Flush brings all that is applied by now into the file, durably.
func (r *Replica) Flush() error { return r.store.flush(nil) }

// step tells tests where a crash may come.
func (r *Replica) step(name string) { r.store.at(name) }

func (r *Replica) fatal(err error) {
	if r.cfg.Fatal != nil {
		r.cfg.Fatal(err)
	}
}

// Applied returns the index and the rev of the newest state that View would show.
func (r *Replica) Applied() (index, rev uint64) {
	m := &r.store.image.Load().meta
	return m.Index, m.Rev
}

// At returns the index and term of the last log entry in the newest state.
func (r *Replica) At() (index, term uint64) {
	m := &r.store.image.Load().meta
	return m.Index, m.Term
}

// Durable returns the index and term of the last log entry that the file holds.
func (r *Replica) Durable() (index, term uint64, err error) {
	m, err := r.durable()
	return m.Index, m.Term, err
}

func (r *Replica) durable() (m meta, err error) {
	tx, _, err := r.store.beginRead()
	if err != nil {
		return m, err
	}
	defer tx.Rollback()
	defer func() {
		if err != nil {
			err = r.store.fail(err)
		}
	}()
	defer guard(&err, debug.SetPanicOnFault(true))
	return readMeta(tx)
}

// Time returns the highest leader time that was applied, Unix ms.
func (r *Replica) Time() int64 { return r.store.image.Load().meta.Time }

// Garbage returns how many deleted lists still have rows to be swept.
func (r *Replica) Garbage() uint64 { return r.store.image.Load().meta.Garbage }

// WaitIndex returns when the log entry at index is applied, or with the context's error or
// the one that Config.Fatal was told.
func (r *Replica) WaitIndex(ctx context.Context, index uint64) error {
	return r.wait(ctx, func(m *meta) bool { return m.Index >= index })
}

// WaitRev returns when the rev is applied, or with an error as WaitIndex.
func (r *Replica) WaitRev(ctx context.Context, rev uint64) error {
	return r.wait(ctx, func(m *meta) bool { return m.Rev >= rev })
}

func (r *Replica) wait(ctx context.Context, reached func(*meta) bool) error {
	for {
		img := r.store.image.Load()
		if reached(&img.meta) {
			return nil
		}
		select {
		case <-img.next:
		case <-r.store.ended:
			return r.store.err()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Hash are the hashes of the state after the log entry at Index: equal on every node.
type Hash struct {
	Index uint64 `json:"index"`
	Chain string `json:"chain"` // of all that was ever applied and what it came to; hexadecimal
	Set   string `json:"set"`   // of all rows
}

// Hash returns the hashes of the newest state.
func (r *Replica) Hash() Hash { return r.store.image.Load().meta.hash() }

func (m *meta) hash() Hash {
	return Hash{Index: m.Index, Chain: fmt.Sprintf("%016x", m.Chain), Set: fmt.Sprintf("%016x", m.Set)}
}

// Path returns the path of the replica's file.
func (r *Replica) Path() string { return r.store.path }

// tempFormat makes the names of files that are of no use after a crash.
const tempFormat = "replica-%s.tmp"

func removeTemp(dir string) error {
	files, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("read the data folder: %w", err)
	}
	for _, f := range files {
		if ok, _ := filepath.Match(fmt.Sprintf(tempFormat, "*"), f.Name()); !ok {
			continue
		}
		if err := os.Remove(filepath.Join(dir, f.Name())); err != nil {
			return fmt.Errorf("remove what an interrupted restore left: %w", err)
		}
	}
	return nil
}
