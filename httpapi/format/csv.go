package format

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"todod/fsm/todo"
)

// CSV is RFC 4180 with a first line that names the columns, for spreadsheets: a byte order mark, without which Excel
// takes UTF-8 for the code page of the machine; and a ' before what a spreadsheet would take for a formula. All of an
// entry is in it but due, which follows from the rest.

const crlf = "\r\n"

// column is one of the columns: of them, in names what to write, out what an entry has and in what to do with a cell.
// An out of "" is an empty cell, and an empty cell is not given to in.
type column struct {
	name  string
	field todo.FieldSet // which settable field it is, if it is one
	out   func(e *Entry) string
	in    func(e *Entry, cell string) error
}

var columns = []column{
	{"id", 0, func(e *Entry) string { return number(e.ID) }, func(e *Entry, s string) error { return parseNumber(s, &e.ID) }},
	{"title", todo.FieldTitle, func(e *Entry) string { return e.Title }, func(e *Entry, s string) error { e.Title = s; return nil }},
	{"done", todo.FieldDone, func(e *Entry) string { return strconv.FormatBool(e.Done) }, func(e *Entry, s string) error { return parseBool(s, &e.Done) }},
	{"date", todo.FieldDate, func(e *Entry) string { return e.Date }, func(e *Entry, s string) error { e.Date = s; return nil }},
	{"time", todo.FieldTime, func(e *Entry) string { return e.Time }, func(e *Entry, s string) error { e.Time = s; return nil }},
	{"tz", todo.FieldTZ, func(e *Entry) string { return e.TZ }, func(e *Entry, s string) error { e.TZ = s; return nil }},
	{"priority", todo.FieldPriority, func(e *Entry) string { return number(uint64(e.Priority)) }, func(e *Entry, s string) error { return parsePriority(s, &e.Priority) }},
	{"tags", todo.FieldTags, func(e *Entry) string { return strings.Join(e.Tags, ", ") }, parseTags},
	{"notes", todo.FieldNotes, func(e *Entry) string { return e.Notes }, func(e *Entry, s string) error { e.Notes = s; return nil }},
	{"parent", todo.FieldParent, func(e *Entry) string { return number(e.Parent) }, func(e *Entry, s string) error { return parseNumber(s, &e.Parent) }},
	{"repeat", todo.FieldRepeat, func(e *Entry) string { return e.Repeat }, func(e *Entry, s string) error { e.Repeat = s; return nil }},
	{"repeat_from", todo.FieldRepeatFrom, func(e *Entry) string { return e.RepeatFrom }, func(e *Entry, s string) error { e.RepeatFrom = s; return nil }},
	{"remind", todo.FieldRemind, func(e *Entry) string { return strings.Join(e.Remind, " ") }, func(e *Entry, s string) error { e.Remind = strings.Fields(s); return nil }},
	{"uid", todo.FieldUID, func(e *Entry) string { return UID(&e.Entry) }, func(e *Entry, s string) error { e.UID = s; return nil }},
	{"x", todo.FieldX, func(e *Entry) string { return string(e.X) }, parseX},
	{"created", 0, func(e *Entry) string { return instant(e.Created) }, func(e *Entry, s string) error { return parseInstant(s, &e.Created) }},
	{"updated", 0, func(e *Entry) string { return instant(e.Updated) }, func(e *Entry, s string) error { return parseInstant(s, &e.Updated) }},
	{"completed", 0, func(e *Entry) string { return optionalInstant(e.Completed) }, func(e *Entry, s string) error { return parseOptional(s, &e.Completed) }},
}

// allFields are the settable fields of an entry: each has a column.
func allFields() (all todo.FieldSet) {
	for i := range columns {
		all |= columns[i].field
	}
	return all
}

type csvEncoder struct {
	w   io.Writer
	buf []byte
}

func newCSVEncoder(w io.Writer, _ Head) (Encoder, error) {
	c := &csvEncoder{w: w}
	names := make([]string, len(columns))
	for i := range columns {
		names[i] = columns[i].name
	}
	_, err := io.WriteString(w, byteOrderMark+strings.Join(names, ",")+crlf)
	return c, err
}

func (c *csvEncoder) Encode(e *Entry) error {
	c.buf = c.buf[:0]
	for i := range columns {
		if i > 0 {
			c.buf = append(c.buf, ',')
		}
		c.buf = appendCell(c.buf, columns[i].out(e))
	}
	c.buf = append(c.buf, crlf...)
	_, err := c.w.Write(c.buf)
	return err
}

func (c *csvEncoder) Close() error { return nil }

// guarded are the first characters of what a spreadsheet takes for a formula, and the one that says it is none.
const guarded = "=+-@'\t\r"

// appendCell appends a cell with its guard and in quotes if it needs them.
func appendCell(b []byte, cell string) []byte {
	guard := ""
	if cell != "" && strings.IndexByte(guarded, cell[0]) >= 0 {
		guard = "'"
	}
	if !strings.ContainsAny(cell, ",;\"\r\n\t") && !strings.HasPrefix(cell, " ") && !strings.HasSuffix(cell, " ") {
		return append(append(b, guard...), cell...)
	}
	b = append(append(b, '"'), guard...)
	for {
		before, after, found := strings.Cut(cell, `"`)
		b = append(b, before...)
		if !found {
			return append(b, '"')
		}
		b = append(b, `""`...)
		cell = after
	}
}

// unguard takes the guard off. A ' before anything else was never put there by an export: it belongs to the text.
func unguard(cell string) string {
	if len(cell) > 1 && cell[0] == '\'' && strings.IndexByte(guarded, cell[1]) >= 0 {
		return cell[1:]
	}
	return cell
}

type csvDecoder struct {
	r       csvReader
	columns []*column // of the file; nil for those that are not known
	lacks   todo.FieldSet
	remarks []error // on the first line
	done    bool
}

func newCSVDecoder(r *bufio.Reader, _ *time.Location) Decoder {
	return &csvDecoder{r: csvReader{r: r, line: 1}}
}

func (d *csvDecoder) Next() (*Entry, error) {
	if d.done {
		return nil, io.EOF
	}
	if d.columns == nil {
		if err := d.head(); err != nil {
			d.done = true
			return nil, fatal(err)
		}
	}
	if len(d.remarks) > 0 {
		err := d.remarks[0]
		d.remarks = d.remarks[1:]
		return nil, err
	}
	cells, line, err := d.r.record()
	if err != nil {
		f, isFault := err.(*Fault)
		d.done = !isFault || f.End
		return nil, err
	}
	e := &Entry{Line: line, Lacks: d.lacks}
	for i, cell := range cells {
		switch {
		case i >= len(d.columns) && cell != "":
			return nil, fault(line, "it has more cells than the first line has names")
		case i >= len(d.columns) || d.columns[i] == nil || cell == "":
			continue
		}
		if err := d.columns[i].in(e, unguard(cell)); err != nil {
			return nil, fault(line, "%s %s", d.columns[i].name, err)
		}
	}
	return e, nil
}

// head reads the names of the columns. They stand in any order, in any case, and some may be missing.
func (d *csvDecoder) head() error {
	if first, _ := d.r.r.Peek(2); string(first) == "\xff\xfe" || string(first) == "\xfe\xff" {
		return end(1, "the file is UTF-16: save it as CSV UTF-8")
	}
	d.r.comma = d.separator()
	cells, line, err := d.r.record()
	if err == io.EOF {
		return end(1, "the file is empty: its first line must name the columns")
	}
	if err != nil {
		return err
	}
	d.columns, d.lacks = make([]*column, len(cells)), allFields()
	for i, cell := range cells {
		name := strings.ToLower(strings.TrimSpace(cell))
		at := slices.IndexFunc(columns, func(c column) bool { return c.name == name })
		switch {
		case at < 0:
			d.remarks = append(d.remarks, &Fault{Line: line, Reason: fmt.Sprintf("the column %.64q is not known and was left out", cell), Extra: true})
		case slices.Contains(d.columns, &columns[at]):
			return end(line, "the column %s is named twice", name)
		default:
			d.columns[i] = &columns[at]
			d.lacks &^= columns[at].field
		}
	}
	if !slices.ContainsFunc(d.columns, func(c *column) bool { return c != nil && c.name == "title" }) {
		return end(line, "the first line must name the columns, and one of them must be title")
	}
	return nil
}

// separator is what stands between the cells of the first line: a comma, or what a spreadsheet writes where the comma
// is part of numbers.
func (d *csvDecoder) separator() byte {
	first, _ := d.r.r.Peek(4096)
	if i := bytes.IndexAny(first, "\r\n"); i >= 0 {
		first = first[:i]
	}
	if i := bytes.IndexAny(first, ",;\t"); i >= 0 {
		return first[i]
	}
	return ','
}

func number(n uint64) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatUint(n, 10)
}

func parseNumber(s string, n *uint64) (err error) {
	if *n, err = strconv.ParseUint(s, 10, 64); err != nil {
		return fmt.Errorf("must be a whole number")
	}
	return nil
}

func parsePriority(s string, p *uint8) error {
	n, err := strconv.ParseUint(s, 10, 8)
	if err != nil {
		return fmt.Errorf("must be a whole number from 0 to 9")
	}
	*p = uint8(n)
	return nil
}

// parseBool takes what spreadsheets and people write.
func parseBool(s string, v *bool) error {
	switch strings.ToLower(strings.TrimSpace(s)) {
	case "true", "1", "yes", "x":
		*v = true
	case "false", "0", "no", "":
		*v = false
	default:
		return fmt.Errorf("must be true or false")
	}
	return nil
}

func instant(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

func optionalInstant(t *time.Time) string {
	if t == nil {
		return ""
	}
	return instant(*t)
}

func parseInstant(s string, t *time.Time) (err error) {
	if *t, err = time.Parse(time.RFC3339Nano, s); err != nil {
		return fmt.Errorf("must be %s", aTime)
	}
	*t = t.UTC()
	return nil
}

func parseOptional(s string, t **time.Time) error {
	var at time.Time
	if err := parseInstant(s, &at); err != nil {
		return err
	}
	*t = &at
	return nil
}

func parseX(e *Entry, s string) error {
	if err := strict([]byte(s)); err != nil {
		return err
	}
	var buf bytes.Buffer
	if s[0] != '{' || json.Compact(&buf, []byte(s)) != nil {
		return fmt.Errorf("must be an object of JSON")
	}
	e.X = buf.Bytes()
	return nil
}

func parseTags(e *Entry, cell string) error {
	for tag := range strings.SplitSeq(cell, ",") {
		e.addTag(tag)
	}
	e.sortTags()
	return nil
}
