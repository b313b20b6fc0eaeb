// Package clitest runs sessions at the command line, which stand as text files under testdata,
// with the real programs and real nodes.
package clitest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"todod/httpapi/api"
)

// patience is how long a session waits for something that has to come.
const patience = 20 * time.Second

// Run builds both programs and runs the sessions in dir. Beside testscript's own commands a
// session has
//
//	exits CODE PROGRAM ARGS...      the program ends with exactly this code
//	until REGEXP PROGRAM ARGS...    run it again and again until its stdout matches
//	ready ADDR                      wait until the node at ADDR serves
//	terminate ARG                   SIGTERM to the programs in the background that have this argument
//
// and the addresses $HTTP1 to $HTTP3 and $RAFT1 to $RAFT3, which were free a moment ago.
func Run(t *testing.T, dir string) {
	t.Helper()
	bin := t.TempDir()
	build := exec.Command("go", "build", "-o", bin, "todod/cmd/todod", "todod/cmd/todo")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the programs: %v\n%s", err, out)
	}
	testscript.Run(t, testscript.Params{
		Dir: dir,
		Setup: func(env *testscript.Env) error {
			env.Setenv("HOME", filepath.Join(env.WorkDir, "home")) // what a person has is not the next test's
			env.Setenv("PATH", bin+string(filepath.ListSeparator)+os.Getenv("PATH"))
			return addresses(env)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits, "until": until, "ready": ready, "terminate": terminate,
		},
	})
}

// addresses finds free ports, all at once so that none is found twice.
func addresses(env *testscript.Env) error {
	for _, kind := range []string{"HTTP", "RAFT"} {
		for i := 1; i <= 3; i++ {
			l, err := listen()
			if err != nil {
				return err
			}
			defer l.Close()
			env.Setenv(kind+strconv.Itoa(i), l.Addr().String())
		}
	}
	return nil
}

// listen takes a port below those that the kernel gives to outgoing connections: one that was free stays so until its node is
// started, and started again.
func listen() (l net.Listener, err error) {
	for range 1000 {
		if l, err = net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 12000+rand.IntN(20000))); err == nil {
			return l, nil
		}
	}
	return nil, fmt.Errorf("find a free port: %w", err)
}

func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM ARGS...")
	}
	code := 0
	err := ts.Exec(args[1], args[2:]...)
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		code = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("run %s: %v", args[1], err)
	}
	if strconv.Itoa(code) != args[0] {
		ts.Fatalf("%s ended with %d, want %s", args[1], code, args[0])
	}
}

func until(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: until REGEXP PROGRAM ARGS...")
	}
	want, err := regexp.Compile("(?m)" + args[0])
	ts.Check(err)
	for end := time.Now().Add(patience); ; {
		err := ts.Exec(args[1], args[2:]...)
		if want.MatchString(ts.ReadFile("stdout")) {
			return
		}
		if time.Now().After(end) {
			ts.Fatalf("%q did not come in time (%v)", args[0], err)
		}
	}
}

func terminate(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: terminate ARG")
	}
	for _, cmd := range ts.BackgroundCmds() {
		if slices.Contains(cmd.Args, args[0]) {
			ts.Check(cmd.Process.Signal(syscall.SIGTERM))
		}
	}
}

func ready(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: ready ADDR")
	}
	client, err := api.NewClient(args, api.Options{})
	ts.Check(err)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		err := client.Ready(ctx)
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			ts.Fatalf("%s", fmt.Sprintf("the node at %s is not ready: %v", args[0], err))
		case <-time.After(10 * time.Millisecond):
		}
	}
}
