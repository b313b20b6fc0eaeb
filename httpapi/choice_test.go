package httpapi

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	_ "time/tzdata"

	"pgregory.net/rapid"

	"todod/fsm/todo"
	"todod/httpapi/api"
	"todod/server"
)

// aSaturday is when it is in the tests of choices: half past three in Berlin, and Sunday already in Auckland.
var aSaturday = time.Date(2018, 12, 22, 14, 30, 0, 0, time.UTC)

func onSaturday(c *Config) { c.Now = func() time.Time { return aSaturday } }

// post adds entries, given as the JSON of bodies.
func (w *world) post(list string, bodies ...string) {
	w.t.Helper()
	for _, body := range bodies {
		w.do("POST", "/v1/lists/"+list+"/entries", body).want(http.StatusCreated, "")
	}
}

func atHome(t testing.TB) *world {
	w := newWorld(t, onSaturday)
	w.post("bob",
		`{"title":"Buy milk"}`,
		`{"title":"Dentist","date":"2018-12-21","priority":1,"tags":["health"]}`,
		`{"title":"Pay the rent","date":"2018-12-21","done":true}`,
		`{"title":"Call José","date":"2018-12-22","time":"15:00","notes":"about the milk"}`,
		`{"title":"tea","date":"2018-12-22","time":"16:00","priority":9,"tags":["home"]}`,
		`{"title":"Plants","date":"2018-12-22","parent":1,"tags":["home","garden"]}`,
		`{"title":"Call Tokyo","date":"2018-12-23","time":"07:00","tz":"Asia/Tokyo"}`,
		`{"title":"Later","date":"2019-01-02","priority":2}`)
	return w
}

func TestChoices(t *testing.T) {
	w := atHome(t)
	for _, try := range []struct{ query, ids string }{
		{"overdue=true", "[2]"},
		{"overdue=true&tz=Europe/Berlin", "[2 4]"},
		{"overdue=true&tz=Pacific/Auckland", "[2 4 5 6]"},
		{"overdue=false&done=false", "[1 4 5 6 7 8]"},
		{"due=today&tz=Europe/Berlin", "[4 5 6 7]"},
		{"due=%3Ctoday%2B7&done=false", "[2 4 5 6 7]"},
		{"due=%3Ctoday+7&done=false", "[2 4 5 6 7]"}, // as it is often sent
		{"tag=HOME", "[5 6]"},
		{"priority=1", "[2]"},
		{"priority=%3C=2", "[2 8]"},
		{"q=milk", "[1 4]"},
		{"q=jose", "[4]"},
		{"has=date,tag", "[2 5 6]"},
		{"has=sub", "[1]"},
		{"parent=1", "[6]"},
		{"parent=0&has=date", "[2 3 4 5 7 8]"},
		{"filter=" + url.QueryEscape("due<today+7 & #home & !done | p1"), "[2 5 6]"},
		{"filter=" + url.QueryEscape("call | milk") + "&q=a&done=false", "[4 7]"},
		{"from=2018-12-22&filter=!%23home", "[4 7 8]"},
		{"date=2018-12-21&filter=open", "[2]"},
		{"filter=nothing+at+all", "[]"},
		{"tz=Europe/Berlin", "[1 2 3 4 5 6 7 8]"},
		{"sort=title", "[1 4 7 2 8 3 6 5]"},
		{"sort=-title&done=false", "[5 6 8 2 7 4 1]"},
		{"sort=due", "[2 3 4 5 7 6 8 1]"}, // a call at 22:00 in UTC, then what has the whole day
		{"sort=priority,-id", "[2 8 5 7 6 4 3 1]"},
		{"sort=-priority", "[5 8 2 1 3 4 6 7]"},
		{"sort=-date,title&filter=has:date", "[8 7 4 6 5 2 3]"},
		{"sort=id", "[1 2 3 4 5 6 7 8]"},
		{"sort=-created", "[8 7 6 5 4 3 2 1]"},
		{"sort=completed", "[3 1 2 4 5 6 7 8]"},
		{"sort=order&filter=overdue", "[2]"},
		{"sort=due&filter=overdue|done&tz=Europe/Berlin", "[2 3 4]"},
		{"sort=-due&filter=due%3C%3D2018-12-22", "[6 7 5 4 2 3]"},
		{"sort=due&to=2018-12-21&filter=due%3C2018-12-22", "[2 3]"},
	} {
		for _, limit := range []string{"", "&limit=1", "&limit=2", "&limit=3"} {
			if got := fmt.Sprint(w.pages("/v1/lists/bob/entries?" + try.query + limit)); got != try.ids {
				t.Errorf("%s%s: %s, want %s", try.query, limit, got, try.ids)
			}
		}
	}
	w.do("GET", "/v1/lists/nobody/entries?sort=due&filter=overdue", "").want(200, `{"list":"nobody","rev":0,"entries":[]}`)
}

// where names the entries of a page by list and id.
func (w *world) where(path string) (names []string, pages int) {
	w.t.Helper()
	for cursor := ""; ; pages++ {
		var page api.FoundEntries
		w.do("GET", path+cursor, "").want(200, "").decode(&page)
		for _, e := range page.Entries {
			names = append(names, fmt.Sprint(e.List, e.ID))
		}
		if page.Next == "" {
			return names, pages + 1
		}
		cursor = "&cursor=" + page.Next
	}
}

func TestEntriesOfAllLists(t *testing.T) {
	w := atHome(t)
	w.post("alice", `{"title":"milk","date":"2018-12-20"}`, `{"title":"x","done":true}`)
	w.post("gone", `{"title":"milk","date":"2018-12-20"}`)
	w.post("zoe", `{"title":"Milk again","date":"2018-12-22"}`)
	w.do("DELETE", "/v1/lists/gone", "").want(204, "")
	for query, want := range map[string]string{
		"":                                    "[alice1 alice2 bob1 bob2 bob3 bob4 bob5 bob6 bob7 bob8 zoe1]",
		"q=milk":                              "[alice1 bob1 bob4 zoe1]",
		"filter=overdue":                      "[alice1 bob2]",
		"overdue=true&sort=due":               "[alice1 bob2]",
		"filter=today&sort=due":               "[bob4 bob5 bob7 bob6 zoe1]",
		"filter=today&sort=-due,title":        "[zoe1 bob6 bob7 bob5 bob4]",
		"sort=id&filter=id%3C3":               "[alice1 bob1 zoe1 alice2 bob2]",
		"from=2018-12-22&to=2018-12-22":       "[bob4 bob5 bob6 zoe1]",
		"date=2018-12-22&prefix=z":            "[zoe1]",
		"prefix=alic&done=false":              "[alice1]",
		"prefix=nobody":                       "[]",
		"sort=date&prefix=b&filter=has:date":  "[bob2 bob3 bob4 bob5 bob6 bob7 bob8]",
		"tz=Pacific/Auckland&filter=tomorrow": "[]",
	} {
		for _, limit := range []string{"&limit=1", "&limit=2", "&limit=3", ""} {
			if got, _ := w.where("/v1/entries?" + query + limit); fmt.Sprint(got) != want {
				t.Errorf("%s%s: %v, want %s", query, limit, got, want)
			}
		}
	}
	w.do("GET", "/v1/entries?filter=nothing", "").want(200, `{"rev":13,"entries":[]}`).has("ETag", `"7.13"`).has("Todod-Index", "13")
	w.do("GET", "/v1/entries?filter=nothing", "", `If-None-Match: "7.13"`).want(304, "")
	w.do("POST", "/v1/entries", `{"title":"x"}`).problem(api.CodeMethod, "not_applied")
}

func TestFieldsAreCut(t *testing.T) {
	w := atHome(t)
	w.do("GET", "/v1/lists/bob/entries?fields=title,id&limit=1", "").want(200, "")
	w.do("GET", "/v1/lists/bob/entries?fields=tags,title,id&filter=p1", "").want(200, `{"list":"bob","rev":8,"entries":[{"id":2,"title":"Dentist","tags":["health"]}]}`)
	w.do("GET", "/v1/lists/bob/entries?fields=notes&q=milk", "").want(200, `{"list":"bob","rev":8,"entries":[{},{"notes":"about the milk"}]}`)
	w.do("GET", "/v1/entries?fields=list,done&done=true", "").want(200, `{"rev":8,"entries":[{"list":"bob","done":true}]}`)
	var all, whole api.Entries
	w.do("GET", "/v1/lists/bob/entries?fields="+strings.Join(entryFields, ","), "").want(200, "").decode(&all)
	w.do("GET", "/v1/lists/bob/entries", "").want(200, "").decode(&whole)
	if !reflect.DeepEqual(all, whole) {
		t.Errorf("with all fields: %+v, want %+v", all, whole)
	}
}

// What depends on the clock has no tag that could say that it is as it was.
func TestTagsOfChoices(t *testing.T) {
	w := atHome(t)
	const list = "/v1/lists/bob/entries?"
	for _, query := range []string{"filter=p1", "sort=due", "q=milk", "tz=Europe/Berlin", "fields=id"} {
		w.do("GET", list+query, "", `If-None-Match: "7.8"`).want(304, "")
		w.do("GET", list+query, "", `If-None-Match: "7.7"`).want(200, "").has("ETag", `"7.8"`)
		w.do("GET", list+query, "", `If-Match: "7.7"`).problem(api.CodePrecondition, "")
	}
	for _, query := range []string{"filter=overdue", "overdue=false", "due=today", "filter=p1|!(due%3Cfriday)"} {
		w.do("GET", list+query, "", `If-None-Match: "7.8"`).want(200, "").lacks("ETag")
	}
}

// All pages of a query are of the moment of the first: midnight does not come between two.
func TestAllPagesHaveTheSameToday(t *testing.T) {
	now := aSaturday
	w := newWorld(t, func(c *Config) { c.Now = func() time.Time { return now } })
	for range 3 {
		w.post("bob", `{"title":"a","date":"2018-12-22"}`, `{"title":"b","date":"2018-12-23"}`)
	}
	for _, sort := range []string{"", "&sort=-id"} {
		now = aSaturday
		var page api.Entries
		w.do("GET", "/v1/lists/bob/entries?filter=today&limit=1"+sort, "").want(200, "").decode(&page)
		now = now.Add(24 * time.Hour)
		for range 2 {
			next := page.Next
			page = api.Entries{}
			w.do("GET", "/v1/lists/bob/entries?filter=today&limit=1"+sort+"&cursor="+next, "").want(200, "").decode(&page)
			if len(page.Entries) != 1 || page.Entries[0].Title != "a" {
				t.Errorf("%s: %+v", sort, page)
			}
		}
		if page.Next != "" {
			t.Errorf("%s: there is no next page", sort)
		}
	}
}

func TestCursorsOfChoices(t *testing.T) {
	w := atHome(t)
	next := func(query string) string {
		var page api.Entries
		w.do("GET", query, "").want(200, "").decode(&page)
		return page.Next
	}
	const list = "/v1/lists/bob/entries?limit=1&"
	of := map[string]string{"sort=due": "", "sort=-due": "", "filter=has:date": "", "filter=overdue|p2": "", "filter=has:date&tz=Europe/Berlin": "", "q=a": "", "q=e": ""}
	for query := range of {
		if of[query] = next(list + query); of[query] == "" {
			t.Errorf("%s has one page", query)
		}
	}
	of["/all"] = next("/v1/entries?limit=1&q=a")
	of["/some"] = next("/v1/entries?limit=1&q=a&prefix=b")
	for query, cursor := range of {
		for other := range of {
			if query != other && !strings.HasPrefix(other, "/") {
				w.do("GET", list+other+"&cursor="+cursor, "").problem(api.CodeInvalid, "", "cursor")
			}
		}
		w.do("GET", "/v1/lists/bob/entries?cursor="+cursor, "").problem(api.CodeInvalid, "", "cursor")
	}
	w.do("GET", "/v1/entries?limit=1&q=a&prefix=bo&cursor="+of["/some"], "").problem(api.CodeInvalid, "", "cursor")

	r := &request{s: w.srv, query: query{known: entryParams}}
	if err := r.query.add("sort=due&filter=overdue", true); err != nil {
		t.Fatal(err)
	}
	c, err := r.choice("")
	if err != nil {
		t.Fatal(err)
	}
	const asked = "/v1/lists/bob/entries?sort=due&filter=overdue&cursor="
	good := c.cursor(testEpoch, 1, &place{key: "x"})
	w.do("GET", asked+good.String(), "").want(200, "")
	w.do("GET", asked+c.cursor(testEpoch+1, 1, &place{key: "x"}).String(), "").problem(api.CodeGone, "")
	for _, text := range []string{"", "x", "\x00", "\x00key", "!\x00key", "7", strings.Repeat("x", maxCursorText), strings.Repeat("z", 30) + "\x00"} {
		bad := good
		bad.text = text
		w.do("GET", asked+bad.String(), "").problem(api.CodeInvalid, "", "cursor")
	}
}

// Whatever others do between the pages: what they leave alone comes once, in its order.
func TestPagesStayRightWhileOthersWrite(t *testing.T) {
	orders := map[string]func(a, b *api.Entry) int{
		"":                func(a, b *api.Entry) int { return cmp.Or(strings.Compare(a.List, b.List), cmp.Compare(a.ID, b.ID)) },
		"&sort=title":     func(a, b *api.Entry) int { return strings.Compare(a.Title, b.Title) },
		"&sort=-priority": func(a, b *api.Entry) int { return cmp.Compare(b.Priority, a.Priority) },
	}
	node := newTestNode(t)
	s := New(Config{Node: node})
	get := func(t *rapid.T, path string) (page api.FoundEntries) {
		w := httptest.NewRecorder()
		s.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		if err := json.Unmarshal(w.Body.Bytes(), &page); err != nil || w.Code != 200 {
			t.Fatalf("%s: %d %s, %v", path, w.Code, w.Body, err)
		}
		return page
	}
	write := func(t *rapid.T, op todo.Op) todo.Entry {
		res, err := node.Write(context.Background(), one(op), server.WriteOptions{})
		if err != nil || res.Code != todo.OK {
			t.Fatalf("%+v: %v, %v", op, res.Code, err)
		}
		return res.Items[0].Entry
	}
	try := 0
	rapid.Check(t, func(t *rapid.T) {
		try++
		mine := fmt.Sprintf("try-%d-", try)
		add := func(tag string) (string, todo.Entry) {
			list := mine + rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "list")
			return list, write(t, todo.Op{Kind: todo.Add, List: list, Fields: todo.Fields{Title: rapid.StringMatching("[a-d]{2}").Draw(t, "title"),
				More: &todo.More{Priority: rapid.Uint8Range(1, 3).Draw(t, "priority"), Tags: []string{tag}}}})
		}
		var left []string
		for range rapid.IntRange(1, 8).Draw(t, "left alone") {
			list, e := add("left")
			left = append(left, fmt.Sprint(list, e.ID))
		}
		type at struct {
			list string
			id   uint64
		}
		var others []at
		for _, sort := range slices.Sorted(func(yield func(string) bool) {
			for name := range orders {
				if !yield(name) {
					return
				}
			}
		}) {
			var seen []api.Entry
			for cursor := ""; ; {
				page := get(t, "/v1/entries?filter=%23left|%23other&limit="+fmt.Sprint(rapid.IntRange(1, 3).Draw(t, "limit"))+"&prefix="+mine+sort+cursor)
				seen = append(seen, page.Entries...)
				if page.Next == "" {
					break
				}
				cursor = "&cursor=" + page.Next
				if len(others) > 0 && rapid.Bool().Draw(t, "delete") {
					write(t, todo.Op{Kind: todo.Delete, List: others[0].list, ID: others[0].id})
					others = others[1:]
				} else if len(seen) < 20 {
					list, e := add("other")
					others = append(others, at{list, e.ID})
				}
			}
			if !slices.IsSortedFunc(seen, func(a, b api.Entry) int { return orders[sort](&a, &b) }) {
				t.Fatalf("by %q not in order: %+v", sort, seen)
			}
			count := map[string]int{}
			for i := range seen {
				count[fmt.Sprint(seen[i].List, seen[i].ID)]++
			}
			for _, name := range left {
				if count[name] != 1 {
					t.Fatalf("by %q %s came %d times", sort, name, count[name])
				}
			}
		}
	})
}

// However few entries a filter finds among many, a page costs no more than a look at so many of them, and all pages
// together find all.
func TestPagesOfAFilterThatFindsLittle(t *testing.T) {
	const maxScan = 200
	w := newWorld(t, onSaturday, func(c *Config) { c.maxScan, c.maxSort = maxScan, 500 })
	w.node.fill(t, "bob", maxScan-1)
	w.post("bob", `{"title":"needle"}`, `{"title":"needle"}`)
	w.node.fill(t, "bob", maxScan)
	w.post("eve", `{"title":"needle"}`)
	for path, want := range map[string]string{
		"/v1/lists/bob/entries?filter=needle":        "[bob200 bob201] in 3",
		"/v1/entries?filter=needle":                  "[bob200 bob201 eve1] in 3",
		"/v1/entries?filter=needle&limit=1":          "[bob200 bob201 eve1] in 4",
		"/v1/entries?filter=needle&sort=-id&limit=2": "[bob201 bob200 eve1] in 2",
		"/v1/entries?q=nowhere":                      "[] in 3",
		"/v1/entries?q=nowhere&sort=due":             "[] in 1",
	} {
		if names, pages := w.where(path); fmt.Sprintf("%v in %d", names, pages) != want {
			t.Errorf("%s: %v in %d pages, want %s", path, names, pages, want)
		}
	}
	w.node.fill(t, "zoe", 100)
	w.do("GET", "/v1/entries?sort=title", "").problem(api.CodeInvalid, "", "sort must be of at most 500 entries")
	w.do("GET", "/v1/entries?sort=title&prefix=b", "").want(200, "")
	w.do("GET", "/v1/entries?sort=due&filter=due%3E2018-12-28&limit=1", "").want(200, `{"rev":6,"entries":[]}`) // found by the index
}

// A request that looks at many rows waits for others that do, and no longer than it may take. One that looks at few does not.
func TestManyRowsWaitForASeat(t *testing.T) {
	w := newWorld(t, onSaturday)
	w.node.fill(t, "bob", seatRows)
	for _, query := range []string{"filter=nowhere", "sort=title"} {
		w.do("GET", "/v1/lists/bob/entries?"+query, "").want(200, "")
	}
	if n := len(w.srv.seats); n != 0 {
		t.Errorf("%d seats are still taken", n)
	}
	w = newWorld(t, onSaturday, func(c *Config) { c.RequestTimeout = 50 * time.Millisecond })
	w.node.fill(t, "bob", seatRows)
	w.post("eve", `{"title":"a"}`)
	for range cap(w.srv.seats) {
		w.srv.seats <- struct{}{}
	}
	for _, query := range []string{"filter=nowhere", "sort=title"} {
		w.do("GET", "/v1/lists/bob/entries?"+query, "").problem(api.CodeOverloaded, "", "too many entries are looked through")
		w.do("GET", "/v1/lists/eve/entries?"+query, "").want(200, "")
	}
	w.do("GET", "/v1/lists/bob/entries", "").want(200, "")
	if n := len(w.srv.seats); n != cap(w.srv.seats) {
		t.Errorf("%d seats are left of %d", n, cap(w.srv.seats))
	}
}
