package main_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// load writes entries with titles of their own over all nodes until it is stopped, and
// remembers what it was told of each. Half of its workers send a key and try again at the next
// node until they are told yes; the others try once and believe the outcome they are given.
type load struct {
	t     *testing.T
	nodes []*node
	ctx   context.Context
	stop  context.CancelFunc
	done  sync.WaitGroup
	acks  atomic.Int64

	mu    sync.Mutex
	acked map[string]bool // titles that were acknowledged
	no    map[string]bool // titles that were said to be not applied
	last  time.Time       // when something was acknowledged last
	pause time.Duration   // the longest time without an acknowledged write, over all nodes
}

const loadLists = 8

func loadList(i int) string { return fmt.Sprintf("load-%d", i%loadLists) }

func startLoad(t *testing.T, nodes []*node, workers int) *load {
	return startNamedLoad(t, nodes, workers, "")
}

// startNamedLoad is for more loads than one: their titles begin with a name.
func startNamedLoad(t *testing.T, nodes []*node, workers int, name string) *load {
	ctx, stop := context.WithCancel(context.Background())
	l := &load{t: t, nodes: nodes, ctx: ctx, stop: stop, acked: map[string]bool{}, no: map[string]bool{}}
	for w := range workers {
		l.done.Add(1)
		go func() {
			defer l.done.Done()
			for i := 0; ctx.Err() == nil; i++ {
				title := fmt.Sprintf("%sw%d-%d", name, w, i)
				if w%2 == 0 {
					l.insist(w, i, title)
				} else {
					l.once(w, i, title)
				}
			}
		}()
	}
	t.Cleanup(l.end)
	return l
}

func (l *load) end() {
	l.stop()
	l.done.Wait()
}

// send tries once. Its answer is "yes", "no" (certainly not applied) or "" (not known).
func (l *load) send(n *node, w int, title, key string) string {
	// Not the load's context: a request in flight when the load is stopped is waited for.
	ctx, cancel := context.WithTimeout(context.Background(), 1500*time.Millisecond)
	defer cancel()
	header := []string{"Prefer", "wait=1"}
	if key != "" {
		header = append(header, "Idempotency-Key", key)
	}
	a, err := n.request(ctx, "POST", entriesPath(loadList(w)), newEntry(title), header...)
	switch {
	case err != nil:
		l.rest() // it is down, or was killed: the others need not be flooded meanwhile
		return ""
	case a.status == 201:
		return "yes"
	case a.status == 503 || a.status == 504 || a.status == 429:
		l.rest()
		switch outcome := a.problem().Outcome; outcome {
		case "not_applied":
			return "no"
		case "unknown":
			return ""
		case "applied":
			return "yes"
		default:
			l.t.Errorf("a %d with outcome %q: %s", a.status, outcome, a.body)
		}
	default:
		l.t.Errorf("add at %s: %d %s", n.id, a.status, a.body)
	}
	return ""
}

func (l *load) rest() {
	select {
	case <-l.ctx.Done():
	case <-time.After(2 * time.Millisecond):
	}
}

func (l *load) once(w, i int, title string) {
	switch l.send(l.nodes[(w+i)%len(l.nodes)], w, title, "") {
	case "yes":
		l.ack(title)
	case "no":
		l.mu.Lock()
		l.no[title] = true
		l.mu.Unlock()
	}
}

func (l *load) insist(w, i int, title string) {
	key := strings.ReplaceAll("key-of-the-write-"+title, " ", "-")
	for try := 0; l.ctx.Err() == nil; try++ {
		if l.send(l.nodes[(w+i+try)%len(l.nodes)], w, title, key) == "yes" {
			l.ack(title)
			return
		}
	}
}

func (l *load) ack(title string) {
	l.mu.Lock()
	l.acked[title] = true
	now := time.Now()
	if !l.last.IsZero() {
		l.pause = max(l.pause, now.Sub(l.last))
	}
	l.last = now
	l.mu.Unlock()
	l.acks.Add(1)
}

// waitAcks waits until so many more writes have been acknowledged.
func (l *load) waitAcks(more int64) {
	l.t.Helper()
	goal := l.acks.Load() + more
	waitFor(l.t, fmt.Sprintf("%d more acknowledged writes", more), func() error {
		if now := l.acks.Load(); now < goal {
			return fmt.Errorf("%d are missing", goal-now)
		}
		return nil
	})
}

// verify ends the load and counts, on each of nodes: what was acknowledged is there once, what
// was said to be not applied is not there, and nothing is there twice.
func (l *load) verify(nodes ...*node) {
	l.t.Helper()
	l.end()
	if len(l.acked) == 0 {
		l.t.Fatal("the load had nothing acknowledged")
	}
	for _, n := range nodes {
		stored := map[string]int{}
		for i := range loadLists {
			waitFor(l.t, "a linearizable read at "+n.id, func() error {
				all, err := n.entries(loadList(i), "linearizable")
				if err == nil {
					for _, e := range all {
						stored[e.Title]++
					}
				}
				return err
			})
		}
		lost, doubled, wrong := 0, 0, 0
		for title := range l.acked {
			if stored[title] == 0 {
				lost++
			}
		}
		for title, times := range stored {
			if times > 1 {
				doubled++
			}
			if l.no[title] {
				wrong++
			}
		}
		if lost+doubled+wrong > 0 {
			l.t.Errorf("%s: of %d acknowledged %d are lost, %d are doubled, %d were said to be not applied and are there",
				n.id, len(l.acked), lost, doubled, wrong)
		}
	}
	l.t.Logf("acknowledged %d, refused %d: all accounted for at %d nodes", len(l.acked), len(l.no), len(nodes))
}
