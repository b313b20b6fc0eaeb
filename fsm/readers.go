package fsm

import (
	"sync"

	bolt "go.etcd.io/bbolt"
)

// maxReaders is how many transactions wait for views: more are not open at a time, but where views wait for their
// processor, and then beginning one matters little.
const maxReaders = 64

// readers are transactions that ended views left for those to come: to begin one costs as much as to read an entry or two.
// All are of one file at one flush. While the next flush is under way there are none: pages that it might fill would
// be kept for them, and where it has to grow the map it would wait for them without end.
type readers struct {
	mu   sync.Mutex
	db   *bolt.DB // nil: none are kept
	at   uint64
	free []*filed
}

// take returns what fits an image, nil if there is none.
func (r *readers) take(img *image) *filed {
	r.mu.Lock()
	defer r.mu.Unlock()
	last := len(r.free) - 1
	if last < 0 || r.db != img.db || r.at != img.base {
		return nil
	}
	f := r.free[last]
	r.free = r.free[:last]
	return f
}

// keep ends the use of a transaction by a view.
func (r *readers) keep(f *filed) {
	tx := f.bucket.Tx()
	r.mu.Lock()
	kept := r.db == tx.DB() && r.at == f.at && len(r.free) < maxReaders
	if kept {
		r.free = append(r.free, f)
	}
	r.mu.Unlock()
	if !kept {
		tx.Rollback()
	}
}

// turn says which file and flush transactions are kept of from now on, and ends all others that wait.
func (r *readers) turn(db *bolt.DB, at uint64) {
	r.mu.Lock()
	if r.db == db && r.at == at {
		r.mu.Unlock()
		return
	}
	old := r.free
	r.db, r.at, r.free = db, at, nil
	r.mu.Unlock()
	for _, f := range old {
		f.bucket.Tx().Rollback()
	}
}
