package main_test

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"todod/fsm"
	"todod/httpapi/api"
)

// A backup and restores while writes go on at all nodes: one is down during a restore and comes back, and then
// leaders are killed while others are under way. What was acknowledged before the backup is there each time, and
// so is what was acknowledged after a restore.
func TestE2ERestoreUnderLoad(t *testing.T) {
	g := newGroup(t, 3)
	before := startLoad(t, g.nodes, 6)
	before.waitAcks(100)
	before.end()

	during := startNamedLoad(t, g.nodes, 4, "during ")
	during.waitAcks(30)
	file := filepath.Join(t.TempDir(), "lists.backup")
	follower := g.others(g.leader())[0]
	wantCommand(t, 0, "backup", file, "--server", follower.http)
	var about fsm.BackupInfo
	if err := json.Unmarshal([]byte(wantCommand(t, 0, "verify", file, "--output", "json")), &about); err != nil {
		t.Fatal(err)
	}
	if about.Entries < 130 || about.Node != follower.id {
		t.Errorf("the backup is %+v", about)
	}

	follower.kill()
	up := g.others(follower)
	during.waitAcks(30)
	var res api.Restored
	if err := json.Unmarshal([]byte(wantCommand(t, 0, "restore", file, "--server", g.others(g.leader(up...), follower)[0].http, "--output", "json")), &res); err != nil {
		t.Fatal(err)
	}
	if res.Entries != about.Entries || res.Epoch == about.Epoch || res.Rev <= about.Rev {
		t.Errorf("restored %+v of %+v", res, about)
	}
	during.waitAcks(30)
	during.end()
	after := startNamedLoad(t, g.nodes, 4, "after ")
	after.waitAcks(30)
	follower.start()
	g.waitReady(follower)
	after.waitAcks(30)
	after.verify(g.nodes...)
	before.verify(g.nodes...)
	g.wantSameHashes(g.nodes...)

	for i := range 4 {
		l := startNamedLoad(t, g.nodes, 4, fmt.Sprint("again ", i, " "))
		l.waitAcks(20)
		old := g.leader()
		cmd := exec.Command(todod(t), "restore", file, "--server", g.others(old)[i%2].http, "--timeout", "20s")
		done := make(chan int)
		go func() {
			_, stderr, code := runCommand(t, cmd)
			t.Logf("restore %d: exit code %d, %s", i, code, stderr)
			done <- code
		}()
		select { // a leader that dies at some time in it, or just after
		case code := <-done:
			done = make(chan int, 1)
			done <- code
		case <-time.After(time.Duration(i) * 15 * time.Millisecond):
		}
		old.kill()
		code := <-done
		l.waitAcks(20)
		old.start()
		g.waitReady(old)
		l.end()
		before.verify(g.nodes...)
		g.wantSameHashes(g.nodes...)
		if code != 0 && code != 5 {
			t.Errorf("the restore ended with %d", code)
		}
	}
}

// The lists of a lost group come back in a new one.
func TestE2ERestoreIntoANewGroup(t *testing.T) {
	leftOutOfShortRace(t)
	g := newGroup(t, 1)
	g.nodes[0].add("bob", "one")
	g.nodes[0].add("bob", "two")
	file := filepath.Join(t.TempDir(), "lists.backup")
	wantCommand(t, 0, "backup", file, "--server", g.nodes[0].http)
	g.nodes[0].kill()

	fresh := newGroup(t, 3)
	wantCommand(t, 0, "restore", file, "--server", fresh.nodes[2].http)
	for _, n := range fresh.nodes {
		n.wantTitles("bob", []string{"one", "two"})
	}
	for _, n := range fresh.nodes {
		n.kill()
	}
	for _, n := range fresh.nodes {
		n.start()
	}
	fresh.waitReady(fresh.nodes...)
	fresh.nodes[1].add("bob", "three")
	for _, n := range fresh.nodes {
		n.wantTitles("bob", []string{"one", "two", "three"})
	}
	fresh.wantSameHashes(fresh.nodes...)

	// A node that joins later gets what was restored.
	n4 := newNode(t, "n4", "--join", fresh.nodes[0].http)
	n4.start()
	fresh.nodes = append(fresh.nodes, n4)
	fresh.waitReady(n4)
	n4.wantTitles("bob", []string{"one", "two", "three"})
}
