package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

// Lists that the load goes over, and how many callers share a client, which is one connection to each node.
const (
	lists     = 1000
	perClient = 32
	warmup    = 500 * time.Millisecond
)

// group is three nodes of etcd.
type group struct {
	nodes     []*exec.Cmd
	endpoints []string
}

// etcdIn measures on three nodes that it starts for each run.
func etcdIn(dir string) program {
	return func(ctx context.Context, w work, length time.Duration) (f figures, err error) {
		own, err := os.MkdirTemp(dir, "versus-etcd-")
		if err != nil {
			return f, fmt.Errorf("make a folder: %w", err)
		}
		g := &group{}
		defer func() { g.end(); err = errors.Join(err, os.RemoveAll(own)) }()
		if err := g.start(own); err != nil {
			return f, err
		}
		clients, err := g.clients(ctx, w.conns)
		if err != nil {
			return f, err
		}
		defer func() {
			for _, c := range clients {
				c.Close()
			}
		}()
		return g.load(ctx, clients, w, length)
	}
}

func (g *group) start(dir string) error {
	addrs, err := freeAddrs(6)
	if err != nil {
		return err
	}
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	var members []string
	for i := range 3 {
		members = append(members, fmt.Sprintf("n%d=http://%s", i, addrs[3+i]))
		g.endpoints = append(g.endpoints, "http://"+addrs[i])
	}
	for i := range 3 {
		web, peer := "http://"+addrs[i], "http://"+addrs[3+i]
		cmd := exec.Command(exe, asNode, "--name", fmt.Sprint("n", i), "--data-dir", filepath.Join(dir, fmt.Sprint("n", i)),
			"--listen-client-urls", web, "--advertise-client-urls", web, "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
			"--initial-cluster", strings.Join(members, ","), "--initial-cluster-state", "new", "--log-level", "error")
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
		if err := cmd.Start(); err != nil {
			return fmt.Errorf("start etcd: %w", err)
		}
		g.nodes = append(g.nodes, cmd)
	}
	return nil
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

func (g *group) end() {
	for _, n := range g.nodes {
		_ = n.Process.Kill() // it may have ended
		_ = n.Wait()
	}
}

// clients connects and adds what is to be read, once the group answers.
func (g *group) clients(ctx context.Context, callers int) (all []*clientv3.Client, err error) {
	for range (callers + perClient - 1) / perClient {
		c, err := clientv3.New(clientv3.Config{Endpoints: g.endpoints, DialTimeout: 5 * time.Second, Logger: zap.NewNop()})
		if err != nil {
			return nil, fmt.Errorf("connect with etcd: %w", err)
		}
		all = append(all, c)
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for n := 0; n < lists; n += 20 {
		var ops []clientv3.Op
		for i := range 100 { // a transaction takes 128 at most
			ops = append(ops, clientv3.OpPut(fmt.Sprintf("read/%d/2018-12-19/%d", n+i/5, i%5), title))
		}
		for {
			if _, err = all[0].Txn(ctx).Then(ops...).Commit(); err == nil || ctx.Err() != nil {
				break // a put may be done twice
			}
			time.Sleep(50 * time.Millisecond)
		}
		if err != nil {
			return nil, fmt.Errorf("add what is to be read: %w", err)
		}
	}
	return all, nil
}

// load runs the work and measures it.
func (g *group) load(ctx context.Context, clients []*clientv3.Client, w work, length time.Duration) (f figures, err error) {
	begin := time.Now().Add(warmup)
	ctx, cancel := context.WithDeadline(ctx, begin.Add(length))
	defer cancel()
	took := make([][]time.Duration, w.conns)
	errs := make(chan error, w.conns)
	var callers sync.WaitGroup
	for i := range w.conns {
		callers.Go(func() {
			c, r := clients[i/perClient], rand.New(rand.NewPCG(uint64(i), 1))
			for n := 0; ; n++ {
				at := time.Now()
				if err := one(ctx, c, w, r, fmt.Sprintf("write/%d/2018-12-19/%d-%d", r.IntN(lists), i, n)); err != nil {
					if ctx.Err() == nil {
						errs <- err
					}
					return
				}
				if at.After(begin) {
					took[i] = append(took[i], time.Since(at))
				}
			}
		})
	}
	time.Sleep(time.Until(begin))
	before, err1 := g.cpu()
	<-ctx.Done()
	after, err2 := g.cpu()
	callers.Wait()
	close(errs)
	if err := errors.Join(err1, err2, <-errs); err != nil {
		return f, err
	}
	all := slices.Concat(took...)
	if len(all) == 0 {
		return f, errors.New("nothing was done")
	}
	slices.Sort(all)
	return figures{float64(len(all)) / length.Seconds(), (after - before) / float64(len(all)) * 1000, float64(all[len(all)/2].Microseconds()) / 1000}, nil
}

// one is one write, or one read of five entries.
func one(ctx context.Context, c *clientv3.Client, w work, r *rand.Rand, key string) error {
	if r.IntN(100) < w.writes {
		_, err := c.Put(ctx, key, title)
		return err
	}
	opts := []clientv3.OpOption{clientv3.WithPrefix()}
	if w.stale {
		opts = append(opts, clientv3.WithSerializable())
	}
	got, err := c.Get(ctx, fmt.Sprintf("read/%d/2018-12-19/", r.IntN(lists)), opts...)
	if err == nil && len(got.Kvs) != 5 {
		return fmt.Errorf("%d entries were read, not 5", len(got.Kvs))
	}
	return err
}

// cpu is what the nodes have taken so far, in seconds: fields 14 and 15 of proc_pid_stat(5).
func (g *group) cpu() (sum float64, err error) {
	for _, n := range g.nodes {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", n.Process.Pid))
		if err != nil {
			return 0, fmt.Errorf("look at etcd: %w", err)
		}
		fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
		for _, f := range fields[11:13] {
			ticks, err := strconv.ParseFloat(f, 64)
			if err != nil {
				return 0, err
			}
			sum += ticks / 100
		}
	}
	return sum, nil
}
