package server

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"
	"github.com/prometheus/client_golang/prometheus"

	"todod/fsm"
)

// fakeLog takes the place of Raft below a proposer: entries wait until let go.
type fakeLog struct {
	mu      sync.Mutex
	entries [][]fsm.Command
	sizes   []int
	goes    chan error // one for each entry: its outcome
}

type fakeFuture struct {
	raft.ApplyFuture
	log *fakeLog
	n   int
	err error
}

func (l *fakeLog) Apply(data []byte, _ time.Duration) raft.ApplyFuture {
	_, cmds, err := fsm.DecodeEnvelope(data)
	if err != nil {
		panic(err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.entries = append(l.entries, cmds)
	l.sizes = append(l.sizes, len(data))
	return &fakeFuture{log: l, n: len(cmds)}
}

func (f *fakeFuture) Error() error {
	f.err = <-f.log.goes
	return f.err
}

func (f *fakeFuture) Response() any { return make([]fsm.Result, f.n) }

type bench struct {
	*proposer
	log      *fakeLog
	stampErr error
	mu       sync.Mutex
	told     map[string]error
	done     sync.WaitGroup
}

func inBench(t *testing.T, f func(b *bench)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := &bench{log: &fakeLog{goes: make(chan error, 1000)}, told: map[string]error{}}
		b.proposer = newProposer(b.log, 7, func() (int64, error) { return 1, b.stampErr }, newMetrics(prometheus.NewRegistry(), &Node{}))
		f(b)
		b.close()
		b.done.Wait()
	})
}

func (b *bench) put(id string, size int, set func(*pending)) *pending {
	c := &pending{cmd: fsm.Command{Type: fsm.TypeTodo, Version: 1, Key: id, Payload: make([]byte, size)}}
	b.done.Add(1)
	c.done = func(_ fsm.Result, err error) {
		b.mu.Lock()
		defer b.mu.Unlock()
		if _, twice := b.told[id]; twice {
			panic(id + " was told twice")
		}
		b.told[id] = err
		b.done.Done()
	}
	if set != nil {
		set(c)
	}
	b.submit(c)
	return c
}

// While proposals are under way all that comes is gathered, in order, and goes as one entry.
func TestProposerGathers(t *testing.T) {
	inBench(t, func(b *bench) {
		for i := range maxProposals {
			b.put(fmt.Sprint("first", i), 10, nil)
			synctest.Wait()
		}
		for i := range 100 {
			b.put(fmt.Sprint(i), 10, nil)
		}
		synctest.Wait()
		if len(b.log.entries) != maxProposals {
			t.Fatalf("%d entries under way", len(b.log.entries))
		}
		b.log.goes <- nil
		synctest.Wait()
		last := b.log.entries[len(b.log.entries)-1]
		if len(b.log.entries) != maxProposals+1 || len(last) != 100 {
			t.Fatalf("%d entries, %d commands in the last", len(b.log.entries), len(last))
		}
		for i, c := range last {
			if c.Key != fmt.Sprint(i) {
				t.Fatalf("command %d is %s", i, c.Key)
			}
		}
		for range maxProposals {
			b.log.goes <- nil
		}
		synctest.Wait()
		if len(b.told) != 100+maxProposals {
			t.Errorf("%d were told", len(b.told))
		}
	})
}

func TestProposerByteCap(t *testing.T) {
	inBench(t, func(b *bench) {
		for i := range maxProposals {
			b.put(fmt.Sprint("first", i), 10, nil)
			synctest.Wait()
		}
		for i := range 6 { // two fit
			b.put(fmt.Sprint(i), maxEntryBytes*2/5, nil)
		}
		b.put("large", 3*maxEntryBytes, nil) // goes alone
		for range 20 {
			b.log.goes <- nil
		}
		synctest.Wait()
		var commands []int
		for i, e := range b.log.entries {
			commands = append(commands, len(e))
			if len(e) > 1 && b.log.sizes[i] > maxEntryBytes {
				t.Errorf("entry %d has %d bytes", i, b.log.sizes[i])
			}
		}
		if got := fmt.Sprint(commands[maxProposals:]); got != "[2 2 2 1]" {
			t.Errorf("commands an entry: %s", got)
		}
	})
}

// What Raft's errors say of a command: only three of them mean that it was not logged.
func TestProposerOutcomes(t *testing.T) {
	cases := []struct {
		err     error
		kind    Kind
		outcome Outcome
	}{
		{raft.ErrNotLeader, KindNoLeader, NotApplied},
		{raft.ErrEnqueueTimeout, KindOverloaded, NotApplied},
		{raft.ErrLeadershipLost, KindTimeout, UnknownOutcome},
		{raft.ErrRaftShutdown, KindTimeout, UnknownOutcome},
		{raft.ErrAbortedByRestore, KindTimeout, UnknownOutcome},
		{errors.New("anything else"), KindTimeout, UnknownOutcome},
	}
	for _, c := range cases {
		t.Run(c.err.Error(), func(t *testing.T) {
			inBench(t, func(b *bench) {
				b.put("x", 10, nil)
				b.log.goes <- c.err
				synctest.Wait()
				if e := AsError(b.told["x"]); e.Kind != c.kind || e.Outcome != c.outcome {
					t.Errorf("%+v", e)
				}
			})
		})
	}
}

// What is not proposed: commands whose time is over, whose caller has gone, or that nobody may stamp.
func TestProposerLeavesOut(t *testing.T) {
	inBench(t, func(b *bench) {
		for i := range maxProposals {
			b.put(fmt.Sprint("first", i), 10, nil)
			synctest.Wait()
		}
		b.put("expired", 10, func(c *pending) { c.expires = time.Now().Add(time.Second) })
		b.put("in time", 10, func(c *pending) { c.expires = time.Now().Add(time.Minute) })
		gone := b.put("given up", 10, nil)
		if !gone.claim() {
			t.Fatal("claimed twice")
		}
		gone.fail(errors.New("by its caller"))
		time.Sleep(2 * time.Second)
		b.log.goes <- nil
		synctest.Wait()
		if last := b.log.entries[len(b.log.entries)-1]; len(last) != 1 || last[0].Key != "in time" {
			t.Errorf("proposed: %+v", last)
		}
		if e := AsError(b.told["expired"]); e.Kind != KindTimeout || e.Outcome != NotApplied {
			t.Errorf("expired: %+v", e)
		}
		for range maxProposals {
			b.log.goes <- nil
		}
		synctest.Wait()
		b.stampErr = failure(KindClock, NotApplied, "off")
		b.put("not stamped", 10, nil)
		b.put("of the node itself", 10, func(c *pending) { c.cmd.Type = fsm.TypeSession })
		b.log.goes <- nil
		synctest.Wait()
		if AsError(b.told["not stamped"]).Kind != KindClock || b.told["of the node itself"] != nil {
			t.Errorf("%v, %v", b.told["not stamped"], b.told["of the node itself"])
		}
	})
}

// At the end of a term what waits is refused, what is under way is told its own outcome.
func TestProposerClose(t *testing.T) {
	inBench(t, func(b *bench) {
		for i := range maxProposals {
			b.put(fmt.Sprint("first", i), 10, nil)
			synctest.Wait()
		}
		b.put("waits", 10, nil)
		go b.close()
		synctest.Wait()
		b.put("late", 10, nil)
		for range maxProposals {
			b.log.goes <- nil
		}
		synctest.Wait()
		for _, id := range []string{"waits", "late"} {
			if e := AsError(b.told[id]); b.told[id] == nil || e.Kind != KindNoLeader || e.Outcome != NotApplied {
				t.Errorf("%s: %v", id, b.told[id])
			}
		}
		if len(b.log.entries) != maxProposals || b.told["first0"] != nil {
			t.Errorf("%d entries, %v", len(b.log.entries), b.told["first0"])
		}
	})
}
