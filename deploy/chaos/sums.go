package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"time"
)

// sums is what a run did, over its parts.
type sums struct {
	Faults   map[string]int
	Acks     int64
	Reads    int64
	Refused  int64
	Unknown  int64
	Replays  int64
	Told     int64 // changes that were followed
	Restores int
	Checked  int            // operations in the histories
	Kept     map[string]int // changes that keepers made, by what they are
	Seconds  []second
}

// add takes what a load did.
func (r *run) add(l *load) {
	s := &r.sums
	s.Acks += l.acks.Load()
	s.Reads += l.reads.Load()
	s.Refused += l.refused.Load()
	s.Unknown += l.unknown.Load()
	s.Replays += l.replays.Load()
	regs, _ := l.regs.Len()
	lists, _ := l.lists.Len()
	s.Checked += regs + lists
	for what, n := range l.keeper.counts {
		s.Kept[what] += n
	}
	s.Seconds = append(s.Seconds, l.tape.seconds()...)
}

func (s sums) faults() (all int) {
	for _, n := range s.Faults {
		all += n
	}
	return all
}

func (s sums) String() string {
	return fmt.Sprintf("%d faults of %d kinds, %d operations decided (%d writes acknowledged, %d reads, %d refused), %d unknown, %d replays, %d changes followed, %d restores",
		s.faults(), len(s.Faults), s.Acks+s.Reads+s.Refused, s.Acks, s.Reads, s.Refused, s.Unknown, s.Replays, s.Told, s.Restores)
}

// summary ends a run in a few lines.
func (r *run) summary(out io.Writer) {
	fmt.Fprintf(out, "\n%v: %s\n", time.Since(r.began).Round(time.Second), r.sums)
	for _, kind := range slices.Sorted(maps.Keys(r.sums.Faults)) {
		fmt.Fprintf(out, "  %s %d", kind, r.sums.Faults[kind])
	}
	fmt.Fprint(out, "\nkept:")
	for _, what := range slices.Sorted(maps.Keys(r.sums.Kept)) {
		fmt.Fprintf(out, "  %s %d", what, r.sums.Kept[what])
	}
	fmt.Fprintf(out, "\nlogs: %d entries committed and compared, %d terms opened, %d proposals of an earlier term refused\n",
		len(r.audit.entries), len(r.audit.opened), r.audit.refused)
	for _, text := range r.findings {
		fmt.Fprintln(out, "FINDING:", text)
	}
	if len(r.findings) == 0 {
		fmt.Fprintln(out, "no findings")
	}
}
