package main

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"todod/cmd/todo/quick"
	"todod/httpapi/api"
)

// An entry as a text to edit: a line for each field, a line of dashes, and the notes.

const notesBelow = "--- notes below this line ---"

// line is a field in the text: its name, what it has, and how a new value is set.
type line struct {
	name string
	have func(e api.Entry) string
	set  func(a *app, p *api.EntryPatch, value string) error
}

var lines = []line{
	{"Title", func(e api.Entry) string { return e.Title }, func(_ *app, p *api.EntryPatch, v string) error { p.Title = &v; return nil }},
	{"Done", func(e api.Entry) string { return map[bool]string{true: "yes", false: "no"}[e.Done] }, func(_ *app, p *api.EntryPatch, v string) error {
		done := v == "yes"
		p.Done = &done
		if v != "yes" && v != "no" {
			return fmt.Errorf("done must be yes or no")
		}
		return nil
	}},
	{"Date", func(e api.Entry) string { return e.Date }, func(a *app, p *api.EntryPatch, v string) error { v = a.day(v); p.Date = &v; return nil }},
	{"Time", func(e api.Entry) string { return e.Time }, func(a *app, p *api.EntryPatch, v string) error {
		if clock, ok := quick.Clock(v, a.now()); ok {
			v = clock
		}
		p.Time = &v
		return nil
	}},
	{"Zone", func(e api.Entry) string { return e.TZ }, func(_ *app, p *api.EntryPatch, v string) error { p.TZ = &v; return nil }},
	{"Priority", func(e api.Entry) string { return id(uint64(e.Priority)) }, func(_ *app, p *api.EntryPatch, v string) error {
		n, err := strconv.ParseUint(def(v, "0"), 10, 8)
		if err != nil || n > 9 {
			return fmt.Errorf("priority must be from 1 to 9, or nothing")
		}
		priority := uint8(n)
		p.Priority = &priority
		return nil
	}},
	{"Tags", func(e api.Entry) string { return strings.Join(e.Tags, ", ") }, func(_ *app, p *api.EntryPatch, v string) error {
		p.Tags = &[]string{}
		if v != "" {
			p.Tags = tags(strings.Split(v, ","))
		}
		return nil
	}},
	{"Below", func(e api.Entry) string { return id(e.Parent) }, func(_ *app, p *api.EntryPatch, v string) error {
		n, err := strconv.ParseUint(def(v, "0"), 10, 64)
		p.Parent = &n
		if err != nil {
			return fmt.Errorf("below must be the id of an entry, or nothing")
		}
		return nil
	}},
	{"Repeat", func(e api.Entry) string { return e.Repeat }, func(a *app, p *api.EntryPatch, v string) error { a.setRepeat(p, v); return nil }},
	{"From", func(e api.Entry) string { return e.RepeatFrom }, func(_ *app, p *api.EntryPatch, v string) error {
		v = def(v, "due")
		p.RepeatFrom = &v
		return nil
	}},
	{"Remind", func(e api.Entry) string { return strings.Join(e.Remind, ", ") }, func(_ *app, p *api.EntryPatch, v string) error {
		p.Remind = &[]string{}
		if v != "" {
			*p.Remind = strings.Split(strings.ReplaceAll(v, " ", ""), ",")
		}
		return nil
	}},
	{"UID", func(e api.Entry) string { return e.UID }, func(_ *app, p *api.EntryPatch, v string) error { p.UID = &v; return nil }},
}

func entryText(e api.Entry) string {
	var b strings.Builder
	for _, l := range lines {
		b.WriteString(strings.TrimRight(l.name+": "+l.have(e), " ") + "\n")
	}
	b.WriteString(notesBelow + "\n")
	if e.Notes != "" {
		b.WriteString(e.Notes + "\n")
	}
	return b.String()
}

// readEntry is what a text changes in the entry it was made of. A line that was taken out changes nothing.
func (a *app) readEntry(before api.Entry, text string) (p api.EntryPatch, err error) {
	text = strings.ReplaceAll(text, "\r\n", "\n")
	head, notes, hasNotes := strings.Cut(text, notesBelow+"\n")
	for n, row := range strings.Split(head, "\n") {
		if strings.TrimSpace(row) == "" || strings.HasPrefix(row, "#") {
			continue
		}
		name, value, ok := strings.Cut(row, ":")
		value = strings.TrimSpace(value)
		found := false
		for _, l := range lines {
			if !ok || !strings.EqualFold(strings.TrimSpace(name), l.name) {
				continue
			}
			found = true
			if value == strings.TrimSpace(l.have(before)) {
				break
			}
			if err := l.set(a, &p, value); err != nil {
				return p, fmt.Errorf("line %d: %w", n+1, err)
			}
		}
		if !found {
			return p, fmt.Errorf("line %d is no field: there are Title, Date and the like, and the notes are below their line", n+1)
		}
	}
	if notes = strings.TrimRight(notes, "\n"); hasNotes && notes != strings.TrimRight(before.Notes, "\n") {
		p.Notes = &notes
	}
	return p, nil
}

// empty reports whether a patch changes nothing.
func empty(p api.EntryPatch) bool { return reflect.ValueOf(p).IsZero() }
