package format

import (
	"encoding/json"
	"io"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"todod/fsm/todo/due"
)

// iCalendar (RFC 5545) holds an entry as a VTODO. All of an entry is in it but its id and rev. What has no property of
// its own has one that begins with X-TODOD-. Lines of other programs that mean nothing here are kept in x, as
// {"ical":["LOCATION:Here"]}, and written again.

const ownPrefix = "X-TODOD-"

type icalEncoder struct {
	w     io.Writer
	buf   []byte
	zones map[string]bool // whose VTIMEZONE is written
}

func newICalEncoder(w io.Writer, h Head) (Encoder, error) {
	c := &icalEncoder{w: w, zones: map[string]bool{}}
	for _, line := range []string{"BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//todod//todod//EN", "X-WR-CALNAME:" + escapeText(h.List)} {
		c.buf = appendLine(c.buf, line)
	}
	return c, c.flush()
}

func (c *icalEncoder) flush() error {
	_, err := c.w.Write(c.buf)
	c.buf = c.buf[:0]
	return err
}

func (c *icalEncoder) Close() error {
	c.buf = appendLine(c.buf, "END:VCALENDAR")
	return c.flush()
}

// line adds a line if the value is not empty.
func (c *icalEncoder) line(name, value string) {
	if value != "" {
		c.buf = appendLine(c.buf, name+value)
	}
}

func (c *icalEncoder) Encode(e *Entry) error {
	if e.TZ != "" && e.TZ != "UTC" && !c.zones[e.TZ] {
		c.zones[e.TZ] = true
		if zone, err := due.Zone(e.TZ); err == nil {
			c.buf = appendZone(c.buf, e.TZ, zone)
		}
	}
	c.buf = appendLine(c.buf, "BEGIN:VTODO")
	c.line("UID:", escapeText(UID(&e.Entry)))
	c.line("DTSTAMP:", stamp(e.Updated))
	if !e.Created.IsZero() {
		c.line("CREATED:", stamp(e.Created))
	}
	if !e.Updated.IsZero() {
		c.line("LAST-MODIFIED:", stamp(e.Updated))
	}
	c.line("SUMMARY:", escapeText(e.Title))
	c.line("DESCRIPTION:", escapeText(e.Notes))
	lines, rest := foreignLines(e.X)
	c.due(e, hasStart(lines))
	c.status(e)
	c.line("PRIORITY:", number(uint64(e.Priority)))
	tags := make([]string, len(e.Tags))
	for i, t := range e.Tags {
		tags[i] = escapeText(t)
	}
	c.line("CATEGORIES:", strings.Join(tags, ","))
	c.line("RELATED-TO:", escapeText(e.Above))
	for _, line := range lines {
		c.buf = appendLine(c.buf, line)
	}
	c.line(ownPrefix+"X:", escapeText(rest))
	for _, r := range e.Remind {
		c.alarm(e, r)
	}
	c.buf = appendLine(c.buf, "END:VTODO")
	return c.flush()
}

// due writes when an entry is due and how it repeats. A repeat needs a DTSTART: that of another program, or the
// same as DUE, as most programs have it.
func (c *icalEncoder) due(e *Entry, started bool) {
	if e.Date == "" {
		return
	}
	date := strings.ReplaceAll(e.Date, "-", "")
	value := ":" + date
	switch {
	case e.Time == "":
		value = ";VALUE=DATE" + value
	case e.TZ == "UTC":
		value += "T" + strings.ReplaceAll(e.Time, ":", "") + "00Z"
	default:
		value += "T" + strings.ReplaceAll(e.Time, ":", "") + "00"
		if e.TZ != "" {
			value = ";TZID=" + e.TZ + value
		}
	}
	c.line("DUE", value)
	if e.Repeat == "" {
		return
	}
	if !started {
		c.line("DTSTART", value)
	}
	rule := fitUntil(e)
	c.line("RRULE:", rule)
	if rule != e.Repeat {
		c.line(ownPrefix+"REPEAT:", escapeText(e.Repeat))
	}
	c.line(ownPrefix+"REPEAT-FROM:", escapeText(e.RepeatFrom))
}

// fitUntil is the repeat of an entry with an UNTIL of the form that section 3.3.10 asks for: a date where the entry has no
// time, local time where it floats, else UTC.
func fitUntil(e *Entry) string {
	before, until, found := strings.Cut(e.Repeat, "UNTIL=")
	if !found {
		return e.Repeat
	}
	until, after, more := strings.Cut(until, ";")
	if more {
		after = ";" + after
	}
	switch {
	case e.Time == "":
		until = until[:min(len(until), len(icalDate))]
	case len(until) == len(icalDate):
		day, err := time.Parse(icalDate, until)
		if err != nil {
			return e.Repeat
		}
		end := day.Add(24*time.Hour - time.Second) // the whole day counts
		until = end.Format(icalTime)
		if zone, err := due.Zone(e.TZ); err == nil && e.TZ != "" {
			until = due.Instant(end, zone).UTC().Format(icalTime) + "Z"
		}
	}
	return before + "UNTIL=" + until + after
}

func (c *icalEncoder) status(e *Entry) {
	if !e.Done {
		c.line("STATUS:", "NEEDS-ACTION")
		return
	}
	c.line("STATUS:", "COMPLETED")
	if e.Completed != nil {
		c.line("COMPLETED:", stamp(*e.Completed))
	}
}

func (c *icalEncoder) alarm(e *Entry, remind string) {
	trigger := "TRIGGER;RELATED=END:" + remind
	if at, err := time.Parse(time.RFC3339, remind); err == nil {
		trigger = "TRIGGER;VALUE=DATE-TIME:" + stamp(at)
	}
	for _, line := range []string{"BEGIN:VALARM", "ACTION:DISPLAY", "DESCRIPTION:" + escapeText(e.Title), trigger, "END:VALARM"} {
		c.buf = appendLine(c.buf, line)
	}
}

// icalField is where x has the lines of other programs.
const icalField = "ical"

// foreignLines takes x apart: the lines of other programs, and the rest of it as JSON, "" if there is none. If what stands
// in the place of lines is no such thing, all of it is rest.
func foreignLines(x json.RawMessage) (lines []string, rest string) {
	var fields map[string]json.RawMessage
	if len(x) == 0 || json.Unmarshal(x, &fields) != nil {
		return nil, ""
	}
	if json.Unmarshal(fields[icalField], &lines) != nil || slices.ContainsFunc(lines, func(l string) bool { return !foreign(l) }) {
		lines = nil
	}
	if len(lines) > 0 {
		delete(fields, icalField)
	}
	if len(fields) == 0 && len(lines) > 0 {
		return lines, ""
	}
	text, err := marshal(fields)
	if err != nil {
		return lines, ""
	}
	return lines, string(text)
}

// foreign reports whether a line is one of another program, which it may not be: no client can put one of ours, or the
// end of its VTODO, into the file of a list through x.
func foreign(line string) bool {
	p, err := parseProp(line)
	return err == nil && clean(line) && (!ours(&p) || p.name == "DTSTART")
}

func hasStart(lines []string) bool {
	return slices.ContainsFunc(lines, func(l string) bool {
		p, _ := parseProp(l)
		return p.name == "DTSTART"
	})
}

// stamp is a time in UTC. What has none has that of 1970, since DTSTAMP must be there.
func stamp(t time.Time) string {
	if t.IsZero() {
		t = time.Unix(0, 0)
	}
	return t.UTC().Format(icalTime) + "Z"
}

var textEscaper = strings.NewReplacer(`\`, `\\`, ";", `\;`, ",", `\,`, "\r\n", `\n`, "\n", `\n`, "\r", `\n`)

func escapeText(s string) string { return textEscaper.Replace(s) }

// maxLine is the most octets of a line, section 3.1.
const maxLine = 75

// appendLine appends a content line, folded so that no line is too long and no character is cut.
func appendLine(b []byte, line string) []byte {
	room := maxLine
	for len(line) > room {
		n := room
		for n > 0 && !utf8.RuneStart(line[n]) {
			n--
		}
		b = append(append(append(b, line[:n]...), crlf...), ' ')
		line = line[n:]
		room = maxLine - 1
	}
	return append(append(b, line...), crlf...)
}
