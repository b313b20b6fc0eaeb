package filter

import (
	"encoding/binary"
	"slices"
	"strings"
	"time"

	"todod/fsm/todo"
	"todod/fsm/todo/fold"
)

// maxKeys is how many fields an order may name; maxTitleKey is how much of a folded title counts in it: keys go into
// cursors, which go into URLs.
const (
	maxKeys     = 4
	maxTitleKey = 128
)

// MaxKey is the most bytes of a key: no field takes more than a title, and none is named twice.
const MaxKey = 2 + maxTitleKey + (maxKeys-1)*(2+16) + todo.MaxListName + 1 + 8

// Order is what entries can be sorted by: some fields, the first counts most. What an entry has not set comes last,
// whichever way a field is sorted. What is equal in all of them comes by list and id.
type Order []orderKey

type orderKey struct {
	field field
	down  bool
}

// sortable has the fields that entries can be sorted by.
var sortable = map[string]field{
	"id": fieldID, "due": fieldDue, "date": fieldDate, "priority": fieldPriority, "title": fieldTitle, "created": fieldCreated,
	"updated": fieldUpdated, "completed": fieldCompleted, "order": fieldOrder,
}

// ParseOrder reads an order: names of fields with commas between them, a - before those that go downwards. An error is
// a *todo.Invalid.
func ParseOrder(text string) (Order, error) {
	names := strings.SplitN(text, ",", maxKeys+1)
	if len(names) > maxKeys {
		return nil, &todo.Invalid{Field: "sort", Reason: "must name at most 4 fields"}
	}
	var o Order
	for _, name := range names {
		name, down := strings.CutPrefix(name, "-")
		f, ok := sortable[name]
		if !ok {
			return nil, &todo.Invalid{Field: "sort", Reason: "must be names of id, due, date, priority, title, created, updated, completed and order, with commas between and - before those that go downwards"}
		}
		if slices.ContainsFunc(o, func(k orderKey) bool { return k.field == f }) {
			return nil, &todo.Invalid{Field: "sort", Reason: "must name " + name + " once"}
		}
		o = append(o, orderKey{f, down})
	}
	return o, nil
}

// String is the order as it is parsed.
func (o Order) String() string {
	var parts []string
	for _, k := range o {
		for name, f := range sortable {
			if f == k.field && k.down {
				name = "-" + name
			}
			if f == k.field {
				parts = append(parts, name)
			}
		}
	}
	return strings.Join(parts, ",")
}

// ByDate reports whether the earliest date comes first.
func (o Order) ByDate() bool {
	return len(o) > 0 && !o[0].down && (o[0].field == fieldDate || o[0].field == fieldDue)
}

// KeyDate is the date that a key of an order ByDate begins with, and whether it has one. Of an order by due it is that of
// the caller's zone: at most a day from the entry's own.
func KeyDate(key string) (string, bool) {
	if key == "" || key[0] != 0 || len(key) < 1+len(time.DateOnly) {
		return "", false
	}
	return key[1 : 1+len(time.DateOnly)], true
}

// Sorter makes keys of entries for one caller. It is used by one goroutine at a time.
type Sorter struct {
	clock
	order Order
}

// Bind makes the order ready to be used.
func (o Order) Bind(c Context) *Sorter { return &Sorter{clock: newClock(c), order: o} }

// Append appends the key of an entry of a list: the order of keys as bytes is the order of entries, and no two have the
// same.
func (s *Sorter) Append(b []byte, list string, e *todo.Entry) []byte {
	for _, k := range s.order {
		b = append(b, 0) // it is set
		at := len(b)
		if b = s.append(b, k.field, e); len(b) == at {
			b[at-1] = 1
		}
		if k.down {
			for i := at; i < len(b); i++ {
				b[i] = ^b[i]
			}
		}
	}
	b = append(append(b, list...), 0) // which no name has
	return binary.BigEndian.AppendUint64(b, e.ID)
}

// append appends a field so that no value is the beginning of another one; nothing if it is not set.
func (s *Sorter) append(b []byte, f field, e *todo.Entry) []byte {
	more := e.More
	if more == nil {
		more = none
	}
	switch f {
	case fieldID:
		return binary.BigEndian.AppendUint64(b, e.ID)
	case fieldDate:
		return append(b, e.Date...)
	case fieldDue:
		date, clockTime := s.due(e)
		b = append(b, date...)
		if date != "" && clockTime == "" {
			return append(b, "~~:~~"...) // the whole day ends after all times
		}
		return append(b, clockTime...)
	case fieldPriority:
		if more.Priority == 0 {
			return b
		}
		return append(b, more.Priority)
	case fieldTitle:
		return appendTitle(b, e.Title)
	case fieldCreated:
		return binary.BigEndian.AppendUint64(b, uint64(e.Created))
	case fieldUpdated:
		return binary.BigEndian.AppendUint64(b, uint64(e.Updated))
	case fieldCompleted:
		if more.Completed == 0 {
			return b
		}
		return binary.BigEndian.AppendUint64(b, uint64(more.Completed))
	default:
		place := more.Place
		if place == (todo.Place{}) {
			place.Hi = e.ID
		}
		return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(b, place.Hi), place.Lo)
	}
}

// appendTitle appends the beginning of a folded title, ended by what is in none.
func appendTitle(b []byte, title string) []byte {
	at := len(b)
	b = fold.Append(b, title)
	b = b[:min(len(b), at+maxTitleKey)]
	for i := at; i < len(b); i++ {
		b[i] = max(b[i], 1)
	}
	return append(b, 0)
}
