package httpapi

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"todod/fsm/todo"
	"todod/server"
)

// dialEvents follows changes on a bare connection that holds little, up to the first id.
func (w *world) dialEvents() *bufio.Reader {
	w.t.Helper()
	const little = 128 << 10
	small := httptest.NewUnstartedServer(w.srv)
	small.Config.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		if err := c.(*net.TCPConn).SetWriteBuffer(little); err != nil {
			w.t.Error(err)
		}
		return ctx
	}
	small.Start()
	conn, err := net.Dial("tcp", small.Listener.Addr().String())
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { conn.Close(); small.Close() })
	if err := errors.Join(conn.(*net.TCPConn).SetReadBuffer(little), conn.SetDeadline(time.Now().Add(time.Minute))); err != nil {
		w.t.Fatal(err)
	}
	io.WriteString(conn, "GET /v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
	r := bufio.NewReader(conn)
	for line := ""; line != "id: 7.0\n"; {
		if line, err = r.ReadString('\n'); err != nil {
			w.t.Fatal(err)
		}
	}
	return r
}

// largeEvent is about the size of the events that large makes.
const largeEvent = 40 * 2500

// large writes changes that are large.
func (w *world) large(n int) {
	w.t.Helper()
	cmd := todo.Command{Batch: true}
	for range 40 {
		cmd.Ops = append(cmd.Ops, todo.Op{Kind: todo.Add, List: "bob", Fields: todo.Fields{Title: strings.Repeat("\u00e9漢", 500)}})
	}
	for range n {
		if _, err := w.node.Write(context.Background(), cmd, server.WriteOptions{}); err != nil {
			w.t.Fatal(err)
		}
	}
}

// A follower that reads more slowly than changes come is cut off, and holds up neither writes nor others.
func TestSlowFollowersAreCutOff(t *testing.T) {
	w := newWorld(t)
	w.srv.feedBytes = 2 * largeEvent
	slow := w.dialEvents()
	const batches = 20 // more than the feed and the buffers of a connection hold
	quick, done := &tail{path: "/v1/events?since=0", took: make(chan struct{})}, make(chan error, 1)
	go func() { done <- quick.read(t.Context(), w.addr, batches) }()
	for range batches {
		w.large(1)
		<-quick.took
	}
	if err := <-done; err != nil || len(quick.revs) != batches {
		t.Errorf("the quick one got %d events, %v", len(quick.revs), err)
	}
	n, err := io.Copy(io.Discard, slow) // to the end of the connection
	if n >= batches*largeEvent || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the slow one was sent %d bytes, %v", n, err)
	}
	if !strings.Contains(w.logs.String(), "too slow") {
		t.Errorf("the log says %q", w.logs)
	}
}

// So is one that does not read at all, before the feed is too long for it.
func TestSilentFollowersAreCutOff(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.StreamTimeout = 500 * time.Millisecond })
	w.dialEvents()
	w.large(20)
	waitUntil(t, "the stream to be closed", func() bool { return w.srv.streams.Load() == 0 })
}

func waitUntil(t *testing.T, what string, reached func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !reached(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}
