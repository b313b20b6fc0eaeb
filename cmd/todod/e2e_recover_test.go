package main_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// shown is what todod recover --show --output json prints, as far as it is looked at here.
type shown struct {
	ID        string `json:"id"`
	Group     string `json:"group"`
	LastTerm  uint64 `json:"last_term"`
	LastIndex uint64 `json:"last_index"`
	Chain     string `json:"chain"`
	Members   []struct {
		ID    string `json:"id"`
		Voter bool   `json:"voter"`
	} `json:"members"`
}

func (n *node) show() (s shown) {
	n.t.Helper()
	out := wantCommand(n.t, 0, "recover", "--show", "--data", n.data, "--id", n.id, "--output", "json")
	if err := json.Unmarshal([]byte(out), &s); err != nil {
		n.t.Fatalf("%v: %s", err, out)
	}
	return s
}

// A group loses all its processes, and two of its three machines are given up. The best survivor goes on as a group of one;
// the two come back after all, a majority of the old group, and are strangers to it; then they
// join it.
func TestE2ERecover(t *testing.T) {
	leftOutOfShortRace(t)
	g := newGroup(t, 3)
	l := startLoad(t, g.nodes, 6)
	l.waitAcks(200)
	l.end()
	g.wantSameHashes(g.nodes...)

	// While there is a majority there is nothing to recover.
	down := g.others(g.leader())[0]
	down.kill()
	_, stderr, code := command(t, "recover", "--yes", "--data", down.data, "--id", down.id)
	if code != 4 || !strings.Contains(stderr, "the group goes on without "+down.id) {
		t.Errorf("with a majority alive: exit code %d, %s", code, stderr)
	}
	running := g.others(down)[0]
	if _, stderr, code := command(t, "recover", "--show", "--data", running.data); code != 1 || !strings.Contains(stderr, "stop it first") {
		t.Errorf("on a running node: exit code %d, %s", code, stderr)
	}
	down.start()
	g.waitReady(down)
	for _, n := range g.nodes {
		n.kill()
	}

	best, looks := g.nodes[0], map[*node]shown{}
	for _, n := range g.nodes {
		s := n.show()
		if looks[n] = s; s.LastTerm > looks[best].LastTerm || s.LastTerm == looks[best].LastTerm && s.LastIndex > looks[best].LastIndex {
			best = n
		}
		if s.ID != n.id || len(s.Members) != 3 || s.Chain == "" || s.Group != looks[g.nodes[0]].Group {
			t.Errorf("%s shows %+v", n.id, s)
		}
	}
	if _, stderr, code := command(t, "recover", "--data", best.data); code != 2 || !strings.Contains(stderr, "--yes") {
		t.Errorf("without a terminal: exit code %d, %s", code, stderr)
	}
	wantCommand(t, 0, "recover", "--yes", "--data", best.data, "--id", best.id)
	best.start()
	g.waitReady(best)
	alone := &group{t: t, nodes: []*node{best}}
	alone.waitVoters(1)
	l.verify(best)
	c, err := best.cluster()
	if err != nil || c.Group == looks[best].Group {
		t.Errorf("the group is %s, %v", c.Group, err)
	}
	oldMajorityComesBack(t, g, best)

	for i, n := range g.others(best) {
		if _, stderr, code := command(t, "recover", "--join", n.http, "--data", n.data); code != 5 {
			t.Errorf("to join where nobody is: exit code %d, %s", code, stderr)
		}
		wantCommand(t, 0, "recover", "--join", best.http, "--data", n.data)
		for _, name := range []string{"raft.db", "replica.db", "node.json"} {
			if _, err := os.Stat(filepath.Join(n.data, n.id, "before-recover-1", name)); err != nil {
				t.Errorf("not kept: %v", err)
			}
		}
		n.start()
		g.waitReady(n)
		alone.nodes = append(alone.nodes, n)
		alone.waitVoters(2 + i)
	}
	for _, n := range g.nodes {
		n.add("ours", n.id)
	}
	g.wantSameHashes(g.nodes...)
	l.verify(g.nodes...)
	for _, n := range g.nodes {
		if all, err := n.entries("theirs", "linearizable"); err != nil || len(all) > 0 {
			t.Errorf("%s has %d entries of the old group, %v", n.id, len(all), err)
		}
	}
	// Somebody tries to recover a member of the new group into it: there is nothing to gain.
	n := g.others(best)[0]
	n.term()
	if _, stderr, code := command(t, "recover", "--join", best.http, "--data", n.data); code != 4 || !strings.Contains(stderr, "same group") {
		t.Errorf("to join its own group: exit code %d, %s", code, stderr)
	}
}

// oldMajorityComesBack starts the two nodes that were given up; they are a group, and not the new one.
func oldMajorityComesBack(t *testing.T, g *group, best *node) {
	old := &group{t: t, nodes: g.others(best)}
	for _, n := range old.nodes {
		n.start()
	}
	old.waitReady(old.nodes...)
	old.leader().add("theirs", "x")
	waitFor(t, "the new group's node to be turned away by one of the old, or to turn it away", func() error {
		for _, n := range g.nodes {
			log, err := os.ReadFile(n.logFile)
			if err != nil {
				return err
			}
			if strings.Contains(string(log), " is of group ") {
				return nil
			}
		}
		return fmt.Errorf("no log speaks of another group")
	})
	best.add("ours", "beside them")
	best.wantTitles("theirs", nil)
	for _, n := range old.nodes {
		n.wantTitles("ours", nil)
		n.term()
	}
}
