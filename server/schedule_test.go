package server

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"todod/fsm"
)

// scheduled starts a group of one with a schedule.
func scheduled(s *sim, dir string) (*Node, func(*Config)) {
	s.t.Helper()
	set := func(c *Config) { c.BackupDir, c.BackupEvery, c.BackupKeep = dir, 10*time.Second, 3 }
	n, err := s.start("n1", set)
	if err != nil {
		s.t.Fatal(err)
	}
	s.await("a leader", func() bool { return s.leader() != nil })
	return n, set
}

func names(t *testing.T, dir string) (names []string) {
	t.Helper()
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		names = append(names, f.Name())
	}
	return names
}

// happened counts the events of a type.
func (n *Node) happened(typ string) (times int) {
	got, _ := n.events.since(0)
	for _, e := range got {
		if e.Type == typ {
			times++
		}
	}
	return times
}

func TestSchedule(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t)
		dir := filepath.Join(t.TempDir(), "made", "for it")
		n, set := scheduled(s, dir)
		s.adds(3)
		time.Sleep(time.Second)
		first := names(t, dir)
		if len(first) != 1 {
			t.Fatalf("after the start there are %v", first)
		}
		// What others put there stays: under a name of the schedule's kind too.
		by := s.backup("n1")
		mine := map[string][]byte{"notes.txt": []byte("x"), "todod-n1-20000101T000000Z-3.backup": by, "todod-n1-of-mine.backup": by,
			"todod-n1-20000101T000000Z-9.backup": []byte("no backup"), ".todod-n1-notes.tmp": []byte("x")}
		copied, err := os.ReadFile(filepath.Join(dir, first[0]))
		if err != nil {
			t.Fatal(err)
		}
		mine["todod-n1-copy of a scheduled one.backup"] = copied
		for name, b := range mine {
			if name == first[0] {
				t.Fatal("the test writes over a backup")
			}
			if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Mkdir(filepath.Join(dir, "todod-n1-folder.backup"), 0o700); err != nil {
			t.Fatal(err)
		}
		// A crash left this one half done.
		half := "." + first[0] + ".tmp"
		if err := os.WriteFile(filepath.Join(dir, half), copied[:len(copied)-1], 0o600); err != nil {
			t.Fatal(err)
		}
		time.Sleep(55 * time.Second)
		s.adds(1)
		now := names(t, dir)
		for name := range mine {
			if !slices.Contains(now, name) {
				t.Errorf("%s is gone", name)
			}
		}
		if got := len(now) - len(mine) - 1; got != 3 || slices.Contains(now, first[0]) || slices.Contains(now, half) {
			t.Errorf("%d backups are kept: %v", got, now)
		}
		for _, name := range now {
			b, err := os.Open(filepath.Join(dir, name))
			if err != nil {
				t.Fatal(err)
			}
			about, err := fsm.CheckBackup(b)
			b.Close()
			if err == nil && strings.HasSuffix(name, "-3.backup") && (about.Entries != 3 || about.Node != "n1") {
				t.Errorf("%s: %+v, %v", name, about, err)
			}
		}
		if made := n.happened(BackupMade); made != 6 || n.happened(BackupFailed) != 0 {
			t.Errorf("%d were made", made)
		}
		// A restart makes none before its time.
		s.crash("n1")
		if _, err := s.start("n1", set); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		if again := names(t, dir); fmt.Sprint(again) != fmt.Sprint(now) {
			t.Errorf("after the restart there are %v, were %v", again, now)
		}
		time.Sleep(8 * time.Second)
		if again := names(t, dir); fmt.Sprint(again) == fmt.Sprint(now) {
			t.Errorf("no backup came after the restart: %v", again)
		}
	})
}

// A backup that fails is told, once as an event, counted, tried again, and leaves nothing.
func TestScheduleFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t)
		dir := filepath.Join(t.TempDir(), "backups")
		n, _ := scheduled(s, dir)
		s.adds(3)
		time.Sleep(time.Second)
		before := names(t, dir)
		if err := os.Rename(dir, dir+".away"); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(dir, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		time.Sleep(45 * time.Second)
		if failed, told := n.schedule.failures.Load(), n.happened(BackupFailed); failed < 3 || told != 1 {
			t.Errorf("it failed %d times and was told %d times", failed, told)
		}
		if err := os.Remove(dir); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(dir+".away", dir); err != nil {
			t.Fatal(err)
		}
		time.Sleep(11 * time.Second)
		after := names(t, dir)
		if len(after) != len(before)+1 || strings.Contains(fmt.Sprint(after), ".tmp") {
			t.Errorf("there are %v, were %v", after, before)
		}
		s.check()
	})
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(Config{ID: "n1", Data: t.TempDir(), Raft: "127.0.0.1:0", AdvertiseHTTP: "h:1", BackupDir: filepath.Join(file, "x")}); err == nil ||
		!strings.Contains(err.Error(), "--backup-dir") {
		t.Errorf("a folder that cannot be made: %v", err)
	}
}
