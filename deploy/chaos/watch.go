package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"todod/httpapi/api"
)

// watch looks at every node for as long as the run lasts: who leads in which term, how far the group
// has come, and the events that each process tells.
type watch struct {
	r    *run
	done sync.WaitGroup

	mu      sync.Mutex
	leaders map[uint64]string // who led in each term, by its own word
	claims  map[string]uint64 // the term in which a node said last that it leads
	commit  uint64            // the highest index that any node called committed
	events  []event
	last    map[string]uint64 // seq of the last event of each run of a process
}

// event is an event and the node that told it.
type event struct {
	by string
	at time.Time // when it was heard
	api.Event
}

func newWatch(r *run) *watch {
	return &watch{r: r, leaders: map[uint64]string{}, claims: map[string]uint64{}, last: map[string]uint64{}}
}

// follow begins to look at a node.
func (w *watch) follow(n *node) {
	w.done.Go(func() { w.sample(n) })
	w.done.Go(func() {
		last := "none.0" // an id of no process: tell everything
		for w.r.ctx.Err() == nil {
			w.listen(n, &last)
			w.r.hold(20 * time.Millisecond)
		}
	})
}

func (w *watch) sample(n *node) {
	for w.r.ctx.Err() == nil {
		w.r.hold(100 * time.Millisecond)
		if !n.running() {
			continue
		}
		c, err := get[api.Cluster](w.r.plain, n.http, "/v1/cluster", 500*time.Millisecond)
		if err == nil {
			w.saw(c)
		}
	}
}

// saw checks that no two nodes lead in one term. A node reads its leader and its term one after the
// other, so a leader is believed of itself only if it says so twice in a term.
func (w *watch) saw(c api.Cluster) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.commit = max(w.commit, c.Commit)
	if c.ID == "" || c.Leader != c.ID || w.claims[c.ID] != c.Term {
		w.claims[c.ID] = 0
		if c.Leader == c.ID {
			w.claims[c.ID] = c.Term
		}
		return
	}
	other, known := w.leaders[c.Term]
	if known && other != c.ID {
		w.r.find("two nodes lead in term %d: %s and %s", c.Term, other, c.ID)
	}
	w.leaders[c.Term] = c.ID
}

func (w *watch) committed() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.commit
}

// listen reads a node's events until the stream breaks, from the last one on that was heard.
func (w *watch) listen(n *node, last *string) {
	req, err := http.NewRequestWithContext(w.r.ctx, http.MethodGet, "http://"+n.http+"/v1/cluster/events", nil)
	if err != nil {
		return
	}
	req.Header.Set("Last-Event-ID", *last)
	res, err := w.r.plain.client.Do(req)
	if err != nil || res.StatusCode != http.StatusOK {
		if err == nil {
			res.Body.Close()
		}
		return
	}
	defer res.Body.Close()
	lines := bufio.NewScanner(res.Body)
	for lines.Scan() {
		if id, is := strings.CutPrefix(lines.Text(), "id: "); is {
			*last = id
		}
		if data, is := strings.CutPrefix(lines.Text(), "data: "); is {
			w.heard(n, *last, data)
		}
	}
}

// heard notes an event; of each run of a process all are heard, in order.
func (w *watch) heard(n *node, id, data string) {
	e := event{by: n.id, at: time.Now()}
	boot, text, _ := strings.Cut(id, ".")
	seq, err := strconv.ParseUint(text, 10, 64)
	if err != nil || json.Unmarshal([]byte(data), &e.Event) != nil {
		w.r.find("%s tells an event that cannot be read: id %s, %s", n.id, id, data)
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if seq != w.last[boot]+1 {
		w.r.find("%s told event %d after event %d", n.id, seq, w.last[boot])
	}
	w.last[boot] = seq
	w.events = append(w.events, e)
}

// eventTold waits until some node but the one that it is about told an event of a type about it.
func (w *watch) eventTold(typ, about string, since time.Time) error {
	ctx, cancel := context.WithTimeout(w.r.ctx, patience)
	defer cancel()
	for {
		w.mu.Lock()
		for i := len(w.events) - 1; i >= 0 && !w.events[i].at.Before(since); i-- {
			if e := w.events[i]; e.Type == typ && (e.Node == about || about == "") {
				w.mu.Unlock()
				return nil
			}
		}
		w.mu.Unlock()
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("nobody told of %s of %s", typ, about)
		}
	}
}
