package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/mattn/go-isatty"
)

// Safe is a text as it may be sent to a terminal: what would move the cursor, colour, or turn
// the direction of writing becomes visible. Nodes refuse control characters in titles, but not
// every answer comes from a node.
func Safe(s string) string {
	if utf8.ValidString(s) && !strings.ContainsFunc(s, harmful) {
		return s
	}
	var b strings.Builder
	for i, r := range s {
		switch _, size := utf8.DecodeRuneInString(s[i:]); {
		case r == utf8.RuneError && size == 1:
			b.WriteRune(r)
		case harmful(r):
			q := strconv.QuoteRuneToASCII(r)
			b.WriteString(q[1 : len(q)-1])
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
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
	const nonJoiner, joiner = 0x200c, 0x200d
	return r != nonJoiner && r != joiner && unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp)
}

// PrintJSON writes v on one line; harmful characters stay escaped, which is the same JSON.
func PrintJSON(w io.Writer, v any) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return err
	}
	line := strings.TrimSuffix(b.String(), "\n")
	if strings.ContainsFunc(line, harmful) {
		var safe strings.Builder
		for _, r := range line {
			switch {
			case !harmful(r):
				safe.WriteRune(r)
			case r > 0xffff:
				hi, lo := utf16.EncodeRune(r)
				fmt.Fprintf(&safe, `\u%04x\u%04x`, hi, lo)
			default:
				fmt.Fprintf(&safe, `\u%04x`, r)
			}
		}
		line = safe.String()
	}
	_, err := io.WriteString(w, line+"\n")
	return err
}

// Table writes rows in columns. The cells are made safe.
func Table(w io.Writer, rows [][]string) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		for i, cell := range row {
			row[i] = Safe(cell)
		}
		fmt.Fprintln(t, strings.Join(row, "\t"))
	}
	return t.Flush()
}

// Terminal reports whether f, a reader or a writer, is one.
func Terminal(f any) bool {
	file, ok := f.(*os.File)
	return ok && isatty.IsTerminal(file.Fd())
}

// Paint returns a function that colours text for w with an SGR code such as "1;31". It leaves the
// text alone where w is no terminal or the person wants no colour (https://no-color.org).
func Paint(w io.Writer, env func(string) string) func(sgr, text string) string {
	if !Terminal(w) || env("NO_COLOR") != "" || env("TERM") == "dumb" {
		return func(_, text string) string { return text }
	}
	return func(sgr, text string) string { return "\x1b[" + sgr + "m" + text + "\x1b[0m" }
}
