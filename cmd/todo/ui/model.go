// Package ui is a terminal interface to to-do lists: lists on the left, entries on the right, live.
package ui

import (
	"context"
	"strings"
	"time"

	tea "github.com/charmbracelet/bubbletea"

	"todod/httpapi/api"
)

// Config is what the interface is made of.
type Config struct {
	// Dial makes the client. moved is to be called when a node could not answer, before another is asked.
	Dial  func(moved func(node string, err error)) (*api.Client, error)
	List  string           // that it begins with; "" for the first
	Now   func() time.Time // of the reader
	TZ    string           // the reader's zone by its IANA name, "" for UTC
	Color bool
}

// pane is which half of the screen the keys are for.
type pane int

const (
	listPane pane = iota
	entryPane
)

// asking is what the line at the bottom asks for.
type asking int

const (
	nothing asking = iota
	newEntry
	editTitle
	moveTo
	searchFor
	filterBy
)

var questions = map[asking]string{
	newEntry: "add: ", editTitle: "title: ", moveTo: "move to list: ", searchFor: "search: ", filterBy: "filter: ",
}

// model is the state of the screen. It is changed by Update alone, which bubbletea calls in one goroutine.
type model struct {
	Config
	ctx    context.Context
	client *api.Client

	width, height int
	pane          pane
	lists         []api.List
	list          int // of lists: the one that is shown
	entries       []api.Entry
	entry         int // of entries: the one that the keys are for
	more          bool
	search        string // entries are those found by these words; "" for those of the list
	filter        string // of the list

	asks    asking
	input   input
	help    bool
	says    string // the line at the bottom, until the next key
	bad     bool   // it is an error
	trouble string // why the screen may be old; "" where it is not
	live    bool   // changes of others are seen

	loads   int      // counts what was asked for: an answer to an older question is dropped
	done    []uint64 // revs of this program's own changes, to undo
	writing int      // changes that are not answered yet
	undos   int      // undos that wait for them: what they undo is not known before
}

// Run shows the interface until it is left.
func Run(ctx context.Context, cfg Config) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	m := newModel(ctx, cfg)
	p := tea.NewProgram(m, tea.WithContext(ctx), tea.WithAltScreen(), tea.WithMouseCellMotion())
	var err error
	if m.client, err = cfg.Dial(func(_ string, err error) { p.Send(lost{err}) }); err != nil {
		return err
	}
	defer m.client.Close()
	go m.follow(p.Send)
	_, err = p.Run()
	return err
}

func newModel(ctx context.Context, cfg Config) *model {
	return &model{Config: cfg, ctx: ctx, pane: entryPane, width: 80, height: 24}
}

// Init asks for what is shown first.
func (m *model) Init() tea.Cmd { return m.load() }

// name is the list that is shown, "" if there is none.
func (m *model) name() string {
	if m.list < len(m.lists) {
		return m.lists[m.list].Name
	}
	return ""
}

// at is the entry that the keys are for, nil if there is none.
func (m *model) at() *api.Entry {
	if m.entry < len(m.entries) {
		return &m.entries[m.entry]
	}
	return nil
}

// Update takes what happened.
func (m *model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.width, m.height = msg.Width, msg.Height
	case tea.KeyMsg:
		return m, m.typed(msg)
	case tea.MouseMsg:
		return m, m.mouse(msg)
	case loaded:
		return m, m.take(msg)
	case lost:
		if m.trouble == "" { // what is asked for now is answered once a node answers
			m.trouble = msg.err.Error()
			return m, m.load()
		}
	case again:
		if msg.number == m.loads {
			return m, m.load()
		}
	case changed:
		m.live = msg.live
		return m, m.load()
	case wrote:
		return m, m.wrote(msg)
	}
	return m, nil
}

// wrote takes what came of a change.
func (m *model) wrote(w wrote) tea.Cmd {
	m.writing--
	m.says, m.bad = w.says, w.err != nil
	switch {
	case w.err != nil:
		m.says = w.err.Error()
	case w.added != nil:
		m.says = strings.TrimSpace(w.says + "  " + m.details(w.added, m.width))
		m.done = append(m.done, w.rev)
	case w.undid:
		m.done = m.done[:len(m.done)-1]
	case w.rev != 0:
		m.done = append(m.done, w.rev)
	}
	if m.writing == 0 && m.undos > 0 {
		m.undos--
		return m.undo()
	}
	return m.load()
}

// take shows what was read, and keeps the list and the entry that were chosen where they are still there.
func (m *model) take(l loaded) tea.Cmd {
	if l.number != m.loads {
		return nil
	}
	if m.trouble = ""; l.err != nil {
		m.trouble = l.err.Error()
		if e := api.AsError(l.err); e != nil && !e.Retryable() {
			return nil
		}
		return tea.Tick(pause, func(time.Time) tea.Msg { return again{l.number} })
	}
	list, id := l.list, uint64(0)
	if e := m.at(); e != nil && e.List == list {
		id = e.ID
	}
	m.lists, m.entries, m.more = l.lists, l.entries, l.more
	m.list = 0
	for i := range m.lists {
		if m.lists[i].Name == list {
			m.list = i
		}
	}
	for i := range m.entries {
		if m.entries[i].ID == id && m.entries[i].List == list {
			m.entry = i
		}
	}
	m.entry = max(0, min(m.entry, len(m.entries)-1))
	return nil
}
