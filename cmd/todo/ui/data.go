package ui

import (
	"context"
	"fmt"
	"strconv"
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
	// pause is how long it rests before it asks again what nobody answered.
	pause = time.Second
)

// loaded is what was read for the screen.
type loaded struct {
	number  int
	lists   []api.List
	list    string // whose entries they are
	entries []api.Entry
	more    bool
	err     error
}

// lost says that a node could not answer, and that the next one, or the same, is asked now.
type lost struct{ err error }

// again says that it is time to ask anew for what a load did not get.
type again struct{ number int }

// changed says that somebody changed something; live, that changes are seen as they come.
type changed struct{ live bool }

// wrote is what came of a change.
type wrote struct {
	says  string
	added *api.Entry // what was understood of it is told too; nil: nothing
	rev   uint64     // that can be undone; 0 for none
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
		for one, err := range m.client.AllLists(ctx, "", api.ReadOptions{Consistency: "auto"}) {
			if err != nil {
				l.err = err
				return l
			}
			if !one.Archived || one.Name == list {
				l.lists = append(l.lists, one)
			}
		}
		if search != "" {
			found, _, err := m.client.Search(ctx, api.SearchQuery{Text: search, Limit: page}, api.ReadOptions{Consistency: "auto"})
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
		found, _, err := m.client.Entries(ctx, l.list, q, api.ReadOptions{Consistency: "auto"})
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
		// What comes after this rev is told of, and what was before is read after it.
		if since, err := m.rev(); err == nil {
			send(changed{live: true})
			m.watch(since, send)
		}
		if m.ctx.Err() == nil {
			send(changed{})
			select {
			case <-time.After(pause):
			case <-m.ctx.Done():
			}
		}
	}
}

// rev is up to where the group has come.
func (m *model) rev() (string, error) {
	ctx, cancel := context.WithTimeout(m.ctx, patience)
	defer cancel()
	_, meta, err := m.client.Lists(ctx, "", 1, "", api.ReadOptions{Consistency: "auto"})
	return strconv.FormatUint(meta.Index, 10), err
}

// watch tells of the changes after a rev until nobody tells it of them.
func (m *model) watch(since string, send func(tea.Msg)) {
	last := time.Time{}
	for _, err := range m.client.Watch(m.ctx, "", since) {
		if err != nil {
			return
		}
		if time.Since(last) < gather {
			time.Sleep(gather)
		}
		last = time.Now()
		send(changed{live: true})
	}
}

// write has the group change something. says is told when it did.
func (m *model) write(says string, do func(ctx context.Context) (api.Meta, error)) tea.Cmd {
	return m.change(func(ctx context.Context) wrote {
		meta, err := do(ctx)
		return wrote{says: says, rev: meta.Rev, err: err}
	})
}

// change is a change on its way.
func (m *model) change(do func(ctx context.Context) wrote) tea.Cmd {
	m.writing++
	return func() tea.Msg {
		ctx, cancel := context.WithTimeout(m.ctx, patience)
		defer cancel()
		w := do(ctx)
		if e := api.AsError(w.err); e != nil && e.Retryable() && e.Outcome == api.NotApplied {
			w.err = fmt.Errorf("nothing was stored: %w", w.err)
		}
		return w
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
	return m.change(func(ctx context.Context) wrote {
		got, meta, err := m.client.AddEntry(ctx, list, in, api.WriteOptions{})
		return wrote{says: "added " + got.Title, added: &got, rev: meta.Rev, err: err}
	})
}

func (m *model) patch(e api.Entry, says string, p api.EntryPatch) tea.Cmd {
	return m.write(says, func(ctx context.Context) (api.Meta, error) {
		_, meta, err := m.client.PatchEntry(ctx, e.List, e.ID, p, api.WriteOptions{TZ: m.TZ})
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
		return m.client.DeleteEntry(ctx, e.List, e.ID, api.WriteOptions{})
	})
}

func (m *model) move(e api.Entry, to string) tea.Cmd {
	return m.write("moved to "+to, func(ctx context.Context) (api.Meta, error) {
		_, meta, err := m.client.MoveEntry(ctx, e.List, e.ID, to, api.WriteOptions{})
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
		_, meta, err := m.client.PlaceEntry(ctx, e.List, e.ID, place, api.WriteOptions{})
		return meta, err
	})
}

const errNothing = "nothing to undo: only what you changed here since you began"

func (m *model) undo() tea.Cmd {
	if m.writing > 0 {
		m.undos++
		return nil
	}
	if len(m.done) == 0 {
		m.says, m.bad = errNothing, true
		return nil
	}
	rev := m.done[len(m.done)-1]
	return m.change(func(ctx context.Context) wrote {
		_, _, err := m.client.Undo(ctx, rev, api.WriteOptions{})
		return wrote{says: "undone", undid: err == nil, err: err}
	})
}
