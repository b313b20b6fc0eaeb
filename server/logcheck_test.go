package server

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/raft"
	bolt "go.etcd.io/bbolt"

	"todod/fsm"
)

// logFolder is the folder of a member, with a log that holds entries first to last.
func logFolder(t *testing.T, first, last uint64) (data, path string) {
	t.Helper()
	data = t.TempDir()
	dir := filepath.Join(data, "n1")
	path = filepath.Join(dir, logName)
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "node.json"), []byte(`{"version":1,"id":"n1","folder":"F","group":"G","phase":"member"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	l := openLog(t, path)
	err := l.claim("F", "G", true)
	for i := first; i <= last; i++ {
		entry := &raft.Log{Index: i, Term: 1, Type: raft.LogCommand, Data: fsm.EncodeEnvelope(fsm.Stamp{Time: int64(i), Term: 1}, nil)}
		err = errors.Join(err, l.StoreLog(entry))
	}
	if err := errors.Join(err, l.Close()); err != nil {
		t.Fatal(err)
	}
	return data, path
}

func openLog(t *testing.T, path string) *logStore {
	t.Helper()
	l, err := openLogStore(path, true, newUnderway(), func(err error) { t.Errorf("the log ended its node: %v", err) })
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// wantRefused opens the node and compares why that was refused.
func wantRefused(t *testing.T, data string, code int, says string) {
	t.Helper()
	n, err := Open(Config{ID: "n1", Data: data, Raft: "127.0.0.1:0", AdvertiseHTTP: "127.0.0.1:1", NoSync: true})
	if err == nil {
		n.Close()
	}
	var e *Exit
	if !errors.As(err, &e) || e.Code != code || !strings.Contains(e.Reason, says) || strings.Contains(e.Reason, data) {
		t.Errorf("got %+v, want %d and %q", err, code, says)
	}
}

// A replica that ends before the log begins lacks what nothing can give back to it, and Raft would look for it in vain. A
// lost one is made anew only from a log that tells all.
func TestReplicaBehindTheLog(t *testing.T) {
	for _, c := range []struct {
		name        string
		first, last uint64
	}{
		{"the log was cut", 5, 8},
		{"the log is empty: a received replica cleared it", 1, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			data, _ := logFolder(t, c.first, c.last)
			wantRefused(t, data, ExitStorage, "replica is damaged")
		})
	}
	t.Run("an old one was put back", func(t *testing.T) {
		data, _ := logFolder(t, 5, 8)
		r, err := fsm.Open(fsm.Config{Dir: filepath.Join(data, "n1"), NoSync: true})
		if err := errors.Join(err, r.Close()); err != nil {
			t.Fatal(err)
		}
		wantRefused(t, data, ExitStorage, "replica is damaged")
	})
}

// An entry that is missing among the others.
func TestHoleInTheLog(t *testing.T) {
	data, path := logFolder(t, 1, 8)
	l := openLog(t, path)
	if err := errors.Join(l.DeleteRange(3, 3), l.Close()); err != nil {
		t.Fatal(err)
	}
	wantRefused(t, data, ExitUnknownEntry, "missing")
	var why *Exit
	if _, err := Verify(data, "n1"); !errors.As(err, &why) || why.Code != ExitUnknownEntry {
		t.Errorf("verify: %v", err)
	}
}

// Entries that are missing below where the replica stands are what a crash left of a log that a received replica had made
// void, and of no use to anybody.
func TestHoleBelowTheReplica(t *testing.T) {
	data, path := logFolder(t, 1, 8)
	r, err := fsm.Open(fsm.Config{Dir: filepath.Join(data, "n1"), NoSync: true, Group: "G"})
	if err != nil {
		t.Fatal(err)
	}
	l := openLog(t, path)
	for i := uint64(1); i <= 5; i++ {
		var entry raft.Log
		if err := l.GetLog(i, &entry); err != nil {
			t.Fatal(err)
		}
		r.Apply(&entry)
	}
	if err := errors.Join(l.DeleteRange(3, 5), l.Close(), r.Close()); err != nil {
		t.Fatal(err)
	}
	if v, err := Verify(data, "n1"); err != nil || v.FirstIndex != 1 || v.LastIndex != 8 {
		t.Errorf("verify: %+v, %v", v, err)
	}
	n, err := Open(Config{ID: "n1", Data: data, Raft: "127.0.0.1:0", AdvertiseHTTP: "127.0.0.1:1", NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Close(); err != nil {
		t.Error(err)
	}
}

// A damaged entry is found at the start, also where the replica has what it came to: else it would be found by the first
// node that needs it again.
func TestDamagedEntryBelowTheReplica(t *testing.T) {
	data, path := logFolder(t, 1, 8)
	r, err := fsm.Open(fsm.Config{Dir: filepath.Join(data, "n1"), NoSync: true, Group: "G"})
	if err != nil {
		t.Fatal(err)
	}
	l := openLog(t, path)
	for i := uint64(1); i <= 8; i++ {
		entry := raft.Log{Index: i, Term: 1, Type: raft.LogCommand, Data: fsm.EncodeEnvelope(fsm.Stamp{Time: int64(i), Term: 1}, nil)}
		r.Apply(&entry)
		if entry.Extensions = logSum(&entry); i == 3 {
			entry.Data[0] ^= 1
			err = l.BoltStore.StoreLog(&entry)
		}
	}
	if err := errors.Join(err, l.Close(), r.Close()); err != nil {
		t.Fatal(err)
	}
	wantRefused(t, data, ExitUnknownEntry, "log entry 3")
	var why *Exit
	if _, err := Verify(data, "n1"); !errors.As(err, &why) || why.Code != ExitUnknownEntry {
		t.Errorf("verify: %v", err)
	}
}

// A log is its owner's word. It is taken for nobody else's, not even for that of the same folder in
// another group.
func TestLogOwner(t *testing.T) {
	data, path := logFolder(t, 1, 3)
	edit := func(change func(b *bolt.Bucket) error) {
		t.Helper()
		db, err := bolt.Open(path, 0o600, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(db.Update(func(tx *bolt.Tx) error { return change(tx.Bucket([]byte("conf"))) }), db.Close()); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		owner string // "" for none
		code  int
		says  string
	}{
		{`{"version":1,"folder":"OTHER","group":"G"}`, ExitFolderRefused, "another data folder"},
		{`{"version":1,"folder":"F","group":"OTHER"}`, ExitFolderRefused, "another data folder"},
		{`{"version":2,"folder":"F","group":"G"}`, ExitFolderRefused, "newer todod"},
		{`{"version":`, ExitUnknownEntry, "log is damaged"},
		{"", ExitUnknownEntry, "log is damaged"},
	} {
		edit(func(b *bolt.Bucket) error {
			if c.owner == "" {
				return b.Delete(ownerKey)
			}
			return b.Put(ownerKey, []byte(c.owner))
		})
		wantRefused(t, data, c.code, c.says)
	}
}

// Whatever page of a log is overwritten, the log is refused or all in it is what it was: the program never ends
// with a panic of bolt, and no entry is given out that was not stored.
func TestDamagedPagesOfTheLog(t *testing.T) {
	_, path := logFolder(t, 1, 300)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	const page = 4096
	bad := map[string][]byte{
		"zeros": make([]byte, page), "ones": []byte(strings.Repeat("\xff", page)),
		"the page before": nil, "its header": nil, "a count": nil,
	}
	refused := 0
	for at := 0; at+page <= len(whole); at += page {
		for name, with := range bad {
			b := append([]byte(nil), whole...)
			switch name {
			case "the page before":
				copy(b[at:at+page], whole[max(0, at-page):])
			case "its header":
				binary.LittleEndian.PutUint64(b[at:], uint64(at))
			case "a count":
				binary.LittleEndian.PutUint16(b[at+10:], 0xfff0)
			default:
				copy(b[at:at+page], with)
			}
			if !soundLog(t, b, 300) {
				refused++
			}
		}
	}
	if refused == 0 {
		t.Error("nothing was refused")
	}
	t.Logf("%d of %d damaged logs were refused", refused, len(whole)/page*len(bad))
}

// soundLog opens a log and reads it: false if it was refused.
func soundLog(t *testing.T, b []byte, last uint64) bool {
	t.Helper()
	path := filepath.Join(t.TempDir(), logName)
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	damaged := 0
	l, err := openLogStore(path, true, newUnderway(), func(error) { damaged++ })
	if err != nil {
		if !errors.Is(err, fsm.ErrDamaged) {
			t.Errorf("refused with %v", err)
		}
		return false
	}
	defer l.Close()
	for i := uint64(1); i <= last; i++ {
		var log raft.Log
		if err := l.GetLog(i, &log); err == nil && string(log.Data) != string(fsm.EncodeEnvelope(fsm.Stamp{Time: int64(i), Term: 1}, nil)) {
			t.Error(fmt.Errorf("entry %d is another one", i))
		} else if err != nil && (damaged == 0 && !errors.Is(err, raft.ErrLogNotFound)) {
			t.Errorf("entry %d: %v, and its node goes on", i, err)
		} else if err != nil {
			return false
		}
	}
	return true
}
