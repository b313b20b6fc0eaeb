package main_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// rawRequest is what is sent on a bare connection, followed by a request that asks for the end of the connection and
// is answered 404: where one reads on past a request that is not clear, it is that or something worse.
type rawRequest struct {
	name string
	text string
	want []int // the answers until the connection is closed, that of the last request too
}

// rawRequests are the shapes in which requests were smuggled past proxies, and other abuse of the protocol. HOST stands for the
// node's address, and SMUGGLED for a whole request that writes.
var rawRequests = []rawRequest{
	{"as it should be", post + "Content-Length: 13\r\n\r\n{\"title\":\"a\"}", []int{201, 404}},
	// RFC 9112, 6.1: which of both holds is what proxies disagree about, so nothing may follow.
	{"length and chunked", post + "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nSMUGGLED", []int{400}},
	{"chunked and length", post + "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\nSMUGGLED", []int{400}},
	{"folded chunked", post + "Content-Length: 4\r\nTransfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\nSMUGGLED", []int{400}},
	{"chunked, read by nobody", "POST /nothing HTTP/1.1\r\nHost: HOST\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nSMUGGLED", []int{404}},
	{"two lengths", post + "Content-Length: 0\r\nContent-Length: 140\r\n\r\nSMUGGLED", []int{400}},
	{"two lengths in one", post + "Content-Length: 0, 140\r\n\r\nSMUGGLED", []int{400}},
	{"a length with a sign", post + "Content-Length: +0\r\n\r\nSMUGGLED", []int{400}},
	{"a negative length", post + "Content-Length: -1\r\n\r\nSMUGGLED", []int{400}},
	{"a length in hexadecimal", post + "Content-Length: 0x0\r\n\r\nSMUGGLED", []int{400}},
	{"a folded length", post + "Content-Length: 0\r\n 4\r\n\r\nSMUGGLED", []int{400}},
	{"a length without end", post + "Content-Length: 99999999999999999999\r\n\r\nSMUGGLED", []int{400}},
	{"a length beyond the limit", post + "Content-Length: 9000000000\r\n\r\n{", []int{413}},
	{"twice chunked", post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nSMUGGLED", []int{501}},
	{"chunked, identity", post + "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\nSMUGGLED", []int{501}},
	{"xchunked", post + "Content-Length: 5\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\nSMUGGLED", []int{501}},
	{"chunked after a vertical tab", post + "Content-Length: 5\r\nTransfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\nSMUGGLED", []int{400}},
	{"a space before the colon", post + "Content-Length: 5\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\nSMUGGLED", []int{400}},
	{"chunked under HTTP/1.0", strings.Replace(post, "1.1", "1.0", 1) + "Connection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nSMUGGLED", []int{400}},
	{"a chunk of bare line feeds", post + "Transfer-Encoding: chunked\r\n\r\n2;\n0\r\n0\r\n\r\nSMUGGLED", []int{400}},
	{"a carriage return in a value", post + "X: a\rContent-Length: 5\r\n\r\nSMUGGLED", []int{400}},
	{"a zero byte in a value", post + "X: a\x00b\r\n\r\nSMUGGLED", []int{400}},
	{"a name without a colon", post + "Content-Length\r\n\r\nSMUGGLED", []int{400}},
	{"a line that begins with a space", "GET /livez HTTP/1.1\r\n Host: HOST\r\n\r\nSMUGGLED", []int{400}},
	{"two hosts", "GET /livez HTTP/1.1\r\nHost: HOST\r\nHost: evil\r\n\r\nSMUGGLED", []int{400}},

	{"a chunk of 16 exabytes", chunked + "ffffffffffffffff\r\n{}", []int{400}},
	{"a chunk longer than a number", chunked + strings.Repeat("0", 40) + "1\r\n{}", []int{400}},
	{"a negative chunk", chunked + "-1\r\n{}\r\n0\r\n\r\nSMUGGLED", []int{400}},
	{"a chunk with a sign", chunked + "+2\r\n{}\r\n0\r\n\r\nSMUGGLED", []int{400}},
	{"a chunk in 0x", chunked + "0x2\r\n{}\r\n0\r\n\r\nSMUGGLED", []int{400}},
	{"a chunk without its end", chunked + "2\r\n{}X0\r\n\r\nSMUGGLED", []int{400}},
	{"an endless extension", chunked + "2;x=" + strings.Repeat("x", 2<<20), []int{400}},
	{"extensions and nothing else", chunked + strings.Repeat("1;"+strings.Repeat("x", 3000)+"\r\n \r\n", 200), []int{400}},
	{"endless trailers", chunked + "2\r\n{}\r\n0\r\n" + strings.Repeat("X: x\r\n", 300_000), []int{400}},
	{"a chunked body beyond the limit", chunked + "200000\r\n" + strings.Repeat(" ", 2<<20) + "\r\n0\r\n\r\n", []int{413}},

	{"another host's address", "GET http://evil.example/livez HTTP/1.1\r\nHost: HOST\r\n\r\n", []int{421, 404}},
	{"this host's address", "GET http://HOST/livez HTTP/1.1\r\nHost: evil.example\r\n\r\n", []int{200, 404}},
	{"a tunnel", "CONNECT HOST HTTP/1.1\r\nHost: HOST\r\n\r\n", []int{404, 404}},
	{"a proxy's request", "GET ftp://HOST/livez HTTP/1.1\r\nHost: HOST\r\n\r\n", []int{200, 404}},
	{"HTTP/0.9", "GET /livez\r\n\r\n", []int{400}},
	{"HTTP/2's preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00", []int{404}},
	{"an upgrade to HTTP/2", "GET /livez HTTP/1.1\r\nHost: HOST\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n", []int{200, 404}},
	{"two spaces", "GET  /livez HTTP/1.1\r\nHost: HOST\r\n\r\n", []int{400}},
	{"a method of control characters", "G\x01T /livez HTTP/1.1\r\nHost: HOST\r\n\r\n", []int{400}},
	{"an expectation", "GET /livez HTTP/1.1\r\nHost: HOST\r\nExpect: the best\r\n\r\n", []int{417}},
	{"a flood of headers", "GET /livez HTTP/1.1\r\nHost: HOST\r\n" + strings.Repeat("X-Flood: 1\r\n", 50_000) + "\r\n", []int{431}},
	{"a flood of names", "GET /livez HTTP/1.1\r\nHost: HOST\r\n" + floodOfNames() + "\r\n", []int{431}},
	{"a header without end", "GET /livez HTTP/1.1\r\nHost: HOST\r\nX: " + strings.Repeat("x", 4<<20), []int{431}},
	{"a line without end", "GET /" + strings.Repeat("x", 4<<20), []int{431}},
	{"a query of many parameters", "GET /entries?list=bob&date=2018-12-19" + strings.Repeat("&a=b", 12_000) + " HTTP/1.1\r\nHost: HOST\r\n\r\n", []int{200, 404}},
	{"a gzip bomb", post + "Content-Encoding: gzip\r\nContent-Length: " + fmt.Sprint(len(bomb())) + "\r\n\r\n" + bomb(), []int{415}},
	{"a gzip bomb in the book's form", "POST /add_entry?list=raw&date=2018-12-19 HTTP/1.1\r\nHost: HOST\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Encoding: gzip\r\nContent-Length: " + fmt.Sprint(len(bomb())) + "\r\n\r\n" + bomb(), []int{400, 404}},
	{"a deep body", post + "Content-Length: 1000000\r\n\r\n" + strings.Repeat("[", 1_000_000), []int{400, 404}},
	{"a hundred ranges", "GET /livez HTTP/1.1\r\nHost: HOST\r\nRange: bytes=" + strings.Repeat("0-,", 100) + "0-\r\n\r\n", []int{200, 404}},
	{"a thousand at once", strings.Repeat("GET /livez HTTP/1.1\r\nHost: HOST\r\n\r\n", 1000), append(slices.Repeat([]int{200}, 1000), 404)},
}

const (
	post    = "POST /v1/lists/raw/entries HTTP/1.1\r\nHost: HOST\r\nContent-Type: application/json\r\n"
	chunked = post + "Transfer-Encoding: chunked\r\n\r\n"

	smuggled = "POST /v1/lists/smuggled/entries HTTP/1.1\r\nHost: HOST\r\nContent-Type: application/json\r\nContent-Length: 13\r\n\r\n{\"title\":\"a\"}"
	sentinel = "GET /sentinel HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\n\r\n"
)

func floodOfNames() string {
	var b strings.Builder
	for i := range 20_000 {
		fmt.Fprintf(&b, "X-%d: 1\r\n", i)
	}
	return b.String()
}

// bomb is a gigabyte of zeros in a megabyte.
var bomb = sync.OnceValue(func() string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	zeros := make([]byte, 1<<20)
	for range 900 {
		if _, err := w.Write(zeros); err != nil {
			panic(err) // a buffer takes everything
		}
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	return b.String()
})

// All of it at once at one node of a group that works meanwhile: each is answered as it should be, nothing of it is
// taken for another request, and the processes are the same and equal afterwards.
func TestE2ERawRequests(t *testing.T) {
	leftOutOfShortRace(t)
	g := newGroup(t, 3)
	n := g.nodes[0]
	l := startLoad(t, g.nodes, 2)
	before := n.uses()
	var all sync.WaitGroup
	for _, c := range rawRequests {
		all.Go(func() {
			if got, err := n.say(c.text); err != nil || !slices.Equal(got, c.want) {
				t.Errorf("%s: answered %v, want %v (%v)", c.name, got, c.want, err)
			}
		})
	}
	all.Wait()
	l.waitAcks(20)
	wantRunning(t, g.nodes...)
	n.must(200, "GET", "/readyz", "")
	if all, err := n.entries("smuggled", "linearizable"); err != nil || len(all) > 0 {
		t.Errorf("%d requests were smuggled in (%v)", len(all), err)
	}
	n.waitUses(before)
	l.verify(g.nodes...)
	g.wantSameHashes(g.nodes...)
}

// say sends a request and the sentinel, and returns the statuses until the node closes the connection.
func (n *node) say(text string) (got []int, err error) {
	text = strings.ReplaceAll(strings.ReplaceAll(text, "SMUGGLED", smuggled)+sentinel, "HOST", n.http)
	c, err := net.Dial("tcp", n.http)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	go io.WriteString(c, text) // it may stop reading in the middle
	for in := bufio.NewReader(c); ; {
		res, err := http.ReadResponse(in, nil)
		if err != nil {
			if isTimeout(err) {
				return got, errors.New("the connection stays open")
			}
			return got, nil
		}
		got = append(got, res.StatusCode)
		if _, err := io.Copy(io.Discard, res.Body); isTimeout(err) {
			return got, errors.New("the answer has no end")
		}
	}
}
