package server

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"

	"todod/fsm/todo"
)

func openTestLog(t *testing.T, path string) *logStore {
	t.Helper()
	s, err := openLogStore(path, true, newUnderway(), func(err error) { t.Error(err) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() }) // a second time is an error
	return s
}

// A log that was long once gives its room back at a start, and says nothing else than before. What a crash
// left of an earlier attempt does no harm.
func TestLogIsShrunk(t *testing.T) {
	path := filepath.Join(t.TempDir(), logName)
	s := openTestLog(t, path)
	const last, kept = 3000, 1000
	data := func(i int) []byte { return bytes.Repeat([]byte{byte(i)}, 4096) }
	var logs []*raft.Log
	for i := 1; i <= last; i++ {
		logs = append(logs, &raft.Log{Index: uint64(i), Term: 3, Data: data(i)})
	}
	if err := s.StoreLogs(logs); err != nil {
		t.Fatal(err)
	}
	if err := s.SetUint64(termKey, 7); err != nil {
		t.Fatal(err)
	}
	reopen := func() (before, after logRoom) {
		t.Helper()
		before = s.room()
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path+".tmp", []byte("half of a file"), 0o600); err != nil {
			t.Fatal(err)
		}
		s = openTestLog(t, path)
		if _, err := os.Stat(path + ".tmp"); err == nil {
			t.Error("what a crash left is still there")
		}
		return before, s.room()
	}
	if before, after := reopen(); after.size < before.size {
		t.Errorf("a file in use was written anew: %+v, then %+v", before, after)
	}
	if s.bytes.Load() < last*4096 {
		t.Errorf("%d bytes count as not yet in a snapshot", s.bytes.Load())
	}
	if err := s.DeleteRange(1, last-kept); err != nil {
		t.Fatal(err)
	}
	before, after := reopen()
	if before.free == 0 || after.size > before.size/2 || after.free > after.size/2 {
		t.Errorf("the file had %+v and has %+v", before, after)
	}
	if term, err := s.GetUint64(termKey); err != nil || term != 7 || s.term.now.Load() != 7 {
		t.Errorf("the term is %d, %v", term, err)
	}
	first, _ := s.FirstIndex()
	end, _ := s.LastIndex()
	if first != last-kept+1 || end != last {
		t.Errorf("the log goes from %d to %d", first, end)
	}
	for i := first; i <= end; i++ {
		var l raft.Log
		if err := s.GetLog(i, &l); err != nil || l.Term != 3 || !bytes.Equal(l.Data, data(int(i))) {
			t.Fatalf("entry %d: %v", i, err)
		}
	}
}

// A node that is restarted every few entries cuts its log all the same: Raft takes the replica for the
// last snapshot at each start, and by its own count nothing would ever be due.
func TestRestartsDoNotKeepTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t)
		const most = trailingLogs + snapshotEntries
		const each = 400
		for round := range most/each + 5 {
			if _, err := s.start("n1", nil); err != nil {
				t.Fatal(err)
			}
			s.acknowledged("n1")
			for range each {
				if _, err := s.add("n1", "bob", WriteOptions{}); err != nil {
					t.Fatal(err)
				}
			}
			time.Sleep(2 * compactEvery)
			logs := s.node("n1").engine().logs
			first, _ := logs.FirstIndex()
			last, _ := logs.LastIndex()
			if last-first > most+each {
				t.Fatalf("after %d starts the log goes from %d to %d", round+1, first, last)
			}
			if cut := first > 1; cut != (last > most) {
				t.Errorf("after %d starts the log goes from %d to %d", round+1, first, last)
			}
			s.crash("n1")
		}
		if _, err := s.start("n1", nil); err != nil {
			t.Fatal(err)
		}
		s.check()
	})
}

// Long entries are cut by their bytes: 1,024 of them would be a gigabyte.
func TestLogOfLongEntriesIsShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t)
		s.group(1)
		var long todo.Command
		for range 1000 {
			long.Ops = append(long.Ops, todo.Op{Kind: todo.Add, List: "bob", Fields: todo.Fields{Title: strings.Repeat("x", 900)}})
		}
		n := s.leader()
		for range 2*snapshotBytes/900_000 + 1 {
			if _, err := n.Write(context.Background(), long, WriteOptions{}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(2 * compactEvery)
		}
		logs := n.engine().logs
		first, _ := logs.FirstIndex()
		last, _ := logs.LastIndex()
		if kept := last - first; first == 1 || kept > (trailingBytes+snapshotBytes)/900_000+2 {
			t.Errorf("the log goes from %d to %d", first, last)
		}
	})
}
