package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"time"

	"todod/deploy/chaos/history"
	"todod/httpapi/api"
)

// How many entries a keeper works on at a time, and how long it rests after each change: what it does is checked entry by
// entry, and takes nothing from the load.
const (
	keeps      = 8
	keeperRest = 50 * time.Millisecond
	firstDate  = "2100-01-01"
)

// keeper is a client that moves, deletes, restores, undoes and does the entries of a few lists of its own, all of which repeat
// daily. Nobody else touches them, so it knows where each must be, but for a change of unknown outcome: that entry may be
// at either place from then on, and is left alone.
type keeper struct {
	l      *load
	lists  []string
	random *rand.Rand
	all    []*kept
	work   []*kept // of which all is known
	counts map[string]int
}

// place is where an entry is; List is "" for nowhere. ID 0 is any.
type place struct {
	List  string
	ID    uint64
	Trash bool
	Date  string
}

// kept is an entry and the places where it may be: the last that is known, and one more after an unknown outcome.
type kept struct {
	title  string
	may    []place
	was    place  // before its last change
	rev    uint64 // of its last change
	undone bool   // that was undone
}

// keep begins to keep, once the group can.
func (l *load) keep(part int) *keeper {
	k := &keeper{l: l, random: rand.New(rand.NewPCG(l.r.opt.seed, 1<<33+uint64(part))), counts: map[string]int{}}
	for _, c := range "abc" {
		k.lists = append(k.lists, fmt.Sprintf("kept-%d-%c", part, c))
	}
	l.done.Go(func() {
		for ready := false; l.ctx.Err() == nil; {
			if ready {
				k.step(fmt.Sprintf("kept.%d.%d", part, len(k.all)))
			} else {
				c, err := get[api.Cluster](l.web, k.pick(addrs(l.r.members())), "/v1/cluster", time.Second)
				ready = err == nil && c.GroupVersion >= 2
			}
			select {
			case <-time.After(keeperRest):
			case <-l.ctx.Done():
			}
		}
	})
	return k
}

func (k *keeper) pick(from []string) string { return from[k.random.IntN(len(from))] }

// step is one change of one entry; title is one that nobody used yet.
func (k *keeper) step(title string) {
	if len(k.work) < keeps || k.random.IntN(10) == 0 {
		e := &kept{title: title, may: []place{{}}}
		k.all, k.work = append(k.all, e), append(k.work, e)
		k.add(e)
	} else {
		k.change(k.work[k.random.IntN(keeps)])
	}
	k.work = slices.DeleteFunc(k.work, func(e *kept) bool { return len(e.may) > 1 || e.may[0] == place{} })
	if len(k.work) > keeps {
		k.work = k.work[1:]
	}
}

func (k *keeper) add(e *kept) {
	list := k.pick(k.lists)
	k.send("add", e, place{List: list, Date: firstDate}, func(ctx context.Context, c *api.Client) (uint64, api.Meta, error) {
		added, meta, err := c.AddEntry(ctx, list, api.NewEntry{Title: e.title, Date: firstDate, More: api.More{Repeat: "FREQ=DAILY"}}, api.WriteOptions{Key: api.NewKey()})
		return added.ID, meta, err
	})
}

// change does something to an entry that is somewhere.
func (k *keeper) change(e *kept) {
	at, key := e.may[0], api.WriteOptions{Key: api.NewKey()}
	next := at
	switch kind := k.random.IntN(6); {
	case kind == 0:
		k.undo(e, key)
	case kind == 1:
		k.look(e)
	case at.Trash:
		next.Trash = false
		k.send("restore", e, next, func(ctx context.Context, c *api.Client) (uint64, api.Meta, error) {
			_, meta, err := c.RestoreEntry(ctx, at.List, at.ID, key)
			return at.ID, meta, err
		})
	case kind == 2:
		next.Trash = true
		k.send("delete", e, next, func(ctx context.Context, c *api.Client) (uint64, api.Meta, error) {
			meta, err := c.DeleteEntry(ctx, at.List, at.ID, key)
			return at.ID, meta, err
		})
	case kind == 3:
		done := true
		next.Date = nextDay(at.Date)
		k.send("do", e, next, func(ctx context.Context, c *api.Client) (uint64, api.Meta, error) {
			_, meta, err := c.PatchEntry(ctx, at.List, at.ID, api.EntryPatch{Done: &done}, key)
			return at.ID, meta, err
		})
	default:
		next.ID = 0
		for next.List == at.List {
			next.List = k.pick(k.lists)
		}
		k.send("move", e, next, func(ctx context.Context, c *api.Client) (uint64, api.Meta, error) {
			moved, meta, err := c.MoveEntry(ctx, at.List, at.ID, next.List, key)
			return moved.ID, meta, err
		})
	}
}

// undo undoes the last change of an entry, or tries to do so a second time, which must be refused.
func (k *keeper) undo(e *kept, key api.WriteOptions) {
	what, next, again := "undo", e.was, e.undone
	if e.was == (place{}) { // an add
		next = e.may[0]
		next.Trash = true
	}
	if again {
		what, next = "undo again", e.may[0]
	}
	rev := e.rev
	outcome := k.send(what, e, next, func(ctx context.Context, c *api.Client) (uint64, api.Meta, error) {
		_, meta, err := c.Undo(ctx, rev, key)
		return next.ID, meta, err
	})
	if again && outcome == history.Done {
		k.l.r.find("rev %d, of %s, was undone twice", rev, e.title)
	}
	if outcome == history.Done {
		e.rev, e.undone = rev, true // the undo is not undone
	}
}

// look reads an entry where it must be: nothing is under way.
func (k *keeper) look(e *kept) {
	ctx, cancel := context.WithTimeout(context.Background(), tryTimeout)
	defer cancel()
	at := e.may[0]
	got, _, err := k.client().Entry(ctx, at.List, at.ID, api.ReadOptions{})
	switch {
	case errors.Is(err, api.CodeNotFound) || errors.Is(err, api.CodeMoved):
		if !at.Trash {
			k.l.r.find("%s must be at %+v: %v", e.title, at, err)
		}
	case err == nil && (at.Trash || got.Title != e.title || got.Date != at.Date):
		k.l.r.find("%s must be at %+v, and a read there gives %+v", e.title, at, got)
	}
}

// client is one of the members as they are now, which begins with any of them.
func (k *keeper) client() *api.Client {
	all := addrs(k.l.r.members())
	k.random.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	c, err := api.NewClient(all, api.Options{PerTry: tryTimeout, Transport: k.l.web.client.Transport})
	if err != nil {
		panic(err) // addresses of this program's own making
	}
	return c
}

// send makes a change that brings an entry to next, and notes what came of it; do returns the id that it has there.
func (k *keeper) send(what string, e *kept, next place, do func(context.Context, *api.Client) (uint64, api.Meta, error)) string {
	ctx, cancel := context.WithTimeout(context.Background(), insistTimeout)
	defer cancel()
	id, meta, err := do(ctx, k.client())
	outcome := outcomeOf(err)
	if fail := api.AsError(err); fail != nil {
		switch fail.Status {
		case http.StatusBadRequest, http.StatusNotFound, http.StatusUnprocessableEntity, http.StatusInternalServerError:
			k.l.r.find("%s of %s, which is at %+v: %d %v", what, e.title, e.may, fail.Status, err)
		}
	}
	if outcome == history.Done {
		next.ID = id
	}
	e.settle(outcome, next, meta.Index)
	switch outcome {
	case history.Done:
		k.l.acks.Add(1)
		k.counts[what]++
	case history.NotApplied:
		k.l.refused.Add(1)
		k.counts[what+" (refused)"]++
	default:
		k.l.unknown.Add(1)
	}
	return outcome
}

// outcomeOf is what became of a write of the Go client.
func outcomeOf(err error) string {
	if err == nil {
		return history.Done
	}
	if fail := api.AsError(err); fail != nil && fail.Outcome == api.NotApplied {
		return history.NotApplied
	}
	return history.Unknown
}

// settle notes what became of a change that was to bring an entry to next.
func (e *kept) settle(outcome string, next place, rev uint64) {
	switch outcome {
	case history.Done:
		e.was, e.may, e.rev, e.undone = e.may[0], []place{next}, rev, false
	case history.Unknown:
		e.may = append(e.may, next)
	}
}

// wrong says what is wrong with the places where an entry was found, "" if nothing is.
func (e *kept) wrong(found []place) string {
	if len(found) > 1 {
		return fmt.Sprintf("%s is there %d times: %+v", e.title, len(found), found)
	}
	is := place{}
	if len(found) == 1 {
		is = found[0]
	}
	for _, may := range e.may {
		if may.ID == 0 {
			may.ID = is.ID
		}
		if may == is {
			return ""
		}
	}
	return fmt.Sprintf("%s must be at %+v, and is at %+v", e.title, e.may, is)
}

func nextDay(date string) string {
	t, err := time.Parse(time.DateOnly, date)
	if err != nil {
		panic(err) // one of this program's own
	}
	return t.AddDate(0, 0, 1).Format(time.DateOnly)
}

// checkKept compares what every node holds of the lists of a keeper with what it knows, once nothing is under way.
func (r *run) checkKept(k *keeper, nodes []*node) error {
	for _, n := range nodes {
		found, err := k.at(n)
		if err != nil {
			return fmt.Errorf("read what was kept at %s: %w", n.id, err)
		}
		for _, e := range k.all {
			if text := e.wrong(found[e.title]); text != "" {
				r.find("at %s %s", n.id, text)
			}
		}
	}
	return nil
}

// at is where a node has each title.
func (k *keeper) at(n *node) (map[string][]place, error) {
	ctx, cancel := context.WithTimeout(k.l.r.ctx, 10*time.Second)
	defer cancel()
	c, err := api.NewClient([]string{n.http}, api.Options{Transport: k.l.r.plain.client.Transport})
	if err != nil {
		return nil, err
	}
	found, stale := map[string][]place{}, api.ReadOptions{Consistency: "stale"}
	for _, list := range k.lists {
		for e, err := range c.AllEntries(ctx, list, api.EntriesQuery{Limit: 1000}, stale) {
			if err != nil {
				return nil, err
			}
			found[e.Title] = append(found[e.Title], place{e.List, e.ID, false, e.Date})
		}
		for e, err := range c.AllTrash(ctx, list, stale) {
			if errors.Is(err, api.CodeNotFound) {
				break // nothing came into the list
			}
			if err != nil {
				return nil, err
			}
			found[e.Title] = append(found[e.Title], place{e.List, e.ID, true, e.Date})
		}
	}
	return found, nil
}
