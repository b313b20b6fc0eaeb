package format

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"todod/fsm/todo"
)

// A line of todo.txt is an entry (github.com/todotxt/todo.txt):
//
//	x 2026-11-28 2026-11-01 Dentist @health due:2026-12-19 uid:1-ab
//	(A) 2026-11-01 Ask @ann about the garden
//
// Priorities 1 to 9 are A to I. A tag is a context; one that begins with + is a project. Tags at the end of a line are
// tags only; those before other words are tags and stay in the title. Keys at the end hold the rest, but notes and x, which
// a line has no room for, and of created and completed the day is kept alone.
//
// A word of a title that would be read as something else has its first character written as %XX.

type todoEncoder struct {
	w   io.Writer
	buf []byte
}

func newTodoEncoder(w io.Writer, _ Head) (Encoder, error) { return &todoEncoder{w: w}, nil }

func (t *todoEncoder) Close() error { return nil }

func (t *todoEncoder) Encode(e *Entry) error {
	var line []string
	priority := ""
	if e.Priority > 0 {
		priority = string('A' + rune(min(e.Priority, 9)) - 1)
	}
	if e.Done {
		line = append(line, "x")
		if e.Completed != nil {
			line = append(line, day(*e.Completed))
		}
	} else if priority != "" {
		line = append(line, "("+priority+")")
	}
	if !e.Created.IsZero() && (!e.Done || e.Completed != nil) { // the first date after an x is that of its completion
		line = append(line, day(e.Created))
	}
	words, inline := titleWords(e)
	line = append(line, words...)
	for _, tag := range e.Tags {
		if !slices.Contains(inline, tag) {
			line = append(line, tagWord(tag))
		}
	}
	if e.Done {
		line = append(line, key("pri", priority)...)
	}
	for _, k := range todoKeys {
		for _, value := range k.out(e) {
			line = append(line, key(k.name, value)...)
		}
	}
	t.buf = append(append(t.buf[:0], strings.Join(line, " ")...), '\n')
	_, err := t.w.Write(t.buf)
	return err
}

func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }

func key(name, value string) []string {
	if value == "" {
		return nil
	}
	return []string{name + ":" + keyEscaper.Replace(value)}
}

var keyEscaper, keyUnescaper = strings.NewReplacer("%", "%25", " ", "%20"), strings.NewReplacer("%25", "%", "%20", " ")

// todoKey is a key of our own or of a known extension. out gives its values; in takes one, and says whether it is of
// the form that the key has: else it is a word of the title like any other.
type todoKey struct {
	name string
	out  func(e *Entry) []string
	in   func(e *Entry, value string) bool
}

func one(s string) []string { return []string{s} }

var todoKeys = []todoKey{
	{"due", func(e *Entry) []string { return one(e.Date) }, func(e *Entry, v string) bool { e.Date = v; return isDay(v) }},
	{"time", func(e *Entry) []string { return one(e.Time) }, func(e *Entry, v string) bool {
		e.Time = v
		_, err := time.Parse("15:04", v)
		return err == nil
	}},
	{"tz", func(e *Entry) []string { return one(e.TZ) }, func(e *Entry, v string) bool { e.TZ = v; return true }},
	{"repeat", func(e *Entry) []string { return one(e.Repeat) }, func(e *Entry, v string) bool { e.Repeat = v; return strings.HasPrefix(v, "FREQ=") }},
	{"repeat_from", func(e *Entry) []string { return one(e.RepeatFrom) }, func(e *Entry, v string) bool { e.RepeatFrom = v; return v == "done" || v == "due" }},
	{"remind", func(e *Entry) []string { return e.Remind }, func(e *Entry, v string) bool { e.Remind = slices.Insert(e.Remind, 0, v); return true }},
	{"parent", func(e *Entry) []string { return one(e.Above) }, func(e *Entry, v string) bool { e.Above = v; return true }},
	{"uid", func(e *Entry) []string { return one(UID(&e.Entry)) }, func(e *Entry, v string) bool { e.UID = v; return true }},
	{"pri", func(*Entry) []string { return nil }, func(e *Entry, v string) bool { return len(v) == 1 && e.letter(v[0]) }},
	{"rec", func(*Entry) []string { return nil }, (*Entry).recurrence},
}

func isDay(s string) bool {
	_, err := time.Parse(time.DateOnly, s)
	return err == nil
}

// letter takes a priority from A to Z.
func (e *Entry) letter(c byte) bool {
	if c < 'A' || c > 'Z' {
		return false
	}
	if e.Priority = c - 'A' + 1; e.Priority > 9 {
		e.Priority = 9
		e.remark("the priority %c became I, the lowest", c)
	}
	return true
}

// recurrence takes the rec: of other programs: 2w is two weeks after it was done, +2w after it was due.
func (e *Entry) recurrence(v string) bool {
	count, fromDue := strings.CutPrefix(v, "+")
	if count == "" {
		return false
	}
	freq, known := map[byte]string{'d': "DAILY", 'w': "WEEKLY", 'm': "MONTHLY", 'y': "YEARLY"}[count[len(count)-1]]
	n, err := strconv.ParseUint(count[:len(count)-1], 10, 9)
	if !known || err != nil || n == 0 {
		return false
	}
	e.Repeat = "FREQ=" + freq
	if n > 1 {
		e.Repeat += fmt.Sprintf(";INTERVAL=%d", n)
	}
	if !fromDue {
		e.RepeatFrom = "done"
	}
	return true
}

// titleWords are the words of a title with those escaped that mean something; inline are the tags among them that
// need not follow.
func titleWords(e *Entry) (words, inline []string) {
	words = strings.Split(e.Title, " ")
	last := len(words) - 1 // behind the last word that is no tag, nothing is inline
	for last >= 0 && (isTag(words[last]) || words[last] == "" || isKey(words[last])) {
		last--
	}
	for i, w := range words {
		tag := isTag(w)
		if tag && i < last && slices.Contains(e.Tags, wordTag(w)) {
			inline = append(inline, wordTag(w))
			continue
		}
		first := i == 0 && (w == "x" || isDay(w) || isLetter(w))
		if tag || first || isKey(w) || unescapeWord(w) != w {
			words[i] = fmt.Sprintf("%%%02X%s", w[0], w[1:])
		}
	}
	return words, inline
}

// unescapeWord undoes the %XX at the beginning of a word. Others never stand there in an export.
func unescapeWord(w string) string {
	if len(w) < 3 || w[0] != '%' || strings.ToUpper(w[1:3]) != w[1:3] {
		return w
	}
	c, err := strconv.ParseUint(w[1:3], 16, 8)
	if err != nil || c <= ' ' || c >= 0x7f {
		return w
	}
	return string(rune(c)) + w[3:]
}

func isTag(w string) bool { return len(w) > 1 && (w[0] == '@' || w[0] == '+') }

func wordTag(w string) string {
	if w[0] == '@' {
		return w[1:]
	}
	return w
}

func tagWord(tag string) string {
	if len(tag) > 1 && tag[0] == '+' {
		return tag
	}
	return "@" + tag
}

func isLetter(w string) bool {
	return len(w) == 3 && w[0] == '(' && w[1] >= 'A' && w[1] <= 'Z' && w[2] == ')'
}

func isKey(w string) bool { return (&Entry{}).key(w) }

// key takes a word of the form key:value.
func (e *Entry) key(w string) bool {
	name, value, ok := strings.Cut(w, ":")
	i := slices.IndexFunc(todoKeys, func(k todoKey) bool { return k.name == name })
	return ok && i >= 0 && value != "" && todoKeys[i].in(e, keyUnescaper.Replace(value))
}

type todoDecoder struct{ r lineReader }

func newTodoDecoder(r *bufio.Reader, _ *time.Location) Decoder { return &todoDecoder{lineReader{r: r}} }

func (t *todoDecoder) Next() (*Entry, error) {
	for {
		raw, err := t.r.next()
		if err != nil {
			return nil, err
		}
		if line := strings.TrimRight(string(raw), " \t\r"); strings.TrimSpace(line) != "" {
			return todoEntry(line, t.r.line), nil
		}
	}
}

func todoEntry(line string, at int) *Entry {
	e := &Entry{Line: at, Lacks: todo.FieldNotes | todo.FieldX}
	words := strings.Split(line, " ")
	if words[0] == "x" && len(words) > 1 {
		e.Done = true
		words = words[1:]
		if isDay(words[0]) && len(words) > 1 {
			done, _ := time.Parse(time.DateOnly, words[0])
			e.Completed = &done
			words = words[1:]
		}
	}
	if isLetter(words[0]) && len(words) > 1 {
		e.letter(words[0][1])
		words = words[1:]
	}
	if isDay(words[0]) && len(words) > 1 && (!e.Done || e.Completed != nil) {
		e.Created, _ = time.Parse(time.DateOnly, words[0])
		words = words[1:]
	}
	words = e.tail(words)
	for i, w := range words {
		if isTag(w) {
			e.addTag(wordTag(w))
		}
		words[i] = unescapeWord(w)
	}
	e.Title = strings.Join(words, " ")
	e.sortTags()
	return e
}

// tail takes the tags and keys at the end of a line off, and returns the words before them. Something is left for a title.
func (e *Entry) tail(words []string) []string {
	seen := map[string]bool{}
	n := len(words)
	for ; n > 1; n-- {
		w := words[n-1]
		if isTag(w) {
			e.addTag(wordTag(w))
			continue
		}
		name, _, _ := strings.Cut(w, ":")
		if seen[name] && name != "remind" || !isKey(w) {
			break
		}
		seen[name] = true
		e.key(w)
	}
	return words[:n]
}
