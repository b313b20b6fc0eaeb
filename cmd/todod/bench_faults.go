package main

import (
	"context"
	"fmt"
	"sync"
	"syscall"
	"time"
)

// What befalls a leader: its process is killed, told to stop, or stands still.
const (
	faultKill  = "kill"
	faultTerm  = "term"
	faultPause = "pause"
)

func faultKinds() []string { return []string{faultKill, faultTerm, faultPause} }

// longestDown is how long a node stays away at most, half of the time to the next fault else: a paused
// leader shows an election only where it stays away for more than a second.
const longestDown = 3 * time.Second

// fault is one fault, as it happened.
type fault struct {
	Kind  string  `json:"kind"`
	Node  string  `json:"node"`
	At    float64 `json:"at_s"`
	Back  float64 `json:"back_s"`   // ready again
	Pause float64 `json:"pause_ms"` // the longest between two acknowledged operations until the next fault
}

// injector does the faults to the leaders of its own nodes, evenly over the time that is measured.
type injector struct {
	nodes []*localNode
	mu    sync.Mutex // held while a process is changed for another, and by who asks for its CPU
	rec   *recorder
	back  func(node int)
	done  []fault
}

func (in *injector) run(ctx context.Context, kinds []string) error {
	length := in.rec.end.Sub(in.rec.begin)
	every := length / time.Duration(len(kinds)+1)
	for i, kind := range kinds {
		sleepFor(ctx, time.Until(in.rec.begin.Add(every*time.Duration(i+1))))
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err := in.inflict(ctx, kind, min(every/2, longestDown)); err != nil {
			return fmt.Errorf("%s of the leader: %w", kind, err)
		}
	}
	sleepFor(ctx, time.Until(in.rec.end))
	in.measure(time.Now())
	return nil
}

// measure gives the last fault its pause.
func (in *injector) measure(now time.Time) {
	worst := in.rec.restart(now)
	if len(in.done) > 0 {
		in.done[len(in.done)-1].Pause = millisOf(worst)
	}
}

// inflict does one fault to the leader and waits until that node serves again.
func (in *injector) inflict(ctx context.Context, kind string, down time.Duration) error {
	n, err := leaderOf(ctx, in.nodes, nil)
	if err != nil {
		return err
	}
	at := time.Now()
	in.measure(at)
	in.done = append(in.done, fault{Kind: kind, Node: n.id, At: at.Sub(in.rec.begin).Seconds()})
	switch kind {
	case faultKill:
		in.locked(func() error { n.kill(); return nil })
	case faultTerm:
		if err := n.terminate(ctx); err != nil {
			return err
		}
	case faultPause:
		if err := n.signal(syscall.SIGSTOP); err != nil {
			return err
		}
	}
	sleepFor(ctx, down-time.Since(at))
	if kind == faultPause {
		err = n.signal(syscall.SIGCONT)
	} else if ctx.Err() == nil {
		err = in.locked(n.start)
	}
	if err != nil {
		return err
	}
	if err := n.ready(ctx); err != nil {
		return err
	}
	in.done[len(in.done)-1].Back = time.Since(in.rec.begin).Seconds()
	for i := range in.nodes {
		if in.nodes[i] == n {
			in.back(i)
		}
	}
	return nil
}

func (in *injector) locked(do func() error) error {
	in.mu.Lock()
	defer in.mu.Unlock()
	return do()
}

// cpu is what all nodes have taken so far.
func (in *injector) cpu() (all time.Duration) {
	in.mu.Lock()
	defer in.mu.Unlock()
	for _, n := range in.nodes {
		all += n.cpu()
	}
	return all
}
