package main_test

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// uses are what a process holds: what a stranger made it take must come back.
type uses struct{ files, goroutines, heap float64 }

func (n *node) uses() (u uses) {
	n.t.Helper()
	if n.pprof != "" {
		res, err := http.Get("http://" + n.pprof + "/debug/pprof/heap?gc=1")
		if err != nil {
			n.t.Fatal(err)
		}
		res.Body.Close()
	}
	a := n.must(200, "GET", "/metrics", "")
	for name, to := range map[string]*float64{
		"process_open_fds": &u.files, "go_goroutines": &u.goroutines, "go_memstats_heap_alloc_bytes": &u.heap,
	} {
		_, rest, ok := strings.Cut(a.body, "\n"+name+" ")
		text, _, _ := strings.Cut(rest, "\n")
		var err error
		if *to, err = strconv.ParseFloat(text, 64); !ok || err != nil {
			n.t.Fatalf("the metric %s is %q", name, text)
		}
	}
	return u
}

// collecting has a node collect its garbage before it says what it uses. By itself it does so after two minutes, or when its
// heap is five times of what once lived in it.
func collecting(n *node) {
	n.pprof = freeAddr(n.t)
	n.args = append(n.args, "--pprof", n.pprof)
}

// waitUses waits until a node holds no more than before, but for what the connections of the test's own
// clients make, and its garbage if it is not collecting.
func (n *node) waitUses(before uses) {
	n.t.Helper()
	waitFor(n.t, n.id+" to let go of what it took", func() error {
		now := n.uses()
		if now.files > before.files+80 || now.goroutines > before.goroutines+200 || now.heap > before.heap+64<<20 {
			return fmt.Errorf("before %+v, now %+v", before, now)
		}
		return nil
	})
}

// strangers opens n connections to an address, each of which says something and then no more.
func strangers(t *testing.T, addr string, n int, says func(i int) string) (conns []net.Conn) {
	t.Helper()
	t.Cleanup(func() {
		for _, c := range conns {
			c.Close()
		}
	})
	for i := range n {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatalf("after %d connections: %v", i, err)
		}
		conns = append(conns, c)
		c.SetWriteDeadline(time.Now().Add(time.Second))
		_, _ = io.WriteString(c, says(i)) // it may be closed on us
	}
	return conns
}

// flood is how many connections a test may open: each takes a file handle here, and one in the node.
func flood(t *testing.T) int {
	t.Helper()
	const want, spare = 10_000, 1000
	var lim syscall.Rlimit
	must(t, syscall.Getrlimit(syscall.RLIMIT_NOFILE, &lim))
	if lim.Cur < lim.Max {
		lim.Cur = lim.Max
		must(t, syscall.Setrlimit(syscall.RLIMIT_NOFILE, &lim))
	}
	if lim.Cur < want+spare {
		t.Logf("%d file handles are allowed here: %d connections instead of %d", lim.Cur, lim.Cur-spare, want)
	}
	return int(min(want, lim.Cur-spare))
}

// Ten thousand connections at a node that are silent, slow in every phase, or do not read their answers: the group works
// meanwhile, that node too, and nothing of it is left when they are gone.
func TestE2ETenThousandConnections(t *testing.T) {
	many := rounds(flood(t), 2000)
	g := startGroup(t, 3, collecting)
	n := g.nodes[0]
	big := strings.Repeat(`{"op":"add","list":"big","title":"`+strings.Repeat("x", 900)+`"},`, 999)
	n.must(200, "POST", "/v1/batch", `{"commands":[`+strings.TrimSuffix(big, ",")+`]}`)
	l := startLoad(t, g.nodes, 4)
	l.waitAcks(20)
	before := n.uses()
	get := "GET " + entriesPath("big") + "?limit=1000 HTTP/1.1\r\nHost: " + n.http + "\r\n"
	phases := []string{"", get[:20], get, // silent, within the first line, within the header
		strings.ReplaceAll(post, "HOST", n.http) + "Content-Length: 1000\r\n\r\n{",
		strings.ReplaceAll(chunked, "HOST", n.http) + "400\r\n{",
		"GET /livez HTTP/1.1\r\nHost: " + n.http + "\r\n\r\n", // asked once, and idle
	}
	conns := strangers(t, n.http, many, func(i int) string {
		if i%100 == 0 {
			return get + "\r\n" + get + "\r\n" + get + "\r\n" // and reads none of it
		}
		return phases[i%len(phases)]
	})
	l.waitAcks(100)
	at := n.uses()
	t.Logf("%d connections: before %+v, with them %+v", many, before, at)
	if at.heap > 1<<30 {
		t.Errorf("the heap grew to %.0f MB", at.heap/1e6)
	}
	wantStatusIn(t, n, 5*time.Second)
	for _, c := range conns {
		c.Close()
	}
	n.waitUses(before)
	wantRunning(t, g.nodes...)
	l.verify(g.nodes...)
	g.wantSameHashes(g.nodes...)
}

// wantStatusIn wants a new connection to be answered in time.
func wantStatusIn(t *testing.T, n *node, most time.Duration) {
	t.Helper()
	began := time.Now()
	c := dial(t, n.http)
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	fmt.Fprintf(c, "GET /readyz HTTP/1.1\r\nHost: %s\r\n\r\n", n.http)
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil || res.StatusCode != 200 || time.Since(began) > most {
		t.Errorf("a new connection among them: %v, %v after %v", res, err, time.Since(began))
	}
}

// The same at the port of the peers: what says nothing, half of something, or all of it and then garbage, from strangers and from
// one who knows what a member says.
func TestE2EFloodOfThePeerPort(t *testing.T) {
	many := rounds(flood(t), 2000)
	cable := newNetwork(t)
	g := startGroup(t, 3, func(n *node) { cable.plug(n); collecting(n) })
	begin := string(cable.Opening())
	// Whom it calls: its own name comes first, and behind the other's only where its log ended.
	n := slices.MaxFunc(g.nodes, func(a, b *node) int { return strings.LastIndex(begin, a.id) - strings.LastIndex(begin, b.id) })
	l := startLoad(t, g.nodes, 4)
	l.waitAcks(20)
	before := n.uses()
	noise := make([]byte, 4096)
	rand.NewChaCha8([32]byte{2}).Read(noise)
	says := []string{"", begin[:1], begin[:len(begin)/2], begin, begin + string(noise), begin + strings.Repeat("\xff", 4096),
		begin + strings.Repeat("\x00", 4096), strings.Repeat("\xff", 64), "GET / HTTP/1.1\r\n\r\n", string(noise)}
	conns := strangers(t, n.raft, many, func(i int) string { return says[i%len(says)] })
	l.waitAcks(100)
	at := n.uses()
	t.Logf("%d connections: before %+v, with them %+v", many, before, at)
	if at.files > before.files+float64(many)/5+400 { // those who said what a member says, and those that it listens to now
		t.Errorf("strangers hold %.0f file handles", at.files)
	}
	for _, c := range conns {
		c.Close()
	}
	n.waitUses(before)
	wantRunning(t, g.nodes...)
	l.verify(g.nodes...)
	g.wantSameHashes(g.nodes...)
}
