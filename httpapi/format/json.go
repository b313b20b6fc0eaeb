package format

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// Todod's own JSON holds all there is of an entry. A file is one document, an object with a line for each entry:
//
//	{"format":"todod","version":1,"list":"bob","rev":42,"entries":[
//	{"list":"bob","id":1,"title":"Dentist",...},
//	{"list":"bob","id":2,...}
//	]}
//
// An array of entries alone is read too, for what people write themselves.

const (
	jsonName    = "todod"
	jsonVersion = 1
)

// jsonHead is what stands before the entries.
type jsonHead struct {
	Format  string `json:"format"`
	Version int    `json:"version"`
	List    string `json:"list"`
	Rev     uint64 `json:"rev"`
}

type jsonEncoder struct {
	w    io.Writer
	buf  bytes.Buffer
	json *json.Encoder
	any  bool
}

func newJSONEncoder(w io.Writer, h Head) (Encoder, error) {
	head, err := json.Marshal(jsonHead{jsonName, jsonVersion, h.List, h.Rev})
	if err != nil {
		return nil, err
	}
	j := &jsonEncoder{w: w}
	j.json = json.NewEncoder(&j.buf)
	j.json.SetEscapeHTML(false)
	_, err = fmt.Fprintf(w, `%s,"entries":[`, head[:len(head)-1])
	return j, err
}

func (j *jsonEncoder) Encode(e *Entry) error {
	j.buf.Reset()
	if j.any {
		j.buf.WriteByte(',')
	}
	j.any = true
	j.buf.WriteByte('\n')
	if err := j.json.Encode(&e.Entry); err != nil {
		return err
	}
	_, err := j.w.Write(bytes.TrimSuffix(j.buf.Bytes(), []byte{'\n'}))
	return err
}

func (j *jsonEncoder) Close() error {
	_, err := io.WriteString(j.w, "\n]}\n")
	return err
}

type jsonDecoder struct {
	r     jsonReader
	read  func(raw []byte) (*Entry, error) // one entry
	array bool                             // the file is an array and nothing else
	begun bool
	bare  bool // an array alone
	any   bool // an entry was read
	done  bool
}

func newJSONDecoder(r *bufio.Reader, _ *time.Location) Decoder {
	return &jsonDecoder{r: jsonReader{r: r, line: 1}, read: jsonEntry}
}

func (d *jsonDecoder) Next() (*Entry, error) {
	if d.done {
		return nil, io.EOF
	}
	if !d.begun {
		d.begun = true
		if err := d.begin(); err != nil {
			return nil, d.ends(err)
		}
	}
	more, err := d.more()
	if err != nil {
		return nil, d.ends(err)
	}
	if !more {
		d.done = true
		return nil, d.finish()
	}
	line, raw, err := d.r.value(maxRecord)
	if err != nil {
		return nil, d.ends(err)
	}
	e, err := d.read(raw)
	if f, isFault := err.(*Fault); isFault {
		f.Line = line
		return nil, f
	}
	if err != nil {
		return nil, fault(line, "%s", err)
	}
	e.Line = line
	return e, nil
}

// ends notes an error after which nothing can be read.
func (d *jsonDecoder) ends(err error) error {
	f := (*Fault)(nil)
	d.done = !errors.As(err, &f) || f.End
	return err
}

// begin reads up to the bracket before the first entry.
func (d *jsonDecoder) begin() error {
	c, err := d.r.space()
	if err != nil {
		return err
	}
	switch c {
	case '[':
		d.bare = true
		return nil
	case '{':
		if d.array {
			return end(d.r.line, "the file must be a JSON array")
		}
	default:
		return end(d.r.line, "the file must be JSON: an object with entries, or an array of them")
	}
	seen := map[string]bool{}
	for {
		name, err := d.r.name()
		if err != nil {
			return err
		}
		if seen[name] {
			return end(d.r.line, "%q is given twice", name)
		}
		seen[name] = true
		if name == "entries" {
			break
		}
		if err := d.head(name); err != nil {
			return err
		}
		if err := d.r.expect(','); err != nil {
			return err
		}
	}
	if !seen["format"] || !seen["version"] {
		return end(d.r.line, "the format and its version must stand before the entries")
	}
	return d.r.expect('[')
}

// head reads the value of a field before the entries. What does not help to read the entries is not looked at, so
// that a later release may say more there.
func (d *jsonDecoder) head(name string) error {
	line, raw, err := d.r.value(maxRecord)
	if err != nil {
		return fatal(err)
	}
	if err := strict(raw); err != nil {
		return end(line, "%.64q %s", name, err)
	}
	switch name {
	case "format":
		if string(raw) != `"`+jsonName+`"` {
			return end(line, "the format must be %q", jsonName)
		}
	case "version":
		if string(raw) != "1" {
			return end(line, "version %.20q of the format is not known to this program, which reads version %d", raw, jsonVersion)
		}
	}
	return nil
}

// more reads what stands between two entries: false after the last one.
func (d *jsonDecoder) more() (bool, error) {
	c, err := d.r.space()
	if err != nil {
		return false, err
	}
	switch {
	case c == ']':
		return false, nil
	case !d.any:
		d.any = true
		return true, d.r.r.UnreadByte()
	case c == ',':
		return true, nil
	}
	return false, end(d.r.line, "must be JSON: %q does not belong after an entry", c)
}

// finish reads what stands after the entries.
func (d *jsonDecoder) finish() error {
	if !d.bare {
		if err := d.r.expect('}'); err != nil {
			return err
		}
	}
	if c, err := d.r.space(); err == nil {
		return end(d.r.line, "must be JSON: %q does not belong after the end", c)
	} else if !isFault(err) {
		return err
	}
	return io.EOF
}

// jsonEntry reads an entry strictly: encoding/json alone takes names in any case, names that it does not know and
// doubled ones.
func jsonEntry(raw []byte) (*Entry, error) {
	if err := strict(raw); err != nil {
		return nil, err
	}
	var fields map[string]json.RawMessage
	if json.Unmarshal(raw, &fields) != nil {
		return nil, errors.New("an entry must be a JSON object")
	}
	e := &Entry{}
	for name := range fields {
		if _, known := jsonFields[name]; !known {
			return nil, fmt.Errorf("%.64q is not a known field", name)
		}
	}
	for name, want := range jsonFields {
		value, given := fields[name]
		if !given || string(value) == "null" {
			continue
		}
		if json.Unmarshal(value, want.in(e)) != nil {
			return nil, fmt.Errorf("%s must be %s", name, want.kind)
		}
	}
	if e.X != nil {
		var buf bytes.Buffer
		if err := json.Compact(&buf, e.X); err != nil {
			return nil, err
		}
		e.X = buf.Bytes()
	}
	return e, nil
}

type jsonField struct {
	kind string // for a sentence
	in   func(e *Entry) any
}

const (
	aText   = "a string"
	aNumber = "a whole number"
	aTime   = "a time like 2026-11-28T09:00:00Z"
	texts   = "an array of strings"
)

// jsonFields are the fields of an api.Entry.
var jsonFields = map[string]jsonField{
	"list":        {aText, func(e *Entry) any { return &e.List }},
	"id":          {aNumber, func(e *Entry) any { return &e.ID }},
	"title":       {aText, func(e *Entry) any { return &e.Title }},
	"date":        {aText, func(e *Entry) any { return &e.Date }},
	"done":        {"true or false", func(e *Entry) any { return &e.Done }},
	"rev":         {aNumber, func(e *Entry) any { return &e.Rev }},
	"created":     {aTime, func(e *Entry) any { return &e.Created }},
	"updated":     {aTime, func(e *Entry) any { return &e.Updated }},
	"due":         {aText, func(e *Entry) any { return &e.Due }},
	"completed":   {aTime, func(e *Entry) any { return &e.Completed }},
	"time":        {aText, func(e *Entry) any { return &e.Time }},
	"tz":          {aText, func(e *Entry) any { return &e.TZ }},
	"priority":    {"a whole number from 0 to 9", func(e *Entry) any { return &e.Priority }},
	"tags":        {texts, func(e *Entry) any { return &e.Tags }},
	"notes":       {aText, func(e *Entry) any { return &e.Notes }},
	"parent":      {aNumber, func(e *Entry) any { return &e.Parent }},
	"repeat":      {aText, func(e *Entry) any { return &e.Repeat }},
	"repeat_from": {aText, func(e *Entry) any { return &e.RepeatFrom }},
	"remind":      {texts, func(e *Entry) any { return &e.Remind }},
	"uid":         {aText, func(e *Entry) any { return &e.UID }},
	"x":           {"an object", func(e *Entry) any { return (*object)(&e.X) }},
}

// object takes objects only.
type object json.RawMessage

func (o *object) UnmarshalJSON(b []byte) error {
	if len(b) == 0 || b[0] != '{' {
		return errors.New("no object")
	}
	*o = bytes.Clone(b)
	return nil
}
