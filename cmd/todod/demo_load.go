package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"todod/httpapi/api"
)

// writers is how many writers make the load; each waits for one answer before it writes on.
const writers = 12

func loadList(w int) string { return fmt.Sprintf("load-%d", w+1) }

// written is an entry as it was acknowledged, or as it is stored.
type written struct {
	list  string
	id    uint64
	title string
}

// load is writers that go on until they are stopped, and what became of their writes.
type load struct {
	quit    chan struct{} // closed to stop: what is in flight is waited for
	cancel  context.CancelFunc
	running sync.WaitGroup

	mu     sync.Mutex
	gate   chan struct{} // closed while the writers may write
	acked  []written
	times  []time.Time // of the acknowledgements, in order
	newest uint64      // the highest rev acknowledged
	unsure int         // writes given up without a clear answer
}

// startLoad starts the writers, each with a client of its own that begins at another node.
func startLoad(nodes []*localNode) *load {
	ctx, cancel := context.WithCancel(context.Background())
	l := &load{quit: make(chan struct{}), cancel: cancel, gate: make(chan struct{})}
	l.resume()
	for w := range writers {
		var addrs []string
		for i := range nodes {
			addrs = append(addrs, nodes[(w+i)%len(nodes)].http)
		}
		client, err := api.NewClient(addrs, api.Options{})
		if err != nil {
			panic(err) // the addresses come from net.Listen
		}
		l.running.Go(func() { l.writer(ctx, client, w) })
	}
	return l
}

func (l *load) writer(ctx context.Context, client *api.Client, w int) {
	defer client.Close()
	for n := 1; ; n++ {
		select {
		case <-l.quit:
			return
		case <-l.open():
		}
		l.add(ctx, client, loadList(w), fmt.Sprintf("writer %d, entry %d", w+1, n))
	}
}

// add adds one entry. It asks again with the same key until the answer is clear.
func (l *load) add(ctx context.Context, client *api.Client, list, title string) {
	key := api.NewKey()
	for {
		e, meta, err := client.AddEntry(ctx, list, api.NewEntry{Title: title}, api.WriteOptions{Key: key})
		if err == nil {
			l.mu.Lock()
			l.acked = append(l.acked, written{e.List, e.ID, e.Title})
			l.times = append(l.times, time.Now())
			l.newest = max(l.newest, meta.Index)
			l.mu.Unlock()
			return
		}
		refused := api.AsError(err)
		if ctx.Err() == nil && refused != nil && refused.Retryable() {
			continue // the client waits between its own tries
		}
		if refused == nil || refused.Outcome != api.NotApplied {
			l.mu.Lock()
			l.unsure++
			l.mu.Unlock()
		}
		return
	}
}

// hold has the writers wait after what they have in flight: nobody knows how long a person
// takes to press Enter.
func (l *load) hold() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.gate = make(chan struct{})
}

func (l *load) resume() { close(l.open()) }

func (l *load) open() chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.gate
}

func (l *load) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.acked)
}

func (l *load) rev() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.newest
}

// after waits until a write was acknowledged after a moment.
func (l *load) after(ctx context.Context, at time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	return until(ctx, "an acknowledged write", func() (bool, error) {
		l.mu.Lock()
		defer l.mu.Unlock()
		return len(l.times) > 0 && l.times[len(l.times)-1].After(at), nil
	})
}

// gap is the longest time between two acknowledgements that ends after at: a death that stops
// no write has no gap to show but the usual one between two.
func (l *load) gap(at time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	longest := time.Duration(0)
	first, _ := slices.BinarySearchFunc(l.times, at, time.Time.Compare)
	for i := max(first, 1); i < len(l.times); i++ {
		longest = max(longest, l.times[i].Sub(l.times[i-1]))
	}
	return longest
}

// stop stops the writers, waits for what they have in flight, and returns what was acknowledged.
func (l *load) stop(ctx context.Context) (acked []written, unsure int, err error) {
	defer l.cancel()
	close(l.quit)
	idle := make(chan struct{})
	go func() { l.running.Wait(); close(idle) }()
	select {
	case <-idle:
	case <-ctx.Done():
		return nil, 0, ctx.Err()
	case <-time.After(stepTimeout):
		l.cancel() // they give up, and count what they do not know
		<-idle
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.acked, l.unsure, nil
}

// stored is what the node's own replica holds of the load.
func (n *localNode) stored(ctx context.Context) ([]written, error) {
	var all []written
	for w := range writers {
		q := api.EntriesQuery{Limit: 1000}
		for e, err := range n.client.AllEntries(ctx, loadList(w), q, api.ReadOptions{Consistency: "stale"}) {
			if err != nil {
				return nil, fmt.Errorf("read what %s has stored: %w", n.id, err)
			}
			all = append(all, written{e.List, e.ID, e.Title})
		}
	}
	return all, nil
}

// compare counts what was acknowledged and is not stored, and what is stored and was not
// acknowledged, which a doubled entry is.
func compare(acked, stored []written) (lost, extra int) {
	has := map[written]int{}
	for _, w := range stored {
		has[w]++
	}
	for _, w := range acked {
		if has[w] == 0 {
			lost++
			continue
		}
		has[w]--
	}
	for _, n := range has {
		extra += n
	}
	return lost, extra
}
