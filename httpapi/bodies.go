package httpapi

import (
	"errors"
	"fmt"
	"strconv"

	"todod/fsm/todo"
	"todod/httpapi/api"
)

// The shapes of the bodies that come in: one function for each, a case for each field.

func scanNewEntry(s *scanner, e *api.NewEntry) error {
	return s.object(func(name []byte) (err error) {
		switch string(name) {
		case "title":
			e.Title, err = s.text("title")
		case "date":
			e.Date, err = s.text("date")
		case "done":
			e.Done, err = s.bool("done")
		default:
			err = s.unknown(name)
		}
		return err
	})
}

// scanPatch reads a JSON merge patch (RFC 7396): null takes a field away, which a title
// cannot be.
func scanPatch(s *scanner, f *todo.Fields) error {
	return s.object(func(name []byte) (err error) {
		switch string(name) {
		case "title":
			f.Set |= todo.FieldTitle
			f.Title, err = s.text("title")
		case "date":
			f.Set |= todo.FieldDate
			if !s.null() {
				f.Date, err = s.text("date")
			}
		case "done":
			f.Set |= todo.FieldDone
			if !s.null() {
				f.Done, err = s.bool("done")
			}
		default:
			err = s.unknown(name)
		}
		return err
	})
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
		case "title":
			c.Title, err = optional(s.text("title"))
		case "date":
			c.Date, err = optional(s.text("date"))
		case "done":
			c.Done, err = optional(s.bool("done"))
		case "if_match":
			c.IfMatch, err = s.text("if_match")
		default:
			err = s.unknown(name)
		}
		return err
	})
}

func optional[T any](v T, err error) (*T, error) { return &v, err }

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
