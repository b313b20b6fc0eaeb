package httpapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"todod/fsm/todo"
	"todod/httpapi/api"
)

// The shapes of the bodies that come in: one function for each, a case for each field.

func scanNewEntry(s *scanner, e *api.NewEntry) error {
	return s.object(func(name []byte) (err error) {
		switch m := &e.More; string(name) {
		case "title":
			e.Title, err = s.text("title")
		case "date":
			e.Date, err = s.text("date")
		case "done":
			e.Done, err = s.bool("done")
		case "notes":
			m.Notes, err = s.text("notes")
		case "time":
			m.Time, err = s.text("time")
		case "tz":
			m.TZ, err = s.text("tz")
		case "priority":
			m.Priority, err = s.digit("priority")
		case "tags":
			m.Tags, err = s.texts("tags", todo.MaxEntryTags)
		case "parent":
			m.Parent, err = s.number("parent")
		case "repeat":
			m.Repeat, err = s.text("repeat")
		case "repeat_from":
			m.RepeatFrom, err = s.oneOf("repeat_from", "due", "done")
		case "remind":
			m.Remind, err = s.texts("remind", todo.MaxReminds)
		case "uid":
			m.UID, err = s.text("uid")
		case "x":
			m.X, err = s.free("x", todo.MaxX)
		default:
			err = s.unknown(name)
		}
		return err
	})
}

// scanPatch reads a JSON merge patch (RFC 7396): null takes a field away, as what is empty does; a title
// must not be so.
func scanPatch(s *scanner, p *api.EntryPatch) error {
	return s.object(func(name []byte) error {
		known, err := scanChange(s, name, p)
		if !known {
			return s.unknown(name)
		}
		return err
	})
}

// scanChange reads a field of a patch, if name is one.
func scanChange(s *scanner, name []byte, p *api.EntryPatch) (known bool, err error) {
	switch string(name) {
	case "title":
		p.Title, err = some(s.text("title"))
	case "date":
		p.Date, err = orNull(s, "date", s.text)
	case "done":
		p.Done, err = orNull(s, "done", s.bool)
	case "notes":
		p.Notes, err = orNull(s, "notes", s.text)
	case "time":
		p.Time, err = orNull(s, "time", s.text)
	case "tz":
		p.TZ, err = orNull(s, "tz", s.text)
	case "priority":
		p.Priority, err = orNull(s, "priority", s.digit)
	case "tags":
		p.Tags, err = orNull(s, "tags", func(name string) ([]string, error) { return s.texts(name, todo.MaxEntryTags) })
	case "parent":
		p.Parent, err = orNull(s, "parent", s.orZero)
	case "repeat":
		p.Repeat, err = orNull(s, "repeat", s.text)
	case "repeat_from":
		p.RepeatFrom, err = orNull(s, "repeat_from", func(name string) (string, error) { return s.oneOf(name, "due", "done") })
	case "remind":
		p.Remind, err = orNull(s, "remind", func(name string) ([]string, error) { return s.texts(name, todo.MaxReminds) })
	case "uid":
		p.UID, err = orNull(s, "uid", s.text)
	case "x":
		if p.X = json.RawMessage("null"); !s.null() {
			p.X, err = s.free("x", todo.MaxX)
		}
	default:
		return false, nil
	}
	return true, err
}

func some[T any](v T, err error) (*T, error) { return &v, err }

// orNull reads a value, or a null for none.
func orNull[T any](s *scanner, name string, read func(name string) (T, error)) (*T, error) {
	if s.null() {
		return new(T), nil
	}
	return some(read(name))
}

func scanBatch(s *scanner, b *api.Batch) error {
	return s.object(func(name []byte) error {
		if string(name) != "commands" {
			return s.unknown(name)
		}
		return s.array("commands", func(i int) error {
			if i == todo.MaxBatch {
				return s.wrong("commands", fmt.Sprintf("must be at most %d", todo.MaxBatch))
			}
			s.in = "commands[" + strconv.Itoa(i) + "]."
			defer func() { s.in = "" }()
			var c api.Command
			if err := scanCommand(s, &c); err != nil {
				return err
			}
			b.Commands = append(b.Commands, c)
			return nil
		})
	})
}

func scanCommand(s *scanner, c *api.Command) error {
	return s.object(func(name []byte) (err error) {
		switch string(name) {
		case "op":
			c.Op, err = s.text("op")
		case "list":
			c.List, err = s.text("list")
		case "id":
			c.ID, err = s.number("id")
		case "if_match":
			c.IfMatch, err = s.text("if_match")
		case "to":
			c.To, err = s.text("to")
		case "place":
			c.Place = new(api.Place)
			err = scanPlace(s, c.Place)
		case "id_of":
			c.IDOf, err = some(s.orZero("id_of"))
		case "parent_of":
			c.ParentOf, err = some(s.orZero("parent_of"))
		default:
			var known bool
			if known, err = scanChange(s, name, &c.EntryPatch); !known {
				err = s.unknown(name)
			}
		}
		return err
	})
}

func scanJoin(s *scanner, j *api.Join) error {
	return s.object(func(name []byte) (err error) {
		switch string(name) {
		case "id":
			j.ID, err = s.text("id")
		case "http":
			j.HTTP, err = s.text("http")
		case "raft":
			j.Raft, err = s.text("raft")
		case "folder":
			j.Folder, err = s.text("folder")
		case "group":
			j.Group, err = s.text("group")
		case "reads":
			j.Reads, err = s.number("reads")
		default:
			err = s.unknown(name)
		}
		return err
	})
}

func scanJoinAddr(s *scanner, j *api.JoinAddr) error {
	return s.object(func(name []byte) (err error) {
		if string(name) != "addr" {
			return s.unknown(name)
		}
		j.Addr, err = s.text("addr")
		return err
	})
}

func scanSettings(s *scanner, v *api.Settings) error {
	return s.object(func(name []byte) (err error) {
		switch string(name) {
		case "trash_days":
			v.TrashDays, err = s.number("trash_days")
		case "events_mib":
			v.EventsMiB, err = s.number("events_mib")
		default:
			err = s.unknown(name)
		}
		return err
	})
}

func scanTransfer(s *scanner, t *api.Transfer) error {
	return s.object(func(name []byte) (err error) {
		if string(name) != "to" {
			return s.unknown(name)
		}
		t.To, err = s.text("to")
		return err
	})
}

var errNumber = errors.New("must be a whole number from 1")

// wholeNumber reads a number from 1 with no sign and no zeros before it, so that what it
// names has one name.
func wholeNumber(text string) (uint64, error) {
	v, err := strconv.ParseUint(text, 10, 64)
	if err != nil || text[0] == '0' {
		return 0, errNumber
	}
	return v, nil
}
