package fsm

import (
	"bytes"

	bolt "go.etcd.io/bbolt"
)

// rows reads rows of one state: live over frozen over bolt.
type rows struct {
	live, frozen *tree
	inFile       *filed
	tx           *bolt.Tx // nil for the applier's own
	applier      *store   // whose transaction is opened on demand; nil for others
}

// filed is the rows in the file, as one transaction sees them.
type filed struct {
	bucket *bolt.Bucket
	lookup *bolt.Cursor   // kept for all look-ups: bolt makes one, and its stack, for each Get
	spare  []*bolt.Cursor // of scans that ended
	at     uint64         // the flush that they are of, where it is a view's
}

func newFiled(b *bolt.Bucket) *filed { return &filed{bucket: b, lookup: b.Cursor()} }

// cursor is for one scan, which may put it among the spare ones when it ends.
func (f *filed) cursor() *bolt.Cursor {
	last := len(f.spare) - 1
	if last < 0 {
		return f.bucket.Cursor()
	}
	c := f.spare[last]
	f.spare = f.spare[:last]
	return c
}

func (f *filed) get(key string) []byte {
	k, v := f.lookup.Seek([]byte(key))
	if string(k) != key {
		return nil
	}
	return v
}

func (r rows) close() {
	if r.tx != nil {
		r.tx.Rollback()
	}
}

func (r rows) file() *filed {
	if r.applier != nil {
		return r.applier.file()
	}
	return r.inFile
}

// raw returns a row with its version and checksum, nil if there is none. The row is valid
// until the reader is closed.
func (r rows) raw(key string) []byte {
	if row, ok := r.live.Get(key); ok {
		return row
	}
	return r.below(key)
}

// below is raw without the live rows.
func (r rows) below(key string) []byte {
	if r.frozen != nil {
		if row, ok := r.frozen.Get(key); ok {
			return row
		}
	}
	return r.file().get(key)
}

// next is get for the key that is likely to come right behind the one that was looked up last: a step in the file costs
// a fifth of a search.
func (r rows) next(key string) []byte {
	row, ok := r.live.Get(key)
	if !ok && r.frozen != nil {
		row, ok = r.frozen.Get(key)
	}
	if !ok {
		k, v := r.file().lookup.Next()
		if string(k) != key {
			return r.get(key)
		}
		row = v
	}
	if row == nil {
		return nil
	}
	return mustUnseal(key, row)
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
		damagedRow(err)
	}
	return payload
}

// scan calls visit for each row from a key on, below a limit, in order, until it returns false.
func (r rows) scan(from, below string, visit func(key string, payload []byte) bool) {
	r.each(from, below, func(b []byte) string { return string(b) }, visit)
}

// walk is scan with keys that hold as long as rows do.
func (r rows) walk(from, below string, visit func(key string, payload []byte) bool) {
	r.each(from, below, lend, visit)
}

func (r rows) each(from, below string, text func([]byte) string, visit func(key string, payload []byte) bool) {
	live, frozen := r.live.Iter(), noRows
	if r.frozen != nil {
		frozen = r.frozen.Iter()
	}
	liveOK, frozenOK := live.Seek(from), frozen.Seek(from)
	file := r.file()
	cursor := file.cursor()
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
			key, row, found = text(k), v, true
		}
		if !found || key >= below {
			break
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
			break
		}
	}
	file.spare = append(file.spare, cursor)
}
