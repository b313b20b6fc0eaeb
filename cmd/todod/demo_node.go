package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"todod/httpapi/api"
)

// demoNode is a node of the demo: a process of this same program.
type demoNode struct {
	id, http string
	args     []string
	log      string
	client   *api.Client // of this node alone
	cmd      *exec.Cmd
	done     chan struct{} // closed when the process has ended
	killed   bool
}

// newNodes makes n nodes on free ports, with the same view of the group.
func newNodes(dir string, n int) ([]*demoNode, error) {
	addrs, err := freeAddrs(2 * n)
	if err != nil {
		return nil, err
	}
	web, raft := addrs[:n], addrs[n:]
	var nodes []*demoNode
	for i := range n {
		id := fmt.Sprintf("n%d", i+1)
		client, err := api.NewClient([]string{web[i]}, api.Options{})
		if err != nil {
			return nil, err
		}
		nodes = append(nodes, &demoNode{
			id: id, http: web[i], client: client, log: filepath.Join(dir, id+".log"),
			args: []string{"serve", "--id", id, "--data", dir, "--http", web[i], "--raft", raft[i],
				"--bootstrap-expect", fmt.Sprint(n), "--join", strings.Join(web, ",")},
		})
	}
	return nodes, nil
}

// freeAddrs finds free ports. They are let go all at once, so that none is found twice.
func freeAddrs(n int) ([]string, error) {
	var addrs []string
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, fmt.Errorf("find a free port: %w", err)
		}
		defer l.Close()
		addrs = append(addrs, l.Addr().String())
	}
	return addrs, nil
}

// start starts the process. It is in a process group of its own, so that Ctrl-C reaches the
// demo alone, and dies with the demo whatever that dies of.
func (n *demoNode) start() error {
	exe, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	log, err := os.OpenFile(n.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("make the log of %s: %w", n.id, err)
	}
	defer log.Close()
	cmd := exec.Command(exe, n.args...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Env = withoutOwnFlags(os.Environ())
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", n.id, err)
	}
	done := make(chan struct{})
	go func() { _ = cmd.Wait(); close(done) }()
	n.cmd, n.done, n.killed = cmd, done, false
	return nil
}

// withoutOwnFlags leaves out what would change the nodes' flags.
func withoutOwnFlags(env []string) []string {
	var rest []string
	for _, v := range env {
		if !strings.HasPrefix(v, "TODOD_") {
			rest = append(rest, v)
		}
	}
	return rest
}

// kill kills the process with SIGKILL and waits until it is gone.
func (n *demoNode) kill() {
	if n.cmd == nil {
		return
	}
	n.killed = true
	_ = n.cmd.Process.Kill()
	<-n.done
}

func (n *demoNode) dead() bool {
	if n.cmd == nil {
		return true
	}
	select {
	case <-n.done:
		return true
	default:
		return false
	}
}

// waitFor waits for something that the node is to come to; it fails at once if its process ends.
func (n *demoNode) waitFor(ctx context.Context, what string, is func(context.Context) bool) error {
	ctx, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	return until(ctx, n.id+" "+what, func() (bool, error) {
		if n.dead() {
			return false, fmt.Errorf("%s ended by itself", n.id)
		}
		try, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		return is(try), nil
	})
}

func (n *demoNode) ready(ctx context.Context) error {
	return n.waitFor(ctx, "being ready", func(ctx context.Context) bool { return n.client.Ready(ctx) == nil })
}

// reach waits until the node's own replica has a rev.
func (n *demoNode) reach(ctx context.Context, rev uint64) error {
	return n.waitFor(ctx, "having caught up", func(ctx context.Context) bool {
		_, _, err := n.client.Lists(ctx, "", 1, "", api.ReadOptions{Consistency: "stale", MinIndex: rev})
		return err == nil
	})
}

func (n *demoNode) look(ctx context.Context) (api.Cluster, error) {
	ctx, cancel := context.WithTimeout(ctx, 500*time.Millisecond)
	defer cancel()
	return n.client.Cluster(ctx)
}

// stored is what the node's own replica holds of the load.
func (n *demoNode) stored(ctx context.Context) ([]written, error) {
	var all []written
	for w := range writers {
		q := api.EntriesQuery{Limit: 1000}
		for e, err := range n.client.AllEntries(ctx, loadList(w), q, api.ReadOptions{Consistency: "stale"}) {
			if err != nil {
				return nil, fmt.Errorf("read what %s has stored: %w", n.id, err)
			}
			all = append(all, written{e.List, e.ID, e.Title})
		}
	}
	return all, nil
}

func (n *demoNode) lastLines() string {
	b, err := os.ReadFile(n.log)
	if err != nil {
		return ""
	}
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	return strings.Join(lines[max(0, len(lines)-10):], "\n")
}
