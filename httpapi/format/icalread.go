package format

import (
	"errors"
	"strings"
	"time"
	"unicode"

	"todod/fsm/todo/due"
)

// prop is a content line of RFC 5545: NAME;PARAM=value:value.
type prop struct {
	line   int
	name   string // in capitals
	params map[string]string
	value  string
	raw    string
}

var errNoProp = errors.New("a line must be of the form NAME:value")

// parseProp reads a content line. Of a parameter with several values the first is kept: none of ours has more.
func parseProp(raw string) (prop, error) {
	p := prop{raw: raw}
	i := strings.IndexAny(raw, ";:")
	if i < 1 || !isName(raw[:i]) {
		return p, errNoProp
	}
	p.name = strings.ToUpper(raw[:i])
	rest := raw[i:]
	for rest != "" && rest[0] == ';' {
		name, after, ok := strings.Cut(rest[1:], "=")
		if !ok || !isName(name) {
			return p, errNoProp
		}
		value, after, ok := paramValues(after)
		if !ok {
			return p, errNoProp
		}
		if p.params == nil {
			p.params = map[string]string{}
		}
		p.params[strings.ToUpper(name)] = value
		rest = after
	}
	value, ok := strings.CutPrefix(rest, ":")
	if !ok {
		return p, errNoProp
	}
	p.value = value
	return p, nil
}

// paramValues reads the values of a parameter and returns the first, and what follows the last.
func paramValues(s string) (first, rest string, ok bool) {
	for n := 0; ; n++ {
		value := ""
		if after, quoted := strings.CutPrefix(s, `"`); quoted {
			if value, s, ok = strings.Cut(after, `"`); !ok {
				return "", "", false
			}
		} else {
			i := strings.IndexAny(s, `,;:"`)
			if i < 0 {
				return "", "", false
			}
			value, s = s[:i], s[i:]
		}
		if n == 0 {
			first = value
		}
		if s == "" {
			return "", "", false
		}
		if s[0] != ',' {
			return first, s, true
		}
		s = s[1:]
	}
}

func isName(s string) bool {
	for _, c := range []byte(s) {
		if c != '-' && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return s != ""
}

// text is the value of a property of type TEXT, section 3.3.11.
func (p *prop) text() string { return unescapeText(p.value) }

func unescapeText(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c == '\\' && i+1 < len(s) {
			i++
			if c = s[i]; c == 'n' || c == 'N' {
				c = '\n'
			}
		}
		b.WriteByte(c)
	}
	return b.String()
}

// texts are the values of a property of several of type TEXT.
func (p *prop) texts() []string {
	var all []string
	from := 0
	for i := 0; i < len(p.value); i++ {
		switch p.value[i] {
		case '\\':
			i++
		case ',':
			all = append(all, unescapeText(p.value[from:i]))
			from = i + 1
		}
	}
	return append(all, unescapeText(p.value[from:]))
}

const (
	icalDate = "20060102"
	icalTime = "20060102T150405"
)

// wall is when something is: a date, perhaps with a time on the wall of a zone, "" if it floats.
type wall struct{ date, time, tz string }

// when reads a value of type DATE or DATE-TIME.
func (d *icalDecoder) when(e *Entry, p *prop) (w wall, err error) {
	if len(p.value) == len(icalDate) {
		t, err := time.Parse(icalDate, p.value)
		return wall{date: t.Format(time.DateOnly)}, err
	}
	value, utc := strings.CutSuffix(p.value, "Z")
	t, err := time.Parse(icalTime, value)
	if err != nil {
		return w, err
	}
	if t.Second() != 0 {
		e.remark("the seconds of %s were left out", p.name)
	}
	w = wall{date: t.Format(time.DateOnly), time: t.Format("15:04")}
	switch tzid := p.params["TZID"]; {
	case utc:
		w.tz = "UTC"
	case tzid != "":
		if w.tz = d.zone(tzid); w.tz == "" {
			e.remark("the time zone %.64q is not known: the time was kept without it", tzid)
		}
	}
	return w, nil
}

// zone is the IANA name of a TZID: itself, or what the file says of it, or its end, since some programs put their
// own name before it. "" if it is none.
func (d *icalDecoder) zone(tzid string) string {
	names := []string{tzid, d.zones[tzid], strings.Trim(tzid, "\"'")}
	if parts := strings.Split(tzid, "/"); len(parts) > 2 && len(parts) < 16 {
		names = append(names, strings.Join(parts[len(parts)-2:], "/"), strings.Join(parts[len(parts)-3:], "/"))
	}
	for _, name := range names {
		if _, err := due.Zone(name); err == nil && name != "" {
			return name
		}
	}
	return ""
}

// moment reads a time in UTC, as stamps are.
func moment(p *prop) (time.Time, error) {
	return time.Parse(icalTime, strings.TrimSuffix(p.value, "Z"))
}

// clean reports whether a content line can be written into another file as it is.
func clean(line string) bool {
	return !strings.ContainsFunc(line, func(r rune) bool { return r != '\t' && unicode.IsControl(r) })
}
