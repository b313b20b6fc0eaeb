package filter

import (
	"bytes"
	"cmp"
	"slices"
	"strings"
	"time"

	"todod/fsm/todo"
	"todod/fsm/todo/due"
	"todod/fsm/todo/fold"
)

// Context is what a filter or an order needs beside the entries.
type Context struct {
	Now  time.Time      // what is overdue, and which day is today
	Zone *time.Location // whose days they are; nil for UTC
	// HasSub reports whether an entry of the list has others below it; nil where that is not known, and then none has.
	HasSub func(id uint64) bool
}

// clock is a Context in use.
type clock struct {
	Context
	now   time.Time // in Zone
	today string
}

func newClock(c Context) clock {
	if c.Zone == nil {
		c.Zone = time.UTC
	}
	now := c.Now.In(c.Zone)
	return clock{Context: c, now: now, today: dateOf(now)}
}

// due returns the date and the time of day at which an entry is due in the caller's zone; no time if it has the
// whole day, no date if it has none.
func (c *clock) due(e *todo.Entry) (date, clockTime string) {
	if e.Date == "" || e.More == nil || e.More.Time == "" {
		return e.Date, ""
	}
	if !c.elsewhere(e) {
		return e.Date, e.More.Time
	}
	at, ok := due.At(e, c.Zone)
	if !ok {
		return e.Date, e.More.Time
	}
	at = at.In(c.Zone)
	return dateOf(at), at.Format("15:04")
}

// elsewhere reports whether an entry has its time in a zone that is not the caller's.
func (c *clock) elsewhere(e *todo.Entry) bool {
	if e.More == nil || e.More.TZ == "" {
		return false
	}
	zone, err := due.Zone(e.More.TZ)
	return err == nil && zone != c.Zone // a zone is read once
}

// overdue reports whether the moment up to which an entry can be done in time is over.
func (c *clock) overdue(e *todo.Entry) bool {
	if e.Done || e.Date == "" {
		return false
	}
	if e.Date != c.today && !c.elsewhere(e) { // nearly all: no instant has to be worked out
		return e.Date < c.today
	}
	at, ok := due.At(e, c.Zone)
	return ok && at.Before(c.now)
}

// Matcher is a filter at one moment in one zone. It is used by one goroutine at a time.
type Matcher struct {
	clock
	root   *test
	folded []byte // room for the text that is looked at
}

// test is a node with all worked out that is the same for every entry.
type test struct {
	*node
	kids     []*test
	date     string // the day it names
	from, to int64  // the ms it lasts
	needle   []byte // the text, folded
}

// Bind makes the filter ready to be used with many entries.
func (e *Expr) Bind(c Context) *Matcher {
	m := &Matcher{clock: newClock(c)}
	m.root = m.bind(e.root)
	return m
}

func (m *Matcher) bind(n *node) *test {
	t := &test{node: n}
	for _, kid := range n.kids {
		t.kids = append(t.kids, m.bind(kid))
	}
	switch n.kind {
	case isTag, isText:
		t.needle = fold.Append(nil, n.text)
	case isDay:
		t.date = n.day.on(m.now)
		t.from = begin(t.date, m.Zone)
		t.to = 1<<63 - 1
		if next, _ := parseDate(t.date); next.AddDate(0, 0, 1).Year() <= 9999 {
			t.to = begin(dateOf(next.AddDate(0, 0, 1)), m.Zone)
		}
	}
	return t
}

// none is the More of an entry that has none.
var none = &todo.More{}

// Match reports whether an entry is one that the filter is for.
func (m *Matcher) Match(e *todo.Entry) bool { return m.match(m.root, e) }

func (m *Matcher) match(t *test, e *todo.Entry) bool {
	switch t.kind {
	case isAnd:
		for _, kid := range t.kids {
			if !m.match(kid, e) {
				return false
			}
		}
		return true
	case isOr:
		for _, kid := range t.kids {
			if m.match(kid, e) {
				return true
			}
		}
		return false
	case isNot:
		return !m.match(t.kids[0], e)
	case isDone:
		return e.Done
	case isOverdue:
		return m.overdue(e)
	}
	more := e.More
	if more == nil {
		more = none
	}
	switch t.kind {
	case isTag:
		return slices.ContainsFunc(more.Tags, func(tag string) bool { return bytes.Equal(m.fold(tag), t.needle) })
	case isText:
		return m.contains(t, e, more)
	case isHas:
		return m.has(t.field, e, more)
	case isParent:
		return more.Parent == t.num
	case isNumber:
		return t.number(e, more)
	default:
		return m.day(t, e, more)
	}
}

// fold returns a text without case and accents, until the next call.
func (m *Matcher) fold(s string) []byte {
	m.folded = fold.Append(m.folded[:0], s)
	return m.folded
}

func (m *Matcher) contains(t *test, e *todo.Entry, more *todo.More) bool {
	if t.field != fieldNotes && bytes.Contains(m.fold(e.Title), t.needle) {
		return true
	}
	if t.field != fieldTitle && more.Notes != "" && bytes.Contains(m.fold(more.Notes), t.needle) {
		return true
	}
	return t.field == anywhere && slices.ContainsFunc(more.Tags, func(tag string) bool { return bytes.Contains(m.fold(tag), t.needle) })
}

func (m *Matcher) has(f field, e *todo.Entry, more *todo.More) bool {
	switch f {
	case fieldDate, fieldDue:
		return e.Date != ""
	case fieldTime:
		return more.Time != ""
	case fieldTag:
		return len(more.Tags) > 0
	case fieldPriority:
		return more.Priority != 0
	case fieldNotes:
		return more.Notes != ""
	case fieldRepeat:
		return more.Repeat != ""
	case fieldRemind:
		return len(more.Remind) > 0
	case fieldParent:
		return more.Parent != 0
	case fieldSub:
		return m.HasSub != nil && m.HasSub(e.ID)
	case fieldCompleted:
		return more.Completed != 0
	default:
		return more.UID != ""
	}
}

func (t *test) number(e *todo.Entry, more *todo.More) bool {
	if t.node.field == fieldID {
		return t.op.holds(cmp.Compare(e.ID, t.num))
	}
	if more.Priority == 0 && t.op != equal && t.op != unequal {
		return false // it is not the most urgent
	}
	return t.op.holds(cmp.Compare(uint64(more.Priority), t.num))
}

func (m *Matcher) day(t *test, e *todo.Entry, more *todo.More) bool {
	date, at := "", int64(0)
	switch t.field {
	case fieldDate:
		date = e.Date
	case fieldDue:
		date, _ = m.due(e)
	case fieldCreated:
		at = e.Created
	case fieldUpdated:
		at = e.Updated
	default:
		at = more.Completed
	}
	switch {
	case date != "":
		return t.op.holds(strings.Compare(date, t.date))
	case at == 0:
		return t.op == unequal
	case at < t.from:
		return t.op.holds(-1)
	case at >= t.to:
		return t.op.holds(1)
	}
	return t.op.holds(0)
}

// Timed reports whether what the filter chooses changes while no entry does.
func (e *Expr) Timed() bool { return e != nil && e.root.timed() }

func (n *node) timed() bool {
	return n.kind == isOverdue || n.kind == isDay && n.day.relative() || slices.ContainsFunc(n.kids, (*node).timed)
}

// Dates bounds the dates (2006-01-02) of the entries that can match: "" where there is no bound. Entries without a date
// match only if there is none at either side.
func (m *Matcher) Dates() (from, to string) {
	tests := []*test{m.root}
	if m.root.kind == isAnd {
		tests = m.root.kids
	}
	for _, t := range tests {
		first, last := m.dates(t)
		from = max(from, first)
		if last != "" && (to == "" || last < to) {
			to = last
		}
	}
	return from, to
}

func (m *Matcher) dates(t *test) (from, to string) {
	wide := 0 // what is due on a day here may have the date of the one before or after in its own zone
	op, date := t.op, t.date
	switch {
	case t.kind == isOverdue:
		op, date, wide = lessEqual, m.today, 1
	case t.kind == isDay && t.field == fieldDue:
		wide = 1
	case t.kind != isDay || t.field != fieldDate:
		return "", ""
	}
	day, _ := parseDate(date)
	before, after := dateOf(day.AddDate(0, 0, -wide)), dateOf(day.AddDate(0, 0, wide))
	switch op {
	case equal:
		return before, after
	case less, lessEqual:
		return "", after
	case greater, greaterEqual:
		return before, ""
	}
	return "", ""
}
