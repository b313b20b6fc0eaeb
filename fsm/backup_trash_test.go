package fsm

import (
	"bytes"
	"errors"
	"testing"

	"todod/fsm/todo"
)

// littered is a node of a group of version 2 with all that trash and history may hold.
func littered(t *testing.T) *node {
	n := newNode2(t)
	under := addOp("bob", "below")
	under.Fields.More = &todo.More{Parent: 1}
	n.do(todo2(addOp("bob", "a"), under, addOp("bob", "c"), addOp("bob", "d"), addOp("eve", "e"), addOp("eve", "f")))
	n.do(todo2(titleOp("bob", 2, "b"), titleOp("bob", 3, "c2"), titleOp("eve", 1, "secret")))
	n.do(todo2(titleOp("bob", 3, "c3")))
	n.do(todo2(deleteOp("bob", 1)))
	n.do(todo2(deleteOp("eve", 1), purgeOp("eve", 1)))
	n.do(todo2(todo.Op{Kind: todo.Move, List: "bob", ID: 4, To: "eve"}))
	n.do(todo2(addOp("gone", "g")), todo2(deleteOp("gone", 1)), todo2(todo.Op{Kind: todo.DeleteList, List: "gone"}))
	return n
}

// Trash and history come back with a backup, and go on from there; what was deleted for good does not.
func TestBackupOfTrashAndHistory(t *testing.T) {
	n := littered(t)
	b := backup(t, n)
	if !bytes.HasPrefix(b, []byte("todod backup 2\n")) {
		t.Errorf("it begins with %q", b[:20])
	}
	if bytes.Contains(b, []byte("secret")) {
		t.Error("it has what was deleted for good")
	}
	about, err := CheckBackup(bytes.NewReader(b))
	if err != nil || about.Needs != 2 || about.Trash != 3 || about.Traces != 6 {
		t.Errorf("it is %+v, %v", about, err)
	}
	other := newNode2(t)
	other.do(todo2(addOp("bob", "another")), todo2(deleteOp("bob", 1)))
	for _, n := range []*node{n, other} {
		stage(t, n, b)
		n.do(toRestore(b, 9))
		n.sound()
		if got := trashOf(n, "bob") + "|" + trashOf(n, "eve"); got != "1 2|" {
			t.Errorf("the trash holds %s", got)
		}
		if got := historyOf(n, "bob", 3); got != "3:3 c2>c3 2:3 c>c2" {
			t.Errorf("the history is %s", got)
		}
		if got := historyOf(n, "bob", 2); got != "4:4 > 2:3 below>b" {
			t.Errorf("the history in the trash is %s", got)
		}
		if res := n.do(todo2(deleteOp("bob", 4)))[0]; res.Code != todo.Moved {
			t.Errorf("the entry that moved: %d", res.Code)
		}
		if res := n.do(todo2(todo.Op{Kind: todo.Undo, Rev: 4}))[0]; res.Code != todo.Forgotten {
			t.Errorf("a change of before the backup is undone: %d", res.Code)
		}
		if res := n.do(todo2(restoreOp("bob", 1)))[0]; res.Code != todo.OK || n.titles("bob") != "a b c3" {
			t.Errorf("%d, %s", res.Code, n.titles("bob"))
		}
		n.do(todo2(todo.Op{Kind: todo.DeleteList, List: "bob"}), todo2(todo.Op{Kind: todo.DeleteList, List: "eve"}))
		for n.r.Garbage() > 0 {
			n.do(sweepCommand(2))
		}
		if got := left(n, listTables...); got != "" || n.r.store.meta.HistoryBytes != 0 {
			t.Errorf("rows are left in %s, %d bytes of history", got, n.r.store.meta.HistoryBytes)
		}
		n.sound()
	}
}

// A backup of before the group had trash is read as ever, and says so to an older program.
func TestBackupOfVersion1(t *testing.T) {
	b := backup(t, lived(t))
	about, err := CheckBackup(bytes.NewReader(b))
	if err != nil || about.Needs != 0 || !bytes.HasPrefix(b, []byte("todod backup 1\n")) || bytes.Contains(b, []byte(`"needs"`)) {
		t.Errorf("it is %+v, %v", about, err)
	}
}

func TestDamagedBackupOfTrash(t *testing.T) {
	b := backup(t, littered(t))
	for at := range b {
		damaged := bytes.Clone(b)
		damaged[at] ^= 1 << (at % 8)
		if _, err := CheckBackup(bytes.NewReader(damaged)); !isBackupError(err) {
			t.Fatalf("a bit changed at %d: %v", at, err)
		}
	}
}

// Trash that is written by hand has to make sense too.
func TestTrashOfABackupMustMakeSense(t *testing.T) {
	list := todo.List{Name: "bob", Num: 1, LastID: 3, Entries: 1, Open: 1, Rev: 3}
	entry := func(id uint64) todo.Entry { return todo.Entry{ID: id, Title: "one", Rev: 2} }
	trash := func(id uint64) func(*backupWriter) {
		return func(w *backupWriter) {
			w.record(recTrash, appendTrashed(nil, &todo.Trashed{Kind: todo.Deleted, Rev: 3, Entry: entry(id)}))
			w.about.Trash++
		}
	}
	trace := func(id, count uint64, t todo.Trace) func(*backupWriter) {
		return func(w *backupWriter) {
			w.record(recTrace, appendTrace(appendUvarints(nil, id, count), &t))
			w.about.Traces++
		}
	}
	made := func(needs uint64, parts ...func(w *backupWriter)) []byte {
		var b bytes.Buffer
		w := newBackupWriter(&b, &BackupInfo{Rev: 3, Needs: needs})
		w.record(recList, appendBackupList(nil, &list))
		one := entry(1)
		w.record(recEntry, appendEntry(nil, &one))
		w.about.backupCounts = backupCounts{Lists: 1, Entries: 1}
		for _, part := range parts {
			part(w)
		}
		if err := w.end(); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	good := []func(*backupWriter){trash(2), trash(3), trace(1, 2, todo.Trace{Rev: 2}), trace(1, 1, todo.Trace{Rev: 1}), trace(2, 1, todo.Trace{Rev: 3})}
	n := newNode2(t)
	if _, err := n.r.Stage(bytes.NewReader(made(2, good...)), true); err != nil {
		t.Fatal(err)
	}
	for what, b := range map[string][]byte{
		"trash in version 1":       made(0, trash(2)),
		"a later version":          made(3, trash(2)),
		"twice in the trash":       made(2, trash(2), trash(2)),
		"out of order":             made(2, trash(3), trash(2)),
		"an id never given":        made(2, trash(4)),
		"in the trash and not":     made(2, trash(1)),
		"trash behind a history":   made(2, trace(1, 1, todo.Trace{}), trash(2)),
		"a change of a later rev":  made(2, trace(1, 1, todo.Trace{Rev: 4})),
		"changes out of order":     made(2, trace(1, 1, todo.Trace{}), trace(1, 2, todo.Trace{})),
		"the history of no entry":  made(2, trace(0, 1, todo.Trace{})),
		"a title that none can be": made(2, trace(1, 1, todo.Trace{From: todo.Fields{Title: "a\x07"}})),
		"a count that is wrong":    made(2, func(w *backupWriter) { w.about.Trash++ }),
	} {
		if _, err := n.r.Stage(bytes.NewReader(b), true); !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrUnknown) {
			t.Errorf("%s: %v", what, err)
		}
	}
}
