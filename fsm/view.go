package fsm

import (
	"errors"
	"runtime/debug"

	"todod/fsm/todo"
)

// View is one consistent state of the replica. It is used by one goroutine and must be
// closed soon: an open one keeps the file from reusing pages, and a restore waits for it.
//
// A damaged row is never served. A method that meets one tells Config.Fatal, so that the
// process ends, and panics with an error that wraps ErrStorage: net/http drops that one request,
// and a caller that forgot to think of it has no wrong answer to give.
type View struct {
	rows  rows
	meta  *meta
	store *store
	last  todo.List // the list that was looked for last, there or not: most that is asked of a view is about one list
}

// View opens a view of all that is applied by now. It fails once Config.Fatal was called.
func (r *Replica) View() (*View, error) {
	rows, img, err := r.store.view()
	if err != nil {
		return nil, err
	}
	return &View{rows: rows, meta: &img.meta, store: r.store}, nil
}

// Look calls f with a view that ends when it returns. What a damaged row makes a view panic with comes back as an
// error, after Config.Fatal was told: for those who read beside requests, above whom nobody catches it. It
// fails as View does, too.
func (r *Replica) Look(f func(*View)) (err error) {
	v, err := r.View()
	if err != nil {
		return err
	}
	defer v.Close()
	defer func() {
		switch p := recover().(type) {
		case nil:
		case error:
			if err = p; !errors.Is(p, ErrStorage) {
				panic(p)
			}
		default:
			panic(p)
		}
	}()
	f(v)
	return nil
}

// Member is View.Member for those who look at nothing else, with the errors of Look.
func (r *Replica) Member(id string) (m Member, ok bool, err error) {
	err = r.Look(func(v *View) { m, ok = v.Member(id) })
	return m, ok, err
}

// guard is deferred by the methods that read rows: see the function of that name.
func (v *View) guard(faults bool) {
	debug.SetPanicOnFault(faults)
	if p := recover(); p != nil {
		panic(v.store.fail(asStorageError(p)))
	}
}

// Close ends the view. To close it again does nothing.
func (v *View) Close() {
	if f := v.rows.inFile; f != nil {
		v.rows = rows{} // another view may have its transaction now
		v.store.readers.keep(f)
	}
}

// Rev is the rev of the view's state.
func (v *View) Rev() uint64 { return v.meta.Rev }

// Epoch is the epoch that the view's revs belong to; 0 in a group without a first term.
func (v *View) Epoch() uint64 { return v.meta.Epoch }

// Index is the index of the last log entry that the view holds.
func (v *View) Index() uint64 { return v.meta.Index }

// List returns the list with a name, if there is one.
func (v *View) List(name string) (todo.List, bool) {
	defer v.guard(debug.SetPanicOnFault(true))
	l := v.list(name)
	return l, l.Num != 0
}

func (v *View) list(name string) todo.List {
	if v.last.Name != name || name == "" {
		v.last = v.rows.list(name)
	}
	return v.last
}

// Lists returns the lists whose names begin with prefix and come after a name, in byte order,
// and whether there are more than limit.
func (v *View) Lists(prefix, afterName string, limit int) (lists []todo.List, more bool) {
	defer v.guard(debug.SetPanicOnFault(true))
	from := textKey(tabList, prefix)
	if afterName != "" {
		from = max(from, textKey(tabList, afterName)+"\x00")
	}
	v.rows.scan(from, after(textKey(tabList, prefix)), func(key string, payload []byte) bool {
		l := decodeList(key[1:], payload)
		if l.Num == 0 {
			return true // deleted: the name is kept for its highest id
		}
		if len(lists) == limit {
			more = true
			return false
		}
		lists = append(lists, l)
		return true
	})
	return lists, more
}

// Entry returns an entry of a list, if there is one.
func (v *View) Entry(list string, id uint64) (todo.Entry, bool) {
	defer v.guard(debug.SetPanicOnFault(true))
	num := v.list(list).Num
	if num == 0 {
		return todo.Entry{}, false
	}
	return v.rows.entry(num, id)
}

// UID returns the entry of a list that has a uid, if there is one.
func (v *View) UID(list, uid string) (todo.Entry, bool) {
	defer v.guard(debug.SetPanicOnFault(true))
	num := v.list(list).Num
	if num == 0 || uid == "" {
		return todo.Entry{}, false
	}
	row := v.rows.get(uidKey(num, uid))
	if row == nil {
		return todo.Entry{}, false
	}
	e, found := v.rows.entry(num, decodeID(row))
	if !found {
		damagedRow(errors.New("the index by uid names no entry"))
	}
	return e, true
}

// Query says which entries of a list to return. Dates are 2006-01-02, "" for no bound.
type Query struct {
	Date     string // of this day only
	From, To string // from this day on, up to this day inclusive
	Done     *bool
	After    Position // of the last entry of the page before
	Limit    int
}

// Position is the place of an entry in the order of a query.
type Position struct {
	Date string
	ID   uint64
}

// pageRoom is what a page is begun with room for: to grow from one entry costs as much.
const pageRoom = 8

// Entries returns a page of a list's entries and whether there are more, in the order of Look.
func (v *View) Entries(list string, q Query) (page []todo.Entry, more bool) {
	more = v.Page(list, &q, func(e *todo.Entry) {
		if page == nil {
			page = make([]todo.Entry, 0, min(q.Limit, pageRoom))
		}
		page = append(page, e.Clone())
	})
	return page, more
}

// Page calls visit for each entry of such a page, which holds as long as in Look, and returns whether there are more.
func (v *View) Page(list string, q *Query, visit func(e *todo.Entry)) (more bool) {
	n := 0
	v.Look(list, q, func(e *todo.Entry) bool {
		if q.Done != nil && e.Done != *q.Done {
			return true
		}
		if more = n == q.Limit; more {
			return false
		}
		n++
		visit(e)
		return true
	})
	return more
}

// Look calls visit for the entries of a list that are of the dates of a query and come after its After, until visit returns false;
// of Done and Limit it knows nothing. They come in the order they were added; with any date by date first, undated ones
// left out. An unknown list has none. An entry and all in it hold until visit returns, but its title and date until the view
// is closed; Clone keeps one: copies of all would be most of what a long look costs.
func (v *View) Look(list string, q *Query, visit func(e *todo.Entry) bool) {
	defer v.guard(debug.SetPanicOnFault(true))
	num := v.list(list).Num
	if num == 0 {
		return
	}
	l := &lent{}
	if q.Date == "" && q.From == "" && q.To == "" {
		from := numKey(tabEntry, num, q.After.ID+1)
		v.rows.walk(from, after(numKey(tabEntry, num)), func(_ string, payload []byte) bool {
			return visit(l.decode(payload))
		})
		return
	}
	from, below, ok := q.dates(num)
	if !ok {
		return
	}
	last := uint64(0)
	v.rows.walk(from, below, func(key string, _ []byte) bool {
		id, row := lastNum(key), []byte(nil)
		if id == last+1 { // entries of one day are often added one after the other
			row = v.rows.next(numKey(tabEntry, num, id))
		} else {
			row = v.rows.get(numKey(tabEntry, num, id))
		}
		last = id
		if row == nil {
			damagedRow(errors.New("the index by date names no entry"))
		}
		return visit(l.decode(row))
	})
}

// HasSub reports whether an entry of a list has others below it.
func (v *View) HasSub(list string, id uint64) (has bool) {
	defer v.guard(debug.SetPanicOnFault(true))
	num := v.list(list).Num
	if num == 0 {
		return false
	}
	prefix := numKey(tabParent, num, id)
	v.rows.scan(prefix, after(prefix), func(string, []byte) bool {
		has = true
		return false
	})
	return has
}

// dates returns the bounds of the query in the index by date; not ok if nothing can be
// between them.
func (q *Query) dates(num uint64) (from, below string, ok bool) {
	first, last := max(q.Date, q.From), "9999-99-99"
	if q.To != "" {
		last = q.To
	}
	if q.Date != "" {
		last = min(last, q.Date)
	}
	if first > last {
		return "", "", false
	}
	from = numKey(tabDate, num) + first
	if q.After.Date != "" {
		from = max(from, dateKey(num, q.After.Date, q.After.ID+1))
	}
	return from, after(dateKey(num, last, ^uint64(0))), true
}

// InOrder visits the entries of a list behind a position, in the order that people gave them, until visit returns
// false.
func (v *View) InOrder(list string, after todo.Position, visit func(e todo.Entry) bool) {
	defer v.guard(debug.SetPanicOnFault(true))
	if num := v.list(list).Num; num != 0 {
		v.rows.inOrder(num, after, visit)
	}
}

// Members returns what the group knows of its nodes, removed ones too, sorted by ID.
func (v *View) Members() (members []Member) {
	defer v.guard(debug.SetPanicOnFault(true))
	return v.rows.members()
}

// Member returns what the group knows of a node, if it knows it.
func (v *View) Member(id string) (Member, bool) {
	defer v.guard(debug.SetPanicOnFault(true))
	return v.rows.member(id)
}

// FolderOwner returns the node that a data folder belongs to, "" if the group never saw it.
func (v *View) FolderOwner(folder string) string {
	defer v.guard(debug.SetPanicOnFault(true))
	return string(v.rows.get(textKey(tabFolder, folder)))
}

// Empty reports whether no command ever changed anything.
func (v *View) Empty() bool { return v.meta.Rev == 0 }
