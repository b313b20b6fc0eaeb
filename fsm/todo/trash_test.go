package todo

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func restore(id uint64) Op { return Op{Kind: Restore, List: "bob", ID: id} }
func purge(id uint64) Op   { return Op{Kind: Purge, List: "bob", ID: id} }

func withUID(uid string) Op {
	return Op{Kind: Add, List: "bob", Fields: Fields{Title: "x", More: &More{UID: uid}}}
}

// shape is what there is of bob, a text for each entry: its id and the parent that it is below, a * for done,
// and behind a bar those of the trash.
func (m *memory) shape() string {
	var live, trash []string
	num := m.List("bob").Num
	for key, e := range m.entries {
		if key.num == num {
			live = append(live, shapeOf(&e))
		}
	}
	for key, t := range m.trash {
		if key.num == num {
			trash = append(trash, shapeOf(&t.Entry))
		}
	}
	slices.Sort(live)
	slices.Sort(trash)
	return strings.Join(live, " ") + "|" + strings.Join(trash, " ")
}

func shapeOf(e *Entry) string {
	text := fmt.Sprint(e.ID)
	if parent := e.More.Get().Parent; parent != 0 {
		text += fmt.Sprint("<", parent)
	}
	if e.Done {
		text += "*"
	}
	return text
}

// counted fails when a list does not count what it has.
func (m *memory) counted(t *testing.T) {
	t.Helper()
	for name, l := range m.lists {
		var entries, open uint64
		for key, e := range m.entries {
			if key.num == l.Num {
				entries++
				if !e.Done {
					open++
				}
			}
		}
		if l.Num != 0 && (l.Entries != entries || l.Open != open) {
			t.Errorf("list %s counts %+v, and has %d entries, %d open", name, l, entries, open)
		}
	}
}

// Every case begins with bob's tree: 1, 2 below 1, 3 below 2, and 4.
func TestTrash(t *testing.T) {
	tree := []Op{addUnder(0), addUnder(1), addUnder(2), addUnder(0)}
	for name, c := range map[string]struct {
		ops  []Op
		code Code
		want string
	}{
		"what is deleted":                       {[]Op{remove("bob", 4)}, OK, "1 2<1 3<2|4"},
		"a parent takes all below it along":     {[]Op{remove("bob", 1)}, OK, "4|1 2<1 3<2"},
		"and back":                              {[]Op{remove("bob", 1), restore(1)}, OK, "1 2<1 3<2 4|"},
		"a child comes back under its parent":   {[]Op{remove("bob", 2), restore(2)}, OK, "1 2<1 3<2 4|"},
		"a child alone":                         {[]Op{remove("bob", 1), restore(3)}, OK, "3 4|1 2<1"},
		"and then the rest":                     {[]Op{remove("bob", 1), restore(3), restore(1)}, OK, "1 2<1 3 4|"},
		"without a parent that went later":      {[]Op{remove("bob", 2), remove("bob", 1), restore(2)}, OK, "2 3<2 4|1"},
		"what was deleted on its own":           {[]Op{remove("bob", 3), remove("bob", 1), restore(1)}, OK, "1 2<1 4|3<2"},
		"deleted, restored, deleted":            {[]Op{remove("bob", 4), restore(4), remove("bob", 4)}, OK, "1 2<1 3<2|4"},
		"what is not there":                     {[]Op{restore(4)}, NotInTrash, "1 2<1 3<2 4|"},
		"twice":                                 {[]Op{remove("bob", 4), restore(4), restore(4)}, NotInTrash, "1 2<1 3<2 4|"},
		"for good":                              {[]Op{remove("bob", 4), purge(4)}, OK, "1 2<1 3<2|"},
		"a tree for good":                       {[]Op{remove("bob", 1), purge(1)}, OK, "4|"},
		"a child for good, the rest comes back": {[]Op{remove("bob", 1), purge(2), restore(1)}, OK, "1 3 4|"},
		"what is in the list is not purged":     {[]Op{purge(4)}, NotInTrash, "1 2<1 3<2 4|"},
		"what is gone for good":                 {[]Op{remove("bob", 4), purge(4), restore(4)}, NotInTrash, "1 2<1 3<2 4|"},
		"no list":                               {[]Op{{Kind: Restore, List: "ann", ID: 1}}, NoList, "1 2<1 3<2 4|"},
		"no list to purge":                      {[]Op{{Kind: Purge, List: "ann", ID: 1}}, NoList, "1 2<1 3<2 4|"},
		"the trash goes with its list":          {[]Op{remove("bob", 4), {Kind: DeleteList, List: "bob"}, addUnder(0), restore(4)}, NotInTrash, "1 2<1 3<2 4|"},
		"if-match of what is in the trash":      {[]Op{remove("bob", 4), match(restore(4), 1)}, OK, "1 2<1 3<2 4|"},
		"if-match of another":                   {[]Op{remove("bob", 4), match(restore(4), 3)}, Precondition, "1 2<1 3<2 4|"},
		"below one that is too deep now":        {[]Op{remove("bob", 3), addUnder(4), addUnder(5), moveUnder(1, 6), restore(3)}, OK, "1<6 2<1 3 4 5<4 6<5|"},
		"a tree that is too deep now: what does not fit is at the top": {[]Op{remove("bob", 2), addUnder(4), addUnder(5), moveUnder(1, 6), restore(2)}, OK, "1<6 2<1 3 4 5<4 6<5|"},
		"a uid that is free":  {[]Op{withUID("a"), remove("bob", 5), restore(5)}, OK, "1 2<1 3<2 4 5|"},
		"a uid that is taken": {[]Op{withUID("a"), remove("bob", 5), withUID("a"), restore(5)}, UIDTaken, "1 2<1 3<2 4|"},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMemory()
			m.do(rules2(tree...))
			if out := m.do(rules2(c.ops...)); out.Code != c.code || m.shape() != c.want {
				t.Errorf("in one command: code %d, %s, want %d, %s", out.Code, m.shape(), c.code, c.want)
			}
			m.counted(t)
			if c.code != OK {
				return
			}
			m = newMemory()
			m.do(rules2(tree...))
			for _, op := range c.ops {
				if op.If.Match != nil && op.If.Match[0].Rev != 1 {
					return
				}
				if out := m.do(rules2(op)); out.Code != OK {
					t.Fatalf("one by one: code %d", out.Code)
				}
				m.counted(t)
			}
			if m.shape() != c.want {
				t.Errorf("one by one: %s, want %s", m.shape(), c.want)
			}
		})
	}
}

// Version 1 of the commands deletes for good, as it did.
func TestFirstVersionHasNoTrash(t *testing.T) {
	m := newMemory()
	m.do(Command{Ops: []Op{add("bob", "x", "")}, Rules: Rules1})
	m.do(Command{Ops: []Op{remove("bob", 1)}, Rules: Rules1})
	if m.shape() != "|" {
		t.Error(m.shape())
	}
	m.counted(t)
}

// An entry whose uid another one took meanwhile stays in the trash, and the answer shows which one has it.
func TestRestoreOfATakenUID(t *testing.T) {
	m := newMemory()
	m.do(rules2(withUID("a")))
	m.do(rules2(remove("bob", 1)))
	m.do(rules2(withUID("a")))
	if out := m.do(rules2(restore(1))); out.Code != UIDTaken || len(out.Items) != 1 || out.Items[0].Entry.ID != 2 {
		t.Errorf("%+v", out)
	}
	m.do(rules2(remove("bob", 2)))
	if out := m.do(rules2(restore(1))); out.Code != OK || m.shape() != "1|2" {
		t.Errorf("%+v, %s", out, m.shape())
	}
}

// Whatever a command takes along, it changes no more than a batch may.
func TestTrashTakesNoMoreThanABatch(t *testing.T) {
	m := newMemory()
	m.do(rules2(addUnder(0), addUnder(0)))
	ops := make([]Op, 999)
	for i := range ops {
		ops[i] = addUnder(1)
	}
	m.do(rules2(ops...))
	if out := m.do(rules2(remove("bob", 2), remove("bob", 1))); out.Code != TooMany || out.At != 1 {
		t.Errorf("1,001 of them: %d at %d", out.Code, out.At)
	}
	if out := m.do(rules2(remove("bob", 1))); out.Code != OK || len(out.Told) != 1000 || len(out.Items) != 1 {
		t.Errorf("1,000 of them: %d", out.Code)
	}
	m.counted(t)
	if out := m.do(rules2(remove("bob", 2), restore(1))); out.Code != TooMany || out.At != 1 {
		t.Errorf("1,001 of them back: %d at %d", out.Code, out.At)
	}
	if out := m.do(rules2(restore(1))); out.Code != OK || len(m.trash) != 0 {
		t.Errorf("back: %d, %d left", out.Code, len(m.trash))
	}
	m.counted(t)
}

// Who looks for an entry that moved is told where it is.
func TestMovedEntryIsFound(t *testing.T) {
	m := newMemory()
	m.do(rules2(add("bob", "x", ""), add("ann", "x", "")))
	m.trash[entryKey{m.List("bob").Num, 1}] = Trashed{Kind: MovedAway, Entry: Entry{ID: 1}, List: "ann", ID: 1, Num: m.List("ann").Num}
	delete(m.entries, entryKey{m.List("bob").Num, 1})
	for _, op := range []Op{remove("bob", 1), patch("bob", 1, Fields{Set: FieldDone, Done: true})} {
		out := m.do(rules2(op))
		if out.Code != Moved || out.Items[0].List != "ann" || out.Items[0].Entry.ID != 1 || out.Items[0].Entry.Title != "x" {
			t.Errorf("%+v", out)
		}
	}
	if out := m.do(rules2(restore(1))); out.Code != NotInTrash {
		t.Errorf("it is restored where it was: %d", out.Code)
	}
}

func move(list string, id uint64, to string) Op { return Op{Kind: Move, List: list, ID: id, To: to} }

func rename(list, to string) Op { return Op{Kind: PatchList, List: list, To: to} }

// However often it moved, and whatever the lists are called since, another list under the old name too.
func TestMovedEntryIsFollowed(t *testing.T) {
	m := newMemory()
	where := func(op Op) string {
		t.Helper()
		out := m.do(rules2(op))
		if out.Code != Moved {
			t.Fatalf("%+v", out)
		}
		return fmt.Sprint(out.Items[0].List, " ", out.Items[0].Entry.ID, " ", out.Items[0].Entry.Title)
	}
	m.do(rules2(add("ann", "x", ""), add("bob", "y", ""), add("cy", "z", "")))
	m.do(rules2(move("ann", 1, "bob")))
	for _, c := range []struct {
		do   []Op
		want string
	}{
		{nil, "bob 2 x"},
		{[]Op{rename("bob", "rob")}, "rob 2 x"},
		{[]Op{add("bob", "of another list", "")}, "rob 2 x"},
		{[]Op{rename("rob", "tom")}, "tom 2 x"},
		{[]Op{move("tom", 2, "cy")}, "cy 2 x"},
		{[]Op{rename("cy", "di"), rename("di", "cy"), rename("cy", "ed")}, "ed 2 x"},
		{[]Op{rename("ann", "eve"), patch("ed", 2, Fields{Set: FieldTitle, Title: "new"})}, "ed 2 new"},
		{[]Op{remove("ed", 2)}, "ed 2 x"}, // as it was when it went there
	} {
		if c.do != nil {
			if out := m.do(rules2(c.do...)); out.Code != OK {
				t.Fatalf("%+v: %+v", c.do, out)
			}
		}
		list := "ann"
		if m.List("eve").Num != 0 {
			list = "eve"
		}
		if got := where(remove(list, 1)); got != c.want {
			t.Errorf("after %+v it is at %s, want %s", c.do, got, c.want)
		}
	}
	m.do(rules2(Op{Kind: DeleteList, List: "ed"}, add("ed", "of another list", "")))
	if got := where(remove("eve", 1)); got != "ed 2 x" {
		t.Errorf("in a list that is gone it is at %s", got)
	}
	// A batch sees what it did itself.
	out := m.do(rules2(add("eve", "w", ""), move("eve", 2, "fay"), rename("fay", "gus"), remove("eve", 2)))
	if out.Code != Moved || out.At != 3 || out.Items[0].List != "gus" || out.Items[0].Entry.Title != "w" {
		t.Errorf("%+v", out)
	}
}

// One that moved without end is followed for a while.
func TestMovesAreFollowedSoFar(t *testing.T) {
	m := newMemory()
	m.do(rules2(add("l0", "x", "")))
	for i := range maxFollow + 3 {
		m.do(rules2(move(fmt.Sprint("l", i), 1, fmt.Sprint("l", i+1))))
	}
	for _, c := range [][2]string{{"l0", fmt.Sprint("l", maxFollow+1)}, {fmt.Sprint("l", maxFollow+1), fmt.Sprint("l", maxFollow+3)}} {
		if out := m.do(rules2(remove(c[0], 1))); out.Code != Moved || out.Items[0].List != c[1] {
			t.Errorf("from %s: %+v", c[0], out)
		}
	}
}
