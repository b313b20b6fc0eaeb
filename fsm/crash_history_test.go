package fsm

import (
	"fmt"
	"slices"
	"testing"

	"todod/fsm/todo"
)

// history2 is the log of a group that goes on to version 2, a day after the other: the first steps are those of history, each that follows
// is one of what version 1 has not, about what there is by then.
func history2(n *node, from, to int) {
	n.tb.Helper()
	for i := from; i < to; i++ {
		switch {
		case i < 10:
			history(n, i, i+1)
		case i == 10:
			n.do(raise(2))
		default:
			for _, c := range steps2[(i-11)%len(steps2)](n, i) {
				number := n.log[len(n.log)-1].Index + 1000
				if res := n.doAt(int64(i)*dayMS, numbered(c, 1, number, number-3)); res.Code != todo.OK {
					n.tb.Fatalf("step %d: %v came to code %d", i, c.Type, res.Code)
				}
			}
		}
	}
}

// steps2 are the steps of history2, in their order: some go on from the one before.
var steps2 = []func(n *node, i int) []*Command{
	func(_ *node, i int) []*Command { // a tree, and one that is known elsewhere
		below := todo.Op{Kind: todo.Add, List: "a", Fields: todo.Fields{Title: "below", More: &todo.More{Notes: "n"}}, ParentOf: 1}
		known := todo.Op{Kind: todo.Add, List: "a", Fields: todo.Fields{Title: "known", More: &todo.More{UID: fmt.Sprint("uid", i), Tags: []string{"home"}}}}
		return []*Command{todo2(addOp("a", "to stay"), below, known, addOp("a", "to go")), todo2(addOp("a", fmt.Sprint("above ", i)), below), todo2(addOp("b", "to stay"))}
	},
	func(n *node, i int) []*Command {
		return []*Command{todo2(titleOp("a", last(n, "a"), fmt.Sprint("title ", i)))}
	},
	func(n *node, _ int) []*Command { return []*Command{todo2(deleteOp("a", parent(n, "a")))} },
	func(n *node, _ int) []*Command { return []*Command{todo2(restoreOp("a", trashed(n, "a")))} },
	func(n *node, _ int) []*Command { return []*Command{undoLast(n)} }, // the restore: both are in the trash again
	func(n *node, _ int) []*Command {
		first := slices.Min(ids(n, "a", func(*todo.Entry) bool { return true }))
		return []*Command{todo2(todo.Op{Kind: todo.Arrange, List: "a", ID: first, Where: todo.Where{Rel: todo.Last}})}
	},
	func(n *node, _ int) []*Command {
		return []*Command{todo2(todo.Op{Kind: todo.Copy, List: "a", ID: last(n, "a"), To: "b"})}
	},
	func(n *node, _ int) []*Command {
		return []*Command{todo2(todo.Op{Kind: todo.Move, List: "b", ID: last(n, "b"), To: "c"})}
	},
	func(n *node, _ int) []*Command { return []*Command{undoLast(n)} }, // the move
	func(_ *node, i int) []*Command {
		return []*Command{{Type: TypeSettings, Version: 1, Payload: Settings{TrashDays: uint64(25 + i%5)}.Encode()}}
	},
	func(n *node, _ int) []*Command { return []*Command{todo2(deleteOp("a", last(n, "a")))} },
	func(n *node, _ int) []*Command { return []*Command{todo2(purgeOp("a", trashed(n, "a")))} },
	func(*node, int) []*Command { return []*Command{purgeCommand(2), purgeCommand(1000), sweepCommand(2)} },
	func(_ *node, i int) []*Command {
		named := todo.Op{Kind: todo.PatchList, List: "a", ListFields: &todo.ListFields{Set: todo.ListTitle, ListMore: todo.ListMore{Title: fmt.Sprint("A ", i)}}}
		return []*Command{todo2(named), todo2(addOp("gone", "x"), todo.Op{Kind: todo.DeleteList, List: "gone"})}
	},
}

func ids(n *node, list string, good func(e *todo.Entry) bool) (ids []uint64) {
	n.tb.Helper()
	v := n.view()
	defer v.Close()
	page, _ := v.Entries(list, Query{Limit: todo.MaxPage})
	for i := range page {
		if good(&page[i]) {
			ids = append(ids, page[i].ID)
		}
	}
	if len(ids) == 0 {
		n.tb.Fatalf("there is no such entry in %s", list)
	}
	return ids
}

// last is the newest entry of a list.
func last(n *node, list string) uint64 {
	return slices.Max(ids(n, list, func(*todo.Entry) bool { return true }))
}

// parent is the newest entry of a list that has one below it.
func parent(n *node, list string) (id uint64) {
	v := n.view()
	defer v.Close()
	for _, child := range ids(n, list, func(e *todo.Entry) bool { return e.More.Get().Parent != 0 }) {
		e, _ := v.Entry(list, child)
		id = max(id, e.More.Get().Parent)
	}
	return id
}

// trashed is what was put last into the trash of a list, without what went with it.
func trashed(n *node, list string) (id uint64) {
	n.tb.Helper()
	v := n.view()
	defer v.Close()
	page, _ := v.Trash(list, 0, todo.MaxPage)
	rev := uint64(0)
	for i := range page {
		if t := &page[i]; t.Root == 0 && t.Kind == todo.Deleted && t.Rev >= rev {
			id, rev = t.Entry.ID, t.Rev
		}
	}
	if id == 0 {
		n.tb.Fatalf("the trash of %s is empty", list)
	}
	return id
}

func undoLast(n *node) *Command {
	v := n.view()
	defer v.Close()
	return todo2(todo.Op{Kind: todo.Undo, Rev: v.Rev()})
}

// older2 is older in a group of version 2, with what that has in the backup and after it.
func older2(t testing.TB) (b []byte, n *node) {
	n = newNode(t)
	history2(n, 0, 60)
	b = backup(t, n)
	history2(n, 60, 70)
	return b, n
}

// holdsAll expects a row of each table that lists have, after steps up to one, and no trash that is too old.
func holdsAll(t *testing.T, n *node, to int) {
	t.Helper()
	all := append(slices.Clone(listTables), tabPlace)
	if got := left(n, all...); got != string(all) {
		t.Errorf("rows are in %q only, of %q", got, all)
	}
	if g := n.r.GroupVersion(); g != 2 {
		t.Errorf("the group is of version %d", g)
	}
	v := n.view()
	defer v.Close()
	if s := v.Settings(); s.TrashDays < 25 || s.TrashDays >= 30 {
		t.Errorf("the settings are %+v", s)
	}
	page, _ := v.Trash("a", 0, todo.MaxPage)
	for i := range page {
		if day := (page[i].At - testTime) / dayMS; day+30+int64(len(steps2)) < int64(to) {
			t.Errorf("the trash has what went on day %d", day)
		}
	}
}
