package format

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"todod/fsm/todo/due"
)

const (
	// maxComponents is how deep components may be nested: a calendar, a to-do and an alarm are three.
	maxComponents = 8
	// maxProps is the most lines of a to-do.
	maxProps = 2000
	// maxZones is how many zones of a file are remembered.
	maxZones = 1024
)

type icalDecoder struct {
	r     lineReader
	open  []string          // the components that are open
	zones map[string]string // IANA names by TZID, from VTIMEZONEs
	tzid  string            // of the VTIMEZONE that is open
	any   bool
	done  bool
}

func newICalDecoder(r *bufio.Reader, _ *time.Location) Decoder {
	return &icalDecoder{r: lineReader{r: r}, zones: map[string]string{}}
}

func (d *icalDecoder) Next() (*Entry, error) {
	if d.done {
		return nil, io.EOF
	}
	e, err := d.entry()
	if err != nil {
		f, isFault := err.(*Fault)
		d.done = !isFault || f.End
	}
	return e, err
}

// next reads a property; ends of components are checked on the way.
func (d *icalDecoder) next() (prop, error) {
	for {
		text, line, err := d.r.unfolded()
		if err == io.EOF && len(d.open) > 0 {
			return prop{}, end(line, "the file ends too early: %.64q is still open", d.open[len(d.open)-1])
		}
		if err != nil {
			return prop{}, err
		}
		if len(bytes.TrimSpace(text)) == 0 {
			continue
		}
		p, err := parseProp(string(text))
		if err != nil {
			return prop{}, fault(line, "%s", err)
		}
		p.line = line
		switch p.name {
		case "BEGIN":
			p.value = strings.ToUpper(strings.TrimSpace(p.value))
			if len(d.open) == maxComponents {
				return p, end(line, "components are nested deeper than %d", maxComponents)
			}
			if len(d.open) == 0 && p.value != "VCALENDAR" {
				return p, end(line, "the file must begin with BEGIN:VCALENDAR")
			}
			d.open = append(d.open, p.value)
		case "END":
			p.value = strings.ToUpper(strings.TrimSpace(p.value))
			if len(d.open) == 0 || d.open[len(d.open)-1] != p.value {
				return p, end(line, "%.64q ends nothing that is open", "END:"+p.value)
			}
			d.open = d.open[:len(d.open)-1]
		}
		return p, nil
	}
}

// entry reads up to the end of the next to-do.
func (d *icalDecoder) entry() (*Entry, error) {
	for {
		p, err := d.next()
		switch {
		case err == io.EOF && !d.any:
			return nil, end(1, "the file must begin with BEGIN:VCALENDAR")
		case err != nil && !d.any:
			return nil, fatal(err)
		case err != nil:
			return nil, err
		case len(d.open) == 0 && p.name != "END":
			return nil, end(p.line, "the file must begin with BEGIN:VCALENDAR")
		}
		d.any = true
		if p.name != "BEGIN" || len(d.open) == 1 {
			continue
		}
		switch p.value {
		case "VTODO":
			return d.todo(p.line)
		case "VTIMEZONE":
			err = d.skip(func(p *prop) { d.zoneName(p) })
		default:
			err = d.skip(func(*prop) {})
			if err == nil {
				err = &Fault{Line: p.line, Reason: fmt.Sprintf("the component %.64q is no entry and was left out", p.value), Extra: true}
			}
		}
		if err != nil {
			return nil, err
		}
	}
}

// skip reads to the end of the component that was begun last.
func (d *icalDecoder) skip(each func(p *prop)) error {
	for depth := len(d.open); len(d.open) >= depth; {
		p, err := d.next()
		if err != nil && (!isFault(err) || err.(*Fault).End) {
			return err
		}
		if err == nil {
			each(&p)
		}
	}
	return nil
}

// zoneName remembers what a VTIMEZONE says of the name of its zone.
func (d *icalDecoder) zoneName(p *prop) {
	switch {
	case p.name == "TZID":
		d.tzid = strings.Clone(p.value)
	case p.name == "X-LIC-LOCATION" && len(d.zones) < maxZones && len(p.value) < 128 && len(d.tzid) < 256:
		d.zones[d.tzid] = strings.Clone(p.value)
	}
}

// todo reads a to-do to its end, whatever is wrong with it.
func (d *icalDecoder) todo(line int) (*Entry, error) {
	v := vtodo{d: d, e: &Entry{Line: line}}
	var wrong error
	fail := func(err error) {
		if wrong == nil {
			wrong = err
		}
	}
	depth, n := len(d.open), 0
	for len(d.open) >= depth {
		p, err := d.next()
		if err != nil {
			if fatal := !isFault(err) || err.(*Fault).End; fatal {
				return nil, err
			}
			fail(err)
			continue
		}
		if n++; n == maxProps {
			fail(fault(line, "a to-do must have at most %d lines", maxProps))
		}
		if wrong != nil || p.name == "END" {
			continue
		}
		if err := v.take(&p, depth); err != nil {
			fail(fault(p.line, "%s %s", p.name, err))
		}
	}
	if wrong != nil {
		return nil, wrong
	}
	return v.finish()
}

// vtodo is a to-do that is being read.
type vtodo struct {
	d        *icalDecoder
	e        *Entry
	status   string
	start    *prop
	due      *prop
	repeat   string   // of our own
	override bool     // it is one occurrence of another to-do
	x        string   // of our own, JSON
	foreign  []string // lines of other programs
	size     int      // of them
}

// take takes a property of the to-do or of an alarm in it.
func (v *vtodo) take(p *prop, depth int) error {
	if len(v.d.open) > depth || p.name == "BEGIN" {
		if v.d.open[len(v.d.open)-1] == "VALARM" && p.name == "TRIGGER" {
			v.trigger(p)
		}
		return nil
	}
	if ours(p) {
		return icalProps[p.name](v, p)
	}
	if v.size += len(p.raw); v.size > maxKept || !clean(p.raw) {
		v.size -= len(p.raw)
		v.e.remark("%.64s could not be kept", p.name)
		return nil
	}
	v.foreign = append(v.foreign, p.raw)
	return nil
}

// trigger takes a reminder.
func (v *vtodo) trigger(p *prop) {
	text := p.value
	if at, err := moment(p); err == nil {
		text = at.Format("2006-01-02T15:04:05Z")
	}
	kept, err := due.Reminds(append(v.e.Remind, text))
	if err != nil {
		v.e.remark("the reminder %.64q was left out", p.value)
		return
	}
	v.e.Remind = kept
}

// finish puts together what depends on several properties.
func (v *vtodo) finish() (*Entry, error) {
	e := v.e
	if v.override {
		return nil, &Fault{Line: e.Line, Reason: "a changed occurrence of a repeated to-do is no entry and was left out", Extra: true}
	}
	switch v.status {
	case "":
		e.Done = e.Completed != nil
	case "COMPLETED", "CANCELLED":
		e.Done = true
	}
	if v.status == "CANCELLED" || v.status == "IN-PROCESS" {
		e.remark("the status %s became %s", v.status, map[bool]string{true: "done", false: "open"}[e.Done])
	}
	if !e.Done {
		e.Completed = nil
	}
	if err := v.when(); err != nil {
		return nil, err
	}
	if e.RepeatFrom != "" && e.Repeat == "" {
		e.RepeatFrom = ""
	}
	e.sortTags()
	return e, v.others()
}

// when sets the date, from DTSTART if there is no DUE: some programs know no other.
func (v *vtodo) when() error {
	e, from := v.e, v.due
	if from == nil {
		from = v.start
	}
	if from == nil {
		if e.Repeat != "" {
			e.Repeat = ""
			e.remark("the repeat was left out: there is no date that it counts from")
		}
		return nil
	}
	w, err := v.d.when(e, from)
	if err != nil {
		return fault(from.line, "%s must be a date or a time", from.name)
	}
	e.Date, e.Time, e.TZ = w.date, w.time, w.tz
	if v.start != nil && v.due != nil && v.start.value != v.due.value {
		v.foreign = append(v.foreign, v.start.raw)
	}
	if v.repeat != "" {
		as := *e
		as.Repeat = v.repeat
		if fitUntil(&as) == e.Repeat { // else another program has changed the rule since
			e.Repeat = v.repeat
		}
	}
	return nil
}

// others makes x.
func (v *vtodo) others() error {
	fields := map[string]json.RawMessage{}
	if v.x != "" {
		if err := strict([]byte(v.x)); err != nil {
			return fault(v.e.Line, "%sX %s", ownPrefix, err)
		}
		if err := json.Unmarshal([]byte(v.x), &fields); err != nil || fields == nil {
			return fault(v.e.Line, "%sX must be an object of JSON", ownPrefix)
		}
	}
	if len(v.foreign) > 0 {
		lines, err := marshal(v.foreign)
		if err != nil {
			return err
		}
		fields[icalField] = lines
	}
	if v.x == "" && len(v.foreign) == 0 {
		return nil
	}
	x, err := marshal(fields)
	v.e.X = x
	return err
}

// marshal is JSON that does not escape what HTML would have escaped.
func marshal(v any) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSpace(buf.Bytes()), nil
}
