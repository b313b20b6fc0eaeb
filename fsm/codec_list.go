package fsm

import "todod/fsm/todo"

// The fields of todo.ListMore. They are stored: never renumber.
const (
	listTitle    = 1
	listColour   = 2
	listArchived = 3
	listSort     = 4
	listWas      = 5
)

// appendList appends what is kept under the name of a list: the numbers that all have, then what few have.
func appendList(b []byte, l *todo.List) []byte {
	b = appendUvarints(b, l.Num, l.LastID, l.Entries, l.Open, l.Rev)
	if l.More == nil {
		return b
	}
	return appendListMore(b, l.More)
}

func decodeList(name string, b []byte) todo.List {
	in := &reader{b: b}
	l := todo.List{Name: name, Num: in.uvarint(), LastID: in.uvarint(), Entries: in.uvarint(), Open: in.uvarint(), Rev: in.uvarint()}
	if len(in.b) > 0 {
		more := in.listMore()
		l.More = &more
		in.bad = in.bad || more == todo.ListMore{}
	}
	in.must()
	return l
}

func appendListMore(b []byte, m *todo.ListMore) []byte {
	b = appendText(b, listTitle, m.Title)
	b = appendText(b, listColour, m.Colour)
	if m.Archived {
		b = appendNumber(b, listArchived, 1)
	}
	b = appendText(b, listSort, m.Sort)
	b = appendNumber(b, listWas, m.Was)
	return append(b, 0)
}

func (r *reader) listMore() (m todo.ListMore) {
	r.fields(func(number byte, in *reader) {
		switch number {
		case listTitle:
			m.Title = in.rest()
		case listColour:
			m.Colour = in.rest()
		case listArchived:
			m.Archived = in.bool()
			in.bad = in.bad || !m.Archived
		case listSort:
			m.Sort = in.rest()
		case listWas:
			m.Was = in.nonzero()
		default:
			r.unknown = true
			in.b = nil
		}
	})
	return m
}

// appendListChange appends what a command changed of a list; no number stands for nothing.
func appendListChange(b []byte, c *todo.ListChange) []byte {
	if c == nil {
		return appendUvarints(b, 0)
	}
	return appendListMore(appendListMore(appendUvarints(b, c.Num), &c.From), &c.To)
}

func (r *reader) listChange() *todo.ListChange {
	num := r.uvarint()
	if num == 0 {
		return nil
	}
	return &todo.ListChange{Num: num, From: r.listMore(), To: r.listMore()}
}
