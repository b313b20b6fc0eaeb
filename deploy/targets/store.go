package main

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"syscall"
	"time"

	"todod/httpapi/api"
)

const (
	million = 1_000_000
	long    = 880_000 // with what is added to it meanwhile some 1,000,000, the most that a list holds
)

// bigStore is what 1,000,000 entries do to a group: 1,000 lists of 1,000, and one list of as many.
func bigStore(ctx context.Context, l *lab) error {
	small, err := l.start(ctx, 3)
	if err != nil {
		return err
	}
	defer small.end() //nolint:errcheck // its folder is in one that is removed
	big, err := l.start(ctx, 3)
	if err != nil {
		return err
	}
	defer big.end() //nolint:errcheck // as above
	if err := fill(ctx, big.all, million, func(n int) string { return fmt.Sprintf("list-%d", n%1000) }); err != nil {
		return err
	}
	if err := l.footprint(ctx, big); err != nil {
		return err
	}
	if err := l.restarts(ctx, big); err != nil {
		return err
	}
	if err := l.compare(ctx, "8", "CPU of a write: store of 1,000,000 entries to an empty one", big, small, "1000"); err != nil {
		return err
	}
	if err := fill(ctx, small.all, long, func(int) string { return "long" }); err != nil {
		return err
	}
	return l.longList(ctx, small)
}

// fill adds entries of 100 bytes in batches.
func fill(ctx context.Context, c *api.Client, total int, list func(n int) string) error {
	const size = 1000
	title := strings.Repeat("x", 100)
	var wg sync.WaitGroup
	errs := make(chan error, 4)
	for w := range 4 {
		wg.Go(func() {
			for n := w * size; n < total; n += 4 * size {
				var b api.Batch
				for i := range size {
					b.Commands = append(b.Commands, api.Command{Op: "add", List: list(n + i), EntryPatch: api.EntryPatch{Title: &title}})
				}
				if _, _, err := c.Batch(ctx, b, api.WriteOptions{}); err != nil {
					errs <- fmt.Errorf("fill: %w", err)
					return
				}
			}
		})
	}
	wg.Wait()
	close(errs)
	return <-errs
}

// footprint is memory and disk, once the log was cut and the collector had its time.
func (l *lab) footprint(ctx context.Context, g *group) error {
	time.Sleep(20 * time.Second)
	for range 3 { // each start compacts what is mostly free
		for _, p := range g.nodes {
			if err := p.stop(syscall.SIGTERM); err != nil {
				return err
			}
			if err := p.start(); err != nil {
				return err
			}
			if err := p.until(ctx, p.client.Ready); err != nil {
				return err
			}
		}
	}
	if _, err := l.bench(ctx, "--server", g.addrs(), "--mix", "50", "--conns", "64", "--duration", "5s"); err != nil {
		return err
	}
	var memory, disk []float64
	for _, p := range g.nodes {
		kb, err := p.status("RssAnon")
		if err != nil {
			return err
		}
		mb, err := g.size(p)
		if err != nil {
			return err
		}
		memory, disk = append(memory, kb*1024/1e6), append(disk, mb)
	}
	l.tell("9", "1,000,000 entries: a node's memory (RssAnon) after a load", "MB", memory)
	l.tell("9", "1,000,000 entries: a node's disk", "MB", disk)
	return nil
}

// restarts is a node, and then the whole group, from exec to the first answer.
func (l *lab) restarts(ctx context.Context, g *group) error {
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		var one, all []float64
		for range l.runs {
			_, p, err := g.roles(ctx)
			if err != nil {
				return err
			}
			ms, err := g.restart(ctx, sig, []*process{p}, func(ctx context.Context) error {
				_, _, err := p.client.Entries(ctx, "list-7", api.EntriesQuery{Limit: 1}, api.ReadOptions{})
				return err
			})
			if err != nil {
				return err
			}
			one = append(one, ms)
			if ms, err = g.restart(ctx, sig, g.nodes, write(g.nodes[0].client, "back")); err != nil {
				return err
			}
			all = append(all, ms)
		}
		l.tell("10", fmt.Sprintf("1,000,000 entries: a node to its first read after %s", sig), "ms", one)
		l.tell("10", fmt.Sprintf("1,000,000 entries: the group to its first write after %s", sig), "ms", all)
	}
	return nil
}

func (g *group) restart(ctx context.Context, sig syscall.Signal, nodes []*process, answered func(context.Context) error) (float64, error) {
	for _, p := range nodes {
		if err := p.cmd.Process.Signal(sig); err != nil {
			return 0, fmt.Errorf("stop %s: %w", p.id, err)
		}
	}
	for _, p := range nodes {
		_ = p.cmd.Wait() // how it ended is no matter
	}
	begin := time.Now()
	for _, p := range nodes {
		if err := p.start(); err != nil {
			return 0, err
		}
	}
	if err := nodes[0].until(ctx, answered); err != nil {
		return 0, err
	}
	took := millis(time.Since(begin))
	for _, p := range g.nodes {
		if err := p.until(ctx, p.client.Ready); err != nil {
			return 0, err
		}
	}
	return took, nil
}

// compare runs the same writes on two groups in turns and tells the ratio of their CPU.
func (l *lab) compare(ctx context.Context, row, what string, a, b *group, lists string) error {
	var ratios []float64
	for range l.runs {
		var cpu [2]float64
		for i, g := range []*group{a, b} {
			r, err := l.bench(ctx, "--server", g.addrs(), "--writes", "--keys=false", "--conns", "64", "--duration", "5s", "--lists", lists)
			if err != nil {
				return err
			}
			cpu[i] = r.Per1000
		}
		ratios = append(ratios, cpu[0]/cpu[1])
	}
	l.tell(row, what, "", ratios)
	return nil
}

// longList is adds to a list of 1,000,000 entries beside adds to a new one, in turns.
func (l *lab) longList(ctx context.Context, g *group) error {
	var ratios []float64
	for n := range l.runs {
		var cpu [2]float64
		for i, list := range []string{"long", fmt.Sprintf("new-%d", n)} {
			before, err := g.cpu()
			if err != nil {
				return err
			}
			if err := adds(ctx, g.all, list, 20_000); err != nil {
				return err
			}
			after, err := g.cpu()
			if err != nil {
				return err
			}
			cpu[i] = after - before
		}
		ratios = append(ratios, cpu[0]/cpu[1])
	}
	l.tell("8", "CPU of an add: list of 880,000 to 980,000 entries to an empty one", "", ratios)
	return nil
}

// adds adds n entries to a list from 64 callers.
func adds(ctx context.Context, c *api.Client, list string, n int) error {
	var wg sync.WaitGroup
	errs := make(chan error, 64)
	for range 64 {
		wg.Go(func() {
			add := write(c, list)
			for range n / 64 {
				if err := add(ctx); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	wg.Wait()
	close(errs)
	return <-errs
}

// overload is more connections than are of use, then requests due at twice the rate that was reached.
func overload(ctx context.Context, l *lab) error {
	g, err := l.start(ctx, 3)
	if err != nil {
		return err
	}
	defer g.end() //nolint:errcheck // its folder is in one that is removed
	bench := func(args ...string) (report, error) {
		return l.bench(ctx, append([]string{"--server", g.addrs(), "--writes", "--keys=false", "--duration", "5s"}, args...)...)
	}
	var ratios, twice, p99, most, slowest, accepted []float64
	for range l.runs {
		few, err := bench("--conns", "256")
		if err != nil {
			return err
		}
		many, err := bench("--conns", "1024")
		if err != nil {
			return err
		}
		over, err := bench("--conns", "10000", "--rate", fmt.Sprint(2*few.All.PerS))
		if err != nil {
			return err
		}
		ratios, twice = append(ratios, many.All.PerS/few.All.PerS), append(twice, over.All.PerS/few.All.PerS)
		p99, most = append(p99, many.All.P99), append(most, float64(total(over.Retried)))
		slowest, accepted = append(slowest, over.All.P99), append(accepted, over.Accepted.P99)
	}
	l.tell("18", "throughput at 1,024 connections to that at 256", "", ratios)
	l.tell("18", "p99 at 1,024 connections", "ms", p99)
	l.tell("18", "throughput at twice the rate, 10,000 connections, to that at 256", "", twice)
	l.tell("18", "p99 meanwhile of what was accepted, from when it was sent", "ms", accepted)
	l.tell("18", "the same from when a request was due, tries again and all", "ms", slowest)
	l.tell("18", "refused meanwhile and sent again", "", most)
	var memory []float64
	for _, p := range g.nodes {
		kb, err := p.status("RssAnon")
		if err != nil {
			return err
		}
		memory = append(memory, kb*1024/1e6)
	}
	l.tell("18", "a node's memory (RssAnon) afterwards", "MB", memory)
	return nil
}
