package server

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/hashicorp/raft"

	"todod/fsm"
	"todod/fsm/todo"
)

// What must hold after a story of the simulator, whatever happened in it.

// look notes who leads which term: there is one registry in each.
func (w *world) look() {
	for _, id := range w.running() {
		n := w.node(id)
		if n == nil || n.engine() == nil {
			continue
		}
		if t := n.engine().term.Load(); t != nil {
			w.leads(t.number, id)
		}
	}
}

func (w *world) leads(term uint64, id string) {
	w.watch.Lock()
	other, known := w.terms[term]
	w.terms[term] = id
	w.watch.Unlock()
	if known && other != id {
		w.errorf("%s and %s led term %d", other, id, term)
	}
}

// members are those nodes of the group that run.
func (w *world) members() (ids []string) {
	conf := w.node(w.named("leader")).engine().configuration()
	for _, id := range w.running() {
		if _, in := find(conf, id); in {
			ids = append(ids, id)
		}
	}
	return ids
}

// check holds what each member has against what the clients were told.
func (w *world) check() {
	defer w.describe()
	w.settle()
	for _, id := range w.members() {
		w.read(9, id)
	}
	v, err := w.node(w.named("leader")).Read(context.Background(), ReadOptions{Level: Linearizable})
	if err != nil {
		w.t.Fatal(err)
	}
	defer v.Close()
	for _, list := range simLists {
		w.checkList(v.View, list)
	}
	w.checkLogs()
}

// describe tells where the nodes are, when they do not come to the same.
func (w *world) describe() {
	for _, id := range w.running() {
		if e := w.node(id).engine(); e != nil {
			last, term := e.lastLog()
			first, _ := e.logs.FirstIndex()
			end, _ := e.logs.LastIndex()
			w.tellOf("%s: %+v, term %d, commit %d, log %d-%d, as Raft has it %d (%d) of term %d, follows %q, %v", id, e.replica.Hash(), e.raft.CurrentTerm(),
				e.raft.CommitIndex(), first, end, e.raft.LastIndex(), last, term, e.leaderID(), e.configuration())
		}
	}
}

// checkList settles what became of the writes of unknown outcome, and holds the others against the list.
func (w *world) checkList(v *fsm.View, list string) {
	stored := map[string]uint64{}
	page, _ := v.Entries(list, fsm.Query{Limit: 1 << 20})
	for _, e := range page {
		if stored[e.Title] != 0 {
			w.errorf("%s holds %s twice", list, e.Title)
		}
		stored[e.Title] = e.ID
	}
	w.history.mu.Lock()
	defer w.history.mu.Unlock()
	told := map[string]bool{}
	removed := map[string]bool{}
	w.of[list] = slices.DeleteFunc(w.of[list], func(o porcupine.Operation) bool {
		in := o.Input.(act)
		if in.kind == todo.Delete && o.Return == open && stored[in.title] != 0 {
			return true // it never came
		}
		removed[in.title] = removed[in.title] || in.kind == todo.Delete
		return false
	})
	ops := w.of[list][:0]
	for _, o := range w.of[list] {
		in := o.Input.(act)
		if in.kind == todo.Add {
			told[in.title] = true
			id := stored[in.title]
			switch {
			case o.Return == open && id == 0:
				continue // it never came
			case o.Return == open:
				o.Output = seen{id: id}
			case id == 0 && !removed[in.title]:
				w.errorf("%s lost %s, which was acknowledged", list, in.title)
			}
		}
		ops = append(ops, o)
	}
	w.of[list] = ops
	for title := range stored {
		if !told[title] {
			w.errorf("%s holds %s, which was refused", list, title)
		}
	}
}

// checkLogs holds the logs against each other as far as they were applied, and looks for a term
// that two nodes began.
func (w *world) checkLogs() {
	first := map[uint64]*raft.Log{}
	by := map[uint64]string{}
	for _, id := range w.members() {
		e := w.node(id).engine()
		from, _ := e.logs.FirstIndex()
		to, _ := e.replica.Applied()
		for i := max(1, from); i <= to; i++ {
			l := new(raft.Log)
			if err := e.logs.GetLog(i, l); err != nil {
				if from != 0 && i < to {
					w.errorf("the log of %s from %d on: entry %d: %v", id, from, i, err)
				}
				break
			}
			if l.Type == raft.LogCommand {
				w.checkTerm(l)
			}
			if o := first[i]; o == nil {
				first[i], by[i] = l, id
			} else if o.Term != l.Term || string(o.Data) != string(l.Data) {
				w.errorf("entry %d at %s is of term %d, at %s of term %d, or they differ", i, by[i], o.Term, id, l.Term)
			}
		}
	}
}

func (w *world) checkTerm(l *raft.Log) {
	_, cmds, err := fsm.DecodeEnvelope(l.Data)
	if err != nil {
		w.errorf("entry %d: %v", l.Index, err)
	}
	for _, c := range cmds {
		if c.Type == fsm.TypeTerm && len(c.Payload) > 0 {
			w.leads(l.Term, string(c.Payload[1:1+c.Payload[0]]))
		}
	}
}

// compare has all members come to another mark, at which they must agree. One that had been alarmed
// for nothing on the way would have ended (reap) or told.
func (w *world) compare() {
	index, _ := w.node(w.named("leader")).engine().replica.Applied()
	for _, id := range w.members() {
		w.await(id+" to be like a majority", func() bool { return w.node(id).engine().divergence.agreed.Load() > index })
	}
	w.reap()
	for _, id := range w.running() {
		seen, _ := w.node(id).events.since(0)
		for _, e := range seen {
			if e.Type == Diverged {
				w.errorf("%s told that the data of %q differ", id, e.Node)
			}
		}
	}
}

// checkWiped looks whether a node whose folder was lost was let in as if it had kept its votes.
func (w *world) checkWiped() {
	for id := range w.wiped {
		if n := w.node(id); n != nil {
			if state := n.Cluster().State; state == StateMember {
				w.errorf("%s was let in again after it had lost its folder", id)
			}
			w.end(id, "")
			delete(w.dead, id)
		}
	}
}

// checkFolders reads every row of what the nodes left, against its sum and the sum of all. No story damages a file: a node that
// had to get another replica made the damage itself.
func (w *world) checkFolders() {
	for _, id := range w.ids {
		if w.wiped[id] {
			continue
		}
		if err := fsm.Check(w.path(id)); err != nil {
			w.errorf("the folder of %s: %v", id, err)
		}
		if _, err := os.Stat(filepath.Join(w.path(id), asideName)); !errors.Is(err, fs.ErrNotExist) {
			w.errorf("%s took its replica for damaged and got another one", id)
		}
	}
}

// newer puts an entry into the log that a newer program wrote: every node must end, and say so.
func (w *world) newer() {
	l := w.sim.leader()
	cmd := &fsm.Command{Type: 250, Version: 1}
	l.engine().raft.Apply(fsm.EncodeEnvelope(fsm.Stamp{}, []*fsm.Command{cmd}), time.Second)
	time.Sleep(time.Second)
	for _, id := range w.running() {
		n := w.node(id)
		if _, in := find(l.engine().configuration(), id); !in {
			continue
		}
		if why := n.Err(); why == nil || why.Code != ExitUnknownEntry {
			w.errorf("%s came to an entry that it does not know, and: %v", id, why)
		}
		w.crash(id)
	}
}
