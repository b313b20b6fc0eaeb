package main_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Bits flip in the replica of a node: while it is down, and while it runs. Whatever they hit, the node
// serves nothing wrong, spreads nothing, and is back with all data after at most two more starts.
func TestE2EFlippedBits(t *testing.T) {
	leftOutOfShortRace(t)
	g := startGroup(t, 3, func(n *node) {
		n.args = append(n.args, "--scrub-interval", "1s", "--mark-interval", "1s")
	})
	l := startLoad(t, g.nodes, 4)
	l.waitAcks(200)
	l.end()
	g.wantSameHashes(g.nodes...)
	r := rand.New(rand.NewPCG(uint64(os.Getpid()), 1))
	t.Logf("seed %d", os.Getpid())
	rounds := 12
	if testing.Short() {
		rounds = 4
	}
	for round := range rounds {
		n := g.nodes[round%3]
		n.add("bob", fmt.Sprint("round ", round))
		g.wantSameHashes(g.nodes...)
		path := filepath.Join(n.data, n.id, "replica.db")
		if round%2 == 0 {
			n.kill()
			flipBits(t, r, path, 40)
			n.start()
		} else {
			flipBits(t, r, path, 200)
			n.wantExit(74) // found by a read, a write or the next scrub
			n.start()
		}
		g.waitReady(n)
		g.wantSameHashes(g.nodes...)
	}
	l.verify(g.nodes...)
}

// flipBits flips bits of a bolt file at random, beyond its meta pages and half of them where pages begin.
func flipBits(t *testing.T, r *rand.Rand, path string, bits int) {
	t.Helper()
	b, err := os.ReadFile(path)
	must(t, err)
	size := len(bytes.TrimRight(b, "\x00")) // beyond is what bolt took in advance
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	must(t, err)
	defer f.Close()
	for i := range bits {
		at := int64(2*4096 + r.IntN(size-2*4096))
		if i%2 == 0 {
			at = at/4096*4096 + int64(r.IntN(64))
		}
		var b [1]byte
		_, err := f.ReadAt(b[:], at)
		must(t, err)
		b[0] ^= 1 << r.IntN(8)
		_, err = f.WriteAt(b[:], at)
		must(t, err)
	}
}

// A stopped node's folder is checked as a whole, and nothing in it is changed.
func TestE2EVerifyFolder(t *testing.T) {
	leftOutOfShortRace(t)
	n := newNode(t, "n1")
	n.start()
	waitFor(t, "n1 to be ready", func() error { return wantStatus(200)(n.get("/readyz")) })
	for i := range 20 {
		n.add("bob", fmt.Sprint("entry ", i))
	}
	verify := func(code int, says string) {
		t.Helper()
		stdout, stderr, got := command(t, "verify", "--data", n.data)
		if got != code || !strings.Contains(stdout+stderr, says) {
			t.Errorf("it ended with %d, want %d and %q: %s%s", got, code, says, stdout, stderr)
		}
	}
	verify(1, "node n1 runs")
	n.term()
	whole := filepath.Join(t.TempDir(), "whole")
	folder := filepath.Join(n.data, "n1")
	copyFolder(t, folder, whole)
	verify(0, "rev 20: sound")
	for _, name := range []string{"node.json", "raft.db", "replica.db"} {
		before, err1 := os.ReadFile(filepath.Join(whole, name))
		after, err2 := os.ReadFile(filepath.Join(folder, name))
		if err1 != nil || err2 != nil || !bytes.Equal(before, after) {
			t.Errorf("%s was changed", name)
		}
	}
	r := rand.New(rand.NewPCG(1, 2))
	flipBits(t, r, filepath.Join(folder, "replica.db"), 200)
	verify(74, "replica is damaged")
	copyFolder(t, whole, folder)
	flipBits(t, r, filepath.Join(folder, "raft.db"), 500)
	verify(78, "log is damaged")
	copyFolder(t, whole, folder)
	must(t, os.WriteFile(filepath.Join(folder, "divergence.json"), []byte("{}"), 0o600))
	verify(70, "fenced itself")
	copyFolder(t, whole, folder)
	must(t, os.Remove(filepath.Join(folder, "raft.db")))
	verify(73, "lost its log")
	must(t, os.RemoveAll(folder))
	verify(1, "no folder")
}
