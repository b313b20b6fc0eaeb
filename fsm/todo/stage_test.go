package todo

import (
	"reflect"
	"slices"
	"strings"
	"testing"
)

// memory is a View over maps, stored to as package fsm would.
type memory struct {
	lists   map[string]List
	entries map[entryKey]Entry
	trash   map[entryKey]Trashed
	traces  map[entryKey]Trace // the last of each entry
	changes map[uint64][]Item
	called  map[uint64]string
	next    uint64
	rev     uint64
}

func newMemory() *memory {
	return &memory{lists: map[string]List{}, entries: map[entryKey]Entry{}, trash: map[entryKey]Trashed{},
		traces: map[entryKey]Trace{}, changes: map[uint64][]Item{}, called: map[uint64]string{}, next: 1}
}

func (m *memory) UID(num uint64, uid string) uint64 {
	for key, e := range m.entries {
		if key.num == num && e.More.Get().UID == uid {
			return key.id
		}
	}
	return 0
}
func (m *memory) Children(num, parent uint64, limit int) (ids []uint64) {
	for key, e := range m.entries {
		if key.num == num && e.More.Get().Parent == parent {
			ids = append(ids, key.id)
		}
	}
	slices.Sort(ids)
	return ids[:min(limit, len(ids))]
}
func (m *memory) Around(num uint64, at Position, back bool, limit int) (found []Position, edge Position, more bool) {
	for key, e := range m.entries {
		if p := e.Position(); key.num == num && beyond(at, p, back) {
			found = append(found, p)
		}
	}
	slices.SortFunc(found, func(a, b Position) int {
		if back {
			a, b = b, a
		}
		return a.Compare(b)
	})
	if len(found) <= limit {
		return found, edge, false
	}
	return found[:limit], found[limit-1], true
}
func (m *memory) NextNum() uint64          { return m.next }
func (m *memory) Called(num uint64) string { return m.called[num] }
func (m *memory) Epoch() uint64            { return 7 }

func (m *memory) List(name string) List {
	l := m.lists[name]
	l.Name = name
	return l
}

func (m *memory) Entry(num, id uint64) (Entry, bool) {
	e, ok := m.entries[entryKey{num, id}]
	return e, ok
}

func (m *memory) Trashed(num, id uint64) (Trashed, bool) {
	t, ok := m.trash[entryKey{num, id}]
	return t, ok
}

func (m *memory) Trace(num, id uint64) (Trace, bool) {
	t, ok := m.traces[entryKey{num, id}]
	return t, ok
}

func (m *memory) Change(rev uint64) ([]Item, bool) {
	items, ok := m.changes[rev]
	return slices.Clone(items), ok
}

func (m *memory) do(cmd Command) Outcome {
	s := NewStage(m)
	out := s.Do(cmd, 1000+int64(m.rev), m.rev+1)
	if out.Code != OK || !out.Changed() {
		return out
	}
	m.rev++
	m.next = s.NextNum()
	for _, l := range s.Lists {
		m.lists[l.Name] = l
	}
	for _, e := range s.Entries {
		m.entries[entryKey{e.Num, e.Entry.ID}] = e.Entry
		if e.Gone {
			delete(m.entries, entryKey{e.Num, e.Entry.ID})
		}
		if t, ok := e.Trace(m.rev); ok && cmd.Rules >= Rules2 {
			m.traces[entryKey{e.Num, e.Entry.ID}] = t
		}
	}
	for _, t := range s.Trash {
		m.trash[entryKey{t.Num, t.Now.Entry.ID}] = t.Now
		if t.Gone {
			delete(m.trash, entryKey{t.Num, t.Now.Entry.ID})
		}
	}
	for _, r := range s.Renamed {
		m.called[r.Num] = r.To
	}
	m.changes[m.rev] = out.Items
	if out.Told != nil {
		m.changes[m.rev] = out.Told
	}
	return out
}

func add(list, title, date string) Op {
	return Op{Kind: Add, List: list, Fields: Fields{Title: title, Date: date}}
}

func patch(list string, id uint64, f Fields) Op {
	return Op{Kind: Patch, List: list, ID: id, Fields: f}
}

func remove(list string, id uint64) Op { return Op{Kind: Delete, List: list, ID: id} }

func match(op Op, rev uint64) Op {
	op.If.Match = []Tag{{7, rev}}
	return op
}

func noneMatch(op Op, tags ...Tag) Op {
	op.If.NoneMatch = tags
	return op
}

// Every case begins with bob's two entries: 1 (Dentist, rev 1) and 2 (Milk, rev 2).
func TestStage(t *testing.T) {
	done := Fields{Set: FieldDone, Done: true}
	cases := []struct {
		name string
		ops  []Op
		code Code
		at   int
		bob  List // as it is after; its name and number are left out
	}{
		{"add", []Op{add("bob", "Bread", "2018-12-19")}, OK, 0, List{LastID: 3, Entries: 3, Open: 3, Rev: 3}},
		{"add a done one", []Op{{Kind: Add, List: "bob", Fields: Fields{Title: "x", Done: true}}}, OK, 0, List{LastID: 3, Entries: 3, Open: 2, Rev: 3}},
		{"put", []Op{{Kind: Put, List: "bob", ID: 1, Fields: Fields{Title: "x", Done: true}}}, OK, 0, List{LastID: 2, Entries: 2, Open: 1, Rev: 3}},
		{"put the same", []Op{{Kind: Put, List: "bob", ID: 1, Fields: Fields{Title: "Dentist", Date: "2018-12-19"}}}, OK, 0, List{LastID: 2, Entries: 2, Open: 2, Rev: 2}},
		{"patch done", []Op{patch("bob", 1, done)}, OK, 0, List{LastID: 2, Entries: 2, Open: 1, Rev: 3}},
		{"patch nothing", []Op{patch("bob", 1, Fields{Title: "ignored"})}, OK, 0, List{LastID: 2, Entries: 2, Open: 2, Rev: 2}},
		{"done and open again", []Op{patch("bob", 1, done), patch("bob", 1, Fields{Set: FieldDone})}, OK, 0, List{LastID: 2, Entries: 2, Open: 2, Rev: 3}},
		{"delete", []Op{remove("bob", 2)}, OK, 0, List{LastID: 2, Entries: 1, Open: 1, Rev: 3}},
		{"delete the last of a list", []Op{remove("bob", 1), remove("bob", 2)}, OK, 0, List{LastID: 2, Rev: 3}},
		{"delete twice", []Op{remove("bob", 2), remove("bob", 2)}, NoEntry, 1, List{LastID: 2, Entries: 2, Open: 2, Rev: 2}},
		{"id after a delete", []Op{remove("bob", 2), add("bob", "x", "")}, OK, 0, List{LastID: 3, Entries: 2, Open: 2, Rev: 3}},
		{"delete list", []Op{{Kind: DeleteList, List: "bob"}}, OK, 0, List{LastID: 2}},
		{"begin a list anew", []Op{{Kind: DeleteList, List: "bob"}, add("bob", "x", "")}, OK, 0, List{LastID: 3, Entries: 1, Open: 1, Rev: 3}},
		{"begin it anew and delete it", []Op{{Kind: DeleteList, List: "bob"}, add("bob", "x", ""), {Kind: DeleteList, List: "bob"}}, OK, 0, List{LastID: 3}},
		{"an entry of the list before", []Op{{Kind: DeleteList, List: "bob"}, add("bob", "x", ""), remove("bob", 1)}, NoEntry, 2, List{LastID: 2, Entries: 2, Open: 2, Rev: 2}},
		{"add and delete it", []Op{add("bob", "x", ""), remove("bob", 3)}, OK, 0, List{LastID: 3, Entries: 2, Open: 2, Rev: 3}},
		{"no list", []Op{remove("ann", 1)}, NoList, 0, List{LastID: 2, Entries: 2, Open: 2, Rev: 2}},
		{"no list to delete", []Op{{Kind: DeleteList, List: "ann"}}, NoList, 0, List{LastID: 2, Entries: 2, Open: 2, Rev: 2}},
		{"no entry", []Op{patch("bob", 3, done)}, NoEntry, 0, List{LastID: 2, Entries: 2, Open: 2, Rev: 2}},
		{"a batch that fails at its end", []Op{add("bob", "x", ""), remove("bob", 1), remove("ann", 1)}, NoList, 2, List{LastID: 2, Entries: 2, Open: 2, Rev: 2}},
		{"if-match", []Op{match(patch("bob", 1, done), 1)}, OK, 0, List{LastID: 2, Entries: 2, Open: 1, Rev: 3}},
		{"if-match of another rev", []Op{match(patch("bob", 1, done), 2)}, Precondition, 0, List{LastID: 2, Entries: 2, Open: 2, Rev: 2}},
		{"if-match *", []Op{{Kind: Delete, List: "bob", ID: 1, If: Condition{Match: []Tag{AnyTag}}}}, OK, 0, List{LastID: 2, Entries: 1, Open: 1, Rev: 3}},
		{"if-match of another epoch", []Op{{Kind: Delete, List: "bob", ID: 1, If: Condition{Match: []Tag{{6, 1}}}}}, Precondition, 0, List{LastID: 2, Entries: 2, Open: 2, Rev: 2}},
		{"if-match within a batch", []Op{patch("bob", 1, done), match(remove("bob", 1), 3)}, OK, 0, List{LastID: 2, Entries: 1, Open: 1, Rev: 3}},
		{"if-none-match *: only a new list", []Op{noneMatch(add("bob", "x", ""), AnyTag)}, Precondition, 0, List{LastID: 2, Entries: 2, Open: 2, Rev: 2}},
		{"if-none-match * on a new list", []Op{noneMatch(add("ann", "x", ""), AnyTag)}, OK, 0, List{LastID: 2, Entries: 2, Open: 2, Rev: 2}},
		{"if-match of a list", []Op{match(add("bob", "x", ""), 2)}, OK, 0, List{LastID: 3, Entries: 3, Open: 3, Rev: 3}},
		{"if-match of no list", []Op{match(add("ann", "x", ""), 0)}, Precondition, 0, List{LastID: 2, Entries: 2, Open: 2, Rev: 2}},
		{"if-match for delete list", []Op{match(Op{Kind: DeleteList, List: "bob"}, 1)}, Precondition, 0, List{LastID: 2, Entries: 2, Open: 2, Rev: 2}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			m := newMemory()
			m.do(Command{Ops: []Op{add("bob", "Dentist", "2018-12-19")}})
			m.do(Command{Ops: []Op{add("bob", "Milk", "")}})
			out := m.do(Command{Ops: c.ops, Batch: true})
			if out.Code != c.code || out.At != c.at {
				t.Fatalf("outcome %+v, want code %d at %d", out, c.code, c.at)
			}
			if out.Code == OK && len(out.Items) != len(c.ops) {
				t.Errorf("%d items for %d operations", len(out.Items), len(c.ops))
			}
			bob := m.List("bob")
			bob.Name, bob.Num = "", 0
			if bob != c.bob {
				t.Errorf("bob is %+v, want %+v", bob, c.bob)
			}
		})
	}
}

func TestItems(t *testing.T) {
	m := newMemory()
	out := m.do(Command{Ops: []Op{add("bob", "Dentist", "2018-12-19"), patch("bob", 1, Fields{Set: FieldTitle, Title: "Doctor"}), remove("bob", 1)}})
	first := Entry{ID: 1, Title: "Dentist", Date: "2018-12-19", Rev: 1, Created: 1000, Updated: 1000}
	second := first
	second.Title = "Doctor"
	want := []Item{{Kind: Add, List: "bob", Entry: first, Changed: true}, {Kind: Patch, List: "bob", Entry: second, Changed: true}, {Kind: Delete, List: "bob", Entry: second, Changed: true}}
	if !reflect.DeepEqual(out.Items, want) {
		t.Errorf("items %+v, want %+v", out.Items, want)
	}
	m.do(Command{Ops: []Op{add("bob", "x", "")}})
	if out := m.do(Command{Ops: []Op{patch("bob", 2, Fields{Set: FieldTitle, Title: "x"})}}); out.Changed() || m.rev != 2 {
		t.Errorf("a patch that changes nothing took rev %d: %+v", m.rev, out)
	}
	out = m.do(Command{Ops: []Op{patch("bob", 2, Fields{Set: FieldDone, Done: true})}})
	if e := out.Items[0].Entry; e.Created != 1001 || e.Updated != 1002 || e.Rev != 3 {
		t.Errorf("patched entry %+v", e)
	}
}

func TestListNumbersAreNotReused(t *testing.T) {
	m := newMemory()
	seen := map[uint64]bool{}
	for range 3 {
		m.do(Command{Ops: []Op{add("bob", "x", ""), add("ann", "x", "")}})
		for _, name := range []string{"bob", "ann"} {
			num := m.List(name).Num
			if seen[num] {
				t.Fatalf("number %d was used before", num)
			}
			seen[num] = true
			m.do(Command{Ops: []Op{{Kind: DeleteList, List: name}}})
		}
	}
}

func TestListFull(t *testing.T) {
	m := newMemory()
	m.do(Command{Ops: []Op{add("bob", "x", "")}})
	l := m.List("bob")
	l.Entries = MaxEntries - 1
	m.lists["bob"] = l
	if out := m.do(Command{Ops: []Op{add("bob", "x", ""), add("bob", "y", "")}}); out.Code != ListFull || out.At != 1 {
		t.Errorf("the add beyond the limit came to %+v", out)
	}
	if out := m.do(Command{Ops: []Op{add("bob", "x", ""), remove("bob", 1), add("bob", "y", "")}}); out.Code != OK {
		t.Errorf("a delete within the batch made no room: %+v", out)
	}
}

func TestListName(t *testing.T) {
	long := strings.Repeat("x", MaxListName)
	good := map[string]string{"bob": "bob", long: long, "a b": "a b", "u\u0308": "\u00fc", "...": "...", "\u4e16\u754c": "\u4e16\u754c", "%2F": "%2F",
		strings.Repeat("u\u0308", 64): strings.Repeat("\u00fc", 64)}
	for name, want := range good {
		if got, err := ListName(name); err != nil || got != want {
			t.Errorf("%q became %q, %v", name, got, err)
		}
	}
	bad := []string{"", ".", "..", "a/b", "/", " bob", "bob ", "\u00a0bob", "a\nb", "a\x00", "a\x7fb", "a\u0085b", "\xff", long + "x",
		strings.Repeat("\u00fc", 65), strings.Repeat("x", 1<<20), "\u2003x"}
	for _, name := range bad {
		if got, err := ListName(name); err == nil {
			t.Errorf("%.40q was taken as %q", name, got)
		}
	}
}

func TestTitleAndDate(t *testing.T) {
	for _, title := range []string{"x", strings.Repeat("\U0001f600", MaxTitle), " kept as sent ", "u\u0308", "a/b"} {
		if err := Title(title); err != nil {
			t.Errorf("title %.20q: %v", title, err)
		}
	}
	for _, title := range []string{"", " ", "\u2003", "a\nb", "\t", "a\u009fb", "\xc3", strings.Repeat("x", MaxTitle+1)} {
		if Title(title) == nil {
			t.Errorf("title %.20q was taken", title)
		}
	}
	for _, date := range []string{"2018-12-19", "2020-02-29", "0001-01-01", "9999-12-31"} {
		if err := Date(date); err != nil {
			t.Errorf("date %q: %v", date, err)
		}
	}
	for _, date := range []string{"", "2018-02-29", "2018-13-01", "2018-1-1", "0000-01-01", "2018-12-19T", "18-12-19", "2018/12/19", " 018-12-19", "+018-12-19"} {
		if Date(date) == nil {
			t.Errorf("date %q was taken", date)
		}
	}
}

func TestCheck(t *testing.T) {
	many := make([]Op, MaxBatch+1)
	for i := range many {
		many[i] = add("bob", "x", "")
	}
	tags := make([]Tag, MaxTags+1)
	cases := []struct {
		name string
		cmd  Command
		want string // field and reason begin so; "" for none
	}{
		{"nothing", Command{}, "commands must"},
		{"a full batch", Command{Ops: many[:MaxBatch], Batch: true}, ""},
		{"too many", Command{Ops: many, Batch: true}, "commands must"},
		{"bad title", Command{Ops: []Op{add("bob", "", "")}}, "title must"},
		{"bad date", Command{Ops: []Op{add("bob", "x", "2018-02-29")}}, "date must"},
		{"bad list", Command{Ops: []Op{add("a/b", "x", "")}}, "list must"},
		{"bad in a batch", Command{Ops: []Op{add("bob", "x", ""), add("bob", "", "")}, Batch: true}, "commands[1].title must"},
		{"put without a title", Command{Ops: []Op{{Kind: Put, List: "bob", ID: 1}}}, "title must"},
		{"patch of done alone", Command{Ops: []Op{patch("bob", 1, Fields{Set: FieldDone, Done: true})}}, ""},
		{"patch takes a date away", Command{Ops: []Op{patch("bob", 1, Fields{Set: FieldDate})}}, ""},
		{"patch takes the title away", Command{Ops: []Op{patch("bob", 1, Fields{Set: FieldTitle})}}, "title must"},
		{"no kind", Command{Ops: []Op{{List: "bob"}}}, "op must"},
		{"unknown kind", Command{Ops: []Op{{Kind: 99, List: "bob"}}}, "op must"},
		{"too many tags", Command{Ops: []Op{{Kind: Delete, List: "bob", If: Condition{Match: tags}}}}, "if_match must"},
		{"too many other tags", Command{Ops: []Op{{Kind: Delete, List: "bob", If: Condition{NoneMatch: tags}}}}, "if_none_match must"},
		{"delete", Command{Ops: []Op{remove("bob", 1)}}, ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			err := c.cmd.Check()
			if (err == nil) != (c.want == "") || err != nil && !strings.HasPrefix(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
	cmd := Command{Ops: []Op{add("u\u0308", "u\u0308", "")}}
	if err := cmd.Check(); err != nil || cmd.Ops[0].List != "\u00fc" || cmd.Ops[0].Fields.Title != "u\u0308" {
		t.Errorf("names must come out in NFC and titles as sent: %+v, %v", cmd.Ops[0], err)
	}
}
