package httpapi

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// dial opens a bare connection that is given up after ten seconds.
func (w *world) dial() net.Conn {
	w.t.Helper()
	c, err := net.Dial("tcp", w.addr)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		w.t.Fatal(err)
	}
	return c
}

// say sends bytes and returns all that comes until the server closes the connection.
func (w *world) say(text string) string {
	w.t.Helper()
	c := w.dial()
	go io.WriteString(c, text) // the server may stop reading in the middle
	b, err := io.ReadAll(c)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		w.t.Fatalf("the connection stays open after %q", b)
	}
	return string(b)
}

const postLine = "POST /v1/lists/bob/entries HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"

// entries is how many entries the list bob has.
func (w *world) entries() int {
	w.t.Helper()
	var ids = w.pages("/v1/lists/bob/entries?limit=1000")
	return len(ids)
}

func TestWhatNetHTTPRefuses(t *testing.T) {
	w := newWorld(t)
	for text, status := range map[string]string{
		"GARBAGE\r\n\r\n": "400",
		"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n":                                           "400",
		"GET /entries HTTP/1.1\r\n\r\n":                                                              "400", // no Host
		"GET /entries HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n":                                        "400",
		"GET /v1/lists/%zz/entries HTTP/1.1\r\nHost: localhost\r\n\r\n":                              "400",
		"GET /v1/lists HTTP/7.0\r\nHost: localhost\r\n\r\n":                                          "505",
		"GET /v1/lists HTTP/1.1\r\nHost: localhost\r\nX: " + strings.Repeat("x", 1<<20) + "\r\n\r\n": "431",
		"GET /" + strings.Repeat("x", 1<<20) + " HTTP/1.1\r\nHost: localhost\r\n\r\n":                "431",
		postLine + "Content-Length: -1\r\n\r\n":                                                      "400",
		postLine + "Content-Length: 3\r\nContent-Length: 4\r\n\r\n{}":                                "400",
		postLine + "Transfer-Encoding: gzip\r\n\r\n{}":                                               "501",
	} {
		first, _, _ := strings.Cut(w.say(text), "\r\n")
		if !strings.HasPrefix(first, "HTTP/1.1 "+status) {
			t.Errorf("%.60q: %q, want %s", text, first, status)
		}
	}
	if n := w.node.writes.Load(); n != 0 {
		t.Errorf("%d writes were applied", n)
	}
}

// What follows a request whose end two readers may see in two places is not taken for a request.
func TestNothingFollowsADoubtfulEnd(t *testing.T) {
	w := newWorld(t)
	follows := postLine + "Content-Length: 13\r\n\r\n" + `{"title":"a"}`
	for _, text := range []string{
		postLine + "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + follows,
		strings.Replace(postLine, "1.1", "1.0", 1) + "Connection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n" + follows,
	} {
		if got := w.say(text); strings.Count(got, "HTTP/1.") != 1 {
			t.Errorf("%.90q: %q", text, got)
		}
	}
	if n := w.node.writes.Load(); n != 0 {
		t.Errorf("%d writes were applied", n)
	}
}

func TestHTTP10(t *testing.T) {
	w := newWorld(t)
	got := w.say("POST /add_entry?list=bob&date=2018-12-19&title=Dentist HTTP/1.0\r\n\r\n")
	if !strings.HasPrefix(got, "HTTP/1.0 200 OK\r\n") || !strings.HasSuffix(got, "\r\n\r\nOK") {
		t.Errorf("got %q", got)
	}
	got = w.say("GET /entries?list=bob&date=2018-12-19 HTTP/1.0\r\n\r\n")
	if !strings.HasPrefix(got, "HTTP/1.0 200 OK\r\n") || !strings.HasSuffix(got, "\r\n\r\n2018-12-19 Dentist") {
		t.Errorf("got %q", got)
	}
}

// Requests sent without waiting for answers are answered in order.
func TestPipelining(t *testing.T) {
	w := newWorld(t)
	var b strings.Builder
	for i := range 50 {
		body := fmt.Sprintf(`{"title":"%d"}`, i)
		fmt.Fprintf(&b, "%sContent-Length: %d\r\n\r\n%s", postLine, len(body), body)
		b.WriteString("GET /nothing HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\nabcd")
	}
	c := w.dial()
	go io.WriteString(c, b.String())
	r := bufio.NewReader(c)
	for i := range 100 {
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatalf("answer %d: %v", i, err)
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		if want := fmt.Sprintf(`"id":%d,"title":"%d"`, i/2+1, i/2); i%2 == 0 && (resp.StatusCode != 201 || !strings.Contains(string(body), want)) {
			t.Fatalf("answer %d: %d %s", i, resp.StatusCode, body)
		}
		if i%2 == 1 && (resp.StatusCode != 404 || string(body) != "not found") {
			t.Fatalf("answer %d: %d %s", i, resp.StatusCode, body)
		}
	}
}

// A client that vanishes in the middle of a body has written nothing, even when what came
// until then would have been a whole entry.
func TestHalfBodies(t *testing.T) {
	w := newWorld(t)
	for _, half := range []string{
		postLine + "Content-Length: 100\r\n\r\n" + `{"title":"a"}`,
		postLine + "Transfer-Encoding: chunked\r\n\r\nd\r\n" + `{"title":"a"}` + "\r\n",
		"POST /add_entry HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 200\r\n\r\nlist=bob&date=2018-12-19&title=a",
		postLine + "Transfer-Encoding: chunked\r\n\r\nzz\r\n",
	} {
		c := w.dial()
		if _, err := io.WriteString(c, half); err != nil {
			t.Fatal(err)
		}
		if err := c.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil || resp.StatusCode != 400 {
			t.Errorf("%.40q: %v, %v", half, resp, err)
		}
		c.Close()
	}
	if n := w.entries(); n != 0 {
		t.Errorf("%d entries", n)
	}
}

// What trickles in is cut off, be it a header, a body, or a body that nobody reads.
func TestTrickling(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.HeaderTimeout, c.BodyTimeout = 100*time.Millisecond, 100*time.Millisecond })
	for what, begin := range map[string]string{
		"silence":             "",
		"a header":            "GET /entries HTTP/1.1\r\nHost: local",
		"a body":              postLine + "Content-Length: 1000\r\n\r\n{",
		"a chunked body":      postLine + "Transfer-Encoding: chunked\r\n\r\n5\r\n{",
		"a form":              "POST /add_entry HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 900\r\n\r\nli",
		"an unread body":      "GET /livez HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n",
		"a body nobody wants": "POST /nothing HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n",
	} {
		t.Run(what, func(t *testing.T) {
			c := w.dial()
			if _, err := io.WriteString(c, begin); err != nil {
				t.Fatal(err)
			}
			stop := make(chan struct{})
			var trickle sync.WaitGroup
			trickle.Go(func() {
				tick := time.NewTicker(10 * time.Millisecond)
				defer tick.Stop()
				for {
					select {
					case <-stop:
						return
					case <-tick.C:
						if what != "silence" {
							_, _ = io.WriteString(c, " ") // fails once the server has closed
						}
					}
				}
			})
			_, err := io.Copy(io.Discard, c)
			close(stop)
			trickle.Wait()
			if errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error("the connection stays open")
			}
		})
	}
	if n := w.node.writes.Load(); n != 0 {
		t.Errorf("%d writes were applied", n)
	}
}

// A body may come slowly as long as it comes in time, and the connection goes on afterwards.
func TestABodyInPieces(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.BodyTimeout = 5 * time.Second })
	c := w.dial()
	r := bufio.NewReader(c)
	for range 3 {
		for _, piece := range []string{postLine + "Content-Length: 13\r\nExpect: 100-continue\r\n\r\n", `{"tit`, `le":"a"}`} {
			if _, err := io.WriteString(c, piece); err != nil {
				t.Fatal(err)
			}
			if strings.Contains(piece, "Expect") {
				if line, err := r.ReadString('\n'); err != nil || !strings.HasPrefix(line, "HTTP/1.1 100") {
					t.Fatalf("%q, %v", line, err)
				}
				if _, err := r.ReadString('\n'); err != nil {
					t.Fatal(err)
				}
			}
		}
		resp, err := http.ReadResponse(r, nil)
		if err != nil || resp.StatusCode != 201 {
			t.Fatalf("%v, %v", resp, err)
		}
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			t.Fatal(err)
		}
	}
}

// The body's deadline does not outlive the body: a write may take longer than it.
func TestASlowWriteIsNotCutOff(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.BodyTimeout = 50 * time.Millisecond })
	slow := &slowNode{testNode: w.node, hold: 200 * time.Millisecond}
	w.srv.node = slow
	w.do("POST", "/v1/lists/bob/entries", `{"title":"a"}`).want(201, "")
}

// Thousands of connections that do nothing keep nobody out, and go in time.
func TestIdleConnections(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.IdleTimeout, c.HeaderTimeout = 2*time.Second, 2*time.Second })
	conns := make([]net.Conn, 2000)
	for i := range conns {
		conns[i] = w.dial()
		if i%2 == 0 { // half of them after a first request
			if _, err := io.WriteString(conns[i], "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
				t.Fatal(err)
			}
		}
	}
	begin := time.Now()
	for i := range 20 {
		w.add("bob", fmt.Sprint(i), "")
	}
	if took := time.Since(begin); took > time.Second {
		t.Errorf("20 writes took %s", took)
	}
	for _, c := range conns {
		if _, err := io.Copy(io.Discard, c); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal("an idle connection stays open")
		}
	}
}
