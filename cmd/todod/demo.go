package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"todod/cmd/internal/cli"
	"todod/httpapi/api"
)

// How long the steps of the demo may take before it gives up, and how long the load runs on
// before and after the kill, for everyone to see that it does.
const (
	stepTimeout = 30 * time.Second
	loadBefore  = time.Second
	loadAfter   = 1500 * time.Millisecond
)

func demoCommand(env func(string) string) *cobra.Command {
	var noPause bool
	cmd := &cobra.Command{
		Use: "demo", Short: "three real nodes on this machine, a load, and a kill -9 of the leader",
		Long: `demo starts three nodes as processes of their own in a temporary folder, adds
entries through all of them, kills the leader with SIGKILL under that load, shows how long
no write was acknowledged, brings the dead node back, and counts what was acknowledged
against what is stored on every node. It ends with 0 only if they are equal.

On a terminal it waits for Enter between the steps. Ctrl-C leaves no process and no folder.`,
		Example: "  todod demo\n  todod demo --no-pause",
		Args:    cobra.NoArgs, ValidArgsFunction: cobra.NoFileCompletions,
	}
	cmd.Flags().BoolVar(&noPause, "no-pause", false, "go straight through")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		// A closed terminal or pipe ends the demo as Ctrl-C does, so that it can clean up.
		ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGHUP, syscall.SIGPIPE)
		defer stop()
		d := &demo{out: cmd.OutOrStdout(), paint: cli.Paint(cmd.OutOrStdout(), env), drawn: cli.Terminal(cmd.OutOrStdout())}
		if d.drawn && !noPause && cli.Terminal(cmd.InOrStdin()) {
			d.enter = cmd.InOrStdin()
		}
		return d.run(ctx)
	}
	return cmd
}

// demo is one run of the demo.
type demo struct {
	out   io.Writer
	paint func(sgr, text string) string
	drawn bool      // the nodes are drawn, for a terminal
	enter io.Reader // where Enter is waited for between the steps, nil: nowhere
	nodes []*localNode
	all   *api.Client // of the whole group
	load  *load
}

func (d *demo) run(ctx context.Context) (err error) {
	dir, err := os.MkdirTemp("", "todod-demo-")
	if err != nil {
		return fmt.Errorf("make a temporary folder: %w", err)
	}
	defer func() {
		// From here on nothing may interrupt: what is left behind would stay.
		signal.Ignore(os.Interrupt, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGPIPE)
		if err != nil && ctx.Err() == nil {
			tellLogs(d.out, d.nodes)
		}
		for _, n := range d.nodes {
			n.kill()
		}
		err = errors.Join(err, os.RemoveAll(dir))
	}()
	for _, step := range []func(context.Context) error{d.write, d.show, d.killLeader, d.revive, d.count} {
		if d.nodes == nil {
			if err := d.start(ctx, dir); err != nil {
				return d.why(ctx, err)
			}
		}
		if err := d.pause(ctx); err != nil {
			return err
		}
		if err := step(ctx); err != nil {
			return d.why(ctx, err)
		}
	}
	return nil
}

// why is the error of a step; an interrupted demo has no other than that.
func (d *demo) why(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return errors.New("interrupted: the nodes are stopped and their folder is gone")
	}
	return err
}

func (d *demo) say(format string, args ...any) { fmt.Fprintf(d.out, format+"\n", args...) }

func (d *demo) title(text string) { d.say("\n%s", d.paint("1", text)) }

// start founds a group of three, all with the same flags.
func (d *demo) start(ctx context.Context, dir string) error {
	d.title("Three nodes")
	nodes, err := newNodes(dir, 3)
	if err != nil {
		return err
	}
	d.nodes = nodes
	var addrs []string
	for _, n := range d.nodes {
		if err := n.start(); err != nil {
			return err
		}
		addrs = append(addrs, n.http)
		d.say("%s is process %d, http %s", n.id, n.cmd.Process.Pid, n.http)
	}
	if d.all, err = api.NewClient(addrs, api.Options{}); err != nil {
		return err
	}
	for _, n := range d.nodes {
		if err := n.ready(ctx); err != nil {
			return err
		}
	}
	return d.draw(ctx)
}

// write adds an entry through each node and reads them at the next one.
func (d *demo) write(ctx context.Context) error {
	d.title("An entry through each node, read at another")
	for i, n := range d.nodes {
		e, _, err := n.client.AddEntry(ctx, "bob", api.NewEntry{Title: "added at " + n.id, Date: "2018-12-19"}, api.WriteOptions{})
		if err != nil {
			return fmt.Errorf("add an entry at %s: %w", n.id, err)
		}
		other := d.nodes[(i+1)%len(d.nodes)]
		got, _, err := other.client.Entry(ctx, "bob", e.ID, api.ReadOptions{})
		if err != nil {
			return fmt.Errorf("read at %s what was added at %s: %w", other.id, n.id, err)
		}
		d.say("add at %s, read at %s: %s %d %s %q", n.id, other.id, got.List, got.ID, got.Date, got.Title)
	}
	return nil
}

// show starts the load and says who leads and which list processes live there.
func (d *demo) show(ctx context.Context) error {
	d.title(fmt.Sprintf("A load: %d writers, through all three nodes", writers))
	d.load = startLoad(d.nodes)
	if err := d.let(ctx, loadBefore); err != nil {
		return err
	}
	if err := d.draw(ctx); err != nil {
		return err
	}
	return d.processes(ctx)
}

func (d *demo) processes(ctx context.Context) error {
	reg, err := d.all.Registry(ctx)
	if err != nil {
		return fmt.Errorf("ask for the list processes: %w", err)
	}
	d.say("list processes, all at the leader %s:", reg.Leader)
	for _, p := range reg.Processes {
		d.say("  %-8s handled %d", cli.Safe(p.List), p.Handled)
	}
	d.say("acknowledged so far: %d", d.load.count())
	return nil
}

// killLeader kills the leader under load and says how long no write was acknowledged.
func (d *demo) killLeader(ctx context.Context) error {
	old, err := leaderOf(ctx, d.nodes, nil)
	if err != nil {
		return err
	}
	if err := d.let(ctx, loadBefore/2); err != nil { // the load may have waited for Enter
		return err
	}
	d.title("kill -9 of the leader, " + old.id)
	at := time.Now()
	old.kill()
	next, err := leaderOf(ctx, d.nodes, old)
	if err != nil {
		return err
	}
	if err := d.load.after(ctx, at.Add(loadAfter)); err != nil {
		return err
	}
	d.say("%s leads now; for %s no write was acknowledged", d.paint("1;32", next.id), d.paint("1", millis(d.load.gap(at))))
	if err := d.draw(ctx); err != nil {
		return err
	}
	return d.processes(ctx)
}

func millis(t time.Duration) string { return fmt.Sprintf("%d ms", t.Milliseconds()) }

// revive starts the dead node again and waits until it has what it missed.
func (d *demo) revive(ctx context.Context) error {
	for _, n := range d.nodes {
		if !n.dead() {
			continue
		}
		d.title("Bring " + n.id + " back, the load still on")
		begin := time.Now()
		if err := n.start(); err != nil {
			return err
		}
		if err := n.ready(ctx); err != nil {
			return err
		}
		rev := d.load.rev()
		if err := n.reach(ctx, rev); err != nil {
			return err
		}
		d.say("%s is process %d and has caught up, %s after it was started", n.id, n.cmd.Process.Pid, millis(time.Since(begin)))
	}
	return d.draw(ctx)
}

// let gives the load some time.
func (d *demo) let(ctx context.Context, t time.Duration) error {
	return d.load.after(ctx, time.Now().Add(t))
}

// count stops the load and compares what was acknowledged with what every node has stored.
func (d *demo) count(ctx context.Context) error {
	d.title("Acknowledged against stored")
	acked, unsure, err := d.load.stop(ctx)
	if err != nil {
		return err
	}
	d.say("acknowledged: %d", len(acked))
	equal := unsure == 0
	if unsure > 0 {
		d.say("outcome not known: %d", unsure)
	}
	rev := d.load.rev()
	for _, n := range d.nodes {
		if err := n.reach(ctx, rev); err != nil {
			return err
		}
		stored, err := n.stored(ctx)
		if err != nil {
			return err
		}
		lost, extra := compare(acked, stored)
		verdict := d.paint("32", "equal")
		if lost+extra > 0 {
			equal, verdict = false, d.paint("1;31", fmt.Sprintf("%d lost, %d doubled or foreign", lost, extra))
		}
		d.say("stored on %s: %d, %s", n.id, len(stored), verdict)
	}
	if !equal {
		return errors.New("what was acknowledged and what is stored differ")
	}
	return nil
}
