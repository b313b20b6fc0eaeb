package fsm

import (
	"fmt"
	"runtime/debug"

	bolt "go.etcd.io/bbolt"
)

// flush brings all that is applied by now into the file, durably. When amend is not nil it
// may change the meta row first, or refuse.
func (s *store) flush(amend func(*meta) error) error {
	s.flushing.Lock()
	defer s.flushing.Unlock()
	frozen, m, db, err := s.beginFlush(amend)
	if err != nil || frozen == nil {
		return err
	}
	s.at("flush: the rows are frozen")
	if err := s.writeFlush(db, frozen, m); err != nil {
		return s.fail(fmt.Errorf("write the replica: %w: %w", err, ErrStorage))
	}
	s.at("flush: the rows are in the file")
	s.mu.Lock()
	defer s.mu.Unlock()
	s.saved = m.Index
	s.publish(nil, m.Flush)
	return nil
}

// beginFlush takes the live rows to be written; none if the file has it all.
func (s *store) beginFlush(amend func(*meta) error) (frozen *tree, m meta, db *bolt.DB, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.err(); err != nil {
		return nil, m, nil, err
	}
	if amend != nil {
		if err := amend(&s.meta); err != nil {
			return nil, m, nil, err
		}
	}
	if s.meta.Index == s.saved {
		return nil, m, nil, nil // every change has an index
	}
	s.freeze()
	base := s.image.Load().base
	s.meta.Flush = base + 1
	frozen = s.live
	s.live, s.dirty = newTree(), 0
	s.publish(frozen, base)
	return frozen, s.meta, s.db, nil
}

// fill is how full a page is left when it is split: rows come at the end of a list or of all, and seldom
// between others, so that half of it would stay empty for good.
const fill = 0.9

// writeFlush writes rows in one transaction. One that meets damage is left as it stands: to roll it back bolt
// would look for the free pages in all of the file, in a goroutine of its own where a damaged page ends the process
// with a panic. The store ends anyhow, and close lets the file go.
func (s *store) writeFlush(db *bolt.DB, frozen *tree, m meta) (err error) {
	defer guard(&err, debug.SetPanicOnFault(true))
	tx, err := db.Begin(true)
	if err != nil {
		return err
	}
	s.stuck = true
	b := tx.Bucket(rowsBucket)
	if b == nil {
		return fmt.Errorf("a file without rows: %w", ErrCorrupt)
	}
	b.FillPercent = fill
	var buf []byte // bolt copies keys
	frozen.Scan(func(key string, row []byte) bool {
		if buf = append(buf[:0], key...); row == nil {
			err = b.Delete(buf)
		} else {
			err = b.Put(buf, row)
		}
		return err == nil
	})
	if err == nil {
		err = b.Put(metaKey, m.encode())
	}
	if err != nil {
		return err
	}
	err = tx.Commit() // which rolls back by itself when the disk fails
	s.stuck = false
	return err
}
