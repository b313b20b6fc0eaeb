package server

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"todod/fsm"

	"github.com/hashicorp/raft"
)

// A stopped process makes no ticks: what was under way is no older when it wakes.
func TestAgeOfWrites(t *testing.T) {
	u := newUnderway()
	tick := func(wantOldest, wantFresh uint64) {
		t.Helper()
		if oldest, fresh := u.tick(); oldest != wantOldest || fresh != wantFresh {
			t.Errorf("oldest %d, fresh %d, want %d and %d", oldest, fresh, wantOldest, wantFresh)
		}
	}
	tick(0, 1)
	a := u.begin()
	tick(1, 2)
	b := u.begin()
	tick(2, 3)
	u.end(b) // began at tick 2
	tick(3, 2)
	u.end(a)
	tick(0, 3)
	c := u.begin()
	u.drop(c) // says nothing
	tick(0, 4)
}

// What the log cannot read is told once, before Raft sees it. The store is of no use after that: a
// fault leaves bolt's locks as they were.
func TestLogReportsFaults(t *testing.T) {
	for what, read := range map[string]func(*logStore) error{
		"an entry":   func(s *logStore) error { return s.GetLog(1, new(raft.Log)) },
		"the first":  func(s *logStore) error { _, err := s.FirstIndex(); return err },
		"the last":   func(s *logStore) error { _, err := s.LastIndex(); return err },
		"a new vote": func(s *logStore) error { return s.Set([]byte("LastVoteCand"), []byte("n2")) },
	} {
		var told []error
		path := filepath.Join(t.TempDir(), logName)
		s, err := openLogStore(path, true, newUnderway(), func(err error) { told = append(told, err) })
		if err != nil {
			t.Fatal(err)
		}
		if err := s.StoreLog(&raft.Log{Index: 1, Term: 1, Data: make([]byte, 1<<20)}); err != nil {
			t.Fatal(err)
		}
		if err := read(s); len(told) > 0 {
			t.Errorf("%s: told of %v, and got %v, before anything was wrong", what, told, err)
		}
		if err := os.Truncate(path, 4096); err != nil { // as if the pages could not be read
			t.Fatal(err)
		}
		if err := read(s); err == nil || len(told) != 1 {
			t.Errorf("%s: %v, told of %v", what, err, told)
		}
	}
}

// That something is not there is no fault.
func TestMissingIsNoFault(t *testing.T) {
	s, err := openLogStore(filepath.Join(t.TempDir(), logName), true, newUnderway(), func(err error) { t.Errorf("told of %v", err) })
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.GetLog(2, new(raft.Log)); err != raft.ErrLogNotFound {
		t.Errorf("a missing entry: %v", err)
	}
	// Raft knows a first start by this very text.
	if _, err := s.GetUint64([]byte("CurrentTerm")); err == nil || err.Error() != "not found" {
		t.Errorf("a missing term: %v", err)
	}
}

// A closed log is no failed disk: peers may ask until the very end.
func TestClosedLogIsNoFault(t *testing.T) {
	s, err := openLogStore(filepath.Join(t.TempDir(), logName), true, newUnderway(), func(err error) { t.Errorf("told of %v", err) })
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if s.GetLog(1, new(raft.Log)) == nil || s.SetUint64([]byte("k"), 1) == nil {
		t.Error("a closed log answers")
	}
}

// The sentence for a full disk says so, and names no path.
func TestFullDiskSentence(t *testing.T) {
	n := &Node{log: newSim(t).log, ended: make(chan struct{})}
	n.storageFailed(fmt.Errorf("write the log: %w", &os.PathError{Op: "write", Path: "/data/n1/raft.db", Err: syscall.ENOSPC}))
	want := "the disk is full: free some room, then start the node again (no space left on device)"
	if why := n.Err(); why.Code != ExitStorage || why.Reason != want {
		t.Errorf("%d %q", why.Code, why.Reason)
	}
	damaged := &Node{log: n.log, ended: make(chan struct{})}
	damaged.storageFailed(fmt.Errorf("read the log: %w", fsm.ErrDamaged))
	if code := damaged.Err().Code; code != ExitUnknownEntry {
		t.Errorf("a damaged entry: code %d", code)
	}
}
