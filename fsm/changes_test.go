package fsm

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"todod/fsm/todo"
)

// What is kept of the changes, in a group of version 2, is what the rule says of their sizes and times; a node that
// was started again in between, and so forgot the oldest, keeps the same.
func TestWindowOfChanges(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		n := newReads(t, 2)
		n.tb = rt
		n.r.limits.changeBytes, n.r.limits.changeMost, n.r.limits.changeFew, n.r.limits.changeLife = 3000, 6000, 5, 100
		lim := n.r.limits
		n.do(raise(2))
		type row struct {
			time int64
			size uint64
		}
		var rows []row // of all revs
		first, now := 1, int64(0)
		for range rapid.IntRange(1, 60).Draw(rt, "commands") {
			now += rapid.Int64Range(0, 40).Draw(rt, "later")
			title := strings.Repeat("x", rapid.IntRange(1, 2000).Draw(rt, "long"))
			before, gone := n.r.store.meta.ChangeBytes, uint64(0)
			n.doAt(now, addCommand("bob", title))
			m := n.r.store.meta
			for i := first; i < int(m.FirstChange); i++ {
				gone += rows[i-1].size
			}
			rows = append(rows, row{now, m.ChangeBytes + gone - before})
			if rapid.IntRange(0, 9).Draw(rt, "restart") == 0 {
				n.r.oldestChange = oldestChange{} // as after a restart
			}

			sum := uint64(0)
			for _, r := range rows[first-1:] {
				sum += r.size
			}
			for ; first < len(rows); first++ {
				old := now-rows[first-1].time >= lim.changeLife
				few := len(rows)-first+1 <= int(lim.changeFew)
				if sum <= lim.changeMost && (few || sum <= lim.changeBytes && !old) {
					break
				}
				sum -= rows[first-1].size
			}
			if int(m.FirstChange) != first || m.ChangeBytes != sum {
				rt.Fatalf("%d bytes from rev %d on are kept, want %d from %d on", m.ChangeBytes, m.FirstChange, sum, first)
			}
		}
		v := n.view()
		defer v.Close()
		w := v.Window()
		changes, _, ok := v.Changes("", w.First-1, 1000, 1<<20)
		if !ok || !w.Has(w.First-1) || !w.Has(w.Rev) || w.Has(w.Rev+1) || w.First > 1 && w.Has(w.First-2) || uint64(len(changes)) != w.Rev-w.First+1 {
			rt.Fatalf("%d changes of %+v, %v", len(changes), w, ok)
		}
	})
}

// Before the group is at version 2 time takes no change away: a member of the first release would keep it.
func TestFirstVersionKeepsOldChanges(t *testing.T) {
	n := newReads(t, 2)
	n.r.limits.changeFew = 1
	n.doAt(0, addCommand("bob", "x"))
	later := 2 * n.r.limits.changeLife
	n.doAt(later, addCommand("bob", "y"))
	if first := n.r.store.meta.FirstChange; first != 1 {
		t.Errorf("the first change is %d", first)
	}
	n.doAt(later, raise(2))
	n.doAt(later, addCommand("bob", "z"))
	if first := n.r.store.meta.FirstChange; first != 2 {
		t.Errorf("at version 2 the first change is %d", first)
	}
}

// One command lets no more than maxTrim changes go; those after it go on.
func TestTrimIsBounded(t *testing.T) {
	n := newReads(t, 2)
	n.do(raise(2))
	cmds := make([]*Command, 2*maxTrim)
	for i := range cmds {
		cmds[i] = addCommand("bob", "x")
	}
	n.do(cmds...)
	later := n.r.limits.changeLife
	for _, want := range []uint64{1 + maxTrim, uint64(len(cmds)) + 2 - n.r.limits.changeFew + 1} {
		n.doAt(later, addCommand("bob", "x"))
		if first := n.r.store.meta.FirstChange; first != want {
			t.Errorf("the first change is %d, want %d", first, want)
		}
	}
	n.sound()
}

// A group that keeps less of the changes lets go what is too much in steps, and all its nodes the same.
func TestEventsMiB(t *testing.T) {
	n := newNode2(t)
	other := newNode2(t)
	n.r.limits.changeFew, other.r.limits.changeFew = 10, 10
	sized := func(mib uint64) *Command {
		return &Command{Type: TypeSettings, Version: 1, Payload: Settings{EventsMiB: mib}.Encode()}
	}
	cmds := make([]*Command, 4*maxTrim)
	for i := range cmds {
		cmds[i] = addCommand("bob", strings.Repeat("x", 200))
	}
	b := backup(t, n)
	n.do(cmds...)
	n.do(sized(1))
	if got := n.r.store.meta.FirstChange; got != 1 {
		t.Errorf("with the setting itself the changes up to %d went", got-1)
	}
	steps := 0
	for ; n.r.store.meta.ChangeBytes > 1<<20; steps++ {
		first := n.r.store.meta.FirstChange
		n.do(addCommand("bob", "x"))
		if went := n.r.store.meta.FirstChange - first; went == 0 || went > maxTrim {
			t.Fatalf("a command let %d changes go", went)
		}
	}
	if kept := n.r.store.meta.ChangeBytes; steps < 3 || kept < 1<<20-1000 {
		t.Errorf("%d bytes are kept after %d commands", kept, steps)
	}
	n.sound()
	n.crash()
	n.r.limits.changeFew = 10
	n.do(addCommand("bob", "x"))
	if kept := n.r.store.meta.ChangeBytes; kept > 1<<20 || kept < 1<<20-1000 {
		t.Errorf("%d bytes are kept after a crash", kept)
	}
	if err := errors.Join(n.r.Flush(), send(n, other)); err != nil {
		t.Fatal(err)
	}
	other.log = slices.Clone(n.log)
	for _, n := range []*node{n, other} {
		n.do(sized(2), addCommand("bob", "y"), sized(0))
		n.do(cmds[:2*maxTrim]...)
		if m := n.r.store.meta; m.EventsMiB != 2 || m.ChangeBytes < 2<<20-1000 || m.ChangeBytes > 2<<20 {
			t.Errorf("of 2 MiB %d bytes are kept", m.ChangeBytes)
		}
	}
	if n.r.Hash() != other.r.Hash() {
		t.Error("the nodes differ")
	}
	stage(t, n, b)
	n.do(toRestore(b, 9))
	n.do(sized(2000))
	v := n.view()
	defer v.Close()
	if got := v.Settings(); got != (Settings{TrashDays: todo.TrashDays, EventsMiB: todo.MaxEventsMiB}) {
		t.Errorf("%+v", got)
	}
}

// A reader that takes deltas of a list between any writes comes to what the list is, and is told of an
// entry at most once in deltas that no write came between.
func TestDeltas(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		n := newReads(t, 2)
		n.tb = rt
		n.do(raise(2))
		has, since := map[uint64]string{}, uint64(0)
		lists := []string{"bob", "ann", "bo"}
		write := func() {
			op := todo.Op{Kind: rapid.SampledFrom([]todo.Kind{todo.Add, todo.Put, todo.Patch, todo.Delete, todo.Move, todo.Copy}).Draw(rt, "kind"),
				List: rapid.SampledFrom(lists).Draw(rt, "list"), ID: rapid.Uint64Range(1, 6).Draw(rt, "id"),
				Fields: todo.Fields{Set: todo.FieldTitle, Title: rapid.StringMatching("[a-d]").Draw(rt, "title")}}
			if op.Kind == todo.Move || op.Kind == todo.Copy {
				op.To, op.Fields = rapid.SampledFrom(lists).Draw(rt, "to"), todo.Fields{}
			}
			ops := []todo.Op{op}
			if rapid.Bool().Draw(rt, "batch") {
				ops = append(ops, addOp("bob", "x"), addOp("ann", "bob"))
			}
			n.do(todo2(ops...))
		}
		n.do(addCommand("bob", "a"))
		take := func() (told []uint64, more bool) {
			v := n.view()
			defer v.Close()
			d, ok := v.Delta("bob", since, rapid.IntRange(1, 4).Draw(rt, "limit"), rapid.SampledFrom([]int{1, 100, 1 << 20}).Draw(rt, "size"))
			if !ok || d.Anew || d.Upto < since || d.Upto == since && len(d.Entries)+len(d.Gone) > 0 {
				rt.Fatalf("%+v, %v", d, ok)
			}
			for _, e := range d.Entries {
				has[e.ID], told = fmt.Sprint(e), append(told, e.ID)
			}
			for _, id := range d.Gone {
				delete(has, id)
				told = append(told, id)
			}
			since = d.Upto
			return told, since < v.Rev()
		}
		for range rapid.IntRange(1, 40).Draw(rt, "steps") {
			if write(); rapid.Bool().Draw(rt, "take") {
				take()
			}
		}
		seen := map[uint64]bool{}
		for more := true; more; {
			var told []uint64
			told, more = take()
			for _, id := range told {
				if seen[id] && has[id] != "" {
					rt.Fatalf("told of %d twice", id)
				}
				seen[id] = true
			}
		}
		v := n.view()
		defer v.Close()
		want := map[uint64]string{}
		page, _ := v.Entries("bob", Query{Limit: todo.MaxPage})
		for _, e := range page {
			want[e.ID] = fmt.Sprint(e)
		}
		if !maps.Equal(has, want) {
			rt.Fatalf("came to %v, the list is %v", has, want)
		}
	})
}

func TestDeltaOfAnotherList(t *testing.T) {
	n := newNode(t)
	small := defaultLimits
	small.changeBytes = 200
	n.limit, n.r.limits = &small, small
	n.do(addCommand("bob", "a"))
	n.do(todoCommand(todo.Op{Kind: todo.DeleteList, List: "bob"}))
	n.do(addCommand("bob", "b"))
	v := n.view()
	if d, ok := v.Delta("bob", 1, 10, 1<<20); !ok || !d.Anew || d.Upto != 2 {
		t.Errorf("%+v, %v", d, ok)
	}
	v.Close()
	for range 20 {
		n.do(addCommand("bob", "c"))
	}
	v = n.view()
	defer v.Close()
	if d, ok := v.Delta("bob", 3, 10, 1<<20); ok {
		t.Errorf("a delta of changes that are gone: %+v", d)
	}
}

// A list that was renamed is followed under its new name as if it always had it; under the old one it is gone.
func TestDeltaOfARenamedList(t *testing.T) {
	n := newReads(t, 2)
	n.do(raise(2))
	n.do(addCommand("bob", "a"))
	n.do(todo2(todo.Op{Kind: todo.PatchList, List: "bob", ListFields: &todo.ListFields{Set: todo.ListColour, ListMore: todo.ListMore{Colour: "#ff0000"}}}))
	n.do(addCommand("bob", "b"))
	n.do(todo2(renameOp("bob", "rob")))
	n.do(addCommand("bob", "of another list"), addCommand("rob", "c"))
	v := n.view()
	defer v.Close()
	if d, ok := v.Delta("bob", 1, 10, 1); !ok || d.Anew || d.Upto != 2 {
		t.Errorf("coloured: %+v, %v", d, ok)
	}
	if d, ok := v.Delta("bob", 3, 10, 1<<20); !ok || !d.Anew {
		t.Errorf("renamed, of the old name: %+v, %v", d, ok)
	}
	if d, ok := v.Delta("rob", 1, 10, 1<<20); !ok || d.Anew || d.Upto != 6 || len(d.Entries) != 2 {
		t.Errorf("renamed: %+v, %v", d, ok)
	}
	for list, revs := range map[string]string{"bob": "3 4 5", "rob": "3 4 6"} {
		changes, _, ok := v.Changes(list, 2, 10, 1<<20)
		if got := revsOf(changes); !ok || got != revs {
			t.Errorf("renamed, %s: %s, %v", list, got, ok)
		}
	}
}

func revsOf(changes []Change) string {
	var revs []string
	for i := range changes {
		revs = append(revs, fmt.Sprint(changes[i].Rev))
	}
	return strings.Join(revs, " ")
}
