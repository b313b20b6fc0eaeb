package main_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestE2EJoinByCommand(t *testing.T) {
	leftOutOfShortRace(t)
	g := newGroup(t, 1)
	n1 := g.nodes[0]
	n1.add("bob", "before")
	n2 := newNode(t, "n2")
	n2.start()
	waitReady(t, n2) // a group of one of its own
	wantCommand(t, 0, "join", n1.http, "--server", n2.http)
	g.nodes = append(g.nodes, n2)
	g.waitVoters(2)
	g.waitReady(n2)
	n2.wantTitles("bob", []string{"before"})
	n2.add("bob", "after")
	n1.wantTitles("bob", []string{"before", "after"})

	// It stays a member over a restart with the flags it began with, which name no group.
	n2.term()
	n2.start()
	g.waitReady(n2)
	g.waitVoters(2)

	// A node that holds entries would lose them: it is refused, and is what it was.
	full := newNode(t, "full")
	full.start()
	waitReady(t, full)
	full.add("carol", "mine")
	_, stderr, code := command(t, "join", n1.http, "--server", full.http)
	if code != 4 || strings.Count(strings.TrimSpace(stderr), "\n") != 0 {
		t.Errorf("a full node's join: exit code %d, %q", code, stderr)
	}
	full.wantTitles("carol", []string{"mine"})
	full.add("carol", "still writable")
	g.waitVoters(2)
}

func TestE2EBootstrapExpect(t *testing.T) {
	g := &group{t: t}
	for i := range 3 {
		g.nodes = append(g.nodes, newNode(t, fmt.Sprintf("n%d", i+1)))
	}
	var addrs []string
	for _, n := range g.nodes {
		addrs = append(addrs, n.http)
	}
	for _, n := range g.nodes {
		n.args = []string{"--bootstrap-expect", "3", "--join", strings.Join(addrs, ",")}
	}
	// Two of the three are not enough.
	g.nodes[2].start()
	g.nodes[1].start()
	for _, n := range g.nodes[1:] {
		waitFor(t, n.id+" to see the other and wait for the third", func() error {
			c, err := n.cluster()
			if err == nil && (len(c.Sees) != 2 || c.Leader != "") {
				err = fmt.Errorf("it sees %v, leader %q", c.Sees, c.Leader)
			}
			return err
		})
		if err := wantStatus(503)(n.get("/readyz")); err != nil {
			t.Errorf("%s, without a group: %v", n.id, err)
		}
	}
	g.nodes[0].start()
	g.waitReady(g.nodes...)
	g.waitVoters(3)
	groups := map[string]bool{}
	for _, n := range g.nodes {
		c, err := n.cluster()
		if err != nil {
			t.Fatal(err)
		}
		groups[c.Group] = true
		n.add("bob", n.id)
	}
	if len(groups) != 1 {
		t.Errorf("%d groups were founded", len(groups))
	}

	// The same flags again, on folders that hold a group now, found nothing.
	for _, n := range g.nodes {
		n.kill()
	}
	for _, n := range g.nodes {
		n.start()
	}
	g.waitReady(g.nodes...)
	for _, n := range g.nodes {
		n.wantTitles("bob", []string{"n1", "n2", "n3"})
		c, err := n.cluster()
		if err != nil || !groups[c.Group] {
			t.Errorf("%s is in group %s after the restart (%v)", n.id, c.Group, err)
		}
	}

	// A fourth with the flags of the three joins them.
	n4 := newNode(t, "n4", g.nodes[0].args...)
	n4.start()
	g.nodes = append(g.nodes, n4)
	g.waitReady(n4)
	g.waitVoters(4)
	n4.wantTitles("bob", []string{"n1", "n2", "n3"})
}

// Transfer, leave and remove while writes go on, and what becomes of those who left.
func TestE2EMembersUnderLoad(t *testing.T) {
	g := newGroup(t, 5)
	l := startLoad(t, g.nodes, 6)
	l.waitAcks(30)

	old := g.leader()
	to := g.others(old)[0]
	wantCommand(t, 0, "transfer", to.id, "--server", old.http)
	waitFor(t, to.id+" to lead", func() error {
		if now := g.leader(); now != to {
			return fmt.Errorf("%s leads", now.id)
		}
		return nil
	})
	l.waitAcks(30)

	// The leader itself leaves: it hands over first.
	wantCommand(t, 0, "leave", "--server", to.http)
	to.wantExit(0)
	g.nodes = g.others(to)
	g.waitVoters(4)
	l.waitAcks(30)
	to.start()
	to.wantExit(73)
	if _, err := os.Stat(filepath.Join(to.data, to.id, "node.json")); err != nil {
		t.Errorf("the folder of a node that left is not kept: %v", err)
	}

	// One is down and taken out by the others; it learns of that when it comes back.
	down := g.others(g.leader())[0]
	down.kill()
	g.nodes = g.others(down)
	wantCommand(t, 0, "remove", down.id, "--server", g.nodes[0].http)
	g.waitVoters(3)
	l.waitAcks(30)
	down.start()
	down.wantExit(73)
	l.waitAcks(30)

	// A member that is not there cannot be removed.
	if _, _, code := command(t, "remove", "nobody", "--server", g.nodes[0].http); code != 3 {
		t.Errorf("remove nobody: exit code %d, want 3", code)
	}
	l.verify(g.nodes...)
	g.wantSameHashes(g.nodes...)
}

// A node whose folder was wiped forgot whom it voted for: it may not come back under its old name.
func TestE2EWipedFolder(t *testing.T) {
	leftOutOfShortRace(t)
	g := newGroup(t, 3)
	g.nodes[0].add("bob", "before")
	wiped := g.others(g.leader())[0]
	wiped.kill()
	if err := os.RemoveAll(wiped.data); err != nil {
		t.Fatal(err)
	}
	rest := g.others(wiped)
	wiped.args = []string{"--join", rest[0].http + "," + rest[1].http}
	wiped.start()
	wiped.wantExit(73)
	if line := wiped.lastLine(); !strings.Contains(line, wiped.id) {
		t.Errorf("the last line should name the node: %s", line)
	}
	for _, n := range rest {
		n.add("bob", n.id)
	}

	// As another node it is welcome, once the old one is taken out.
	wantCommand(t, 0, "remove", wiped.id, "--server", rest[0].http)
	wiped.id = "n4"
	wiped.start()
	g.waitReady(wiped)
	g.waitVoters(3)
	wiped.wantTitles("bob", []string{"before", rest[0].id, rest[1].id})
}

func TestE2EOneFolderTwoProcesses(t *testing.T) {
	g := newGroup(t, 1)
	first := g.nodes[0]
	second := newNode(t, first.id)
	second.data = first.data
	second.start()
	second.wantExit(1)
	if line := second.lastLine(); !strings.Contains(line, "process") {
		t.Errorf("the refusal should say that another process runs there: %s", line)
	}
	first.add("bob", "undisturbed")
}

// An address that is used again leads to a node of another group: neither side may take the
// other's log.
func TestE2EForeignNodeAtAMembersAddress(t *testing.T) {
	leftOutOfShortRace(t)
	ours := newGroup(t, 3)
	gone := ours.others(ours.leader())[0]
	gone.kill()

	stranger := newNode(t, gone.id)
	stranger.raft, stranger.http = gone.raft, gone.http
	stranger.start()
	theirs := &group{t: t, nodes: []*node{stranger}}
	theirs.waitReady(stranger)
	stranger.add("theirs", "one")

	rest := ours.others(gone)
	for i := range 50 {
		rest[i%2].add("ours", fmt.Sprint(i))
	}
	stranger.wantTitles("ours", nil)
	stranger.wantTitles("theirs", []string{"one"})
	for _, n := range rest {
		n.wantTitles("theirs", nil)
	}
	// Its founder is asked to join ours: it has an entry, and its ID and address are taken.
	if _, _, code := command(t, "join", rest[0].http, "--server", stranger.http); code != 4 {
		t.Errorf("join of a node of another group: exit code %d, want 4", code)
	}
	stranger.add("theirs", "two")
	stranger.term()

	gone.start()
	ours.waitReady(gone)
	gone.wantTitles("theirs", nil)
	ours.wantSameHashes(ours.nodes...)
}
