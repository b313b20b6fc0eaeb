package fsm

import (
	"encoding/binary"

	"todod/fsm/todo"
)

// What few entries and operations have is a sequence of fields: a number, the value as a text; in order of
// the numbers, without those that are zero, and a 0 at the end. So each value has one encoding, and a new field takes
// a new number and a new version of the commands.

// The fields of todo.More. They are stored: never renumber.
const (
	moreNotes = iota + 1
	moreTime
	moreTZ
	morePriority
	moreTags
	moreParent
	moreRepeat
	moreRepeatFrom
	moreRemind
	moreUID
	moreX
	moreCompleted
	morePlace
)

// The operands of todo.Op that version 1 does not have. They are stored: never renumber.
const (
	opMore  = 1
	opAt    = 2
	opRev   = 4
	opTo    = 5
	opWhere = 6
	opIDOf  = 7
	opUnder = 8 // ParentOf
	opNext  = 9
	opList  = 20
)

// The flags of an operation.
const (
	opDone = 1 << iota
	opOperands
)

func opFlags(op *todo.Op) (f byte) {
	if op.Fields.Done {
		f |= opDone
	}
	if !op.First() {
		f |= opOperands
	}
	return f
}

func appendOperands(b []byte, op *todo.Op) []byte {
	if op.Fields.More != nil {
		b = appendText(b, opMore, string(appendMore(nil, op.Fields.More)))
	}
	b = appendNumber(b, opAt, op.At)
	b = appendNumber(b, opRev, op.Rev)
	b = appendText(b, opTo, op.To)
	if op.Where != (todo.Where{}) {
		b = appendText(b, opWhere, string(appendUvarints(nil, uint64(op.Where.Rel), op.Where.Neighbor)))
	}
	b = appendNumber(b, opIDOf, op.IDOf)
	b = appendNumber(b, opUnder, op.ParentOf)
	if op.Next != nil {
		b = appendText(b, opNext, string(appendBytes(appendBytes(nil, op.Next.Date), op.Next.Repeat)))
	}
	if f := op.ListFields; f != nil {
		b = appendText(b, opList, string(appendListMore(appendUvarints(nil, uint64(f.Set)), &f.ListMore)))
	}
	return append(b, 0)
}

func (r *reader) operands(op *todo.Op) {
	r.fields(func(number byte, in *reader) {
		switch number {
		case opMore:
			op.Fields.More = in.more()
		case opAt:
			op.At = in.nonzero()
		case opTo:
			op.To = in.rest()
		case opIDOf:
			op.IDOf = in.nonzero()
		case opUnder:
			op.ParentOf = in.nonzero()
		case opList:
			op.ListFields = &todo.ListFields{Set: todo.ListSet(in.small())}
			op.ListFields.ListMore = in.listMore()
		case opWhere:
			op.Where.Rel = todo.Rel(in.small())
			op.Where.Neighbor = in.uvarint()
		case opNext:
			op.Next = &todo.Next{Date: in.string(), Repeat: in.string()}
		case opRev:
			op.Rev = in.nonzero()
		default:
			r.unknown = true
			in.b = nil
		}
	})
}

func appendMore(b []byte, m *todo.More) []byte {
	if m == nil {
		return b
	}
	b = appendText(b, moreNotes, m.Notes)
	b = appendText(b, moreTime, m.Time)
	b = appendText(b, moreTZ, m.TZ)
	b = appendNumber(b, morePriority, uint64(m.Priority))
	b = appendTexts(b, moreTags, m.Tags)
	b = appendNumber(b, moreParent, m.Parent)
	b = appendText(b, moreRepeat, m.Repeat)
	b = appendNumber(b, moreRepeatFrom, uint64(m.RepeatFrom))
	b = appendTexts(b, moreRemind, m.Remind)
	b = appendText(b, moreUID, m.UID)
	b = appendText(b, moreX, m.X)
	b = appendNumber(b, moreCompleted, uint64(m.Completed))
	if m.Place != (todo.Place{}) {
		b = appendText(b, morePlace, string(appendUvarints(nil, m.Place.Hi, m.Place.Lo)))
	}
	return append(b, 0)
}

func (r *reader) more() *todo.More {
	var m *todo.More
	if r.lent != nil {
		m = &r.lent.more
		*m = todo.More{}
	} else {
		m = new(todo.More)
	}
	r.fields(func(number byte, in *reader) {
		switch number {
		case moreNotes:
			m.Notes = in.rest()
		case moreTime:
			m.Time = in.rest()
		case moreTZ:
			m.TZ = in.rest()
		case morePriority:
			m.Priority = in.small()
		case moreTags:
			m.Tags = in.texts()
		case moreParent:
			m.Parent = in.nonzero()
		case moreRepeat:
			m.Repeat = in.rest()
		case moreRepeatFrom:
			m.RepeatFrom = todo.From(in.small())
		case moreRemind:
			m.Remind = in.texts()
		case moreUID:
			m.UID = in.rest()
		case moreX:
			m.X = in.rest()
		case moreCompleted:
			m.Completed = int64(in.nonzero())
		case morePlace:
			m.Place = todo.Place{Hi: in.uvarint(), Lo: in.uvarint()}
			in.bad = in.bad || m.Place == todo.Place{}
		default:
			r.unknown = true
			in.b = nil
		}
	})
	r.bad = r.bad || !r.unknown && m.Empty()
	return m
}

// fields reads a sequence of them, calling take for each with what is in it.
func (r *reader) fields(take func(number byte, in *reader)) {
	var in *reader
	if r.lent != nil {
		in = &r.lent.in
	} else {
		in = new(reader)
	}
	last := byte(0)
	for {
		number := r.byte()
		if number == 0 {
			return
		}
		*in = reader{b: r.bytes(), lent: r.lent}
		r.bad = r.bad || number <= last || len(in.b) == 0
		take(number, in)
		r.bad = r.bad || in.bad || len(in.b) != 0
		r.unknown = r.unknown || in.unknown
		last = number
	}
}

// rest reads all that is left as a text.
func (r *reader) rest() string {
	v := r.text(r.b)
	r.b = nil
	return v
}

// nonzero reads a number that is not left out.
func (r *reader) nonzero() uint64 {
	v := r.uvarint()
	r.bad = r.bad || v == 0
	return v
}

func (r *reader) small() uint8 {
	v := r.nonzero()
	r.bad = r.bad || v > 255
	return uint8(v)
}

func (r *reader) texts() []string {
	texts := r.room(r.count(1))
	for i := range texts {
		texts[i] = r.string()
	}
	r.bad = r.bad || len(texts) == 0
	return texts
}

func appendText(b []byte, number byte, v string) []byte {
	if v == "" {
		return b
	}
	return appendBytes(append(b, number), v)
}

func appendNumber(b []byte, number byte, v uint64) []byte {
	if v == 0 {
		return b
	}
	var buf [binary.MaxVarintLen64]byte
	return appendBytes(append(b, number), binary.AppendUvarint(buf[:0], v))
}

func appendTexts(b []byte, number byte, texts []string) []byte {
	if len(texts) == 0 {
		return b
	}
	v := binary.AppendUvarint(nil, uint64(len(texts)))
	for _, text := range texts {
		v = appendBytes(v, text)
	}
	return appendBytes(append(b, number), v)
}
