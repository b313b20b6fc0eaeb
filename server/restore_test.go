package server

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"todod/fsm"
)

// backup returns a backup made at a node.
func (s *sim) backup(id string) []byte {
	s.t.Helper()
	b, err := s.node(id).Backup(context.Background(), ReadOptions{Level: Linearizable})
	if err != nil {
		s.t.Fatal(err)
	}
	defer b.Close()
	all, err := io.ReadAll(b)
	if err != nil {
		s.t.Fatal(err)
	}
	return all
}

func (s *sim) restore(id string, b []byte, foreign bool) (Restored, error) {
	return s.node(id).Restore(context.Background(), bytes.NewReader(b), RestoreOptions{Size: int64(len(b)), Foreign: foreign})
}

// adds makes some acknowledged adds, each at the next node.
func (s *sim) adds(n int) {
	s.t.Helper()
	ids := s.running()
	for i := range n {
		if _, err := s.add(ids[i%len(ids)], fmt.Sprintf("l%d", i%3), WriteOptions{}); err != nil {
			s.t.Fatal(err)
		}
	}
}

func TestRestore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t)
		s.group(3)
		s.adds(9)
		b := s.backup(s.named("follower"))
		had := slices.Clone(s.acked)
		epoch, rev := uint64(0), uint64(0)
		for _, at := range []string{"follower", "leader", "n3"} {
			s.adds(6)
			res, err := s.restore(s.named(at), b, false)
			if err != nil {
				t.Fatal(err)
			}
			if res.Epoch == epoch || res.Rev < rev+7 || res.Backup.Entries != 9 {
				t.Errorf("restored at %s: %+v", at, res)
			}
			epoch, rev = res.Epoch, res.Rev
			s.acked = slices.Clone(had)
			s.check()
			s.adds(3) // each node's session was closed and is opened anew
			s.check()
		}
		// After a restart of all the log is replayed, over the restores too.
		for _, id := range s.running() {
			s.crash(id)
		}
		for _, id := range s.ids {
			if _, err := s.start(id, nil); err != nil {
				t.Fatal(err)
			}
		}
		s.check()
		v, err := s.node(s.named("leader")).Read(context.Background(), ReadOptions{Level: Linearizable})
		if err != nil {
			t.Fatal(err)
		}
		defer v.Close()
		if v.Epoch() != epoch || v.Rev() != rev+3 {
			t.Errorf("epoch %d, rev %d after the restart, want %d, %d", v.Epoch(), v.Rev(), epoch, rev+3)
		}
	})
}

// A node that was down during a restore gets the backup when it meets the entry, or the state after it; once
// no log needs the backup any more, it is dropped.
func TestRestoreWithoutANode(t *testing.T) {
	for _, cut := range []bool{false, true} {
		t.Run(fmt.Sprintf("log cut %v", cut), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSim(t)
				s.group(3)
				s.adds(6)
				b := s.backup("n1")
				had := slices.Clone(s.acked)
				away := s.named("follower")
				s.crash(away)
				s.adds(3)
				if _, err := s.restore(s.named("leader"), b, false); err != nil {
					t.Fatal(err)
				}
				s.acked = slices.Clone(had)
				s.adds(3)
				if cut {
					s.cutLogs()
					s.mayDrop(false) // a member that is away may need it yet
				}
				if _, err := s.start(away, nil); err != nil {
					t.Fatal(err)
				}
				s.check()
				s.adds(3)
				s.check()
				staged := len(s.node(away).engine().replica.Staged())
				if staged != map[bool]int{false: 1, true: 0}[cut] {
					t.Errorf("%d backups are staged at the node that came back", staged)
				}
				s.cutLogs()
				s.mayDrop(true)
				for _, id := range s.running() {
					if left, _ := filepath.Glob(filepath.Join(s.node(id).folder.dir, "re*-*")); len(left) > 0 {
						t.Errorf("left: %v", left)
					}
				}
			})
		})
	}
}

// cutLogs has each running node's log begin after all there is, as it does in time.
func (s *sim) cutLogs() {
	s.t.Helper()
	for range trailingLogs + 10 {
		if _, err := s.node(s.named("leader")).engine().term.Load().propose(context.Background(), fsm.TypeSweep, fsm.Sweep{Rows: 1}.Encode()); err != nil {
			s.t.Fatal(err)
		}
	}
	s.settle()
	for _, id := range s.running() {
		if err := s.node(id).engine().raft.Snapshot().Error(); err != nil {
			s.t.Fatal(err)
		}
	}
}

// mayDrop says whether the running nodes drop what is staged within some seconds.
func (s *sim) mayDrop(want bool) {
	s.t.Helper()
	time.Sleep(5 * time.Second)
	for _, id := range s.running() {
		if staged := s.node(id).engine().replica.Staged(); (len(staged) == 0) != want {
			s.t.Errorf("%s keeps %+v", id, staged)
		}
	}
}

// What is not to be restored changes nothing and says so.
func TestRestoreRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		other := newSim(t)
		other.group(1)
		other.adds(3)
		foreign := other.backup("n1")
		s := newSim(t)
		s.group(3)
		s.adds(3)
		own := s.backup("n1")
		damaged := bytes.Clone(own)
		damaged[len(damaged)/2] ^= 1
		id := s.named("follower")
		for what, try := range map[string]struct {
			file []byte
			kind Kind
			says string
		}{
			"damaged": {damaged, KindInvalid, ""},
			"cut":     {own[:len(own)-1], KindInvalid, "cut short"},
			"newer":   {append([]byte("todod backup 9\n"), own...), KindInvalid, "version 9"},
			"none":    {[]byte("a shopping list"), KindInvalid, "not a backup"},
			"foreign": {foreign, KindConflict, "another group"},
		} {
			if _, err := s.restore(id, try.file, false); AsError(err).Kind != try.kind || AsError(err).Outcome != NotApplied || !strings.Contains(err.Error(), try.says) {
				t.Errorf("%s: %v", what, err)
			}
		}
		s.check()
		// Without a majority nothing is proposed.
		for _, node := range s.running() {
			if node != id {
				s.crash(node)
			}
		}
		if _, err := s.restore(id, own, false); AsError(err).Kind != KindNoLeader || AsError(err).Outcome != NotApplied {
			t.Errorf("without a majority: %v", err)
		}
		for _, node := range s.ids {
			if s.node(node) == nil {
				if _, err := s.start(node, nil); err != nil {
					t.Fatal(err)
				}
			}
		}
		s.check()
		// An empty group takes any, and so does one that is told to.
		empty := newSim(t)
		empty.group(1)
		if _, err := empty.restore("n1", foreign, false); err != nil {
			t.Error(err)
		}
		empty.acked = slices.Clone(other.acked)
		empty.check()
		if _, err := s.restore(id, foreign, true); err != nil {
			t.Error(err)
		}
		s.acked = slices.Clone(other.acked)
		s.check()
	})
}

// The leader dies, or the node that was asked, at each step of a restore under load. What was acknowledged before
// the backup is there afterwards, what was acknowledged after the restore too, and the answer was true.
func TestRestoreWhileNodesDie(t *testing.T) {
	for _, step := range []string{"received", "spread", "vouched", "applied"} {
		for _, victim := range []string{"leader", "the node that was asked"} {
			t.Run(victim+" when "+step, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { restoreAndDie(t, step, victim) })
			})
		}
	}
}

func restoreAndDie(t *testing.T, step, victim string) {
	s := newSim(t)
	came, goOn, reached := make(chan struct{}), make(chan struct{}), atomic.Bool{}
	s.set = func(c *Config) {
		c.step = func(ctx context.Context, at string) {
			if at != step || !reached.CompareAndSwap(false, true) {
				return
			}
			close(came)
			select {
			case <-goOn:
			case <-ctx.Done(): // it is this node that dies
			}
		}
	}
	s.group(3)
	s.adds(30)
	b := s.backup("n1")
	had := slices.Clone(s.acked)
	was, leader := s.epoch(), s.named("leader")
	asked := s.named("follower")
	stop := make(chan struct{})
	var load sync.WaitGroup
	for i, id := range s.running() {
		load.Go(func() {
			for {
				select {
				case <-stop:
					return
				case <-time.After(time.Millisecond):
					_, _ = s.add(id, fmt.Sprintf("load%d", i), WriteOptions{}) // lost or not, as it comes
				}
			}
		})
	}
	var res Restored
	var err error
	done := make(chan struct{})
	go func() {
		defer close(done)
		res, err = s.restore(asked, b, false)
	}()
	<-came
	dies := leader
	if victim != "leader" {
		dies = asked
	}
	s.crash(dies)
	close(goOn)
	time.Sleep(time.Second)
	for _, id := range s.ids {
		if s.node(id) == nil {
			if _, err := s.start(id, nil); err != nil {
				t.Fatal(err)
			}
		}
	}
	<-done
	close(stop)
	load.Wait()
	s.settle()
	now := s.epoch()
	switch {
	case err == nil && now != res.Epoch:
		t.Errorf("restored into epoch %d, it is %d", res.Epoch, now)
	case err != nil && AsError(err).Outcome == NotApplied && now != was:
		t.Errorf("%v, but the epoch is another one", err)
	case err == nil && dies == asked, step == "applied" && now == was:
		t.Errorf("%v, epoch %d, was %d", err, now, was)
	}
	s.acked, s.unknown = had, append(s.acked, s.unknown...)
	s.adds(6)
	s.check()
}

func (s *sim) epoch() uint64 {
	s.t.Helper()
	v, err := s.node(s.named("leader")).Read(context.Background(), ReadOptions{Level: Linearizable})
	if err != nil {
		s.t.Fatal(err)
	}
	defer v.Close()
	return v.Epoch()
}

// A backup that nobody asked for again is dropped; one whose restore never came as soon as it cannot come any more.
func TestStagedIsDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t)
		s.group(3)
		s.adds(3)
		b := s.backup("n1")
		n := s.node("n1")
		if _, err := n.engine().replica.Stage(bytes.NewReader(b), true); err != nil {
			t.Fatal(err)
		}
		hash := n.engine().replica.Staged()[0].Hash
		term := n.engine().raft.CurrentTerm()
		if n.engine().staging.vow(vow{term + 1, hash}) || n.engine().staging.vow(vow{term, "another"}) {
			t.Error("it vows what it cannot hold")
		}
		age := func(by time.Duration) { // hours of virtual time take seconds
			n.engine().staging.mu.Lock()
			defer n.engine().staging.mu.Unlock()
			k := n.engine().staging.kept[hash]
			k.since = k.since.Add(-by)
			n.engine().staging.kept[hash] = k
		}
		time.Sleep(2 * time.Second)
		age(stagedFor / 2)
		time.Sleep(2 * time.Second)
		if len(n.engine().replica.Staged()) != 1 {
			t.Error("dropped too early")
		}
		if !n.engine().staging.vow(vow{term, hash}) {
			t.Error("it does not vow")
		}
		age(stagedFor)
		s.cutLogs()
		s.mayDropAt(n, false) // its entry may come in this term
		if err := n.Transfer(context.Background(), ""); err != nil {
			t.Fatal(err)
		}
		s.adds(3)
		s.mayDropAt(n, true)
		if _, err := n.engine().replica.Stage(bytes.NewReader(b), true); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		age(stagedFor)
		s.mayDropAt(n, true)
		if _, err := os.Stat(filepath.Join(n.folder.dir, "restore-"+hash+".backup")); err == nil {
			t.Error("the file is still there")
		}
	})
}

func (s *sim) mayDropAt(n *Node, want bool) {
	s.t.Helper()
	time.Sleep(5 * time.Second)
	if staged := n.engine().replica.Staged(); (len(staged) == 0) != want {
		s.t.Errorf("%s keeps %+v", n.id, staged)
	}
}

// A survivor whose log restores a backup that its replica has not yet come to is recovered over it, if the backup is
// staged in its folder.
func TestRecoverOverARestore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t)
		s.group(3)
		s.adds(6)
		b := s.backup("n1")
		had := slices.Clone(s.acked)
		s.adds(3)
		replica := s.node("n1").engine().replica
		if err := replica.Flush(); err != nil {
			t.Fatal(err)
		}
		file, err := os.ReadFile(replica.Path())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.restore("n2", b, false); err != nil {
			t.Fatal(err)
		}
		s.acked = had
		s.adds(3)
		s.settle()
		dir := s.node("n1").folder.dir
		for _, id := range s.ids {
			s.crash(id)
		}
		staged, err := filepath.Glob(filepath.Join(dir, "restore-*"))
		if err != nil || len(staged) != 1 {
			t.Fatal(staged, err)
		}
		away := filepath.Join(t.TempDir(), "away")
		if err := os.WriteFile(replica.Path(), file, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(staged[0], away); err != nil {
			t.Fatal(err)
		}
		if _, err := Recover(s.data("n1"), "n1"); err == nil || !strings.Contains(err.Error(), "restores a backup that this folder has not") {
			t.Errorf("without the backup: %v", err)
		}
		if err := os.Rename(away, staged[0]); err != nil {
			t.Fatal(err)
		}
		if _, err := Recover(s.data("n1"), "n1"); err != nil {
			t.Fatal(err)
		}
		if _, err := s.start("n1", nil); err != nil {
			t.Fatal(err)
		}
		s.check()
	})
}
