package fsm

import (
	"cmp"
	"encoding/binary"
	"errors"
	"runtime/debug"

	"todod/fsm/todo"
)

const dayMS = 24 * 60 * 60 * 1000

// trashKeys are the rows of an entry in the trash: its own, its place by age among all, and in its list.
func trashKeys(num, id uint64, at int64) (own, all, list string) {
	return numKey(tabTrash, num, id), numKey(tabQueue, 0, uint64(at), num, id), numKey(tabQueue, num, uint64(at), id)
}

// storeTrash turns what a command did to the trash into rows.
func (r *Replica) storeTrash() {
	for i := range r.stage.Trash {
		t := &r.stage.Trash[i]
		id := t.Now.Entry.ID
		if t.Existed {
			r.dropTrash(t.Num, id, t.Old.At)
		}
		switch {
		case t.Purged:
			r.forget(t.Num, id)
		case !t.Gone:
			r.addTrash(t.Num, &t.Now)
		}
	}
	for i := range r.stage.Trash {
		r.shrinkTrash(r.stage.Trash[i].Num)
	}
}

func (r *Replica) addTrash(num uint64, t *todo.Trashed) {
	own, all, list := trashKeys(num, t.Entry.ID, t.At)
	s := r.store
	s.insert(own, appendTrashed(newRow(80+len(t.Entry.Title)+9*len(t.With)), t))
	s.insert(all, newRow(0))
	s.insert(list, newRow(0))
	r.countTrash(num, 1)
}

func (r *Replica) dropTrash(num, id uint64, at int64) {
	own, all, list := trashKeys(num, id, at)
	r.store.del(own)
	r.store.del(all)
	r.store.del(list)
	r.countTrash(num, -1)
}

// countTrash changes the count of a list's trash, which has no row at 0.
func (r *Replica) countTrash(num uint64, by int) {
	key := numKey(tabTrash, num)
	switch n := r.store.rows().trashCount(num) + uint64(by); n {
	case 0:
		r.store.del(key)
	default:
		r.store.put(key, appendUvarints(newRow(4), n))
	}
}

func (r rows) trashCount(num uint64) uint64 {
	b := r.get(numKey(tabTrash, num))
	if b == nil {
		return 0
	}
	return decodeID(b)
}

// shrinkTrash lets the oldest trash of a list go beyond the limit. That is never more than came.
func (r *Replica) shrinkTrash(num uint64) {
	over := r.store.rows().trashCount(num)
	if over <= r.limits.trash {
		return
	}
	prefix := numKey(tabQueue, num)
	for _, key := range r.store.rows().keys(prefix, after(prefix), int(over-r.limits.trash)) {
		r.purgeTrash(num, lastNum(key))
	}
}

// purgeTrash takes an entry out of the trash for good.
func (r *Replica) purgeTrash(num, id uint64) {
	t, ok := r.store.rows().trashed(num, id)
	if !ok {
		damagedRow(errors.New("the order of the trash names no entry"))
	}
	r.dropTrash(num, id, t.At)
	r.forget(num, id)
}

// applyPurge takes away what was in the trash, or in the history, for too long by the time in the log: the oldest
// first, and a bounded number.
func (r *Replica) applyPurge(p Purge) Result {
	m := &r.store.meta
	left := min(p.Rows, maxSweep)
	for ; left > 0; left-- {
		num, id, at, ok := r.store.rows().oldestTrash()
		if !ok || m.Time-at < m.trashLife() {
			break
		}
		r.purgeTrash(num, id)
	}
	for ; left > 0; left-- {
		key, ok := r.oldestTrace()
		if !ok {
			break
		}
		if t := r.store.rows().trace(key); m.Time-t.At < r.limits.historyLife {
			break
		}
		r.dropTrace(key)
	}
	return r.refuse(todo.OK)
}

func (m *meta) trashLife() int64 { return int64(m.settings().TrashDays) * dayMS }

// settings are those that hold.
func (m *meta) settings() Settings {
	return Settings{TrashDays: cmp.Or(m.TrashDays, todo.TrashDays), EventsMiB: cmp.Or(m.EventsMiB, todo.EventsMiB)}
}

// applySettings sets what a command names. What is in the trash longer than is allowed now goes with the next purge, and
// the changes that are too many with those to come.
func (r *Replica) applySettings(s Settings) Result {
	if s.TrashDays != 0 {
		r.store.meta.TrashDays = min(s.TrashDays, todo.MaxTrashDays)
	}
	if s.EventsMiB != 0 {
		r.store.meta.EventsMiB = min(s.EventsMiB, todo.MaxEventsMiB)
	}
	return r.refuse(todo.OK)
}

// Settings are those of the view's state.
func (v *View) Settings() Settings { return v.meta.settings() }

// oldestTrash returns what is in the trash for longest, of all lists.
func (r rows) oldestTrash() (num, id uint64, at int64, ok bool) {
	key := r.first(numKey(tabQueue, 0))
	if key == "" {
		return 0, 0, 0, false
	}
	if len(key) != 1+4*8 {
		damagedRow(errShort)
	}
	b := []byte(key)
	return binary.BigEndian.Uint64(b[17:]), lastNum(key), int64(binary.BigEndian.Uint64(b[9:])), true
}

// sweep takes away a row of a deleted list, or of the history of an entry that is gone.
func (r *Replica) sweep(key string) {
	switch {
	case key[0] == tabHistory:
		r.dropTrace(key)
	case key[0] == tabTrash:
		num, id := binary.BigEndian.Uint64([]byte(key[1:])), lastNum(key)
		t, _ := r.store.rows().trashed(num, id)
		r.dropTrash(num, id, t.At)
	default:
		r.store.del(key)
	}
}

func appendTrashed(b []byte, t *todo.Trashed) []byte {
	b = append(b, byte(t.Kind))
	b = appendUvarints(b, t.Rev, uint64(t.At))
	if t.Kind == todo.MovedAway {
		b = appendUvarints(appendBytes(b, t.List), t.ID, t.Num)
	} else {
		b = appendUvarints(appendUvarints(b, t.Root, uint64(len(t.With))), t.With...)
	}
	return appendEntry(b, &t.Entry)
}

func (r *reader) trashed() (t todo.Trashed) {
	t.Kind = todo.TrashKind(r.byte())
	t.Rev, t.At = r.uvarint(), r.int()
	switch t.Kind {
	case todo.Deleted:
		t.Root = r.uvarint()
		if n := r.count(1); n > 0 {
			t.With = make([]uint64, n)
		}
		for i := range t.With {
			t.With[i] = r.uvarint()
		}
	case todo.MovedAway:
		t.List, t.ID, t.Num = r.string(), r.uvarint(), r.uvarint()
	default:
		r.bad = true
	}
	t.Entry = r.entry()
	return t
}

func decodeTrashed(b []byte) todo.Trashed {
	in := &reader{b: b}
	t := in.trashed()
	in.must()
	return t
}

func (r rows) trashed(num, id uint64) (t todo.Trashed, ok bool) {
	b := r.get(numKey(tabTrash, num, id))
	if b == nil {
		return t, false
	}
	return decodeTrashed(b), true
}

// Trash returns a page of what was deleted from a list, by id from above afterID on, and whether there is more.
func (v *View) Trash(list string, afterID uint64, limit int) (page []todo.Trashed, more bool) {
	defer v.guard(debug.SetPanicOnFault(true))
	num := v.rows.list(list).Num
	if num == 0 {
		return nil, false
	}
	v.rows.scan(numKey(tabTrash, num, afterID+1), after(numKey(tabTrash, num)), func(_ string, payload []byte) bool {
		t := decodeTrashed(payload)
		if t.Kind != todo.Deleted {
			return true // a signpost to another list
		}
		if len(page) == limit {
			more = true
			return false
		}
		page = append(page, t)
		return true
	})
	return page, more
}

// Outlived reports whether at a time (Unix ms) the trash or the history holds what TypePurge would take away.
func (r *Replica) Outlived(now int64) bool {
	v, err := r.View()
	if err != nil {
		return false
	}
	defer v.Close()
	defer v.guard(debug.SetPanicOnFault(true))
	if _, _, at, ok := v.rows.oldestTrash(); ok && now-at >= v.meta.trashLife() {
		return true
	}
	if key := v.rows.first(string(tabTraces)); key != "" {
		t := v.rows.trace(traceKey(key, v.rows.get(key)))
		return now-t.At >= r.limits.historyLife
	}
	return false
}

func (v *applyView) Trashed(num, id uint64) (todo.Trashed, bool) {
	return v.store.rows().trashed(num, id)
}
