// Package propose is what is done with a command before it is proposed: it is judged, and what it asks for is worked
// out, with tables of zones and rules of repeats that may differ between machines. What comes of it stands in the command,
// so that Apply needs none of them.
package propose

import (
	"todod/fsm/todo"
	"todod/fsm/todo/due"
	"todod/fsm/todo/recur"
)

// Check validates a whole command and puts it into the form in which it is stored, in place: names in NFC, repeats and
// reminders in their one spelling. It fails with a *todo.Invalid.
func Check(c *todo.Command) error { return c.Check(checkTimes) }

// checkTimes judges the fields that are about time. What a patch does not name is "" here, which is right for each.
func checkTimes(op *todo.Op) error {
	m := op.Fields.More
	if m == nil {
		return nil
	}
	c := *m // it may be shared
	if c.Time != "" {
		if err := due.Time(c.Time); err != nil {
			return err
		}
	}
	if c.TZ != "" {
		if _, err := due.Zone(c.TZ); err != nil {
			return err
		}
	}
	var err error
	if c.Repeat != "" {
		if c.Repeat, err = recur.Check(c.Repeat); err != nil {
			return err
		}
	}
	if c.Remind, err = due.Reminds(c.Remind); err != nil {
		return err
	}
	op.Fields.More = &c
	return nil
}
