package main_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"todod/httpapi/api"
)

// history is what several clients did, on one clock that all of them share.
type history struct {
	clock atomic.Int64
	mu    sync.Mutex
	ops   []porcupine.Operation
	open  int // operations of unknown outcome
}

// record runs an operation; do returns its output and whether it happened, "unknown" for perhaps.
func (h *history) record(client int, input any, do func() (output any, outcome string)) {
	call := h.clock.Add(1)
	output, outcome := do()
	end := h.clock.Add(1)
	if outcome == "not_applied" {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if outcome == "unknown" {
		end = 1 << 60 // it may take effect at any time from its call on
		h.open++
	}
	h.ops = append(h.ops, porcupine.Operation{ClientId: client, Input: input, Call: call, Output: output, Return: end})
}

// settle reads the lists once more when all is quiet. An add of unknown outcome that is not there
// by now can be left out: nobody has seen it. Without this the checker would have to try
// each of them at each point of the history.
func (h *history) settle(t *testing.T, n *node, names []string) {
	t.Helper()
	there := map[listInput]bool{}
	for _, name := range names {
		waitFor(t, "a last read of "+name, func() error {
			call := h.clock.Add(1)
			all, err := n.entries(name, "linearizable")
			end := h.clock.Add(1)
			if err != nil {
				return err
			}
			var titles strings.Builder
			for _, e := range all {
				titles.WriteString(e.Title + " ")
				there[listInput{name, e.Title}] = true
			}
			h.ops = append(h.ops, porcupine.Operation{Input: listInput{list: name}, Call: call, Output: listOutput{titles: titles.String()}, Return: end})
			return nil
		})
	}
	h.ops = slices.DeleteFunc(h.ops, func(op porcupine.Operation) bool {
		in := op.Input.(listInput)
		return in.add != "" && op.Output.(listOutput).unknown && slices.Contains(names, in.list) && !there[in]
	})
}

// check fails unless the history is linearizable, and known to be.
func (h *history) check(t *testing.T, name string, model porcupine.Model) {
	t.Helper()
	result, info := porcupine.CheckOperationsVerbose(model, h.ops, 2*time.Minute)
	t.Logf("%s: %d operations, %d of unknown outcome: %v", name, len(h.ops), h.open, result)
	if result != porcupine.Ok {
		path := filepath.Join(t.ArtifactDir(), name+".html")
		if err := porcupine.VisualizePath(model, info, path); err != nil {
			t.Log(err)
		}
		t.Errorf("%s: linearizable: %v, see go test -artifacts", name, result)
	}
}

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
func (w *worker) register(h *history, client int, path, title string, etag *string) {
	if w.random.IntN(2) == 0 {
		title = ""
	}
	in := regInput{entry: path, write: title}
	if title != "" && w.random.IntN(2) == 0 {
		in.match = *etag
	}
	h.record(client, in, func() (any, string) {
		if title == "" {
			a, outcome := w.read(path)
			var e api.Entry
			json.Unmarshal([]byte(a.body), &e)
			out := regOutput{title: e.Title, etag: a.header.Get("ETag")}
			if outcome == "done" {
				*etag = out.etag
			}
			return out, outcome
		}
		var header []string
		if in.match != "" {
			header = []string{"If-Match", in.match}
		}
		a, outcome := w.send("PUT", path, newEntry(title), header...)
		out := regOutput{unknown: outcome == "unknown", failed: a.status == 412, etag: a.header.Get("ETag")}
		if outcome == "done" && !out.failed {
			*etag = out.etag
		}
		return out, outcome
	})
}

// list does one operation on a list.
func (w *worker) list(h *history, client int, name, title string) {
	if w.random.IntN(2) == 0 {
		title = ""
	}
	h.record(client, listInput{list: name, add: title}, func() (any, string) {
		if title == "" {
			a, outcome := w.read(entriesPath(name) + "?limit=1000")
			var page api.Entries
			json.Unmarshal([]byte(a.body), &page)
			var titles strings.Builder
			for _, e := range page.Entries {
				titles.WriteString(e.Title + " ")
			}
			return listOutput{titles: titles.String()}, outcome
		}
		a, outcome := w.send("POST", entriesPath(name), newEntry(title))
		var e api.Entry
		json.Unmarshal([]byte(a.body), &e)
		return listOutput{unknown: outcome == "unknown", id: e.ID}, outcome
	})
}

// Registers and lists under leaders that are killed and paused. Each round has entries and
// lists of its own, so that what is never known of one round does not make the next one hard to check.
func TestE2ELinearizable(t *testing.T) {
	g := newGroup(t, 3)
	var regs, adds history
	for round := range rounds(10, 3) {
		linearRound(t, g, round, &regs, &adds)
		g.wantSameHashes(g.nodes...)
	}
	regs.check(t, "registers", registers)
	adds.check(t, "lists", lists)
}

func linearRound(t *testing.T, g *group, round int, regs, adds *history) {
	t.Helper()
	const workers, registersPerRound, listsPerRound = 6, 3, 3
	name := fmt.Sprintf("registers-%d", round)
	var paths []string
	for range registersPerRound {
		paths = append(paths, fmt.Sprintf("%s/%d", entriesPath(name), g.nodes[0].add(name, "start").ID))
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
	adds.settle(t, g.nodes[0], names)
}

// The checkers are worth something only if they find what is wrong.
func TestModelsFindStaleReads(t *testing.T) {
	op := func(call, end int64, in, out any) porcupine.Operation {
		return porcupine.Operation{Input: in, Output: out, Call: call, Return: end}
	}
	put := func(call, end int64, title, etag string) porcupine.Operation {
		return op(call, end, regInput{"e", title, ""}, regOutput{etag: etag})
	}
	get := func(call, end int64, title, etag string) porcupine.Operation {
		return op(call, end, regInput{entry: "e"}, regOutput{title: title, etag: etag})
	}
	add := func(call, end int64, title string, id uint64) porcupine.Operation {
		return op(call, end, listInput{"l", title}, listOutput{id: id})
	}
	list := func(call, end int64, titles string) porcupine.Operation {
		return op(call, end, listInput{list: "l"}, listOutput{titles: titles})
	}
	lost := op(1, 1<<60, regInput{"e", "a", ""}, regOutput{unknown: true})
	for name, c := range map[string]struct {
		model porcupine.Model
		ops   []porcupine.Operation
		want  bool
	}{
		"a read of what was put":         {registers, []porcupine.Operation{put(1, 2, "a", "1"), get(3, 4, "a", "1")}, true},
		"a stale read":                   {registers, []porcupine.Operation{put(1, 2, "a", "1"), put(3, 4, "b", "2"), get(5, 6, "a", "1")}, false},
		"a read during a put":            {registers, []porcupine.Operation{put(1, 2, "a", "1"), put(3, 6, "b", "2"), get(4, 5, "a", "1")}, true},
		"an unknown put, seen":           {registers, []porcupine.Operation{lost, get(3, 4, "a", "7")}, true},
		"an unknown put, never seen":     {registers, []porcupine.Operation{lost, get(3, 4, "start", "0")}, true},
		"an unknown put, seen, unseen":   {registers, []porcupine.Operation{lost, get(3, 4, "a", "7"), get(5, 6, "start", "0")}, false},
		"a swap with the wrong ETag":     {registers, []porcupine.Operation{put(1, 2, "a", "1"), op(3, 4, regInput{"e", "b", "0"}, regOutput{etag: "2"})}, false},
		"a swap refused without reason":  {registers, []porcupine.Operation{put(1, 2, "a", "1"), op(3, 4, regInput{"e", "b", "1"}, regOutput{failed: true})}, false},
		"a list in order":                {lists, []porcupine.Operation{add(1, 2, "a", 1), add(3, 4, "b", 2), list(5, 6, "a b ")}, true},
		"a list that lost an entry":      {lists, []porcupine.Operation{add(1, 2, "a", 1), add(3, 4, "b", 2), list(5, 6, "b ")}, false},
		"a list with an entry twice":     {lists, []porcupine.Operation{add(1, 2, "a", 1), list(5, 6, "a a ")}, false},
		"a list that gave an id twice":   {lists, []porcupine.Operation{add(1, 2, "a", 1), add(3, 4, "b", 1)}, false},
		"a list read before it was told": {lists, []porcupine.Operation{add(1, 4, "a", 1), list(2, 3, "a ")}, true},
	} {
		if got := porcupine.CheckOperations(c.model, c.ops); got != c.want {
			t.Errorf("%s: linearizable: %v, want %v", name, got, c.want)
		}
	}
}
