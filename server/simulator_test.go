package server

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/anishathalye/porcupine"

	"todod/fsm/todo"
)

// TestSimulator tells groups of 3 and 5 real nodes random stories of crashes, cuts, transfers, changes of
// the group and of clocks, while clients add, put and read. SIM_RUNS says how many; SIM_SEED
// begins with a given one. A run that fails prints its schedule. Runs are not the same to the
// step: the seed drives what is done, not who wins.
func TestSimulator(t *testing.T) {
	runs := 12
	if s := os.Getenv("SIM_RUNS"); s != "" {
		var err error
		if runs, err = strconv.Atoi(s); err != nil {
			t.Fatal("SIM_RUNS:", err)
		}
	}
	seed, total := simSeed(t), 0
	for run := range uint64(runs) {
		t.Run(fmt.Sprint(seed+run), func(t *testing.T) {
			var w *world
			synctest.Test(t, func(t *testing.T) {
				w = newWorld(t, seed+run)
				w.live()
			})
			total += len(w.history)
			if got := porcupine.CheckOperationsTimeout(register, w.history, 20*time.Second); got != porcupine.Ok {
				t.Errorf("%d puts and reads: %s", len(w.history), got)
			}
			if t.Failed() {
				t.Log(strings.Join(w.told, "\n"))
			}
		})
	}
	if total < 50*runs {
		t.Errorf("only %d puts and reads were answered in %d runs", total, runs)
	}
}

// world is one run.
type world struct {
	*sim
	*locked
	size    int
	told    []string
	dead    map[string]bool
	gone    map[string]bool // removed for good
	clock   atomic.Int64    // stamps the history: virtual time stands still too often
	mu      sync.Mutex
	ids     map[string]string // list/id -> title: an id is used once
	history []porcupine.Operation
}

func newWorld(t *testing.T, seed uint64) *world {
	w := &world{sim: newSim(t), locked: &locked{r: rand.New(rand.NewPCG(seed, 1))},
		dead: map[string]bool{}, gone: map[string]bool{}, ids: map[string]string{}}
	w.mark, w.scan = time.Second, 3*time.Second
	w.size = 3 + 2*w.n(2)
	w.group(w.size)
	return w
}

func (w *world) live() {
	if _, err := w.node("n1").Write(context.Background(), addCommand("reg", "0"), WriteOptions{}); err != nil {
		w.t.Fatal(err)
	}
	w.acked = append(w.acked, "0")
	ctx, cancel := context.WithCancel(context.Background())
	var clients sync.WaitGroup
	for i := range 4 {
		clients.Go(func() {
			for wait(ctx, time.Duration(1+w.n(25))*time.Millisecond) {
				w.request(i)
			}
		})
	}
	for range 14 {
		w.happen()
		time.Sleep(time.Duration(w.n(900)) * time.Millisecond)
	}
	w.tell("all is well again")
	w.net.heal()
	for _, s := range w.skew {
		s.Store(0)
	}
	for id := range w.dead {
		w.revive(id)
	}
	w.await("a write at each member", func() bool {
		_, err := w.put(9, w.named("leader"), "last")
		return err == nil
	})
	cancel()
	clients.Wait()
	w.holdRegister()
	w.check()
	w.compare()
}

// compare has all members come to another mark, at which they must agree. One that had been alarmed
// for nothing on the way would have ended (reap) or told.
func (w *world) compare() {
	index, _ := w.node(w.named("leader")).engine().replica.Applied()
	conf := w.leader().engine().configuration()
	for _, id := range w.running() {
		if _, in := find(conf, id); in {
			w.await(id+" to be like a majority", func() bool { return w.node(id).engine().divergence.agreed.Load() > index })
		}
	}
	w.reap()
	for _, id := range w.running() {
		seen, _ := w.node(id).events.since(0)
		for _, e := range seen {
			if e.Type == Diverged {
				w.t.Errorf("%s told that the data of %q differ", id, e.Node)
			}
		}
	}
}

// holdRegister tells check of the register's title, which puts have changed.
func (w *world) holdRegister() {
	v, err := w.node(w.named("leader")).Read(context.Background(), ReadOptions{Level: Linearizable})
	if err != nil {
		w.t.Fatal(err)
	}
	defer v.Close()
	e, _ := v.Entry("reg", 1)
	w.acked[0] = e.Title
}

func (w *world) tell(format string, args ...any) {
	w.told = append(w.told, fmt.Sprintf("%s %s", time.Since(time.Unix(946684800, 0)), fmt.Sprintf(format, args...)))
}

func (w *world) any(of []string) string { return of[w.n(len(of))] }

// happen does one thing to the group.
func (w *world) happen() {
	running := w.running()
	id := w.any(running)
	switch w.n(12) {
	case 0, 1:
		if len(running) > 1 {
			w.tell("crash %s", id)
			w.crash(id)
			w.dead[id] = true
		}
	case 2, 3:
		for dead := range w.dead {
			w.revive(dead)
			break
		}
	case 4:
		w.tell("isolate %s", id)
		w.isolate(id)
	case 5:
		other := w.any(w.sim.ids)
		w.tell("cut %s to %s", id, other)
		w.net.cutWay(id+":70", other+":70")
	case 6, 7:
		w.tell("heal")
		w.net.heal()
	case 8:
		w.tell("transfer, asked at %s: %s", id, problem(w.node(id).Transfer(context.Background(), "")))
	case 9:
		skew := time.Duration(w.n(30)-15) * time.Second
		w.tell("clock of %s off by %s", id, skew)
		w.skew[id].Store(int64(skew))
	case 10:
		if fresh := fmt.Sprintf("n%d", len(w.sim.ids)+1); len(w.sim.ids) < w.size+2 {
			w.tell("%s joins through %s", fresh, id)
			if _, err := w.start(fresh, func(c *Config) { c.Join = []string{id + ":80"} }); err != nil {
				w.t.Error(err)
			}
		}
	case 11:
		w.remove(id)
	}
	w.reap()
}

// remove has a node taken out, one in a run.
func (w *world) remove(id string) {
	if len(w.gone) > 0 {
		return
	}
	err := w.node(w.any(w.running())).RemoveMember(context.Background(), id)
	w.tell("remove %s: %s", id, problem(err))
	if err == nil || AsError(err).Outcome == UnknownOutcome {
		w.gone[id] = true
	}
}

// reap closes nodes that ended because they were removed.
func (w *world) reap() {
	for _, id := range w.running() {
		n := w.node(id)
		if why := n.Err(); why != nil {
			w.tell("%s ended: %s", id, why)
			if why.Code != 0 && why.Code != ExitFolderRefused {
				w.t.Errorf("%s ended: %s", id, why)
			}
			w.gone[id] = true
			w.crash(id)
		}
	}
}

func (w *world) revive(id string) {
	delete(w.dead, id)
	_, err := w.start(id, nil)
	w.tell("start %s: %v", id, err)
	if err != nil && !w.gone[id] {
		w.t.Errorf("start %s: %v", id, err)
	}
}

// request is what a client does next.
func (w *world) request(client int) {
	id := w.any(w.sim.running())
	switch w.n(3) {
	case 0:
		list := fmt.Sprintf("l%d", w.n(3))
		res, err := w.add(id, list, WriteOptions{})
		if err == nil && res.Code == todo.OK {
			e := res.Items[0].Entry
			key := fmt.Sprintf("%s/%d", list, e.ID)
			w.mu.Lock()
			if old, used := w.ids[key]; used {
				w.t.Errorf("id %s was given to %s and to %s", key, old, e.Title)
			}
			w.ids[key] = e.Title
			w.mu.Unlock()
		}
	case 1:
		_, _ = w.put(client, id, fmt.Sprintf("v%d", w.clock.Add(1))) // put keeps account
	case 2:
		w.get(client, id)
	}
}

func (w *world) record(op porcupine.Operation) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.history = append(w.history, op)
}

// put sets the register. One whose outcome is unknown stays open to the end.
func (w *world) put(client int, id, value string) (outcome Outcome, err error) {
	n := w.node(id)
	if n == nil {
		return NotApplied, fmt.Errorf("%s is down", id)
	}
	op := porcupine.Operation{ClientId: client, Input: &value, Call: w.clock.Add(1)}
	_, err = n.Write(context.Background(), todo.Command{Ops: []todo.Op{{Kind: todo.Put, List: "reg", ID: 1,
		Fields: todo.Fields{Title: value}}}}, WriteOptions{})
	op.Return = w.clock.Add(1)
	if err != nil {
		if outcome = AsError(err).Outcome; outcome == NotApplied {
			return outcome, err
		}
		op.Return = 1 << 60
	}
	w.record(op)
	return outcome, err
}

func (w *world) get(client int, id string) {
	n := w.node(id)
	if n == nil {
		return
	}
	op := porcupine.Operation{ClientId: client, Input: (*string)(nil), Call: w.clock.Add(1)}
	v, err := n.Read(context.Background(), ReadOptions{Level: Linearizable})
	if err != nil {
		return
	}
	e, _ := v.Entry("reg", 1)
	v.Close()
	op.Output, op.Return = e.Title, w.clock.Add(1)
	w.record(op)
}

// register is what the title of an entry must be like; an input of nil is a read.
var register = porcupine.Model{
	Init: func() any { return "0" },
	Step: func(state, input, output any) (bool, any) {
		if value := input.(*string); value != nil {
			return true, *value
		}
		return output.(string) == state.(string), state
	},
}
