package fsm

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"todod/fsm/todo"
)

// What the index of places and the order of ids come to is what a plain slice comes to, with flushes in between
// and with rows in all three layers; pages of it begin anywhere.
func TestOrderOfTheReplica(tt *testing.T) {
	dir := tt.TempDir()
	rapid.Check(tt, func(t *rapid.T) {
		n := rapidNode(t, dir)
		defer n.r.Abandon()
		n.do(raise(2))
		var ids []uint64
		last := uint64(0)
		for range rapid.IntRange(1, 40).Draw(t, "commands") {
			switch kind := rapid.IntRange(0, 9).Draw(t, "kind"); {
			case kind < 3 || len(ids) == 0:
				n.do(todo2(addOp("bob", "x")))
				last++
				ids = append(ids, last)
			case kind == 3:
				id := rapid.SampledFrom(ids).Draw(t, "id")
				n.do(todo2(todo.Op{Kind: todo.Delete, List: "bob", ID: id}))
				ids = slices.DeleteFunc(ids, func(i uint64) bool { return i == id })
			case kind == 4:
				if err := n.r.Flush(); err != nil {
					t.Fatal(err)
				}
			default:
				id := rapid.SampledFrom(ids).Draw(t, "id")
				others := slices.DeleteFunc(slices.Clone(ids), func(i uint64) bool { return i == id })
				w, at := todo.Where{Rel: rapid.SampledFrom([]todo.Rel{todo.First, todo.Last, todo.Before, todo.After}).Draw(t, "rel")}, len(others)
				if len(others) == 0 {
					continue
				}
				if w.Rel == todo.Before || w.Rel == todo.After {
					i := rapid.IntRange(0, len(others)-1).Draw(t, "neighbor")
					w.Neighbor, at = others[i], i+int(w.Rel-todo.Before)
				} else if w.Rel == todo.First {
					at = 0
				}
				ids = slices.Insert(others, at, id)
				if res := n.do(todo2(todo.Op{Kind: todo.Arrange, List: "bob", ID: id, Where: w}))[0]; res.Code != todo.OK {
					t.Fatalf("%+v: code %d", w, res.Code)
				}
			}
			if got := inOrder(n, "bob", todo.Position{}); !slices.Equal(got, ids) {
				t.Fatalf("the order is %v, want %v", got, ids)
			}
		}
		if len(ids) > 1 {
			v := n.view()
			e, _ := v.Entry("bob", ids[len(ids)/2])
			v.Close()
			if got := inOrder(n, "bob", e.Position()); !slices.Equal(got, ids[len(ids)/2+1:]) {
				t.Fatalf("behind the middle %v, want %v", got, ids[len(ids)/2+1:])
			}
		}
	})
}

func inOrder(n *node, list string, at todo.Position) (ids []uint64) {
	v := n.view()
	defer v.Close()
	v.InOrder(list, at, func(e todo.Entry) bool {
		ids = append(ids, e.ID)
		return true
	})
	return ids
}

// A list that was wholly put in order costs no more to put in order once more: what was put elsewhere is not all
// passed over.
func TestWhollyOrderedList(t *testing.T) {
	n := newNode(t)
	n.do(raise(2))
	const size = 5000
	for range size / 1000 {
		ops := make([]todo.Op, 1000)
		for i := range ops {
			ops[i] = addOp("bob", "x")
		}
		n.do(todo2(ops...))
	}
	for id := uint64(size); id > 0; id-- {
		n.do(todo2(todo.Op{Kind: todo.Arrange, List: "bob", ID: id, Where: todo.Where{Rel: todo.First}}))
	}
	for _, w := range []todo.Where{{Rel: todo.Last}, {Rel: todo.First}, {Rel: todo.After, Neighbor: 1}} {
		if res := n.do(todo2(todo.Op{Kind: todo.Arrange, List: "bob", ID: size / 2, Where: w}))[0]; res.Code != todo.OK {
			t.Fatalf("%+v: code %d", w, res.Code)
		}
	}
	got := inOrder(n, "bob", todo.Position{})
	if len(got) != size || got[0] != 1 || got[1] != size/2 || got[size-1] != size {
		t.Errorf("%d entries, %v ... %v", len(got), got[:3], got[size-2:])
	}
	n.sound()
}

// A tree goes into another list as it is, and what it was is there no longer.
func TestMoveAndCopy(t *testing.T) {
	n := newNode(t)
	n.do(raise(2))
	below := func(parent uint64, title, uid string) todo.Op {
		more := &todo.More{Parent: parent, UID: uid}
		return todo.Op{Kind: todo.Add, List: "bob", Fields: todo.Fields{Title: title, More: more.Tidy()}}
	}
	n.do(todo2(below(0, "a", "u"), below(1, "b", ""), below(2, "c", ""), below(0, "d", "")))
	n.do(todo2(todo.Op{Kind: todo.Add, List: "eve", Fields: todo.Fields{Title: "e"}}))
	res := n.do(todo2(todo.Op{Kind: todo.Copy, List: "bob", ID: 1, To: "eve"}))[0]
	if e := res.Items[0]; e.List != "eve" || e.Entry.ID != 2 || e.Entry.More != nil || e.Origin != (todo.Ref{List: "bob", ID: 1}) {
		t.Errorf("copied to %+v", e)
	}
	if got := n.titles("eve"); got != "e a b c" {
		t.Error(got)
	}
	res = n.do(todo2(todo.Op{Kind: todo.Move, List: "bob", ID: 2, To: "new"}))[0]
	if e := res.Items[0]; e.Entry.ID != 1 || e.Entry.More != nil {
		t.Errorf("moved to %+v", e)
	}
	v := n.view()
	c, _ := v.Entry("new", 2)
	list, _ := v.List("bob")
	v.Close()
	if c.Title != "c" || c.More.Get().Parent != 1 || list.Entries != 2 || list.Open != 2 || n.titles("bob") != "a d" || n.titles("new") != "b c" {
		t.Errorf("below it %+v, left %q, there %q, %+v", c, n.titles("bob"), n.titles("new"), list)
	}
	if res := n.do(todo2(todo.Op{Kind: todo.Move, List: "bob", ID: 1, To: "bob"}))[0]; res.Code != todo.OK || res.Items[0].Changed {
		t.Errorf("to where it is: %+v", res)
	}
	n.do(todo2(todo.Op{Kind: todo.Add, List: "new", Fields: todo.Fields{Title: "x", More: &todo.More{UID: "u"}}}))
	if res := n.do(todo2(todo.Op{Kind: todo.Move, List: "bob", ID: 1, To: "new"}))[0]; res.Code != todo.UIDTaken {
		t.Errorf("where its uid is taken: %+v", res)
	}
	changes, ok := func() ([]Change, bool) {
		v := n.view()
		defer v.Close()
		c, _, ok := v.Changes("", 3, 1, 1<<20)
		return c, ok
	}()
	if !ok || len(changes) != 1 || len(changes[0].Items) != 2 || changes[0].Items[1].Entry.Title != "c" {
		t.Errorf("the change of the move is %+v", changes)
	}
	n.sound()
}
