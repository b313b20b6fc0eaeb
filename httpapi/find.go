package httpapi

import (
	"bytes"
	"container/heap"
	"context"
	"slices"

	"todod/fsm"
	"todod/fsm/todo"
	"todod/fsm/todo/filter"
	"todod/httpapi/api"
)

// found is an entry of a page.
type found struct {
	list string
	todo.Entry
}

// head is an entry that is among the first of an order.
type head struct {
	list string
	id   uint64
	key  []byte // by which it is sorted
}

// finder gathers a page of a choice out of lists. What it costs is bounded by the rows it looks at and not by those
// it finds: a page may be short, even empty, and have a next one.
//
// A page in the order of the replica goes on behind the last row that the one before looked at. In another order each page looks at
// all rows again and keeps the first ones behind the key of the last; whatever others write, a row whose key
// stays is neither left out nor sent twice.
type finder struct {
	*choice
	view  *fsm.View
	match *filter.Matcher
	keys  *filter.Sorter
	seat  *seat

	maxScan, maxSort int

	first, final string // the dates that the filter leaves, "" where there is no bound
	agenda       agenda

	list string // that is being looked at
	only bool   // it is the only one
	key  []byte // room for one

	heads   heads   // of an order
	page    []found // of all others
	scanned int     // rows so far
	pause   int     // where the seat is asked for next
	more    bool
	last    place  // that was looked at, in the order of the replica
	date    []byte // of the last
	err     error
}

func newFinder(c *choice, v *fsm.View, seat *seat, cfg *Config) *finder {
	f := &finder{choice: c, view: v, seat: seat, last: c.after, pause: seatRows, maxScan: cfg.maxScan, maxSort: cfg.maxSort}
	context := c.context(func(id uint64) bool { return v.HasSub(f.list, id) })
	if c.expr != nil {
		f.match = c.expr.Bind(context)
	}
	if c.order != nil {
		f.keys = c.order.Bind(context)
		f.narrow()
		f.agenda = newAgenda(f)
	}
	return f
}

// narrow takes days that the filter asks for over into the query, so that the index by date is gone through and not
// the list. The rows come in the order of that index then, which does not matter where they are sorted. A row costs five
// times as much that way, so it is for filters that leave all the past out, and not for those that ask for what is overdue.
func (f *finder) narrow() {
	if f.match != nil {
		f.first, f.final = f.match.Dates()
	}
	if f.first == "" {
		return
	}
	f.From = max(f.From, f.first)
	if f.final != "" && (f.To == "" || f.final < f.To) {
		f.To = f.final
	}
}

// inLists looks through all lists whose names begin with prefix, in the byte order of their names.
func (f *finder) inLists(prefix string) {
	before := f.after.list
	if before != "" && f.keys == nil && !f.inList(before) {
		return
	}
	for {
		lists, more := f.view.Lists(prefix, before, todo.DefaultPage)
		for i := range lists {
			if before = lists[i].Name; !f.inList(before) {
				return
			}
		}
		if !more {
			return
		}
	}
}

// inOnly looks through a list, whatever it was called at the page before.
func (f *finder) inOnly(list string) {
	f.only, f.last.list = true, list
	f.inList(list)
}

// inList looks through a list, and reports whether there is anything left to look for.
func (f *finder) inList(list string) bool {
	if !f.count(listRows) {
		return false
	}
	if f.list = list; list != f.last.list {
		f.last = place{list: list}
	}
	q := f.Query
	if f.keys == nil {
		q.After = f.last.at
	}
	if f.keys == nil || !f.agenda.of(list) {
		f.date = append(f.date[:0], f.last.at.Date...)
		f.view.Look(list, &q, f.visit)
		f.last.at.Date = string(f.date)
	}
	return !f.more && f.err == nil
}

// count bounds what is looked at, in rows.
func (f *finder) count(rows int) bool {
	if f.keys == nil && f.scanned >= f.maxScan {
		f.more = true
		return false
	}
	if f.keys != nil && f.scanned >= f.maxSort {
		f.err = fail(api.CodeInvalid, "sort must be of at most %d entries: narrow them by a date, a list or the beginning of its name", f.maxSort)
		return false
	}
	if f.scanned += rows; f.scanned >= f.pause {
		f.pause = f.scanned + seatRows
		f.err = f.seat.take()
	}
	return f.err == nil
}

func (f *finder) visit(e *todo.Entry) bool {
	if !f.count(1) {
		return false
	}
	holds := (f.Done == nil || e.Done == *f.Done) && (f.match == nil || f.match.Match(e))
	switch {
	case holds && f.keys != nil:
		f.sortIn(e)
		return true
	case holds && len(f.page) == f.Limit:
		f.more = true
		return false
	case holds:
		f.page = append(f.page, found{f.list, e.Clone()})
	}
	f.last.at.ID, f.date = e.ID, append(f.date[:0], e.Date...)
	return true
}

// sortIn keeps the entry if it is among the first behind the page before, and one more, which tells whether there are more.
func (f *finder) sortIn(e *todo.Entry) {
	list := f.list
	if f.only {
		list = "" // it may get another name before the next page
	}
	f.key = f.keys.Append(f.key[:0], list, e)
	if f.after.key != "" && string(f.key) <= f.after.key {
		return
	}
	if len(f.heads) <= f.Limit {
		heap.Push(&f.heads, &head{f.list, e.ID, slices.Clone(f.key)})
		return
	}
	if last := f.heads[0]; string(f.key) < string(last.key) {
		*last = head{f.list, e.ID, append(last.key[:0], f.key...)}
		heap.Fix(&f.heads, 0)
	}
}

// heads is a heap of the first entries of an order, the last of them on top.
type heads []*head

func (h heads) Len() int           { return len(h) }
func (h heads) Less(i, j int) bool { return string(h[i].key) > string(h[j].key) }
func (h heads) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }

// Push is for package heap.
func (h *heads) Push(x any) { *h = append(*h, x.(*head)) }

// Pop is for package heap too, and never called: the last one is replaced.
func (h *heads) Pop() any { panic("nothing is taken from the heads") }

// end returns the page, and the place it ends at if there may be more.
func (f *finder) end() (page []found, next *place, err error) {
	if f.err != nil {
		return nil, nil, f.err
	}
	if f.keys == nil {
		if f.more {
			next = &f.last
		}
		return f.page, next, nil
	}
	slices.SortFunc(f.heads, func(a, b *head) int { return bytes.Compare(a.key, b.key) })
	if len(f.heads) > f.Limit {
		f.heads = f.heads[:f.Limit]
		next = &place{key: string(f.heads[f.Limit-1].key)}
	}
	for _, h := range f.heads {
		if e, ok := f.view.Entry(h.list, h.id); ok { // of the view that it was found in
			page = append(page, found{h.list, e})
		}
	}
	return page, next, nil
}

// seat is what a request that looks at many rows waits for, so that a few such leave the node able to do
// all else.
type seat struct {
	ctx   context.Context // of the request, with its time
	seats chan struct{}
	taken bool
}

// take waits for the seat, and fails when the time of the request is over, also of one that has it.
func (s *seat) take() error {
	if s.taken {
		if s.ctx.Err() != nil {
			return errTooMuch
		}
		return nil
	}
	select {
	case s.seats <- struct{}{}:
		s.taken = true
		return nil
	case <-s.ctx.Done():
		return errTooMuch
	}
}

func (s *seat) leave() {
	if s.taken {
		<-s.seats
	}
}

var errTooMuch = fail(api.CodeOverloaded, "too many entries are looked through on this node: narrow them by a date or a list, or try again later")
