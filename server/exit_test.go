package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"todod/fsm"
	"todod/fsm/todo"
)

// The steps of a snapshot and of the installation of a replica, as fsm/DESIGN.md lists them. A process ends at each of them,
// in a group under load.
var (
	snapshotSteps = []string{"snapshot: begun", "flush: the rows are frozen", "flush: the rows are in the file",
		"snapshot: the replica is durable", "log: about to be cut", "log: cut"}
	installSteps = []string{"receive: some is written", "receive: all is written", "receive: the file is durable", "receive: the file is checked",
		"restore: the old file is closed", "restore: the new file is in place", "restore: the new file is open",
		"log: about to be cut", "log: cut"}
)

// exitEnv tells a process of this test's own which node to be and at which step to die.
const exitEnv = "TODOD_TEST_EXIT"

// fewTrailing is how much log these tests leave after a snapshot: with the usual 1,024 entries each step would
// need as many writes.
const fewTrailing = 16

func cutShort(e *engine) error {
	conf := e.raft.ReloadableConfig()
	conf.TrailingLogs = fewTrailing
	return e.raft.ReloadConfig(conf)
}

// TestExitChild is that process.
func TestExitChild(t *testing.T) {
	told := strings.Split(os.Getenv(exitEnv), "|")
	if len(told) != 5 {
		t.Skip("it is started by TestExitAtEveryStep")
	}
	n, err := Open(Config{Data: told[0], ID: told[1], Raft: told[2], AdvertiseHTTP: told[1] + ":80", step: func(_ context.Context, step string) {
		if step == told[4] {
			os.Exit(137)
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	e := n.engine()
	if err := cutShort(e); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); {
		if told[3] == "snapshot" {
			_ = e.raft.Snapshot().Error() // there may be nothing new yet
		}
		waitTick()
	}
	t.Fatalf("did not come to %q in 30 s", told[4])
}

func waitTick() { time.Sleep(20 * time.Millisecond) }

// trio are three nodes on real ports and files in one process, but for the third when it is about to die.
type trio struct {
	t    *testing.T
	dir  string
	live map[string]*Node
	addr string // of n3

	mu    sync.Mutex
	acked []string
	stop  chan struct{}
	done  sync.WaitGroup
}

func (tr *trio) Cluster(_ context.Context, addr string) (Cluster, error) {
	return tr.live[strings.TrimSuffix(addr, ":80")].Cluster(), nil
}

func (tr *trio) Join(ctx context.Context, addr string, req JoinRequest) (string, error) {
	return tr.live[strings.TrimSuffix(addr, ":80")].AddMember(ctx, req)
}

func (tr *trio) start(id, addr string, join ...string) *Node {
	tr.t.Helper()
	n, err := Open(Config{Data: tr.dir, ID: id, Raft: addr, AdvertiseHTTP: id + ":80", Contacts: tr, Join: join, NoSync: true})
	if err != nil {
		tr.t.Fatal(err)
	}
	tr.live[id] = n
	waitUntil(tr.t, id+" to be ready", func() bool { return n.Ready() == nil })
	if err := cutShort(n.engine()); err != nil {
		tr.t.Fatal(err)
	}
	return n
}

func waitUntil(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(40 * time.Second); !holds(); waitTick() {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

func newTrio(t *testing.T) *trio {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	tr := &trio{t: t, dir: t.TempDir(), live: map[string]*Node{}, addr: l.Addr().String(), stop: make(chan struct{})}
	l.Close()
	t.Cleanup(func() {
		for id, n := range tr.live {
			if err := n.Close(); err != nil {
				t.Errorf("close %s: %v", id, err)
			}
		}
	})
	tr.start("n1", "127.0.0.1:0")
	tr.start("n2", "127.0.0.1:0", "n1:80")
	tr.start("n3", tr.addr, "n1:80")
	waitUntil(t, "three voters", func() bool { return len(voters(tr.live["n1"].engine().configuration())) == 3 })
	tr.close("n3")
	for w := range 8 {
		tr.done.Go(func() { tr.write(w) })
	}
	return tr
}

func (tr *trio) close(id string) {
	tr.t.Helper()
	if err := tr.live[id].Close(); err != nil {
		tr.t.Fatal(err)
	}
	delete(tr.live, id)
}

// write adds through one of the first two nodes until the end.
func (tr *trio) write(w int) {
	n := tr.live[fmt.Sprintf("n%d", 1+w%2)]
	for i := 0; ; i++ {
		select {
		case <-tr.stop:
			return
		case <-time.After(5 * time.Millisecond): // without fsync the lists would grow faster than they can be sent
		}
		title := fmt.Sprintf("w%d-%d", w, i)
		res, err := n.Write(context.Background(), addCommand("bob", title), WriteOptions{})
		if err == nil && res.Code == todo.OK {
			tr.mu.Lock()
			tr.acked = append(tr.acked, title)
			tr.mu.Unlock()
		}
	}
}

func (tr *trio) acks() int {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return len(tr.acked)
}

func (tr *trio) leader() (leader *engine) {
	tr.t.Helper()
	waitUntil(tr.t, "a leader", func() bool {
		for _, n := range tr.live {
			if e := n.engine(); e.term.Load() != nil {
				leader = e
			}
		}
		return leader != nil
	})
	return leader
}

// leaveBehind has the group write and cut its log until the third node cannot go on without a replica.
func (tr *trio) leaveBehind() {
	tr.t.Helper()
	at := tr.leader().raft.LastIndex()
	waitUntil(tr.t, "a log that begins later", func() bool {
		e := tr.leader()
		if e.raft.LastIndex() < at+2*fewTrailing {
			return false
		}
		_ = e.raft.Snapshot().Error() // tried again
		first, err := e.logs.FirstIndex()
		return err == nil && first > at
	})
	for _, n := range tr.live { // so many replicas in a short time would be taken for a loop
		s := &n.engine().sendings
		s.mu.Lock()
		s.sent = nil
		s.mu.Unlock()
	}
}

// dies starts the third node in a process that ends at a step.
func (tr *trio) dies(kind, step string) {
	tr.t.Helper()
	self, err := os.Executable()
	if err != nil {
		tr.t.Fatal(err)
	}
	cmd := exec.Command(self, "-test.run", "^TestExitChild$")
	cmd.Env = append(os.Environ(), exitEnv+"="+strings.Join([]string{tr.dir, "n3", tr.addr, kind, step}, "|"))
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 137 {
		tr.t.Fatalf("at %q it ended with %v\n%s", step, err, out)
	}
}

// A node dies at each step of a snapshot, and at each step of the installation of a replica, while the group is under load. It
// comes back each time, catches up, and in the end holds what the others hold: all that was acknowledged, once.
func TestExitAtEveryStep(t *testing.T) {
	if testing.Short() {
		t.Skip("15 processes and their catching up take a minute and more")
	}
	tr := newTrio(t)
	try := func(kind, step string) {
		t.Helper()
		if kind == "install" {
			tr.leaveBehind()
		}
		tr.dies(kind, step)
		n := tr.start("n3", tr.addr)
		goal := tr.leader().raft.CommitIndex()
		waitUntil(t, "n3 to catch up after it died at "+step, func() bool {
			applied, _ := n.engine().replica.Applied()
			return applied >= goal
		})
		if left, _ := filepath.Glob(filepath.Join(tr.dir, "n3", "*.tmp")); len(left) > 0 {
			t.Errorf("after %q there is left %q", step, left)
		}
		tr.close("n3")
	}
	for _, step := range snapshotSteps {
		try("snapshot", step)
	}
	for _, step := range installSteps {
		try("install", step)
	}
	close(tr.stop)
	tr.done.Wait()
	n3 := tr.start("n3", tr.addr)
	waitUntil(t, "equal replicas", func() bool {
		want := tr.live["n1"].Hash()
		return tr.live["n2"].Hash() == want && n3.Hash() == want
	})
	v, err := n3.Read(t.Context(), ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	count := map[string]int{}
	page, _ := v.Entries("bob", fsm.Query{Limit: 1 << 30})
	for _, e := range page {
		if count[e.Title]++; count[e.Title] > 1 {
			t.Errorf("%s is there twice", e.Title)
		}
	}
	for _, title := range tr.acked {
		if count[title] == 0 {
			t.Errorf("%s was acknowledged and is not there", title)
		}
	}
	t.Logf("%d deaths, %d entries acknowledged", len(snapshotSteps)+len(installSteps), tr.acks())
}
