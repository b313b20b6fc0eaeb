package show

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"time"

	"todod/httpapi/api"
)

// Stats counts entries. Those by day are open ones.
type Stats struct {
	Entries  int            `json:"entries"`
	Open     int            `json:"open"`
	Overdue  int            `json:"overdue"`
	Today    int            `json:"today"`
	Tomorrow int            `json:"tomorrow"`
	ThisWeek int            `json:"this_week"`
	Later    int            `json:"later"`
	NoDate   int            `json:"no_date"`
	Done     int            `json:"done"`
	Week     int            `json:"done_in_7_days"`
	Priority map[string]int `json:"open_by_priority"` // p1 to p9
	Tags     map[string]int `json:"open_by_tag"`
}

// Count counts entries as they are at opt.Now.
func Count(entries []api.Entry, opt Options) Stats {
	s := Stats{Entries: len(entries), Priority: map[string]int{}, Tags: map[string]int{}}
	places := [...]*int{overdue: &s.Overdue, today: &s.Today, tomorrow: &s.Tomorrow, thisWeek: &s.ThisWeek, later: &s.Later, noDate: &s.NoDate}
	for i := range entries {
		e := &entries[i]
		if e.Done {
			s.Done++
			if e.Completed != nil && opt.Now.Sub(*e.Completed) < 7*24*time.Hour {
				s.Week++
			}
			continue
		}
		s.Open++
		*places[opt.item(e).place]++
		if e.Priority > 0 {
			s.Priority["p"+strconv.Itoa(int(e.Priority))]++
		}
		for _, tag := range e.Tags {
			s.Tags[tag]++
		}
	}
	return s
}

// Rows are the counts as lines of a table: those of entries, of priorities, and of tags, the most frequent first.
func (s Stats) Rows() [][]string {
	var rows [][]string
	add := func(name string, n int) { rows = append(rows, []string{name, strconv.Itoa(n)}) }
	add("open", s.Open)
	add("overdue", s.Overdue)
	add("today", s.Today)
	add("tomorrow", s.Tomorrow)
	add("this week", s.ThisWeek)
	add("later", s.Later)
	add("no date", s.NoDate)
	add("done", s.Done)
	add("done in 7 days", s.Week)
	for _, p := range slices.Sorted(maps.Keys(s.Priority)) {
		add(p, s.Priority[p])
	}
	tags := slices.SortedFunc(maps.Keys(s.Tags), func(a, b string) int {
		return cmp.Or(cmp.Compare(s.Tags[b], s.Tags[a]), cmp.Compare(a, b))
	})
	for _, tag := range tags {
		add("#"+tag, s.Tags[tag])
	}
	return rows
}
