package format

import (
	"errors"
	"strconv"
	"strings"
	"time"
)

// icalProps are the properties that an export writes and an import understands. Those that say nothing of an entry are
// here too, since they are not kept.
var icalProps = map[string]func(v *vtodo, p *prop) error{
	"UID":              func(v *vtodo, p *prop) error { v.e.UID = p.text(); return nil },
	"DTSTAMP":          nothing,
	"SEQUENCE":         nothing,
	"PERCENT-COMPLETE": nothing,
	"CREATED":          func(v *vtodo, p *prop) error { return setMoment(p, &v.e.Created) },
	"LAST-MODIFIED":    func(v *vtodo, p *prop) error { return setMoment(p, &v.e.Updated) },
	"COMPLETED": func(v *vtodo, p *prop) error {
		v.e.Completed = new(time.Time)
		return setMoment(p, v.e.Completed)
	},
	"SUMMARY":       func(v *vtodo, p *prop) error { v.e.Title = oneLine(p.text()); return nil },
	"DESCRIPTION":   func(v *vtodo, p *prop) error { v.e.Notes = p.text(); return nil },
	"DUE":           func(v *vtodo, p *prop) error { v.due = p; return nil },
	"DTSTART":       func(v *vtodo, p *prop) error { v.start = p; return nil },
	"STATUS":        func(v *vtodo, p *prop) error { v.status = strings.ToUpper(p.value); return nil },
	"RECURRENCE-ID": func(v *vtodo, _ *prop) error { v.override = true; return nil },
	"PRIORITY":      takePriority,
	"CATEGORIES":    takeCategories,
	"RELATED-TO":    takeParent,
	"RRULE":         takeRule,

	ownPrefix + "REPEAT":      func(v *vtodo, p *prop) error { v.repeat = p.text(); return nil },
	ownPrefix + "REPEAT-FROM": func(v *vtodo, p *prop) error { v.e.RepeatFrom = p.text(); return nil },
	ownPrefix + "X":           func(v *vtodo, p *prop) error { v.x = p.text(); return nil },
}

func nothing(*vtodo, *prop) error { return nil }

// ours reports whether a property is one of those; of some it depends on what they say.
func ours(p *prop) bool {
	switch p.name {
	case "BEGIN", "END":
		return true
	case "RELATED-TO": // children and siblings are kept as they are
		kind := strings.ToUpper(p.params["RELTYPE"])
		return kind == "" || kind == "PARENT"
	case "PERCENT-COMPLETE": // what a status says as well would contradict the next one
		return p.value == "0" || p.value == "100"
	}
	_, known := icalProps[p.name]
	return known
}

// oneLine makes one line of a summary that has several, as some programs allow.
func oneLine(s string) string {
	return strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r == '\n' || r == '\r' }), " ")
}

func setMoment(p *prop, t *time.Time) (err error) {
	if *t, err = moment(p); err != nil {
		return errors.New("must be a time like 20261128T090000Z")
	}
	return nil
}

func takePriority(v *vtodo, p *prop) error {
	n, err := strconv.ParseUint(p.value, 10, 8)
	if err != nil || n > 9 {
		return errors.New("must be a whole number from 0 to 9")
	}
	v.e.Priority = uint8(n)
	return nil
}

func takeCategories(v *vtodo, p *prop) error {
	for _, tag := range p.texts() {
		v.e.addTag(tag)
	}
	return nil
}

func takeParent(v *vtodo, p *prop) error {
	if v.e.Above != "" {
		v.e.remark("it has one parent only: %.64q was left out", p.text())
		return nil
	}
	v.e.Above = p.text()
	return nil
}

func takeRule(v *vtodo, p *prop) error {
	if v.e.Repeat != "" {
		v.e.remark("a second RRULE was left out")
		return nil
	}
	v.e.Repeat = p.value
	return nil
}
