package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"todod/deploy/chaos/cable"
	"todod/httpapi/api"
)

// patience is how long a condition may take to come about, on a slow machine: only a finding takes
// so long.
const patience = 60 * time.Second

// The small disk of one node: large enough for what a run writes, small enough to fill.
const smallDisk, smallReserve = "768m", "16MiB"

// run is one group under faults and load, from its founding to its end.
type run struct {
	opt   options
	dir   string
	bin   string
	began time.Time
	out   io.Writer
	ctx   context.Context
	stop  context.CancelFunc

	net    *cable.Net
	plain  *web // for what the run itself asks
	load   *load
	watch  *watch
	audit  *audit
	random *rand.Rand // of the schedule's own goroutine

	mu       sync.Mutex
	nodes    []*node // the members, running or not
	gone     []*node // nodes that were members
	findings []string
	story    []told
	detail   string // of the fault that is under way

	made, ports int
	sums        sums
	used        [][2]use        // of each process, before and after its restart
	without     map[string]bool // what this machine cannot do
}

// told is one line of the story of a run.
type told struct {
	At   float64 // seconds since it began
	For  float64
	Kind string
	Text string
}

func newRun(opt options, bin string, out io.Writer) (*run, error) {
	dir, err := os.MkdirTemp(opt.dir, "todod-chaos-")
	if err != nil {
		return nil, err
	}
	r := &run{opt: opt, bin: bin, dir: dir, out: out, began: time.Now(), net: cable.New(), plain: newWeb(),
		random: rand.New(rand.NewPCG(opt.seed, 1)), without: map[string]bool{}, sums: sums{Faults: map[string]int{}, Kept: map[string]int{}}}
	r.ctx, r.stop = context.WithCancel(context.Background())
	r.audit = newAudit(r)
	if err := r.tryMount(); err != nil {
		r.lacks("disk", "no small disk can be mounted: %v", err)
	}
	if _, err := exec.LookPath("strace"); err != nil {
		r.lacks("strace", "there is no strace to make a disk fail or stall")
	}
	return r, nil
}

func (r *run) tryMount() error {
	at := filepath.Join(r.dir, "mount")
	if err := os.Mkdir(at, 0o700); err != nil {
		return err
	}
	if err := syscall.Mount("todod-chaos", at, "tmpfs", 0, "size=1m"); err != nil {
		return err
	}
	return errors.Join(syscall.Unmount(at, 0), os.Remove(at))
}

// lacks notes that some faults cannot be made here.
func (r *run) lacks(what, format string, args ...any) {
	r.without[what] = true
	r.say("left out: "+format, args...)
}

func (r *run) say(format string, args ...any) {
	fmt.Fprintf(r.out, "%7.1fs  %s\n", time.Since(r.began).Seconds(), fmt.Sprintf(format, args...))
}

// find notes something that must not be, and ends the run.
func (r *run) find(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	r.mu.Lock()
	r.findings = append(r.findings, text)
	few := len(r.findings) <= 20
	r.story = append(r.story, told{At: time.Since(r.began).Seconds(), Kind: "FINDING", Text: text})
	r.mu.Unlock()
	if few {
		r.say("FINDING: %s", text)
	}
	r.stop()
}

func (r *run) found() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.findings)
}

// members returns the nodes of the group, running or not.
func (r *run) members() []*node {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]*node(nil), r.nodes...)
}

func (r *run) setMembers(nodes []*node) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.nodes = nodes
}

// addrs are the HTTP addresses of nodes.
func addrs(nodes []*node) (all []string) {
	for _, n := range nodes {
		all = append(all, n.http)
	}
	return all
}

func names(nodes ...*node) (all []string) {
	for _, n := range nodes {
		all = append(all, n.id)
	}
	return all
}

// but returns nodes without some.
func but(nodes []*node, without ...*node) (rest []*node) {
next:
	for _, n := range nodes {
		for _, w := range without {
			if n == w {
				continue next
			}
		}
		rest = append(rest, n)
	}
	return rest
}

// await polls until cond returns nil, and fails with what it last returned.
func (r *run) await(what string, cond func() error) error {
	end := time.Now().Add(patience)
	for {
		err := cond()
		switch {
		case err == nil:
			return nil
		case r.ctx.Err() != nil:
			return r.ctx.Err()
		case time.Now().After(end):
			return fmt.Errorf("waited %v in vain for %s: %w", patience, what, err)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// hold lets some time of the schedule pass.
func (r *run) hold(d time.Duration) {
	select {
	case <-time.After(d):
	case <-r.ctx.Done():
	}
}

func (r *run) cluster(n *node) (api.Cluster, error) {
	return get[api.Cluster](r.plain, n.http, "/v1/cluster", time.Second)
}

// leader waits until all of among that run agree on a leader, one of them.
func (r *run) leader(among ...*node) (leader *node, err error) {
	if len(among) == 0 {
		among = r.members()
	}
	err = r.await("a leader", func() error {
		votes, all := map[string]int{}, 0
		for _, n := range among {
			if !n.running() {
				continue
			}
			c, err := r.cluster(n)
			if err != nil {
				return fmt.Errorf("%s: %w", n.id, err)
			}
			all++
			votes[c.Leader]++
		}
		for _, n := range among {
			if all > 0 && n.running() && votes[n.id] == all {
				leader = n
				return nil
			}
		}
		return fmt.Errorf("they name %v", votes)
	})
	return leader, err
}

// ready waits until a node serves.
func (r *run) ready(nodes ...*node) error {
	for _, n := range nodes {
		err := r.await(n.id+" to be ready", func() error {
			if !n.running() {
				return fmt.Errorf("it ended: %s", n.lastLine())
			}
			ctx, cancel := context.WithTimeout(r.ctx, time.Second)
			defer cancel()
			a, err := r.plain.do(ctx, n.http, "GET", "/readyz", "")
			if err == nil && a.status != 200 {
				err = fmt.Errorf("status %d: %s", a.status, a.body)
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// voters waits until every member sees all members, and no others, as voters.
func (r *run) voters() error {
	all := r.members()
	return r.await("all to vote", func() error {
		for _, n := range all {
			c, err := r.cluster(n)
			if err != nil {
				return err
			}
			votes := 0
			for _, m := range c.Members {
				if m.Voter {
					votes++
				}
			}
			if votes != len(all) || len(c.Members) != len(all) {
				return fmt.Errorf("%s sees %d members, %d of them vote, want %d", n.id, len(c.Members), votes, len(all))
			}
		}
		return nil
	})
}

// healthy waits until all members serve, agree on a leader, and the load goes on.
func (r *run) healthy() error {
	if err := r.ready(r.members()...); err != nil {
		return err
	}
	if _, err := r.leader(); err != nil {
		return err
	}
	return r.progress(20)
}

// progress waits for so many more acknowledged writes.
func (r *run) progress(more int64) error {
	want := r.load.acks.Load() + more
	return r.await("writes to be acknowledged", func() error {
		if got := r.load.acks.Load(); got < want {
			return fmt.Errorf("%d of %d", got, want)
		}
		return nil
	})
}

// cutting is how many entries a node's log may hold before it is cut, and how many stay: by the seed, few in
// some runs and more in others.
func (r *run) cutting(storm bool) (entries, trailing int) {
	if storm {
		return 32, 8
	}
	return [...]int{2048, 256, 64}[r.opt.seed%3], [...]int{256, 64, 16}[r.opt.seed%3]
}

// foundGroup starts the first nodes of the group.
func (r *run) foundGroup() error {
	for i := range r.opt.nodes {
		n, err := r.newNode(i == 2 && !r.without["disk"])
		if err != nil {
			return err
		}
		all := append(r.members(), n)
		r.setMembers(all)
		r.watch.follow(n)
		if i == 0 {
			err = n.start()
		} else {
			err = n.start(all[0].http)
		}
		if err == nil {
			err = r.ready(n)
		}
		if err != nil {
			return err
		}
	}
	return r.voters()
}

// close ends all processes and takes away what the run made, unless there was a finding.
func (r *run) close() {
	r.stop()
	r.mu.Lock()
	all := append(append([]*node(nil), r.nodes...), r.gone...)
	r.mu.Unlock()
	for _, n := range all {
		n.signal(syscall.SIGCONT)
		if r.found() > 0 {
			n.lastWords()
		}
		n.kill()
	}
	r.net.Close()
	for _, n := range all {
		r.unmount(n)
	}
	if r.found() == 0 {
		_ = os.RemoveAll(r.dir) // a folder of temporary files
	}
}

// unmount takes away a small disk; what is on it stays if it is needed yet.
func (r *run) unmount(n *node) {
	if !n.small {
		return
	}
	n.small = false
	if r.found() > 0 {
		_ = os.CopyFS(n.dir+".kept", os.DirFS(n.dir)) // what there is of it
	}
	if err := syscall.Unmount(n.dir, syscall.MNT_DETACH); err != nil {
		r.say("the small disk of %s stays: %v", n.id, err)
	}
}
