package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"todod/cmd/internal/cli"
	"todod/httpapi/api"
)

// bench is one run of todod bench.
type bench struct {
	flags *benchFlags
	work  *work
	out   io.Writer
	log   io.Writer // where progress is shown, io.Discard if nobody looks
	paint func(sgr, text string) string
	drawn bool // out is a terminal

	addrs  []string
	own    []*localNode // nil: the group was running
	all    *api.Client
	rec    *recorder
	load   *pressure
	faults *injector
	ledger [][]wrote
	report benchReport
}

func (b *bench) run(ctx context.Context) (err error) {
	var dir string
	defer func() {
		// From here on nothing may interrupt: what is left behind would stay.
		signal.Ignore(os.Interrupt, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGPIPE)
		if err != nil && ctx.Err() != nil {
			err = errors.New("interrupted: what was measured so far is not told")
		}
		err = errors.Join(err, b.clean(err), os.RemoveAll(dir))
	}()
	if dir, err = b.start(ctx); err != nil {
		return err
	}
	for _, step := range []func(context.Context) error{b.prepare, b.measure, b.compare} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return b.tell()
}

// start connects with the group, or starts one in a folder of its own, which it returns.
func (b *bench) start(ctx context.Context) (dir string, err error) {
	if b.addrs = b.flags.servers; len(b.addrs) == 0 {
		b.progress("starting %d nodes", b.flags.nodes)
		if dir, err = os.MkdirTemp(b.flags.data, "todod-bench-"); err != nil {
			return "", fmt.Errorf("make a folder for the nodes: %w", err)
		}
		if b.own, err = newNodes(dir, b.flags.nodes); err != nil {
			return dir, err
		}
		for _, n := range b.own {
			if err := n.start(); err != nil {
				return dir, err
			}
			b.addrs = append(b.addrs, n.http)
		}
		b.report.Memory = inMemory(dir)
	}
	if b.all, err = api.NewClient(b.addrs, api.Options{}); err != nil {
		return dir, err
	}
	for _, n := range b.own {
		if err := n.ready(ctx); err != nil {
			return dir, err
		}
	}
	if _, _, err := b.all.Lists(ctx, b.work.prefix(), 1, "", api.ReadOptions{}); err != nil {
		return dir, fmt.Errorf("ask the group for a read: %w", err) // no use to load it
	}
	return dir, nil
}

// inMemory reports whether a folder is on a file system without a disk, where a sync costs nothing.
func inMemory(dir string) bool {
	const tmpfs, ramfs = 0x01021994, 0x858458f6
	var fs syscall.Statfs_t
	return syscall.Statfs(dir, &fs) == nil && (int64(fs.Type) == tmpfs || int64(fs.Type) == ramfs)
}

// mostBatch is how much of titles a batch may hold: a body has 1 MiB.
const mostBatch = 600 << 10

// prepare adds what is read. Its writes are those of one more worker.
func (b *bench) prepare(ctx context.Context) error {
	w := b.work
	if w.Percent == 100 || w.Book {
		b.ledger = append(b.ledger, nil)
		return nil
	}
	var mine []wrote
	size := min(1000, mostBatch/(w.Size+100))
	for total := readEntries * w.Lists; len(mine) < total; {
		b.progress("adding what is to be read: %d of %d", len(mine), total)
		var batch api.Batch
		for n := len(mine); n < total && len(batch.Commands) < size; n++ {
			title, date := string(w.title(nil, b.flags.conns, n)), readDate
			batch.Commands = append(batch.Commands, api.Command{Op: "add", List: w.list(n % w.Lists), EntryPatch: api.EntryPatch{Title: &title, Date: &date}})
		}
		got, _, err := b.all.Batch(ctx, batch, api.WriteOptions{})
		if err != nil {
			return fmt.Errorf("add what is to be read: %w", err)
		}
		if len(got.Results) != len(batch.Commands) {
			return fmt.Errorf("a batch of %d was answered with %d results", len(batch.Commands), len(got.Results))
		}
		for _, r := range got.Results {
			mine = append(mine, wrote{id: r.ID, list: int32(len(mine) % w.Lists), outcome: acknowledged})
		}
	}
	b.ledger = append(b.ledger, mine)
	return nil
}

// measure runs the load, and the faults beside it.
func (b *bench) measure(ctx context.Context) error {
	f := b.flags
	begin := time.Now()
	b.rec = newRecorder(begin.Add(f.warmup), f.duration)
	b.load = newPressure(b.work, b.addrs, b.rec, f.rate, f.conns)
	b.faults = &injector{nodes: b.own, rec: b.rec, back: b.load.returned}
	// A fault that cannot be undone ends the run: there is no group left to measure.
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	loaded, injected := make(chan struct{}), make(chan struct{})
	go func() { defer close(loaded); b.load.run(ctx, begin) }()
	go func() {
		defer close(injected)
		if len(f.faults) > 0 {
			if err := b.faults.run(ctx, f.faults); err != nil {
				cancel(err)
			}
		}
	}()
	b.watch(ctx, loaded)
	<-loaded
	<-injected
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	prepared := b.ledger
	b.ledger = nil
	for _, w := range b.load.workers {
		b.ledger = append(b.ledger, w.wrote)
	}
	b.ledger = append(b.ledger, prepared...)
	return nil
}

// watch shows how the load goes, and takes the CPU at the beginning and the end of what is measured.
func (b *bench) watch(ctx context.Context, loaded <-chan struct{}) {
	sleepFor(ctx, time.Until(b.rec.begin))
	nodes, self := b.cpu(ctx), selfCPU()
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	end := time.After(time.Until(b.rec.end))
	for on := true; on; {
		select {
		case <-tick.C:
			b.showProgress(time.Since(b.rec.begin))
		case <-end:
			on = false
		case <-loaded:
			on = false
		}
	}
	b.report.LoadCPU = (selfCPU() - self).Seconds()
	if after := b.cpu(ctx); nodes >= 0 && after >= 0 {
		b.report.NodesCPU = (after - nodes).Seconds()
	}
}

// unseen is the CPU of nodes that cannot be seen.
const unseen = time.Duration(-1)

// cpu is what the nodes have taken so far: its own ones by the system's word, others by their own.
func (b *bench) cpu(ctx context.Context) (all time.Duration) {
	if len(b.own) > 0 {
		return b.faults.cpu()
	}
	for _, addr := range b.addrs {
		one := metricCPU(ctx, addr)
		if one == unseen {
			return unseen
		}
		all += one
	}
	return all
}

// metricCPU asks a node for the CPU that its process has taken.
func metricCPU(ctx context.Context, addr string) time.Duration {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/metrics", nil)
	if err != nil {
		return unseen
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return unseen
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(io.LimitReader(resp.Body, maxReply))
	for lines.Scan() {
		if text, ok := strings.CutPrefix(lines.Text(), "process_cpu_seconds_total "); ok {
			if seconds, err := strconv.ParseFloat(text, 64); err == nil {
				return time.Duration(seconds * float64(time.Second))
			}
		}
	}
	return unseen
}

func selfCPU() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func (b *bench) showProgress(past time.Duration) {
	i := int(past/b.rec.step) - 1
	if i < 0 || i >= len(b.rec.slots)-1 {
		return
	}
	now := b.rec.moment(i)
	_, failed := b.rec.failures()
	b.progress("%.1f of %s  %s ops/s  p50 %s  p99 %s  failed %d", past.Seconds(), b.flags.duration,
		thousands(uint64(now.Ops)), msText(now.P50), msText(now.P99), total(failed))
}

// progress shows a line in place of the one before, "" for none.
func (b *bench) progress(format string, args ...any) {
	fmt.Fprintf(b.log, "\r\x1b[K"+format, args...)
}

// compare holds what was acknowledged against what is stored, and the replicas of its own nodes
// against each other.
func (b *bench) compare(ctx context.Context) error {
	b.progress("comparing acknowledged with stored")
	sum, err := newLedger(b.work, b.ledger).compare(ctx, b.addrs)
	if err != nil {
		return err
	}
	b.report.Audit = sum
	if len(b.own) > 0 {
		if err := b.sameReplicas(ctx); err != nil {
			return err
		}
	}
	b.progress("")
	return nil
}

// sameReplicas waits until all its own nodes are at the same index of the log, where their hashes must be equal.
func (b *bench) sameReplicas(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	return until(ctx, "the nodes at one index", func() (bool, error) {
		var first api.Hash
		for i, n := range b.own {
			h, err := n.client.Hash(ctx)
			if err != nil {
				return false, nil
			}
			if i == 0 {
				first = h
			}
			if h.Index == first.Index && h != first {
				return false, fmt.Errorf("%s and %s have diverged at index %d", b.own[0].id, n.id, h.Index)
			}
			if h != first {
				return false, nil
			}
		}
		return true, nil
	})
}

// tell prints what came of it; the error is what makes the run a failure.
func (b *bench) tell() error {
	b.fill()
	if b.flags.html != "" {
		if err := b.writePage(b.flags.html); err != nil {
			return err
		}
	}
	if b.flags.output.JSON() {
		if err := cli.PrintJSON(b.out, b.report); err != nil {
			return err
		}
	} else if err := b.print(); err != nil {
		return err
	}
	switch {
	case !b.report.Audit.equal():
		return errors.New("what was acknowledged and what is stored differ: " + b.report.Audit.String())
	case b.report.All.Ops == 0:
		return &cli.Error{Code: cli.Retry, Err: errors.New("not one operation was answered")}
	}
	return nil
}

func (b *bench) writePage(file string) error {
	var page strings.Builder
	b.report.page(&page)
	if err := os.WriteFile(file, []byte(page.String()), 0o644); err != nil {
		return fmt.Errorf("write the page: %w", err)
	}
	return nil
}

// cleanPatience is how long the lists are tried to be deleted, whatever happened before.
const cleanPatience = 30 * time.Second

// clean deletes the lists of the run; its own nodes go with theirs.
func (b *bench) clean(failed error) error {
	b.progress("")
	if len(b.own) > 0 {
		if failed != nil {
			tellLogs(b.out, b.own)
		}
		for _, n := range b.own {
			n.kill()
		}
		return nil
	}
	if b.all == nil || b.flags.keep {
		return nil
	}
	defer b.all.Close()
	if b.rec == nil && api.AsError(failed) != nil {
		return nil // nobody was reached
	}
	ctx, cancel := context.WithTimeout(context.Background(), cleanPatience)
	defer cancel()
	if err := b.deleteLists(ctx); err != nil {
		return fmt.Errorf("delete the lists %s...: %w", b.work.prefix(), err)
	}
	return nil
}

func (b *bench) deleteLists(ctx context.Context) error {
	var batch api.Batch
	send := func() error {
		if len(batch.Commands) == 0 {
			return nil
		}
		b.progress("deleting the lists")
		_, _, err := b.all.Batch(ctx, batch, api.WriteOptions{})
		batch.Commands = batch.Commands[:0]
		return err
	}
	for list, err := range b.all.AllLists(ctx, b.work.prefix(), api.ReadOptions{}) {
		if err != nil {
			return err
		}
		if batch.Commands = append(batch.Commands, api.Command{Op: "delete_list", List: list.Name}); len(batch.Commands) == 1000 {
			if err := send(); err != nil {
				return err
			}
		}
	}
	err := send()
	b.progress("")
	return err
}
