package httpapi

import (
	"fmt"
	"strings"
	"testing"

	"todod/fsm"
	"todod/fsm/todo"
	"todod/httpapi/api"
	"todod/server"
)

// outcomes is what was asked and answered, and whether it was so.
type outcomes struct {
	*world
	seen map[api.Code]map[string]bool
}

// stored is all that lists come to: the rev, and the hash of all rows.
func (o *outcomes) stored() string {
	_, rev := o.node.replica.Applied()
	return fmt.Sprint(rev, o.node.replica.Hash().Set)
}

// check sends a request and expects an error with an outcome that the store bears out: with
// not_applied nothing changed, with applied something did. For unknown the case says which it was.
func (o *outcomes) check(code api.Code, outcome string, changes bool, method, path, body string, header ...string) {
	o.t.Helper()
	before := o.stored()
	o.do(method, path, body, header...).problem(code, outcome)
	if changed := o.stored() != before; changed != changes || changed && outcome == api.NotApplied || !changed && outcome == api.Applied {
		o.t.Errorf("%s %s: %s, outcome %q, and the store changed: %v", method, path, code, outcome, changed)
	}
	if o.seen[code] == nil {
		o.seen[code] = map[string]bool{}
	}
	o.seen[code][outcome] = true
}

// Every code of an error, by every way that leads to it, says what became of the write, and the
// store agrees. A code without a case here fails.
func TestOutcomesAreTrue(t *testing.T) {
	o := &outcomes{newWorld(t), map[api.Code]map[string]bool{}}
	o.odd.Store(true)
	for i := range 20 {
		o.add("bob", fmt.Sprint("entry ", i), "")
	}
	o.ownRefusals()
	o.refusalsOfTheLists()
	o.failuresOfTheNode()
	o.defects()
	o.reads()
	for code := range api.Statuses {
		if len(o.seen[code]) == 0 {
			t.Errorf("no case for the code %q", code)
		}
	}
}

// ownRefusals are those of this package, before the node hears of anything.
func (o *outcomes) ownRefusals() {
	const path, body = "/v1/lists/bob/entries", `{"title":"a"}`
	for _, c := range []struct {
		code               api.Code
		method, path, body string
		header             string
	}{
		{api.CodeInvalid, "POST", path, `{"title":""}`, ""},
		{api.CodeInvalid, "POST", path, `{"title":"a","extra":1}`, ""},
		{api.CodeInvalid, "POST", path + "?x=1", body, ""},
		{api.CodeInvalid, "POST", path, body, "Idempotency-Key: short"},
		{api.CodeInvalid, "POST", path, body, "If-Match: x"},
		{api.CodeInvalid, "PUT", path + "/x", body, ""},
		{api.CodeInvalid, "DELETE", "/v1/lists/a%2Fb", "", ""},
		{api.CodeInvalid, "POST", "/v1/batch", `{"commands":[]}`, ""},
		{api.CodeInvalid, "POST", "/v1/batch", `{"commands":[{"op":"add","list":"bob","title":"a"},{"op":"add","list":"bob","title":""}]}`, ""},
		{api.CodeInvalid, "POST", "/v1/batch", `{"commands":[{"op":"add","list":"bob","title":"a"}]}`, "If-Match: *"},
		{api.CodeInvalid, "POST", "/v1/cluster/members", `{}`, ""},
		{api.CodeForbidden, "POST", path, body, "Sec-Fetch-Site: cross-site"},
		{api.CodeNotFound, "POST", "/v1/nothing", body, ""},
		{api.CodeMethod, "PATCH", path, body, ""},
		{api.CodeMethod, "POST", "/v1/cluster", body, ""},
		{api.CodeTooLarge, "POST", path, `{"title":"` + strings.Repeat("a", maxBody) + `"}`, ""},
		{api.CodeMediaType, "POST", path, body, "Content-Type: text/plain"},
		{api.CodeMisdirected, "POST", path, body, "Host: elsewhere.example"},
	} {
		var header []string
		if c.header != "" {
			header = []string{c.header}
		}
		o.check(c.code, api.NotApplied, false, c.method, c.path, c.body, header...)
	}
}

// refusalsOfTheLists are results of Apply: the first time, and again under a key, which stores the
// answer and nothing else.
func (o *outcomes) refusalsOfTheLists() {
	o.add("bob", "entry that moved", "")
	o.do("POST", "/v1/lists/bob/entries/21/move", `{"to":"eve"}`).want(200, "")
	o.do("PATCH", "/v1/lists/eve/entries/1", `{"title":"and changed"}`).want(200, "")
	_, moved := o.node.replica.Applied()
	for _, c := range []struct {
		code               api.Code
		method, path, body string
		header             []string
	}{
		{api.CodeNotFound, "DELETE", "/v1/lists/nobody", "", nil},
		{api.CodeNotFound, "DELETE", "/v1/lists/bob/entries/99", "", nil},
		{api.CodeNotFound, "PUT", "/v1/lists/bob/entries/99", `{"title":"a"}`, nil},
		{api.CodeNotFound, "PATCH", "/v1/lists/nobody/entries/1", `{"done":true}`, nil},
		{api.CodeNotFound, "POST", "/v1/batch", `{"commands":[{"op":"add","list":"bob","title":"a"},{"op":"delete","list":"bob","id":99}]}`, nil},
		{api.CodePrecondition, "DELETE", "/v1/lists/bob/entries/1", "", []string{`If-Match: "7.99"`}},
		{api.CodePrecondition, "POST", "/v1/lists/bob/entries", `{"title":"a"}`, []string{"If-None-Match: *"}},
		{api.CodeMoved, "PATCH", "/v1/lists/bob/entries/21", `{"done":true}`, nil},
		{api.CodeMoved, "DELETE", "/v1/lists/bob/entries/21", "", nil},
		{api.CodeNotFound, "POST", "/v1/lists/bob/trash/1/restore", "", nil},
		{api.CodeNotFound, "DELETE", "/v1/lists/bob/trash/21", "", nil},
		{api.CodeConflict, "POST", "/v1/undo", fmt.Sprintf(`{"rev":%d}`, moved-1), nil},
	} {
		o.check(c.code, api.NotApplied, false, c.method, c.path, c.body, c.header...)
		_, rev := o.node.replica.Applied()
		keyed := append(c.header, "Idempotency-Key: key for "+strings.ReplaceAll(c.method+c.path, "/", "-"))
		for i := range 3 { // the first is stored under its key, the others replay it
			keyed[len(keyed)-1] = strings.ReplaceAll(keyed[len(keyed)-1], "key for ", "0123456789-key-for-")
			a := o.do(c.method, c.path, c.body, keyed...).problem(c.code, api.NotApplied)
			if replayed := a.header.Get("Idempotency-Replayed"); replayed == "true" != (i > 0) {
				o.t.Errorf("%s %s, time %d: replayed %q", c.method, c.path, i, replayed)
			}
		}
		if _, now := o.node.replica.Applied(); now != rev {
			o.t.Errorf("%s %s: refused under a key, and took a rev", c.method, c.path)
		}
	}
	key := "Idempotency-Key: 0123456789-key-reused"
	o.do("POST", "/v1/lists/bob/entries", `{"title":"a"}`, key).want(201, "").lacks("Idempotency-Replayed")
	before := o.stored()
	o.do("POST", "/v1/lists/bob/entries", `{"title":"a"}`, key).want(201, "").has("Idempotency-Replayed", "true")
	o.check(api.CodeKeyReused, api.NotApplied, false, "POST", "/v1/lists/bob/entries", `{"title":"b"}`, key)
	o.check(api.CodeKeyReused, api.NotApplied, false, "POST", "/v1/lists/ann/entries", `{"title":"a"}`, key)
	o.check(api.CodeKeyReused, api.NotApplied, false, "DELETE", "/v1/lists/bob", "", key)
	o.check(api.CodeKeyReused, api.NotApplied, false, "POST", "/v1/batch", `{"commands":[{"op":"add","list":"bob","title":"a"}]}`, key)
	if o.stored() != before {
		o.t.Error("a replay or another request under its key changed something")
	}
	// What takes a million keys or entries is shown in package fsm: here only how it is told.
	for code, want := range map[todo.Code]api.Code{todo.ListFull: api.CodeConflict, todo.Moved: api.CodeMoved, fsm.KeysFull: api.CodeKeysFull} {
		o.node.set(func(g *group) { g.answers = &fsm.Result{Code: code} })
		o.check(want, api.NotApplied, false, "POST", "/v1/lists/bob/entries", `{"title":"a"}`)
	}
	o.node.set(func(g *group) { *g = group{} })
}

// failuresOfTheNode is every kind of failure with every outcome, on every route that writes. One whose outcome
// is not known may have been applied or not.
func (o *outcomes) failuresOfTheNode() {
	id := 0
	for kind := server.KindNoLeader; int(kind) < len(kindCodes); kind++ {
		for _, outcome := range []server.Outcome{server.NotApplied, server.Applied, server.UnknownOutcome} {
			for _, late := range []bool{false, true} {
				if late && outcome == server.NotApplied || !late && outcome == server.Applied {
					continue // the node would lie: server has tests of its own for that
				}
				id++
				entry := fmt.Sprint("/v1/lists/bob/entries/", id%20+1)
				for _, c := range []struct{ method, path, body string }{
					{"POST", "/v1/lists/bob/entries", `{"title":"a"}`},
					{"PUT", entry, fmt.Sprintf(`{"title":"put %d"}`, id)},
					{"PATCH", entry, fmt.Sprintf(`{"title":"patched %d"}`, id)},
					{"POST", "/v1/batch", `{"commands":[{"op":"add","list":"bob","title":"a"}]}`},
					{"POST", "/v1/lists/gone/entries", `{"title":"a"}`},
					{"DELETE", "/v1/lists/gone", ""},
				} {
					if c.path == "/v1/lists/gone" {
						o.node.set(func(g *group) { *g = group{} })
						o.add("gone", "a", "")
					}
					o.node.set(func(g *group) {
						g.writeErr, g.late = &server.Error{Kind: kind, Outcome: outcome, Detail: "what happened"}, late
					})
					o.check(told(kind, outcome), outcome.String(), late, c.method, c.path, c.body)
				}
			}
		}
	}
	o.node.set(func(g *group) { *g = group{} })
}

// told is the code of a failed write: 429 and 503 promise that nothing was done, 504 that nobody knows.
func told(kind server.Kind, outcome server.Outcome) api.Code {
	code := kindCodes[kind]
	status := api.Statuses[code]
	switch {
	case outcome == server.UnknownOutcome && (status == 429 || status == 503):
		return api.CodeTimeout
	case outcome == server.NotApplied && status == 504:
		return api.CodeOverloaded
	}
	return code
}

// defects are failures that nobody foresaw: before the write, in it, and after it was applied.
func (o *outcomes) defects() {
	const path, body = "/v1/lists/bob/entries", `{"title":"a"}`
	for _, late := range []bool{false, true} {
		o.node.set(func(g *group) { g.writeErr, g.late = fmt.Errorf("unforeseen"), late })
		o.check(api.CodeInternal, api.Unknown, late, "POST", path, body)
	}
	o.node.set(func(g *group) { *g = group{panics: "unforeseen"} })
	o.check(api.CodeInternal, api.Unknown, false, "POST", path, body)
	o.node.set(func(g *group) { *g = group{answers: &fsm.Result{Code: 200}} })
	o.check(api.CodeInternal, api.NotApplied, false, "POST", path, body)
	o.node.set(func(g *group) { *g = group{answers: &fsm.Result{}} }) // applied, and its answer panics
	o.check(api.CodeInternal, api.Applied, true, "POST", path, body)
	o.node.set(func(g *group) { *g = group{} })
}

// reads have no outcome; some codes are theirs alone.
func (o *outcomes) reads() {
	old := cursor{epoch: testEpoch - 1, query: hashQuery("lists", ""), text: "a"}.String()
	o.check(api.CodeGone, "", false, "GET", "/v1/lists?cursor="+old, "")
	o.check(api.CodeBehind, "", false, "GET", "/v1/lists?consistency=stale", "", "Todod-Min-Index: 9999", "Prefer: wait=1")
}
