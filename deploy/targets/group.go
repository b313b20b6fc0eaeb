package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"todod/httpapi/api"
)

// process is one node.
type process struct {
	id, http string
	args     []string
	client   *api.Client // of this node alone
	cmd      *exec.Cmd
	log      *os.File
}

// group is nodes of one group.
type group struct {
	dir   string
	nodes []*process
	all   *api.Client
}

// start starts n nodes in a folder of their own and waits until they are ready.
func (l *lab) start(ctx context.Context, n int) (*group, error) {
	dir, err := os.MkdirTemp(l.dir, "group-")
	if err != nil {
		return nil, fmt.Errorf("make a folder: %w", err)
	}
	addrs, err := freeAddrs(2 * n)
	if err != nil {
		return nil, err
	}
	g := &group{dir: dir}
	for i := range n {
		id := fmt.Sprintf("n%d", i+1)
		p := &process{id: id, http: addrs[i], args: []string{l.exe, "serve", "--id", id, "--data", dir, "--http", addrs[i], "--raft", addrs[n+i]}}
		if n > 1 {
			p.args = append(p.args, "--bootstrap-expect", strconv.Itoa(n), "--join", strings.Join(addrs[:n], ","))
		}
		if p.client, err = api.NewClient([]string{p.http}, api.Options{}); err != nil {
			return nil, err
		}
		if p.log, err = os.Create(filepath.Join(dir, id+".log")); err != nil {
			return nil, fmt.Errorf("make a log: %w", err)
		}
		g.nodes = append(g.nodes, p)
	}
	if g.all, err = api.NewClient(addrs[:n], api.Options{}); err != nil {
		return nil, err
	}
	for _, p := range g.nodes {
		if err := p.start(); err != nil {
			return nil, errors.Join(err, g.end())
		}
	}
	for _, p := range g.nodes {
		if err := p.until(ctx, p.client.Ready); err != nil {
			return nil, errors.Join(err, g.end())
		}
	}
	return g, nil
}

func freeAddrs(n int) (addrs []string, err error) {
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

func (p *process) start() error {
	p.cmd = exec.Command(p.args[0], p.args[1:]...)
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", p.id, err)
	}
	return nil
}

// stop sends a signal and waits for the end.
func (p *process) stop(sig syscall.Signal) error {
	if err := p.cmd.Process.Signal(sig); err != nil {
		return fmt.Errorf("stop %s: %w", p.id, err)
	}
	_ = p.cmd.Wait() // how it ended is no matter
	return nil
}

// until tries something at the node until it succeeds.
func (p *process) until(ctx context.Context, try func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		once, done := context.WithTimeout(ctx, time.Second)
		err := try(once)
		done()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %w", p.id, err)
		case <-time.After(time.Millisecond):
		}
	}
}

// end kills what runs and takes the files away.
func (g *group) end() error {
	for _, p := range g.nodes {
		if p.cmd != nil && p.cmd.ProcessState == nil {
			_ = p.cmd.Process.Kill() // it may have ended
			_ = p.cmd.Wait()
		}
		p.log.Close()
	}
	return os.RemoveAll(g.dir)
}

func (g *group) addrs() string { return strings.Join(g.all.Addrs(), ",") }

// cpu is what the nodes have taken so far, in seconds.
func (g *group) cpu() (sum float64, err error) {
	for _, p := range g.nodes {
		stat, err := p.proc("stat")
		if err != nil {
			return 0, err
		}
		// utime and stime, fields 14 and 15 of proc_pid_stat(5), in hundredths of a second.
		fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
		for _, f := range fields[11:13] {
			ticks, err := strconv.ParseFloat(f, 64)
			if err != nil {
				return 0, fmt.Errorf("read the CPU of %s: %w", p.id, err)
			}
			sum += ticks / 100
		}
	}
	return sum, nil
}

func (p *process) proc(file string) (string, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", p.cmd.Process.Pid, file))
	if err != nil {
		return "", fmt.Errorf("look at %s: %w", p.id, err)
	}
	return string(text), nil
}

// status is a number in /proc/PID/status.
func (p *process) status(name string) (float64, error) {
	text, err := p.proc("status")
	if err != nil {
		return 0, err
	}
	return numberIn(text, name)
}

func numberIn(text, name string) (float64, error) {
	for line := range strings.Lines(text) {
		if rest, is := strings.CutPrefix(line, name+":"); is {
			return strconv.ParseFloat(strings.Fields(rest)[0], 64)
		}
	}
	return 0, fmt.Errorf("no %s is told of the process", name)
}

// wakeups is how often the threads of a process have been woken so far.
func (p *process) wakeups() (sum float64, err error) {
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", p.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	for _, task := range tasks {
		text, err := os.ReadFile(task)
		if err != nil {
			continue // that thread has ended
		}
		n, err := numberIn(string(text), "voluntary_ctxt_switches")
		if err != nil {
			return 0, err
		}
		sum += n
	}
	return sum, nil
}

// size is what the files of a node take, in MB.
func (g *group) size(p *process) (mb float64, err error) {
	err = filepath.WalkDir(filepath.Join(g.dir, p.id), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		var st syscall.Stat_t
		if err := syscall.Stat(path, &st); err != nil {
			return err
		}
		mb += float64(st.Blocks) * 512 / 1e6
		return nil
	})
	return mb, err
}

// report is what this needs of what todod bench tells.
type report struct {
	All     latency        `json:"all"`
	Writes  latency        `json:"writes"`
	Failed  map[string]int `json:"failed"`
	Per1000 float64        `json:"nodes_cpu_s_per_1000"`
	Faults  []struct {
		Pause float64 `json:"pause_ms"`
	} `json:"faults"`
	Retried  map[string]int `json:"retried"`
	Accepted latency        `json:"accepted"`
}

type latency struct {
	PerS float64 `json:"ops_per_s"`
	P99  float64 `json:"p99_ms"`
	Max  float64 `json:"max_ms"`
}

// bench runs todod bench.
func (l *lab) bench(ctx context.Context, args ...string) (r report, err error) {
	cmd := exec.CommandContext(ctx, l.exe, append([]string{"bench", "--output", "json"}, args...)...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	if !strings.Contains(strings.Join(args, " "), "--server") {
		cmd.Args = append(cmd.Args, "--data", l.dir)
	}
	text, err := cmd.Output()
	if err != nil {
		var ended *exec.ExitError
		if errors.As(err, &ended) {
			text = append(text, ended.Stderr...)
		}
		return r, fmt.Errorf("todod bench %s: %w\n%s", strings.Join(args, " "), err, text)
	}
	return r, json.Unmarshal(text, &r)
}
