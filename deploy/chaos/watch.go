package main

import (
	"bufio"
	"encoding/json"
	"errors"
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
	commits map[string]uint64 // up to where each node said that its log is committed
	events  []event
	last    map[string]uint64  // seq of the last event of each run of a process
	down    map[[2]string]bool // whether a run of a process told last that another node is down
}

// event is an event and the node that told it.
type event struct {
	by string
	at time.Time // when it was heard
	api.Event
}

func newWatch(r *run) *watch {
	return &watch{r: r, leaders: map[uint64]string{}, claims: map[string]uint64{}, commits: map[string]uint64{}, last: map[string]uint64{}, down: map[[2]string]bool{}}
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
	w.commits[c.ID] = max(w.commits[c.ID], c.Commit)
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

// committed is up to where the log of a node is committed for certain. What others have committed beyond
// that may be something else than what a node that died has there.
func (w *watch) committed(n *node) uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.commits[n.id]
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
	w.updown(e, boot)
	if e.Type == "diverged" {
		w.r.find("%s tells that %q has diverged", n.id, e.Node)
	}
	w.last[boot] = seq
	w.events = append(w.events, e)
}

// updown checks that what a process tells of another alternates: down, up, down. Called with mu held.
func (w *watch) updown(e event, boot string) {
	key := [2]string{boot, e.Node}
	switch e.Type {
	case "node_down":
		if w.down[key] {
			w.r.find("%s tells twice in a row that %s is down", e.by, e.Node)
		}
		w.down[key] = true
	case "node_up":
		if was, known := w.down[key]; known && !was {
			w.r.find("%s tells twice in a row that %s is up", e.by, e.Node)
		}
		w.down[key] = false
	case "member_removed":
		delete(w.down, key)
	}
}

// complete says which leaders nobody told of, of those that were seen to lead.
func (w *watch) complete() (missing []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	toldOf := map[string]bool{}
	for _, e := range w.events {
		if e.Type == "leader_changed" {
			toldOf[fmt.Sprint(e.Node, " in term ", e.Term)] = true
		}
	}
	for term, id := range w.leaders {
		if one := fmt.Sprint(id, " in term ", term); !toldOf[one] {
			missing = append(missing, one)
		}
	}
	return missing
}

// told reports whether some node told an event of a type about a node since then.
func (w *watch) told(typ, about string, since time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := len(w.events) - 1; i >= 0 && !w.events[i].at.Before(since); i-- {
		if e := w.events[i]; e.Type == typ && e.Node == about {
			return true
		}
	}
	return false
}

// eventTold waits until some node told an event.
func (w *watch) eventTold(typ, about string, since time.Time) error {
	return w.r.await(typ+" of "+about+" to be told", func() error {
		if !w.told(typ, about, since) {
			return errors.New("nobody has")
		}
		return nil
	})
}
