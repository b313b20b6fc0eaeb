package fsm

import (
	"encoding/binary"
	"errors"
	"runtime/debug"

	"todod/fsm/todo"
)

// traceKeys is what a row of the history counts for its keys.
const traceKeys = 64

// listGarbage is the length of the key that a deleted list has among the garbage; that of an entry is longer.
const listGarbage = 1 + 8

// storeTraces keeps what a command did to each entry that was there before it.
func (r *Replica) storeTraces(rev uint64, who string) {
	for i := range r.stage.Entries {
		e := &r.stage.Entries[i]
		if t, ok := e.Trace(rev); ok {
			t.At, t.Who = r.store.meta.Time, who
			r.addTrace(e.Num, e.Entry.ID, &t)
		}
	}
}

// addTrace keeps a change of an entry, as the newest of it. The oldest of the entry goes beyond its limit, and the
// oldest of all: together they are no more than what came.
func (r *Replica) addTrace(num, id uint64, t *todo.Trace) {
	s, m := r.store, &r.store.meta
	count := uint64(1)
	if newest := s.rows().newestTrace(num, id); newest != "" {
		count = ^lastNum(newest) + 1
	}
	row := appendTrace(newRow(64), t)
	s.insert(numKey(tabHistory, num, id, ^count), row)
	s.insert(numKey(tabTraces, t.Rev, num, id), appendUvarints(newRow(4), count))
	m.HistoryBytes += traceSize(row[1:])
	if count > r.limits.traces {
		if key := numKey(tabHistory, num, id, ^(count - r.limits.traces)); s.rows().get(key) != nil {
			r.dropTrace(key)
		}
	}
	for m.HistoryBytes > r.limits.historyBytes {
		key, ok := r.oldestTrace()
		if !ok {
			damagedRow(errors.New("there is less history than is counted"))
		}
		r.dropTrace(key)
	}
}

func traceSize(payload []byte) uint64 { return uint64(len(payload)) + traceKeys }

// newestTrace returns the key of the last change of an entry, "" if none is kept.
func (r rows) newestTrace(num, id uint64) string { return r.first(numKey(tabHistory, num, id)) }

// oldestTrace returns the key of the oldest change that is kept.
func (r *Replica) oldestTrace() (string, bool) {
	keys := r.store.rows().keys(numKey(tabTraces, r.firstTrace), after(string(tabTraces)), 1)
	if len(keys) == 0 {
		return "", false
	}
	key := traceKey(keys[0], r.store.rows().get(keys[0]))
	r.firstTrace = binary.BigEndian.Uint64([]byte(keys[0][1:]))
	return key, true
}

// traceKey returns the key of the change that a row of the order by age is for.
func traceKey(key string, payload []byte) string {
	if len(key) != 1+3*8 {
		damagedRow(errShort)
	}
	return numKey(tabHistory, binary.BigEndian.Uint64([]byte(key[9:])), lastNum(key), ^decodeID(payload))
}

// dropTrace takes a change of an entry away.
func (r *Replica) dropTrace(key string) {
	payload := r.store.rows().get(key)
	if payload == nil || len(key) != 1+3*8 {
		damagedRow(errors.New("the order of the history names none"))
	}
	b := []byte(key)
	t := decodeTrace(payload)
	r.store.meta.HistoryBytes -= traceSize(payload)
	r.store.del(key)
	r.store.del(numKey(tabTraces, t.Rev, binary.BigEndian.Uint64(b[1:]), binary.BigEndian.Uint64(b[9:])))
}

// forget has the history of an entry swept that is gone for good.
func (r *Replica) forget(num, id uint64) {
	if r.store.rows().newestTrace(num, id) == "" {
		return
	}
	r.store.insert(numKey(tabGarbage, num, id), newRow(0))
	r.store.meta.Garbage++
}

func appendTrace(b []byte, t *todo.Trace) []byte {
	b = append(appendUvarints(b, t.Rev, uint64(t.At)), byte(t.Kind))
	b = appendBytes(b, t.Who)
	return appendValues(appendValues(b, &t.From), &t.To)
}

func appendValues(b []byte, f *todo.Fields) []byte {
	b = append(b, flags(f.Done, f.More))
	b = appendBytes(appendBytes(b, f.Date), f.Title)
	return appendMore(b, f.More)
}

func (r *reader) trace() (t todo.Trace) {
	t.Rev, t.At, t.Kind, t.Who = r.uvarint(), r.int(), todo.Kind(r.byte()), r.string()
	t.From = r.values()
	t.To = r.values()
	return t
}

func (r *reader) values() (f todo.Fields) {
	flags := r.flags()
	f.Done = flags&entryDone != 0
	f.Date, f.Title = r.string(), r.string()
	if flags&entryMore != 0 {
		f.More = r.more()
	}
	return f
}

func decodeTrace(b []byte) todo.Trace {
	in := &reader{b: b}
	t := in.trace()
	in.must()
	return t
}

// trace returns the change of an entry that is kept under a key.
func (r rows) trace(key string) todo.Trace {
	b := r.get(key)
	if b == nil {
		damagedRow(errors.New("the order of the history names none"))
	}
	return decodeTrace(b)
}

// Trace is a change of an entry, and its place among those of the entry: from 1, the oldest.
type Trace struct {
	Count uint64
	todo.Trace
}

// History returns a page of the changes of an entry, which is in the list or in its trash: the newest first, from
// below a count on (0: from the newest), and whether there are more. It is not ok if there is no such entry.
func (v *View) History(list string, id, below uint64, limit int) (page []Trace, more, ok bool) {
	defer v.guard(debug.SetPanicOnFault(true))
	num := v.rows.list(list).Num
	if num == 0 {
		return nil, false, false
	}
	if _, ok = v.rows.entry(num, id); !ok {
		t, ok := v.rows.trashed(num, id)
		if !ok || t.Kind != todo.Deleted {
			return nil, false, false
		}
	}
	prefix := numKey(tabHistory, num, id)
	from := prefix
	if below != 0 {
		from = numKey(tabHistory, num, id, ^below+1)
	}
	v.rows.scan(from, after(prefix), func(key string, payload []byte) bool {
		if len(page) == limit {
			more = true
			return false
		}
		page = append(page, Trace{^lastNum(key), decodeTrace(payload)})
		return true
	})
	return page, more, true
}

func (v *applyView) Trace(num, id uint64) (t todo.Trace, ok bool) {
	rows := v.store.rows()
	key := rows.newestTrace(num, id)
	if key == "" {
		return t, false
	}
	return rows.trace(key), true
}

func (v *applyView) Change(rev uint64) ([]todo.Item, bool) {
	b := v.store.rows().get(numKey(tabChange, rev))
	if b == nil {
		return nil, false
	}
	in := &reader{b: b}
	in.int()
	items := in.items()
	in.must()
	return items, true
}
