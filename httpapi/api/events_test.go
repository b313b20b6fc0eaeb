package api

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// A stream that breaks goes on behind the last event that was read.
func TestEventsResume(t *testing.T) {
	g := newGroup()
	var resumed []string
	stream := func(text string, end func(*http.Request)) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			g.mu.Lock()
			resumed = append(resumed, r.Header.Get("Last-Event-ID"))
			g.mu.Unlock()
			w.Header().Set("Content-Type", "text/event-stream")
			io.WriteString(w, text)
			w.(http.Flusher).Flush()
			end(r)
		}
	}
	cut := func(*http.Request) { panic(http.ErrAbortHandler) }
	hang := func(r *http.Request) { <-r.Context().Done() }
	addr := g.serve(t,
		stream(": hello\n\nid: 7\nevent: node_down\ndata: {\"type\":\"node_down\",\ndata: \"node\":\"n2\"}\n\n", cut),
		stream("id: 8\r\nevent: node_up\r\ndata: {\"type\":\"node_up\",\"node\":\"n2\"}\r\n\r\n", hang))
	var seen []string
	for e, err := range client(t, Options{}, addr).ClusterEvents(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if seen = append(seen, e.Type+" "+e.Node); len(seen) == 2 {
			break
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if fmt.Sprint(seen) != "[node_down n2 node_up n2]" || fmt.Sprintf("%q", resumed) != `["" "7"]` {
		t.Errorf("saw %v, resumed at %q", seen, resumed)
	}
}

// The id of a change is good at any node; so is one that came before any change did.
func TestWatchGoesOnAtTheNextNode(t *testing.T) {
	var mu sync.Mutex
	var resumed []string
	serve := func(text string, end func(*http.Request)) string {
		return newGroup().serve(t, func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			resumed = append(resumed, r.Header.Get("Last-Event-ID"))
			mu.Unlock()
			w.Header().Set("Content-Type", "text/event-stream")
			io.WriteString(w, text)
			w.(http.Flusher).Flush()
			end(r)
		})
	}
	cut := func(*http.Request) { panic(http.ErrAbortHandler) }
	hang := func(r *http.Request) { <-r.Context().Done() }
	addrs := []string{
		serve("retry: 1000\nid: 7.4\n\n", cut),
		serve("id: 7.5\nevent: add\ndata: {\"rev\":5,\"items\":[{\"op\":\"add\",\"list\":\"bob\",\"id\":1}]}\n\n: still here\nid: 7.9\n\n", cut),
		serve("id: 7.12\nevent: delete\ndata: {\"rev\":12}\n\n", hang),
	}
	var seen []string
	for c, err := range client(t, Options{}, addrs...).Watch(t.Context(), "bob", "") {
		if err != nil {
			t.Fatal(err)
		}
		if seen = append(seen, fmt.Sprintf("%s %d %d", c.ID, c.Rev, len(c.Items))); len(seen) == 2 {
			break
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if fmt.Sprint(seen) != "[7.5 5 1 7.12 12 0]" || fmt.Sprintf("%q", resumed) != `["" "7.4" "7.9"]` {
		t.Errorf("saw %v, resumed at %q", seen, resumed)
	}
}

// A stream that had nothing to tell for longer than the client's patience goes on at the next node as any other, and
// whoever wants to know is told which node did not answer.
func TestAQuietStreamGoesOn(t *testing.T) {
	const patience = 100 * time.Millisecond
	stream := func(text string, end func(*http.Request)) string {
		return newGroup().serve(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			io.WriteString(w, text)
			w.(http.Flusher).Flush()
			end(r)
		})
	}
	first := stream(": hello\n\n", func(*http.Request) {
		waitLongerThan(patience)
		panic(http.ErrAbortHandler)
	})
	second := stream("id: 7.5\ndata: {\"rev\":5}\n\n", func(r *http.Request) { <-r.Context().Done() })
	var moved []string
	opt := Options{Patience: patience, Moved: func(node string, err error) { moved = append(moved, node) }}
	for c, err := range client(t, opt, first, second).Watch(t.Context(), "", "") {
		if err != nil || c.Rev != 5 {
			t.Fatalf("%+v, %v", c, err)
		}
		break
	}
	if fmt.Sprint(moved) != "["+first+"]" {
		t.Errorf("moved on from %v, not from %s", moved, first)
	}
}

func waitLongerThan(patience time.Duration) { time.Sleep(3 * patience) }

func TestEventsEnd(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, err := range client(t, Options{}, nobody(t)).ClusterEvents(ctx) {
		t.Errorf("a context that ended gave %v", err)
	}
	last := errors.New("no error")
	for _, err := range client(t, Options{Patience: 50 * time.Millisecond}, nobody(t)).ClusterEvents(t.Context()) {
		last = err
	}
	if e := AsError(last); e == nil || e.Code != string(CodeUnreachable) {
		t.Errorf("nobody there: %v", last)
	}
}

// A read changes nothing, so its error does not say that it may have.
func TestReadsChangeNothing(t *testing.T) {
	addr := newGroup().serve(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	c := client(t, Options{Patience: 50 * time.Millisecond}, addr)
	_, _, err := c.Entry(t.Context(), "bob", 1, ReadOptions{})
	var followed error
	for _, followed = range c.Watch(t.Context(), "bob", "") {
	}
	for _, err := range []error{err, followed} {
		if e := AsError(err); e == nil || e.Outcome != NotApplied || strings.Contains(err.Error(), "change") {
			t.Errorf("%v", err)
		}
	}
}

func FuzzReadFrames(f *testing.F) {
	f.Add("id: 1\ndata: x\n\n: c\n\ndata\ndata: y\n\n")
	f.Fuzz(func(t *testing.T, text string) {
		n := 0
		readFrames(bufio.NewReader(strings.NewReader(text)), func() {}, func(frame) bool { n++; return true })
		if n > len(text) {
			t.Errorf("%d events of %d bytes", n, len(text))
		}
	})
}
