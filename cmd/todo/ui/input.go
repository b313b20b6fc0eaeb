package ui

import (
	"slices"
	"unicode"

	tea "github.com/charmbracelet/bubbletea"

	"todod/cmd/internal/cli"
)

// maxInput is the most characters of a line that is typed: a title and what stands beside it.
const maxInput = 4096

// input is a line that is typed.
type input struct {
	text []rune
	at   int // where the next character goes
}

func (in *input) set(text string) {
	in.text = []rune(text)
	in.at = len(in.text)
}

// key does to the line what a key says.
func (in *input) key(k tea.KeyMsg) {
	switch k.Type {
	case tea.KeyRunes, tea.KeySpace:
		if len(in.text)+len(k.Runes) <= maxInput {
			for i, r := range k.Runes {
				if unicode.IsControl(r) { // lines that are pasted become one
					k.Runes[i] = ' '
				}
			}
			in.text = slices.Insert(in.text, in.at, k.Runes...)
			in.at += len(k.Runes)
		}
	case tea.KeyBackspace:
		if in.at > 0 {
			in.at--
			in.text = slices.Delete(in.text, in.at, in.at+1)
		}
	case tea.KeyDelete, tea.KeyCtrlD:
		if in.at < len(in.text) {
			in.text = slices.Delete(in.text, in.at, in.at+1)
		}
	case tea.KeyLeft:
		in.at = max(0, in.at-1)
	case tea.KeyRight:
		in.at = min(len(in.text), in.at+1)
	case tea.KeyHome, tea.KeyCtrlA:
		in.at = 0
	case tea.KeyEnd, tea.KeyCtrlE:
		in.at = len(in.text)
	case tea.KeyCtrlU:
		in.text, in.at = in.text[in.at:], 0
	case tea.KeyCtrlK:
		in.text = in.text[:in.at]
	}
}

// view is the end of the line up to the cursor, which is a character of its own, and what follows as far as there is room.
func (in *input) view(width int) string {
	before, behind := cli.Safe(string(in.text[:in.at])), cli.Safe(string(in.text[in.at:]))
	for cli.Width(before) > width-1 {
		_, before = cutFirst(before)
	}
	return before + "\x1b[7m \x1b[0m" + cli.Cut(behind, max(0, width-1-cli.Width(before)))
}

func cutFirst(s string) (first, rest string) {
	for i := range s {
		if i > 0 {
			return s[:i], s[i:]
		}
	}
	return s, ""
}
