package httpapi

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"todod/fsm/todo"
	"todod/server"
)

const loopbackLists, loopbackEntries = 1000, 5

// BenchmarkLoopback is requests to a real node, a group of one, over real connections. CPU is that of this process,
// client and all; the floor is a handler of net/http that sends the same bytes.
func BenchmarkLoopback(b *testing.B) {
	n, err := server.Open(server.Config{ID: "n1", Data: b.TempDir(), Raft: "127.0.0.1:0"})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { n.Close() })
	for range loopbackEntries {
		cmd := todo.Command{Batch: true}
		for i := range loopbackLists {
			cmd.Ops = append(cmd.Ops, todo.Op{Kind: todo.Add, List: fmt.Sprintf("list-%d", i), Fields: todo.Fields{Title: "Dentist, and then the shopping", Date: "2018-12-19"}})
		}
		waitForLeader(b, n, cmd)
	}
	addr := serveLoopback(b, New(Config{Node: n}).HTTPServer())
	get := "GET /v1/lists/list-%d/entries?date=2018-12-19%s HTTP/1.1\r\nHost: localhost\r\nUser-Agent: bench\r\nAccept-Encoding: gzip\r\n\r\n"
	body := `{"title":"Dentist, and then the shopping","date":"2018-12-20"}`
	post := "POST /v1/lists/list-%d/entries%s HTTP/1.1\r\nHost: localhost\r\nUser-Agent: bench\r\nContent-Type: application/json\r\nContent-Length: " +
		strconv.Itoa(len(body)) + "\r\n\r\n" + body
	b.Run("floor", func(b *testing.B) {
		loopback(b, serveLoopback(b, &http.Server{Handler: floorFor(b, addr, get)}), get, "")
	})
	b.Run("stale", func(b *testing.B) { loopback(b, addr, get, "&consistency=stale") })
	b.Run("linearizable", func(b *testing.B) { loopback(b, addr, get, "") })
	b.Run("post", func(b *testing.B) { loopback(b, addr, post, "") })
}

// waitForLeader writes a command once the node leads its group.
func waitForLeader(b *testing.B, n *server.Node, cmd todo.Command) {
	for {
		if _, err := n.Write(context.Background(), cmd, server.WriteOptions{}); err == nil {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func serveLoopback(b *testing.B, s *http.Server) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	go func() { _ = s.Serve(l) }()
	b.Cleanup(func() { _ = s.Close() })
	return l.Addr().String()
}

// floorFor answers everything as the node at addr answers a stale read.
func floorFor(b *testing.B, addr, get string) http.HandlerFunc {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	fmt.Fprintf(c, get, 1, "&consistency=stale")
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		b.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		b.Fatal(resp.Status, err)
	}
	header := resp.Header
	header.Del("Date")
	return func(w http.ResponseWriter, _ *http.Request) {
		h := w.Header()
		for name, values := range header {
			h[name] = values
		}
		w.WriteHeader(http.StatusOK)
		_, _ = w.Write(body)
	}
}

// loopback spreads b.N requests over connections. The client reads no more than it must.
func loopback(b *testing.B, addr, format, more string) {
	var next atomic.Int64
	var all sync.WaitGroup
	before := loopbackCPU()
	b.ReportAllocs()
	b.ResetTimer()
	for range 16 {
		all.Go(func() {
			c, err := net.Dial("tcp", addr)
			if err != nil {
				b.Error(err)
				return
			}
			defer c.Close()
			var out []byte
			in := make([]byte, 16<<10)
			for n := next.Add(1); n <= int64(b.N); n = next.Add(1) {
				out = fmt.Appendf(out[:0], format, n%loopbackLists, more)
				if _, err := c.Write(out); err != nil {
					b.Error(err)
					return
				}
				got, err := c.Read(in) // net/http sends as small an answer at once
				if err != nil || string(in[:10]) != "HTTP/1.1 2" || in[got-1] != '\n' {
					b.Errorf("%v: %q", err, in[:got])
					return
				}
			}
		})
	}
	all.Wait()
	b.StopTimer()
	b.ReportMetric(float64(loopbackCPU()-before)/float64(b.N), "cpu-ns/op")
}

func loopbackCPU() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u) // it does not fail for oneself
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
