package fsm

import (
	"context"
	"sync"
)

// A mark is a command that changes nothing: a place in the log at which the nodes compare their
// hashes. Equal ones mean that all they ever applied, and all rows they keep, are equal.

// maxMarks is how many marks are remembered for nodes that ask late.
const maxMarks = 16

// marks are the hashes at the newest marks. They are in memory alone: after a restart the next
// mark shows whatever the last one would have.
type marks struct {
	mu   sync.Mutex
	kept []Hash        // by index
	next chan struct{} // closed when another comes
}

func newMarks() *marks { return &marks{next: make(chan struct{})} }

func (m *marks) add(h Hash) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.kept) == maxMarks {
		m.kept = append(m.kept[:0], m.kept[1:]...)
	}
	m.kept = append(m.kept, h)
	close(m.next)
	m.next = make(chan struct{})
}

// forget is for a replica whose state was exchanged: the marks were those of the state before.
func (m *marks) forget() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.kept = nil
}

// Mark returns the hashes that this replica had at the mark with a log index; not ok if it has not
// come to it, or no longer remembers it.
func (r *Replica) Mark(index uint64) (h Hash, ok bool) {
	r.marks.mu.Lock()
	defer r.marks.mu.Unlock()
	for _, h := range r.marks.kept {
		if h.Index == index {
			return h, true
		}
	}
	return Hash{}, false
}

// NextMark waits until this replica has come to a mark after a log index, and returns the newest. The
// error is the context's or the one that Config.Fatal was told.
func (r *Replica) NextMark(ctx context.Context, after uint64) (Hash, error) {
	for {
		r.marks.mu.Lock()
		next, kept := r.marks.next, r.marks.kept
		if n := len(kept); n > 0 && kept[n-1].Index > after {
			defer r.marks.mu.Unlock()
			return kept[n-1], nil
		}
		r.marks.mu.Unlock()
		select {
		case <-next:
		case <-r.store.ended:
			return Hash{}, r.store.err()
		case <-ctx.Done():
			return Hash{}, ctx.Err()
		}
	}
}

// Withhold keeps this replica from being sent to other nodes, and theirs from being received, for
// the reason given; nil lifts it. It may be called concurrently.
func (r *Replica) Withhold(why error) {
	if why == nil {
		r.withheld.Store(nil)
		return
	}
	r.withheld.Store(&why)
}

// Withheld returns why this replica may not be given away, in a snapshot or a backup; nil if it may.
func (r *Replica) Withheld() error {
	if why := r.withheld.Load(); why != nil {
		return *why
	}
	return nil
}
