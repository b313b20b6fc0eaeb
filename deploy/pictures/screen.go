package main

import (
	"slices"
	"strconv"
	"strings"

	"github.com/rivo/uniseg"
)

// style is how a character looks. Colours are 0 to 15, or plain.
type style struct {
	fg, bg                            int
	bold, faint, italic, line, turned bool
}

// plain is the colour of the terminal itself.
const plain = -1

var bare = style{fg: plain, bg: plain}

// cell is a character of the screen and where it stands.
type cell struct {
	style
	text       string
	col, width int
}

// read takes a screen apart, as tmux prints one with its colours: text, and SGR sequences whose effect goes on over the
// ends of lines. Other sequences are left out, and so are the rows at the end in which nothing is.
func read(screen string) (rows [][]cell) {
	now := bare
	for line := range strings.SplitSeq(screen, "\n") {
		var row []cell
		col, state := 0, -1
		for line != "" {
			if params, rest, ok := sequence(line); ok {
				if line, state = rest, -1; params != nil {
					now = now.with(params)
				}
				continue
			}
			var text string
			var width int
			text, line, width, state = uniseg.FirstGraphemeClusterInString(line, state)
			if text < " " || width == 0 {
				continue
			}
			row = append(row, cell{now, text, col, width})
			col += width
		}
		rows = append(rows, row)
	}
	seen := func(c cell) bool { return c != cell{bare, " ", c.col, 1} }
	for n := len(rows); n > 0 && !slices.ContainsFunc(rows[n-1], seen); n-- {
		rows = rows[:n-1]
	}
	return rows
}

// sequence cuts an escape sequence off a line. Of an SGR it returns the parameters, which are at least one.
func sequence(line string) (params []int, rest string, ok bool) {
	line, ok = strings.CutPrefix(line, "\x1b[")
	if !ok {
		return nil, "", false
	}
	end := strings.IndexFunc(line, func(r rune) bool { return r >= '@' && r <= '~' })
	if end < 0 {
		return nil, "", true
	}
	if line[end] == 'm' {
		for text := range strings.SplitSeq(line[:end], ";") {
			n, _ := strconv.Atoi(text) // what is left out is 0
			params = append(params, n)
		}
	}
	return params, line[end+1:], true
}

// with is a style after an SGR sequence: ECMA-48, section 8.3.117, and the bright colours that all terminals have.
func (s style) with(params []int) style {
	for i := 0; i < len(params); i++ {
		switch n := params[i]; {
		case n == 0:
			s = bare
		case n == 1:
			s.bold = true
		case n == 2:
			s.faint = true
		case n == 3:
			s.italic = true
		case n == 4:
			s.line = true
		case n == 7:
			s.turned = true
		case n == 22:
			s.bold, s.faint = false, false
		case n == 23:
			s.italic = false
		case n == 24:
			s.line = false
		case n == 27:
			s.turned = false
		case 30 <= n && n <= 37:
			s.fg = n - 30
		case 90 <= n && n <= 97:
			s.fg = n - 90 + 8
		case n == 39:
			s.fg = plain
		case 40 <= n && n <= 47:
			s.bg = n - 40
		case 100 <= n && n <= 107:
			s.bg = n - 100 + 8
		case n == 49:
			s.bg = plain
		case n == 38 || n == 48: // a colour beyond the sixteen, which nothing of ours uses: 5;N or 2;R;G;B
			if i+1 < len(params) && params[i+1] == 2 {
				i += 2
			}
			i += 2
		}
	}
	return s
}
