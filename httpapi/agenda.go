package httpapi

import (
	"container/heap"
	"slices"
	"time"

	"todod/fsm/todo"
	"todod/fsm/todo/filter"
)

// agenda finds a page of an order by date without a look at all rows: it goes through the index by date, from the day
// of the page before, until the days are later than those of the page. It is given up where that takes too long, since a row
// costs six times as much that way, and where entries without a date belong to the page, which the index does not have.
type agenda struct {
	f     *finder
	rows  int    // that may still be looked at; 0: it is given up, or the order is another
	top   string // the last date of the page so far
	after string // the first date that is beyond it
}

func newAgenda(f *finder) agenda {
	a := agenda{f: f}
	_, dated := filter.KeyDate(f.after.key)
	if f.order.ByDate() && (f.after.key == "" || dated) {
		a.rows = agendaRows * (f.Limit + 1)
	}
	return a
}

// of looks through a list, and reports whether it has found all of it that belongs to the page.
func (a *agenda) of(list string) bool {
	if a.rows == 0 {
		return false
	}
	f, q := a.f, a.f.Query
	q.From = max(q.From, f.first, "0001-01-01") // the last so that it is the index that is gone through
	if date, ok := filter.KeyDate(f.after.key); ok {
		q.From = max(q.From, days(date, -1))
	}
	if f.final != "" && (q.To == "" || f.final < q.To) {
		q.To = f.final
	}
	if l, ok := f.view.List(list); ok {
		a.rows += int(l.Entries / agendaShare)
	}
	scanned := f.scanned
	f.view.Look(list, &q, func(e *todo.Entry) bool {
		if a.beyond(e.Date) {
			return false
		}
		a.rows--
		return a.rows > 0 && f.visit(e)
	})
	if f.err != nil {
		return true // it cannot get better
	}
	undated := q.Date == "" && f.From == "" && f.To == "" && f.first == "" && f.final == ""
	if a.rows > 0 && (!undated || a.full()) {
		return true
	}
	f.scanned = scanned
	f.heads = slices.DeleteFunc(f.heads, func(h *head) bool { return h.list == list })
	heap.Init(&f.heads)
	return false
}

// full reports whether the page has all it can have, and only entries with a date.
func (a *agenda) full() bool {
	if len(a.f.heads) <= a.f.Limit {
		return false
	}
	_, dated := filter.KeyDate(string(a.f.heads[0].key))
	return dated
}

// beyond reports whether an entry of a date comes behind all of a full page, in whatever zone it is due.
func (a *agenda) beyond(date string) bool {
	if len(a.f.heads) <= a.f.Limit {
		return false
	}
	top, dated := filter.KeyDate(string(a.f.heads[0].key))
	if dated && top != a.top {
		a.top, a.after = top, days(top, 2)
	}
	return dated && date >= a.after
}

// days is the date some days from another, or the last date that there can be.
func days(date string, n int) string {
	t, err := time.Parse(time.DateOnly, date)
	if t = t.AddDate(0, 0, n); err != nil || t.Year() > 9999 {
		return "9999-12-31"
	}
	return t.Format(time.DateOnly)
}
