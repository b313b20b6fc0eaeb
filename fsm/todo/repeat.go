package todo

import "slices"

// Next is what becomes of an entry that repeats once it is done. It was worked out from the entry, as it was at the rev
// that the operation names, before the command was proposed.
type Next struct {
	Date   string // "": the rule has ended, and the entry is done for good
	Repeat string // with COUNT one lower
}

// Changed is an entry as a Put or a Patch leaves it at a time (Unix ms), but for what Next says.
func Changed(op *Op, old *Entry, now int64) Entry {
	s := Stage{rules: Rules2}
	return s.changed(op, old, now)
}

// Does reports whether an operation may set an entry done.
func (op *Op) Does() bool {
	return op.Fields.Done && (op.Kind == Put || op.Kind == Patch && op.Fields.Set&FieldDone != 0)
}

// Asked is the command as the client asked for it: without what was worked out for it, which may be another
// the next time, though the request is the same. It reports whether that is less than there is.
func (c Command) Asked() (Command, bool) {
	if c.Choice != "" {
		c.Ops = nil
		return c, true
	}
	worked := func(op Op) bool { return op.At != 0 || op.Next != nil }
	if !slices.ContainsFunc(c.Ops, worked) {
		return c, false
	}
	c.Ops = slices.Clone(c.Ops)
	for i := range c.Ops {
		c.Ops[i].At, c.Ops[i].Next = 0, nil
	}
	return c, true
}

// again is an entry that was set done, as it goes on by its repeat: open, at its next date, and with the time of doing
// so, which its history shows.
func (e Entry) again(next *Next) Entry {
	if next.Date == "" {
		return e
	}
	m := *e.More
	m.Repeat = next.Repeat
	e.Done, e.Date, e.More = false, next.Date, &m
	return e
}

// current reports whether an entry is what an operation was worked out from. What the command itself did to it before
// is of no matter: that was taken into account.
func (s *Stage) current(op *Op, num uint64, e *Entry) bool {
	if op.At == 0 && op.Next == nil {
		return true
	}
	rev := e.Rev
	if i, ok := s.entryAt[entryKey{num, e.ID}]; ok {
		rev = s.Entries[i].Old.Rev
	}
	return op.At == rev
}
