package httpapi

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"todod/fsm"
	"todod/fsm/todo"
	"todod/server"
)

// instantNode answers a write at once, so that a benchmark shows what this package costs.
type instantNode struct{ *testNode }

func (n instantNode) Write(_ context.Context, cmd todo.Command, _ server.WriteOptions) (fsm.Result, error) {
	op := &cmd.Ops[0]
	e := todo.Entry{ID: 1, Title: op.Fields.Title, Date: op.Fields.Date, Rev: 42, Created: n.now, Updated: n.now}
	return fsm.Result{Epoch: testEpoch, Rev: 42, Items: []todo.Item{{Kind: todo.Add, List: op.List, Entry: e, Changed: true}}}, nil
}

// sink takes an answer and keeps nothing.
type sink struct {
	header http.Header
	status int
}

func (w *sink) Header() http.Header         { return w.header }
func (w *sink) WriteHeader(status int)      { w.status = status }
func (w *sink) Write(b []byte) (int, error) { return len(b), nil }

// benchmark serves the same request again and again.
func benchmark(b *testing.B, method, target, kind, body string, status int) {
	node := newTestNode(b)
	s := New(Config{Node: instantNode{node}})
	cmd := todo.Command{}
	for range 10 {
		cmd.Ops = append(cmd.Ops, todo.Op{Kind: todo.Add, List: "bob", Fields: todo.Fields{Title: "Dentist, and then the shopping", Date: "2018-12-19"}})
	}
	if _, err := node.Write(context.Background(), cmd, server.WriteOptions{}); err != nil {
		b.Fatal(err)
	}
	if err := node.replica.Flush(); err != nil {
		b.Fatal(err)
	}
	r := httptest.NewRequest(method, target, nil)
	if kind != "" {
		r.Header.Set("Content-Type", kind)
	}
	r.ContentLength = int64(len(body))
	w := &sink{header: http.Header{}}
	reader := strings.NewReader(body)
	b.ReportAllocs()
	for b.Loop() {
		reader.Reset(body)
		r.Body = io.NopCloser(reader)
		clear(w.header)
		s.ServeHTTP(w, r)
	}
	if w.status != status {
		b.Fatalf("status %d", w.status)
	}
}

func BenchmarkPostEntry(b *testing.B) {
	benchmark(b, "POST", "/v1/lists/bob/entries", "application/json", `{"title":"Dentist, and then the shopping","date":"2018-12-19"}`, 201)
}

func BenchmarkGetEntries(b *testing.B) {
	benchmark(b, "GET", "/v1/lists/bob/entries", "", "", 200)
}

func BenchmarkGetEntriesOfADay(b *testing.B) {
	benchmark(b, "GET", "/entries?list=bob&date=2018-12-19", "", "", 200)
}

func BenchmarkAddEntry(b *testing.B) {
	benchmark(b, "POST", "/add_entry?list=bob&date=2018-12-19&title="+url.QueryEscape("Dentist, and then the shopping"), "", "", 200)
}
