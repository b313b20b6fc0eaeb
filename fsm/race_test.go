package fsm

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

// One goroutine applies, one flushes, many read, others take snapshots and another node receives
// them while it is read. Each list always holds pairs: a batch adds two entries, so an
// odd count is a torn view.
func TestConcurrency(t *testing.T) {
	leader, follower := newNode(t), newNode(t)
	follower.do(addCommand("list0", "x"), addCommand("list0", "x")) // replaced by what it receives
	rounds := 300
	if testing.Short() {
		rounds = 30
	}
	var stop atomic.Bool
	var readers, others sync.WaitGroup
	for i := range 4 {
		readers.Go(func() { readPairs(t, leader.r, &stop, i, true) })
		readers.Go(func() { readPairs(t, follower.r, &stop, i, false) })
	}
	others.Go(func() {
		for !stop.Load() {
			if err := leader.r.Flush(); err != nil {
				t.Error(err)
			}
		}
	})
	others.Go(func() {
		for !stop.Load() {
			index, _ := leader.r.Applied()
			if err := leader.snapshot(index); err != nil {
				t.Error(err)
			}
			if err := send(leader, follower); err != nil {
				t.Error(err)
			}
		}
	})
	others.Go(func() {
		for !stop.Load() {
			follower.r.Hash()
			if _, _, err := follower.r.Durable(); err != nil {
				t.Error(err)
			}
		}
	})
	waiter := make(chan error, 1)
	go func() { waiter <- leader.r.WaitRev(context.Background(), uint64(rounds*20)) }()
	for i := range rounds {
		var logs []*raft.Log
		for j := range 20 {
			name := fmt.Sprint("list", (i+j)%7)
			logs = append(logs, leader.append(todoCommand(addOp(name, strings.Repeat("x", j)), addOp(name, "y"))))
		}
		leader.r.ApplyBatch(logs)
	}
	if err := <-waiter; err != nil {
		t.Error(err)
	}
	stop.Store(true)
	readers.Wait()
	others.Wait()
	leader.sound()
	if err := send(leader, follower); err != nil {
		t.Fatal(err)
	}
	sameState(t, leader, follower)
	follower.sound()
}

// readPairs reads until it is told to stop; forward if no restore takes the replica back.
func readPairs(t *testing.T, r *Replica, stop *atomic.Bool, seed int, forward bool) {
	last := uint64(0)
	for i := seed; !stop.Load(); i++ {
		v, err := r.View()
		if err != nil {
			t.Error(err)
			return
		}
		name := fmt.Sprint("list", i%7)
		list, ok := v.List(name)
		n := 0
		for q := (Query{Limit: 100, Date: "2018-12-19"}); ; {
			page, more := v.Entries(name, q)
			n += len(page)
			if !more {
				break
			}
			q.After = Position{page[len(page)-1].Date, page[len(page)-1].ID}
		}
		if ok && (list.Entries != uint64(n) || n%2 != 0 || list.LastID != uint64(n)) {
			t.Errorf("%s has %d entries and counts %d", name, n, list.Entries)
		}
		if forward && v.Rev() < last {
			t.Errorf("rev %d after %d", v.Rev(), last)
		}
		last = v.Rev()
		v.Close()
	}
}

// The flush loop writes behind by itself, and a restart finds it.
func TestFlushLoop(t *testing.T) {
	r, err := Open(Config{Dir: t.TempDir(), NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	r.Apply(&raft.Log{Index: 5, Term: 2, Data: EncodeEnvelope(Stamp{Time: testTime}, []*Command{addCommand("bob", "one")})})
	timeout := time.After(20 * flushEvery)
	for {
		next := r.store.image.Load().next // closed when a flush ends, too
		index, term, err := r.Durable()
		if err != nil {
			t.Fatal(err)
		}
		if index == 5 && term == 2 {
			return
		}
		select {
		case <-next:
		case <-timeout:
			t.Fatalf("not flushed: the file is at %d", index)
		}
	}
}

func TestWait(t *testing.T) {
	n := newNode(t)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- n.r.WaitRev(context.Background(), 1) }()
	n.do(addCommand("bob", "one"))
	if err := <-done; err != nil {
		t.Error(err)
	}
	go func() { done <- n.r.WaitIndex(ctx, 99) }()
	cancel()
	if err := <-done; err != context.Canceled {
		t.Errorf("a cancelled wait came to %v", err)
	}
	go func() { done <- n.r.WaitIndex(context.Background(), 99) }()
	n.r.Apply(&raft.Log{Index: 2, Data: []byte("garbage")})
	if err := <-done; err == nil {
		t.Error("a wait outlived the replica")
	}
}

// A view shows the state of its time, whatever comes after: commands, flushes, other views.
func TestViewIsFrozen(t *testing.T) {
	n := newNode(t)
	n.do(addCommand("bob", "one"))
	views := []*View{n.view()}
	n.sound()
	views = append(views, n.view())
	n.do(addCommand("bob", "two"), todoCommand(patchTitle("bob", 1, "uno")))
	n.r.store.step = func(step string) {
		if v := n.view(); step == "flush: the rows are frozen" || step == "flush: the rows are in the file" {
			if page, _ := v.Entries("bob", Query{Limit: 9}); len(page) != 2 || page[0].Title != "uno" {
				t.Errorf("%s: %+v", step, page)
			}
			v.Close()
		}
	}
	n.sound()
	for i, v := range views {
		page, _ := v.Entries("bob", Query{Limit: 9})
		if e, ok := v.Entry("bob", 1); v.Rev() != 1 || len(page) != 1 || !ok || e.Title != "one" || page[0] != e {
			t.Errorf("view %d at rev %d shows %+v", i, v.Rev(), page)
		}
		v.Close()
	}
}
