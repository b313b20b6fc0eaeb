package main_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"todod/deploy/chaos/history"
	"todod/httpapi/api"
)

// worker is one client, which goes to another node at each operation.
type worker struct {
	t      *testing.T
	nodes  []*node
	random *rand.Rand
}

// send does one request and tells what became of it: "done", "not_applied" or "unknown".
func (w *worker) send(method, path, body string, header ...string) (answer, string) {
	n := w.nodes[w.random.IntN(len(w.nodes))]
	ctx, cancel := context.WithTimeout(context.Background(), 1500*time.Millisecond)
	defer cancel()
	a, err := n.request(ctx, method, path, body, append(header, "Prefer", "wait=1")...)
	switch {
	case err != nil:
		<-time.After(5 * time.Millisecond) // a dead node refuses at once: the others need not be flooded
		return a, "unknown"
	case a.status == 503 || a.status == 504 || a.status == 429:
		return a, a.problem().Outcome
	case a.status == 200 || a.status == 201 || a.status == 412:
		return a, "done"
	}
	w.t.Errorf("%s %s at %s: %d %s", method, path, n.id, a.status, a.body)
	return a, "unknown"
}

// read is send for what changes nothing: without an answer it never happened.
func (w *worker) read(path string) (answer, string) {
	a, outcome := w.send("GET", path, "")
	if outcome != "done" {
		outcome = "not_applied"
	}
	return a, outcome
}

// register does one operation on an entry; etag is the last that this worker saw of it.
func (w *worker) register(h *history.History, client int, path, title string, etag *string) {
	if w.random.IntN(2) == 0 {
		title = ""
	}
	in := history.RegisterOp{Entry: path, Write: title}
	if title != "" && w.random.IntN(2) == 0 {
		in.Match = *etag
	}
	h.Record(client, in, func() (any, string) {
		if title == "" {
			a, outcome := w.read(path)
			var e api.Entry
			json.Unmarshal([]byte(a.body), &e)
			out := history.RegisterResult{Title: e.Title, ETag: a.header.Get("ETag")}
			if outcome == "done" {
				*etag = out.ETag
			}
			return out, outcome
		}
		var header []string
		if in.Match != "" {
			header = []string{"If-Match", in.Match}
		}
		a, outcome := w.send("PUT", path, newEntry(title), header...)
		out := history.RegisterResult{Unknown: outcome == "unknown", Failed: a.status == 412, ETag: a.header.Get("ETag")}
		if outcome == "done" && !out.Failed {
			*etag = out.ETag
		}
		return out, outcome
	})
}

// list does one operation on a list.
func (w *worker) list(h *history.History, client int, name, title string) {
	in := history.ListOp{Kind: history.Read, Book: name}
	if w.random.IntN(2) == 0 {
		in.Kind, in.Title = history.Add, title
	}
	h.Record(client, in, func() (any, string) {
		if in.Kind == history.Read {
			a, outcome := w.read(entriesPath(name) + "?limit=1000")
			var page api.Entries
			json.Unmarshal([]byte(a.body), &page)
			return history.ListResult{Rows: rows(page.Entries)}, outcome
		}
		a, outcome := w.send("POST", entriesPath(name), newEntry(title))
		var e api.Entry
		json.Unmarshal([]byte(a.body), &e)
		return history.ListResult{Unknown: outcome == "unknown", IDs: [2]uint64{e.ID}}, outcome
	})
}

// rows is a page of entries as a history has it.
func rows(all []api.Entry) string {
	var b strings.Builder
	for _, e := range all {
		b.WriteString(history.Row(e.ID, e.Title, e.Done))
	}
	return b.String()
}

// Registers and lists under leaders that are killed and paused. Each round has entries and
// lists of its own, so that what is never known of one round does not make the next one hard to check.
func TestE2ELinearizable(t *testing.T) {
	g := newGroup(t, 3)
	var regs, adds history.History
	for round := range rounds(10, 3) {
		linearRound(t, g, round, &regs, &adds)
		g.wantSameHashes(g.nodes...)
	}
	check(t, "registers", &regs, history.Registers)
	check(t, "lists", &adds, history.Lists)
}

func linearRound(t *testing.T, g *group, round int, regs, adds *history.History) {
	t.Helper()
	const workers, registersPerRound, listsPerRound = 6, 3, 3
	name := fmt.Sprintf("registers-%d", round)
	var paths []string
	for range registersPerRound {
		paths = append(paths, fmt.Sprintf("%s/%d", entriesPath(name), g.nodes[0].add(name, history.Start).ID))
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var names []string
	for k := range listsPerRound {
		names = append(names, fmt.Sprintf("list-%d-%d", round, k))
	}
	var wg sync.WaitGroup
	var done atomic.Int64
	for i := range workers {
		w := &worker{t, g.nodes, rand.New(rand.NewPCG(uint64(round), uint64(i)))}
		wg.Go(func() {
			etags := make([]string, len(paths))
			for op := 0; ctx.Err() == nil; op++ {
				title := fmt.Sprintf("%d.%d.%d", round, i, op)
				k := w.random.IntN(len(paths))
				w.register(regs, i, paths[k], title, &etags[k])
				w.list(adds, i, names[w.random.IntN(len(names))], title)
				done.Add(1)
			}
		})
	}
	more(t, "operations", &done, 30)
	victim := g.leader()
	if round%2 == 0 {
		victim.kill()
		more(t, "operations past a kill", &done, 30)
		victim.start()
		g.waitReady(victim)
	} else {
		victim.signal(syscall.SIGSTOP)
		g.leader(g.others(victim)...)
		more(t, "operations past a pause", &done, 30)
		victim.signal(syscall.SIGCONT)
	}
	more(t, "operations", &done, 30)
	stop()
	wg.Wait()
	settle(t, adds, g.nodes[0], names)
}

// settle reads the lists once more when all is quiet.
func settle(t *testing.T, h *history.History, n *node, names []string) {
	t.Helper()
	for _, name := range names {
		err := h.Settle(name, func(list int) (string, error) {
			if list == 1 {
				return "", nil // books have two lists, of which the other is not used here
			}
			var all []api.Entry
			err := poll(patience, func() (err error) {
				all, err = n.entries(name, "linearizable")
				return err
			})
			return rows(all), err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func check(t *testing.T, name string, h *history.History, model porcupine.Model) {
	t.Helper()
	all, unknown := h.Len()
	t.Logf("%s: %d operations, %d of unknown outcome", name, all, unknown)
	if err := h.Check(model, 2*time.Minute, filepath.Join(t.ArtifactDir(), name+".html")); err != nil {
		t.Errorf("%s: %v, see go test -artifacts", name, err)
	}
}
