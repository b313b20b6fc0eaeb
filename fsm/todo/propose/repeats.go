package propose

import (
	"fmt"
	"slices"
	"time"

	"todod/fsm/todo"
	"todod/fsm/todo/due"
	"todod/fsm/todo/recur"
)

// Does reports whether a command may do an entry, so that Repeats is to be asked.
func Does(c *todo.Command) bool {
	return slices.ContainsFunc(c.Ops, func(op todo.Op) bool { return op.Does() })
}

// Look returns an entry as it is in a replica, and whether there is one.
type Look func(list string, id uint64) (todo.Entry, bool)

// Repeats works out, in place, what becomes of the entries that a command does and that repeat: the next date and the
// rev that it is counted from, which Apply compares. Today is that day in the zone of the entry, else of the reader.
// An operation that names a rev of the entry already is worked out from that one or not at all. It fails with
// a *todo.Invalid at a repeat that this program cannot read.
func Repeats(c *todo.Command, look Look, now time.Time, reader *time.Location) error {
	w := work{c: c, look: look, now: now, reader: reader, seen: map[todo.Ref]*state{}, made: make([]*state, len(c.Ops))}
	for i := range c.Ops {
		if err := w.op(i); err != nil {
			if inv, ok := err.(*todo.Invalid); ok && c.Batch {
				inv.Field = fmt.Sprintf("commands[%d].%s", i, inv.Field)
			}
			return err
		}
	}
	return nil
}

// work is the working out of one command.
type work struct {
	c      *todo.Command
	look   Look
	now    time.Time
	reader *time.Location

	seen map[todo.Ref]*state // entries as the operations so far leave them
	made []*state            // the entry that each operation makes, nil for none
}

// state is an entry on its way through a command. What the command made has no rev before it; if it was made of
// another entry, that one's rev counts, in the operation that did.
type state struct {
	todo.Entry
	before uint64   // its rev before the command
	from   *todo.Op // of what was moved or copied
	of     uint64   // the rev of the entry that from is about
}

func (w *work) op(i int) error {
	op := &w.c.Ops[i]
	switch op.Kind {
	case todo.Add:
		e := todo.Added(todo.Entry{Done: op.Fields.Done}, &op.Fields, todo.Rules2)
		w.made[i] = &state{Entry: e}
	case todo.Move, todo.Copy:
		if e := w.about(op); e != nil {
			w.made[i] = &state{Entry: e.Entry, from: op, of: e.before}
		}
	case todo.Put, todo.Patch:
		if e := w.about(op); e != nil && (op.At == 0 || op.At == e.before) {
			return w.next(op, e)
		}
	}
	return nil
}

// about is the entry that an operation is about, nil if there is none.
func (w *work) about(op *todo.Op) *state {
	if i := op.IDOf; i > 0 && i <= uint64(len(w.made)) {
		return w.made[i-1]
	}
	name := todo.Ref{List: op.List, ID: op.ID}
	if e := w.seen[name]; e != nil {
		return e
	}
	e, ok := w.look(op.List, op.ID)
	if !ok {
		return nil
	}
	w.seen[name] = &state{Entry: e, before: e.Rev}
	return w.seen[name]
}

// next works out one operation, and makes of e what it leaves.
func (w *work) next(op *todo.Op, e *state) error {
	after := todo.Changed(op, &e.Entry, w.now.UnixMilli())
	doing := after.Done && !e.Done && after.More.Get().Repeat != ""
	e.Entry = after
	if !doing || after.Date == "" { // without a date it will be refused
		return nil
	}
	zone := w.reader
	if own, err := due.Zone(after.More.TZ); err == nil {
		zone = own
	}
	date, repeat, more, err := recur.Next(&after, w.now.In(zone).Format(time.DateOnly))
	if err != nil {
		return err
	}
	op.At, op.Next = e.before, &todo.Next{Date: date, Repeat: repeat}
	if e.from != nil && e.from.At == 0 {
		e.from.At = e.of
	}
	if more {
		m := *after.More
		m.Repeat = repeat
		e.Done, e.Date, e.More = false, date, &m
	}
	return nil
}
