// The tests named TestE2E run real todod processes on real ports and real files, and do to
// them what befalls servers: kill -9, pauses, wiped folders, cut networks. They wait for
// conditions, never for durations.
package main_test

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// patience is how long a condition may take to come about, on a slow machine under the race
// detector. Only a failing test ever waits so long.
const patience = 40 * time.Second

// binary builds todod once. It lies beside the test's own binary, which go test takes away
// with its folder when the tests are over.
var binary = sync.OnceValues(func() (string, error) { return build("todod.e2e", ".") })

func build(name, pkg string, flags ...string) (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	out := filepath.Join(filepath.Dir(self), name)
	args := append([]string{"build", "-o", out}, flags...)
	if raceFlag != "" {
		args = append(args, raceFlag)
	}
	if b, err := exec.Command("go", append(args, pkg)...).CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, b)
	}
	return out, nil
}

func todod(t *testing.T) string {
	t.Helper()
	bin, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	return bin
}

// nextPort counts through ports below those that the kernel gives to outgoing connections:
// a port that was free stays so until its node is restarted. Processes of the tests of
// other packages begin elsewhere.
var nextPort atomic.Int64

// freeAddr returns an address on which nothing listens.
func freeAddr(t *testing.T) string {
	t.Helper()
	for range 5000 {
		port := 12000 + (int64(os.Getpid())*61+nextPort.Add(1))%20000
		addr := fmt.Sprintf("127.0.0.1:%d", port)
		l, err := net.Listen("tcp", addr)
		if err == nil {
			l.Close()
			return addr
		}
	}
	t.Fatal("no free port found")
	return ""
}

// waitFor polls until cond returns nil, and fails with what it last returned.
func waitFor(t *testing.T, what string, cond func() error) {
	t.Helper()
	if err := poll(patience, cond); err != nil {
		t.Fatalf("waited in vain for %s: %v", what, err)
	}
}

func poll(most time.Duration, cond func() error) error {
	end := time.Now().Add(most)
	for {
		err := cond()
		if err == nil || time.Now().After(end) {
			return err
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// node is a todod process and what is needed to start it again.
type node struct {
	t          *testing.T
	id         string
	data       string // --data; the files lie in data/id
	http, raft string
	pprof      string   // --pprof, "" for none
	args       []string // further flags
	program    string   // what it runs, "" for todod as it is
	env        []string // more than the test has

	logFile string
	proc    *process     // the one that runs, or ran last
	pid     atomic.Int64 // of proc
}

// process is one run of a program.
type process struct {
	cmd   *exec.Cmd
	ended chan struct{} // closed when it has ended; then code holds
	code  int           // -1 if a signal ended it
}

func newNode(t *testing.T, id string, args ...string) *node {
	t.Helper()
	dir := t.TempDir()
	n := &node{t: t, id: id, data: filepath.Join(dir, "data"), http: freeAddr(t), raft: freeAddr(t),
		args: args, logFile: filepath.Join(dir, id+".log")}
	t.Cleanup(n.cleanup)
	return n
}

// cleanup ends the process; whatever the test was about, no node may have panicked or raced.
func (n *node) cleanup() {
	n.kill()
	log, _ := os.ReadFile(n.logFile)
	for _, bad := range []string{"panic:", "DATA RACE", "goroutine 1 [", "fatal error:"} {
		if bytes.Contains(log, []byte(bad)) {
			_, after, _ := bytes.Cut(log, []byte(bad))
			n.t.Errorf("the log of %s has %q:\n%s", n.id, bad, after[:min(len(after), 4000)])
		}
	}
	if n.t.Failed() {
		lines := strings.Split(strings.TrimSpace(string(log)), "\n")
		n.t.Logf("the last of %s's log:\n%s", n.id, strings.Join(lines[max(0, len(lines)-40):], "\n"))
	}
}

func (n *node) flags() []string {
	return append([]string{"serve", "--id", n.id, "--data", n.data, "--http", n.http, "--raft", n.raft}, n.args...)
}

// start starts the process and does not wait for anything.
func (n *node) start() {
	n.t.Helper()
	if n.running() {
		n.t.Fatalf("%s runs already", n.id)
	}
	log, err := os.OpenFile(n.logFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		n.t.Fatal(err)
	}
	defer log.Close() // the process has its own
	program := n.program
	if program == "" {
		program = todod(n.t)
	}
	cmd := exec.Command(program, n.flags()...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Env = append(os.Environ(), n.env...)
	n.proc, err = startProcess(cmd)
	if err != nil {
		n.t.Fatal(err)
	}
	n.pid.Store(int64(cmd.Process.Pid))
}

func startProcess(cmd *exec.Cmd) (*process, error) {
	// A test that is killed takes its processes along.
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &process{cmd: cmd, ended: make(chan struct{})}
	go func() {
		defer close(p.ended)
		err := cmd.Wait()
		p.code = cmd.ProcessState.ExitCode()
		var exit *exec.ExitError
		if err != nil && !errors.As(err, &exit) {
			p.code = -2 // not to be taken for a clean end
		}
	}()
	return p, nil
}

func (n *node) running() bool {
	if n.proc == nil {
		return false
	}
	select {
	case <-n.proc.ended:
		return false
	default:
		return true
	}
}

func (n *node) signal(sig syscall.Signal) {
	n.t.Helper()
	if err := n.proc.cmd.Process.Signal(sig); err != nil && n.running() {
		n.t.Errorf("%v to %s: %v", sig, n.id, err)
	}
}

// kill is kill -9: it returns when the process is gone.
func (n *node) kill() {
	if n.running() {
		n.signal(syscall.SIGKILL)
		<-n.proc.ended
	}
}

// wantExit waits for the process to end and compares its exit code.
func (n *node) wantExit(code int) {
	n.t.Helper()
	select {
	case <-n.proc.ended:
	case <-time.After(patience):
		n.t.Fatalf("%s still runs and should have ended with %d", n.id, code)
	}
	if n.proc.code != code {
		n.t.Errorf("%s ended with %d, want %d; its last line: %s", n.id, n.proc.code, code, n.lastLine())
	}
}

func (n *node) lastLine() string {
	log, _ := os.ReadFile(n.logFile)
	lines := strings.Split(strings.TrimSpace(string(log)), "\n")
	return lines[len(lines)-1]
}

// term is SIGTERM, which must end the process cleanly.
func (n *node) term() {
	n.t.Helper()
	n.signal(syscall.SIGTERM)
	n.wantExit(0)
}

// command runs todod with args to its end and returns what it printed and its exit code.
func command(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	return runCommand(t, exec.Command(todod(t), args...))
}

func runCommand(t *testing.T, cmd *exec.Cmd) (stdout, stderr string, code int) {
	t.Helper()
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	p, err := startProcess(cmd)
	if err != nil {
		t.Fatal(err)
	}
	select {
	case <-p.ended:
	case <-time.After(patience):
		cmd.Process.Kill()
		<-p.ended
		t.Errorf("%v did not end", cmd.Args)
	}
	return out.String(), errs.String(), p.code
}

// wantCommand runs todod with args, which must end with the code given.
func wantCommand(t *testing.T, code int, args ...string) string {
	t.Helper()
	out, errs, got := command(t, args...)
	if got != code {
		t.Fatalf("todod %s: exit code %d, want %d\n%s%s", strings.Join(args, " "), got, code, out, errs)
	}
	return out
}
