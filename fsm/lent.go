package fsm

import (
	"unsafe"

	"todod/fsm/todo"
)

// lent is room for one entry after the other. Their texts are the bytes of their rows.
type lent struct {
	entry todo.Entry
	more  todo.More
	texts []string
	row   reader
	in    reader // of a field
}

func (l *lent) decode(row []byte) *todo.Entry {
	l.row, l.texts = reader{b: row, lent: l}, l.texts[:0]
	l.entry = l.row.entry()
	l.row.must()
	return &l.entry
}

// lend makes a text of bytes that nobody changes: a row in the file holds while its transaction is open, and one in
// memory is only ever replaced.
func lend(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	return unsafe.String(&b[0], len(b))
}

// text is a copy of some bytes of the input, or, where they are lent, these bytes.
func (r *reader) text(b []byte) string {
	if r.lent != nil {
		return lend(b)
	}
	return string(b)
}

// room is for n texts.
func (r *reader) room(n int) []string {
	l := r.lent
	if l == nil {
		return make([]string, n)
	}
	at := len(l.texts)
	l.texts = append(l.texts, make([]string, n)...)
	return l.texts[at:]
}
