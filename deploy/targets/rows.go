package main

import (
	"context"
	"fmt"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"todod/httpapi/api"
)

// oneList is writes on one list beside writes on 1,000 lists, in turns.
func oneList(ctx context.Context, l *lab) error {
	var ratios, many []float64
	for range l.runs {
		var rates [2]float64
		for i, lists := range []string{"1000", "1"} {
			r, err := l.bench(ctx, "--writes", "--keys=false", "--conns", "256", "--duration", "5s", "--lists", lists)
			if err != nil {
				return err
			}
			rates[i] = r.All.PerS
		}
		many, ratios = append(many, rates[0]), append(ratios, rates[1]/rates[0])
	}
	l.tell("2", "writes, 256 connections, 1,000 lists, todod bench", "ops/s", many)
	l.tell("2b", "writes, 256 connections, all on one list: to that", "", ratios)
	return nil
}

func theBook(ctx context.Context, l *lab) error {
	var rates, cpu, failed []float64
	for range l.runs {
		r, err := l.bench(ctx, "--book", "--keys=false", "--conns", "100", "--duration", "20s")
		if err != nil {
			return err
		}
		rates, cpu, failed = append(rates, r.All.PerS), append(cpu, r.Per1000), append(failed, float64(total(r.Failed)))
	}
	l.tell("7", "the book's mix, 100 connections", "req/s", rates)
	l.tell("7", "its CPU per 1,000 requests", "s", cpu)
	l.tell("7", "its errors", "", failed)
	return nil
}

func total(kinds map[string]int) (sum int) {
	for _, n := range kinds {
		sum += n
	}
	return sum
}

// loneNode is a node in an empty folder, from exec to its first acknowledged write.
func loneNode(ctx context.Context, l *lab) error {
	var took []float64
	for range l.runs {
		begin := time.Now()
		g, err := l.start(ctx, 1)
		if err != nil {
			return err
		}
		if err := g.nodes[0].until(ctx, write(g.nodes[0].client, "first")); err != nil {
			return err
		}
		took = append(took, millis(time.Since(begin)))
		if err := g.end(); err != nil {
			return err
		}
	}
	l.tell("11", "lone new node, to its first acknowledged write", "ms", took)
	return nil
}

func write(c *api.Client, list string) func(context.Context) error {
	return func(ctx context.Context) error {
		_, _, err := c.AddEntry(ctx, list, api.NewEntry{Title: strings.Repeat("x", 100)}, api.WriteOptions{})
		return err
	}
}

func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// faults does one kind of fault to leaders, again and again, and returns the pauses.
func (l *lab) faults(ctx context.Context, kind string, n int, args ...string) ([]float64, error) {
	args = append(args, "--keys=true", "--faults", strings.TrimSuffix(strings.Repeat(kind+",", n), ","), "--duration", fmt.Sprintf("%ds", 4*n))
	r, err := l.bench(ctx, args...)
	if err != nil {
		return nil, err
	}
	if failed := total(r.Failed); failed > 0 {
		return nil, fmt.Errorf("%d operations failed: %v", failed, r.Failed)
	}
	var pauses []float64
	for _, f := range r.Faults {
		pauses = append(pauses, f.Pause)
	}
	return pauses, nil
}

func killed(ctx context.Context, l *lab) error {
	for _, c := range []struct {
		what string
		args []string
	}{
		{"longest pause around a kill -9 of the leader, 200 writes/s", []string{"--rate", "200", "--conns", "16"}},
		{"the same, five nodes", []string{"--rate", "200", "--conns", "16", "--nodes", "5"}},
		{"the same, three nodes, 64 writers", []string{"--conns", "64"}},
	} {
		pauses, err := l.faults(ctx, "kill", 4*l.runs, c.args...)
		if err != nil {
			return err
		}
		l.tell("12", c.what, "ms", pauses)
	}
	return nil
}

func terminated(ctx context.Context, l *lab) error {
	pauses, err := l.faults(ctx, "term", 2*l.runs, "--conns", "64")
	if err != nil {
		return err
	}
	l.tell("13", "longest pause around a SIGTERM of the leader, 64 writers", "ms", pauses)
	return nil
}

func paused(ctx context.Context, l *lab) error {
	pauses, err := l.faults(ctx, "pause", l.runs, "--conns", "64")
	if err != nil {
		return err
	}
	l.tell("14", "longest pause around a SIGSTOP of the leader, 64 writers", "ms", pauses)
	return nil
}

// overcommitted is full load with as many programs that only turn as there are cores.
func overcommitted(ctx context.Context, l *lab) error {
	g, err := l.start(ctx, 3)
	if err != nil {
		return err
	}
	before, err := g.all.Cluster(ctx)
	if err != nil {
		return err
	}
	for range runtime.NumCPU() {
		yes := exec.Command("yes")
		yes.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		if err := yes.Start(); err != nil {
			return fmt.Errorf("start yes: %w", err)
		}
		defer yes.Process.Kill() //nolint:errcheck // it may have ended
	}
	r, err := l.bench(ctx, "--server", g.addrs(), "--mix", "50", "--conns", "128", "--keys=false", "--duration", l.long.String())
	if err != nil {
		return err
	}
	after, err := g.all.Cluster(ctx)
	if err != nil {
		return err
	}
	l.tell("15", "elections in "+l.long.String()+" of full load, the cores overcommitted", "", []float64{float64(after.Term - before.Term)})
	l.tell("15", "what was done meanwhile, half of it writes", "ops/s", []float64{r.All.PerS})
	return g.end()
}

// readAfterWrite is a read at a follower, begun when a write at the leader was acknowledged.
func readAfterWrite(ctx context.Context, l *lab) error {
	g, err := l.start(ctx, 3)
	if err != nil {
		return err
	}
	leader, follower, err := g.roles(ctx)
	if err != nil {
		return err
	}
	var medians []float64
	for range l.runs {
		var took []float64
		for n := range 200 {
			list := fmt.Sprintf("read-%d", n)
			e, _, err := leader.client.AddEntry(ctx, list, api.NewEntry{Title: "x"}, api.WriteOptions{})
			if err != nil {
				return err
			}
			begin := time.Now()
			if _, _, err := follower.client.Entry(ctx, list, e.ID, api.ReadOptions{}); err != nil {
				return err
			}
			took = append(took, millis(time.Since(begin)))
		}
		medians = append(medians, median(slices.Sorted(slices.Values(took))))
	}
	l.tell("16", "linearizable read at a follower right after a write", "ms", medians)
	return g.end()
}

// roles finds the leader and one that is not.
func (g *group) roles(ctx context.Context) (leader, follower *process, err error) {
	c, err := g.all.Cluster(ctx)
	if err != nil {
		return nil, nil, err
	}
	for _, p := range g.nodes {
		if p.id == c.Leader {
			leader = p
		} else {
			follower = p
		}
	}
	if leader == nil {
		return nil, nil, fmt.Errorf("nobody leads")
	}
	return leader, follower, nil
}

func idle(ctx context.Context, l *lab) error {
	g, err := l.start(ctx, 3)
	if err != nil {
		return err
	}
	if err := write(g.all, "idle")(ctx); err != nil {
		return err
	}
	time.Sleep(3 * time.Second) // what the first write began is over
	var cores, woken []float64
	for range l.runs {
		const length = 10 * time.Second
		before, err := g.spent()
		if err != nil {
			return err
		}
		time.Sleep(length)
		after, err := g.spent()
		if err != nil {
			return err
		}
		cores = append(cores, (after[0]-before[0])/length.Seconds())
		woken = append(woken, (after[1]-before[1])/length.Seconds())
	}
	l.tell("17", "CPU of an idle group of three", "cores", cores)
	l.tell("17", "its wakeups of threads", "/s", woken)
	return g.end()
}

// spent is CPU and wakeups of the group so far.
func (g *group) spent() (sums [2]float64, err error) {
	if sums[0], err = g.cpu(); err != nil {
		return sums, err
	}
	for _, p := range g.nodes {
		n, err := p.wakeups()
		if err != nil {
			return sums, err
		}
		sums[1] += n
	}
	return sums, nil
}
