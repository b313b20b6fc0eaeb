package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// node is a todod process and what is needed to start it again.
type node struct {
	r          *run
	id, dir    string // its files lie in dir/id
	http, raft string
	peer       string // the proxy before raft: what other nodes are told
	clock      string // the file that its clock is shifted by
	log        string
	small      bool // dir is a small disk of its own
	storm      bool // cut the log at every turn
	scrubs     bool // read all that is stored every second, from the next start on

	pid  atomic.Int64 // of its process, 0 while there is none
	mu   sync.Mutex
	proc *process
}

// process is one run of a program.
type process struct {
	cmd     *exec.Cmd
	started time.Time
	ended   chan struct{} // closed when it has ended; then code holds
	code    int           // -1 if a signal ended it

	mu  sync.Mutex
	may []int // the codes that it may end with by now
}

// The exit codes of todod serve that a fault may lead to.
const (
	exitKilled  = -1
	exitClean   = 0
	exitFenced  = 70
	exitRefused = 73
	exitStorage = 74
	exitDamaged = 78
)

func (r *run) newNode(small bool) (*node, error) {
	r.made++
	n := &node{r: r, id: fmt.Sprintf("n%d", r.made), small: small}
	n.dir, n.log, n.clock = filepath.Join(r.dir, n.id), filepath.Join(r.dir, n.id+".log"), filepath.Join(r.dir, n.id+".clock")
	if err := os.MkdirAll(n.dir, 0o700); err != nil {
		return nil, err
	}
	if small {
		if err := syscall.Mount("todod-chaos", n.dir, "tmpfs", 0, "size="+smallDisk); err != nil {
			return nil, fmt.Errorf("make a small disk: %w", err)
		}
	}
	var err error
	if n.http, err = r.freeAddr(); err != nil {
		return nil, err
	}
	if n.raft, err = r.freeAddr(); err != nil {
		return nil, err
	}
	proxy, err := r.freeAddr()
	if err != nil {
		return nil, err
	}
	n.peer, err = r.net.Plug(n.id, proxy, n.raft, n.pid.Load)
	return n, err
}

// freeAddr counts through ports below those that the kernel gives to outgoing connections: a port that
// was free stays so until its node is restarted.
func (r *run) freeAddr() (string, error) {
	for range 5000 {
		r.ports++
		addr := fmt.Sprintf("127.0.0.1:%d", 12000+(os.Getpid()*61+r.ports)%20000)
		l, err := net.Listen("tcp", addr)
		if err == nil {
			return addr, l.Close()
		}
	}
	return "", errors.New("no free port found")
}

// start starts the process and does not wait for anything.
func (n *node) start(join ...string) error {
	if n.running() {
		return fmt.Errorf("%s runs already", n.id)
	}
	log, err := os.OpenFile(n.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close() // the process has its own
	args := []string{"serve", "--id", n.id, "--data", n.dir, "--http", n.http, "--raft", n.raft, "--advertise-raft", n.peer, "--expiry", "2s", "--mark-interval", "1s"}
	if n.small {
		args = append(args, "--disk-reserve", smallReserve)
	}
	if n.scrubs {
		args = append(args, "--scrub-interval", "1s")
	}
	if len(join) > 0 {
		args = append(args, "--join", strings.Join(join, ","))
	}
	cmd := exec.Command(n.r.bin, args...)
	cmd.Stdout, cmd.Stderr = log, log
	entries, trailing := n.r.cutting(n.storm)
	cmd.Env = append(os.Environ(), "CHAOS_CLOCK="+n.clock,
		fmt.Sprintf("CHAOS_SNAPSHOT_ENTRIES=%d", entries), fmt.Sprintf("CHAOS_TRAILING_LOGS=%d", trailing))
	if err := n.r.net.Push(n.id); err != nil {
		return err
	}
	p := &process{cmd: cmd, started: time.Now(), ended: make(chan struct{})}
	if err := startCommand(cmd); err != nil {
		return err
	}
	n.pid.Store(int64(cmd.Process.Pid))
	n.mu.Lock()
	n.proc = p
	n.mu.Unlock()
	go n.wait(p)
	return nil
}

// startCommand starts a program that dies with this one.
func startCommand(cmd *exec.Cmd) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	return cmd.Start()
}

// wait waits for the end of the process, which is a finding unless a fault called for it.
func (n *node) wait(p *process) {
	_ = p.cmd.Wait() // the code says it
	p.code = p.cmd.ProcessState.ExitCode()
	n.pid.Store(0)
	n.r.net.Pull(n.id)
	p.mu.Lock()
	allowed := slices.Contains(p.may, p.code)
	p.mu.Unlock()
	if !allowed {
		n.r.find("%s ended with %d: %s", n.id, p.code, n.lastLine())
	}
	close(p.ended)
}

func (n *node) process() *process {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.proc
}

// mayEnd adds to what the running process may end with from now on; without codes it may not any more.
func (n *node) mayEnd(codes ...int) {
	if p := n.process(); p != nil {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.may = append(p.may, codes...)
		if len(codes) == 0 {
			p.may = nil
		}
	}
}

func (n *node) running() bool {
	p := n.process()
	if p == nil {
		return false
	}
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

func (n *node) signal(sig syscall.Signal) {
	if n.running() {
		_ = n.process().cmd.Process.Signal(sig) // it may be gone by itself, and then says so
	}
}

// lastWords has a process end with the stacks of all its goroutines in its log: one that hangs says where.
func (n *node) lastWords() {
	if n.running() {
		n.mayEnd(2)
		n.signal(syscall.SIGQUIT)
		select {
		case <-n.process().ended:
		case <-time.After(5 * time.Second):
		}
	}
}

// kill is kill -9: it returns when the process is gone.
func (n *node) kill() {
	if n.running() {
		n.mayEnd(exitKilled)
		n.signal(syscall.SIGKILL)
		<-n.process().ended
	}
}

// ends waits for the process to end with one of the codes, which it may.
func (n *node) ends(codes ...int) error {
	n.mayEnd(codes...)
	p := n.process()
	select {
	case <-p.ended:
		if !slices.Contains(codes, p.code) {
			return fmt.Errorf("%s ended with %d, not with %v: %s", n.id, p.code, codes, n.lastLine())
		}
		return nil
	case <-time.After(patience):
		return fmt.Errorf("%s still runs and should have ended with %v", n.id, codes)
	}
}

// terminate is SIGTERM, which must end the process cleanly.
func (n *node) terminate() error {
	n.mayEnd(exitClean)
	n.signal(syscall.SIGTERM)
	return n.ends(exitClean)
}

func (n *node) lastLine() string {
	log, err := os.ReadFile(n.log)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(log)), "\n")
	return lines[len(lines)-1]
}

// complaints are what no log may hold, whatever befell the node.
func (n *node) complaints() error {
	log, err := os.ReadFile(n.log)
	if err != nil {
		return err
	}
	for _, bad := range []string{"panic:", "DATA RACE", "goroutine 1 [", "fatal error:"} {
		if _, after, found := bytes.Cut(log, []byte(bad)); found {
			return fmt.Errorf("the log of %s has %q:%s", n.id, bad, after[:min(len(after), 3000)])
		}
	}
	return nil
}

// sentence is what the program said last of why it ended; other lines of its log may follow.
func (n *node) sentence() (last string) {
	log, err := os.ReadFile(n.log)
	if err != nil {
		return err.Error()
	}
	for line := range strings.Lines(string(log)) {
		if strings.HasPrefix(line, "todod: ") {
			last = strings.TrimSpace(line)
		}
	}
	return last
}

// shift sets the node's clock off by so much.
func (n *node) shift(d time.Duration) error {
	return os.WriteFile(n.clock, []byte(d.String()), 0o600)
}

// command runs todod to its end.
func (r *run) command(args ...string) (out string, code int, err error) {
	cmd := exec.Command(r.bin, args...)
	var b bytes.Buffer
	cmd.Stdout, cmd.Stderr = &b, &b
	if err := startCommand(cmd); err != nil {
		return "", 0, err
	}
	end := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
	defer end.Stop()
	err = cmd.Wait()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		err = nil
	}
	return strings.TrimSpace(b.String()), cmd.ProcessState.ExitCode(), err
}
