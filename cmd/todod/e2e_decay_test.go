package main_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
)

// Bits flip in the replica of a node: while it is down, and while it runs. Whatever they hit, the node
// serves nothing wrong, spreads nothing, and is back with all data after at most two more starts.
func TestE2EFlippedBits(t *testing.T) {
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
