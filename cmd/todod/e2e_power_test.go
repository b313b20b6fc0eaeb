package main_test

import (
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"
)

// powerCycles is how often the power fails; TODOD_POWER_CYCLES=200 is the long run.
func powerCycles(t *testing.T) int {
	t.Helper()
	if text := os.Getenv("TODOD_POWER_CYCLES"); text != "" {
		n, err := strconv.Atoi(text)
		must(t, err)
		return n
	}
	return rounds(8, 3)
}

// The power of all nodes fails, or of one, at any moment: in the middle of writes, of a start, of the founding of the group. Whatever
// was not synced is lost in part. No node refuses to start, and nothing that was acknowledged is gone.
func TestE2EPowerLoss(t *testing.T) {
	leftOutOfShortRace(t)
	const life = 20 // cycles of one group
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("TODOD_POWER_SEED"); text != "" {
		n, err := strconv.ParseUint(text, 10, 64)
		must(t, err)
		seed = n
	}
	t.Logf("TODOD_POWER_SEED=%d", seed)
	dice := rand.New(rand.NewPCG(seed, 0))
	for left := powerCycles(t); left > 0 && !t.Failed(); left -= life {
		t.Run("group", func(t *testing.T) { powerLosses(t, dice, min(left, life)) })
	}
}

func startAll(g *group) {
	for _, n := range g.nodes {
		if !n.running() {
			n.start()
		}
	}
}

// waitDown waits until the power has failed.
func waitDown(t *testing.T, down <-chan struct{}) {
	t.Helper()
	select {
	case <-down:
	case <-time.After(patience):
		t.Fatal("the node has not changed its disk for long")
	}
}

func powerLosses(t *testing.T, dice *rand.Rand, cycles int) {
	disks := map[*node]*forgetful{}
	g := &group{t: t}
	for i, id := range []string{"n1", "n2", "n3"} {
		n := newNode(t, id)
		disks[n] = newForgetful(t, dice.Uint64())
		n.data = disks[n].dir
		if i > 0 {
			n.args = []string{"--join", g.nodes[0].http}
		}
		g.nodes = append(g.nodes, n)
	}
	t.Cleanup(func() { // before their disks are taken away
		for _, n := range g.nodes {
			n.kill()
		}
	})
	l := startLoad(t, g.nodes, 8)
	for cycle := range cycles {
		victims := g.nodes
		if dice.IntN(3) == 0 {
			victims = g.nodes[dice.IntN(3):][:1]
		}
		disk, changes := disks[victims[dice.IntN(len(victims))]], 1+dice.IntN(60)
		early := cycle == 0 || dice.IntN(3) == 0 // in the middle of the founding, or of a start
		var down <-chan struct{}
		if early {
			down = disk.failAfter(changes)
		}
		startAll(g)
		if !early {
			g.waitReady(g.nodes...)
			l.waitAcks(1 + dice.Int64N(300))
			down = disk.failAfter(changes)
		}
		waitDown(t, down)
		for _, n := range victims {
			if !n.running() {
				t.Fatalf("%s ended with %d: %s", n.id, n.proc.code, n.lastLine())
			}
			n.kill()
		}
		for _, n := range victims {
			disks[n].cut()
		}
	}
	startAll(g)
	g.waitReady(g.nodes...)
	g.waitVoters(3)
	l.waitAcks(20)
	l.verify(g.nodes...)
	g.wantSameHashes(g.nodes...)
	for _, n := range g.nodes {
		d := disks[n]
		d.mu.Lock()
		t.Logf("%s: %d syncs; of what was not synced %d sectors were kept and %d lost", n.id, d.syncs, d.kept, d.lost)
		d.mu.Unlock()
		n.term() // before its disk is taken away
	}
}
