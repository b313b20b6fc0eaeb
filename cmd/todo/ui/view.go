package ui

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"todod/cmd/internal/cli"
	"todod/cmd/todo/show"
	"todod/fsm/todo/fold"
	"todod/httpapi/api"
)

const (
	headRows = 2 // the title and a line
	footRows = 2 // a line, and what is asked or said
)

// The colours are of the sixteen that every terminal has and its owner chose for light or dark.
const (
	bold    = "1"
	faint   = "2"
	reverse = "7"
	red     = "31"
	green   = "32"
	cyan    = "36"
)

func (m *model) paint(sgr, text string) string {
	if !m.Color || sgr == "" {
		if sgr == reverse && !m.Color {
			return "\x1b[7m" + text + "\x1b[0m" // where one is must be seen without colours too
		}
		return text
	}
	return "\x1b[" + sgr + "m" + text + "\x1b[0m"
}

func (m *model) rows() int { return max(1, m.height-headRows-footRows) }

func (m *model) listWidth() int { return max(10, min(28, m.width/4)) }

// firstRow is the first of n things that is shown so that the one at a place is.
func (m *model) firstRow(at, n int) int {
	return max(0, min(at-m.rows()/2, n-m.rows()))
}

// View draws the screen.
func (m *model) View() string {
	if m.help {
		return m.helpPage()
	}
	left := m.listWidth()
	right := max(10, m.width-left-3)
	var b strings.Builder
	b.WriteString(m.paint(bold, cli.Pad("Lists", left)) + " │ " + m.paint(bold, cli.Cut(m.heading(), right)) + "\n")
	b.WriteString(strings.Repeat("─", left) + "─┼─" + strings.Repeat("─", right) + "\n")
	fromList, fromEntry := m.firstRow(m.list, len(m.lists)), m.firstRow(m.entry, len(m.entries))
	for row := range m.rows() {
		b.WriteString(m.listRow(fromList+row, left) + " │ " + m.entryRow(fromEntry+row, right) + "\n")
	}
	b.WriteString(strings.Repeat("─", left) + "─┴─" + strings.Repeat("─", right) + "\n")
	b.WriteString(m.foot())
	return b.String()
}

func (m *model) heading() string {
	switch {
	case m.search != "":
		return "Search: " + cli.Safe(m.search)
	case m.filter != "":
		return cli.Safe(m.name()) + " · filter: " + cli.Safe(m.filter)
	}
	return cli.Safe(m.name())
}

func (m *model) listRow(i, width int) string {
	if i >= len(m.lists) {
		return strings.Repeat(" ", width)
	}
	l := &m.lists[i]
	name := l.Name
	if l.Title != "" {
		name = l.Title
	}
	open := strconv.FormatUint(l.Open, 10)
	text := cli.Pad(cli.Cut(cli.Safe(name), width-len(open)-1), width-len(open)) + open
	switch {
	case i == m.list && m.pane == listPane:
		return m.paint(reverse, text)
	case i == m.list:
		return m.paint(bold, text)
	}
	return text
}

func (m *model) entryRow(i, width int) string {
	if i >= len(m.entries) {
		if i == 0 && len(m.entries) == 0 {
			return m.paint(faint, cli.Cut("nothing here: a adds an entry, ? helps", width))
		}
		return ""
	}
	e := &m.entries[i]
	mark := "☐ "
	if e.Done {
		mark = "☑ "
	}
	text := mark + cli.Safe(e.Title)
	if e.Parent != 0 {
		text = "  " + text
	}
	after := m.details(e, width/2)
	room := width - cli.Width(after) - 1
	if after == "" {
		room = width
	}
	text = cli.Pad(cli.Cut(text, room), room)
	if i == m.entry && m.pane == entryPane {
		return m.paint(reverse, cli.Pad(text+" "+after, width))
	}
	look := show.Options{Paint: m.paint, Words: fold.Words(m.search)}
	return look.Mark(m.tone(e), text) + " " + m.paint(cyan, after)
}

// details is what stands behind the title, in so many columns: tags go first where they are too few.
func (m *model) details(e *api.Entry, width int) string {
	var before, behind []string
	if m.search != "" {
		before = append(before, cli.Safe(e.List))
	}
	if e.Priority != 0 {
		before = append(before, fmt.Sprint("p", e.Priority))
	}
	if e.Repeat != "" {
		behind = append(behind, "↻")
	}
	if due, _ := m.due(e); due != "" {
		behind = append(behind, due)
	}
	var text string
	for n := len(e.Tags); n >= 0; n-- {
		parts := slices.Clone(before)
		for _, tag := range e.Tags[:n] {
			parts = append(parts, "#"+cli.Safe(tag))
		}
		if text = strings.Join(append(parts, behind...), " "); cli.Width(text) <= width {
			return text
		}
	}
	return cli.Cut(text, width)
}

// due is when an entry is due as the reader says it, and the colour that says whether that is soon.
func (m *model) due(e *api.Entry) (text, sgr string) {
	return show.Options{Now: m.Now()}.Due(e)
}

// tone says by a colour what is late, due today or done.
func (m *model) tone(e *api.Entry) string {
	if e.Done {
		return faint
	}
	_, sgr := m.due(e)
	return sgr
}

func (m *model) foot() string {
	switch {
	case m.asks != nothing:
		return questions[m.asks] + m.input.view(max(10, m.width-len(questions[m.asks])))
	case m.bad:
		return m.paint(red, cli.Cut(cli.Safe(m.says), m.width))
	case m.trouble != "":
		return m.paint(red, cli.Cut(cli.Safe(m.trouble), m.width))
	case m.says != "":
		return m.paint(green, cli.Cut(cli.Safe(m.says), m.width))
	}
	state := "live"
	if !m.live {
		state = "not live: no node tells of changes"
	}
	if m.more {
		state += fmt.Sprintf(" · the first %d", len(m.entries))
	}
	return m.paint(faint, cli.Cut("? help · "+state, m.width))
}

func (m *model) helpPage() string {
	lines := []string{"todo ui", ""}
	for _, k := range keys {
		lines = append(lines, "  "+cli.Pad(k.key, 10)+k.does)
	}
	lines = append(lines, "", "The mouse chooses, its wheel scrolls. Any key goes back.")
	if len(lines) > m.height { // the keys alone
		lines = lines[2 : len(lines)-2]
	}
	lines = lines[:min(len(lines), m.height)]
	for i := range lines {
		lines[i] = cli.Cut(lines[i], m.width)
	}
	if lines[0] == "todo ui" {
		lines[0] = m.paint(bold, lines[0])
	}
	return strings.Join(lines, "\n")
}
