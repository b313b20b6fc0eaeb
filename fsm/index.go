package fsm

import (
	"encoding/binary"

	"todod/fsm/todo"
)

// unindex takes away the index rows that an entry has no longer. It comes before any storeEntry of the
// command: what one entry gave up another may have taken.
func (r *Replica) unindex(e *todo.StageEntry) {
	if !e.Existed {
		return
	}
	var oldBuf, nowBuf [4]indexRow
	old, now := indexRows(oldBuf[:0], e.Num, &e.Old), nowBuf[:0]
	if !e.Gone {
		now = indexRows(now, e.Num, &e.Entry)
	}
	for i := range old {
		if !has(now, &old[i]) {
			r.store.del(old[i].key)
		}
	}
}

// storeEntry turns what a command did to an entry into rows: its own, and those by which it is found.
func (r *Replica) storeEntry(e *todo.StageEntry) {
	s, key := r.store, numKey(tabEntry, e.Num, e.Entry.ID)
	if e.Gone {
		s.del(key)
		return
	}
	var oldBuf, nowBuf [4]indexRow
	old, now := oldBuf[:0], indexRows(nowBuf[:0], e.Num, &e.Entry)
	if e.Existed {
		old = indexRows(old, e.Num, &e.Old)
	}
	for i := range now {
		if !has(old, &now[i]) {
			s.insert(now[i].key, now[i].row())
		}
	}
	row := appendEntry(newRow(48+len(e.Entry.Title)), &e.Entry)
	if e.Existed {
		s.put(key, row)
	} else {
		s.insert(key, row)
	}
}

// indexRow is a row by which an entry is found.
type indexRow struct {
	key string
	id  uint64 // the value; 0 where the key ends with it
}

func (x *indexRow) row() []byte {
	if x.id == 0 {
		return newRow(0)
	}
	return binary.AppendUvarint(newRow(binary.MaxVarintLen64), x.id)
}

// indexRows appends those of an entry.
func indexRows(to []indexRow, num uint64, e *todo.Entry) []indexRow {
	if e.Date != "" {
		to = append(to, indexRow{key: dateKey(num, e.Date, e.ID)})
	}
	if e.More == nil {
		return to
	}
	if e.More.UID != "" {
		to = append(to, indexRow{uidKey(num, e.More.UID), e.ID})
	}
	if e.More.Parent != 0 {
		to = append(to, indexRow{key: parentKey(num, e.More.Parent, e.ID)})
	}
	if e.More.Place != (todo.Place{}) {
		to = append(to, indexRow{key: placeKey(num, e.Position())})
	}
	return to
}

func has(rows []indexRow, row *indexRow) bool {
	for i := range rows {
		if rows[i] == *row {
			return true
		}
	}
	return false
}

func decodeID(b []byte) uint64 {
	in := &reader{b: b}
	id := in.uvarint()
	in.must()
	return id
}
