package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"todod/cmd/internal/cli"
	"todod/httpapi/api"
)

// localNode is a node that the demo or the bench starts: a process of this same program.
type localNode struct {
	id, http string
	args     []string
	log      string
	client   *api.Client // of this node alone
	cmd      *exec.Cmd
	done     chan struct{} // closed when the process has ended
	killed   bool
	spent    time.Duration // CPU of the processes before this one
}

// newNodes makes n nodes on free ports, with the same view of the group.
func newNodes(dir string, n int) ([]*localNode, error) {
	addrs, err := freeAddrs(2 * n)
	if err != nil {
		return nil, err
	}
	web, raft := addrs[:n], addrs[n:]
	var nodes []*localNode
	for i := range n {
		id := fmt.Sprintf("n%d", i+1)
		client, err := api.NewClient([]string{web[i]}, api.Options{})
		if err != nil {
			return nil, err
		}
		nodes = append(nodes, &localNode{
			id: id, http: web[i], client: client, log: filepath.Join(dir, id+".log"),
			args: []string{"serve", "--id", id, "--data", dir, "--http", web[i], "--raft", raft[i],
				"--bootstrap-expect", fmt.Sprint(n), "--join", strings.Join(web, ",")},
		})
	}
	return nodes, nil
}

// freeAddrs finds free ports. They are let go all at once, so that none is found twice. They are below those that the kernel
// gives to outgoing connections, as the load makes them: the port of a node that was killed must be free when it is back.
func freeAddrs(n int) ([]string, error) {
	var addrs []string
	for tries := 0; len(addrs) < n; tries++ {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 12000+rand.IntN(20000)))
		if err != nil && tries < 1000 {
			continue
		} else if err != nil {
			return nil, fmt.Errorf("find a free port: %w", err)
		}
		defer l.Close()
		addrs = append(addrs, l.Addr().String())
	}
	return addrs, nil
}

// start starts the process. It is in a process group of its own, so that Ctrl-C reaches this
// program alone, and dies with it whatever that dies of.
func (n *localNode) start() error {
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
	n.spent = n.cpu()
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
func (n *localNode) kill() {
	if n.dead() {
		return
	}
	n.killed = true
	_ = n.cmd.Process.Kill()
	<-n.done
}

func (n *localNode) signal(sig syscall.Signal) error {
	if err := n.cmd.Process.Signal(sig); err != nil {
		return fmt.Errorf("send %s to %s: %w", sig, n.id, err)
	}
	return nil
}

// terminate asks the process to stop and waits until it has.
func (n *localNode) terminate(ctx context.Context) error {
	n.killed = true
	if err := n.signal(syscall.SIGTERM); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	select {
	case <-n.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%s does not stop: %w", n.id, ctx.Err())
	}
}

func (n *localNode) dead() bool {
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
func (n *localNode) waitFor(ctx context.Context, what string, is func(context.Context) bool) error {
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

func (n *localNode) ready(ctx context.Context) error {
	return n.waitFor(ctx, "being ready", func(ctx context.Context) bool { return n.client.Ready(ctx) == nil })
}

// reach waits until the node's own replica has a rev.
func (n *localNode) reach(ctx context.Context, rev uint64) error {
	return n.waitFor(ctx, "having caught up", func(ctx context.Context) bool {
		_, _, err := n.client.Lists(ctx, "", 1, "", api.ReadOptions{Consistency: "stale", MinIndex: rev})
		return err == nil
	})
}

func (n *localNode) look(ctx context.Context) (api.Cluster, error) {
	ctx, cancel := context.WithTimeout(ctx, 500*time.Millisecond)
	defer cancel()
	return n.client.Cluster(ctx)
}

func (n *localNode) lastLines() string {
	b, err := os.ReadFile(n.log)
	if err != nil {
		return ""
	}
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	return strings.Join(lines[max(0, len(lines)-10):], "\n")
}

// cpu is the CPU that all processes of the node have taken so far.
func (n *localNode) cpu() time.Duration {
	if n.cmd == nil {
		return 0
	}
	if n.dead() {
		return n.spent + n.cmd.ProcessState.UserTime() + n.cmd.ProcessState.SystemTime()
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", n.cmd.Process.Pid))
	if err != nil {
		return n.spent
	}
	return n.spent + statCPU(string(stat))
}

// statCPU reads utime and stime, fields 14 and 15 of proc_pid_stat(5), in ticks of 10 ms. The
// name of the program, field 2, may hold anything, but what follows its last parenthesis may not.
func statCPU(stat string) time.Duration {
	fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.ParseInt(fields[11], 10, 64)
	system, _ := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * 10 * time.Millisecond
}

// tellLogs prints the end of the log of every node that ended by itself.
func tellLogs(w io.Writer, nodes []*localNode) {
	for _, n := range nodes {
		if n.dead() && !n.killed {
			fmt.Fprintf(w, "\nthe last lines of %s, which ended by itself:\n%s\n", n.id, cli.SafeLines(n.lastLines()))
		}
	}
}

// leaderOf waits until a node other than not leads, by its own word.
func leaderOf(ctx context.Context, nodes []*localNode, not *localNode) (*localNode, error) {
	ctx, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	var found *localNode
	err := until(ctx, "a new leader", func() (bool, error) {
		for _, n := range nodes {
			if n == not || n.dead() {
				continue
			}
			if c, err := n.look(ctx); err == nil && c.Leader == n.id {
				found = n
				return true, nil
			}
		}
		return false, nil
	})
	return found, err
}
