package todo

import (
	"maps"
	"reflect"
	"testing"
)

func undo(rev uint64) Op { return Op{Kind: Undo, Rev: rev} }

// alike reports whether two states are the same but for revs and times, which a change takes anew.
func (m *memory) alike(o *memory) bool {
	plain := func(entries map[entryKey]Entry) map[entryKey]Entry {
		entries = maps.Clone(entries)
		for key, e := range entries {
			e.Rev, e.Updated = 0, 0
			entries[key] = e
		}
		return entries
	}
	return reflect.DeepEqual(plain(m.entries), plain(o.entries))
}

func (m *memory) clone() *memory {
	c := *m
	c.lists, c.called, c.entries, c.trash, c.traces, c.changes = maps.Clone(m.lists), maps.Clone(m.called), maps.Clone(m.entries), maps.Clone(m.trash), maps.Clone(m.traces), maps.Clone(m.changes)
	return &c
}

func setUID(id uint64, uid string) Op {
	f := Fields{Set: FieldUID}
	if uid != "" {
		f.More = &More{UID: uid}
	}
	return patch("bob", id, f)
}

// Every case begins with bob's tree of three and two with uids: 1, 2 below 1, 3 below 2, 4 (uid a), 5 (uid b).
func undoGround() *memory {
	m := newMemory()
	m.do(rules2(addUnder(0), addUnder(1), addUnder(2), withUID("a"), withUID("b")))
	return m
}

// What a command did is undone, and the undoing of that is what the command did.
func TestUndo(t *testing.T) {
	full := Fields{Set: fieldsEnd - 1, Title: "y", Date: "2018-12-19", More: &More{Notes: "n", Time: "09:30", TZ: "Europe/Berlin", Priority: 1,
		Tags: []string{"t"}, Repeat: "FREQ=DAILY", RepeatFrom: FromDone, Remind: []string{"-PT15M"}, UID: "c", X: "{}"}}
	done := Fields{Set: FieldDone, Done: true}
	for name, ops := range map[string][]Op{
		"add":                                 {add("bob", "x", "")},
		"add to a new list":                   {add("ann", "x", "")},
		"patch":                               {patch("bob", 1, Fields{Set: FieldTitle, Title: "y"})},
		"all fields":                          {patch("bob", 1, full)},
		"put":                                 {{Kind: Put, List: "bob", ID: 4, Fields: Fields{Title: "y", Done: true}}},
		"done":                                {patch("bob", 1, done)},
		"delete":                              {remove("bob", 4)},
		"delete a tree":                       {remove("bob", 1)},
		"patch and delete":                    {patch("bob", 4, full), remove("bob", 4)},
		"a batch":                             {add("bob", "x", ""), patch("bob", 1, done), remove("bob", 3), add("ann", "y", "")},
		"patched twice":                       {patch("bob", 1, done), patch("bob", 1, Fields{Set: FieldTitle, Title: "y"})},
		"uids that changed places":            {setUID(4, "c"), setUID(5, "a"), setUID(4, "b")},
		"a uid taken over":                    {remove("bob", 4), setUID(5, "a")},
		"a child put below a new parent":      {addUnder(0), moveUnder(2, 6)},
		"a child saved and its parent gone":   {moveUnder(2, 0), remove("bob", 1)},
		"deleted and restored":                {remove("bob", 1), restore(1)},
		"deleted, a child restored":           {remove("bob", 1), restore(3)},
		"a tree moved":                        {{Kind: Move, List: "bob", ID: 1, To: "ann"}},
		"a tree copied":                       {{Kind: Copy, List: "bob", ID: 1, To: "ann"}},
		"put elsewhere":                       {{Kind: Arrange, List: "bob", ID: 5, Where: Where{Rel: First}}},
		"moved and done":                      {{Kind: Move, List: "bob", ID: 4, To: "ann"}, {Kind: Patch, List: "ann", ID: 1, Fields: done}},
		"a child deleted and then its parent": {remove("bob", 3), remove("bob", 2)},
		"a tree added":                        {addUnder(0), addUnder(6), addUnder(7)},
	} {
		t.Run(name, func(t *testing.T) {
			m := undoGround()
			before := m.clone()
			if out := m.do(rules2(ops...)); out.Code != OK {
				t.Fatalf("it came to %d at %d", out.Code, out.At)
			}
			after := m.clone()
			out := m.do(rules2(undo(m.rev)))
			if out.Code != OK || !m.alike(before) {
				t.Fatalf("code %d, %s, want %s", out.Code, m.shape(), before.shape())
			}
			m.counted(t)
			if m.rev == after.rev && !after.alike(before) {
				t.Error("the undoing took no rev")
			}
			if out := m.do(rules2(undo(m.rev))); out.Code != OK || !m.alike(after) {
				t.Fatalf("undone again: code %d, %s, want %s", out.Code, m.shape(), after.shape())
			}
			m.counted(t)
		})
	}
}

// An added entry that is deleted in the same batch was never there.
func TestUndoOfNothing(t *testing.T) {
	m := undoGround()
	m.do(rules2(add("bob", "x", ""), remove("bob", 6)))
	if out := m.do(rules2(undo(m.rev))); out.Code != OK || out.Changed() || m.rev != 2 {
		t.Errorf("%+v", out)
	}
}

// What others did since is not undone with it, and what is no longer kept not at all.
func TestUndoIsRefused(t *testing.T) {
	done := patch("bob", 4, Fields{Set: FieldDone, Done: true})
	for name, c := range map[string]struct {
		first, then []Op
		code        Code
		shows       uint64 // the entry in the way
	}{
		"changed since":                {[]Op{done}, []Op{patch("bob", 4, Fields{Set: FieldTitle, Title: "z"})}, Overtaken, 4},
		"deleted since":                {[]Op{done}, []Op{remove("bob", 4)}, Overtaken, 0},
		"one of a batch changed since": {[]Op{add("bob", "x", ""), done}, []Op{patch("bob", 6, Fields{Set: FieldDone, Done: true})}, Overtaken, 6},
		"restored since":               {[]Op{remove("bob", 4)}, []Op{restore(4)}, Overtaken, 4},
		"a child was put below it":     {[]Op{addUnder(0)}, []Op{addUnder(6)}, Overtaken, 6},
		"its uid was taken":            {[]Op{remove("bob", 4)}, []Op{withUID("a")}, UIDTaken, 6},
		"gone for good":                {[]Op{remove("bob", 4)}, []Op{purge(4)}, Forgotten, 0},
		"deleted for good":             {[]Op{remove("bob", 4), purge(4)}, []Op{add("bob", "x", "")}, Forgotten, 0},
		"a list deleted":               {[]Op{{Kind: DeleteList, List: "bob"}}, []Op{add("ann", "x", "")}, Final, 0},
		"its list deleted since":       {[]Op{done}, []Op{{Kind: DeleteList, List: "bob"}}, Overtaken, 0},
	} {
		t.Run(name, func(t *testing.T) {
			m := undoGround()
			m.do(rules2(c.first...))
			first := m.rev
			if out := m.do(rules2(c.then...)); out.Code != OK {
				t.Fatal(out.Code)
			}
			before := m.clone()
			out := m.do(rules2(undo(first)))
			if out.Code != c.code || (c.shows != 0) != (len(out.Items) == 1) || c.shows != 0 && out.Items[0].Entry.ID != c.shows {
				t.Errorf("%+v, want code %d and entry %d", out, c.code, c.shows)
			}
			if !reflect.DeepEqual(m.entries, before.entries) {
				t.Error("it changed something")
			}
		})
	}
	m := undoGround()
	if out := m.do(rules2(undo(2))); out.Code != NoRev {
		t.Errorf("a rev to come: %d", out.Code)
	}
	delete(m.changes, 1)
	if out := m.do(rules2(undo(1))); out.Code != Forgotten {
		t.Errorf("a change that is no longer kept: %d", out.Code)
	}
}

// A parent that went meanwhile does not keep what was below it away.
func TestUndoOfADeleteWithoutItsParent(t *testing.T) {
	m := undoGround()
	m.do(rules2(remove("bob", 3)))
	m.do(rules2(remove("bob", 1)))
	if out := m.do(rules2(undo(2))); out.Code != OK || m.shape() != "3 4 5|1 2<1" {
		t.Errorf("%d, %s", out.Code, m.shape())
	}
}

// Each field that can be set is told of, and so is when an entry was done and where it was put.
func TestTraceKnowsAllFields(t *testing.T) {
	whole := More{Notes: "n", Time: "09:30", TZ: "Europe/Berlin", Priority: 1, Tags: []string{"t"}, Parent: 7, Repeat: "FREQ=DAILY",
		RepeatFrom: FromDone, Remind: []string{"-PT15M"}, UID: "c", Completed: 5, X: "{}", Place: Place{1, 2}}
	for i := range reflect.TypeFor[More]().NumField() {
		one := More{}
		reflect.ValueOf(&one).Elem().Field(i).Set(reflect.ValueOf(whole).Field(i))
		name := reflect.TypeFor[More]().Field(i).Name
		for _, states := range [][2]Entry{{{}, {More: &one}}, {{More: &one}, {}}} {
			var trace Trace
			trace.From, trace.To = differ(&states[0], &states[1])
			if reflect.DeepEqual(trace.From, trace.To) {
				t.Errorf("%s is not told of", name)
			}
			if back := trace.undone(states[1]); !back.Same(&states[0]) {
				t.Errorf("%s is not undone: %+v", name, back.More)
			}
			if settable := name != "Completed" && name != "Place"; (trace.Changed() != 0) != settable {
				t.Errorf("%s counts as %b", name, trace.Changed())
			}
		}
	}
}

// A rev is undone whatever its lists are called since, and in these lists.
func TestUndoAfterARename(t *testing.T) {
	m := undoGround()
	m.do(rules2(add("ann", "x", "")))
	before := m.clone()
	m.do(rules2(patch("bob", 4, Fields{Set: FieldDone, Done: true}), remove("bob", 1), add("bob", "y", ""), move("bob", 5, "ann")))
	rev := m.rev
	for _, ops := range [][]Op{{rename("bob", "rob"), rename("ann", "eve")}, {rename("rob", "tom")}} {
		m.do(rules2(ops...))
		is := m.clone()
		out := is.do(rules2(undo(rev)))
		if out.Code != OK || !is.alike(before) {
			t.Errorf("code %d, %s, want %s", out.Code, is.shape(), before.shape())
		}
		if len(out.Told) != 7 {
			t.Errorf("it tells of %d", len(out.Told))
		}
		for _, item := range out.Told {
			if l := is.lists[item.List]; l.Num == 0 {
				t.Errorf("it tells of %+v", item)
			}
		}
	}
	m.do(rules2(add("bob", "of another list", "")))
	if out := m.do(rules2(undo(rev))); out.Code != Overtaken {
		t.Errorf("with another list under the old name: %d", out.Code)
	}
}

func patchList(list string, set ListSet, m ListMore) Op {
	return Op{Kind: PatchList, List: list, ListFields: &ListFields{Set: set, ListMore: m}}
}

// What a rev did to a list itself is undone, field by field, with all else that it did.
func TestUndoOfAList(t *testing.T) {
	all := ListMore{Title: "Bob's", Colour: "#3366cc", Archived: true, Sort: "due"}
	const every = ListTitle | ListColour | ListArchived | ListSort
	for name, c := range map[string]struct {
		first, then []Op
		code        Code
		is          ListMore // of bob in the end
	}{
		"all of it":          {[]Op{patchList("bob", every, all)}, nil, OK, ListMore{Colour: "#000000"}},
		"with an entry":      {[]Op{patchList("bob", every, all), add("bob", "x", ""), remove("bob", 1)}, nil, OK, ListMore{Colour: "#000000"}},
		"twice in a rev":     {[]Op{patchList("bob", ListTitle, ListMore{Title: "a"}), patchList("bob", ListTitle, ListMore{Title: "b"})}, nil, OK, ListMore{Colour: "#000000"}},
		"another field":      {[]Op{patchList("bob", ListTitle, all)}, []Op{patchList("bob", ListColour, ListMore{})}, OK, ListMore{}},
		"its entries":        {[]Op{patchList("bob", ListTitle, all)}, []Op{add("bob", "x", "")}, OK, ListMore{Colour: "#000000"}},
		"changed since":      {[]Op{patchList("bob", every, all)}, []Op{patchList("bob", ListSort, ListMore{Sort: "title"})}, Overtaken, ListMore{"Bob's", "#3366cc", true, "title", 0}},
		"renamed since":      {[]Op{patchList("bob", ListTitle, all)}, []Op{rename("bob", "rob")}, OK, ListMore{}},
		"renamed there":      {[]Op{{Kind: PatchList, List: "bob", To: "rob", ListFields: &ListFields{Set: ListTitle, ListMore: all}}}, nil, Renames, ListMore{}},
		"deleted since":      {[]Op{patchList("bob", ListColour, ListMore{})}, []Op{{Kind: DeleteList, List: "bob"}}, Overtaken, ListMore{}},
		"begun anew since":   {[]Op{patchList("bob", ListColour, ListMore{})}, []Op{{Kind: DeleteList, List: "bob"}, add("bob", "x", "")}, Overtaken, ListMore{}},
		"an entry overtaken": {[]Op{patchList("bob", ListColour, ListMore{}), remove("bob", 4)}, []Op{restore(4)}, Overtaken, ListMore{}},
	} {
		t.Run(name, func(t *testing.T) {
			m := undoGround()
			m.do(rules2(patchList("bob", ListColour, ListMore{Colour: "#000000"})))
			before := m.clone()
			if out := m.do(rules2(c.first...)); out.Code != OK {
				t.Fatal(out)
			}
			rev := m.rev
			m.do(rules2(c.then...))
			after := m.clone()
			out := m.do(rules2(undo(rev)))
			if out.Code != c.code {
				t.Fatalf("code %d, want %d", out.Code, c.code)
			}
			if l := m.List("bob"); l.Num != 0 && l.More.Get() != c.is {
				t.Errorf("it is %+v, want %+v", l.More.Get(), c.is)
			}
			if l := m.List("rob"); c.code == OK && l.Num != 0 && (l.More.Get() != ListMore{Colour: "#000000"} || out.Items[0].List != "rob") {
				t.Errorf("under its new name it is %+v, and %+v is told", l.More.Get(), out.Items[0])
			}
			if c.code != OK {
				return
			}
			if c.then == nil && !m.alike(before) {
				t.Errorf("%s, want %s", m.shape(), before.shape())
			}
			if out := m.do(rules2(undo(m.rev))); out.Code != OK || !m.alike(after) {
				t.Errorf("undone again: code %d, %s, want %s", out.Code, m.shape(), after.shape())
			}
			for _, list := range []string{"bob", "rob"} {
				if got, want := m.List(list).More.Get(), after.List(list).More.Get(); got != want {
					t.Errorf("undone again %s is %+v, want %+v", list, got, want)
				}
			}
		})
	}
}
