package main_test

import (
	"fmt"
	"strings"
	"testing"
)

const plainText = "text/plain; charset=utf-8"

// wantText compares an answer of the book's routes byte for byte.
func wantText(t *testing.T, n *node, method, path, want string) {
	t.Helper()
	a := n.must(200, method, path, "")
	if a.body != want {
		t.Errorf("%s %s at %s: %q, want %q", method, path, n.id, a.body, want)
	}
	if got := a.header.Get("Content-Type"); got != plainText {
		t.Errorf("%s %s at %s: Content-Type %q, want %q", method, path, n.id, got, plainText)
	}
}

// The book's session, on two nodes: what is added at one is read at both.
func TestE2EBookOnTwoNodes(t *testing.T) {
	g := newGroup(t, 2)
	n1, n2 := g.nodes[0], g.nodes[1]

	wantText(t, n1, "GET", "/entries?list=bob&date=2018-12-19", "")
	wantText(t, n1, "POST", "/add_entry?list=bob&date=2018-12-19&title=Dentist", "OK")
	wantText(t, n2, "POST", "/add_entry?list=bob&date=2018-12-19&title=Shopping+list%20two", "OK")
	wantText(t, n2, "POST", "/add_entry?list=bob&date=2018-12-20&title=Movies", "OK")
	wantText(t, n1, "POST", "/add_entry?list=alice&date=2018-12-19&title=Caf%C3%A9", "OK")
	for _, n := range g.nodes {
		wantText(t, n, "GET", "/entries?list=bob&date=2018-12-19", "2018-12-19 Dentist\n2018-12-19 Shopping list two")
		wantText(t, n, "GET", "/entries?list=bob&date=2018-12-20", "2018-12-20 Movies")
		wantText(t, n, "GET", "/entries?list=alice&date=2018-12-19", "2018-12-19 Café")
		wantText(t, n, "GET", "/entries?list=bob&date=2018-12-21", "")
	}

	// An entry that is done is still listed, and a form body does as well as a query.
	n1.must(200, "PATCH", "/v1/lists/bob/entries/1", `{"done":true}`, "Content-Type", "application/merge-patch+json")
	wantText(t, n2, "GET", "/entries?list=bob&date=2018-12-19", "2018-12-19 Dentist\n2018-12-19 Shopping list two")
	a := n2.must(200, "POST", "/add_entry", "list=carol&date=2018-12-19&title=By+form", "Content-Type", "application/x-www-form-urlencoded")
	if a.body != "OK" {
		t.Errorf("a form body: %q", a.body)
	}
	wantText(t, n1, "GET", "/entries?list=carol&date=2018-12-19", "2018-12-19 By form")

	for path, says := range map[string]string{
		"/add_entry?list=bob&date=2018-12-19":               "title",
		"/add_entry?date=2018-12-19&title=x":                "list",
		"/add_entry?list=bob&date=2018-02-29&title=x":       "date",
		"/add_entry?list=..%2Fout&date=2018-12-19&title=x":  "list",
		"/add_entry?list=bob&date=2018-12-19&title=a&list=": "list",
	} {
		a := n1.must(400, "POST", path, "")
		if a.header.Get("Content-Type") != plainText || strings.Contains(strings.TrimSpace(a.body), "\n") || !strings.Contains(a.body, says) {
			t.Errorf("POST %s: %q should say in one line of text what is wrong with %s", path, a.body, says)
		}
	}
}

// With one of two gone nothing can be written, but what is there can be read.
func TestE2ETwoNodesLoseOne(t *testing.T) {
	leftOutOfShortRace(t)
	g := newGroup(t, 2)
	n1, n2 := g.nodes[0], g.nodes[1]
	wantText(t, n1, "POST", "/add_entry?list=bob&date=2018-12-19&title=Dentist", "OK")
	wantText(t, n2, "GET", "/entries?list=bob&date=2018-12-19", "2018-12-19 Dentist")

	n1.kill()
	waitFor(t, "n2 to answer 503 to a write", func() error {
		return wantStatus(503)(n2.do("POST", "/add_entry?list=bob&date=2018-12-19&title=Lost", ""))
	})
	a := n2.must(200, "GET", "/entries?list=bob&date=2018-12-19", "")
	if a.body != "2018-12-19 Dentist" || a.header.Get("Todod-Consistency") != "stale" {
		t.Errorf("the survivor answers %q at %q", a.body, a.header.Get("Todod-Consistency"))
	}
	if p := n2.must(503, "GET", entriesPath("bob"), "").problem(); p.Code != "no_leader" {
		t.Errorf("a linearizable read without a leader: code %q", p.Code)
	}
	n2.must(200, "GET", "/livez", "")

	n1.start()
	g.waitReady(n1, n2)
	wantText(t, n2, "POST", "/add_entry?list=bob&date=2018-12-19&title=Back", "OK")
	// A write that was answered 504 on the way may have been applied; one answered 503 was not.
	for _, n := range g.nodes {
		body := n.must(200, "GET", "/entries?list=bob&date=2018-12-19", "").body
		if !strings.HasPrefix(body, "2018-12-19 Dentist") || !strings.HasSuffix(body, "2018-12-19 Back") {
			t.Errorf("%s: %q", n.id, body)
		}
	}
}

// The original lost 598 of these 600.
func TestE2ERejoinAfterKill(t *testing.T) {
	leftOutOfShortRace(t)
	const adds = 600
	g := newGroup(t, 3)
	victim := g.others(g.leader())[0]
	for i := range adds {
		n := g.nodes[i%3]
		n.must(200, "POST", fmt.Sprintf("/add_entry?list=bob&date=2018-12-19&title=entry+%d", i), "")
	}
	want := make([]string, adds)
	for i := range want {
		want[i] = fmt.Sprintf("entry %d", i)
	}
	victim.kill()
	victim.start()
	g.waitReady(victim)
	for _, n := range g.nodes {
		n.wantTitles("bob", want)
	}
	// All of them at once, which no follower can make good.
	for _, n := range g.nodes {
		n.kill()
	}
	for _, n := range g.nodes {
		n.start()
	}
	g.waitReady(g.nodes...)
	for _, n := range g.nodes {
		n.wantTitles("bob", want)
	}
	g.wantSameHashes(g.nodes...)
}
