package fsm

import (
	"bytes"
	"runtime/debug"
	"slices"

	"todod/fsm/todo"
)

// Change is what one rev changed.
type Change struct {
	Rev   uint64
	Time  int64 // Unix ms
	Items []todo.Item
}

// Window says which changes a state has: those of the revs from First up to Rev, all of one epoch. First is
// above Rev when it has none.
type Window struct{ Epoch, First, Rev uint64 }

// Has reports whether all changes after a rev are in the window; so they are after its newest.
func (w Window) Has(since uint64) bool { return since <= w.Rev && since+1 >= w.First }

func (m *meta) window() Window { return Window{m.Epoch, m.FirstChange, m.Rev} }

// Window returns the window of the newest state, and a channel that is closed when there is a newer state.
func (r *Replica) Window() (Window, <-chan struct{}) {
	img := r.store.image.Load()
	return img.meta.window(), img.next
}

// Window returns the window of the view's state.
func (v *View) Window() Window { return v.meta.window() }

// Changes returns the changes after a rev in order, of one list, whatever it was called, or, for "", of all: at most limit, and
// no more once as many bytes of them were looked at as size says. There is none but these up to the rev upto. It is not ok
// when some are no longer kept, or can no longer be found.
func (v *View) Changes(list string, since uint64, limit, size int) (changes []Change, upto uint64, ok bool) {
	defer v.guard(debug.SetPanicOnFault(true))
	if since+1 < v.meta.FirstChange {
		return nil, since, false
	}
	names, ok := v.rows.namesSince(list, since)
	if !ok {
		return nil, since, false
	}
	upto = max(since, v.meta.Rev)
	v.scanChanges(since, func(rev uint64, payload []byte) bool {
		if c, is := changeOf(&names, rev, payload); is {
			changes = append(changes, c)
		}
		if size -= len(payload); len(changes) >= limit || size <= 0 {
			upto = rev
			return false
		}
		return true
	})
	return changes, upto, true
}

// changeOf decodes a change unless it is about other lists alone: most are, and not worth it. All lists are called "".
func changeOf(names *Names, rev uint64, payload []byte) (c Change, is bool) {
	if names.Same(rev) && !bytes.Contains(payload, []byte(names.now)) {
		return c, false
	}
	in := &reader{b: payload}
	c = Change{Rev: rev, Time: in.int(), Items: in.items()}
	in.must()
	return c, names.now == "" || slices.ContainsFunc(c.Items, func(it todo.Item) bool {
		return names.Has(rev, it.List) || names.Has(rev, it.Left().List)
	})
}

func (v *View) scanChanges(since uint64, visit func(rev uint64, payload []byte) bool) {
	v.rows.scan(numKey(tabChange, since+1), after(string(tabChange)), func(key string, payload []byte) bool {
		return visit(lastNum(key), payload)
	})
}

// Delta is what changed in a list between two revs.
type Delta struct {
	Upto    uint64       // all up to this rev is in it; less than the view's when there was too much for one
	Entries []todo.Entry // that changed, as they are in the view
	Gone    []uint64     // ids of those that are there no longer
	Anew    bool         // the list as a whole became another: read all of it
}

// Delta returns what changed in a list after a rev, whatever it was called. It ends with the change that brings it to limit entries, or
// beyond size bytes of changes of any list. An entry that changes again after Upto is left out: it comes in the
// delta after that. It is not ok when some of the changes are no longer kept, or can no longer be found.
func (v *View) Delta(list string, since uint64, limit, size int) (d Delta, ok bool) {
	defer v.guard(debug.SetPanicOnFault(true))
	if since+1 < v.meta.FirstChange {
		return d, false
	}
	l := v.rows.list(list)
	names, ok := v.rows.namesSince(list, since)
	if !ok {
		return d, false
	}
	if d.Upto = max(since, v.meta.Rev); l.Num != 0 && l.Rev <= since {
		return d, true
	}
	ids, seen := []uint64(nil), map[uint64]bool{}
	v.scanChanges(since, func(rev uint64, payload []byte) bool {
		size -= len(payload)
		c, _ := changeOf(&names, rev, payload)
		for i := range c.Items {
			it := &c.Items[i]
			for _, at := range []todo.Ref{{List: it.List, ID: it.Entry.ID}, it.Left()} {
				switch {
				case !names.Has(rev, at.List):
				case at.ID == 0:
					d.Anew = d.Anew || it.Kind == todo.DeleteList || it.Left().List != "" && !names.Has(rev, it.List)
				case !seen[at.ID]:
					seen[at.ID] = true
					ids = append(ids, at.ID)
				}
			}
		}
		if d.Anew || len(ids) >= limit || size <= 0 {
			d.Upto = rev
			return false
		}
		return true
	})
	for _, id := range ids {
		e, there := v.rows.entry(l.Num, id)
		switch {
		case !there:
			d.Gone = append(d.Gone, id)
		case e.Rev <= d.Upto:
			d.Entries = append(d.Entries, e)
		}
	}
	return d, true
}

// maxTrim bounds the changes that one command lets go: as many rows as a sweep takes in a tenth of a second.
const maxTrim = 4096

// oldestChange spares reading the oldest change with each new one.
type oldestChange struct {
	rev  uint64
	time int64
	size uint64 // of its row's payload
}

// trimChanges lets the oldest changes go once rev has its own: beyond changeBytes, or what the group set, and those past changeLife, but
// for the newest changeFew as long as these take no more than changeMost. A group of version 1 knows the first limit alone.
// Time is that of the commands, so it is the same at every node.
func (r *Replica) trimChanges(rev uint64) {
	m, lim := &r.store.meta, &r.limits
	if m.Group < 2 {
		for m.ChangeBytes > lim.changeBytes && m.FirstChange < rev {
			r.dropChange()
		}
		return
	}
	for range maxTrim {
		few := rev-m.FirstChange < lim.changeFew
		if m.FirstChange == rev || few && m.ChangeBytes <= lim.changeMost {
			return
		}
		if m.ChangeBytes <= r.changeBytes() && m.Time-r.firstChange().time < lim.changeLife {
			return
		}
		r.dropChange()
	}
}

// changeBytes is how much a group of version 2 keeps of the changes.
func (r *Replica) changeBytes() uint64 {
	if mib := r.store.meta.EventsMiB; mib != 0 {
		return mib << 20
	}
	return r.limits.changeBytes
}

// firstChange is the oldest change that is kept.
func (r *Replica) firstChange() oldestChange {
	if first := r.store.meta.FirstChange; r.oldestChange.rev != first {
		payload := r.store.rows().get(numKey(tabChange, first))
		in := &reader{b: payload}
		r.oldestChange = oldestChange{rev: first, time: in.int(), size: uint64(len(payload))}
	}
	return r.oldestChange
}

func (r *Replica) dropChange() {
	m := &r.store.meta
	m.ChangeBytes -= r.firstChange().size
	r.store.del(numKey(tabChange, m.FirstChange))
	m.FirstChange++
}
