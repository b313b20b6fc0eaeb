package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// fault is one fault of a schedule. Who leads and who is down is not known before it comes to it: Pick
// chooses among those that fit by then.
type fault struct {
	Kind string
	Pick uint64
	Part float64 // of 1: how much of what the kind can be
	With string  // what else goes on meanwhile, "" for nothing
}

// kind is what can be done to a group.
type kind struct {
	name   string
	weight int
	needs  string // what a machine may lack
	does   string // for the list of kinds
	do     func(*run, fault) error
}

// between is a duration of the fault, within bounds. Short ones are more frequent: more of them find more.
func (f fault) between(least, most time.Duration) time.Duration {
	return least + time.Duration(f.Part*f.Part*float64(most-least))
}

// one picks one of nodes.
func (f fault) one(nodes []*node) *node { return nodes[f.Pick%uint64(len(nodes))] }

// kinds is the table of all faults.
func kinds() []kind {
	return slices.Concat(processFaults(), networkFaults(), diskFaults(), groupFaults())
}

// backdrops may go on while another fault comes.
var backdrops = []string{"delay", "loss", "lost-answers", "slow-clients"}

// schedule makes the faults of a run from its seed: the same seed, the same faults.
func schedule(seed uint64, only []string, count int) ([]fault, error) {
	var bag []string
	known := map[string]bool{}
	for _, k := range kinds() {
		known[k.name] = true
		if len(only) == 0 || slices.Contains(only, k.name) {
			for range k.weight {
				bag = append(bag, k.name)
			}
		}
	}
	for _, name := range only {
		if !known[name] {
			return nil, fmt.Errorf("there is no fault %q: %s", name, strings.Join(kindNames(), ", "))
		}
	}
	random := rand.New(rand.NewPCG(seed, 0))
	var all []fault
	for len(all) < count {
		// A bag at a time, so that every kind comes early in every run.
		random.Shuffle(len(bag), func(i, j int) { bag[i], bag[j] = bag[j], bag[i] })
		for _, name := range bag {
			f := fault{Kind: name, Pick: random.Uint64(), Part: random.Float64()}
			if with := backdrops[random.IntN(len(backdrops))]; random.IntN(4) == 0 && len(only) == 0 && !slices.Contains(backdrops, name) {
				f.With = with
			}
			all = append(all, f)
		}
	}
	return all[:count], nil
}

func kindNames() (names []string) {
	for _, k := range kinds() {
		names = append(names, k.name)
	}
	return names
}

func kindOf(name string) kind {
	all := kinds()
	return all[slices.IndexFunc(all, func(k kind) bool { return k.name == name })]
}
