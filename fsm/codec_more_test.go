package fsm

import (
	"bytes"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"todod/fsm/todo"
)

func todo2(ops ...todo.Op) *Command {
	c := todoCommand(ops...)
	c.Version = 2
	return c
}

// whole has every field set.
var whole = todo.More{Notes: "upper left\nbring the card", Time: "09:30", TZ: "Europe/Berlin", Priority: 1, Tags: []string{"family", "health"}, Parent: 7,
	Repeat: "FREQ=MONTHLY;INTERVAL=6", RepeatFrom: todo.FromDone, Remind: []string{"-PT15M"}, UID: "a@example", Completed: testTime, X: `{"a":1}`, Place: todo.Place{Hi: 1, Lo: 2}}

func drawMore(t *rapid.T) *todo.More {
	m, all := todo.More{}, whole
	for i := range reflect.TypeFor[todo.More]().NumField() {
		if rapid.Bool().Draw(t, "set") {
			reflect.ValueOf(&m).Elem().Field(i).Set(reflect.ValueOf(all).Field(i))
		}
	}
	return m.Tidy()
}

// What is set comes back, what is not takes no room, and nothing has two encodings.
func TestFieldsThatFewHave(t *testing.T) {
	if n := reflect.TypeFor[todo.More]().NumField(); n != 13 {
		t.Fatalf("More has %d fields: each needs a number in codec_more.go, and a place in Empty", n)
	}
	rapid.Check(t, func(t *rapid.T) {
		e := todo.Entry{ID: 1, Title: "Dentist", Date: "2018-12-19", Done: rapid.Bool().Draw(t, "done"), Rev: 5, Created: testTime, Updated: testTime, More: drawMore(t)}
		b := appendEntry(nil, &e)
		if got := decodeEntry(b); !reflect.DeepEqual(got, e) {
			t.Fatalf("%+v became %+v", e, got)
		}
		cmd := todo.Command{Ops: []todo.Op{{Kind: todo.Patch, List: "bob", ID: 3, At: rapid.Uint64Range(0, 3).Draw(t, "at"),
			Fields: todo.Fields{Set: todo.FieldSet(rapid.Uint16Range(0, 1<<14-1).Draw(t, "set")), More: drawMore(t)}}}}
		if rapid.Bool().Draw(t, "on lists") {
			cmd.Ops[0].To, cmd.Ops[0].Where = "eve", todo.Where{Rel: todo.Before, Neighbor: 2}
			cmd.Ops[0].IDOf, cmd.Ops[0].ParentOf = 1, 2
			cmd.Ops[0].ListFields = &todo.ListFields{Set: 15, ListMore: todo.ListMore{Title: "t", Colour: "#3366cc", Archived: true, Sort: "due"}}
		}
		if rapid.Bool().Draw(t, "repeats") {
			text := rapid.SampledFrom([]string{"", "2026-12-05", "FREQ=DAILY"})
			cmd.Ops[0].Next = &todo.Next{Date: text.Draw(t, "next date"), Repeat: text.Draw(t, "next repeat")}
		}
		payload := EncodeTodo(&cmd)
		got, err := DecodeTodo(payload)
		if err != nil || !reflect.DeepEqual(got, cmd) || !bytes.Equal(EncodeTodo(&got), payload) {
			t.Fatalf("%+v became %+v, %v", cmd, got, err)
		}
	})
}

// What is lent is what is read, also after another entry was, and what was cloned does not change with the row.
func TestLentEntries(t *testing.T) {
	l := &lent{}
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.SampledFrom([]string{"", "2018-12-19"})
		e := todo.Entry{ID: 1, Title: text.Draw(t, "title"), Date: text.Draw(t, "date"), Rev: 5, More: drawMore(t)}
		row := appendEntry(nil, &e)
		lent := l.decode(row)
		if !reflect.DeepEqual(*lent, e) {
			t.Fatalf("%+v became %+v", e, *lent)
		}
		kept := lent.Clone()
		for i := range row {
			row[i] = 'x'
		}
		l.decode(appendEntry(nil, &todo.Entry{Title: "another", More: &whole}))
		if !reflect.DeepEqual(kept, e) {
			t.Fatalf("%+v became %+v with its row", e, kept)
		}
	})
}

// What is kept of a list comes back, with its fields and under another name, through a backup too.
func TestFieldsOfLists(t *testing.T) {
	n := newNode(t)
	n.do(raise(2))
	patch := todo.Op{Kind: todo.PatchList, List: "bob", To: "robert", ListFields: &todo.ListFields{Set: 3, ListMore: todo.ListMore{Title: "t", Colour: "#3366cc"}}}
	n.do(addCommand("bob", "a"), todo2(patch))
	n.sound()
	v := n.view()
	l, ok := v.List("robert")
	_, old := v.List("bob")
	lists, _ := v.Lists("", "", 10)
	v.Close()
	if !ok || old || len(lists) != 1 || l.More == nil || *l.More != (todo.ListMore{Title: "t", Colour: "#3366cc"}) {
		t.Errorf("%+v, %+v, the old name is there: %v", l, l.More, old)
	}
	if err := n.snapshot(1); err != nil {
		t.Fatal(err)
	}
	n.crash()
	if n.titles("robert") != "a" {
		t.Error(n.titles("robert"))
	}
}

// An entry with all its fields goes through a flush, a restart and a snapshot; its uid and parent are found, and
// go with it.
func TestWholeEntryIsKept(t *testing.T) {
	n := newNode(t)
	n.do(raise(2))
	more := whole
	more.Completed, more.Place, more.Parent = 0, todo.Place{}, 0
	add := todo.Op{Kind: todo.Add, List: "bob", Fields: todo.Fields{Title: "Dentist", Date: "2018-12-19", More: &more}}
	res := n.do(todo2(add))[0]
	if res.Code != todo.OK {
		t.Fatal(res.Code)
	}
	if err := n.r.Flush(); err != nil {
		t.Fatal(err)
	}
	if res := n.do(todo2(add))[0]; res.Code != todo.UIDTaken {
		t.Errorf("a second entry with the uid: %d", res.Code)
	}
	done := patchDone("bob", 1)
	done.At, done.Next = res.Rev, &todo.Next{}
	if res := n.do(todo2(done))[0]; res.Items[0].Entry.More.Completed != res.Time {
		t.Errorf("done: %+v", res.Items[0].Entry.More)
	}
	n.sound()
	n.do(todo2(todo.Op{Kind: todo.Delete, List: "bob", ID: 1}))
	if res := n.do(todo2(add))[0]; res.Code != todo.OK {
		t.Errorf("once it is gone: %d", res.Code)
	}
	n.do(todo2(todo.Op{Kind: todo.DeleteList, List: "bob"}))
	n.do(&Command{Type: TypeSweep, Version: 1, Payload: Sweep{Rows: 100}.Encode()})
	n.sound()
}

// A command of version 1 does what it did while the group is at version 1. Once it is at version 2 the same bytes, of a node
// that has not heard of that, do what everybody else's do: say when an entry was done, ask for the next date of what
// repeats, and delete into the trash.
func TestRulesAreOfTheGroup(t *testing.T) {
	n := newNode(t)
	trashed := func(list string, id uint64) (todo.Trashed, bool) {
		v := n.view()
		defer v.Close()
		return v.rows.trashed(v.rows.list(list).Num, id)
	}
	put := todo.Op{Kind: todo.Put, List: "bob", ID: 1, Fields: todo.Fields{Title: "b", Done: true}}
	n.do(addCommand("bob", "a"))
	if e := n.do(todoCommand(put))[0].Items[0].Entry; e.Title != "b" || !e.Done || e.More != nil {
		t.Errorf("%+v, %+v", e, e.More)
	}
	n.do(todoCommand(todo.Op{Kind: todo.Delete, List: "bob", ID: 1}))
	if _, ok := trashed("bob", 1); ok {
		t.Error("a group of version 1 has a trash")
	}
	n.do(raise(2))
	n.do(todo2(todo.Op{Kind: todo.Add, List: "bob", Fields: todo.Fields{Title: "c", Date: "2018-12-19", More: &todo.More{Repeat: "FREQ=DAILY"}}}), addCommand("bob", "d"))
	if res := n.do(todoCommand(patchDone("bob", 2)))[0]; res.Code != todo.Outdated {
		t.Errorf("what repeats was done for good: %+v", res)
	}
	if e := n.do(todoCommand(patchDone("bob", 3)))[0].Items[0].Entry; e.More.Get().Completed == 0 {
		t.Errorf("%+v, %+v", e, e.More)
	}
	rev := n.do(todoCommand(todo.Op{Kind: todo.Delete, List: "bob", ID: 3}))[0].Rev
	if kept, ok := trashed("bob", 3); !ok || kept.Entry.Title != "d" {
		t.Errorf("%+v, %v", kept, ok)
	}
	if res := n.do(todo2(todo.Op{Kind: todo.Undo, Rev: rev}))[0]; res.Code != todo.OK || n.titles("bob") != "c d" {
		t.Errorf("%+v; %s", res, n.titles("bob"))
	}
	n.sound()
}
