package fsm

import (
	"fmt"
	"strings"
	"testing"

	"todod/fsm/todo"
)

// newNode2 is a node of a group of version 2.
func newNode2(t *testing.T) *node {
	t.Helper()
	n := newNode(t)
	n.do(raise(2))
	return n
}

func deleteOp(list string, id uint64) todo.Op {
	return todo.Op{Kind: todo.Delete, List: list, ID: id}
}
func restoreOp(list string, id uint64) todo.Op {
	return todo.Op{Kind: todo.Restore, List: list, ID: id}
}
func purgeOp(list string, id uint64) todo.Op { return todo.Op{Kind: todo.Purge, List: list, ID: id} }

func titleOp(list string, id uint64, title string) todo.Op {
	return todo.Op{Kind: todo.Patch, List: list, ID: id, Fields: todo.Fields{Set: todo.FieldTitle, Title: title}}
}

func purgeCommand(rows uint64) *Command {
	return &Command{Type: TypePurge, Version: 1, Payload: Purge{rows}.Encode()}
}

func sweepCommand(rows uint64) *Command {
	return &Command{Type: TypeSweep, Version: 1, Payload: Sweep{rows}.Encode()}
}

// trashOf are the ids in the trash of a list, read in pages of two.
func trashOf(n *node, list string) string {
	n.tb.Helper()
	v := n.view()
	defer v.Close()
	var ids []string
	for from := uint64(0); ; {
		page, more := v.Trash(list, from, 2)
		for i := range page {
			from = page[i].Entry.ID
			ids = append(ids, fmt.Sprint(from))
		}
		if !more {
			return strings.Join(ids, " ")
		}
	}
}

// historyOf are the changes of an entry, the newest first, read in pages of two.
func historyOf(n *node, list string, id uint64) string {
	n.tb.Helper()
	v := n.view()
	defer v.Close()
	var all []string
	for below := uint64(0); ; {
		page, more, ok := v.History(list, id, below, 2)
		if !ok {
			return "none"
		}
		for i := range page {
			below = page[i].Count
			all = append(all, fmt.Sprintf("%d:%d %s>%s", page[i].Rev, page[i].Kind, page[i].From.Title, page[i].To.Title))
		}
		if !more {
			return strings.Join(all, " ")
		}
	}
}

// left are the tables that have a row, by their letters.
func left(n *node, tables ...byte) string {
	n.tb.Helper()
	v := n.view()
	defer v.Close()
	var rows []byte
	for _, table := range tables {
		if v.rows.first(string(table)) != "" {
			rows = append(rows, table)
		}
	}
	return string(rows)
}

var listTables = []byte{tabEntry, tabDate, tabUID, tabParent, tabTrash, tabQueue, tabHistory, tabTraces, tabGarbage}

// What is deleted is in the trash over a flush, a crash and a snapshot, comes back with its id, and is gone with
// its list.
func TestTrashIsKept(t *testing.T) {
	n := newNode2(t)
	n.do(todo2(addOp("bob", "a"), addOp("bob", "b"), addOp("bob", "c")))
	n.do(todo2(titleOp("bob", 2, "b2")))
	n.do(todo2(deleteOp("bob", 1), deleteOp("bob", 2)))
	n.do(todo2(restoreOp("bob", 1)))
	check := func(n *node) {
		t.Helper()
		if got := n.titles("bob") + "|" + trashOf(n, "bob"); got != "a c|2" {
			t.Errorf("there is %s", got)
		}
		if got := historyOf(n, "bob", 1); got != "4:6 > 3:4 >" {
			t.Errorf("1 was changed: %s", got)
		}
		if got := historyOf(n, "bob", 2); got != "3:4 > 2:3 b>b2" {
			t.Errorf("2 was changed: %s", got)
		}
	}
	check(n)
	n.sound()
	check(n)
	n.crash()
	check(n)
	other := newNode2(t)
	if err := n.snapshot(uint64(len(n.log))); err != nil {
		t.Fatal(err)
	}
	if err := send(n, other); err != nil {
		t.Fatal(err)
	}
	check(other)
	n.do(todo2(todo.Op{Kind: todo.DeleteList, List: "bob"}), addCommand("bob", "anew"))
	if got := trashOf(n, "bob"); got != "" {
		t.Errorf("the list that was begun anew has %s in its trash", got)
	}
	n.do(todo2(todo.Op{Kind: todo.DeleteList, List: "bob"}))
	for n.r.Garbage() > 0 {
		n.do(sweepCommand(1))
	}
	if got := left(n, listTables...); got != "" {
		t.Errorf("rows are left in %s", got)
	}
	if bytes := n.r.store.meta.HistoryBytes; bytes != 0 {
		t.Errorf("%d bytes of history count", bytes)
	}
	n.sound()
}

// What is purged leaves nothing of it, its history neither.
func TestPurgedForGood(t *testing.T) {
	n := newNode2(t)
	n.do(todo2(addOp("bob", "a"), addOp("bob", "b")))
	n.do(todo2(titleOp("bob", 1, "secret"), titleOp("bob", 2, "c")))
	n.do(todo2(deleteOp("bob", 1), purgeOp("bob", 1)))
	n.do(todo2(deleteOp("bob", 2)))
	n.do(todo2(purgeOp("bob", 2)))
	if n.r.Garbage() != 2 {
		t.Errorf("the history of %d entries is to be swept", n.r.Garbage())
	}
	if got := historyOf(n, "bob", 1); got != "none" {
		t.Error(got)
	}
	n.sound()
	for n.r.Garbage() > 0 {
		n.do(sweepCommand(1))
	}
	if got := left(n, listTables...); got != "" {
		t.Errorf("rows are left in %s", got)
	}
	n.sound()
}

// Trash is kept for 30 days and history for 90, by the time in the log; a purge takes the oldest first, and no more
// than it is told to.
func TestPurgeByAge(t *testing.T) {
	n := newNode2(t)
	n.do(todo2(addOp("bob", "a"), addOp("bob", "b"), addOp("bob", "c"), addOp("bob", "d")), todo2(titleOp("bob", 4, "d2")))
	n.do(todo2(deleteOp("bob", 3)), todo2(deleteOp("bob", 1)))
	n.doAt(2*dayMS, todo2(deleteOp("bob", 2)))
	for _, c := range []struct {
		day    int64
		rows   uint64
		trash  string
		kept   string // the history of 4
		behind bool   // there is more to do
	}{
		{29, 100, "1 2 3", "2:3 d>d2", false},
		{30, 1, "2 3", "2:3 d>d2", true},
		{30, 100, "2", "2:3 d>d2", false},
		{31, 100, "2", "2:3 d>d2", false},
		{32, 100, "", "2:3 d>d2", false},
		{89, 100, "", "2:3 d>d2", false},
		{90, 100, "", "", true}, // what is swept goes before: the history of 1 to 3
	} {
		n.doAt(c.day*dayMS, purgeCommand(c.rows))
		if got := trashOf(n, "bob"); got != c.trash {
			t.Errorf("day %d: the trash holds %q, want %q", c.day, got, c.trash)
		}
		if got := historyOf(n, "bob", 4); got != c.kept {
			t.Errorf("day %d: the history is %q, want %q", c.day, got, c.kept)
		}
		if c.day < 90 && n.r.Outlived(testTime+c.day*dayMS) != c.behind {
			t.Errorf("day %d: it says that there is more to do: %t", c.day, !c.behind)
		}
		n.sound()
	}
	for n.r.Garbage() > 0 { // some of whose rows went by age before it came to them
		n.doAt(90*dayMS, sweepCommand(1))
	}
	if got := left(n, tabHistory, tabTraces, tabQueue, tabTrash, tabGarbage); got != "" {
		t.Errorf("rows are left in %s", got)
	}
	n.sound()
}

// A group keeps its trash for as long as it says, over restarts, snapshots and restores of backups.
func TestTrashDays(t *testing.T) {
	n := newNode2(t)
	b := backup(t, n)
	n.do(todo2(addOp("bob", "a"), addOp("bob", "b")), todo2(deleteOp("bob", 1)))
	n.do(&Command{Type: TypeSettings, Version: 1, Payload: Settings{TrashDays: 7}.Encode()})
	n.sound()
	n.crash()
	n.doAt(6*dayMS, purgeCommand(10))
	if got := trashOf(n, "bob"); got != "1" || n.r.Outlived(testTime+6*dayMS) {
		t.Errorf("after 6 days: %s", got)
	}
	if !n.r.Outlived(testTime + 7*dayMS) {
		t.Error("after 7 days it is not to be purged")
	}
	n.doAt(7*dayMS, purgeCommand(10))
	if got := trashOf(n, "bob"); got != "" {
		t.Errorf("after 7 days: %s", got)
	}
	stage(t, n, b)
	n.do(toRestore(b, 9))
	n.do(&Command{Type: TypeSettings, Version: 1, Payload: Settings{}.Encode()})
	v := n.view()
	defer v.Close()
	if v.Settings().TrashDays != 7 {
		t.Errorf("%+v", v.Settings())
	}
}

// The tables are bounded: the oldest trash of a list goes, the oldest changes of an entry, the oldest of all.
func TestTrashAndHistoryAreBounded(t *testing.T) {
	n := newNode2(t)
	n.r.limits.trash, n.r.limits.traces, n.r.limits.historyBytes = 2, 3, 500
	n.do(todo2(addOp("bob", "a"), addOp("bob", "b"), addOp("bob", "c"), addOp("bob", "d")))
	for i, id := range []uint64{4, 2, 1} {
		n.doAt(int64(i), todo2(deleteOp("bob", id)))
	}
	if got := trashOf(n, "bob"); got != "1 2" {
		t.Errorf("the trash holds %s", got)
	}
	for i := range 5 {
		n.do(todo2(titleOp("bob", 3, fmt.Sprint(i))))
	}
	if got := historyOf(n, "bob", 3); got != "9:3 3>4 8:3 2>3 7:3 1>2" {
		t.Errorf("the history is %s", got)
	}
	n.do(todo2(titleOp("bob", 3, strings.Repeat("x", 300))))
	if got := historyOf(n, "bob", 3); !strings.HasPrefix(got, "10:3 4>xxx") || strings.Contains(got, "7:3") {
		t.Errorf("the history is %s", got)
	}
	if got := historyOf(n, "bob", 1); got != "" {
		t.Errorf("the oldest of all is kept: %s", got)
	}
	if bytes := n.r.store.meta.HistoryBytes; bytes > 500 {
		t.Errorf("%d bytes of history", bytes)
	}
	n.sound()
}

// Undo works over a restart, and is answered like any command that comes again under its key.
func TestUndoIsACommandLikeOthers(t *testing.T) {
	n := newNode2(t)
	n.do(todo2(addOp("bob", "a"), addOp("bob", "b")))
	n.do(todo2(deleteOp("bob", 1), titleOp("bob", 2, "c")))
	n.crash()
	undo := keyed(todo2(todo.Op{Kind: todo.Undo, Rev: 2}), "undo it, and once only")
	res := n.do(undo, undo)
	if res[0].Code != todo.OK || len(res[0].Items) != 2 || res[0].Rev != 3 {
		t.Errorf("it came to %+v", res[0])
	}
	if !res[1].Replayed || res[1].Rev != 3 || len(res[1].Items) != 2 {
		t.Errorf("again: %+v", res[1])
	}
	if n.titles("bob") != "a b" {
		t.Error(n.titles("bob"))
	}
	n.r.limits.changeBytes, n.r.limits.changeFew, n.r.limits.changeMost = 1, 0, 0
	n.do(todo2(titleOp("bob", 2, "d")))
	n.do(todo2(titleOp("bob", 2, "e")))
	if res := n.do(todo2(todo.Op{Kind: todo.Undo, Rev: 4}))[0]; res.Code != todo.Forgotten {
		t.Errorf("what is no longer kept: %+v", res)
	}
	n.sound()
}
