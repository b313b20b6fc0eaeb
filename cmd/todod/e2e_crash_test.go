package main_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"todod/httpapi/api"
)

// rounds is how often a loop runs: fewer times where the tests are asked to be short.
func rounds(long, short int) int {
	if testing.Short() {
		return short
	}
	return long
}

// kill -9 of the leader, again and again, while writes go on at all nodes.
func TestE2EKillLeaderUnderLoad(t *testing.T) {
	g := newGroup(t, 3)
	l := startLoad(t, g.nodes, 8)
	l.waitAcks(50)
	for range rounds(20, 4) {
		victim := g.leader()
		at := time.Now()
		victim.kill()
		l.waitAcks(20)
		t.Logf("killed %s; 20 writes later it was %v", victim.id, time.Since(at).Round(time.Millisecond))
		victim.start()
		g.waitReady(victim)
		l.waitAcks(20)
	}
	l.end()
	l.verify(g.nodes...)
	g.wantSameHashes(g.nodes...)
}

// All nodes at once, as when the power fails.
func TestE2EKillAllUnderLoad(t *testing.T) {
	g := newGroup(t, 3)
	l := startLoad(t, g.nodes, 8)
	for range rounds(5, 2) {
		l.waitAcks(100)
		for _, n := range g.nodes {
			n.kill()
		}
		for _, n := range g.nodes {
			n.start()
		}
		g.waitReady(g.nodes...)
	}
	l.waitAcks(20)
	l.verify(g.nodes...)
	g.wantSameHashes(g.nodes...)
}

// A leader that is paused thinks itself leader when it wakes. It must not answer with what it
// had when it fell asleep. One writer counts up in an entry's title; whoever reads it, at any node and
// across every pause, finds at least the number that was acknowledged before the read began.
func TestE2EPausedLeaderReads(t *testing.T) {
	g := newGroup(t, 3)
	id := g.nodes[0].add("clock", "0").ID
	path := fmt.Sprintf("%s/%d", entriesPath("clock"), id)

	var floor atomic.Int64 // the highest number acknowledged
	var reads [3]atomic.Int64
	stop := make(chan struct{})
	var wg sync.WaitGroup
	stopped := func() bool {
		select {
		case <-stop:
			return true
		default:
			return false
		}
	}
	wg.Go(func() { countUp(g, path, &floor, stopped) })
	for i, n := range g.nodes {
		for range 2 {
			wg.Go(func() {
				for !stopped() {
					least := floor.Load()
					a, err := n.get(path)
					if err != nil || a.status != 200 {
						continue // it may have no leader; it may not answer with the past
					}
					var e api.Entry
					json.Unmarshal([]byte(a.body), &e)
					if got, err := strconv.ParseInt(e.Title, 10, 64); err != nil || got < least {
						t.Errorf("a linearizable read at %s gave %q after %d had been acknowledged", n.id, e.Title, least)
					}
					reads[i].Add(1)
				}
			})
		}
	}
	for range rounds(6, 2) {
		pauseLeader(t, g, &floor, &reads)
	}
	close(stop)
	wg.Wait()
	t.Logf("%d writes; reads at the nodes: %d, %d, %d", floor.Load(), reads[0].Load(), reads[1].Load(), reads[2].Load())
}

// countUp puts ever higher numbers, each only in place of the last that it knows of: a put
// that lay at a paused node and is done when that wakes cannot turn the number back.
func countUp(g *group, path string, floor *atomic.Int64, stopped func() bool) {
	etag, at := "", 0
	for i := int64(1); !stopped(); {
		n := g.nodes[at%3]
		ctx, cancel := context.WithTimeout(context.Background(), 500*time.Millisecond)
		if etag == "" {
			if a, err := n.request(ctx, "GET", path, ""); err == nil && a.status == 200 {
				etag = a.header.Get("ETag")
			} else {
				at++
			}
			cancel()
			continue
		}
		a, err := n.request(ctx, "PUT", path, newEntry(strconv.FormatInt(i, 10)), "Prefer", "wait=1", "If-Match", etag)
		cancel()
		if err == nil && a.status == 200 {
			floor.Store(i)
			etag = a.header.Get("ETag")
			at++
		} else {
			etag = "" // it is another now, perhaps
		}
		i++
	}
}

// pauseLeader stops the leader until the others have elected another one that acknowledged
// writes, lets it wake, and waits until it answers again.
func pauseLeader(t *testing.T, g *group, floor *atomic.Int64, reads *[3]atomic.Int64) {
	t.Helper()
	old := g.leader()
	old.signal(syscall.SIGSTOP)
	g.leader(g.others(old)...)
	more(t, "writes past the pause", floor, 5)
	old.signal(syscall.SIGCONT)
	for i, n := range g.nodes {
		more(t, "reads at "+n.id, &reads[i], 10)
	}
	more(t, "writes", floor, 5)
}

// more waits until a counter has gone up by n.
func more(t *testing.T, what string, count *atomic.Int64, n int64) {
	t.Helper()
	goal := count.Load() + n
	waitFor(t, what, func() error {
		if now := count.Load(); now < goal {
			return fmt.Errorf("%d of %d", now, goal)
		}
		return nil
	})
}

// Pauses of leaders and followers while writes go on: nothing is lost or doubled by what a
// node does when it wakes.
func TestE2EPausesUnderLoad(t *testing.T) {
	g := newGroup(t, 3)
	l := startLoad(t, g.nodes, 8)
	for i := range rounds(6, 2) {
		victim := g.leader()
		if i%3 == 2 {
			victim = g.others(victim)[0]
		}
		victim.signal(syscall.SIGSTOP)
		g.leader(g.others(victim)...)
		l.waitAcks(30)
		victim.signal(syscall.SIGCONT)
		l.waitAcks(30)
	}
	l.verify(g.nodes...)
	g.wantSameHashes(g.nodes...)
}

// Five nodes bear the loss of two; of the third they do not, and say so.
func TestE2EFiveNodes(t *testing.T) {
	leftOutOfShortRace(t)
	g := newGroup(t, 5)
	l := startLoad(t, g.nodes, 8)
	l.waitAcks(50)
	first := g.leader()
	first.kill()
	l.waitAcks(50)
	second := g.leader()
	second.kill()
	l.waitAcks(50)

	third := g.leader()
	l.end()
	third.kill()
	rest := g.others(first, second, third)
	waitFor(t, "a write to be refused", func() error {
		return wantStatus(503)(rest[0].do("POST", entriesPath("refused"), newEntry("no majority")))
	})
	third.start()
	g.waitReady(third)
	first.start()
	second.start()
	g.waitReady(g.nodes...)
	l.verify(g.nodes...)
	g.wantSameHashes(g.nodes...)
}
