package httpapi

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"todod/fsm/todo"
	"todod/httpapi/api"
	"todod/server"
)

// rename gives a list another name, and begins another one under the old name.
func (w *world) rename(from, to string) {
	w.t.Helper()
	w.do("PATCH", "/v1/lists/"+from, `{"name":"`+to+`"}`).want(200, "")
	w.do("POST", "/v1/lists/"+from+"/entries", `{"title":"of another list"}`).want(201, "")
}

// batch has the node do operations that no batch over HTTP has.
func (w *world) batch(ops ...todo.Op) {
	w.t.Helper()
	res, err := w.node.Write(context.Background(), todo.Command{Batch: true, Ops: ops}, server.WriteOptions{})
	if err != nil || res.Code != todo.OK {
		w.t.Fatal(res, err)
	}
}

// A loop over pages goes on under the new name of its list, whatever it is a page of; under the old one it is told.
func TestPagesGoOnAfterARename(t *testing.T) {
	const n = 9
	for what, of := range map[string]struct{ path, member string }{
		"entries":                     {"entries?limit=2", "entries"},
		"entries by date":             {"entries?limit=2&from=2018-01-01", "entries"},
		"a filter":                    {"entries?limit=2&filter=id%3E0", "entries"},
		"a filter, by date":           {"entries?limit=2&q=e&date=2018-12-19", "entries"},
		"an order, all alike":         {"entries?limit=2&sort=priority", "entries"},
		"an order by date, all alike": {"entries?limit=2&sort=due", "entries"},
		"trash":                       {"trash?limit=2", "trash"},
		"history":                     {"entries/1/history?limit=2", "changes"},
	} {
		for _, to := range []string{"ann", "zoe"} { // before and behind the old name
			t.Run(what+" "+to, func(t *testing.T) {
				w := newWorld(t)
				for i := range n {
					w.add("bob", fmt.Sprint("entry ", i), "2018-12-19")
					w.add("bob", "goes", "")
					w.do("DELETE", fmt.Sprint("/v1/lists/bob/entries/", 2*i+2), "").want(204, "")
					w.do("PATCH", "/v1/lists/bob/entries/1", fmt.Sprintf(`{"notes":"%d"}`, i)).want(200, "")
				}
				seen, cursor, list := map[string]bool{}, "", "bob"
				for pages := 1; ; pages++ {
					var page map[string]any
					w.do("GET", "/v1/lists/"+list+"/"+of.path+"&cursor="+cursor, "").want(200, "").decode(&page)
					if page["list"] != list {
						t.Errorf("of the list %v", page["list"])
					}
					for _, e := range page[of.member].([]any) {
						e := e.(map[string]any)
						key := fmt.Sprint(e["id"], e["rev"], e["fields"])
						if seen[key] {
							t.Errorf("%s comes twice", key)
						}
						seen[key] = true
					}
					next, more := page["next"].(string)
					if !more {
						break
					}
					switch cursor = next; pages {
					case 2:
						w.rename("bob", to)
						list = to
						w.do("GET", "/v1/lists/bob/"+of.path+"&cursor="+cursor, "").problem(api.CodeGone, "", "of another list")
						w.do("GET", "/v1/lists/nobody/"+of.path+"&cursor="+cursor, "").problem(api.CodeGone, "", "of another list")
					case 3:
						w.rename(to, "new")
						list = "new"
					}
				}
				if len(seen) != n {
					t.Errorf("%d came, want %d", len(seen), n)
				}
			})
		}
	}
}

// Who has what a list was, by sync, gets what changed in it under its new name, and nothing else.
func TestSyncGoesOnAfterARename(t *testing.T) {
	w := newWorld(t)
	for range 3 {
		w.add("bob", "x", "")
	}
	list, cursor := "bob", ""
	sync := func(limit int) api.Synced {
		t.Helper()
		var got api.Synced
		w.do("GET", fmt.Sprintf("/v1/lists/%s/sync?limit=%d&cursor=%s", list, limit, cursor), "").want(200, "").decode(&got)
		cursor = got.Cursor
		return got
	}
	sync(2) // in the middle of all
	w.rename("bob", "rob")
	list = "rob"
	if got := sync(2); got.Reset || len(got.Entries) != 1 || got.Entries[0].ID != 3 || got.Entries[0].List != "rob" {
		t.Errorf("the second page of all is %+v", got)
	}
	w.do("PATCH", "/v1/lists/rob/entries/2", `{"title":"y"}`).want(200, "")
	w.add("rob", "z", "")
	w.rename("rob", "tom")
	w.do("DELETE", "/v1/lists/tom/entries/1", "").want(204, "")
	w.rename("tom", "rob2")
	list = "rob2"
	got := sync(10)
	if got.Reset || len(got.Entries) != 2 || got.Entries[0].ID != 2 || got.Entries[1].Title != "z" || len(got.Gone) != 1 || got.Gone[0] != 1 || got.More {
		t.Errorf("%+v", got)
	}
	if got := sync(10); got.Reset || len(got.Entries)+len(got.Gone) != 0 {
		t.Errorf("once more: %+v", got)
	}
	list = "rob" // another list by now
	if got := sync(10); !got.Reset || len(got.Entries) != 1 {
		t.Errorf("of the list with the old name: %+v", got)
	}
}

// Who followed a list under one name and comes back under another has missed nothing, and hears of no other list.
func TestEventsGoOnAfterARename(t *testing.T) {
	w := newWorld(t)
	w.add("bob", "rev 1", "")
	next := w.events("/v1/lists/bob/events", "7.0")
	if got := next(); got[0] != "id: 7.1" {
		t.Errorf("%q", got)
	}
	w.add("bob", "rev 2", "")
	w.rename("bob", "rob") // rev 3 and, in the other list, 4
	for rev := 2; rev <= 4; rev++ {
		if got := next(); got[0] != fmt.Sprint("id: 7.", rev) { // the open stream goes on as that of who has the name
			t.Errorf("rev %d: %q", rev, got)
		}
	}
	w.do("PATCH", "/v1/lists/rob/entries/2", `{"title":"rev 5"}`).want(200, "")
	add := func(list, title string) todo.Op {
		return todo.Op{Kind: todo.Add, List: list, Fields: todo.Fields{Title: title}}
	}
	w.batch(add("bob", "not this"), add("rob", "a"), todo.Op{Kind: todo.PatchList, List: "rob", To: "tom"}, add("tom", "b"))
	w.add("tom", "rev 7", "")
	w.add("rob", "rev 8, of another list", "")
	for since, revs := range map[string][]int{"7.0": {1, 2, 3, 5, 6, 7, 9}, "7.1": {2, 3, 5, 6, 7, 9}, "7.3": {5, 6, 7, 9}, "7.5": {6, 7, 9}, "7.6": {7, 9}} {
		next := w.events("/v1/lists/tom/events", since)
		for _, rev := range revs {
			if rev == 9 && since == "7.0" { // which the others find there
				w.add("tom", "rev 9", "")
			}
			if rev == 9 && since != "7.0" {
				break
			}
			got := next()
			if got[0] != fmt.Sprint("id: 7.", rev) || strings.Contains(got[2], "not this") || rev == 6 && (strings.Count(got[2], `"op":`) != 3 || got[1] != "event: batch") {
				t.Errorf("since %s, rev %d: %q", since, rev, got)
			}
		}
	}
}

// What is known of a list's names has an end, and a node that has not the name yet asks further.
func TestEventsOfNamesThatAreNotKnown(t *testing.T) {
	w := newWorld(t)
	w.add("a", "x", "")
	for range 20 {
		w.batch(todo.Op{Kind: todo.PatchList, List: "a", To: "b"}, todo.Op{Kind: todo.PatchList, List: "b", To: "a"})
	}
	w.do("GET", "/v1/lists/a/events?since=1", "").problem(api.CodeGone, "", "no longer known", "Todod-Index")
	if got := w.events("/v1/lists/a/events?since=20", "")(); got[0] != "id: 7.21" {
		t.Errorf("%q", got)
	}
	w.node.set(func(g *group) { g.readErr = &server.Error{Kind: server.KindNoLeader, Detail: "no leader"} })
	w.do("GET", "/v1/lists/nobody/events?since=20", "").problem(api.CodeNoLeader, "")
	w.do("HEAD", "/v1/lists/nobody/events", "").want(200, "")
}

// The answer for an entry that moved names the list as it is called now, through any number of moves.
func TestSignpostsFollowRenames(t *testing.T) {
	w := newWorld(t)
	w.add("ann", "x", "")
	w.do("POST", "/v1/lists/ann/entries/1/move", `{"to":"bob"}`).want(200, "")
	for _, step := range []struct{ from, to, kind string }{
		{"bob", "rob é", "rename"}, {"rob é", "tom", "rename"}, {"tom", "cy", "move"}, {"cy", "di", "rename"}, {"ann", "eve", "rename"},
	} {
		if step.kind == "rename" {
			w.rename(url.PathEscape(step.from), step.to)
		} else {
			w.do("POST", "/v1/lists/"+step.from+"/entries/1/move", `{"to":"`+step.to+`"}`).want(200, "")
		}
		asked, now := "ann", step.to
		if step.from == "ann" {
			asked, now = "eve", "di"
		}
		for method, body := range map[string]string{"GET": "", "PATCH": `{"done":true}`, "DELETE": ""} {
			var p api.Problem
			w.do(method, "/v1/lists/"+asked+"/entries/1", body).want(410, "").decode(&p)
			if p.Code != string(api.CodeMoved) || p.Current == nil || p.Current.List != now || p.Current.ID != 1 || p.Current.Title != "x" {
				t.Errorf("%s after the %s to %s: %+v, %+v", method, step.kind, step.to, p, p.Current)
			}
		}
	}
}

// Who asks for a list by a name that it had is told what it is called now, until it is deleted or another has the name.
func TestOldNamesAreExplained(t *testing.T) {
	w := newWorld(t)
	w.add("bob", "x", "")
	w.do("PATCH", "/v1/lists/bob", `{"name":"e\u0301mile"}`).want(200, "")
	w.do("PATCH", "/v1/lists/%C3%A9mile", `{"name":"rob"}`).want(200, "")
	ask := func(old, says string) {
		t.Helper()
		says = "there is no list of that name" + says
		name, _ := unescape(old)
		for _, path := range []string{"", "/export?format=csv", "/entries/1", "/entries/1/history"} {
			w.do("GET", "/v1/lists/"+old+path, "").problem(api.CodeNotFound, "", says)
		}
		for _, req := range [][2]string{{"DELETE", ""}, {"DELETE", "/entries/1"}, {"POST", "/trash/1/restore"}} {
			w.do(req[0], "/v1/lists/"+old+req[1], "").problem(api.CodeNotFound, "not_applied", says)
		}
		w.do("PATCH", "/v1/lists/"+old, `{"title":"y"}`).problem(api.CodeNotFound, "not_applied", says)
		w.do("PATCH", "/v1/lists/"+old+"/entries/1", `{"done":true}`).problem(api.CodeNotFound, "not_applied", says)
		w.do("POST", "/v1/batch", `{"commands":[{"op":"add","list":"ann","title":"x"},{"op":"delete","list":"`+name+`","id":1}]}`).
			problem(api.CodeNotFound, "not_applied", "commands[1]: "+says)
	}
	for _, old := range []string{"bob", "%C3%A9mile", "e%CC%81mile"} {
		ask(old, `: it is called "rob" now`)
	}
	w.do("PATCH", "/v1/lists/rob", `{"name":"bob"}`).want(200, "")
	ask("rob", `: it is called "bob" now`)
	w.do("GET", "/v1/lists/bob", "").want(200, "")
	w.do("DELETE", "/v1/lists/bob", "").want(204, "")
	for _, old := range []string{"bob", "rob", "nobody"} {
		if got := w.do("GET", "/v1/lists/"+old, "").problem(api.CodeNotFound, ""); strings.Contains(got.body, "called") {
			t.Errorf("%s: %s", old, got.body)
		}
	}
	w.add("rob", "of another list", "")
	w.do("GET", "/v1/lists/rob", "").want(200, "")
}
