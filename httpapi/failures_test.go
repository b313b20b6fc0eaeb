package httpapi

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"todod/fsm"
	"todod/fsm/todo"
	"todod/httpapi/api"
	"todod/server"
)

// Every kind of failure of a node has a code, and a write's outcome is what the node said.
func TestFailuresOfTheNode(t *testing.T) {
	w := newWorld(t)
	w.odd.Store(true)
	const no, unknown, applied = server.NotApplied, server.UnknownOutcome, server.Applied
	for _, c := range []struct {
		kind    server.Kind
		outcome server.Outcome
		read    api.Code // what a read answers
		write   api.Code // what a write answers
	}{
		{server.KindNoLeader, no, api.CodeNoLeader, api.CodeNoLeader},
		{server.KindNoLeader, unknown, api.CodeNoLeader, api.CodeTimeout},
		{server.KindOverloaded, no, api.CodeOverloaded, api.CodeOverloaded},
		{server.KindMailboxFull, no, api.CodeMailboxFull, api.CodeMailboxFull},
		{server.KindMailboxFull, unknown, api.CodeMailboxFull, api.CodeTimeout},
		{server.KindBehind, no, api.CodeBehind, api.CodeBehind},
		{server.KindBehind, applied, api.CodeBehind, api.CodeBehind},
		{server.KindTimeout, unknown, api.CodeTimeout, api.CodeTimeout},
		{server.KindTimeout, no, api.CodeTimeout, api.CodeOverloaded},
		{server.KindClock, no, api.CodeClock, api.CodeClock},
		{server.KindConflict, no, api.CodeConflict, api.CodeConflict},
		{server.KindNotFound, no, api.CodeNotFound, api.CodeNotFound},
		{server.KindJoining, no, api.CodeJoining, api.CodeJoining},
		{server.KindStorage, no, api.CodeStorage, api.CodeStorage},
		{server.KindStorage, unknown, api.CodeStorage, api.CodeStorage},
		{server.KindStalled, no, api.CodeStalled, api.CodeStalled},
		{server.KindStalled, unknown, api.CodeStalled, api.CodeTimeout},
		{server.KindShutdown, no, api.CodeStopping, api.CodeStopping},
		{server.KindShutdown, unknown, api.CodeStopping, api.CodeTimeout},
		{server.KindInvalid, no, api.CodeInvalid, api.CodeInvalid},
	} {
		w.node.set(func(g *group) {
			g.writeErr = fmt.Errorf("wrapped: %w", &server.Error{Kind: c.kind, Outcome: c.outcome, Leader: "n2", Detail: "what happened"})
			g.readErr = g.writeErr
		})
		var p api.Problem
		w.do("POST", "/v1/lists/bob/entries", `{"title":"a"}`).problem(c.write, c.outcome.String(), "what happened").decode(&p)
		if p.Leader != "n2" {
			t.Errorf("kind %d: leader %q", c.kind, p.Leader)
		}
		w.do("GET", "/v1/lists/bob/entries", "").problem(c.read, "", "what happened")
	}
}

// A damaged row that a request comes upon ends the node, which is no defect: the client is sent to another one.
func TestDamageSendsToAnotherNode(t *testing.T) {
	w := newWorld(t)
	w.node.set(func(g *group) { g.panics = fmt.Errorf("a row with a wrong sum: %w", fsm.ErrCorrupt) })
	w.do("POST", "/v1/lists/bob/entries", `{"title":"a"}`).problem(api.CodeTimeout, "unknown", "damaged")
	w.do("GET", "/v1/lists", "").problem(api.CodeStopping, "", "damaged")
	w.do("GET", "/entries?list=bob&date=2018-12-19", "").line(503, "ask another one")
	if log := w.logs.String(); strings.Contains(log, "panicked") || strings.Contains(log, "stack=") {
		t.Errorf("the log says %q", log)
	}
}

// A defect is told to the log, not to the client.
func TestDefectsAreNotShown(t *testing.T) {
	w := newWorld(t)
	secret := errors.New("open /var/lib/todod/n1/replica.db: boom")
	w.node.set(func(g *group) { g.writeErr, g.readErr = secret, secret })
	a := w.do("PUT", "/v1/lists/bob/entries/1", `{"title":"a"}`).problem(api.CodeInternal, "unknown")
	b := w.do("GET", "/v1/lists", "").problem(api.CodeInternal, "")
	c := w.do("GET", "/entries?list=bob&date=2018-12-19", "").line(500, "wrong inside")
	w.node.set(func(g *group) { g.panics = secret })
	d := w.do("POST", "/v1/lists/bob/entries", `{"title":"a"}`).problem(api.CodeInternal, "unknown")
	e := w.do("POST", "/add_entry?list=bob&date=2018-12-19&title=a", "").line(500, "wrong inside")
	for _, answer := range []*answer{a, b, c, d, e} {
		if strings.Contains(answer.body, "boom") || strings.Contains(answer.body, "replica") {
			t.Errorf("%s shows %q", answer.what, answer.body)
		}
	}
	if log := w.logs.String(); strings.Count(log, "boom") < 5 || !strings.Contains(log, "stack=") {
		t.Errorf("the log says %q", log)
	}
	w.node.set(func(g *group) { *g = group{} })
	w.add("bob", "still up", "")
}

// Each code with which lists refuse a command has an answer; what is new must get one.
func TestRefusalsOfTheLists(t *testing.T) {
	for code, want := range map[todo.Code]api.Code{
		todo.NoList: api.CodeNotFound, todo.NoEntry: api.CodeNotFound, todo.Precondition: api.CodePrecondition, todo.ListFull: api.CodeConflict,
		fsm.KeyReused: api.CodeKeyReused, fsm.KeysFull: api.CodeKeysFull, fsm.SessionClosed: api.CodeOverloaded, fsm.NumberClosed: api.CodeTimeout,
		fsm.NotEmpty: api.CodeConflict, fsm.MemberKnown: api.CodeConflict, 200: api.CodeInternal, 30: api.CodeInternal,
	} {
		f := refused(&fsm.Result{Code: code}, false)
		unknown := code == fsm.NumberClosed
		if f.code != want || (f.outcome == server.UnknownOutcome) != unknown || f.outcome == server.Applied {
			t.Errorf("code %d: %s, %s", code, f.code, f.outcome)
		}
		before := *f
		if f.settle(); *f != before {
			t.Errorf("code %d: outcome and code disagree", code)
		}
	}
	for kind := server.KindNoLeader; kind <= server.KindVersion; kind++ {
		if kindCodes[kind] == "" {
			t.Errorf("kind %d has no code", kind)
		}
	}
}

func TestLevelsOfReading(t *testing.T) {
	w := newWorld(t)
	w.add("bob", "a", "2018-12-19")
	const v1, book = "/v1/lists/bob/entries?", "/entries?list=bob&date=2018-12-19&"
	for _, path := range []string{v1, "/v1/lists?", "/v1/lists/bob?", "/v1/lists/bob/entries/1?", book} {
		w.do("GET", path+"consistency=linearizable", "").want(200, "").has("Todod-Consistency", "linearizable").has("Todod-Index", "1").lacks("Todod-Last-Contact")
		w.do("GET", path+"consistency=auto", "").want(200, "").has("Todod-Consistency", "linearizable")
		w.do("GET", path+"consistency=stale", "").want(200, "").has("Todod-Consistency", "stale").has("Todod-Last-Contact", "0")
	}
	w.do("GET", v1, "").has("Todod-Consistency", "linearizable")
	w.do("GET", v1+"consistency=", "").problem(api.CodeInvalid, "", "consistency")
	w.do("GET", v1+"consistency=Stale", "").problem(api.CodeInvalid, "", "consistency")

	w.node.set(func(g *group) { g.level, g.contact = server.Stale, 1234*time.Millisecond })
	w.do("GET", book, "").want(200, "2018-12-19 a").has("Todod-Consistency", "stale").has("Todod-Last-Contact", "1234")
	w.node.set(func(g *group) { g.contact = -1 })
	w.do("GET", book, "").has("Todod-Last-Contact", "-1")
}

func TestReadYourWrites(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.RequestTimeout = 200 * time.Millisecond })
	w.add("bob", "a", "2018-12-19")
	w.do("GET", "/v1/lists/bob/entries?consistency=stale", "", "Todod-Min-Index: 1").want(200, "").has("Todod-Index", "1")
	w.do("GET", "/v1/lists/bob/entries?consistency=stale", "", "Todod-Min-Index: 2").problem(api.CodeBehind, "")
	w.do("GET", "/entries?list=bob&date=2018-12-19", "", "Todod-Min-Index: 2").line(503, "behind")
	for _, bad := range []string{"", "x", "-1", "1.5", "99999999999999999999"} {
		w.do("GET", "/v1/lists", "", "Todod-Min-Index: "+bad).problem(api.CodeInvalid, "", "Todod-Min-Index")
	}
	w.do("GET", "/v1/lists", "", "Todod-Min-Index: 1", "Todod-Min-Index: 1").problem(api.CodeInvalid, "", "Todod-Min-Index")
}

func TestTheCallerMayAskForLessTime(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.RequestTimeout = time.Minute })
	for prefer, want := range map[string]time.Duration{
		"wait=7": 7 * time.Second, "respond-async, Wait = \"8\"; x=y": 8 * time.Second, "wait=600": time.Minute,
		"wait=0": time.Minute, "wait=x, wait=3": time.Minute, "wait=-3": time.Minute, "handling=lenient": time.Minute,
	} {
		w.do("POST", "/v1/lists/bob/entries", `{"title":"a"}`, "Prefer: "+prefer).want(201, "")
		if left := w.node.look().left; left > want || left < want-5*time.Second {
			t.Errorf("Prefer: %s left %s, want %s", prefer, left, want)
		}
	}
}

// Many clients at once get each their own answer, and together all entries.
func TestManyClients(t *testing.T) {
	w := newWorld(t)
	const clients, each = 8, 40
	var all sync.WaitGroup
	for c := range clients {
		all.Go(func() {
			for i := range each {
				title := fmt.Sprintf("%d.%d %s", c, i, strings.Repeat("x", 40*c))
				a := w.do("POST", "/v1/lists/bob/entries", `{"title":"`+title+`"}`)
				b := w.do("GET", a.header.Get("Location"), "", "Todod-Min-Index: "+a.header.Get("Todod-Index"))
				page := w.do("GET", fmt.Sprintf("/v1/lists/bob/entries?limit=%d", c+1), "")
				if a.status != 201 || a.body != b.body || !strings.Contains(a.body, `"`+title+`"`) || page.status != 200 {
					t.Errorf("%s: %d %q, %d %q, %d", title, a.status, a.body, b.status, b.body, page.status)
				}
			}
		})
	}
	all.Wait()
	if n := w.entries(); n != clients*each {
		t.Errorf("%d entries, want %d", n, clients*each)
	}
}
