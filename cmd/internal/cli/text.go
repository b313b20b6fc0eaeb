package cli

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/rivo/uniseg"
)

// Count is a number of things.
func Count[N int | uint64](n N, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprint(n, " ", many)
}

// Safe is a text as it may be sent to a terminal: what would move the cursor, colour, turn the
// direction of writing or be invisible is written out. Nodes refuse control characters in titles, but
// not every answer comes from a node.
func Safe(s string) string {
	return rewrite(s, func(r rune) string {
		q := strconv.QuoteRuneToASCII(r)
		return q[1 : len(q)-1]
	})
}

// rewrite writes out what a terminal must not get; what is no UTF-8 becomes U+FFFD.
func rewrite(s string, out func(r rune) string) string {
	if ascii(s) {
		return s
	}
	var b strings.Builder
	before, marks := ' ', 0 // the character before, as it was, and how many accents it has
	for i, r := range s {
		next := ' '
		if _, size := utf8.DecodeRuneInString(s[i:]); i+size < len(s) {
			next, _ = utf8.DecodeRuneInString(s[i+size:])
		}
		if marks++; !unicode.IsMark(r) {
			marks = 0
		}
		switch {
		case hidden(r), marks > maxMarks,
			joins(r) && !(visible(before) && visible(next)),
			selects(r) && (!visible(before) || selects(before)):
			b.WriteString(out(r))
		default:
			b.WriteRune(r)
		}
		before = r
	}
	return b.String()
}

// maxMarks is how many accents may be heaped on one letter: more than any language needs, fewer than it
// takes to write over the lines above.
const maxMarks = 8

// ascii reports whether s holds printable ASCII alone, as most texts do.
func ascii(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// SafeLines is Safe for a text of several lines.
func SafeLines(s string) string {
	lines := strings.Split(s, "\n")
	for i := range lines {
		lines[i] = Safe(lines[i])
	}
	return strings.Join(lines, "\n")
}

// harmful are control and format characters and the line separators, but for the two that
// emoji and some scripts are joined with.
func harmful(r rune) bool {
	return !joins(r) && unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp)
}

// joins are the joiner and the non-joiner, which belong to a text where they stand between two characters.
func joins(r rune) bool { return r == 0x200c || r == 0x200d }

// selects are the variation selectors, which choose how the character before them is drawn.
func selects(r rune) bool { return r >= 0xfe00 && r <= 0xfe0f || r >= 0xe0100 && r <= 0xe01ef }

// filler are letters and marks that nobody sees.
func filler(r rune) bool {
	switch r {
	case 0x034f, 0x115f, 0x1160, 0x17b4, 0x17b5, 0x2800, 0x3164, 0xffa0, 0x180b, 0x180c, 0x180d, 0x180f:
		return true
	}
	return false
}

func hidden(r rune) bool { return harmful(r) || filler(r) }

func visible(r rune) bool {
	return r != utf8.RuneError && !unicode.IsSpace(r) && !hidden(r) && !joins(r)
}

// Width is how many columns of a terminal a safe text takes.
func Width(s string) int {
	if ascii(s) {
		return len(s)
	}
	return uniseg.StringWidth(s)
}

// Cut is a safe text in at most width columns; where something is left out it ends with "…".
func Cut(s string, width int) string {
	if width <= 0 || Width(s) <= width {
		return s
	}
	var b strings.Builder
	used, state := 0, -1
	for rest := s; rest != ""; {
		var cluster string
		var w int
		cluster, rest, w, state = uniseg.FirstGraphemeClusterInString(rest, state)
		if used+w > width-1 {
			break
		}
		b.WriteString(cluster)
		used += w
	}
	return strings.TrimRight(b.String(), " ") + "…"
}

// Pad is a safe text with spaces up to width columns.
func Pad(s string, width int) string { return s + strings.Repeat(" ", max(0, width-Width(s))) }

// Reflow fills the paragraphs of a text up to width columns. Lines that are set in stay as they are, and part paragraphs as
// empty ones do.
func Reflow(text string, width int) string {
	var out []string
	open := false // the last line is of a paragraph that goes on
	for line := range strings.SplitSeq(text, "\n") {
		if line == "" || line[0] == ' ' {
			out, open = append(out, line), false
			continue
		}
		for word := range strings.FieldsSeq(line) {
			if last := len(out) - 1; open && Width(out[last])+1+Width(word) <= width {
				out[last] += " " + word
				continue
			}
			out, open = append(out, word), true
		}
	}
	return strings.Join(out, "\n")
}

// Table writes rows in columns. The cells are made safe.
func Table(w io.Writer, rows [][]string) error {
	var widths []int
	for _, row := range rows {
		for i, cell := range row {
			row[i] = Safe(cell)
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], Width(row[i]))
		}
	}
	var b strings.Builder
	for _, row := range rows {
		for i, cell := range row {
			if i < len(row)-1 {
				cell = Pad(cell, widths[i]+2)
			}
			b.WriteString(cell)
		}
		b.WriteByte('\n')
	}
	_, err := io.WriteString(w, b.String())
	return err
}
