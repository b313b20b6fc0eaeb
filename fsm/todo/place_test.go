package todo

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// inOrder returns the ids of a list in the order that people gave them.
func (m *memory) inOrder(list string) (ids []uint64) {
	var at []Position
	for key, e := range m.entries {
		if key.num == m.lists[list].Num {
			at = append(at, e.Position())
		}
	}
	slices.SortFunc(at, Position.Compare)
	for _, p := range at {
		ids = append(ids, p.ID)
	}
	return ids
}

func arrange(id uint64, rel Rel, neighbor uint64) Op {
	return Op{Kind: Arrange, List: "bob", ID: id, Where: Where{rel, neighbor}}
}

// putInto does to a plain slice what Arrange does to a list.
func putInto(ids []uint64, id uint64, w Where) []uint64 {
	ids = slices.DeleteFunc(slices.Clone(ids), func(i uint64) bool { return i == id })
	at := len(ids)
	switch w.Rel {
	case First:
		at = 0
	case Before:
		at = slices.Index(ids, w.Neighbor)
	case After:
		at = slices.Index(ids, w.Neighbor) + 1
	}
	return slices.Insert(ids, at, id)
}

func drawWhere(t *rapid.T, ids []uint64, self uint64) Where {
	others := slices.DeleteFunc(slices.Clone(ids), func(i uint64) bool { return i == self })
	w := Where{Rel: rapid.SampledFrom([]Rel{First, Last, Before, After}).Draw(t, "rel")}
	if w.Rel == Before || w.Rel == After {
		if len(others) == 0 {
			return Where{Rel: First}
		}
		w.Neighbor = rapid.SampledFrom(others).Draw(t, "neighbor")
	}
	return w
}

// Entries stand where they were put, whatever comes between, in commands of one operation or of many.
func TestOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m, ids := newMemory(), []uint64(nil)
		for range rapid.IntRange(1, 30).Draw(t, "commands") {
			var ops []Op
			for range rapid.IntRange(1, 4).Draw(t, "operations") {
				switch kind := rapid.IntRange(0, 9).Draw(t, "kind"); {
				case kind < 3 || len(ids) == 0:
					ops = append(ops, Op{Kind: Add, List: "bob", Fields: Fields{Title: "x"}})
					ids = append(ids, m.lists["bob"].LastID+uint64(countAdds(ops)))
				case kind == 3:
					id := rapid.SampledFrom(ids).Draw(t, "id")
					ops = append(ops, Op{Kind: Delete, List: "bob", ID: id})
					ids = slices.DeleteFunc(ids, func(i uint64) bool { return i == id })
				default:
					id := rapid.SampledFrom(ids).Draw(t, "id")
					w := drawWhere(t, ids, id)
					ops = append(ops, Op{Kind: Arrange, List: "bob", ID: id, Where: w})
					ids = putInto(ids, id, w)
				}
			}
			if out := m.do(rules2(ops...)); out.Code != OK {
				t.Fatalf("%+v: code %d", ops, out.Code)
			}
			if got := m.inOrder("bob"); !slices.Equal(got, ids) {
				t.Fatalf("after %+v: %v, want %v", ops, got, ids)
			}
		}
	})
}

func countAdds(ops []Op) (n int) {
	for _, op := range ops {
		if op.Kind == Add {
			n++
		}
	}
	return n
}

// However often something is put at one spot, few entries are moved for it, some five each time, and none of them is changed.
func TestPlacesAreSpreadAnew(t *testing.T) {
	m := newMemory()
	for range 400 {
		m.do(rules2(addUnder(0)))
	}
	most, spread := 0, 0
	for i := range 1000 {
		id := uint64(3 + i%38)
		rel := Before
		if m.inOrder("bob")[0] == id {
			continue
		}
		before := m.entries[entryKey{1, 2}].Rev
		s := NewStage(m)
		out := s.Do(rules2(arrange(id, rel, m.inOrder("bob")[0])), 1, m.rev+1)
		if out.Code != OK {
			t.Fatalf("command %d: code %d", i, out.Code)
		}
		if most = max(most, len(s.Entries)); len(s.Entries) > 1 {
			spread++
		}
		m.do(rules2(arrange(id, rel, m.inOrder("bob")[0])))
		if after := m.entries[entryKey{1, 2}].Rev; id != 2 && after != before {
			t.Fatalf("command %d changed another entry's rev", i)
		}
	}
	if spread == 0 || spread > 40 || most > 129 {
		t.Errorf("%d of 1000 commands moved others, up to %d at once", spread, most)
	}
}

func TestBadPlaces(t *testing.T) {
	m := newMemory()
	m.do(rules2(addUnder(0), addUnder(0), Op{Kind: Delete, List: "bob", ID: 2}))
	for name, w := range map[string]Where{"itself": {Before, 1}, "one that is gone": {After, 2}, "one that never was": {After, 9}} {
		if out := m.do(rules2(arrange(1, w.Rel, w.Neighbor))); out.Code != NoNeighbor {
			t.Errorf("beside %s: code %d", name, out.Code)
		}
	}
	if out := m.do(rules2(arrange(1, First, 0))); out.Code != OK || out.Changed() {
		t.Errorf("where it is: %+v", out)
	}
}
