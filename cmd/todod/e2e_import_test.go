package main_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"todod/httpapi/api"
)

// todoBinary builds the program of a person, as binary builds the daemon.
var todoBinary = sync.OnceValues(func() (string, error) { return build("todo.e2e", "../todo") })

// imported is how many entries a file has: 20 parts of 1,000.
const imported = 20_000

// A long file comes in while the leader is killed: through the leader itself, so that it is sent again to another
// node, and through a follower, which then finds another leader. Each entry is there once, in the order of the file, on all
// nodes, and the same file changes nothing when it comes again.
func TestE2EImportWhileTheLeaderDies(t *testing.T) {
	leftOutOfShortRace(t)
	g := newGroup(t, 3)
	for _, n := range g.nodes {
		n.waitVersion(2)
	}
	file, titles := longFile(t)
	for list, through := range map[string]func(leader *node) *node{
		"through the leader": func(leader *node) *node { return leader },
		"through a follower": func(leader *node) *node { return g.others(leader)[0] },
	} {
		leader := g.leader()
		servers := []string{through(leader).http}
		for _, n := range g.others(through(leader)) {
			servers = append(servers, n.http)
		}
		done := make(chan api.ImportReport, 1)
		go func() { done <- importFile(t, list, file, servers) }()
		at := g.others(leader)[0]
		waitFor(t, "a part of the file", func() error {
			if n := at.stored(list); n < 2000 {
				return fmt.Errorf("%d entries are there", n)
			}
			return nil
		})
		leader.kill()
		if n := at.stored(list); n >= imported {
			t.Errorf("%s: the leader died too late, %d entries were there", list, n)
		}
		r := <-done
		if r.Added+r.Left != imported || r.Changed+r.Refused+r.Skipped != 0 {
			t.Errorf("%s: of %d entries %+v", list, imported, r)
		}
		t.Logf("%s: %d were added, and %d found again", list, r.Added, r.Left)
		leader.start()
		g.waitReady(leader)
		for _, n := range g.nodes {
			n.wantTitles(list, titles)
		}

		before := at.must(200, "GET", "/v1/lists", "")
		if again := importFile(t, list, file, servers); again.Left != imported || again.Rev != 0 {
			t.Errorf("%s, once more: %+v", list, again)
		}
		if after := at.must(200, "GET", "/v1/lists", ""); after.body != before.body || after.header.Get("ETag") != before.header.Get("ETag") {
			t.Errorf("%s: the file came twice and the lists are\n%s, and were\n%s", list, after.body, before.body)
		}
		g.wantSameHashes(g.nodes...)
	}
}

// longFile writes a file without uids, whose entries are found again by what they say, and returns the titles in it.
func longFile(t *testing.T) (path string, titles []string) {
	t.Helper()
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	must(t, w.Write([]string{"title", "date", "priority", "tags", "notes"}))
	for i := range imported {
		title := fmt.Sprintf("Number %d", i)
		titles = append(titles, title)
		must(t, w.Write([]string{title, fmt.Sprintf("20%02d-01-02", i%100), fmt.Sprint(i % 10), "imported", "line\nby line"}))
	}
	w.Flush()
	path = filepath.Join(t.TempDir(), "long.csv")
	must(t, os.WriteFile(path, b.Bytes(), 0o600))
	return path, titles
}

// importFile runs todo import, which must succeed.
func importFile(t *testing.T, list, file string, servers []string) (r api.ImportReport) {
	bin, err := todoBinary()
	if err != nil {
		t.Error(err)
		return r
	}
	cmd := exec.Command(bin, "import", list, file, "--yes", "--output", "json", "--server", strings.Join(servers, ","))
	stdout, stderr, code := runCommand(t, cmd)
	if err := json.Unmarshal([]byte(stdout), &r); err != nil || code != 0 {
		t.Errorf("todo import ended with %d, %q (%v)", code, stderr, err)
	}
	return r
}

// stored is how many entries of a list are in the replica of a node.
func (n *node) stored(list string) uint64 {
	a, err := n.get(strings.TrimSuffix(entriesPath(list), "/entries") + "?consistency=stale")
	var l api.List
	if err != nil || json.Unmarshal([]byte(a.body), &l) != nil {
		return 0
	}
	return l.Entries
}
