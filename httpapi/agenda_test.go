package httpapi

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"todod/fsm"
	"todod/fsm/todo"
	"todod/fsm/todo/due"
	"todod/fsm/todo/filter"
	"todod/httpapi/api"
	"todod/server"
)

// The pages of an order by date are those that one look at all entries gives: however many have no date, or are due on
// another day in the caller's zone, and whether the index by date was enough for a page or not.
func TestAnAgendaIsWhatSortingAllGives(t *testing.T) {
	node := newTestNode(t)
	s := New(Config{Node: node, Now: func() time.Time { return aSaturday }})
	try := 0
	rapid.Check(t, func(t *rapid.T) {
		try++
		prefix := fmt.Sprintf("try-%d-", try)
		cmd := todo.Command{Batch: true}
		picky, undated := rapid.IntRange(1, 12).Draw(t, "picky"), rapid.IntRange(1, 5).Draw(t, "undated")
		for i := range rapid.IntRange(1, 60).Draw(t, "entries") {
			f := todo.Fields{Title: rapid.StringMatching("[ab]").Draw(t, "title"), Done: i%picky != 0}
			if rapid.IntRange(0, undated).Draw(t, "dated") > 0 {
				f.Date = rapid.SampledFrom([]string{"2018-12-20", "2018-12-21", "2018-12-22", "2018-12-23", "2018-12-24"}).Draw(t, "date")
				if rapid.Bool().Draw(t, "timed") {
					f.More = &todo.More{Time: rapid.SampledFrom([]string{"00:30", "12:00", "23:30"}).Draw(t, "time"),
						TZ: rapid.SampledFrom([]string{"", "Pacific/Kiritimati", "Pacific/Pago_Pago"}).Draw(t, "zone")}
				}
			}
			cmd.Ops = append(cmd.Ops, todo.Op{Kind: todo.Add, List: prefix + rapid.SampledFrom([]string{"a", "b"}).Draw(t, "list"), Fields: f})
		}
		if res, err := node.Write(context.Background(), cmd, server.WriteOptions{}); err != nil || res.Code != todo.OK {
			t.Fatalf("%v, %v", res.Code, err)
		}
		sort := rapid.SampledFrom([]string{"due", "date", "due,-title", "date,title", "-due", "title,due"}).Draw(t, "sort")
		text := rapid.SampledFrom([]string{"!done", "!done & due<=today", "overdue", "due>=2018-12-22 & !done", "date=2018-12-23", "id>0"}).Draw(t, "filter")
		zone := rapid.SampledFrom([]string{"UTC", "Pacific/Auckland", "America/Los_Angeles"}).Draw(t, "reader")
		dates := rapid.SampledFrom([]string{"", "&from=2018-12-21", "&to=2018-12-22", "&date=2018-12-22"}).Draw(t, "dates")
		q := fmt.Sprintf("sort=%s&filter=%s&tz=%s&limit=%d&prefix=%s%s", sort, url.QueryEscape(text), zone, rapid.IntRange(1, 4).Draw(t, "limit"), prefix, dates)

		var got []string
		for cursor := ""; ; {
			w := httptest.NewRecorder()
			s.ServeHTTP(w, httptest.NewRequest("GET", "/v1/entries?"+q+cursor, nil))
			var page api.FoundEntries
			if err := json.Unmarshal(w.Body.Bytes(), &page); err != nil || w.Code != 200 {
				t.Fatalf("%d %s, %v", w.Code, w.Body, err)
			}
			for _, e := range page.Entries {
				got = append(got, fmt.Sprint(e.List, e.ID))
			}
			if page.Next == "" || len(got) > len(cmd.Ops) {
				break
			}
			cursor = "&cursor=" + page.Next
		}
		if want := sortedAll(t, node, prefix, sort, text, zone, dates); !slices.Equal(got, want) {
			t.Fatalf("%s: %v, want %v", q, got, want)
		}
	})
}

// sortedAll looks at all entries of the lists with a prefix.
func sortedAll(t *rapid.T, node *testNode, prefix, sort, text, zone, dates string) (names []string) {
	at, err := due.Zone(zone)
	if err != nil {
		t.Fatal(err)
	}
	expr, err := filter.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	order, err := filter.ParseOrder(sort)
	if err != nil {
		t.Fatal(err)
	}
	v, err := node.replica.View()
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	match, sorter := expr.Bind(filter.Context{Now: aSaturday, Zone: at}), order.Bind(filter.Context{Now: aSaturday, Zone: at})
	keys := map[string]string{}
	for _, list := range []string{prefix + "a", prefix + "b"} {
		v.Look(list, &fsm.Query{}, func(e *todo.Entry) bool {
			name, day, _ := strings.Cut(strings.TrimPrefix(dates, "&"), "=")
			in := dates == "" || e.Date != "" && (name == "from" && e.Date >= day || name == "to" && e.Date <= day || e.Date == day)
			if in && match.Match(e) {
				keys[fmt.Sprint(list, e.ID)] = string(sorter.Append(nil, list, e))
				names = append(names, fmt.Sprint(list, e.ID))
			}
			return true
		})
	}
	slices.SortFunc(names, func(a, b string) int { return strings.Compare(keys[a], keys[b]) })
	return names
}
