package ui

import (
	"strings"

	tea "github.com/charmbracelet/bubbletea"
)

// keys has what each key does, for the help too.
var keys = []struct{ key, does string }{
	{"tab ← →", "lists, entries"}, {"↑ ↓ j k", "choose"}, {"a", "add: \"Dentist tomorrow 9am #health p1\""}, {"e", "edit the title"},
	{"space", "done, or not"}, {"x", "to the trash"}, {"u", "undo your last change"}, {"m", "move to another list"}, {"J K", "down, up in the order"},
	{"/", "search all lists"}, {"f", "filter: due<today+7 & !done"}, {"esc", "leave search and filter"}, {"?", "this help"}, {"q", "leave"},
}

// typed takes keys that came together, as they do from a slow terminal, one by one. What is pasted is text, never keys.
func (m *model) typed(k tea.KeyMsg) tea.Cmd {
	if k.Type != tea.KeyRunes || len(k.Runes) == 1 || k.Paste {
		return m.key(k)
	}
	var cmds []tea.Cmd
	for _, r := range k.Runes {
		cmds = append(cmds, m.key(tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune{r}, Alt: k.Alt}))
	}
	return tea.Batch(cmds...)
}

func (m *model) key(k tea.KeyMsg) tea.Cmd {
	if k.Type == tea.KeyCtrlC {
		return tea.Quit
	}
	if m.asks != nothing {
		return m.answer(k)
	}
	m.says, m.bad = "", false
	if m.help {
		m.help = false
		return nil
	}
	switch k.String() {
	case "q":
		return tea.Quit
	case "?":
		m.help = true
	case "tab":
		m.pane = entryPane - m.pane
	case "left", "h":
		m.pane = listPane
	case "right", "l", "enter":
		m.pane = entryPane
	case "up", "k":
		return m.choose(-1)
	case "down", "j":
		return m.choose(1)
	case "pgup":
		return m.choose(-m.rows())
	case "pgdown":
		return m.choose(m.rows())
	case "home", "g":
		return m.choose(-len(m.entries) - len(m.lists))
	case "end", "G":
		return m.choose(len(m.entries) + len(m.lists))
	case "esc":
		m.search, m.filter = "", ""
		return m.load()
	default:
		return m.act(k.String())
	}
	return nil
}

// act is a key that asks for something or changes something.
func (m *model) act(key string) tea.Cmd {
	switch key {
	case "a":
		m.ask(newEntry, "")
	case "/":
		m.ask(searchFor, m.search)
	case "f":
		m.ask(filterBy, m.filter)
	case "u":
		return m.undo()
	}
	e := m.at()
	if e == nil {
		return nil
	}
	switch key {
	case "e":
		m.ask(editTitle, e.Title)
	case "m":
		m.ask(moveTo, "")
	case " ", "d":
		return m.setDone(*e, !e.Done)
	case "x", "delete":
		return m.remove(*e)
	case "J":
		return m.shift(1)
	case "K":
		return m.shift(-1)
	}
	return nil
}

// choose moves up or down in the pane.
func (m *model) choose(by int) tea.Cmd {
	if m.pane == entryPane {
		m.entry = max(0, min(m.entry+by, len(m.entries)-1))
		return nil
	}
	to := max(0, min(m.list+by, len(m.lists)-1))
	if to == m.list && m.search == "" {
		return nil
	}
	m.list, m.entry, m.search = to, 0, ""
	return m.load()
}

func (m *model) ask(what asking, text string) {
	m.asks = what
	m.input.set(text)
}

// answer is a key while the line at the bottom asks for something.
func (m *model) answer(k tea.KeyMsg) tea.Cmd {
	switch k.Type {
	case tea.KeyEsc:
		m.asks = nothing
		return nil
	case tea.KeyEnter:
		what, text := m.asks, strings.TrimSpace(string(m.input.text))
		m.asks = nothing
		return m.answered(what, text)
	}
	m.input.key(k)
	return nil
}

func (m *model) answered(what asking, text string) tea.Cmd {
	switch what {
	case searchFor:
		m.search, m.entry, m.pane = text, 0, entryPane
		return m.load()
	case filterBy:
		m.filter, m.entry, m.search = text, 0, ""
		return m.load()
	}
	if text == "" {
		return nil
	}
	if what == newEntry {
		return m.add(text)
	}
	e := m.at()
	switch {
	case e == nil:
		return nil
	case what == editTitle:
		return m.retitle(*e, text)
	}
	return m.move(*e, text)
}

// mouse chooses what is clicked at, and turns the wheel.
func (m *model) mouse(e tea.MouseMsg) tea.Cmd {
	if m.asks != nothing || m.help {
		return nil
	}
	in := entryPane
	if e.X < m.listWidth() {
		in = listPane
	}
	switch {
	case e.Button == tea.MouseButtonWheelUp:
		m.pane = in
		return m.choose(-1)
	case e.Button == tea.MouseButtonWheelDown:
		m.pane = in
		return m.choose(1)
	case e.Button != tea.MouseButtonLeft || e.Action != tea.MouseActionPress:
		return nil
	}
	m.pane = in
	row := e.Y - headRows
	if row < 0 || row >= m.rows() {
		return nil
	}
	if in == listPane {
		return m.choose(m.firstRow(m.list, len(m.lists)) + row - m.list)
	}
	return m.choose(m.firstRow(m.entry, len(m.entries)) + row - m.entry)
}
