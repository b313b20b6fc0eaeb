package server

import (
	"context"
	"fmt"
	"hash/maphash"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"todod/fsm"
	"todod/fsm/todo"
)

// The clients of the simulator, what they were told, and whether one order of it all explains that.

// The lists of a story: one register, which is the title of an entry, and lists that are added to, of
// which one loses entries too.
const register = "reg"

var simLists = []string{"ann", "bob", "cat"}

const losing = "cat"

// history is what the clients did and were told.
type history struct {
	errorf   func(string, ...any)
	clock    atomic.Int64 // stamps it: virtual time stands still too often
	answered atomic.Int64
	rev      atomic.Uint64 // the newest that anybody was told
	titles   atomic.Int64

	mu    sync.Mutex
	of    map[string][]porcupine.Operation // by list
	revs  map[uint64]string                // who took a rev
	mine  []todo.Op                        // entries of the losing list that may be removed
	found []string
}

func newHistory(errorf func(string, ...any)) *history {
	return &history{errorf: errorf, of: map[string][]porcupine.Operation{}, revs: map[uint64]string{}}
}

// act is what an operation of the history was, for the model.
type act struct {
	kind  todo.Kind // 0 for a read
	title string
	id    uint64
}

// seen is what an operation showed: of an add its id, of a read all of the list.
type seen struct {
	id    uint64
	state listState
}

// listState is a list: the highest id used and a sum over all entries; of the register its title.
type listState struct {
	last  uint64
	sum   uint64
	title string
}

var listSeed = maphash.MakeSeed()

func entryHash(id uint64, title string) uint64 {
	return maphash.String(listSeed, fmt.Sprint(id, " ", title))
}

// listModel is how a list must behave.
var listModel = porcupine.Model{
	Init: func() any { return listState{} },
	Step: func(state, input, output any) (bool, any) {
		s, in, out := state.(listState), input.(act), output.(seen)
		switch in.kind {
		case todo.Add:
			s.last++
			s.sum += entryHash(s.last, in.title)
			return out.id == s.last, s
		case todo.Delete:
			s.sum -= entryHash(in.id, in.title)
			return true, s
		case todo.Put:
			s.title = in.title
			return true, s
		}
		return s == out.state, s
	},
}

// putOf is a put of the register with a title of its own.
func (h *history) putOf(client int) []todo.Op {
	return []todo.Op{{Kind: todo.Put, List: register, ID: 1, Fields: todo.Fields{Title: h.title(client)}}}
}

func (h *history) addOf(client int, list string) todo.Op {
	return todo.Op{Kind: todo.Add, List: list, Fields: todo.Fields{Title: h.title(client), Date: "2018-12-19"}}
}

func (h *history) title(client int) string { return fmt.Sprintf("%d.%d", client, h.titles.Add(1)) }

// removal takes an entry that nobody else removes.
func (h *history) removal() []todo.Op {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.mine) == 0 {
		return nil
	}
	op := h.mine[0]
	h.mine = h.mine[1:]
	return []todo.Op{op}
}

// begin makes the lists of a story.
func (w *world) begin() {
	if err := w.write(9, "n1", "", []todo.Op{w.addOf(9, register)}); err != nil {
		w.t.Fatal(err)
	}
	w.of[register] = nil // the register begins with the first put
	if err := w.write(9, "n1", "", w.putOf(9)); err != nil {
		w.t.Fatal(err)
	}
}

// request is what a client does next.
func (w *world) request(client int) {
	ids := w.running()
	if len(ids) == 0 {
		return
	}
	id := w.any(ids)
	var ops []todo.Op
	key := ""
	switch w.n(20) {
	case 0, 1, 2, 3:
		ops = []todo.Op{w.addOf(client, w.any(simLists))}
	case 4, 5, 6:
		ops, key = []todo.Op{w.addOf(client, w.any(simLists))}, fmt.Sprintf("a key for %12d", w.clock.Add(1))
	case 7, 8: // a batch: all or nothing
		ops = []todo.Op{w.addOf(client, simLists[0]), w.addOf(client, simLists[1]), w.addOf(client, simLists[1])}
	case 9:
		ops = w.removal()
	case 10, 11, 12, 13:
		ops = w.putOf(client)
	}
	if len(ops) == 0 {
		w.read(client, id)
		return
	}
	_ = w.write(client, id, key, ops) // the history has it
}

// write sends a command, with a key up to four times at different nodes, and keeps account of it.
func (w *world) write(client int, id, key string, ops []todo.Op) error {
	call, floor := w.clock.Add(1), w.rev.Load()
	var res fsm.Result
	var err error
	unknown := false
	for tries := 0; ; tries++ {
		n := w.node(id)
		if n == nil {
			if tries == 0 { // an earlier try may have arrived
				err = fmt.Errorf("%s is down", id)
			}
			break
		}
		res, err = n.Write(context.Background(), todo.Command{Ops: ops, Batch: len(ops) > 1}, WriteOptions{Key: key})
		if err == nil {
			break
		}
		unknown = unknown || AsError(err).Outcome == UnknownOutcome
		if ids := w.running(); key == "" || tries == 3 || len(ids) == 0 {
			break
		} else {
			id = w.any(ids)
		}
		time.Sleep(time.Duration(w.n(50)) * time.Millisecond)
	}
	if err != nil && !unknown {
		return err
	}
	w.settleWrite(client, call, floor, id, ops, res, err)
	return err
}

// settleWrite keeps what a write came to; with an error that is not known.
func (h *history) settleWrite(client int, call int64, floor uint64, id string, ops []todo.Op, res fsm.Result, err error) {
	back := h.clock.Add(1)
	if err == nil {
		h.answered.Add(1)
		if res.Code != todo.OK || len(res.Items) != len(ops) {
			h.errorf("%s answered %s with %+v", id, ops[0].Fields.Title, res)
			return
		}
		h.told(floor, res.Rev, fmt.Sprint(ops[0]), res.Replayed)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for i, op := range ops {
		o := porcupine.Operation{ClientId: client, Input: act{op.Kind, op.Fields.Title, op.ID}, Call: call, Output: seen{}, Return: back}
		if err != nil {
			o.Return = open
		} else if op.Kind == todo.Add {
			e := res.Items[i].Entry
			o.Output = seen{id: e.ID}
			if op.List == losing {
				h.mine = append(h.mine, todo.Op{Kind: todo.Delete, List: losing, ID: e.ID, Fields: todo.Fields{Title: e.Title}})
			}
		}
		h.of[op.List] = append(h.of[op.List], o)
	}
}

// open is when an operation ends whose outcome is not known.
const open = 1 << 60

// told keeps the newest rev that anybody was told, and who took which.
func (h *history) told(floor, rev uint64, who string, again bool) {
	h.mu.Lock()
	if old, taken := h.revs[rev]; taken && old != who {
		h.errorf("rev %d was taken by %s and by %s", rev, old, who)
	}
	h.revs[rev] = who
	h.mu.Unlock()
	if rev <= floor && !again {
		h.errorf("%s took rev %d after somebody was told of %d", who, rev, floor)
	}
	h.raise(rev)
}

func (h *history) raise(rev uint64) {
	for now := h.rev.Load(); rev > now && !h.rev.CompareAndSwap(now, rev); now = h.rev.Load() {
	}
}

// read reads all at a node.
func (w *world) read(client int, id string) {
	n := w.node(id)
	if n == nil {
		return
	}
	call, floor := w.clock.Add(1), w.rev.Load()
	v, err := n.Read(context.Background(), ReadOptions{Level: Linearizable})
	if err != nil {
		return
	}
	defer v.Close()
	w.answered.Add(1)
	if v.Rev() < floor {
		w.errorf("a read at %s saw rev %d after somebody was told of %d", id, v.Rev(), floor)
	}
	w.raise(v.Rev())
	states := map[string]listState{}
	for _, list := range simLists {
		states[list] = listOf(v.View, list)
	}
	e, _ := v.Entry(register, 1)
	states[register] = listState{title: e.Title}
	back := w.clock.Add(1)
	w.history.mu.Lock()
	defer w.history.mu.Unlock()
	for list, s := range states {
		w.of[list] = append(w.of[list], porcupine.Operation{ClientId: client, Input: act{}, Call: call, Output: seen{state: s}, Return: back})
	}
}

// listOf is a list as the model has it.
func listOf(v *fsm.View, list string) listState {
	l, _ := v.List(list)
	s := listState{last: l.LastID}
	page, _ := v.Entries(list, fsm.Query{Limit: 1 << 20})
	for _, e := range page {
		s.sum += entryHash(e.ID, e.Title)
	}
	return s
}

// linearizable holds what the clients were told against the models, list by list.
func (w *world) linearizable(t *testing.T) {
	w.history.mu.Lock()
	defer w.history.mu.Unlock()
	for list, ops := range w.of {
		switch got := porcupine.CheckOperationsTimeout(listModel, ops, 20*time.Second); got {
		case porcupine.Ok:
		default:
			what := fmt.Sprintf("no order explains the %d operations on %s: %s", len(ops), list, got)
			w.found = append(w.found, what)
			t.Error(what)
		}
	}
}
