package httpapi

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/url"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"todod/httpapi/api"
)

// copied is a client's copy of a list.
type copied struct {
	entries map[uint64]api.Entry
	cursor  string
}

func (c *copied) take(t testing.TB, got api.Synced) {
	if got.Reset {
		c.entries = map[uint64]api.Entry{}
	}
	for _, e := range got.Entries {
		c.entries[e.ID] = e
	}
	for _, id := range got.Gone {
		delete(c.entries, id)
	}
	if c.cursor = got.Cursor; c.cursor == "" {
		t.Fatalf("no cursor in %+v", got)
	}
}

func (w *world) sync(list, cursor, more string) *answer {
	w.t.Helper()
	return w.do("GET", "/v1/lists/"+list+"/sync?cursor="+cursor+more, "")
}

func TestSync(t *testing.T) {
	w := newWorld(t)
	ask := func(cursor, more, want string) (got api.Synced) {
		t.Helper()
		w.sync("bob", cursor, more).want(200, "").decode(&got)
		var says []string
		for _, e := range got.Entries {
			says = append(says, fmt.Sprint(e.ID, e.Title))
		}
		if text := fmt.Sprintf("%d %v %v %v %v", got.Rev, got.Reset, says, got.Gone, got.More); text != want {
			t.Errorf("got %s, want %s", text, want)
		}
		return got
	}
	got := ask("", "", "0 true [] [] false")
	for _, title := range []string{"a", "b", "c"} {
		w.add("bob", title, "")
	}
	got = ask(got.Cursor, "&limit=2", "3 true [1a 2b] [] true") // the list began: it is another one
	w.do("PATCH", "/v1/lists/bob/entries/1", `{"title":"A"}`).want(200, "")
	got = ask(got.Cursor, "&limit=2", "4 false [3c] [] true") // the rest, and what changed meanwhile is still to come
	got = ask(got.Cursor, "", "4 false [1A] [] false")
	again := ask(got.Cursor, "", "4 false [] [] false")
	w.add("ann", "x", "")
	w.do("DELETE", "/v1/lists/bob/entries/2", "").want(204, "")
	w.do("PATCH", "/v1/lists/bob/entries/3", `{"title":"C"}`).want(200, "")
	w.do("PATCH", "/v1/lists/bob/entries/3", `{"title":"D"}`).want(200, "")
	ask(got.Cursor, "&limit=1", "8 false [] [2] true")
	ask(again.Cursor, "&consistency=stale", "8 false [3D] [2] false")
	w.do("HEAD", "/v1/lists/bob/sync", "").want(200, "").has("Todod-Index", "8")

	w.do("DELETE", "/v1/lists/bob", "").want(204, "")
	ask(got.Cursor, "", "0 true [] [] false")
	w.add("bob", "new", "")
	ask(got.Cursor, "", "10 true [4new] [] false")

	for _, cursor := range []string{"x", got.Cursor + "A", "AQ", cursor{epoch: 7, query: hashQuery("lists", ""), text: "1.1"}.String(),
		cursor{epoch: 7, query: syncQuery, text: "1"}.String(), cursor{epoch: 7, query: syncQuery, text: "01.1"}.String(), cursor{epoch: 7, query: syncQuery, text: "1.-1"}.String()} {
		w.sync("bob", url.QueryEscape(cursor), "").problem(api.CodeInvalid, "", "cursor must be")
	}
	w.sync("bob", syncPoint{num: 1, rev: 1}.cursor(8), "").problem(api.CodeGone, "", "without a cursor")
	w.sync("bob", "", "&limit=0").problem(api.CodeInvalid, "")
	backup := w.do("GET", "/v1/backup", "").want(200, "").body
	w.do("POST", "/v1/restore?foreign=true", backup, "Content-Type: application/octet-stream").want(200, "")
	w.sync("bob", got.Cursor, "").problem(api.CodeGone, "", "restore")
}

// A node that is behind the one before is waited for, and no older state is given.
func TestSyncAtANodeThatIsBehind(t *testing.T) {
	w := newWorld(t)
	w.add("bob", "a", "")
	w.do("GET", "/v1/lists/bob/sync?consistency=stale&cursor="+syncPoint{num: 1, rev: 9}.cursor(7), "", "Prefer: wait=1").problem(api.CodeBehind, "")
}

// Whatever happens to a list between two calls, what a client made of the answers is the list.
func TestSyncComesToTheList(t *testing.T) {
	w := newWorld(t)
	c, _ := w.nodes(2)
	n := 0
	rapid.Check(t, func(rt *rapid.T) {
		n++
		bob := fmt.Sprint("bob", n)
		mirror := copied{}
		call := func() bool {
			got, _, err := c.Sync(t.Context(), bob, mirror.cursor, rapid.IntRange(1, 5).Draw(rt, "limit"), api.ReadOptions{})
			if err != nil {
				rt.Fatal(err)
			}
			mirror.take(t, got)
			return got.More
		}
		for range rapid.IntRange(0, 25).Draw(rt, "steps") {
			id := rapid.IntRange(1, 8).Draw(rt, "id")
			entry := fmt.Sprint("/v1/lists/", bob, "/entries/", id)
			switch rapid.IntRange(0, 12).Draw(rt, "what") {
			case 0, 1, 2, 3:
				w.add(rapid.SampledFrom([]string{bob, bob, "ann"}).Draw(rt, "list"), "x", "")
			case 4, 5:
				w.do("PATCH", entry, fmt.Sprintf(`{"title":%q}`, rapid.StringMatching("[a-z]").Draw(rt, "title")))
			case 6, 7:
				w.do("DELETE", entry, "")
			case 8:
				w.do("POST", "/v1/batch", strings.ReplaceAll(`{"commands":[{"op":"add","list":"@","title":"y"},{"op":"add","list":"ann","title":"y"},{"op":"add","list":"@","title":"z"}]}`, "@", bob))
			case 9:
				if rapid.IntRange(0, 3).Draw(rt, "really") == 0 {
					w.do("DELETE", "/v1/lists/"+bob, "")
				}
			default:
				call()
			}
		}
		for call() {
		}
		want := map[uint64]api.Entry{}
		for e, err := range c.AllEntries(t.Context(), bob, api.EntriesQuery{}, api.ReadOptions{}) {
			if err != nil {
				rt.Fatal(err)
			}
			want[e.ID] = e
		}
		if !maps.EqualFunc(mirror.entries, want, func(a, b api.Entry) bool { return reflect.DeepEqual(a, b) }) {
			rt.Fatalf("the copy is %v, the list %v", mirror.entries, want)
		}
	})
}

// A copy stays right while others write between its pages.
func TestSyncWhileOthersWrite(t *testing.T) {
	w := newWorld(t)
	c, _ := w.nodes(2)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range 300 {
			switch id := uint64(rand.IntN(i+1) + 1); i % 3 {
			case 0, 1:
				w.add("bob", strings.Repeat("x", i%7+1), "")
			default:
				_, _ = c.DeleteEntry(t.Context(), "bob", id, api.WriteOptions{}) // which may be gone already
			}
		}
	}()
	mirror := copied{}
	for open := true; open; {
		select {
		case <-done:
			open = false
		default:
		}
		for more := true; more; {
			got, _, err := c.Sync(t.Context(), "bob", mirror.cursor, 10, api.ReadOptions{})
			if err != nil {
				t.Fatal(err)
			}
			mirror.take(t, got)
			more = got.More
		}
	}
	n := 0
	for e, err := range c.AllEntries(t.Context(), "bob", api.EntriesQuery{}, api.ReadOptions{}) {
		if err != nil || !reflect.DeepEqual(mirror.entries[e.ID], e) {
			t.Fatalf("%+v is %+v in the copy, %v", e, mirror.entries[e.ID], err)
		}
		n++
	}
	if n != len(mirror.entries) {
		t.Errorf("%d entries, %d in the copy", n, len(mirror.entries))
	}
}
