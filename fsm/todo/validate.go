package todo

import (
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Invalid says which field of a request is wrong in itself, and why.
type Invalid struct {
	Field  string // list, title, date, ...
	Reason string // what must hold, as the rest of a sentence: "must be ..."
}

func (e *Invalid) Error() string { return e.Field + " " + e.Reason }

func invalid(field, format string, args ...any) error {
	return &Invalid{Field: field, Reason: fmt.Sprintf(format, args...)}
}

// ListName checks the name of a list and returns it in NFC, the form it is stored and
// compared in. It is for use before proposing only.
func ListName(name string) (string, error) {
	if name == "" {
		return "", invalid("list", "must not be empty")
	}
	if len(name) > 8*MaxListName { // do not normalise what cannot fit
		return "", invalid("list", "must be at most %d bytes long", MaxListName)
	}
	if !utf8.ValidString(name) {
		return "", invalid("list", "must be valid UTF-8")
	}
	name = NFC(name)
	first, _ := utf8.DecodeRuneInString(name)
	last, _ := utf8.DecodeLastRuneInString(name)
	switch {
	case len(name) > MaxListName:
		return "", invalid("list", "must be at most %d bytes long", MaxListName)
	case name == "." || name == "..":
		return "", invalid("list", "must not be . or ..")
	case strings.ContainsRune(name, '/'):
		return "", invalid("list", "must not contain /")
	case strings.ContainsFunc(name, unicode.IsControl):
		return "", invalid("list", "must not contain control characters")
	case unicode.IsSpace(first) || unicode.IsSpace(last):
		return "", invalid("list", "must not begin or end with a space")
	}
	return name, nil
}

// Title checks a title; it is kept as sent. For use before proposing only.
func Title(title string) error {
	switch {
	case title == "":
		return invalid("title", "must not be empty")
	case !utf8.ValidString(title):
		return invalid("title", "must be valid UTF-8")
	case utf8.RuneCountInString(title) > MaxTitle:
		return invalid("title", "must be at most %d characters long", MaxTitle)
	case strings.ContainsFunc(title, unicode.IsControl):
		return invalid("title", "must not contain control characters")
	case strings.TrimSpace(title) == "":
		return invalid("title", "must not be blank")
	}
	return nil
}

// Date checks a date of the form 2006-01-02 that exists in the calendar.
func Date(date string) error {
	if len(date) != len(time.DateOnly) {
		return invalid("date", "must be a date like 2018-12-19")
	}
	if t, err := time.Parse(time.DateOnly, date); err != nil || t.Year() < 1 {
		return invalid("date", "must be a real date like 2018-12-19")
	}
	return nil
}

// Check validates a whole command and puts its list names into NFC, in place. Then it asks more about
// each operation, which may change it too: what needs zones is judged in packages above this one.
// In a batch the error names the command by its place. For use before proposing only.
func (c *Command) Check(more ...func(*Op) error) error {
	if len(c.Ops) == 0 && c.Choice == "" {
		return invalid("commands", "must not be empty")
	}
	if len(c.Ops) > MaxBatch {
		return invalid("commands", "must be at most %d", MaxBatch)
	}
	for i := range c.Ops {
		if c.Ops[i].Kind == Undo && len(c.Ops) > 1 {
			return invalid("commands", "must not undo: that is a request of its own")
		}
		err := c.Ops[i].check()
		for _, ask := range more {
			if err == nil {
				err = ask(&c.Ops[i])
			}
		}
		if err == nil {
			err = c.checkRefs(i)
		}
		if err != nil {
			if inv, ok := err.(*Invalid); ok && c.Batch {
				inv.Field = fmt.Sprintf("commands[%d].%s", i, inv.Field)
			}
			return err
		}
	}
	return nil
}

func (op *Op) check() (err error) {
	if op.Kind == Undo {
		if op.Rev == 0 {
			return invalid("rev", "must be a whole number from 1")
		}
		return nil // it is about whatever lists that rev changed
	}
	if op.List, err = ListName(op.List); err != nil {
		return err
	}
	if len(op.If.Match) > MaxTags {
		return invalid("if_match", "must name at most %d tags", MaxTags)
	}
	if len(op.If.NoneMatch) > MaxTags {
		return invalid("if_none_match", "must name at most %d tags", MaxTags)
	}
	set := op.Fields.Set
	switch op.Kind {
	case Add, Put:
		set = FieldTitle | FieldDate
	case Patch:
	case Delete, DeleteList, Restore, Purge:
		return nil
	case Move, Copy:
		op.To, err = ListName(op.To)
		return renamed(err, "to")
	case PatchList:
		return op.checkList()
	case Arrange:
		if op.ID != 0 && op.Where.Neighbor == op.ID {
			return invalid("place", "must name another entry than the one that is put there")
		}
		return op.Where.check()
	default:
		return invalid("op", "must be add, put, patch, delete, delete_list, restore or purge")
	}
	if set&FieldTitle != 0 {
		if err := Title(op.Fields.Title); err != nil {
			return err
		}
	}
	if set&FieldDate != 0 && op.Fields.Date != "" {
		if err := Date(op.Fields.Date); err != nil {
			return err
		}
	}
	if op.Fields.More == nil {
		return nil
	}
	if op.Fields.More, err = op.Fields.More.Check(); err != nil || op.Kind == Patch {
		return err // whether a patch leaves what goes together shows when it is applied
	}
	if field, ok := Consistent(&Entry{Date: op.Fields.Date, More: op.Fields.More}); !ok {
		return invalid(field, "%s", Lacks(field))
	}
	return nil
}

// renamed is an error about another field than the rule thinks.
func renamed(err error, field string) error {
	if inv, ok := err.(*Invalid); ok {
		return &Invalid{Field: field, Reason: inv.Reason}
	}
	return err
}

func (w Where) check() error {
	beside := w.Rel == Before || w.Rel == After
	if w.Rel < First || w.Rel > After || beside != (w.Neighbor != 0) {
		return invalid("place", "must be one of first, last, before and after, the latter two with the id of an entry")
	}
	return nil
}
