package server

import (
	"context"
	"fmt"
	"time"

	"todod/fsm"
	"todod/fsm/todo"
)

// The words of the simulator's stories that take their time.

// doBeside begins what takes its time.
func (w *world) doBeside(word, id string) {
	l := w.sim.leader()
	switch word {
	case "usurp":
		w.usurp(id)
	case "join":
		w.join()
	case "remove":
		at := w.node(w.any(append(w.running(), id)))
		if at != nil && len(w.gone)+len(w.wiped) == 0 { // one in a story
			w.gone[id] = true
			w.deeds.Go(func() { w.tellOf("remove: %s", problem(at.RemoveMember(context.Background(), id))) })
		}
	case "transfer":
		if l != nil {
			w.deeds.Go(func() { w.tellOf("transfer: %s", problem(l.Transfer(context.Background(), ""))) })
		}
	case "snapshot":
		w.deeds.Go(func() { w.snapshot(id) })
	case "session":
		if l != nil {
			w.deeds.Go(func() { w.loseSession(l, id) })
		}
	case "late":
		w.deeds.Go(func() { w.late(id) })
	default:
		w.t.Fatalf("a story says %q, which nobody knows", word)
	}
}

// usurp has another node take over while the leader is cut off and has not noticed: what a pause of
// the leader across an election comes to.
func (w *world) usurp(id string) {
	l := w.sim.leader()
	n := w.node(id)
	if l == nil || n == nil || n.engine() == nil {
		return
	}
	for _, other := range w.running() {
		if l.id == id && other != id {
			n = w.node(other)
		}
	}
	if n == l || n.engine() == nil {
		return
	}
	w.isolate(l.id)
	w.deeds.Go(func() { n.engine().campaign("a story says so") })
}

func (w *world) join() {
	fresh := fmt.Sprintf("n%d", len(w.ids)+1)
	if len(w.ids) > w.size {
		return
	}
	w.hands <- struct{}{}
	defer func() { <-w.hands }()
	if _, err := w.start(fresh, w.joins); err != nil {
		w.errorf("%s does not start: %v", fresh, err)
	}
}

func (w *world) joins(c *Config) {
	for _, id := range w.ids {
		c.Join = append(c.Join, id+":80")
	}
}

// snapshot has a node take one and cut its log down to nothing.
func (w *world) snapshot(id string) {
	e := w.engine(id)
	if e == nil {
		return
	}
	conf := e.raft.ReloadableConfig()
	conf.TrailingLogs = 1
	if err := e.raft.ReloadConfig(conf); err != nil {
		w.errorf("%v", err)
	}
	if err := e.raft.Snapshot().Error(); err != nil {
		w.tellOf("snapshot of %s: %v", id, err)
	}
}

// loseSession has the group close the session of a node that runs: it opened another one.
func (w *world) loseSession(l *Node, id string) {
	t := l.engine().term.Load()
	if t == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_, err := t.propose(ctx, fsm.TypeSession, fsm.Session{Node: id, Boot: "another"}.Encode())
	w.tellOf("session of %s: %s", id, problem(err))
}

// late forwards one add three times: twice at about the same time, and once more when its number is closed.
func (w *world) late(id string) {
	e := w.engine(id)
	if e == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	call, floor := w.history.clock.Add(1), w.rev.Load()
	session, number, err := e.number(ctx)
	if err != nil {
		return
	}
	op := w.addOf(8, simLists[0])
	cmd := todo.Command{Ops: []todo.Op{op}}
	c := &pending{list: op.List, ops: 1, cmd: fsm.Command{Type: fsm.TypeTodo, Version: 1, Session: session, Number: number,
		Low: e.numbers.lowest(), Payload: fsm.EncodeTodo(&cmd)}}
	forward := func(within int) answer {
		time.Sleep(time.Duration(w.n(within)) * time.Millisecond)
		to, ok := e.leader()
		if !ok || to.term != nil {
			return answer{err: failure(KindNoLeader, NotApplied, "not a follower")}
		}
		b, err := e.node.port.Client(to.id, to.addr).Call(ctx, callForward, encodeForward([]*pending{c}))
		if err != nil {
			return answer{err: err}
		}
		answers, err := decodeAnswers(b, 1)
		if err != nil {
			return answer{err: err}
		}
		res, err := asResult(answers[0].res, answers[0].err)
		return answer{res, err}
	}
	twin := make(chan answer, 1)
	go func() { twin <- forward(30) }()
	got, other := forward(30), <-twin
	e.numbers.release(session, number)
	for _, a := range []answer{other, forward(600)} {
		switch {
		case a.err != nil:
		case got.err != nil:
			got = a
		case a.res.Code != got.res.Code || a.res.Rev != got.res.Rev:
			w.errorf("one number was answered with %+v and with %+v", got.res, a.res)
		}
	}
	w.settleWrite(8, call, floor, id, cmd.Ops, got.res, got.err)
}

// fail has the file of a node's replica refuse every write from now on. The node must end, and comes back
// with a good disk.
