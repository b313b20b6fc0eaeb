package ui

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	tea "github.com/charmbracelet/bubbletea"

	"todod/cmd/todo/quick"
	"todod/httpapi/api"
)

const (
	// patience is how long one question to the group may take.
	patience = 10 * time.Second
	// page is how many entries are shown at most: who wants to see more filters or searches.
	page = 1000
	// gather is how long changes are gathered before the screen is read anew.
	gather = 100 * time.Millisecond
)

// loaded is what was read for the screen.
type loaded struct {
	number  int
	lists   []api.List
	list    string // whose entries they are
	entries []api.Entry
	more    bool
	stays   bool // what the line at the bottom says stays
	err     error
}

// changed says that somebody changed something; live, that changes are seen as they come.
type changed struct{ live bool }

// wrote is what came of a change.
type wrote struct {
	says  string
	rev   uint64 // that can be undone; 0 for none
	undid bool
	err   error
}

// load reads what the screen shows.
func (m *model) load() tea.Cmd {
	m.loads++
	number, list, search, filter := m.loads, m.name(), m.search, m.filter
	if list == "" {
		list = m.List
	}
	return func() tea.Msg {
		ctx, cancel := context.WithTimeout(m.ctx, patience)
		defer cancel()
		l := loaded{number: number, list: list}
		for one, err := range m.Client.AllLists(ctx, "", api.ReadOptions{Consistency: "auto"}) {
			if err != nil {
				l.err = err
				return l
			}
			if !one.Archived || one.Name == list {
				l.lists = append(l.lists, one)
			}
		}
		if search != "" {
			found, _, err := m.Client.Search(ctx, api.SearchQuery{Text: search, Limit: page}, api.ReadOptions{Consistency: "auto"})
			l.entries, l.more, l.err = found.Entries, found.More, err
			return l
		}
		l.list, l.err = shown(l.lists, list), nil
		if l.list == "" {
			return l
		}
		q := api.EntriesQuery{Filter: filter, TZ: m.TZ, Limit: page, Sort: []string{"order"}}
		for _, one := range l.lists {
			if one.Name == l.list && one.Sort != "" {
				q.Sort = strings.Split(one.Sort, ",")
			}
		}
		found, _, err := m.Client.Entries(ctx, l.list, q, api.ReadOptions{Consistency: "auto"})
		l.entries, l.more, l.err = found.Entries, found.Next != "", err
		return l
	}
}

// shown is the list that is shown where one was asked for: itself, or the first.
func shown(lists []api.List, name string) string {
	for _, l := range lists {
		if l.Name == name {
			return name
		}
	}
	if len(lists) == 0 {
		return ""
	}
	return lists[0].Name
}

// follow tells of changes until the program is left. Those that come together are told of once.
func (m *model) follow(send func(tea.Msg)) {
	for m.ctx.Err() == nil {
		send(changed{live: true}) // what was changed before it began to follow
		last := time.Time{}
		for _, err := range m.Client.Watch(m.ctx, "", "") {
			if err != nil {
				break
			}
			if time.Since(last) < gather {
				time.Sleep(gather)
			}
			last = time.Now()
			send(changed{live: true})
		}
		if m.ctx.Err() == nil {
			send(changed{})
			select {
			case <-time.After(time.Second):
			case <-m.ctx.Done():
			}
		}
	}
}

// write has the group change something. says is told when it did.
func (m *model) write(says string, do func(ctx context.Context) (api.Meta, error)) tea.Cmd {
	return func() tea.Msg {
		ctx, cancel := context.WithTimeout(m.ctx, patience)
		defer cancel()
		meta, err := do(ctx)
		if e := api.AsError(err); e != nil && e.Retryable() && e.Outcome == api.NotApplied {
			err = fmt.Errorf("%w: nothing was stored", err)
		}
		return wrote{says: says, rev: meta.Index, err: err}
	}
}

func (m *model) add(text string) tea.Cmd {
	list := m.name()
	if list == "" {
		if list = m.List; list == "" {
			list = "todo"
		}
	}
	e := quick.Parse(text, m.Now())
	in := api.NewEntry{Title: e.Title, Date: e.Date, More: api.More{Time: e.Time, Priority: e.Priority, Tags: e.Tags, Repeat: e.Repeat, RepeatFrom: e.RepeatFrom}}
	return m.write("added "+e.Title, func(ctx context.Context) (api.Meta, error) {
		_, meta, err := m.Client.AddEntry(ctx, list, in, api.WriteOptions{})
		return meta, err
	})
}

func (m *model) patch(e api.Entry, says string, p api.EntryPatch) tea.Cmd {
	return m.write(says, func(ctx context.Context) (api.Meta, error) {
		_, meta, err := m.Client.PatchEntry(ctx, e.List, e.ID, p, api.WriteOptions{TZ: m.TZ})
		return meta, err
	})
}

func (m *model) retitle(e api.Entry, title string) tea.Cmd {
	return m.patch(e, "changed", api.EntryPatch{Title: &title})
}

func (m *model) setDone(e api.Entry, done bool) tea.Cmd {
	says := "done: " + e.Title
	if !done {
		says = "not done: " + e.Title
	}
	return m.patch(e, says, api.EntryPatch{Done: &done})
}

func (m *model) remove(e api.Entry) tea.Cmd {
	return m.write("in the trash: "+e.Title, func(ctx context.Context) (api.Meta, error) {
		return m.Client.DeleteEntry(ctx, e.List, e.ID, api.WriteOptions{})
	})
}

func (m *model) move(e api.Entry, to string) tea.Cmd {
	return m.write("moved to "+to, func(ctx context.Context) (api.Meta, error) {
		_, meta, err := m.Client.MoveEntry(ctx, e.List, e.ID, to, api.WriteOptions{})
		return meta, err
	})
}

// shift puts the entry before the one above it, or behind the one below it.
func (m *model) shift(by int) tea.Cmd {
	to := m.entry + by
	if m.search != "" || to < 0 || to >= len(m.entries) {
		return nil
	}
	e, place := m.entries[m.entry], api.Place{After: m.entries[to].ID}
	if by < 0 {
		place = api.Place{Before: m.entries[to].ID}
	}
	return m.write("", func(ctx context.Context) (api.Meta, error) {
		_, meta, err := m.Client.PlaceEntry(ctx, e.List, e.ID, place, api.WriteOptions{})
		return meta, err
	})
}

var errNothing = errors.New("nothing to undo: only what you changed here since you began")

func (m *model) undo() tea.Cmd {
	if len(m.done) == 0 {
		return func() tea.Msg { return wrote{err: errNothing} }
	}
	rev := m.done[len(m.done)-1]
	return func() tea.Msg {
		ctx, cancel := context.WithTimeout(m.ctx, patience)
		defer cancel()
		_, _, err := m.Client.Undo(ctx, rev, api.WriteOptions{})
		return wrote{says: "undone", undid: err == nil, err: err}
	}
}
