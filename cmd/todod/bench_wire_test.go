package main

import (
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"todod/httpapi/api"
)

// answering returns a connection to a server that reads a request of one byte and answers it
// with each of texts in turn, then closes.
func answering(t *testing.T, texts ...string) *wire {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		for _, text := range texts {
			if _, err := io.ReadFull(conn, make([]byte, 1)); err != nil {
				return
			}
			_, _ = io.WriteString(conn, text)
		}
	}()
	w, err := dialWire(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.close)
	return w
}

func TestWireReadsAnswers(t *testing.T) {
	w := answering(t,
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK",
		"HTTP/1.1 201 Created\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\n\r\n",
		"HTTP/1.1 204 No Content\r\n\r\n",
		"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/problem+json\r\nRetry-After: 1\r\nConnection: close\r\nContent-Length: 51\r\n\r\n"+
			`{"code":"overloaded","outcome":"not_applied","x":1}`)
	for i, want := range []struct {
		status int
		body   string
	}{{200, "OK"}, {201, "abc0123456789"}, {204, ""}} {
		r, err := w.roundTrip([]byte("x"), time.Now().Add(10*time.Second))
		if err != nil || r.status != want.status || string(r.body) != want.body || r.closing {
			t.Errorf("answer %d: %+v %q, %v", i, r, r.body, err)
		}
	}
	r, err := w.roundTrip([]byte("x"), time.Now().Add(10*time.Second))
	if err != nil || !r.closing || !r.problem || r.retryAfter != time.Second {
		t.Errorf("%+v, %v", r, err)
	}
	if v := refused(r); v != (verdict{outcome: api.NotApplied, kind: "overloaded", again: true, busy: true}) {
		t.Errorf("%+v", v)
	}
	if _, err := w.roundTrip([]byte("x"), time.Now().Add(10*time.Second)); err == nil {
		t.Error("an answer of a connection that is closed")
	} else if v := broke(err, false); v.outcome != api.Unknown || v.kind != "closed" || !v.again {
		t.Errorf("%+v", v)
	}
}

func TestWireRefusesOtherAnswers(t *testing.T) {
	for _, text := range []string{
		"SSH-2.0-OpenSSH_9.6\r\n", "HTTP/1.1 x00 OK\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n", "HTTP/1.1 200 OK\r\nno header\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nz\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n",
	} {
		if r, err := answering(t, text).roundTrip([]byte("x"), time.Now().Add(10*time.Second)); !errors.Is(err, errReply) {
			t.Errorf("%q: %+v, %v", text, r, err)
		}
	}
	cut := "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"
	if _, err := answering(t, cut).roundTrip([]byte("x"), time.Now().Add(10*time.Second)); err == nil || errors.Is(err, errReply) {
		t.Errorf("a cut answer: %v", err)
	}
}

// What is refused is known not to be done only where the node says so, or no node answered.
func TestVerdicts(t *testing.T) {
	for _, test := range []struct {
		r    reply
		want verdict
	}{
		{reply{status: 503}, verdict{outcome: api.NotApplied, kind: "http_503", again: true}},
		{reply{status: 429}, verdict{outcome: api.NotApplied, kind: "http_429", again: true, busy: true}},
		{reply{status: 504}, verdict{outcome: api.Unknown, kind: "http_504", again: true}},
		{reply{status: 500}, verdict{outcome: api.Unknown, kind: "http_500"}},
		{reply{status: 400}, verdict{outcome: api.NotApplied, kind: "http_400"}},
		{reply{status: 503, problem: true, body: []byte(`{"code":"no_leader","outcome":"not_applied"}`)}, verdict{outcome: api.NotApplied, kind: "no_leader", again: true}},
		{reply{status: 504, problem: true, body: []byte(`{"code":"timeout","outcome":"unknown"}`)}, verdict{outcome: api.Unknown, kind: "timeout", again: true}},
	} {
		if got := refused(test.r); got != test.want {
			t.Errorf("%d: %+v, want %+v", test.r.status, got, test.want)
		}
	}
	if _, err := dialWire("127.0.0.1:1"); err == nil {
		t.Error("port 1 answers")
	} else if v := broke(err, true); v.outcome != api.NotApplied || v.kind != "unreachable" || !v.again {
		t.Errorf("%+v", v)
	}
}

// What is sent is what a node reads, and the title tells which write it was.
func TestWorkTitles(t *testing.T) {
	for _, size := range []int{minSize, 31, 100, 1000} {
		w := newWork(work{Run: "abcdefgh", Percent: 100, Lists: 3, Size: size})
		for _, of := range [][2]int{{0, 0}, {63, 12345}, {mostConns, 99_999_999}} {
			title := string(w.title(nil, of[0], of[1]))
			worker, n, ok := w.titleOf(title)
			if len(title) != size || !ok || worker != of[0] || n != of[1] || strings.TrimSpace(title) != title {
				t.Errorf("%q (%d of %d bytes) is %d, %d, %t", title, len(title), size, worker, n, ok)
			}
			for _, bad := range []string{title + "x", title[:len(title)-1], "x" + title[1:], ""} {
				if _, _, ok := w.titleOf(bad); ok {
					t.Errorf("%q passes for %q", bad, title)
				}
			}
		}
	}
}
