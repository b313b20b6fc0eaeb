package fsm

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"todod/fsm/todo"
)

func renameOp(list, to string) todo.Op { return todo.Op{Kind: todo.PatchList, List: list, To: to} }

// namedList is a list, whatever it is called.
type namedList struct {
	revs    []uint64 // that are told to who follows it: also those of a list that had its first name before it
	renamed []uint64
}

// namesModel is what TestNames expects.
type namesModel struct {
	lists map[string]*namedList // by what they are called
	told  map[string][]uint64   // revs by the names in them
	home  string                // what the list is called that is followed all the time
}

func with(revs []uint64, rev uint64) []uint64 {
	if slices.Contains(revs, rev) {
		return revs
	}
	return append(revs, rev)
}

func (m *namesModel) touch(rev uint64, names ...string) {
	for _, name := range names {
		l := m.lists[name]
		if l == nil {
			l = &namedList{revs: slices.Clone(m.told[name])}
			m.lists[name] = l
		}
		l.revs, m.told[name] = with(l.revs, rev), with(m.told[name], rev)
	}
}

func (m *namesModel) rename(rev uint64, from, to string) {
	m.touch(rev, from)
	l := m.lists[from]
	l.renamed = append(l.renamed, rev)
	delete(m.lists, from)
	m.lists[to] = l
	m.told[to] = with(m.told[to], rev)
	if m.home == from {
		m.home = to
	}
}

// Who follows a list is told all of its changes, and those alone, whatever it and others were called meanwhile; and what
// it is told of comes to what the list is.
func TestNames(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		n := newReads(t, 2)
		n.tb = rt
		n.do(raise(2))
		m := &namesModel{map[string]*namedList{}, map[string][]uint64{}, "home"}
		pool := []string{"home", "a", "b", "c", "ho"}
		n.do(addCommand("home", "x"))
		m.touch(1, "home")
		has, since := map[uint64]string{}, uint64(0)
		one := func() {
			list := rapid.SampledFrom(pool).Draw(rt, "list")
			other := rapid.SampledFrom(pool).Draw(rt, "other")
			ops := []todo.Op{addOp(list, "x")}
			switch rapid.IntRange(0, 4).Draw(rt, "what") {
			case 0:
				ops = []todo.Op{{Kind: todo.Move, List: list, ID: rapid.Uint64Range(1, 4).Draw(rt, "id"), To: other}}
			case 1, 2:
				if list == other {
					return
				}
				if ops = []todo.Op{renameOp(list, other)}; rapid.Bool().Draw(rt, "batch") {
					ops = append(ops, addOp(other, "y"), addOp(list, "begun anew"))
				}
			case 3:
				if ops = []todo.Op{{Kind: todo.DeleteList, List: list}}; list == m.home {
					return
				}
			}
			res := n.do(todo2(ops...))[0]
			if res.Code != todo.OK || !res.Items[0].Changed {
				return
			}
			switch ops[0].Kind {
			case todo.PatchList:
				m.rename(res.Rev, list, other)
				if len(ops) > 1 {
					m.touch(res.Rev, other, list)
				}
			case todo.Move:
				m.touch(res.Rev, list, other)
			case todo.DeleteList:
				m.touch(res.Rev, list)
				delete(m.lists, list)
			default:
				m.touch(res.Rev, list)
			}
		}
		take := func() (more bool) {
			v := n.view()
			defer v.Close()
			d, ok := v.Delta(m.home, since, rapid.IntRange(1, 4).Draw(rt, "limit"), 1<<20)
			if !ok || d.Anew {
				rt.Fatalf("%+v, %v", d, ok)
			}
			for _, e := range d.Entries {
				has[e.ID] = fmt.Sprint(e)
			}
			for _, id := range d.Gone {
				delete(has, id)
			}
			since = d.Upto
			return since < v.Rev()
		}
		for range rapid.IntRange(1, 60).Draw(rt, "steps") {
			if one(); rapid.IntRange(0, 9).Draw(rt, "take") == 0 {
				take()
			}
		}
		for take() {
		}
		v := n.view()
		defer v.Close()
		want := map[uint64]string{}
		page, _ := v.Entries(m.home, Query{Limit: todo.MaxPage})
		for _, e := range page {
			want[e.ID] = fmt.Sprint(e)
		}
		if !maps.Equal(has, want) {
			rt.Fatalf("came to %v, the list is %v", has, want)
		}
		for name, l := range m.lists {
			for since := range v.Rev() + 1 {
				changes, _, ok := v.Changes(name, since, 1000, 1<<20)
				want := slices.DeleteFunc(slices.Clone(l.revs), func(rev uint64) bool { return rev <= since })
				if dropped := len(l.renamed) - maxNames; dropped > 0 && since < l.renamed[dropped-1] {
					if ok {
						rt.Fatalf("%s after %d: the changes are told, though its name then is not known", name, since)
					}
					continue
				}
				if got := revsOf(changes); !ok || got != fmt.Sprint(want)[1:len(fmt.Sprint(want))-1] {
					rt.Fatalf("%s after %d: told of %s, %v, want %v", name, since, got, ok, want)
				}
			}
		}
		n.sound()
	})
}

// Of a list that was renamed often the newest names are known, and it costs no more than these.
func TestNamesAreBounded(t *testing.T) {
	n := newNode2(t)
	n.do(addCommand("a", "x"))
	for range maxNames {
		n.do(todo2(renameOp("a", "b"), renameOp("b", "a")))
	}
	v := n.view()
	defer v.Close()
	rev := v.Rev()
	oldest := rev - maxNames/2
	for since, ok := range map[uint64]bool{0: false, oldest - 1: false, oldest: true, rev: true} {
		if changes, _, is := v.Changes("a", since, 1000, 1<<20); is != ok || ok && len(changes) != int(rev-since) {
			t.Errorf("after %d of %d: %d changes, %v", since, rev, len(changes), is)
		}
		if _, is := v.Names("a", since); is != ok {
			t.Errorf("after %d of %d its names are known: %v", since, rev, is)
		}
	}
	if size := len(v.rows.get(numKey(tabNames, 1))); size > 8*maxNames {
		t.Errorf("the names take %d bytes", size)
	}
	n.sound()
}

// A list takes its names along when it goes.
func TestNamesAreSwept(t *testing.T) {
	n := newNode2(t)
	n.do(addCommand("bob", "x"), todo2(renameOp("bob", "rob")))
	if got := left(n, tabNames); got == "" {
		t.Error("no name is kept")
	}
	n.do(todo2(todo.Op{Kind: todo.DeleteList, List: "rob"}), sweepCommand(100))
	if got := left(n, append(listTables, tabNames)...); got != "" {
		t.Errorf("rows are left in %s", got)
	}
	n.sound()
}

// Where an entry moved to is told after a restore too, by a list's name then, and by those it gets later.
func TestSignpostsAreRestored(t *testing.T) {
	n := newNode2(t)
	n.do(addCommand("mid", "a"), addCommand("mid", "b"), addCommand("mid", "c"), addCommand("mid", "d"), addCommand("zoe", "z"))
	n.do(todo2(todo.Op{Kind: todo.Move, List: "mid", ID: 1, To: "ann"}, todo.Op{Kind: todo.Move, List: "mid", ID: 2, To: "zoe"},
		todo.Op{Kind: todo.Move, List: "mid", ID: 3, To: "gone"}, todo.Op{Kind: todo.Move, List: "ann", ID: 1, To: "zoe"}))
	n.do(todo2(renameOp("zoe", "zack"), todo.Op{Kind: todo.DeleteList, List: "gone"}))
	b := backup(t, n)
	other := newNode2(t)
	for _, n := range []*node{n, other} {
		stage(t, n, b)
		n.do(toRestore(b, 9))
		n.sound()
		where := func(id uint64) string {
			v := n.view()
			defer v.Close()
			item, ok := v.Moved("mid", id)
			return fmt.Sprint(item.List, " ", item.Entry.ID, " ", item.Entry.Title, " ", ok)
		}
		for _, c := range []struct {
			do   todo.Op
			want string
		}{
			{addOp("new", "x"), "zack 3 a true, zack 2 b true, gone 1 c true"},
			{renameOp("zack", "tom"), "tom 3 a true, tom 2 b true, gone 1 c true"},
			{addOp("zack", "of another list"), "tom 3 a true, tom 2 b true, gone 1 c true"},
			{addOp("gone", "of another list"), "tom 3 a true, tom 2 b true, gone 1 c true"},
		} {
			if res := n.do(todo2(c.do))[0]; res.Code != todo.OK {
				t.Fatal(res)
			}
			if got := where(1) + ", " + where(2) + ", " + where(3); got != c.want {
				t.Errorf("after %+v: %s, want %s", c.do, got, c.want)
			}
		}
		if got := where(4); got != " 0  false" {
			t.Errorf("one that did not move is at %s", got)
		}
	}
	if n.r.Hash().Set != other.r.Hash().Set {
		t.Error("the nodes have different rows")
	}
}
