package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"todod/httpapi/api"
)

// world is a test node behind a real HTTP server on a real socket.
type world struct {
	t    testing.TB
	node *testNode
	srv  *Server
	http *http.Server
	addr string
	logs *logBuffer
	odd  atomic.Bool // its node fails in ways that no node does: such failures are not held against the description
}

// logBuffer is a log that may be read while it is written.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func newWorld(t testing.TB, change ...func(*Config)) *world {
	t.Helper()
	w := &world{t: t, node: newTestNode(t), logs: &logBuffer{}}
	cfg := Config{Node: w.node, Logger: slog.New(slog.NewTextHandler(w.logs, nil)), Advertised: []string{"todo.example:5454"}}
	for _, c := range change {
		c(&cfg)
	}
	w.srv = New(cfg)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w.addr = l.Addr().String()
	w.http = w.srv.HTTPServer()
	w.http.Handler = witnessed(w)
	if cfg.Heartbeat != 0 { // a test of streams: they must outlive this
		w.http.WriteTimeout = 10 * cfg.Heartbeat
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = w.http.Serve(l)
	}()
	t.Cleanup(func() {
		w.srv.stop()
		_ = w.http.Close()
		<-done
	})
	return w
}

// asIs asks for nothing that a test does not ask for: Go's own transport wants all compressed.
var asIs = &http.Transport{DisableCompression: true}

// answer is what came back, the body read.
type answer struct {
	t      testing.TB
	what   string
	status int
	header http.Header
	body   string
}

// do sends a request; header lines are "Name: value", the same name may come twice.
// A body that begins with { or [ is JSON unless a header says otherwise.
func (w *world) do(method, path, body string, header ...string) *answer {
	w.t.Helper()
	req, err := http.NewRequest(method, "http://"+w.addr, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	req.URL.Opaque = path // as written: nothing escaped or cleaned
	if strings.HasPrefix(path, "//") {
		req.URL.Opaque = "//" + w.addr + path // which asks with a whole URL
	}
	if strings.HasPrefix(body, "{") || strings.HasPrefix(body, "[") {
		req.Header.Set("Content-Type", "application/json")
	}
	for _, line := range header {
		name, value, _ := strings.Cut(line, ": ")
		if name == "Content-Type" {
			req.Header.Del(name)
		}
		if name == "Host" {
			req.Host = value
			continue
		}
		req.Header.Add(name, value)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second) // an answer that hangs fails
	defer cancel()
	resp, err := asIs.RoundTrip(req.WithContext(ctx))
	if err != nil {
		w.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatalf("%s %s: %v", method, path, err)
	}
	return &answer{t: w.t, what: method + " " + path, status: resp.StatusCode, header: resp.Header, body: string(b)}
}

// want checks the status and, unless it is "", the whole body without the line end of JSON.
func (a *answer) want(status int, body string) *answer {
	a.t.Helper()
	if a.status != status {
		a.t.Fatalf("%s: status %d, want %d; body %q", a.what, a.status, status, a.body)
	}
	if body != "" && strings.TrimSuffix(a.body, "\n") != body {
		a.t.Fatalf("%s: body\n%q, want\n%q", a.what, a.body, body)
	}
	return a
}

// has checks a header line.
func (a *answer) has(name, value string) *answer {
	a.t.Helper()
	if got := a.header.Values(name); len(got) != 1 || got[0] != value {
		a.t.Errorf("%s: %s is %q, want %q", a.what, name, got, value)
	}
	return a
}

func (a *answer) lacks(name string) *answer {
	a.t.Helper()
	if got, ok := a.header[http.CanonicalHeaderKey(name)]; ok {
		a.t.Errorf("%s: %s is %q, want none", a.what, name, got)
	}
	return a
}

// problem checks that the answer is a problem with a code and an outcome, "" for a read,
// and that its detail says something.
func (a *answer) problem(code api.Code, outcome string, says ...string) *answer {
	a.t.Helper()
	status := api.Statuses[code]
	a.want(status, "").has("Content-Type", "application/problem+json")
	var p api.Problem
	if err := json.Unmarshal([]byte(a.body), &p); err != nil {
		a.t.Fatalf("%s: %v in %q", a.what, err, a.body)
	}
	if p.Code != string(code) || p.Status != status || p.Outcome != outcome || p.Title == "" || p.Detail == "" || p.Type == "" {
		a.t.Errorf("%s: problem %+v, want code %s, outcome %q", a.what, p, code, outcome)
	}
	for _, s := range says {
		if !strings.Contains(p.Detail, s) {
			a.t.Errorf("%s: detail %q, want it to say %q", a.what, p.Detail, s)
		}
	}
	wait := status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable
	if wait != (a.header.Get("Retry-After") != "") {
		a.t.Errorf("%s: Retry-After is %q with status %d", a.what, a.header.Get("Retry-After"), status)
	}
	return a
}

// line checks that the answer is an error as one line of text.
func (a *answer) line(status int, says string) *answer {
	a.t.Helper()
	a.want(status, "").has("Content-Type", "text/plain; charset=utf-8")
	if a.body == "" || strings.ContainsAny(a.body, "\r\n") || !strings.Contains(a.body, says) {
		a.t.Errorf("%s: body %q, want one line that says %q", a.what, a.body, says)
	}
	return a
}

func (a *answer) decode(v any) {
	a.t.Helper()
	if err := json.Unmarshal([]byte(a.body), v); err != nil {
		a.t.Fatalf("%s: %v in %q", a.what, err, a.body)
	}
}

func (w *world) add(list, title, date string) *answer {
	w.t.Helper()
	body, err := json.Marshal(api.NewEntry{Title: title, Date: date})
	if err != nil {
		w.t.Fatal(err)
	}
	return w.do("POST", "/v1/lists/"+list+"/entries", string(body)).want(http.StatusCreated, "")
}
