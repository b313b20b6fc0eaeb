package main_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"todod/httpapi/api"
)

// SIGTERM to the leader under load: it hands over, and no call of the Go client fails. All
// nodes are restarted in turn, as in an upgrade.
func TestE2ERollingRestart(t *testing.T) {
	g := newGroup(t, 3)
	var addrs []string
	for _, n := range g.nodes {
		addrs = append(addrs, n.http)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var wg sync.WaitGroup
	var calls, failed, slowest atomic.Int64
	for w := range 8 {
		c, err := api.NewClient(addrs, api.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		wg.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				begin := time.Now()
				// Not ctx: the last calls are to end well too.
				_, _, err := c.AddEntry(context.Background(), "rolling", api.NewEntry{Title: fmt.Sprintf("%d-%d", w, i)}, api.WriteOptions{})
				if took := int64(time.Since(begin)); took > slowest.Load() {
					slowest.Store(took)
				}
				if err != nil {
					failed.Add(1)
					t.Errorf("call %d of %d: %v", i, w, err)
				}
				calls.Add(1)
			}
		})
	}
	for range rounds(6, 3) {
		more(t, "calls", &calls, 100)
		leader := g.leader()
		leader.term()
		more(t, "calls without it", &calls, 100)
		leader.start()
		g.waitReady(leader)
	}
	stop()
	wg.Wait()
	for _, n := range g.nodes {
		all, err := n.entries("rolling", "linearizable")
		if err != nil {
			t.Fatal(err)
		}
		distinct := map[string]bool{}
		for _, e := range all {
			distinct[e.Title] = true
		}
		if want := int(calls.Load() - failed.Load()); len(all) != want || len(distinct) != want {
			t.Errorf("%s: %d entries, %d distinct, after %d calls that succeeded", n.id, len(all), len(distinct), want)
		}
	}
	t.Logf("%d calls, %d failed, the slowest took %v", calls.Load(), failed.Load(), time.Duration(slowest.Load()).Round(time.Millisecond))
}
