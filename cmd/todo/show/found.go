package show

import (
	"io"
	"strings"
	"unicode/utf8"

	"todod/cmd/internal/cli"
	"todod/fsm/todo/fold"
	"todod/httpapi/api"
)

// Found writes what was found in the order that it was found in, with the words it was found by marked. Where one stands
// in the notes alone, the line of the notes that has it follows.
func Found(w io.Writer, entries []api.Entry, opt Options) error {
	p := printer{opt: opt}
	for i := range entries {
		p.add(opt.item(&entries[i]), 0, false)
		if line := opt.noteOf(&entries[i]); line != "" {
			p.rows[i].note = line
			p.lines = append(p.lines, "")
		}
	}
	return p.flush(w)
}

// noteOf is the line of the notes that has the first of the words that are neither in the title nor in a tag, from a little
// before it on.
func (o Options) noteOf(e *api.Entry) string {
	for _, word := range o.Words {
		is := []string{word}
		seen := len(fold.Marks(e.Title, is)) > 0
		for _, tag := range e.Tags {
			seen = seen || len(fold.Marks(tag, is)) > 0
		}
		if seen {
			continue
		}
		for line := range strings.Lines(e.Notes) {
			if marks := fold.Marks(line, is); len(marks) > 0 {
				return cli.Safe(strings.TrimSpace(from(line, marks[0][0])))
			}
		}
	}
	return ""
}

// before is how much of a line is shown before the word that it is shown for.
const before = 24

// from is a line from some words before a place on.
func from(line string, at int) string {
	if utf8.RuneCountInString(line[:at]) <= before {
		return line
	}
	begin := at
	for range before {
		_, size := utf8.DecodeLastRuneInString(line[:begin])
		begin -= size
	}
	if space := strings.IndexByte(line[begin:at], ' '); space >= 0 {
		begin += space + 1
	}
	return "…" + line[begin:]
}

// Mark paints a text, and the words in it that were looked for so that they are seen.
func (o Options) Mark(sgr, text string) string {
	if len(o.Words) == 0 {
		return o.paint(sgr, text)
	}
	marked := strings.TrimPrefix(sgr+";"+sought, ";")
	if sgr == faint { // no terminal makes it both faint and bold
		marked = sought
	}
	var b strings.Builder
	at := 0
	for _, m := range fold.Marks(text, o.Words) {
		b.WriteString(o.paint(sgr, text[at:m[0]]))
		b.WriteString(o.paint(marked, text[m[0]:m[1]]))
		at = m[1]
	}
	return b.String() + o.paint(sgr, text[at:])
}
