package fsm

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/hashicorp/raft"
	bolt "go.etcd.io/bbolt"

	"todod/fsm/todo"
)

// lived is a node that has every kind of thing a backup may hold, and leave out.
func lived(t testing.TB) *node {
	n := newNode(t)
	history(n, 0, 50)
	n.do(todoCommand(addOp("list0", "x"), patchDone("list0", 1)), todoCommand(todo.Op{Kind: todo.Delete, List: "list1", ID: 1}))
	n.do(todoCommand(todo.Op{Kind: todo.DeleteList, List: "list2"}), addCommand("\u00fcber", "undated and more"))
	n.do(todoCommand(todo.Op{Kind: todo.DeleteList, List: "list3"}), addCommand("list3", "anew"))
	return n
}

func backup(t testing.TB, n *node) []byte {
	t.Helper()
	var b bytes.Buffer
	about, err := n.r.Backup(&b, BackupInfo{Group: "g1", Node: "n1", Program: "test", Made: testTime})
	if err != nil {
		t.Fatal(err)
	}
	if about.Size != int64(b.Len()) || about.Hash != hex.EncodeToString(b.Bytes()[b.Len()-sha256.Size:]) {
		t.Fatalf("it says %d bytes and hash %s of %d bytes", about.Size, about.Hash, b.Len())
	}
	return b.Bytes()
}

func TestBackup(t *testing.T) {
	n, other := lived(t), lived(t)
	b := backup(t, n)
	other.sound() // another flush changes nothing
	if !bytes.Equal(b, backup(t, other)) {
		t.Error("two nodes with the same state made different backups")
	}
	about, err := CheckBackup(iotest.OneByteReader(bytes.NewReader(b)))
	if err != nil {
		t.Fatal(err)
	}
	v := n.view()
	defer v.Close()
	lists, _ := v.Lists("", "", 100)
	entries := uint64(0)
	for _, l := range lists {
		entries += l.Entries
	}
	h := n.r.Hash()
	want := BackupInfo{Group: "g1", Node: "n1", Program: "test", Made: testTime, Epoch: 7, Rev: v.Rev(), Index: h.Index, Time: testTime,
		Chain: h.Chain, Set: h.Set, backupCounts: backupCounts{Lists: uint64(len(lists)), Entries: entries, Deleted: 1, Keys: n.r.store.meta.Keys},
		Size: int64(len(b)), Hash: hex.EncodeToString(b[len(b)-sha256.Size:])}
	if about != want || about.Keys < 10 || about.Lists != 4 {
		t.Errorf("it is %+v, want %+v", about, want)
	}
	if !bytes.HasPrefix(b, []byte("todod backup 1\n{\"group\":\"g1\"")) {
		t.Errorf("it begins with %q", b[:60])
	}
}

// Nothing that is not what was written is taken for it.
func TestDamagedBackup(t *testing.T) {
	b := backup(t, lived(t))
	for at := range b {
		damaged := bytes.Clone(b)
		damaged[at] ^= 1 << (at % 8)
		if _, err := CheckBackup(bytes.NewReader(damaged)); !isBackupError(err) {
			t.Fatalf("a bit changed at %d: %v", at, err)
		}
		if _, err := CheckBackup(bytes.NewReader(b[:at])); !errors.Is(err, ErrDamaged) && at >= len(backupMagic) || !isBackupError(err) {
			t.Fatalf("cut at %d: %v", at, err)
		}
	}
	if _, err := CheckBackup(io.MultiReader(bytes.NewReader(b), strings.NewReader("x"))); !errors.Is(err, ErrDamaged) {
		t.Errorf("with something behind it: %v", err)
	}
	newer := append([]byte("todod backup 3\n"), b[len("todod backup 1\n"):]...)
	if _, err := CheckBackup(bytes.NewReader(newer)); !errors.Is(err, ErrUnknown) || !strings.Contains(err.Error(), "version 3") {
		t.Errorf("of a newer version: %v", err)
	}
	for _, foreign := range []string{"", "\n", "PK\x03\x04 and more than a magic", "{}"} {
		if _, err := CheckBackup(strings.NewReader(foreign)); !errors.Is(err, ErrNotBackup) {
			t.Errorf("%q: %v", foreign, err)
		}
	}
	if _, err := CheckBackup(iotest.TimeoutReader(bytes.NewReader(b))); !errors.Is(err, iotest.ErrTimeout) {
		t.Errorf("a reader that fails: %v", err)
	}
}

func isBackupError(err error) bool {
	return errors.Is(err, ErrDamaged) || errors.Is(err, ErrUnknown) || errors.Is(err, ErrNotBackup)
}

// What is written by hand, with a hash that fits, still has to make sense.
func TestBackupMustMakeSense(t *testing.T) {
	list := todo.List{Name: "bob", Num: 1, LastID: 2, Entries: 2, Open: 1, Rev: 3}
	open := todo.Entry{ID: 1, Title: "one", Date: "2018-12-19", Rev: 2}
	done := todo.Entry{ID: 2, Title: "two", Done: true, Rev: 3}
	whole := func(w *backupWriter) {
		w.record(recList, appendBackupList(nil, &list))
		w.record(recEntry, appendEntry(nil, &open))
		w.record(recEntry, appendEntry(nil, &done))
		w.about.backupCounts = backupCounts{Lists: 1, Entries: 2}
	}
	made := func(f func(w *backupWriter)) []byte {
		var b bytes.Buffer
		w := newBackupWriter(&b, &BackupInfo{Rev: 3})
		f(w)
		if err := w.end(); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	if _, err := CheckBackup(bytes.NewReader(made(whole))); err != nil {
		t.Fatal(err)
	}
	// A todod with other Unicode tables may know characters that can be seen where this one knows none.
	done.More = &todo.More{Tags: []string{"\u2fe0"}}
	if _, err := CheckBackup(bytes.NewReader(made(whole))); err != nil {
		t.Error(err)
	}
	done.More = nil
	entry := func(e todo.Entry) func(*backupWriter) {
		return func(w *backupWriter) { w.record(recEntry, appendEntry(nil, &e)); w.about.Entries++ }
	}
	another := func(name string, num uint64) func(*backupWriter) {
		return func(w *backupWriter) {
			w.record(recList, appendBackupList(nil, &todo.List{Name: name, Num: num, LastID: 4}))
			w.about.Lists++
		}
	}
	for what, change := range map[string]func(w *backupWriter){
		"an entry too many":          entry(todo.Entry{ID: 3, Title: "three"}),
		"an entry again":             entry(done),
		"lists out of order":         another("ann", 1),
		"a list twice":               another("bob", 1),
		"a name that none can have":  another("bob/x", 1),
		"a name not in NFC":          another("u\u0308", 1),
		"a count that is wrong":      func(w *backupWriter) { w.about.Keys++ },
		"an unknown record":          func(w *backupWriter) { w.record('q', nil) },
		"half a key":                 func(w *backupWriter) { w.record(recKey, make([]byte, keyHashSize)); w.about.Keys++ },
		"a result that is none":      func(w *backupWriter) { (&keyRecord{result: []byte{1}}).to(w) },
		"a list after a key":         func(w *backupWriter) { (&keyRecord{result: AppendResult(nil, &Result{})}).to(w); another("carl", 1)(w) },
		"a record of a newer kind":   func(w *backupWriter) { w.write([]byte{recList, 2, 0}) },
		"a record without a version": func(w *backupWriter) { w.write([]byte{recList, 0, 0}) },
		"a record of all memory":     func(w *backupWriter) { w.write([]byte{recList, 1, 0xff, 0xff, 0xff, 0xff, 0x7f}) },
	} {
		_, err := CheckBackup(bytes.NewReader(made(func(w *backupWriter) { whole(w); change(w) })))
		if !isBackupError(err) || errors.Is(err, ErrUnknown) != (what == "a record of a newer kind") {
			t.Errorf("%s: %v", what, err)
		}
	}
	for what, change := range map[string]func(l *todo.List, e *todo.Entry){
		"fewer entries":         func(l *todo.List, _ *todo.Entry) { l.Entries, l.LastID = 3, 3 },
		"fewer open ones":       func(l *todo.List, _ *todo.Entry) { l.Open = 2 },
		"more open ones":        func(l *todo.List, _ *todo.Entry) { l.Open = 0 },
		"an id that is to come": func(_ *todo.List, e *todo.Entry) { e.ID = 3 },
		"ids out of order":      func(_ *todo.List, e *todo.Entry) { e.ID = 1 },
		"a rev that is to come": func(_ *todo.List, e *todo.Entry) { e.Rev = 4 },
		"a list's rev":          func(l *todo.List, _ *todo.Entry) { l.Rev = 4 },
		"half a tag":            func(_ *todo.List, e *todo.Entry) { e.More = &todo.More{Tags: []string{"a,b"}} },
		"no title":              func(_ *todo.List, e *todo.Entry) { e.Title = "" },
		"no date":               func(_ *todo.List, e *todo.Entry) { e.Date = "2018-02-30" },
	} {
		wasList, wasDone := list, done
		change(&list, &done)
		if _, err := CheckBackup(bytes.NewReader(made(whole))); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %v", what, err)
		}
		list, done = wasList, wasDone
	}
}

// keyRecord writes the record of a key.
type keyRecord struct{ result []byte }

func (k *keyRecord) to(w *backupWriter) {
	w.record(recKey, appendBytes(appendBytes(appendUvarints(make([]byte, keyHashSize), 1), "print"), k.result))
	w.about.Keys++
}

// A damaged replica makes no backup, also where only the set hash tells.
func TestDamagedReplicaMakesNoBackup(t *testing.T) {
	for what, damage := range map[string]func(b *bolt.Bucket) error{
		"a changed entry": flip(numKey(tabEntry, 1, 1)),
		"a changed date":  flip(dateKey(1, "2018-12-19", 1)), // which no backup holds
		"a lost entry":    func(b *bolt.Bucket) error { return b.Delete([]byte(numKey(tabEntry, 1, 1))) },
		"a lost list":     func(b *bolt.Bucket) error { return b.Delete([]byte(textKey(tabList, "list1"))) },
	} {
		n := newNode(t)
		history(n, 0, 20)
		n.sound()
		if err := n.r.store.db.Update(func(tx *bolt.Tx) error { return damage(tx.Bucket(rowsBucket)) }); err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		_, err := n.r.Backup(&b, BackupInfo{})
		if !errors.Is(err, ErrCorrupt) || b.Len() != 0 || len(n.fatal) != 1 {
			t.Errorf("%s: %v, %d bytes, Fatal %v", what, err, b.Len(), n.fatal)
		}
	}
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

func TestBackupThatCannotBeWritten(t *testing.T) {
	n := lived(t)
	if _, err := n.r.Backup(brokenWriter{}, BackupInfo{}); !errors.Is(err, io.ErrClosedPipe) || len(n.fatal) > 0 {
		t.Errorf("%v, Fatal %v", err, n.fatal)
	}
	backup(t, n)
}

// TestGoldenBackups reads and restores the backup of each release. One that cannot be read any more is a promise broken: a
// change of the format takes a new version beside the old one.
func TestGoldenBackups(t *testing.T) {
	eachRelease(t, func(t *testing.T, dir string) {
		path := filepath.Join(dir, "lists.backup")
		if _, err := os.Stat(path); err != nil && os.Getenv("GOLDEN") == filepath.Base(dir) {
			if err := os.WriteFile(path, backup(t, lived(t)), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		about, err := CheckBackup(bytes.NewReader(b))
		if err != nil || about.Lists < 4 || about.Entries < 10 || about.Deleted < 1 || about.Keys < 10 {
			t.Errorf("%+v, %v", about, err)
		}
		n := newNode(t)
		applyGolden(t, dir, n, 0)
		index, _ := n.r.Applied()
		n.log = []*raft.Log{{Index: index}}
		stage(t, n, b)
		n.do(toRestore(b, 9))
		n.sound()
		path = filepath.Join(dir, "restored.txt")
		if _, err := os.Stat(path); err != nil && os.Getenv("GOLDEN") == filepath.Base(dir) {
			if err := os.WriteFile(path, []byte(state(n)+"\n"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if want, err := os.ReadFile(path); err != nil || string(want) != state(n)+"\n" {
			t.Errorf("restored it is %q, was %q, %v", state(n), want, err)
		}
	})
}

func FuzzBackup(f *testing.F) {
	b := backup(f, lived(f))
	f.Add(b[:len(b)-sha256.Size])
	f.Fuzz(func(t *testing.T, data []byte) {
		sum := sha256.Sum256(data) // a fuzzer does not find it by itself
		for _, data := range [][]byte{data, append(bytes.Clone(data), sum[:]...)} {
			about, err := CheckBackup(bytes.NewReader(data))
			if err == nil && (about.Size != int64(len(data)) || about.Hash != fmt.Sprintf("%x", sum)) || err != nil && !isBackupError(err) {
				t.Fatalf("%+v, %v", about, err)
			}
			if err != nil {
				continue
			}
			n := newNode(t) // what is taken can be restored
			stage(t, n, data)
			n.do(toRestore(data, 9))
			n.sound()
			n.r.Abandon()
		}
	})
}
