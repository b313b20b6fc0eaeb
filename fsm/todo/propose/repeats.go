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
	type name struct {
		list string
		id   uint64
	}
	type state struct {
		todo.Entry
		before uint64 // its rev before the command
	}
	seen := map[name]state{} // what earlier operations leave
	for i := range c.Ops {
		op := &c.Ops[i]
		if op.Kind != todo.Put && op.Kind != todo.Patch {
			continue
		}
		at := name{op.List, op.ID}
		e, ok := seen[at]
		if !ok {
			if e.Entry, ok = look(op.List, op.ID); !ok {
				continue
			}
			e.before = e.Rev
		}
		if op.At != 0 && op.At != e.before {
			continue
		}
		if err := next(op, &e.Entry, e.before, now, reader); err != nil {
			if inv, ok := err.(*todo.Invalid); ok && c.Batch {
				inv.Field = fmt.Sprintf("commands[%d].%s", i, inv.Field)
			}
			return err
		}
		seen[at] = e
	}
	return nil
}

// next works out one operation, and makes of e what it leaves.
func next(op *todo.Op, e *todo.Entry, rev uint64, now time.Time, reader *time.Location) error {
	after := todo.Changed(op, e, now.UnixMilli())
	doing := after.Done && !e.Done && after.More.Get().Repeat != ""
	*e = after
	if !doing || after.Date == "" { // without a date it will be refused
		return nil
	}
	zone := reader
	if own, err := due.Zone(after.More.TZ); err == nil {
		zone = own
	}
	date, repeat, more, err := recur.Next(e, now.In(zone).Format(time.DateOnly))
	if err != nil {
		return err
	}
	op.At, op.Next = rev, &todo.Next{Date: date, Repeat: repeat}
	if more {
		m := *e.More
		m.Repeat = repeat
		e.Done, e.Date, e.More = false, date, &m
	}
	return nil
}
