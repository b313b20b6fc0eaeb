package main_test

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// What comes in on the peer port may be anything. The node answers its clients meanwhile and
// keeps no connection that says nothing.
func TestE2EGarbageOnThePeerPort(t *testing.T) {
	g, cable := newCabledGroup(t, 2)
	n := g.nodes[0]
	random := rand.NewChaCha8([32]byte{1})
	noise := make([]byte, 64<<10)
	random.Read(noise)

	var strangers sync.WaitGroup
	for name, says := range map[string][]byte{
		"http":        []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
		"noise":       noise,
		"zeros":       make([]byte, 4096),
		"large claim": {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
	} {
		for range 20 {
			c := dial(t, n.raft)
			defer c.Close()
			strangers.Go(func() {
				c.SetDeadline(time.Now().Add(patience))
				c.Write(says) // it may be closed on us: that is an answer too
				if _, err := io.Copy(io.Discard, c); isTimeout(err) {
					t.Errorf("%s: the connection was kept open", name)
				}
			})
		}
	}
	strangers.Wait()
	c := tls.Client(dial(t, n.raft), &tls.Config{InsecureSkipVerify: true})
	c.SetDeadline(time.Now().Add(patience))
	if err := c.Handshake(); err == nil || isTimeout(err) {
		t.Errorf("a TLS client on the peer port: %v", err)
	}
	c.Close()

	// Connections that begin and then say nothing, and half of a real beginning.
	begin := cable.Opening()
	var idle []net.Conn
	for i := range 200 {
		c := dial(t, n.raft)
		defer c.Close()
		c.Write(begin[:i%(len(begin)/2+1)])
		idle = append(idle, c)
	}
	n.add("bob", "while 200 strangers wait")
	g.nodes[1].wantTitles("bob", []string{"while 200 strangers wait"})
	for _, c := range idle {
		c.SetReadDeadline(time.Now().Add(patience))
		if _, err := io.Copy(io.Discard, c); isTimeout(err) {
			t.Error("a connection that said half a handshake was kept open")
			break
		}
	}
	n.add("bob", "after")
	g.nodes[1].add("bob", "from the other")
	g.wantSameHashes(g.nodes...)
}

func dial(t *testing.T, addr string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func isTimeout(err error) bool {
	e, ok := err.(net.Error)
	return ok && e.Timeout()
}

// The HTTP port has strangers too.
func TestE2EStrangersOnTheHTTPPort(t *testing.T) {
	g := newGroup(t, 1)
	n := g.nodes[0]

	// 2,000 connections that never ask for anything.
	var idle []net.Conn
	for range 2000 {
		c, err := net.Dial("tcp", n.http)
		if err != nil {
			t.Fatalf("after %d connections: %v", len(idle), err)
		}
		defer c.Close()
		idle = append(idle, c)
	}
	n.add("bob", "among the idle")

	for name, raw := range map[string]string{
		"a client that vanishes mid-body": "POST /v1/lists/bob/entries HTTP/1.1\r\nHost: " + n.http + "\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n{\"title\":\"half",
		"half a header":                   "GET /entries?list=bob HTTP/1.1\r\nHo",
		"noise":                           "\x00\x01\x02\xff\xfe\r\n\r\n",
	} {
		c := dial(t, n.http)
		if _, err := io.WriteString(c, raw); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		c.Close()
	}

	c := dial(t, n.http)
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: %s\r\nX-Large: %s\r\n\r\n", n.http, strings.Repeat("x", 1<<20))
	if res, err := http.ReadResponse(bufio.NewReader(c), nil); err == nil && res.StatusCode != 431 {
		t.Errorf("a header of 1 MB: %s", res.Status)
	}

	pipelined(t, n)
	n.wantTitles("bob", []string{"among the idle", "pipelined"})
}

// pipelined sends an add and a read in one packet, and then speaks HTTP/1.0.
func pipelined(t *testing.T, n *node) {
	t.Helper()
	c := dial(t, n.http)
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	const read = "/entries?list=bob&date=2018-12-19"
	fmt.Fprintf(c, "POST /add_entry?list=bob&date=2018-12-19&title=pipelined HTTP/1.1\r\nHost: %s\r\nContent-Length: 0\r\n\r\nGET %s HTTP/1.1\r\nHost: %s\r\n\r\nGET %s HTTP/1.0\r\n\r\n",
		n.http, read, n.http, read)
	in := bufio.NewReader(c)
	for i, want := range []string{"OK", "2018-12-19 among the idle\n2018-12-19 pipelined", "2018-12-19 among the idle\n2018-12-19 pipelined"} {
		res, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatalf("answer %d: %v", i, err)
		}
		body, err := io.ReadAll(res.Body)
		if err != nil || string(body) != want {
			t.Errorf("answer %d: %q (%v), want %q", i, body, err, want)
		}
	}
}
