package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf16"

	"github.com/mattn/go-isatty"
	"golang.org/x/term"
)

// PrintJSON writes v on one line; what is harmful or not seen stays escaped, which is the same JSON.
func PrintJSON(w io.Writer, v any) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return err
	}
	line := rewrite(strings.TrimSuffix(b.String(), "\n"), func(r rune) string {
		if r > 0xffff {
			hi, lo := utf16.EncodeRune(r)
			return fmt.Sprintf(`\u%04x\u%04x`, hi, lo)
		}
		return fmt.Sprintf(`\u%04x`, r)
	})
	_, err := io.WriteString(w, line+"\n")
	return err
}

// Terminal reports whether f, a reader or a writer, is one.
func Terminal(f any) bool {
	file, ok := f.(*os.File)
	return ok && isatty.IsTerminal(file.Fd())
}

// Size is how many columns and lines a terminal has.
func Size(w io.Writer) (width, height int, ok bool) {
	if !Terminal(w) {
		return 0, 0, false
	}
	width, height, err := term.GetSize(int(w.(*os.File).Fd()))
	return width, height, err == nil && width > 0
}

// Paint returns a function that colours text for w with an SGR code such as "1;31". It leaves the
// text alone where w is no terminal or the person wants no colour (https://no-color.org).
func Paint(w io.Writer, env func(string) string) func(sgr, text string) string {
	if !Terminal(w) || env("NO_COLOR") != "" || env("TERM") == "dumb" {
		return func(_, text string) string { return text }
	}
	return func(sgr, text string) string { return "\x1b[" + sgr + "m" + text + "\x1b[0m" }
}
