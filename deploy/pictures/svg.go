package main

import (
	"encoding/xml"
	"fmt"
	"iter"
	"slices"
	"strings"
)

// theme is the sixteen colours of a terminal, and its own.
type theme struct {
	name    string
	ground  string
	text    string
	border  string
	colours [16]string
}

var themes = []theme{
	{"light", "#ffffff", "#1f2328", "#d1d9e0", [16]string{
		"#24292f", "#cf222e", "#116329", "#9a6700", "#0969da", "#8250df", "#1b7c83", "#6e7781",
		"#57606a", "#a40e26", "#1a7f37", "#633c01", "#218bff", "#a475f9", "#3192aa", "#8c959f"}},
	{"dark", "#0d1117", "#e6edf3", "#3d444d", [16]string{
		"#484f58", "#ff7b72", "#3fb950", "#d29922", "#58a6ff", "#bc8cff", "#39c5cf", "#b1bac4",
		"#6e7681", "#ffa198", "#56d364", "#e3b341", "#79c0ff", "#d2a8ff", "#56d4dd", "#ffffff"}},
}

// The grid, in tenths of a pixel so that all numbers are whole: columns that are 0.6 of the height of the characters,
// as in nearly all fonts of one width.
const (
	letter  = 140
	colWide = 84
	rowHigh = 190
	edge    = 140
	base    = 140 // of the characters below the top of their row
)

// tenths is a number of tenths as SVG has it.
func tenths(n int) string {
	if n%10 == 0 {
		return fmt.Sprint(n / 10)
	}
	return fmt.Sprintf("%d.%d", n/10, n%10)
}

// picture is a screen of so many columns as an SVG.
func picture(screen, title string, cols int, th theme) string {
	rows := read(screen)
	wide, high := cols*colWide+2*edge, len(rows)*rowHigh+2*edge
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %s %s" width="%[1]s" height="%[2]s" role="img">`+"\n", tenths(wide), tenths(high))
	fmt.Fprintf(&b, "<title>%s</title>\n<style>\n", escape(title))
	fmt.Fprintf(&b, "text{font:%spx ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace;fill:%s;white-space:pre}\n", tenths(letter), th.text)
	b.WriteString(".b{font-weight:bold}.f{opacity:.6}.i{font-style:italic}.u{text-decoration:underline}\n")
	fmt.Fprintf(&b, "text.g{fill:%s}rect.t{fill:%s}path{stroke:%s;fill:none}\n", th.ground, th.text, th.border)
	for n, colour := range th.colours {
		fmt.Fprintf(&b, ".c%d{fill:%s}", n, colour)
	}
	fmt.Fprintf(&b, "\n</style>\n"+`<rect x=".5" y=".5" width="%s" height="%s" rx="8" fill="%s" stroke="%s"/>`+"\n", tenths(wide-10), tenths(high-10), th.ground, th.border)
	b.WriteString(draw(rows))
	return b.String() + "</svg>\n"
}

// draw is the screen itself.
func draw(rows [][]cell) string {
	var b strings.Builder
	var lines frame
	for y, row := range rows {
		for alike := range runs(row, func(a, b cell) bool { return a.style == b.style }) {
			behind(&b, alike, y)
			for text := range runs(alike, joins) {
				write(&b, text, y)
				lines.add(text[0], y)
			}
		}
	}
	return b.String() + lines.path()
}

// runs are the longest parts of a row in which each cell goes with the one before it.
func runs(row []cell, goes func(a, b cell) bool) iter.Seq[[]cell] {
	return func(yield func([]cell) bool) {
		for len(row) > 0 {
			n := 1
			for n < len(row) && goes(row[n-1], row[n]) {
				n++
			}
			if !yield(row[:n]) {
				return
			}
			row = row[n:]
		}
	}
}

// joins reports whether two characters may stand in one text: where a font has another width for one, what follows it would
// not be in its column.
func joins(a, b cell) bool { return ascii(a.text) && ascii(b.text) }

func ascii(s string) bool { return len(s) == 1 }

// paint is the classes of what is behind a character, "" for nothing, and of itself.
func (s style) paint() (ground, ink string) {
	if s.bg != plain {
		ground = fmt.Sprint("c", s.bg)
	}
	if s.fg != plain {
		ink = fmt.Sprint("c", s.fg)
	}
	if s.turned {
		ground, ink = ink, ground
		if ground == "" {
			ground = "t"
		}
		if ink == "" {
			ink = "g"
		}
	}
	return ground, ink
}

// across is where cells begin, and how wide they are.
func across(cells []cell) (left, wide int) {
	first, last := cells[0], cells[len(cells)-1]
	return edge + first.col*colWide, (last.col + last.width - first.col) * colWide
}

// behind draws what is behind characters that look alike.
func behind(b *strings.Builder, cells []cell, y int) {
	if ground, _ := cells[0].paint(); ground != "" {
		left, wide := across(cells)
		fmt.Fprintf(b, `<rect x="%s" y="%s" width="%s" height="%s" class="%s"/>`+"\n", tenths(left), tenths(edge+y*rowHigh), tenths(wide), tenths(rowHigh), ground)
	}
}

// write draws characters that look alike.
func write(b *strings.Builder, cells []cell, y int) {
	s := cells[0].style
	if !s.line { // of spaces nothing is seen
		blank := func(c cell) bool { return c.text == " " }
		for len(cells) > 0 && blank(cells[0]) {
			cells = cells[1:]
		}
		for len(cells) > 0 && blank(cells[len(cells)-1]) {
			cells = cells[:len(cells)-1]
		}
	}
	if len(cells) == 0 || box(cells[0].text) != 0 {
		return
	}
	var text string
	for _, c := range cells {
		text += c.text
	}
	left, wide := across(cells)
	_, ink := s.paint()
	classes := []string{ink}
	for name, is := range map[string]bool{"b": s.bold, "f": s.faint, "i": s.italic, "u": s.line} {
		if is {
			classes = append(classes, name)
		}
	}
	slices.Sort(classes)
	fmt.Fprintf(b, `<text x="%s" y="%s"`, tenths(left), tenths(edge+y*rowHigh+base))
	if class := strings.TrimSpace(strings.Join(classes, " ")); class != "" {
		fmt.Fprintf(b, ` class="%s"`, class)
	}
	if len(cells) > 1 {
		fmt.Fprintf(b, ` textLength="%s"`, tenths(wide))
	}
	fmt.Fprintf(b, ">%s</text>\n", escape(text))
}

func escape(text string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(text)) // a builder takes all
	return b.String()
}

// The sides of a cell to which a line of a frame goes.
const (
	toLeft = 1 << iota
	toRight
	toTop
	toBottom
)

// box is where the lines of a character of a frame go, 0 if it is none. They are drawn as lines: characters of two rows
// do not meet where the rows are higher than the font.
func box(text string) int {
	return map[string]int{
		"─": toLeft | toRight, "│": toTop | toBottom, "┼": toLeft | toRight | toTop | toBottom,
		"┴": toLeft | toRight | toTop, "┬": toLeft | toRight | toBottom, "├": toTop | toBottom | toRight, "┤": toTop | toBottom | toLeft,
		"┌": toRight | toBottom, "┐": toLeft | toBottom, "└": toRight | toTop, "┘": toLeft | toTop,
	}[text]
}

// piece is a line from one place to another, across or down at a place.
type piece struct{ at, from, to int }

// frame is the lines of a screen.
type frame struct{ across, down []piece }

func (f *frame) add(c cell, y int) {
	sides := box(c.text)
	left, top := edge+c.col*colWide, edge+y*rowHigh
	x, mid := left+colWide/2, top+rowHigh/2
	for _, line := range []struct {
		side int
		to   *[]piece
		piece
	}{
		{toLeft, &f.across, piece{mid, left, x}}, {toRight, &f.across, piece{mid, x, left + colWide}},
		{toTop, &f.down, piece{x, top, mid}}, {toBottom, &f.down, piece{x, mid, top + rowHigh}},
	} {
		if sides&line.side != 0 {
			*line.to = append(*line.to, line.piece)
		}
	}
}

// path draws the lines, those that go on in each other as one.
func (f *frame) path() string {
	var b strings.Builder
	for _, p := range joined(f.across) {
		fmt.Fprintf(&b, "M%s %sH%s", tenths(p.from), tenths(p.at), tenths(p.to))
	}
	for _, p := range joined(f.down) {
		fmt.Fprintf(&b, "M%s %sV%s", tenths(p.at), tenths(p.from), tenths(p.to))
	}
	if b.Len() == 0 {
		return ""
	}
	return fmt.Sprintf("<path d=%q/>\n", b.String())
}

func joined(pieces []piece) (out []piece) {
	slices.SortFunc(pieces, func(a, b piece) int {
		if a.at != b.at {
			return a.at - b.at
		}
		return a.from - b.from
	})
	for _, p := range pieces {
		if last := len(out) - 1; last >= 0 && out[last].at == p.at && out[last].to == p.from {
			out[last].to = p.to
			continue
		}
		out = append(out, p)
	}
	return out
}
