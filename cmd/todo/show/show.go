// Package show lays entries out for a person: by day, as a tree, as they were found, or in plain columns. It has no clock and
// no terminal of its own.
package show

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"todod/cmd/internal/cli"
	"todod/fsm/todo"
	"todod/fsm/todo/due"
	"todod/httpapi/api"
)

// The colours, each with what it says. Nothing is said by a colour alone.
const (
	head   = "1"    // bold: a heading
	late   = "31"   // red: overdue, and the highest priority
	soon   = "33"   // yellow: today, and priorities 2 to 4
	faint  = "2"    // what is done, and what matters less
	tagged = "36"   // cyan: tags
	urgent = "1;31" // priority 1
	sought = "1;4"  // bold and underlined, beside a colour: a word that was looked for
)

// Options are how and for whom entries are laid out.
type Options struct {
	Width int       // columns of the terminal; 0: lines are not cut
	Now   time.Time // today, and the reader's zone
	Paint func(sgr, text string) string
	Lists bool     // entries are of several lists: each is said
	Words []string // to be marked in titles, tags and notes, as fold.Words gives them
}

// item is an entry and when it is due for the reader, worked out once: looking a zone up is slow.
type item struct {
	*api.Entry
	day   time.Time // zero: no date
	at    time.Time
	place int // in sections
}

// The places of items in sections.
const (
	overdue = iota
	today
	tomorrow
	thisWeek
	later
	noDate
)

func (o Options) item(e *api.Entry) item {
	it := item{Entry: e, place: noDate}
	of := &todo.Entry{Date: e.Date, More: &todo.More{Time: e.Time, TZ: e.TZ}}
	var err error
	if it.day, err = time.Parse(time.DateOnly, due.Day(of, o.Now.Location())); err != nil {
		it.day = time.Time{}
		return it
	}
	it.at, _ = due.At(of, o.Now.Location())
	now := o.today()
	switch monday := now.AddDate(0, 0, 7-int(now.Weekday()+6)%7); {
	case it.day.Before(now), it.at.Before(o.Now):
		it.place = overdue
	case it.day.Equal(now):
		it.place = today
	case it.day.Equal(now.AddDate(0, 0, 1)):
		it.place = tomorrow
	case it.day.Before(monday):
		it.place = thisWeek
	default:
		it.place = later
	}
	return it
}

// Table writes entries one a line in columns that do not change: for pipes, and for who wants them so.
func Table(w io.Writer, entries []api.Entry, opt Options) error {
	first := []string{"ID", "DONE", "PRI", "DATE", "TITLE"}
	if opt.Lists {
		first = append([]string{"LIST"}, first...)
	}
	rows := [][]string{first}
	for i := range entries {
		e := &entries[i]
		row := []string{strconv.FormatUint(e.ID, 10), "-", "-", cmp.Or(strings.TrimSpace(e.Date+" "+e.Time), "-"), e.Title}
		if e.Done {
			row[1] = "x"
		}
		if e.Priority > 0 {
			row[2] = strconv.Itoa(int(e.Priority))
		}
		for _, tag := range e.Tags {
			row[4] += " #" + tag
		}
		if opt.Lists {
			row = append([]string{e.List}, row...)
		}
		rows = append(rows, row)
	}
	return cli.Table(w, rows)
}

// section is some entries below one heading.
type section struct {
	title string
	sgr   string
	items []item
}

// Days writes what is open by when it is due: overdue, today, tomorrow, this week, later, no date; and then how
// many are done.
func Days(w io.Writer, entries []api.Entry, opt Options) error {
	sections := []section{
		{"Overdue", late, nil}, {"Today", soon, nil}, {"Tomorrow", "", nil}, {"This week", "", nil}, {"Later", "", nil}, {"No date", "", nil},
	}
	done := 0
	for i := range entries {
		if entries[i].Done {
			done++
			continue
		}
		it := opt.item(&entries[i])
		sections[it.place].items = append(sections[it.place].items, it)
	}
	p := printer{opt: opt}
	for place, s := range sections {
		slices.SortStableFunc(s.items, func(a, b item) int {
			return cmp.Or(a.at.Compare(b.at), cmp.Compare(rank(a), rank(b)))
		})
		p.section(s, place == today || place == tomorrow)
	}
	if done > 0 {
		p.gap()
		p.lines = append(p.lines, opt.paint(faint, fmt.Sprintf("%d done", done)))
	}
	return p.flush(w)
}

// rank sorts by priority: none comes last.
func rank(it item) int { return int(it.Priority+9) % 10 }

func (o Options) today() time.Time {
	y, m, d := o.Now.Date()
	return time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
}

func (o Options) paint(sgr, text string) string {
	if o.Paint == nil || sgr == "" || text == "" {
		return text
	}
	return o.Paint(sgr, text)
}

// Tree writes all entries in their order, each with those that are below it.
func Tree(w io.Writer, entries []api.Entry, opt Options) error {
	type key struct {
		list string
		id   uint64
	}
	at := map[key]int{}
	for i, e := range entries {
		at[key{e.List, e.ID}] = i
	}
	below := make([][]int, len(entries))
	var roots []int
	for i, e := range entries {
		if parent, ok := at[key{e.List, e.Parent}]; ok && e.Parent != 0 && parent != i {
			below[parent] = append(below[parent], i)
		} else {
			roots = append(roots, i)
		}
	}
	p := printer{opt: opt}
	seen := make([]bool, len(entries))
	var walk func(i, depth int)
	walk = func(i, depth int) {
		if seen[i] {
			return
		}
		seen[i] = true
		p.add(opt.item(&entries[i]), depth, false)
		for _, c := range below[i] {
			walk(c, depth+1)
		}
	}
	for _, i := range roots {
		walk(i, 0)
	}
	for i := range entries { // what no node sends: entries below themselves
		walk(i, 0)
	}
	return p.flush(w)
}
