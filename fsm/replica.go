// Package fsm is the replicated state of one node: what the committed log comes to, kept
// in one bolt file. It knows nothing of nodes, networks or HTTP. DESIGN.md tells more.
package fsm

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"todod/fsm/todo"
)

// Config is what a replica needs.
type Config struct {
	Dir    string // the folder of its file, which is called replica.db
	NoSync bool   // leave fsync out: for tests in memory only
	// Fatal is called once, when a damaged or unknown log entry or a storage error makes it
	// impossible to go on; the error is ErrDamaged or ErrUnknown for an entry. The replica
	// applies nothing from then on.
	Fatal func(error)
}

// FileName is the name of the replica's file in its folder.
const FileName = "replica.db"

// Replica is the state machine of a node: a raft.BatchingFSM. Raft calls it from one
// goroutine; View, Applied, the Wait methods and Hash may be called from any.
type Replica struct {
	cfg    Config
	store  *store
	stage  *todo.Stage
	limits limits
	halted bool // applies nothing more; touched by the applying goroutine alone

	received received // touched by Raft's goroutines, which take turns

	stop chan struct{}
	done sync.WaitGroup
	once sync.Once
}

var _ raft.BatchingFSM = (*Replica)(nil)

// Open opens or creates the replica in cfg.Dir, and removes what an interrupted restore left.
func Open(cfg Config) (*Replica, error) {
	if err := removeReceived(cfg.Dir); err != nil {
		return nil, err
	}
	s, err := openStore(filepath.Join(cfg.Dir, FileName), cfg.NoSync)
	if err != nil {
		return nil, err
	}
	r := &Replica{cfg: cfg, store: s, limits: defaultLimits, stop: make(chan struct{})}
	r.stage = todo.NewStage((*applyView)(r))
	r.done.Go(r.flushLoop)
	return r, nil
}

// Close flushes and closes the file.
func (r *Replica) Close() error {
	r.end()
	return errors.Join(r.store.flush(), r.store.close())
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
			if err := r.store.flush(); err != nil {
				r.fatal(err)
				return
			}
		}
	}
}

// Flush brings all that is applied by now into the file, durably.
func (r *Replica) Flush() error { return r.store.flush() }

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

// Durable returns the index and term of the last log entry that the file holds.
func (r *Replica) Durable() (index, term uint64, err error) {
	m, err := readMeta(r.store.image.Load().db)
	return m.Index, m.Term, err
}

// Time returns the highest leader time that was applied, Unix ms.
func (r *Replica) Time() int64 { return r.store.image.Load().meta.Time }

// Garbage returns how many deleted lists still have rows to be swept.
func (r *Replica) Garbage() uint64 { return r.store.image.Load().meta.Garbage }

// WaitIndex returns when the log entry at index is applied, or with the context's error.
func (r *Replica) WaitIndex(ctx context.Context, index uint64) error {
	return r.wait(ctx, func(m *meta) bool { return m.Index >= index })
}

// WaitRev returns when the rev is applied, or with the context's error.
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
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Hash are the hashes of the state after the log entry at Index: equal on every node.
type Hash struct {
	Index      uint64
	Chain, Set string // hexadecimal
}

// Hash returns the hashes of the newest state.
func (r *Replica) Hash() Hash {
	m := &r.store.image.Load().meta
	return Hash{Index: m.Index, Chain: fmt.Sprintf("%016x", m.Chain), Set: fmt.Sprintf("%016x", m.Set)}
}

// Path returns the path of the replica's file.
func (r *Replica) Path() string { return r.store.path }

func removeReceived(dir string) error {
	old, err := filepath.Glob(filepath.Join(dir, receivedPattern))
	if err != nil {
		return err
	}
	for _, path := range old {
		if err := os.Remove(path); err != nil {
			return fmt.Errorf("remove what an interrupted restore left: %w", err)
		}
	}
	return nil
}
