package fsm

import (
	"bytes"
	"errors"
	"slices"

	"github.com/tidwall/btree"
	bolt "go.etcd.io/bbolt"

	"todod/fsm/todo"
)

// maxSkip bounds how many entries that were put elsewhere a look for neighbors passes over: in a list that was
// wholly put in order there are no others, and it would read all of it.
const maxSkip = 1000

var errPlace = errors.New("the index of places names no entry")

// around is todo.View's Around: entries that were put somewhere are in an index, the others stand by their ids.
func (r rows) around(num uint64, at todo.Position, back bool, limit int) (found []todo.Position, edge todo.Position, more bool) {
	cut := func(p todo.Position) {
		if closer := p.Compare(edge) < 0; !more || closer != back {
			edge = p
		}
		more = true
	}
	prefix := numKey(tabPlace, num)
	placed := r.scan
	from, to := placeKey(num, at)+"\x00", after(prefix)
	if back {
		placed, from, to = r.scanBack, placeKey(num, at), prefix
	}
	n := 0
	placed(from, to, func(key string, _ []byte) bool {
		p := positionOf(key)
		found = append(found, p)
		if n++; n < limit {
			return true
		}
		cut(p)
		return false
	})
	r.unplaced(num, at, back, func(e *todo.Entry, seen int) bool {
		if e.More.Get().Place == (todo.Place{}) {
			found = append(found, e.Position())
			limit--
		}
		if limit > 0 && seen < maxSkip {
			return true
		}
		cut(todo.Position{Place: todo.Place{Hi: e.ID}, ID: e.ID})
		return false
	})
	if more {
		found = slices.DeleteFunc(found, func(p todo.Position) bool { return p != edge && (p.Compare(edge) > 0) != back })
	}
	slices.SortFunc(found, func(a, b todo.Position) int {
		if back {
			a, b = b, a
		}
		return a.Compare(b)
	})
	return found, edge, more
}

// unplaced visits the entries whose ids put them behind a position, or before it, those among them that were put
// elsewhere too.
func (r rows) unplaced(num uint64, at todo.Position, back bool, visit func(e *todo.Entry, seen int) bool) {
	id := todo.Position{Place: todo.Place{Hi: at.Hi}, ID: at.Hi} // where the entry of that id stands by itself
	prefix, seen := numKey(tabEntry, num), 0
	take := func(_ string, payload []byte) bool {
		e := decodeEntry(payload)
		seen++
		return visit(&e, seen)
	}
	if back {
		from := numKey(tabEntry, num, at.Hi)
		if id.Compare(at) < 0 {
			from += "\x00"
		}
		r.scanBack(from, prefix, take)
		return
	}
	from := numKey(tabEntry, num, at.Hi)
	if id.Compare(at) <= 0 {
		from += "\x00"
	}
	r.scan(from, after(prefix), take)
}

// positionOf is the position in a key of the index of places.
func positionOf(key string) todo.Position {
	at := func(i int) uint64 { return lastNum(key[:1+8*(i+1)]) }
	return todo.Position{Place: todo.Place{Hi: at(1), Lo: at(2)}, ID: at(3)}
}

// inOrder visits the entries of a list behind a position in their order, until visit returns false.
func (r rows) inOrder(num uint64, at todo.Position, visit func(e todo.Entry) bool) {
	const chunk = 128
	prefix, goOn := numKey(tabPlace, num), true
	put := r.keys(placeKey(num, at)+"\x00", after(prefix), chunk)
	// place visits those that were put somewhere before a position.
	place := func(before todo.Position, all bool) bool {
		for len(put) > 0 {
			p := positionOf(put[0])
			if !all && p.Compare(before) > 0 {
				return true
			}
			e, ok := r.entry(num, p.ID)
			if !ok {
				damagedRow(errPlace)
			}
			if !visit(e) {
				return false
			}
			if last := put[0]; len(put) == 1 {
				put = r.keys(last+"\x00", after(prefix), chunk)
			} else {
				put = put[1:]
			}
		}
		return true
	}
	r.unplaced(num, at, false, func(e *todo.Entry, _ int) bool {
		if e.More.Get().Place == (todo.Place{}) {
			goOn = place(e.Position(), false) && visit(*e)
		}
		return goOn
	})
	if goOn {
		place(todo.Position{}, true)
	}
}

// below goes to the last key below one, if there is any.
func below(it *btree.MapIter[string, []byte], key string) bool {
	if it.Seek(key) {
		return it.Prev()
	}
	return it.Last()
}

func lastBelow(cursor *bolt.Cursor, key string) (k, v []byte) {
	if k, _ := cursor.Seek([]byte(key)); k == nil {
		return cursor.Last()
	}
	return cursor.Prev()
}

// scanBack is scan from the other end: it begins below from and ends before what is below to.
func (r rows) scanBack(from, to string, visit func(key string, payload []byte) bool) {
	live, frozen := r.live.Iter(), (&tree{}).Iter()
	if r.frozen != nil {
		frozen = r.frozen.Iter()
	}
	liveOK, frozenOK := below(&live, from), below(&frozen, from)
	cursor := r.file().bucket.Cursor()
	k, v := lastBelow(cursor, from)
	for {
		key, row, found := "", []byte(nil), false
		if liveOK {
			key, row, found = live.Key(), live.Value(), true
		}
		if frozenOK && (!found || frozen.Key() > key) {
			key, row, found = frozen.Key(), frozen.Value(), true
		}
		if k != nil && (!found || string(k) > key) {
			key, row, found = string(k), v, true
		}
		if !found || key < to {
			return
		}
		if liveOK && live.Key() == key {
			liveOK = live.Prev()
		}
		if frozenOK && frozen.Key() == key {
			frozenOK = frozen.Prev()
		}
		if k != nil && bytes.Equal(k, []byte(key)) {
			k, v = cursor.Prev()
		}
		if row != nil && !visit(key, mustUnseal(key, row)) {
			return
		}
	}
}
