package httpapi

import (
	"fmt"
	"strings"
	"testing"

	"todod/httpapi/api"
	"todod/server"
)

// trash are the ids in bob's trash, in pages of two.
func trash(w *world) string {
	w.t.Helper()
	ids, path := []string{}, "/v1/lists/bob/trash?limit=2"
	for next := ""; ; {
		var page api.Trash
		w.do("GET", path+next, "").want(200, "").decode(&page)
		for _, e := range page.Trash {
			ids = append(ids, fmt.Sprint(e.ID))
		}
		if page.Next == "" {
			return strings.Join(ids, " ")
		}
		next = "&cursor=" + page.Next
	}
}

// What is deleted is in the trash, until it is restored or deleted for good.
func TestTrash(t *testing.T) {
	w := newWorld(t)
	w.do("POST", "/v1/batch", `{"commands":[{"op":"add","list":"bob","title":"a","uid":"u"},{"op":"add","list":"bob","title":"b","parent_of":0},
		{"op":"add","list":"bob","title":"c"},{"op":"add","list":"bob","title":"d"}]}`).want(200, "")
	if got := trash(w); got != "" {
		t.Errorf("the trash has %s", got)
	}
	w.do("DELETE", "/v1/lists/bob/entries/1", "").want(204, "")
	w.do("DELETE", "/v1/lists/bob/entries/4", "").want(204, "")
	if got := trash(w); got != "1 2 4" {
		t.Errorf("the trash has %s", got)
	}
	var page api.Trash
	w.do("GET", "/v1/lists/bob/trash", "").want(200, "").decode(&page)
	if e := page.Trash[1]; e.List != "bob" || e.Title != "b" || e.With != 1 || e.DeletedRev != 2 || e.Rev != 1 || !e.Deleted.After(e.Updated) {
		t.Errorf("the trash has %+v", e)
	}
	w.do("GET", "/v1/lists/bob/entries/1", "").problem(api.CodeNotFound, "", "no entry")
	w.do("DELETE", "/v1/lists/bob/entries/1", "").problem(api.CodeNotFound, "not_applied", "no entry")

	w.do("POST", "/v1/lists/bob/entries", `{"title":"e","uid":"u"}`).want(201, "")
	var p api.Problem
	w.do("POST", "/v1/lists/bob/trash/1/restore", "").problem(api.CodeConflict, "not_applied", "uid").decode(&p)
	if p.Current == nil || p.Current.ID != 5 {
		t.Errorf("in the way is %+v", p.Current)
	}
	w.do("DELETE", "/v1/lists/bob/entries/5?purge=true", "").want(204, "")
	w.do("POST", "/v1/lists/bob/trash/1/restore", "", `If-Match: "7.9"`).problem(api.CodePrecondition, "not_applied", "")
	var e api.Entry
	w.do("POST", "/v1/lists/bob/trash/1/restore", "", `If-Match: "7.1"`).want(200, "").has("ETag", `"7.6"`).decode(&e)
	if e.ID != 1 || e.Title != "a" || e.Rev != 6 {
		t.Errorf("restored: %+v", e)
	}
	w.do("GET", "/v1/lists/bob/entries/2", "").want(200, "").decode(&e)
	if e.Parent != 1 {
		t.Errorf("what went along: %+v", e)
	}
	w.do("DELETE", "/v1/lists/bob/trash/4", "").want(204, "")
	w.do("DELETE", "/v1/lists/bob/trash/3", "").problem(api.CodeNotFound, "not_applied", "the trash of the list")
	if got := trash(w); got != "" {
		t.Errorf("the trash has %s", got)
	}
	w.do("POST", "/v1/batch", `{"commands":[{"op":"delete","list":"bob","id":3},{"op":"restore","list":"bob","id":3},{"op":"delete","list":"bob","id":3},{"op":"purge","list":"bob","id":3}]}`).want(200, "")
	for path, says := range map[string]string{
		"/v1/lists/bob/entries/1?purge=yes": "purge must be true or false",
		"/v1/lists/bob/entries/1?x=1":       "not a known parameter",
		"/v1/lists/bob/trash/0":             "id must be",
		"/v1/lists/a%2Fb/trash/1":           "list must not contain /",
	} {
		w.do("DELETE", path, "").problem(api.CodeInvalid, "not_applied", says)
	}
	w.do("GET", "/v1/lists/bob/trash?cursor=x", "").problem(api.CodeInvalid, "", "cursor")
	w.do("GET", "/v1/lists/nobody/trash", "").want(200, `{"list":"nobody","trash":[]}`)
}

// What an entry was is told field by field, the newest first.
func TestHistory(t *testing.T) {
	w := newWorld(t)
	const path = "/v1/lists/bob/entries/1"
	w.do("POST", "/v1/lists/bob/entries", `{"title":"Dentist"}`).want(201, "")
	w.do("GET", path+"/history", "").want(200, `{"list":"bob","id":1,"changes":[]}`)
	w.do("PATCH", path, `{"title":"Doctor","date":"2018-12-19","tags":["health"],"priority":1}`).want(200, "")
	w.do("PATCH", path, `{"done":true,"tags":null}`).want(200, "")
	w.do("DELETE", path, "").want(204, "")
	w.do("GET", path+"/history?limit=2", "").want(200, "").decode(new(api.History))
	var page api.History
	first := w.do("GET", path+"/history?limit=2", "").want(200, "")
	for _, part := range []string{
		`"op":"delete","fields":{}`, `"rev":3,`, `"op":"patch","fields":{"completed":{"from":null,"to":"2018-12-19T11:00:00.004Z"},"done":{"from":false,"to":true},"tags":{"from":["health"],"to":null}}`,
	} {
		if !strings.Contains(first.body, part) {
			t.Errorf("%s\nlacks %s", first.body, part)
		}
	}
	first.decode(&page)
	w.do("GET", path+"/history?cursor="+page.Next, "").want(200, `{"list":"bob","id":1,"changes":[{"rev":2,"time":"2018-12-19T11:00:00.003Z","op":"patch",`+
		`"fields":{"date":{"from":null,"to":"2018-12-19"},"priority":{"from":null,"to":1},"tags":{"from":null,"to":["health"]},"title":{"from":"Dentist","to":"Doctor"}}}]}`)
	w.do("DELETE", "/v1/lists/bob/trash/1", "").want(204, "")
	w.do("GET", path+"/history", "").problem(api.CodeNotFound, "", "no entry")
	w.do("GET", "/v1/lists/nobody/entries/1/history", "").problem(api.CodeNotFound, "", "")
	w.do("GET", path+"/history?cursor=x", "").problem(api.CodeInvalid, "", "cursor")
}

func TestUndo(t *testing.T) {
	w := newWorld(t)
	w.do("POST", "/v1/lists/bob/entries", `{"title":"a"}`).want(201, "")
	w.do("POST", "/v1/batch", `{"commands":[{"op":"patch","list":"bob","id":1,"title":"b"},{"op":"add","list":"eve","title":"c"}]}`).want(200, "")
	const key = "Idempotency-Key: 0123456789-undo-it"
	var out api.BatchResult
	w.do("POST", "/v1/undo", `{"rev":2}`, key).want(200, "").has("Todod-Index", "3").decode(&out)
	if out.Rev != 3 || len(out.Results) != 2 || out.Results[0].Op != "patch" || out.Results[0].Entry.Title != "a" || out.Results[1].Op != "delete" || out.Results[1].List != "eve" {
		t.Errorf("undone: %+v", out)
	}
	w.do("POST", "/v1/undo", `{"rev":2}`, key).want(200, "").has("Idempotency-Replayed", "true")
	var p api.Problem
	w.do("POST", "/v1/undo", `{"rev":2}`).problem(api.CodeConflict, "not_applied", "changed again").decode(&p)
	if p.Current == nil || p.Current.Title != "a" || p.Current.Rev != 3 {
		t.Errorf("in the way is %+v", p.Current)
	}
	w.do("POST", "/v1/undo", `{"rev":3}`).want(200, "").has("Todod-Index", "4")
	w.do("GET", "/v1/lists/eve/entries/1", "").want(200, "")
	w.do("POST", "/v1/undo", `{"rev":9}`).problem(api.CodeNotFound, "not_applied", "no change has that rev")
	w.do("DELETE", "/v1/lists/eve", "").want(204, "")
	w.do("POST", "/v1/undo", `{"rev":5}`).problem(api.CodeConflict, "not_applied", "does not come back")
	w.do("DELETE", "/v1/lists/bob/entries/1?purge=true", "").want(204, "")
	w.do("POST", "/v1/undo", `{"rev":6}`).problem(api.CodeGone, "not_applied", "no longer kept")
	for body, says := range map[string]string{
		`{}`: "rev must be", `{"rev":0}`: "rev must be", `{"rev":-1}`: "rev must be", `{"rev":1.5}`: "rev must be", `{"list":"bob","rev":1}`: "not a known field",
	} {
		w.do("POST", "/v1/undo", body).problem(api.CodeInvalid, "not_applied", says)
	}
	w.do("POST", "/v1/undo", `{"rev":1}`, "If-Match: *").problem(api.CodeInvalid, "not_applied", "If-Match must not be given")
	w.do("POST", "/v1/batch", `{"commands":[{"op":"undo","list":"bob"}]}`).problem(api.CodeInvalid, "not_applied", "op must be")
}

// Who looks for an entry that was moved is told where it is.
func TestMovedIsTold(t *testing.T) {
	w := newWorld(t)
	w.do("POST", "/v1/lists/bob/entries", `{"title":"a"}`).want(201, "")
	w.do("POST", "/v1/lists/bob/entries/1/move", `{"to":"eve"}`).want(200, "")
	w.do("PATCH", "/v1/lists/eve/entries/1", `{"title":"b"}`).want(200, "")
	for _, method := range []string{"GET", "DELETE"} {
		var p api.Problem
		w.do(method, "/v1/lists/bob/entries/1", "").want(410, "").decode(&p)
		if p.Code != string(api.CodeMoved) || p.Current == nil || p.Current.List != "eve" || p.Current.ID != 1 || p.Current.Title != "b" {
			t.Errorf("%s: %+v, %+v", method, p, p.Current)
		}
	}
	w.do("POST", "/v1/lists/bob/trash/1/restore", "").problem(api.CodeNotFound, "not_applied", "the trash")
	w.do("GET", "/v1/lists/bob/trash", "").want(200, `{"list":"bob","trash":[]}`)
	w.do("POST", "/v1/undo", `{"rev":2}`).problem(api.CodeConflict, "not_applied", "changed again")
	w.do("POST", "/v1/undo", `{"rev":3}`).want(200, "")
	w.do("POST", "/v1/lists/eve/entries/1/move", `{"to":"ann"}`).want(200, "")
	w.do("POST", "/v1/undo", `{"rev":5}`).want(200, "")
	w.do("GET", "/v1/lists/eve/entries/1", "").want(200, "")
	w.do("GET", "/v1/lists/ann/entries/1", "").want(410, "")
}

// What a list is like is undone as entries are, but not its name.
func TestUndoOfAList(t *testing.T) {
	w := newWorld(t)
	w.add("bob", "a", "")
	w.do("PATCH", "/v1/lists/bob", `{"title":"Bob's","colour":"#3366cc"}`).want(200, "")
	w.do("PATCH", "/v1/lists/bob", `{"archived":true,"title":null}`).want(200, "")
	w.do("POST", "/v1/undo", `{"rev":2}`).problem(api.CodeConflict, "not_applied", "changed again")
	w.do("POST", "/v1/undo", `{"rev":3}`).want(200, `{"rev":4,"results":[{"op":"patch_list","list":"bob"}]}`)
	w.do("GET", "/v1/lists/bob", "").want(200, `{"name":"bob","entries":1,"open":1,"rev":4,"title":"Bob's","colour":"#3366cc"}`)
	w.do("POST", "/v1/undo", `{"rev":4}`).want(200, "") // and again
	w.do("GET", "/v1/lists/bob", "").want(200, `{"name":"bob","entries":1,"open":1,"rev":5,"colour":"#3366cc","archived":true}`)
	w.do("PATCH", "/v1/lists/bob", `{"name":"rob","title":"x"}`).want(200, "")
	w.do("POST", "/v1/undo", `{"rev":6}`).problem(api.CodeConflict, "not_applied", "gave a list another name", "PATCH")
	w.do("POST", "/v1/undo", `{"rev":5}`).problem(api.CodeConflict, "not_applied", "changed again")
	w.do("DELETE", "/v1/lists/rob", "").want(204, "")
	w.do("POST", "/v1/undo", `{"rev":7}`).problem(api.CodeConflict, "not_applied", "does not come back")
}

// The group says how long its trash is kept, and how much of its changes.
func TestSettings(t *testing.T) {
	w := newWorld(t)
	const path = "/v1/cluster/settings"
	w.do("GET", path, "").want(200, `{"trash_days":30,"events_mib":128}`)
	w.do("PATCH", path, `{"trash_days":90}`).want(200, `{"trash_days":90,"events_mib":128}`)
	w.do("PATCH", path, `{"events_mib":16}`).want(200, `{"trash_days":90,"events_mib":16}`)
	w.do("PATCH", path, `{}`).want(200, `{"trash_days":90,"events_mib":16}`)
	w.do("GET", path+"?consistency=stale", "").want(200, `{"trash_days":90,"events_mib":16}`)
	for body, says := range map[string]string{
		`{"trash_days":0}`: "trash_days must be", `{"trash_days":3651}`: "from 1 to 3650", `{"trash_days":"7"}`: "trash_days must be", `{"days":7}`: "not a known field",
		`{"events_mib":0}`: "events_mib must be", `{"trash_days":9,"events_mib":1025}`: "events_mib must be a whole number from 1 to 1024", `{"events_mib":0.5}`: "events_mib must be",
	} {
		w.do("PATCH", path, body).problem(api.CodeInvalid, "not_applied", says)
	}
	w.do("GET", path, "").want(200, `{"trash_days":90,"events_mib":16}`)
	// The answer is what the group has then, and not what this node, which may follow, happens to have.
	w.node.set(func(g *group) { g.readErr = &server.Error{Kind: server.KindNoLeader, Detail: "no leader"} })
	w.do("PATCH", path, `{"trash_days":60}`).problem(api.CodeNoLeader, "applied")
	w.node.set(func(g *group) { g.readErr = nil })
	w.do("GET", path, "").want(200, `{"trash_days":60,"events_mib":16}`)
}
