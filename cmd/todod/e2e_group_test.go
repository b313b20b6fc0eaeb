package main_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"todod/httpapi/api"
)

// group is some nodes that belong, or belonged, to one group.
type group struct {
	t     *testing.T
	nodes []*node
}

// newGroup starts size nodes, the first of which founds the group that the others join by flag.
func newGroup(t *testing.T, size int) *group {
	t.Helper()
	return startGroup(t, size, func(*node) {})
}

// startGroup is newGroup with something to do to each node before it is started.
func startGroup(t *testing.T, size int, prepare func(*node)) *group {
	t.Helper()
	g := &group{t: t}
	for i := range size {
		n := newNode(t, fmt.Sprintf("n%d", i+1))
		if i > 0 {
			n.args = []string{"--join", g.nodes[0].http}
		}
		prepare(n)
		g.nodes = append(g.nodes, n)
		n.start()
	}
	g.waitReady(g.nodes...)
	g.waitVoters(size)
	return g
}

// waitReady waits until all of nodes serve.
func (g *group) waitReady(nodes ...*node) {
	g.t.Helper()
	for _, n := range nodes {
		waitReady(g.t, n)
	}
}

func waitReady(t *testing.T, n *node) {
	t.Helper()
	waitFor(t, n.id+" to be ready", func() error {
		if !n.running() {
			t.Fatalf("%s ended with %d: %s", n.id, n.proc.code, n.lastLine())
		}
		return wantStatus(200)(n.get("/readyz"))
	})
}

// waitVoters waits until every running node sees size voters.
func (g *group) waitVoters(size int) {
	g.t.Helper()
	for _, n := range g.nodes {
		if !n.running() {
			continue
		}
		waitFor(g.t, fmt.Sprintf("%s to see %d voters", n.id, size), func() error {
			c, err := n.cluster()
			if err != nil {
				return err
			}
			voters := 0
			for _, m := range c.Members {
				if m.Voter {
					voters++
				}
			}
			if voters != size || len(c.Members) != size {
				return fmt.Errorf("%d members, %d voters", len(c.Members), voters)
			}
			return nil
		})
	}
}

// leader waits until all of among (by default the running nodes) agree on a leader that is
// one of them, and returns it.
func (g *group) leader(among ...*node) *node {
	g.t.Helper()
	if len(among) == 0 {
		for _, n := range g.nodes {
			if n.running() {
				among = append(among, n)
			}
		}
	}
	var leader *node
	waitFor(g.t, "a leader", func() error {
		names := map[string]int{}
		for _, n := range among {
			c, err := n.cluster()
			if err != nil {
				return err
			}
			names[c.Leader]++
		}
		for _, n := range among {
			if names[n.id] == len(among) {
				leader = n
				return nil
			}
		}
		return fmt.Errorf("they name %v", names)
	})
	return leader
}

// others are the nodes of the group beside some.
func (g *group) others(but ...*node) []*node {
	var rest []*node
next:
	for _, n := range g.nodes {
		for _, b := range but {
			if n == b {
				continue next
			}
		}
		rest = append(rest, n)
	}
	return rest
}

// answer is what a node answered.
type answer struct {
	status int
	header http.Header
	body   string
}

// problem reads an answer's error.
func (a answer) problem() api.Problem {
	var p api.Problem
	json.Unmarshal([]byte(a.body), &p)
	return p
}

// client is shared by all tests. Its connections are kept per node, as a real client's are.
var client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true}}

// request sends one request and reads the whole answer.
func (n *node) request(ctx context.Context, method, path, body string, header ...string) (answer, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://"+n.http+path, strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return answer{res.StatusCode, res.Header, string(b)}, err
}

// do is request with a deadline that no healthy node needs.
func (n *node) do(method, path, body string, header ...string) (answer, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return n.request(ctx, method, path, body, header...)
}

func (n *node) get(path string) (answer, error) { return n.do("GET", path, "") }

// wantStatus makes an error of an answer with another status.
func wantStatus(status int) func(answer, error) error {
	return func(a answer, err error) error {
		if err == nil && a.status != status {
			err = fmt.Errorf("status %d, want %d: %s", a.status, status, strings.TrimSpace(a.body))
		}
		return err
	}
}

// must fails the test unless the answer has the status.
func (n *node) must(status int, method, path, body string, header ...string) answer {
	n.t.Helper()
	a, err := n.do(method, path, body, header...)
	if err := wantStatus(status)(a, err); err != nil {
		n.t.Fatalf("%s %s at %s: %v", method, path, n.id, err)
	}
	return a
}

func (n *node) cluster() (c api.Cluster, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	a, err := n.request(ctx, "GET", "/v1/cluster", "")
	if err = wantStatus(200)(a, err); err != nil {
		return c, err
	}
	return c, json.Unmarshal([]byte(a.body), &c)
}

func entriesPath(list string) string { return "/v1/lists/" + url.PathEscape(list) + "/entries" }

func newEntry(title string) string {
	b, err := json.Marshal(api.NewEntry{Title: title, Date: "2018-12-19"})
	if err != nil {
		panic(err) // a string always has a JSON form
	}
	return string(b)
}

// add adds an entry, which must succeed.
func (n *node) add(list, title string) api.Entry {
	n.t.Helper()
	a := n.must(201, "POST", entriesPath(list), newEntry(title))
	var e api.Entry
	if err := json.Unmarshal([]byte(a.body), &e); err != nil {
		n.t.Fatal(err)
	}
	return e
}

// entries reads a whole list at a level, page by page.
func (n *node) entries(list, level string) (all []api.Entry, err error) {
	cursor := ""
	for {
		q := url.Values{"limit": {"1000"}, "consistency": {level}}
		if cursor != "" {
			q.Set("cursor", cursor)
		}
		a, err := n.get(entriesPath(list) + "?" + q.Encode())
		if err := wantStatus(200)(a, err); err != nil {
			return nil, err
		}
		var page api.Entries
		dec := json.NewDecoder(bytes.NewReader([]byte(a.body)))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&page); err != nil {
			return nil, err
		}
		all = append(all, page.Entries...)
		if cursor = page.Next; cursor == "" {
			return all, nil
		}
	}
}

// wantTitles waits until a node's own replica holds exactly these titles, in this order.
func (n *node) wantTitles(list string, want []string) {
	n.t.Helper()
	waitFor(n.t, fmt.Sprintf("%d entries of %s at %s", len(want), list, n.id), func() error {
		all, err := n.entries(list, "stale")
		if err != nil {
			return err
		}
		if len(all) != len(want) {
			return fmt.Errorf("%d entries", len(all))
		}
		for i, e := range all {
			if e.Title != want[i] {
				return fmt.Errorf("entry %d is %q, want %q", i, e.Title, want[i])
			}
		}
		return nil
	})
}

// wantSameHashes waits until all nodes have applied the same index and then compares what
// the commands came to (chain) and what is stored (set).
func (g *group) wantSameHashes(nodes ...*node) {
	g.t.Helper()
	waitFor(g.t, "equal hashes on all nodes", func() error {
		var first api.Hash
		for i, n := range nodes {
			a, err := n.get("/v1/hash")
			if err := wantStatus(200)(a, err); err != nil {
				return err
			}
			var h api.Hash
			if err := json.Unmarshal([]byte(a.body), &h); err != nil {
				return err
			}
			if i == 0 {
				first = h
			}
			if h.Chain == "" || h.Set == "" {
				return errors.New("an empty hash")
			}
			if h.Index == first.Index && h != first {
				g.t.Fatalf("%s and %s have diverged at index %d: %+v %+v", nodes[0].id, n.id, h.Index, first, h)
			}
			if h != first {
				return fmt.Errorf("%s is at %d, %s at %d", nodes[0].id, first.Index, n.id, h.Index)
			}
		}
		return nil
	})
}
