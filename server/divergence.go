package server

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"

	"todod/fsm"
)

// Divergence is nodes whose data differ at the same entry of the log.
type Divergence struct {
	Index  uint64              `json:"index"`  // the log entry: a mark
	Agreed uint64              `json:"agreed"` // the last one at which this node was like a majority; 0 if none since it started
	Hashes map[string]fsm.Hash `json:"hashes"` // of those that said theirs, by node
}

// divergence compares this node's hashes with the others' at each mark in the log, and acts on what
// comes out, each node for itself: where a majority of the voters has other hashes than this
// node, this one fences itself. Where no hashes have a majority nobody does, since nobody knows who is
// right: all say so, and no replica goes from one node to another. No answer is not a pass: it
// counts for nothing.
type divergence struct {
	e         *engine
	undecided atomic.Pointer[Divergence] // nil while no difference is known that nobody can decide
	agreed    atomic.Uint64              // the last mark at which this node was like a majority

	mu   sync.Mutex
	told map[toldAt]fsm.Hash // what the others told, at the mark that is compared or later ones
	last time.Time           // when this node came to a mark last, or began
}

// toldAt is a node at a mark.
type toldAt struct {
	node  string
	index uint64
}

func newDivergence(e *engine) *divergence {
	return &divergence{e: e, told: map[toldAt]fsm.Hash{}, last: time.Now()}
}

// watch compares at each mark until the engine stops.
func (d *divergence) watch() {
	for after := uint64(0); ; {
		own, err := d.e.replica.NextMark(d.e.ctx, after)
		if err != nil {
			return
		}
		after = own.Index
		d.mu.Lock()
		d.last = time.Now()
		maps.DeleteFunc(d.told, func(at toldAt, _ fsm.Hash) bool { return at.index < own.Index })
		d.mu.Unlock()
		d.compare(own)
	}
}

// marked returns when this node came to a mark last.
func (d *divergence) marked() time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.last
}

// compare asks the others until all have answered, this node was found in a minority, or it is no use
// to go on.
func (d *divergence) compare(own fsm.Hash) {
	for end := time.Now().Add(min(markPatience, d.e.node.cfg.MarkInterval)); ; {
		conf := d.e.configuration()
		d.ask(conf, own)
		said := d.said(conf, own)
		right, decided := majority(conf, said)
		if decided && right != own {
			d.fence(own, said)
			return
		}
		if len(said) == len(conf.Servers) || time.Now().After(end) {
			d.settle(own, said, decided)
			return
		}
		if !wait(d.e.ctx, markPause) {
			return
		}
	}
}

// ask has each member say its hashes that did not yet.
func (d *divergence) ask(conf raft.Configuration, own fsm.Hash) {
	said := d.said(conf, own)
	var asked sync.WaitGroup
	for _, s := range conf.Servers {
		id := string(s.ID)
		if _, ok := said[id]; ok {
			continue
		}
		client := d.e.node.port.Client(id, string(s.Address))
		asked.Go(func() {
			ctx, cancel := d.e.within(pingTimeout)
			defer cancel()
			body, err := client.Call(ctx, callMark, mustJSON(own))
			var h fsm.Hash
			if err == nil && json.Unmarshal(body, &h) == nil {
				d.hear(id, h)
			}
		})
	}
	asked.Wait()
}

// handle answers a node that tells its hashes at a mark: with this node's, or with nothing if it has
// not come to it.
func (d *divergence) handle(from string, body []byte) []byte {
	var theirs fsm.Hash
	if json.Unmarshal(body, &theirs) != nil {
		return nil
	}
	d.hear(from, theirs)
	own, ok := d.e.replica.Mark(theirs.Index)
	if !ok {
		return nil
	}
	return mustJSON(own)
}

func (d *divergence) hear(from string, h fsm.Hash) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.told) < maxTold {
		d.told[toldAt{from, h.Index}] = h
	}
}

// said are the hashes at a mark of those members that told theirs, and this node's own.
func (d *divergence) said(conf raft.Configuration, own fsm.Hash) map[string]fsm.Hash {
	d.mu.Lock()
	defer d.mu.Unlock()
	said := map[string]fsm.Hash{d.e.node.id: own}
	for _, s := range conf.Servers {
		id := string(s.ID)
		if h, ok := d.told[toldAt{id, own.Index}]; ok && id != d.e.node.id {
			said[id] = h
		}
	}
	return said
}

// majority returns the hashes that a majority of all voters has; not decided if none are known to.
func majority(conf raft.Configuration, said map[string]fsm.Hash) (right fsm.Hash, decided bool) {
	all := voters(conf)
	votes := map[fsm.Hash]int{}
	for _, v := range all {
		if h, ok := said[string(v.ID)]; ok {
			if votes[h]++; votes[h] > len(all)/2 {
				return h, true
			}
		}
	}
	return fsm.Hash{}, false
}

// settle acts on a mark at which this node was in no minority.
func (d *divergence) settle(own fsm.Hash, said map[string]fsm.Hash, decided bool) {
	n, term := d.e.node, d.e.raft.CurrentTerm()
	others := differing(own, said)
	switch {
	case decided:
		d.agreed.Store(own.Index)
		d.e.replica.Withhold(nil)
		if d.undecided.Swap(nil) != nil {
			n.event(Agreed, "", term)
		}
		for _, id := range others {
			n.log.Error("a node's data differs from that of a majority: it fences itself", "about", id, "log entry", own.Index)
			n.event(Diverged, id, term)
		}
	case len(others) > 0:
		d.e.replica.Withhold(errUndecided)
		n.log.Error("the nodes' data differ, and no majority says whose is right: look at what each holds, then remove those that are wrong and begin them anew",
			"log entry", own.Index, "equal at", d.agreed.Load(), "differ from this node", strings.Join(others, ","))
		if d.undecided.Swap(&Divergence{Index: own.Index, Agreed: d.agreed.Load(), Hashes: said}) == nil {
			n.event(Diverged, "", term)
		}
	}
}

// errUndecided is why no replica goes from one node to another, nor into a backup.
var errUndecided = errors.New("the nodes' data differ and no majority says whose is right")

// differing are the nodes whose hashes are not this node's, sorted.
func differing(own fsm.Hash, said map[string]fsm.Hash) (ids []string) {
	for _, id := range slices.Sorted(maps.Keys(said)) {
		if said[id] != own {
			ids = append(ids, id)
		}
	}
	return ids
}

// fence ends this node for good: a majority has other data than it. It writes down what differs first.
func (d *divergence) fence(own fsm.Hash, said map[string]fsm.Hash) {
	n := d.e.node
	d.e.replica.Withhold(errFenced)
	report := fenceReport{
		Node: n.id, Group: n.groupID(), Time: n.cfg.Now().UTC(),
		Divergence: Divergence{Index: own.Index, Agreed: d.agreed.Load(), Hashes: said},
	}
	for _, id := range differing(own, said) {
		report.History = report.History || said[id].Chain != own.Chain
		report.Rows = report.Rows || said[id].Set != own.Set
	}
	if err := n.folder.fence(report); err != nil {
		n.log.Error("that this node is fenced could not be written down", "err", err)
	}
	// No vote, no answer and no message of Raft's leaves this node any more, also where the process
	// does not end right here.
	n.crew.spawn(func() { _ = n.port.Close() })
	n.end(fenced(n.id))
}

var errFenced = errors.New("this node is fenced")

// fenceReport is divergence.json, which keeps a fenced folder from being used again.
type fenceReport struct {
	Node    string    `json:"node"`
	Group   string    `json:"group"`
	Time    time.Time `json:"time"`
	History bool      `json:"history_differs"` // what was applied, or what it came to
	Rows    bool      `json:"rows_differ"`     // what is stored
	Divergence
}

// divergenceName is the file that fences a folder.
const divergenceName = "divergence.json"

// fence keeps the folder from being used again.
func (f *folder) fence(r fenceReport) error {
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the report: %w", err)
	}
	return f.replaceFile(divergenceName, append(b, '\n'))
}

func fenced(id string) *Exit {
	return exit(ExitFenced, "the data of node %s differs from that of a majority of its group, so it fenced itself: take it out with 'todod remove %s' and begin it anew, with an empty folder and a new --id (%s in its folder says what differs)",
		id, id, divergenceName)
}
