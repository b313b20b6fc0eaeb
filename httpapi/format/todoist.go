package format

import (
	"bufio"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"time"

	"todod/fsm/todo"
)

// Todoist's CSV is the template of a project: a row for each open task, those below it indented, with rows for sections and
// notes between. It has four priorities, and dates as people write them, of which those with a year are understood. What is
// done has no place in it.

var todoistColumns = []string{"TYPE", "CONTENT", "DESCRIPTION", "PRIORITY", "INDENT", "AUTHOR", "RESPONSIBLE", "DATE", "DATE_LANG", "TIMEZONE"}

type todoistEncoder struct {
	w    io.Writer
	buf  []byte
	open []bool // of the entries above the next one: whether each was written
}

func newTodoistEncoder(w io.Writer, _ Head) (Encoder, error) {
	_, err := io.WriteString(w, byteOrderMark+strings.Join(todoistColumns, ",")+crlf)
	return &todoistEncoder{w: w}, err
}

func (t *todoistEncoder) Close() error { return nil }

func (t *todoistEncoder) Encode(e *Entry) error {
	t.open = append(t.open[:min(e.Depth, len(t.open))], !e.Done)
	if e.Done {
		return nil
	}
	indent := 0
	for _, written := range t.open {
		if written {
			indent++
		}
	}
	zone := e.TZ
	content := []string{todoistText(e.Title)}
	for _, tag := range e.Tags {
		content = append(content, "@"+tag)
	}
	t.buf = t.buf[:0]
	for i, cell := range []string{"task", strings.Join(content, " "), e.Notes, strconv.Itoa(todoistPriority(e.Priority)), strconv.Itoa(indent), "", "", todoistDate(e), "en", zone} {
		if i > 0 {
			t.buf = append(t.buf, ',')
		}
		t.buf = appendCell(t.buf, cell)
	}
	t.buf = append(t.buf, crlf...)
	_, err := t.w.Write(t.buf)
	return err
}

// todoistText escapes words of a title that would be read as labels, as Todoist does.
func todoistText(title string) string {
	words := strings.Split(title, " ")
	for i, w := range words {
		if isLabel(w) || isLabel(strings.TrimLeft(w, `\`)) && strings.HasPrefix(w, `\`) {
			words[i] = `\` + w
		}
	}
	return strings.Join(words, " ")
}

func isLabel(w string) bool { return len(w) > 1 && w[0] == '@' }

func todoistPriority(p uint8) int {
	switch {
	case p == 0:
		return 4
	case p < 5:
		return 1
	case p == 5:
		return 2
	}
	return 3
}

// everyUnits are the repeats that have a form in words.
var everyUnits = map[string]string{"DAILY": "day", "WEEKLY": "week", "MONTHLY": "month", "YEARLY": "year"}

var simpleRule = regexp.MustCompile(`^FREQ=([A-Z]+)(?:;INTERVAL=([0-9]{1,4}))?$`)

// todoistDate is when an entry is due in words that Todoist and this package read.
func todoistDate(e *Entry) string {
	when := e.Date
	if e.Time != "" {
		when += " " + e.Time
	}
	m := simpleRule.FindStringSubmatch(e.Repeat)
	if m == nil || everyUnits[m[1]] == "" {
		return when
	}
	every := "every "
	if e.RepeatFrom == "done" {
		every = "every! "
	}
	if m[2] != "" && m[2] != "1" {
		every += m[2] + " " + everyUnits[m[1]] + "s"
	} else {
		every += everyUnits[m[1]]
	}
	if e.Time != "" {
		every += " at " + e.Time
	}
	return every + " starting " + e.Date
}

type todoistDecoder struct {
	r       csvReader
	at      map[string]int // columns by name
	n       uint64         // entries read: they are named so to those below them
	above   []uint64       // the entries that the next one may be below, by indent
	section string
	held    *Entry // the entry to which notes may follow
	err     error  // what comes when it is given out
}

func newTodoistDecoder(r *bufio.Reader, _ *time.Location) Decoder {
	return &todoistDecoder{r: csvReader{r: r, line: 1, comma: ','}}
}

func (t *todoistDecoder) Next() (*Entry, error) {
	if t.at == nil {
		if err := t.head(); err != nil {
			t.at, t.err = map[string]int{}, io.EOF
			return nil, fatal(err)
		}
	}
	for t.err == nil {
		cells, line, err := t.r.record()
		if err == nil {
			err = t.row(cells, line)
		}
		if err == nil {
			continue
		}
		t.err = err
	}
	if t.held != nil {
		e := t.held
		t.held = nil
		return e, nil
	}
	err := t.err
	if next, ok := err.(*oneMore); ok {
		t.held, t.err = next.e, nil
		return t.Next()
	}
	if f, ok := err.(*Fault); ok && !f.End {
		t.err = nil
	}
	return nil, err
}

// oneMore ends the notes of an entry: the next one has begun.
type oneMore struct{ e *Entry }

func (*oneMore) Error() string { return "the next entry" }

func (t *todoistDecoder) head() error {
	cells, line, err := t.r.record()
	if err == io.EOF {
		return end(1, "the file is empty: its first line must name the columns")
	}
	if err != nil {
		return err
	}
	t.at = map[string]int{}
	for i, cell := range cells {
		t.at[strings.ToUpper(strings.TrimSpace(cell))] = i
	}
	for _, name := range []string{"TYPE", "CONTENT"} {
		if _, ok := t.at[name]; !ok {
			return end(line, "the first line must name the columns of Todoist, and %s is not among them", name)
		}
	}
	return nil
}

// row reads a row: a task gives a oneMore if it follows another one.
func (t *todoistDecoder) row(cells []string, line int) error {
	cell := func(name string) string {
		if i, ok := t.at[name]; ok && i < len(cells) {
			return unguard(cells[i])
		}
		return ""
	}
	switch kind := strings.ToLower(cell("TYPE")); kind {
	case "section":
		t.section, t.above = cell("CONTENT"), nil
		return nil
	case "note":
		if t.held == nil {
			return &Fault{Line: line, Reason: "a note that belongs to no task was left out", Extra: true}
		}
		t.held.Notes = strings.TrimPrefix(t.held.Notes+"\n"+cell("CONTENT"), "\n")
		if len(t.held.Notes) > maxRecord {
			t.held.Notes = t.held.Notes[:maxRecord]
		}
		return nil
	case "", "meta":
		return nil
	case "task":
	default:
		return &Fault{Line: line, Reason: fmt.Sprintf("a row of type %.64q is no task and was left out", kind), Extra: true}
	}
	e, err := t.task(cell, line)
	if err != nil {
		return err
	}
	if t.held != nil {
		return &oneMore{e}
	}
	t.held = e
	return nil
}

func (t *todoistDecoder) task(cell func(name string) string, line int) (*Entry, error) {
	t.n++
	e := &Entry{Line: line, Lacks: todo.FieldDone | todo.FieldRemind | todo.FieldX}
	e.ID = t.n
	var words []string
	for w := range strings.SplitSeq(oneLine(cell("CONTENT")), " ") {
		switch {
		case isLabel(w):
			e.addTag(w[1:])
		case strings.HasPrefix(w, `\`) && isLabel(strings.TrimLeft(w, `\`)):
			words = append(words, w[1:])
		default:
			words = append(words, w)
		}
	}
	e.Title, e.Notes = strings.Join(words, " "), cell("DESCRIPTION")
	if t.section != "" {
		e.addTag("+" + t.section)
	}
	e.sortTags()
	switch p := cell("PRIORITY"); p {
	case "1":
		e.Priority = 1
	case "2":
		e.Priority = 5
	case "3":
		e.Priority = 9
	case "", "4":
	default:
		return nil, fault(line, "PRIORITY must be a number from 1 to 4")
	}
	indent := 1
	if text := cell("INDENT"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return nil, fault(line, "INDENT must be a number from 1")
		}
		indent = min(n, len(t.above)+1)
	}
	t.above = append(t.above[:indent-1], e.ID)
	if indent > 1 {
		e.Parent = t.above[indent-2]
	}
	e.todoistWhen(cell("DATE"), cell("TIMEZONE"))
	return e, nil
}

var (
	everyDate = regexp.MustCompile(`^every(!?) (?:([0-9]{1,4}) )?(day|week|month|year)s?(?: at ([0-9]{2}:[0-9]{2}))?(?: starting ([0-9]{4}-[0-9]{2}-[0-9]{2}))$`)
	// dateForms are what Todoist writes with a year.
	dateForms = []struct {
		layout string
		timed  bool
	}{{"2006-01-02", false}, {"2006-01-02 15:04", true}, {"2006-01-02T15:04:05", true}, {"2006-01-02T15:04", true}, {"2006-01-02T15:04:05Z", true}, {"2 Jan 2006", false}, {"Jan 2 2006", false},
		{"Jan 2, 2006", false}, {"2 January 2006", false}, {"2 Jan 2006 15:04", true}, {"Jan 2 2006 15:04", true}}
)

// todoistWhen takes a date in words. One that is not understood is a remark: what "tomorrow" was, only its writer knows.
func (e *Entry) todoistWhen(text, zone string) {
	text = strings.Join(strings.Fields(text), " ")
	if text == "" {
		return
	}
	if m := everyDate.FindStringSubmatch(strings.ToLower(text)); m != nil {
		e.Date, e.Time = m[5], m[4]
		for freq, unit := range everyUnits {
			if unit == m[3] {
				e.Repeat = "FREQ=" + freq
			}
		}
		if m[2] != "" && m[2] != "1" {
			e.Repeat += ";INTERVAL=" + m[2]
		}
		if m[1] == "!" {
			e.RepeatFrom = "done"
		}
	} else {
		for _, form := range dateForms {
			at, err := time.Parse(form.layout, text)
			if err != nil {
				continue
			}
			if e.Date = at.Format(time.DateOnly); form.timed {
				e.Time = at.Format("15:04")
			}
			break
		}
	}
	if e.Date == "" {
		e.remark("the date %.100q was not understood and was left out", text)
		return
	}
	switch {
	case e.Time == "":
	case strings.HasSuffix(text, "Z"):
		e.TZ = "UTC"
	case (&icalDecoder{}).zone(zone) != "":
		e.TZ = zone
	case zone != "":
		e.remark("the time zone %.64q is not known: the time was kept without it", zone)
	}
}
