package httpapi

import (
	"bufio"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"todod/fsm"
	"todod/httpapi/api"
	"todod/server"
)

func TestTheGroup(t *testing.T) {
	w := newWorld(t)
	w.do("GET", "/v1/cluster", "").want(200, `{"id":"","leader":"","term":0,"commit":0,"applied":0,"snapshot":0,"state":"member","group":"","folder":"","version":"","reads":0,"members":[],"group_version":0}`)
	yes := true
	w.node.set(func(g *group) {
		g.cluster = server.Cluster{ID: "n1", State: server.StateMember, Group: "g", Leader: "n2", Term: 3, Commit: 9, Applied: 8, Snapshot: 5, Version: "1.0", Folder: "f", Reads: 2, GroupVersion: 1,
			Members: []server.Member{{ID: "n1", HTTP: "127.0.0.1:1", Raft: "127.0.0.1:2", Voter: true, Contact: -1, Disk: server.DiskStalled, Free: 7},
				{ID: "n2", HTTP: "127.0.0.1:3", Raft: "127.0.0.1:4", Alive: &yes, Contact: 1500 * time.Microsecond, Applied: 8, Version: "1.1", Reads: 2}}}
	})
	w.do("GET", "/v1/cluster", "").want(200, `{"id":"n1","leader":"n2","term":3,"commit":9,"applied":8,"snapshot":5,"state":"member","group":"g","folder":"f","version":"1.0","reads":2,"members":[`+
		`{"id":"n1","http":"127.0.0.1:1","raft":"127.0.0.1:2","voter":true,"alive":null,"last_contact_ms":-1,"applied":0,"version":"","reads":0,"disk":"stalled","disk_free_bytes":7},`+
		`{"id":"n2","http":"127.0.0.1:3","raft":"127.0.0.1:4","voter":false,"alive":true,"last_contact_ms":1,"applied":8,"version":"1.1","reads":2,"disk":"","disk_free_bytes":0}],"group_version":1}`).lacks("Todod-Index")

	w.node.set(func(g *group) {
		g.cluster = server.Cluster{ID: "n1", State: server.StateMember, Diverged: &server.Divergence{Index: 9, Agreed: 7, Hashes: map[string]fsm.Hash{"n1": {Index: 9, Chain: "a", Set: "b"}}}}
	})
	w.do("GET", "/v1/cluster", "").want(200, `{"id":"n1","leader":"","term":0,"commit":0,"applied":0,"snapshot":0,"state":"member","group":"","folder":"","version":"","reads":0,"members":[],"group_version":0,`+
		`"diverged":{"index":9,"agreed":7,"hashes":{"n1":{"index":9,"chain":"a","set":"b"}}}}`)

	const join = `{"id":"n3","http":"127.0.0.1:5","raft":"127.0.0.1:6","folder":"f3","reads":2}`
	w.do("POST", "/v1/cluster/members", join).want(200, `{"group":"group-1"}`)
	w.do("DELETE", "/v1/cluster/members/n3", "").want(204, "")
	w.do("POST", "/v1/cluster/join", `{"addr":"127.0.0.1:7"}`).want(204, "")
	w.do("POST", "/v1/cluster/transfer", `{"to":"n2"}`).want(204, "")
	w.do("POST", "/v1/cluster/transfer", `{}`).want(204, "")
	want := []any{server.JoinRequest{ID: "n3", HTTP: "127.0.0.1:5", Raft: "127.0.0.1:6", Folder: "f3", Reads: 2}, "remove n3", "join 127.0.0.1:7", "transfer n2", "transfer "}
	if got := w.node.look().asked; !reflect.DeepEqual(got, want) {
		t.Errorf("asked %v, want %v", got, want)
	}

	for _, c := range []struct{ to, body, says string }{
		{"POST members", `{}`, "id must not be empty"},
		{"POST members", `{"id":"n3","http":"a:1","raft":"b:1"}`, "folder must not be empty"},
		{"POST members", `{"id":".n3","http":"a:1","raft":"b:1","folder":"f"}`, "node id"},
		{"POST members", `{"id":"n3","voter":true}`, `"voter" is not a known field`},
		{"DELETE members/a%20b", ``, "id must be"},
		{"DELETE members/a%2Fb", ``, "id must be"},
		{"POST join", `{}`, "addr must not be empty"},
		{"POST join", `{"addr":["x"]}`, "addr must be a string"},
		{"POST transfer", `{"to":"a/b"}`, "to must be"},
		{"POST transfer", `{"id":"n2"}`, `"id" is not a known field`},
	} {
		method, path, _ := strings.Cut(c.to, " ")
		w.do(method, "/v1/cluster/"+path, c.body).problem(api.CodeInvalid, "not_applied", c.says)
	}
	w.odd.Store(true)
	for kind, code := range map[server.Kind]api.Code{server.KindConflict: api.CodeConflict, server.KindNotFound: api.CodeNotFound, server.KindNoLeader: api.CodeNoLeader} {
		w.node.set(func(g *group) { g.groupErr = &server.Error{Kind: kind, Detail: "it says why", Leader: "n2"} })
		w.do("POST", "/v1/cluster/members", join).problem(code, "not_applied", "it says why")
		w.do("DELETE", "/v1/cluster/members/n3", "").problem(code, "not_applied", "it says why")
		w.do("POST", "/v1/cluster/join", `{"addr":"127.0.0.1:7"}`).problem(code, "not_applied", "it says why")
		w.do("POST", "/v1/cluster/transfer", `{"to":"n2"}`).problem(code, "not_applied", "it says why")
		w.do("GET", "/v1/registry", "").problem(code, "", "it says why")
	}
}

func TestTheRegistryAndTheRest(t *testing.T) {
	w := newWorld(t)
	w.do("GET", "/v1/registry", "").want(200, `{"leader":"","processes":[]}`)
	w.node.set(func(g *group) {
		g.registry = server.Registry{Leader: "n1", Processes: []server.Process{{List: "bob", Started: time.UnixMilli(1_545_217_200_000), Handled: 3, Waiting: 1}}}
	})
	w.do("GET", "/v1/registry", "").want(200, `{"leader":"n1","processes":[{"list":"bob","started":"2018-12-19T11:00:00Z","handled":3,"waiting":1}]}`)
	w.do("GET", "/v1/registry/bob", "").want(200, `{"list":"bob","node":"n1","alive":null}`)
	no := false
	w.node.set(func(g *group) { g.alive = &no })
	w.do("GET", "/v1/registry/Zoe%CC%88", "").want(200, `{"list":"Zoë","node":"n1","alive":false}`)
	w.do("GET", "/v1/registry/a%2Fb", "").problem(api.CodeInvalid, "", "list must not contain /")

	var h api.Hash
	w.do("GET", "/v1/hash", "").want(200, "").decode(&h)
	if h.Index != 1 || len(h.Chain) != 16 || len(h.Set) != 16 {
		t.Errorf("hash %+v", h)
	}
	w.do("GET", "/livez", "").want(200, "OK")
	w.do("GET", "/readyz?verbose", "").want(200, "OK")
	w.node.set(func(g *group) {
		g.readyErr = &server.Error{Kind: server.KindJoining, Detail: "on its way into a group"}
	})
	w.do("GET", "/readyz", "").line(503, "on its way").has("Retry-After", "1")
	w.node.set(func(g *group) { g.readyErr = &server.Error{Kind: server.KindStorage, Detail: "the disk stalls"} })
	w.do("GET", "/readyz", "").line(503, "the disk stalls")
	w.do("GET", "/livez", "").want(200, "OK")
}

func TestMetrics(t *testing.T) {
	w := newWorld(t)
	w.add("bob", "a", "")
	w.do("GET", "/v1/lists/bob/entries", "")
	w.do("GET", "/v1/lists/eve/entries?limit=0", "")
	w.do("BREW", "/v1/lists/bob", "")
	w.do("GET", "/favicon.ico", "")
	w.node.set(func(g *group) { g.panics = "boom" })
	w.do("GET", "/v1/lists", "").want(500, "")
	text := w.do("GET", "/metrics", "").want(200, "").body
	for _, line := range []string{
		`todod_http_requests_total{class="2xx",method="POST",route="/v1/lists/{list}/entries"} 1`,
		`todod_http_requests_total{class="2xx",method="GET",route="/v1/lists/{list}/entries"} 1`,
		`todod_http_requests_total{class="4xx",method="GET",route="/v1/lists/{list}/entries"} 1`,
		`todod_http_requests_total{class="4xx",method="other",route="/v1/lists/{list}"} 1`,
		`todod_http_requests_total{class="4xx",method="other",route="other"} 1`,
		`todod_http_requests_total{class="5xx",method="GET",route="/v1/lists"} 1`,
		`todod_http_request_duration_seconds_count{route="/v1/lists/{list}/entries"} 3`,
		`todod_http_requests_in_flight 1`,
	} {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("metrics lack %s", line)
		}
	}
	if strings.Contains(text, "bob") || strings.Contains(text, "BREW") {
		t.Error("what clients send must not become a label")
	}
}

// stream follows cluster events and returns their lines.
func (w *world) stream(lastID string) *bufio.Scanner {
	w.t.Helper()
	return w.streamOf("/v1/cluster/events", lastID)
}

func (w *world) streamOf(path, lastID string) *bufio.Scanner {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second) // a stream that hangs fails
	w.t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, "GET", "http://"+w.addr+path, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	if lastID != "" {
		req.Header.Set("Last-Event-ID", lastID)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { resp.Body.Close() })
	if kind := resp.Header.Get("Content-Type"); resp.StatusCode != 200 || kind != "text/event-stream" {
		w.t.Fatalf("status %d, %s", resp.StatusCode, kind)
	}
	return bufio.NewScanner(resp.Body)
}

// next returns the lines up to an empty one.
func next(t *testing.T, s *bufio.Scanner) (lines []string) {
	t.Helper()
	for s.Scan() {
		if s.Text() == "" {
			return lines
		}
		lines = append(lines, s.Text())
	}
	t.Fatalf("the stream ended: %v", s.Err())
	return nil
}

func TestEventsOfTheGroup(t *testing.T) {
	w := newWorld(t)
	w.node.happen("node_up", "n2")
	s := w.stream("")
	if got := next(t, s); got[0] != "retry: 1000" {
		t.Errorf("begins with %q", got)
	}
	w.node.happen("leader_changed", "n2")
	id := w.srv.boot + "."
	want := []string{"id: " + id + "2", "event: leader_changed", `data: {"type":"leader_changed","node":"n2","term":2,"time":"2018-12-19T11:00:00.001Z"}`}
	if got := next(t, s); !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	w.node.happen("node_down", "n3")
	for last, first := range map[string]string{id + "1": "2", id + "2": "3", "elsewhere.2": "1", "x": "1", id + "x": "1", id: "1"} {
		s := w.stream(last)
		next(t, s)
		if got := next(t, s); got[0] != "id: "+id+first {
			t.Errorf("after %q: %q, want %s first", last, got, first)
		}
	}
	s = w.stream(id + "999") // of the future: what happens from now on
	next(t, s)
	w.node.happen("node_up", "n3")
	if got := next(t, s); got[0] != "id: "+id+"4" {
		t.Errorf("got %q", got)
	}
}

// A stream lives through the timeouts of ordinary requests, and says that it lives.
func TestStreamsOutliveTimeouts(t *testing.T) {
	w := newWorld(t, func(c *Config) {
		c.Heartbeat, c.BodyTimeout, c.IdleTimeout = 20*time.Millisecond, 50*time.Millisecond, 50*time.Millisecond
	})
	s := w.stream("")
	next(t, s)
	for begin := time.Now(); time.Since(begin) < 300*time.Millisecond; {
		if got := next(t, s); len(got) != 1 || !strings.HasPrefix(got[0], ":") {
			t.Fatalf("got %q", got)
		}
	}
	w.node.happen("node_up", "n2")
	for got := next(t, s); ; got = next(t, s) {
		if strings.HasPrefix(got[0], "id: ") {
			break
		}
	}
}

func TestStreamsEndWithTheServer(t *testing.T) {
	w := newWorld(t)
	s := w.stream("")
	next(t, s)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := w.http.Shutdown(ctx); err != nil {
		t.Errorf("shut down: %v", err)
	}
	for s.Scan() {
	}
	if err := s.Err(); err != nil {
		t.Errorf("ended with %v", err)
	}
}

func TestStreamsAreLimited(t *testing.T) {
	w := newWorld(t)
	w.srv.streams.Store(maxStreams)
	w.do("GET", "/v1/cluster/events", "").problem(api.CodeOverloaded, "")
	w.srv.streams.Store(maxStreams - 1)
	w.do("HEAD", "/v1/cluster/events", "").want(200, "").has("Content-Type", "text/event-stream")
	next(t, w.stream(""))
}

func TestContacts(t *testing.T) {
	w := newWorld(t)
	yes := true
	given := server.Cluster{ID: "n1", State: server.StateMember, Group: "g", Leader: "n1", Term: 3, Commit: 9, Applied: 8, Snapshot: 5, Version: "1.0", Reads: 2, GroupVersion: 1, Folder: "f", Expect: 3, Sees: []string{"n1"},
		Members: []server.Member{{ID: "n1", HTTP: "a:1", Raft: "b:2", Voter: true, Alive: &yes, Contact: -1, Applied: 8, Version: "1.0", Reads: 2, Disk: server.DiskLow, Free: 7}, {ID: "n2", Contact: time.Second}}}
	w.node.set(func(g *group) { g.cluster = given })
	c, ctx := NewContacts(), context.Background()
	if got, err := c.Cluster(ctx, w.addr); err != nil || !reflect.DeepEqual(got, given) {
		t.Errorf("%+v, %v", got, err)
	}
	req := server.JoinRequest{ID: "n3", HTTP: "127.0.0.1:5", Raft: "127.0.0.1:6", Folder: "f3", Group: "old", Reads: 2}
	if got, err := c.Join(ctx, w.addr, req); err != nil || got != "group-1" || !reflect.DeepEqual(w.node.look().asked[0], req) {
		t.Errorf("%q, %v", got, err)
	}
	w.odd.Store(true)
	for kind, final := range map[server.Kind]bool{server.KindConflict: true, server.KindInvalid: true, server.KindNoLeader: false,
		server.KindTimeout: false, server.KindJoining: false, server.KindInternal: false, server.KindNotFound: false, server.KindOverloaded: false} {
		w.node.set(func(g *group) { g.groupErr = &server.Error{Kind: kind, Detail: "it says why"} })
		_, err := c.Join(ctx, w.addr, req)
		e, ok := errors.AsType[*server.Error](err)
		if err == nil || ok != final || final && (e.Kind != server.KindConflict || e.Detail != "it says why") {
			t.Errorf("kind %d: %v", kind, err)
		}
	}
}

// What is no todod, or not yet there, is tried again.
func TestContactsWithStrangers(t *testing.T) {
	answers := map[string]http.HandlerFunc{
		"a page":     func(w http.ResponseWriter, r *http.Request) { w.Write([]byte("<html>")) },
		"a refusal":  func(w http.ResponseWriter, r *http.Request) { http.Error(w, "no", http.StatusForbidden) },
		"a redirect": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", http.StatusFound) },
		"no group":   func(w http.ResponseWriter, r *http.Request) { w.Write([]byte("{}")) },
		"half of it": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "99")
			w.Write([]byte("{"))
		},
		"without end":  func(w http.ResponseWriter, r *http.Request) { w.Write(make([]byte, 2*maxAnswer)) },
		"a hanging up": func(w http.ResponseWriter, r *http.Request) { panic(http.ErrAbortHandler) },
	}
	for name, answer := range answers {
		stranger := httptest.NewServer(answer)
		_, err := NewContacts().Join(context.Background(), stranger.Listener.Addr().String(), server.JoinRequest{ID: "n3"})
		if _, final := errors.AsType[*server.Error](err); err == nil || final {
			t.Errorf("%s: %v", name, err)
		}
		stranger.Close()
		if _, err := NewContacts().Cluster(context.Background(), stranger.Listener.Addr().String()); err == nil {
			t.Errorf("%s, gone: no error", name)
		}
	}
}
