package main_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
)

// side is what became of adds tried on one side of a split.
type side struct {
	mu      sync.Mutex
	yes, no []string // acknowledged; certainly not applied
	unknown []string
}

// try adds many entries to one list at some nodes, 200 at a time.
func (s *side) try(t *testing.T, nodes []*node, list, prefix string, count int) {
	t.Helper()
	var wg sync.WaitGroup
	next := make(chan int)
	for range 200 {
		wg.Go(func() {
			for i := range next {
				s.one(t, nodes[i%len(nodes)], list, fmt.Sprintf("%s-%d", prefix, i))
			}
		})
	}
	for i := range count {
		next <- i
	}
	close(next)
	wg.Wait()
	t.Logf("%s: %d acknowledged, %d refused, %d unknown", prefix, len(s.yes), len(s.no), len(s.unknown))
}

func (s *side) one(t *testing.T, n *node, list, title string) {
	ctx, cancel := context.WithTimeout(context.Background(), 8*time.Second)
	defer cancel()
	a, err := n.request(ctx, "POST", entriesPath(list), newEntry(title), "Prefer", "wait=1")
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case err != nil:
		t.Errorf("%s did not answer, though only its peers are cut off: %v", n.id, err)
	case a.status == 201:
		s.yes = append(s.yes, title)
	case a.status == 503 && a.problem().Outcome == "not_applied":
		s.no = append(s.no, title)
	case a.status == 504 && a.problem().Outcome == "unknown":
		s.unknown = append(s.unknown, title)
	default:
		t.Errorf("%s answered %d: %s", n.id, a.status, a.body)
	}
}

// check counts, at a node, what is there of a side's adds.
func (s *side) check(t *testing.T, n *node, list, prefix string) {
	t.Helper()
	stored := map[string]int{}
	all, err := n.entries(list, "linearizable")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range all {
		if strings.HasPrefix(e.Title, prefix+"-") {
			stored[e.Title]++
		}
	}
	for _, title := range s.yes {
		if stored[title] != 1 {
			t.Errorf("%s: %s was acknowledged and is there %d times", n.id, title, stored[title])
		}
	}
	for _, title := range s.no {
		if stored[title] != 0 {
			t.Errorf("%s: %s was refused and is there", n.id, title)
		}
	}
	for _, title := range s.unknown {
		if stored[title] > 1 {
			t.Errorf("%s: %s is there %d times", n.id, title, stored[title])
		}
	}
}

// A split, with 1,000 adds tried on each side. The original lost 1,000 of the 2,000 each time.
func TestE2ESplit(t *testing.T) {
	leftOutOfShortRace(t)
	g, c := newCabledGroup(t, 3)
	adds := rounds(1000, 200)
	for _, who := range []string{"leader", "follower"} {
		alone := g.leader()
		if who == "follower" {
			alone = g.others(alone)[0]
		}
		rest := g.others(alone)
		c.cut([]*node{alone}, rest)

		few, many := &side{}, &side{}
		minority, majority := who+"-minority", who+"-majority"
		var both sync.WaitGroup
		both.Go(func() { few.try(t, []*node{alone}, "bob", minority, adds) })
		both.Go(func() {
			g.leader(rest...)
			many.try(t, rest, "bob", majority, adds)
		})
		both.Wait()
		if len(few.yes) != 0 {
			t.Errorf("the %s, alone, acknowledged %d adds", who, len(few.yes))
		}
		if len(few.no) < adds/2 {
			t.Errorf("the %s, alone, should know soon that it is: only %d adds were refused outright", who, len(few.no))
		}
		if len(many.yes) < adds*9/10 {
			t.Errorf("the majority acknowledged only %d of %d", len(many.yes), adds)
		}
		// Alone it still reads, and says of what age.
		a := alone.must(200, "GET", entriesPath("bob")+"?consistency=auto&limit=1", "")
		if a.header.Get("Todod-Consistency") != "stale" {
			t.Errorf("a read on the lonely side was given at %q", a.header.Get("Todod-Consistency"))
		}

		c.Heal()
		g.leader()
		g.waitReady(g.nodes...)
		for _, n := range g.nodes {
			few.check(t, n, "bob", minority)
			many.check(t, n, "bob", majority)
		}
	}
	g.wantSameHashes(g.nodes...)
}

// All three are cut off from each other and then healed, so that whoever led may lead again
// with what nobody else has. What was said to be not applied is not applied then either.
func TestE2ESplitThreeWays(t *testing.T) {
	leftOutOfShortRace(t)
	g, c := newCabledGroup(t, 3)
	for round := range rounds(6, 2) {
		list := fmt.Sprintf("bob-%d", round)
		leader := g.leader()
		rest := g.others(leader)
		c.cut([]*node{leader}, rest)
		c.cut(rest[:1], rest[1:])
		adds := &side{}
		adds.try(t, []*node{leader, rest[0], leader}, list, "alone", 200)
		if len(adds.yes) != 0 {
			t.Errorf("%d adds were acknowledged without a majority", len(adds.yes))
		}
		c.Heal()
		g.leader()
		g.waitReady(g.nodes...)
		g.nodes[0].add(list, "healed") // behind all that came before it in the log
		for _, n := range g.nodes {
			adds.check(t, n, list, "alone")
		}
	}
	g.wantSameHashes(g.nodes...)
}

// Splits that come and go while all nodes are written to.
func TestE2ESplitsUnderLoad(t *testing.T) {
	g, c := newCabledGroup(t, 3)
	l := startLoad(t, g.nodes, 9)
	for i := range rounds(6, 2) {
		alone := g.leader()
		if i%3 == 2 {
			alone = g.others(alone)[0]
		}
		l.waitAcks(30)
		c.cut([]*node{alone}, g.others(alone))
		g.leader(g.others(alone)...)
		l.waitAcks(60)
		c.Heal()
	}
	g.leader()
	l.waitAcks(30)
	l.verify(g.nodes...)
	g.wantSameHashes(g.nodes...)
}
