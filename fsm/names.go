package fsm

import (
	"runtime/debug"

	"todod/fsm/todo"
)

// maxNames bounds the former names that are known of a list: who follows one that was renamed more often since begins
// anew.
const maxNames = 32

// Names are what a list was called, so that who followed it under one name goes on under another.
type Names struct {
	since uint64     // they are known of the revs above
	was   []formerly // in order of time
	now   string
}

// formerly is a name that a list had.
type formerly struct {
	name  string
	until uint64 // the rev that gave it the next one, in which it had both
}

// Has reports whether a list had a name at a rev.
func (n *Names) Has(rev uint64, name string) bool {
	for i := range n.was {
		switch w := &n.was[i]; {
		case w.until < rev:
		case w.name == name:
			return true
		case w.until > rev:
			return false
		}
	}
	return n.now == name
}

// Same reports whether the list has had its name since before a rev.
func (n *Names) Same(rev uint64) bool { return len(n.was) == 0 || n.was[len(n.was)-1].until < rev }

// Names returns what the list with a name was called after a rev; not ok if that is no longer known.
func (v *View) Names(list string, since uint64) (names Names, ok bool) {
	defer v.guard(debug.SetPanicOnFault(true))
	return v.rows.namesSince(list, since)
}

func (r rows) namesSince(list string, since uint64) (names Names, ok bool) {
	num := r.list(list).Num
	if num == 0 {
		return Names{now: list}, true
	}
	names = r.names(num)
	names.now = list
	return names, since >= names.since
}

// Renamed returns what the list that once had a name is called now; not ok if the name is a list's, or no list with
// another name had it.
func (v *View) Renamed(name string) (now string, ok bool) {
	defer v.guard(debug.SetPanicOnFault(true))
	l := v.rows.list(name)
	was := l.More.Get().Was
	if l.Num != 0 || was == 0 {
		return "", false
	}
	now = v.rows.names(was).now
	return now, v.rows.list(now).Num == was // it may have been deleted since
}

// names returns what a list was called; all empty if it never got another name.
func (r rows) names(num uint64) (n Names) {
	b := r.get(numKey(tabNames, num))
	if b == nil {
		return n
	}
	return decodeNames(b)
}

func decodeNames(b []byte) (n Names) {
	in := &reader{b: b}
	n.since, n.now = in.uvarint(), in.string()
	n.was = make([]formerly, in.count(2))
	for i := range n.was {
		n.was[i] = formerly{in.string(), in.uvarint()}
	}
	in.must()
	return n
}

func appendNames(b []byte, n *Names) []byte {
	b = appendBytes(appendUvarints(b, n.since), n.now)
	b = appendUvarints(b, uint64(len(n.was)))
	for i := range n.was {
		b = appendUvarints(appendBytes(b, n.was[i].name), n.was[i].until)
	}
	return b
}

// storeName keeps what a list was called until a rev.
func (r *Replica) storeName(renamed *todo.Renaming, rev uint64) {
	n := r.store.rows().names(renamed.Num)
	n.was, n.now = append(n.was, formerly{renamed.From, rev}), renamed.To
	if len(n.was) > maxNames {
		n.since, n.was = n.was[0].until, n.was[1:]
	}
	r.store.put(numKey(tabNames, renamed.Num), appendNames(newRow(64*(1+len(n.was))), &n))
}

// rowPlaces are where an entry may be, as rows have it.
type rowPlaces struct{ rows }

func (r rowPlaces) List(name string) todo.List                  { return r.list(name) }
func (r rowPlaces) Entry(num, id uint64) (todo.Entry, bool)     { return r.entry(num, id) }
func (r rowPlaces) Trashed(num, id uint64) (todo.Trashed, bool) { return r.trashed(num, id) }
func (r rowPlaces) Called(num uint64) string                    { return r.names(num).now }
func (v *applyView) Called(num uint64) string                   { return v.store.rows().names(num).now }

// Moved returns where an entry is that was moved out of a list, and the entry: as it was, if it is no longer there. It
// is not ok for one that was not moved out of that list.
func (v *View) Moved(list string, id uint64) (item todo.Item, ok bool) {
	defer v.guard(debug.SetPanicOnFault(true))
	num := v.rows.list(list).Num
	if num == 0 {
		return item, false
	}
	t, ok := v.rows.trashed(num, id)
	if !ok || t.Kind != todo.MovedAway {
		return item, false
	}
	return t.Follow(todo.Move, rowPlaces{v.rows}), true
}
