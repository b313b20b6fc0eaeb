package main_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// remove has a node taken out, asked for again while there is no leader, as an operator would.
func (g *group) remove(out *node) {
	g.t.Helper()
	at := g.others(out)
	waitFor(g.t, "the removal of "+out.id, func() error {
		for _, n := range at {
			if !n.running() {
				continue
			}
			_, errs, code := command(g.t, "remove", out.id, "--server", n.http)
			if code == 0 {
				return nil
			}
			return fmt.Errorf("exit code %d: %s", code, errs)
		}
		return fmt.Errorf("no node runs")
	})
	g.nodes = g.others(out)
}

// 1 -> 3 -> 5 -> 3 -> 1 under load: two join at once each time, the leader is killed as they do and as
// one of them is taken out, the leader itself is taken out, and a dead node is replaced.
func TestE2EGrowAndShrinkUnderLoad(t *testing.T) {
	g := newGroup(t, 1)
	all := []*node{g.nodes[0]}
	for i := 2; i <= 6; i++ {
		all = append(all, newNode(t, fmt.Sprintf("n%d", i), "--join", all[0].http))
	}
	l := startLoad(t, all[:5], 6)
	l.waitAcks(30)
	grow := func(fresh ...*node) {
		for _, n := range fresh {
			n.start()
		}
		g.nodes = append(g.nodes, fresh...)
	}
	grow(all[1], all[2])
	g.waitVoters(3)
	l.waitAcks(30)

	for _, n := range all[3:6] { // whom they ask is not the one that dies
		n.args = []string{"--join", all[0].http + "," + all[1].http + "," + all[2].http}
	}
	old := g.leader()
	grow(all[3], all[4])
	old.kill()
	l.waitAcks(30)
	old.start()
	g.waitReady(g.nodes...)
	g.waitVoters(5)
	l.waitAcks(30)

	// A dead one is replaced: the new one first, then the old one out.
	dead := g.others(g.leader())[0]
	dead.kill()
	grow(all[5])
	waitFor(t, "the new one to vote", func() error { return g.votes(all[5], true) })
	g.remove(dead)
	g.waitVoters(5)
	dead.start()
	dead.wantExit(73)
	l.waitAcks(30)

	// The leader is killed while one is taken out, and the leader that follows is taken out itself.
	out, old := g.others(g.leader())[0], g.leader()
	killed := make(chan struct{})
	go func() {
		defer close(killed)
		old.kill()
	}()
	g.remove(out)
	<-killed
	old.start()
	out.wantExit(0)
	g.waitReady(g.nodes...)
	g.waitVoters(4)
	lead := g.leader()
	g.remove(lead)
	lead.wantExit(0)
	g.waitVoters(3)
	l.waitAcks(30)
	for len(g.nodes) > 1 {
		out := g.leader()
		g.remove(out)
		out.wantExit(0)
		g.waitVoters(len(g.nodes))
		if len(g.nodes) == 2 {
			l.waitAcks(10)
		}
	}
	last := g.nodes[0]
	g.waitReady(last)
	if _, _, code := command(t, "remove", last.id, "--server", last.http); code != 4 {
		t.Errorf("the last voter was to be removed: exit code %d, want 4", code)
	}
	l.verify(last)
}

// votes says whether the group as every node sees it has n as a voter.
func (g *group) votes(n *node, want bool) error {
	for _, at := range g.nodes {
		if !at.running() {
			continue
		}
		c, err := at.cluster()
		if err != nil {
			return err
		}
		votes := false
		for _, m := range c.Members {
			votes = votes || m.ID == n.id && m.Voter
		}
		if votes != want {
			return fmt.Errorf("%s says of %s's vote: %v", at.id, n.id, votes)
		}
	}
	return nil
}

func (n *node) copyTo(data string) {
	n.t.Helper()
	if err := os.CopyFS(filepath.Join(data, n.id), os.DirFS(filepath.Join(n.data, n.id))); err != nil {
		n.t.Fatal(err)
	}
}

// heardOf waits until every other node was told by n that it has applied all there is.
func (g *group) heardOf(n *node) {
	g.t.Helper()
	for _, at := range g.others(n) {
		waitFor(g.t, at.id+" to hear of "+n.id, func() error {
			c, err := at.cluster()
			if err != nil {
				return err
			}
			for _, m := range c.Members {
				if m.ID == n.id && m.Applied < c.Applied {
					return fmt.Errorf("it heard of %d of %d", m.Applied, c.Applied)
				}
			}
			return nil
		})
	}
}

// A second process on a copy of a folder in use, and a folder put back from an old copy: each could
// vote a second time, and is turned away.
func TestE2ECopiedFolder(t *testing.T) {
	leftOutOfShortRace(t)
	g := newGroup(t, 3)
	orig := g.others(g.leader())[0]
	for i := range 20 {
		orig.add("bob", fmt.Sprint(i))
	}
	orig.term()
	twin := newNode(t, orig.id)
	orig.copyTo(twin.data)
	old := newNode(t, orig.id)
	old.http, old.raft = orig.http, orig.raft
	orig.copyTo(old.data)
	orig.start()
	g.waitReady(orig)

	twin.start() // at addresses of its own, beside the original
	twin.wantExit(73)
	for _, n := range g.nodes {
		n.add("bob", n.id)
	}
	g.wantSameHashes(g.nodes...)

	g.heardOf(orig)
	orig.kill()
	old.start() // where the original was
	old.wantExit(73)
	if line := old.lastLine(); !strings.Contains(line, "old copy") {
		t.Errorf("the last line should say why: %s", line)
	}
	orig.start()
	g.waitReady(orig)
	g.wantSameHashes(g.nodes...)

	// Moved as it is, to other addresses, it is welcome.
	orig.term()
	moved := newNode(t, orig.id)
	orig.copyTo(moved.data)
	moved.start()
	g.nodes = append(g.others(orig), moved)
	g.waitReady(moved)
	waitFor(t, "its new address everywhere", func() error {
		for _, n := range g.nodes {
			c, err := n.cluster()
			if err != nil {
				return err
			}
			for _, m := range c.Members {
				if m.ID == moved.id && m.Raft != moved.raft {
					return fmt.Errorf("%s has %s", n.id, m.Raft)
				}
			}
		}
		return nil
	})
	moved.add("bob", "moved")
	g.wantSameHashes(g.nodes...)
}

func TestE2ERemoveDeadAfter(t *testing.T) {
	leftOutOfShortRace(t)
	if _, errs, code := command(t, "serve", "--data", t.TempDir(), "--remove-dead-after", "5s"); code != 2 || !strings.Contains(errs, "--remove-dead-after") {
		t.Errorf("5s: exit code %d, %q", code, errs)
	}
	g := startGroup(t, 3, func(n *node) { n.args = append(n.args, "--remove-dead-after", "30s") })
	leader := g.leader()
	dead := g.others(leader)[0]
	leader.add("bob", "before")
	dead.kill()
	g.nodes = g.others(dead)
	if err := poll(2*patience, func() error { return g.votes(dead, false) }); err != nil {
		t.Fatal(err)
	}
	g.waitVoters(2)
	log, err := os.ReadFile(g.leader().logFile)
	if err != nil || !strings.Contains(string(log), "takes out a member that is dead") {
		t.Errorf("the leader's log does not say so (%v)", err)
	}
	for _, n := range g.nodes {
		n.add("bob", n.id)
	}
	dead.start()
	dead.wantExit(73)
	g.wantSameHashes(g.nodes...)
}
