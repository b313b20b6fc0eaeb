package server

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// fakeDisk is a disk that hangs, fills and fails when it is told to.
type fakeDisk struct {
	free atomic.Int64
	mu   sync.Mutex
	hung chan struct{} // closed when the disk answers again; nil while it does
	err  error
}

const plenty = 1 << 40

func newFakeDisk() *fakeDisk {
	d := &fakeDisk{}
	d.free.Store(plenty)
	return d
}

func (d *fakeDisk) room() (free, size int64, err error) { return d.free.Load(), 2 * plenty, nil }
func (d *fakeDisk) close() error                        { return nil }

func (d *fakeDisk) canary() error {
	d.mu.Lock()
	hung, err := d.hung, d.err
	d.mu.Unlock()
	if hung != nil {
		<-hung
	}
	return err
}

func (d *fakeDisk) hang() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.hung = make(chan struct{})
}

func (d *fakeDisk) answer() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.hung != nil {
		close(d.hung)
	}
	d.hung = nil
}

func (d *fakeDisk) fail(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.err = err
}

// disks is a sim whose nodes stand on disks of their own.
type disks struct {
	*sim
	of map[string]*fakeDisk
}

// onDisks tells a story of a group on fake disks in virtual time.
func onDisks(t *testing.T, size int, tell func(*disks)) {
	synctest.Test(t, func(t *testing.T) {
		d := &disks{sim: newSim(t), of: map[string]*fakeDisk{}}
		for i := range size {
			id := fmt.Sprintf("n%d", i+1)
			d.of[id] = newFakeDisk()
			if _, err := d.start(id, func(c *Config) {
				c.disk = d.of[id]
				if i > 0 {
					c.Join = []string{"n1:80"}
				}
			}); err != nil {
				t.Fatal(err)
			}
		}
		d.await("all vote", func() bool {
			l := d.leader()
			return l != nil && len(voters(l.engine().configuration())) == size
		})
		time.Sleep(time.Second) // all have heard of each other's disks
		tell(d)
		for _, disk := range d.of {
			disk.answer()
		}
	})
}

// state is what a node thinks of its disk.
func (d *disks) state(id string) DiskState { return d.node(id).engine().storage.health.Load().State }

func (d *disks) awaitState(id string, want DiskState) {
	d.t.Helper()
	d.await(id+"'s disk to be "+string(want), func() bool { return d.state(id) == want })
}

// seen waits until a node shows another one's disk as want.
func (d *disks) seen(at, about string, want DiskState) {
	d.t.Helper()
	d.await(at+" to show the disk of "+about+" as "+string(want), func() bool {
		for _, m := range d.node(at).Cluster().Members {
			if m.ID == about {
				return m.Disk == want
			}
		}
		return false
	})
}

// noneEnded fails the test if a node has ended.
func (d *disks) noneEnded() {
	d.t.Helper()
	for _, id := range d.running() {
		if why := d.node(id).Err(); why != nil {
			d.t.Errorf("%s ended with %d: %s", id, why.Code, why.Reason)
		}
	}
}

func (d *disks) mustAdd(id string) {
	d.t.Helper()
	if _, err := d.add(id, "bob", WriteOptions{}); err != nil {
		d.t.Fatalf("add at %s: %v", id, err)
	}
}

// mustRefuse adds at a node, which must refuse it as not applied.
func (d *disks) mustRefuse(id string, kind Kind) {
	d.t.Helper()
	_, err := d.add(id, "bob", WriteOptions{})
	if e := AsError(err); err == nil || e.Kind != kind || e.Outcome != NotApplied {
		d.t.Errorf("add at %s: kind %d, %v; want kind %d, not applied", id, e.Kind, err, kind)
	}
}

func (d *disks) mustRead(id string, level Level) {
	d.t.Helper()
	v, err := d.node(id).Read(context.Background(), ReadOptions{Level: level})
	if err != nil {
		d.t.Fatalf("read at %s: %v", id, err)
	}
	v.Close()
}

// other returns another node than those.
func (d *disks) other(but ...string) string {
next:
	for _, id := range d.running() {
		for _, b := range but {
			if id == b {
				continue next
			}
		}
		return id
	}
	d.t.Fatal("no other node")
	return ""
}

func TestStalledLeaderEnds(t *testing.T) {
	for _, size := range []int{3, 5} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			onDisks(t, size, func(d *disks) {
				old := d.leader()
				d.mustAdd(old.id)
				d.of[old.id].hang()
				began := time.Now()
				d.await("the leader to end", func() bool { return old.Err() != nil })
				if old.Err().Code != ExitStorage {
					t.Errorf("it ended with %d: %s", old.Err().Code, old.Err().Reason)
				}
				d.of[old.id].answer()
				d.crash(old.id)
				d.await("another leader", func() bool { return d.leader() != nil })
				d.mustAdd(d.leader().id)
				if took := time.Since(began); took < 3*time.Second || took > 6*time.Second {
					t.Errorf("the stall cost %v, want 3 to 6 s", took)
				}
				d.noneEnded()
				d.check()
			})
		})
	}
}

// Three nodes on one disk: each of them would end if it believed the others' word alone, which is
// older than the stall.
func TestOneStalledDiskEndsNobody(t *testing.T) {
	for _, apart := range []time.Duration{0, 150 * time.Millisecond, 400 * time.Millisecond} {
		onDisks(t, 3, func(d *disks) {
			leader := d.leader().id
			d.of[leader].hang() // it may notice first
			time.Sleep(apart)
			for _, disk := range d.of {
				disk.mu.Lock()
				disk.hung = cmpOr(disk.hung, make(chan struct{}))
				disk.mu.Unlock()
			}
			for _, id := range d.running() {
				d.awaitState(id, DiskStalled)
			}
			time.Sleep(time.Minute)
			d.noneEnded()
			for _, id := range d.running() {
				if e := AsError(d.node(id).Ready()); e.Kind != KindStalled {
					t.Errorf("%s says of itself: %v", id, e)
				}
				d.mustRefuse(id, KindStalled)
				d.mustRead(id, Stale)
			}
			for _, disk := range d.of {
				disk.answer()
			}
			for _, id := range d.running() {
				d.awaitState(id, DiskOK)
			}
			d.mustAdd(leader)
			d.noneEnded()
			d.check()
		})
	}
}

func cmpOr(a, b chan struct{}) chan struct{} {
	if a != nil {
		return a
	}
	return b
}

// With two nodes the other one is no majority: the leader waits.
func TestStalledLeaderOfTwoWaits(t *testing.T) {
	for _, size := range []int{1, 2} {
		onDisks(t, size, func(d *disks) {
			leader := d.leader()
			d.of[leader.id].hang()
			d.awaitState(leader.id, DiskStalled)
			time.Sleep(time.Minute)
			d.noneEnded()
			d.mustRefuse(leader.id, KindStalled)
			d.of[leader.id].answer()
			d.awaitState(leader.id, DiskOK)
			d.mustAdd(leader.id)
			d.check()
		})
	}
}

func TestStalledFollowerWaits(t *testing.T) {
	onDisks(t, 3, func(d *disks) {
		leader := d.leader().id
		slow := d.other(leader)
		third := d.other(leader, slow)
		since := d.node(third).LastEvent()
		d.of[slow].hang()
		d.awaitState(slow, DiskStalled)
		d.seen(third, slow, DiskStalled)
		d.mustRefuse(slow, KindStalled)
		d.mustAdd(third)
		if d.node(slow).Ready() == nil || d.node(third).Ready() != nil {
			t.Error("the wrong node calls itself ready")
		}
		time.Sleep(time.Minute)
		d.noneEnded()
		d.of[slow].answer()
		d.seen(third, slow, DiskOK)
		d.awaitState(slow, DiskOK)
		d.mustAdd(slow)
		got, err := d.node(third).Events(context.Background(), since)
		if err != nil || len(got) != 2 || got[0].Type != "disk_stalled" || got[1].Type != "disk_ok" || got[0].Node != slow {
			t.Errorf("events %+v, %v", got, err)
		}
		d.check()
	})
}

// A follower that is known to hang does not make up the majority that a leader needs to end.
func TestStalledLeaderNeedsHealthyMajority(t *testing.T) {
	onDisks(t, 3, func(d *disks) {
		leader := d.leader()
		slow := d.other(leader.id)
		d.of[slow].hang()
		d.awaitState(slow, DiskStalled)
		d.of[leader.id].hang()
		d.awaitState(leader.id, DiskStalled)
		time.Sleep(time.Minute)
		d.noneEnded()
		d.of[slow].answer() // now there are two
		d.await("the leader to end", func() bool { return leader.Err() != nil })
		d.of[leader.id].answer()
		d.crash(leader.id)
		d.await("another leader", func() bool { return d.leader() != nil })
		d.mustAdd(slow)
		d.check()
	})
}

func TestFailedCanaryEndsAnyNode(t *testing.T) {
	onDisks(t, 3, func(d *disks) {
		broken := d.other(d.leader().id)
		d.of[broken].fail(syscall.EIO)
		d.await("the node to end", func() bool { return d.node(broken).Err() != nil })
		if code := d.node(broken).Err().Code; code != ExitStorage {
			t.Errorf("it ended with %d", code)
		}
	})
}

func TestFullLeaderHandsOver(t *testing.T) {
	onDisks(t, 3, func(d *disks) {
		old := d.leader().id
		full := d.other(old) // another one that has no room either
		roomy := d.other(old, full)
		d.of[full].free.Store(1 << 20)
		d.seen(old, full, DiskLow)
		d.mustAdd(old) // two of three have room
		d.of[old].free.Store(1 << 20)
		d.await("the node with room to lead", func() bool { l := d.leader(); return l != nil && l.id == roomy })
		d.seen(roomy, old, DiskLow)
		d.await("the leader to know that too few have room", func() bool { return d.leader().engine().storage.full.Load() })
		for _, id := range d.running() {
			d.mustRefuse(id, KindStorage)
			d.mustRead(id, Linearizable)
			if err := d.node(id).Ready(); err != nil {
				t.Errorf("%s is not ready: %v", id, err)
			}
		}
		d.of[full].free.Store(plenty)
		d.await("writes to be back", func() bool { _, err := d.add(roomy, "bob", WriteOptions{}); return err == nil })
		d.mustAdd(old)
		if l := d.leader().id; l != roomy {
			t.Errorf("%s leads, which has no room", l)
		}
		d.noneEnded()
		d.check()
	})
}

// All are full: who leads goes on leading, everything but writing goes on, and nobody ends.
func TestAllFull(t *testing.T) {
	onDisks(t, 3, func(d *disks) {
		d.mustAdd("n1")
		leader := d.leader().id
		for _, disk := range d.of {
			disk.free.Store(0)
		}
		d.await("writes to be refused", func() bool { return d.leader() != nil && d.leader().engine().storage.full.Load() })
		// A leader may have handed over before it heard that nobody has room; the next one takes writes, which the reserve is
		// there for, until it hears it too.
		time.Sleep(5 * time.Second)
		for range 20 {
			for _, id := range d.running() {
				d.mustRefuse(id, KindStorage)
				d.mustRead(id, Linearizable)
			}
			time.Sleep(time.Second)
		}
		if err := d.node(leader).Transfer(context.Background(), d.other(d.leader().id)); err != nil {
			t.Errorf("leadership could not be handed over: %v", err)
		}
		if err := d.leaderNow().engine().raft.Snapshot().Error(); err != nil {
			t.Errorf("the log could not be cut: %v", err)
		}
		for _, disk := range d.of {
			disk.free.Store(plenty)
		}
		d.await("writes to be back", func() bool { _, err := d.add("n1", "bob", WriteOptions{}); return err == nil })
		d.noneEnded()
		d.check()
	})
}

func (d *disks) leaderNow() *Node {
	d.t.Helper()
	d.await("a leader", func() bool { return d.leader() != nil })
	return d.leader()
}

// A dead node has no room; but a group without a majority has other worries than its disks.
func TestRoomOfTheDead(t *testing.T) {
	onDisks(t, 3, func(d *disks) {
		leader := d.leader().id
		dead := d.other(leader)
		last := d.other(leader, dead)
		d.crash(dead)
		d.await("the leader to know", func() bool { _, down := d.node(leader).engine().monitor.lastDisk(dead); return down })
		d.mustAdd(last)
		d.of[last].free.Store(0)
		d.await("writes to be refused", func() bool { return d.node(leader).engine().storage.full.Load() })
		d.mustRefuse(last, KindStorage)
		d.crash(last)
		_, err := d.add(leader, "bob", WriteOptions{})
		if err == nil || AsError(err).Kind == KindStorage {
			t.Errorf("without a majority: %v", err)
		}
		for _, id := range []string{dead, last} {
			d.of[id].free.Store(plenty)
			if _, err := d.start(id, func(c *Config) { c.disk = d.of[id] }); err != nil {
				t.Fatal(err)
			}
		}
		d.await("writes to be back", func() bool { _, err := d.add(leader, "bob", WriteOptions{}); return err == nil })
		d.check()
	})
}

// The room comes and goes around the reserve: the state does not flutter.
func TestReserve(t *testing.T) {
	s := &storage{reserve: 80}
	for _, c := range []struct {
		free int64
		low  bool
	}{{80, false}, {79, true}, {80, true}, {89, true}, {90, false}, {80, false}, {0, true}} {
		if s.measured(c.free); s.low.Load() != c.low {
			t.Errorf("at %d: low is %v", c.free, !c.low)
		}
	}
	none := &storage{reserve: -1}
	if none.measured(0); none.low.Load() {
		t.Error("without a reserve the disk is never low")
	}
}
