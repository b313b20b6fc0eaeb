package main_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
)

// nextBinary builds the program that stands for the next release: fsm/version_next.go says what it
// knows.
var nextBinary = sync.OnceValues(func() (string, error) { return build("todod.next", ".", "-tags", "next") })

func nextTodod(t *testing.T) string {
	t.Helper()
	bin, err := nextBinary()
	if err != nil {
		t.Fatal(err)
	}
	return bin
}

// run stops a node in order and starts it with another program, "" for todod as it is.
func (g *group) run(n *node, program string) {
	g.t.Helper()
	n.term()
	n.program = program
	n.start()
	g.waitReady(n)
}

// wantNotYet: what only the next release knows is refused at a node, whoever leads, and nothing of it is
// applied.
func (g *group) wantNotYet(n *node) {
	g.t.Helper()
	a := n.must(409, "POST", entriesPath("news"), newEntry("next: not yet"))
	p := a.problem()
	says := "the leader's todod does not know this change"
	for _, leader := range g.nodes {
		if leader.id == p.Leader && leader.program != "" {
			says = "this change needs version 3 of the group, which is at 2"
		}
	}
	if says += ": run a todod that knows it on every node of the group first"; p.Code != "version" || p.Outcome != "not_applied" || p.Detail != says {
		g.t.Errorf("%s refuses with %s, want %q", n.id, a.body, says)
	}
}

// letLead has a node lead the group.
func (g *group) letLead(n *node) {
	g.t.Helper()
	waitFor(g.t, n.id+" to lead", func() error {
		leader := g.leader()
		if leader == n {
			return nil
		}
		_, stderr, code := command(g.t, "transfer", n.id, "--server", leader.http) // it may not have been noticed yet
		return fmt.Errorf("%s leads, its transfer ended with %d %s", leader.id, code, stderr)
	})
}

func (n *node) waitVersion(version uint64) {
	n.t.Helper()
	waitFor(n.t, fmt.Sprintf("%s to be at version %d of the group", n.id, version), func() error {
		c, err := n.cluster()
		if err == nil && c.GroupVersion != version {
			err = fmt.Errorf("it is at %d", c.GroupVersion)
		}
		return err
	})
}

// An upgrade of three nodes in turn under load, with a step back on the way: what only the new program
// knows is refused until it runs everywhere, by an old leader and by a new one. Then no node can go back.
func TestE2EUpgrade(t *testing.T) {
	leftOutOfShortRace(t)
	next := nextTodod(t)
	g := newGroup(t, 3)
	l := startLoad(t, g.nodes, 6)
	l.waitAcks(50)
	last := g.leader()
	first, second := g.others(last)[0], g.others(last)[1]

	g.run(first, next)
	g.wantNotYet(first)
	l.waitAcks(50)
	g.run(first, "") // nothing new was logged
	l.waitAcks(50)
	g.run(first, next)

	g.letLead(first)
	g.wantNotYet(first)
	if out := wantCommand(t, 0, "status", "--server", first.http); !strings.Contains(out, "version 2, goes up once every member reads more: waits for ") {
		t.Errorf("status says\n%s", out)
	}
	l.waitAcks(50)
	g.run(second, next)
	g.wantNotYet(second)
	l.waitAcks(50)
	g.run(last, next)
	for _, n := range g.nodes {
		n.waitVersion(3)
		n.add("news", "next: from "+n.id)
	}
	for _, n := range g.nodes {
		n.wantTitles("news", []string{"next: from n1", "next: from n2", "next: from n3"})
	}
	l.waitAcks(50)
	pause := l.longest()

	for i, n := range g.nodes {
		if i == 0 {
			n.kill()
		} else {
			n.term()
		}
		n.program = ""
		n.start()
		n.wantExit(73)
		if says := n.lastLine(); !strings.HasSuffix(says, "the group is at version 3 and this todod reads up to 2: run a newer todod on this folder") {
			t.Errorf("an older program on the folder of %s says %q", n.id, says)
		}
		n.program = next
		n.start()
		g.waitReady(n)
		l.waitAcks(50)
	}
	late := newNode(t, "n4", "--join", g.nodes[0].http)
	late.start()
	late.wantExit(73)
	if says := late.lastLine(); !strings.Contains(says, "the group is at version 3 and the todod of node n4 reads up to 2") {
		t.Errorf("an older program that wants to join says %q", says)
	}
	l.verify(g.nodes...)
	g.wantSameHashes(g.nodes...)
	t.Logf("the longest pause of all writes during the upgrade was %v, with the steps back %v",
		pause.Round(time.Millisecond), l.longest().Round(time.Millisecond))
}

// longest is the longest time so far in which no write was acknowledged.
func (l *load) longest() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.pause
}
