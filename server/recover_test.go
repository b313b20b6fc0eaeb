package server

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"
)

// survivors makes a group of three whose leader was the last to die, with writes in flight: it alone has entries
// that nobody acknowledged.
func survivors(t *testing.T) (s *sim, best string) {
	s = newSim(t)
	s.group(3)
	for _, id := range s.ids {
		for range 20 {
			if _, err := s.add(id, "bob", WriteOptions{}); err != nil {
				t.Fatal(err)
			}
		}
	}
	s.settle()
	best = s.named("leader")
	st := &story{sim: s, named: map[string]string{}}
	for _, id := range s.others(best) {
		s.crash(id)
	}
	st.tryMany(best, "ann", 50)
	s.crash(best)
	return s, best
}

func (s *sim) data(id string) string { return filepath.Join(s.dir, id) }

func (s *sim) others(id string) (others []string) {
	return slices.DeleteFunc(slices.Clone(s.ids), func(o string) bool { return o == id })
}

// A group goes on from its best survivor with all that this one had, its uncommitted tail too. The nodes of the old
// group that come back are strangers to it, until their files are put aside.
func TestRecover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, best := survivors(t)
		rest := s.others(best)
		look, err := Look(s.data(best), "")
		if err != nil {
			t.Fatal(err)
		}
		for _, id := range rest {
			if other, err := Look(s.data(id), id); err != nil || !look.Better(other) || other.Better(look) || len(other.Servers) != 3 {
				t.Errorf("%s: %+v, %v; the best: %+v", id, other, err, look)
			}
		}
		done, err := Recover(s.data(best), best)
		if err != nil {
			t.Fatal(err)
		}
		if done.Group == look.Group || done.Group == "" || done.Aside != "before-recover-1" {
			t.Errorf("%+v", done)
		}
		for _, name := range []string{logName, replicaName, nodeName} {
			if _, err := os.Stat(filepath.Join(s.data(best), best, done.Aside, name)); err != nil {
				t.Errorf("not kept aside: %v", err)
			}
		}
		n, err := s.start(best, nil)
		if err != nil {
			t.Fatal(err)
		}
		s.acknowledged(best)
		v, err := n.Read(t.Context(), ReadOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if v.Epoch() == look.Replica.Epoch || v.Rev() <= look.Replica.Rev {
			t.Errorf("at %d.%d, was at %d.%d", v.Epoch(), v.Rev(), look.Replica.Epoch, look.Replica.Rev)
		}
		v.Close()
		titles, err := s.titles(best, Stale)
		if err != nil || len(titles) <= 61 {
			t.Errorf("%d entries, %v: the uncommitted ones are gone", len(titles), err)
		}
		s.check()
		oldGroupComesBack(t, s, best, look.Group)

		for _, id := range rest {
			if done, err := RecoverJoin(s.data(id), id, []string{best + ":80"}); err != nil || done.Aside != "before-recover-1" {
				t.Fatalf("%+v, %v", done, err)
			}
			if _, err := s.start(id, nil); err != nil {
				t.Fatal(err)
			}
		}
		s.await("three voters", func() bool {
			l := s.leader()
			return l != nil && len(voters(l.engine().configuration())) == 3
		})
		for _, id := range s.ids {
			s.acknowledged(id)
		}
		s.check()
	})
}

// oldGroupComesBack starts the nodes that were lost, which are a majority of the old group, beside the new one.
func oldGroupComesBack(t *testing.T, s *sim, best, old string) {
	rest := s.others(best)
	for _, id := range rest {
		if _, err := s.start(id, nil); err != nil {
			t.Fatal(err)
		}
	}
	theirs := func() *Node {
		for _, id := range rest {
			if e := s.node(id).engine(); e.term.Load() != nil {
				return s.node(id)
			}
		}
		return nil
	}
	s.await("a leader of the old group", func() bool { return theirs() != nil })
	if _, err := theirs().Write(t.Context(), addCommand("theirs", "x"), WriteOptions{}); err != nil {
		t.Error(err)
	}
	for range 20 {
		s.acknowledged(best)
		time.Sleep(500 * time.Millisecond)
	}
	for _, id := range rest {
		if got := s.node(id).groupID(); got != old {
			t.Errorf("%s is of group %s", id, got)
		}
		s.crash(id)
	}
	titles, err := s.titles(best, Stale)
	if err != nil || slices.Contains(titles, "x") {
		t.Errorf("the new group has an entry of the old one's: %v", err)
	}
	if m := s.node(best).Cluster().Members; len(m) != 1 {
		t.Errorf("members %+v", m)
	}
}

// What is no survivor is refused, and stays as it is.
func TestRecoverRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, best := survivors(t)
		set := func(phase string) func(string) {
			return func(dir string) {
				f := &folder{dir: dir}
				var err error
				if f.state, err = readState(dir, best); err != nil {
					t.Fatal(err)
				}
				if err := f.change(func(st *folderState) { st.Phase = phase }); err != nil {
					t.Fatal(err)
				}
			}
		}
		remove := func(names ...string) func(string) {
			return func(dir string) {
				for _, name := range names {
					if err := os.Remove(filepath.Join(dir, name)); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
		for _, c := range []struct {
			name    string
			prepare func(dir string)
			code    int
			says    string
		}{
			{"not a member yet", set(phaseJoining), ExitFolderRefused, "no member of a group (joining)"},
			{"removed", set(phaseRemoved), ExitFolderRefused, "no member of a group (removed)"},
			{"holds nothing", remove(logName, replicaName), ExitFolderRefused, "holds nothing"},
			{"no node", remove(nodeName), ExitFailed, "no folder of a node"},
			{"a gap", func(dir string) {
				remove(replicaName)(dir)
				cutLog(t, filepath.Join(dir, logName), 5)
			}, ExitStorage, "entries are missing"},
			{"a damaged entry", func(dir string) { damageLog(t, filepath.Join(dir, logName)) }, ExitUnknownEntry, "the log is damaged"},
			{"a damaged replica", func(dir string) {
				if err := os.WriteFile(filepath.Join(dir, replicaName), []byte(strings.Repeat("x", 1<<16)), 0o600); err != nil {
					t.Fatal(err)
				}
			}, ExitStorage, "the replica is damaged"},
		} {
			data := t.TempDir()
			dir := filepath.Join(data, best)
			copyTree(t, dir, filepath.Join(s.data(best), best))
			c.prepare(dir)
			before := tree(t, dir)
			_, err := Recover(data, best)
			var e *Exit
			if !errors.As(err, &e) || e.Code != c.code || !strings.Contains(e.Reason, c.says) || strings.Contains(e.Reason, data) {
				t.Errorf("%s: %v", c.name, err)
			}
			if after := tree(t, dir); after != before {
				t.Errorf("%s: before\n%s\nafter\n%s", c.name, before, after)
			}
		}
		if _, err := s.start(best, nil); err != nil {
			t.Fatal(err)
		}
		for _, call := range []func() error{
			func() error { _, err := Look(s.data(best), best); return err },
			func() error { _, err := Recover(s.data(best), best); return err },
			func() error { _, err := RecoverJoin(s.data(best), best, []string{"n2:80"}); return err },
		} {
			if err := call(); err == nil || asExit(err).Code != ExitFailed {
				t.Errorf("on a running node: %v", err)
			}
		}
	})
}

func copyTree(t *testing.T, to, from string) {
	t.Helper()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
}

func cutLog(t *testing.T, path string, upTo uint64) {
	t.Helper()
	logs := openTestLog(t, path)
	if err := errors.Join(logs.DeleteRange(1, upTo), logs.Close()); err != nil {
		t.Fatal(err)
	}
}

// damageLog changes the last entry without its sum.
func damageLog(t *testing.T, path string) {
	t.Helper()
	logs := openTestLog(t, path)
	last, err := logs.LastIndex()
	if err != nil {
		t.Fatal(err)
	}
	var l raft.Log
	if err := logs.GetLog(last, &l); err != nil {
		t.Fatal(err)
	}
	l.Extensions = logSum(&l)
	l.Data = append([]byte("x"), l.Data...)
	if err := errors.Join(logs.BoltStore.StoreLog(&l), logs.Close()); err != nil {
		t.Fatal(err)
	}
}

// tree are the files below a folder, but the lock.
func tree(t *testing.T, dir string) string {
	t.Helper()
	var all strings.Builder
	err := filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		if err == nil && !info.IsDir() && info.Name() != lockName {
			fmt.Fprintln(&all, strings.TrimPrefix(path, dir), info.Size())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all.String()
}

// What root recovers belongs to the service's user afterwards, as the folder does.
func TestRecoverKeepsTheOwner(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root may give files away")
	}
	synctest.Test(t, func(t *testing.T) {
		s, best := survivors(t)
		dir := filepath.Join(s.data(best), best)
		if err := os.Chown(dir, 65534, 65534); err != nil {
			t.Fatal(err)
		}
		if _, err := Recover(s.data(best), best); err != nil {
			t.Fatal(err)
		}
		err := filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
			if err == nil && info.Sys().(*syscall.Stat_t).Uid != 65534 {
				t.Errorf("%s is root's", info.Name())
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

// recoverEnv tells a process of this test's own what to recover, and at which step to die.
const recoverEnv = "TODOD_TEST_RECOVER"

// TestRecoverChild is that process.
func TestRecoverChild(t *testing.T) {
	told := strings.Split(os.Getenv(recoverEnv), "|")
	if len(told) != 4 {
		t.Skip("it is started by TestRecoverAtEveryStep")
	}
	r := &recovery{step: func(step string) {
		if step == told[3] {
			os.Exit(137)
		}
	}}
	var targets []string
	if told[2] != "" {
		targets = []string{told[2]}
	}
	if _, err := r.do(told[0], told[1], targets); err != nil {
		t.Fatal(err)
	}
}

// dieAt runs a recovery in a process that ends at a step.
func dieAt(t *testing.T, data, id, target, step string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, "-test.run", "^TestRecoverChild$")
	cmd.Env = append(os.Environ(), recoverEnv+"="+strings.Join([]string{data, id, target, step}, "|"))
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil || cmd.ProcessState.ExitCode() != 137 {
		t.Fatalf("at %q it ended with %v\n%s", step, err, out)
	}
}

// The process dies at each step of a recovery, and again at each later one when it is asked once more. Until the
// exchange is written down the folder is the old group's; from then on it cannot be started before
// recover has come to its end. Nothing is lost on the way.
func TestRecoverAtEveryStep(t *testing.T) {
	for _, target := range []string{"", "n9:80"} {
		var from *sim
		var best string
		original := t.TempDir()
		synctest.Test(t, func(t *testing.T) {
			from, best = survivors(t)
			copyTree(t, original, from.data(best))
		})
		fresh := func() string {
			data := t.TempDir()
			copyTree(t, data, original)
			return data
		}
		again := func(data string, step func(string)) *Recovered {
			t.Helper()
			var targets []string
			if target != "" {
				targets = []string{target}
			}
			done, err := (&recovery{step: step}).do(data, best, targets)
			if err != nil {
				t.Fatal(err)
			}
			return done
		}
		var steps []string
		again(fresh(), func(step string) { steps = append(steps, step) })
		if want := map[string]int{"": 11, "n9:80": 5}[target]; len(steps) != want {
			t.Errorf("%d steps, there should be %d: %q", len(steps), want, steps)
		}
		written := slices.Index(steps, "recover: the exchange is written down")
		for i, step := range steps {
			data := fresh()
			dieAt(t, data, best, target, step)
			checkStart(t, data, best, i < written, step == steps[len(steps)-1])
			if i < len(steps)-1 { // the last one leaves nothing to do
				for _, next := range steps[max(i, written)+1:] {
					twice := t.TempDir()
					copyTree(t, twice, data)
					dieAt(t, twice, best, target, next)
				}
				again(data, nil)
			}
			checkRecovered(t, from, data, best, target)
		}
	}
}

// checkStart looks whether a folder that was left in the middle may be started.
func checkStart(t *testing.T, data, id string, untouched, done bool) {
	t.Helper()
	f, err := openFolder(data, id)
	if err == nil {
		err = f.close()
	} else if asExit(err).Code != ExitFolderRefused || !strings.Contains(err.Error(), "todod recover") {
		t.Fatal(err)
	}
	if (err == nil) != (untouched || done) {
		t.Errorf("started: %v; untouched %v, done %v", err, untouched, done)
	}
}

// checkRecovered starts what came of a recovery.
func checkRecovered(t *testing.T, from *sim, data, id, target string) {
	t.Helper()
	kept, err := filepath.Glob(filepath.Join(data, id, "before-recover-*", "*"))
	if err != nil || len(kept) != 3 {
		t.Errorf("kept aside: %q, %v", kept, err)
	}
	if left, _ := filepath.Glob(filepath.Join(data, id, "*.tmp")); len(left) > 0 {
		t.Errorf("left: %q", left)
	}
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t)
		s.acked, s.unknown = slices.Clone(from.acked), slices.Clone(from.unknown)
		s.next.Store(1000)
		copyTree(t, s.data(id), data)
		if target != "" { // it asks a group that does not have its data
			s.acked = nil
			if _, err := s.start("n9", nil); err != nil {
				t.Fatal(err)
			}
			s.acknowledged("n9")
		}
		n, err := s.start(id, nil)
		if err != nil {
			t.Fatal(err)
		}
		s.await("it serves", func() bool { return n.Ready() == nil })
		s.acknowledged(id)
		s.check()
	})
}
