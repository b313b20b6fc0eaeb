package todo

import "testing"

func under(parent uint64) *More {
	if parent == 0 {
		return nil
	}
	return &More{Parent: parent}
}

func addUnder(parent uint64) Op {
	return Op{Kind: Add, List: "bob", Fields: Fields{Title: "x", More: under(parent)}}
}

func moveUnder(id, parent uint64) Op {
	return Op{Kind: Patch, List: "bob", ID: id, Fields: Fields{Set: FieldParent, More: under(parent)}}
}

func rules2(ops ...Op) Command { return Command{Ops: ops, Batch: len(ops) > 1, Rules: Rules2} }

func TestParents(t *testing.T) {
	for name, c := range map[string]struct {
		ops  []Op
		want Code
		at   int
	}{
		"below one that is there":          {[]Op{addUnder(0), addUnder(1)}, OK, 0},
		"below none":                       {[]Op{addUnder(7)}, NoParent, 0},
		"below itself":                     {[]Op{addUnder(0), moveUnder(1, 1)}, Cycle, 1},
		"below its child":                  {[]Op{addUnder(0), addUnder(1), moveUnder(1, 2)}, Cycle, 2},
		"below a child's child":            {[]Op{addUnder(0), addUnder(1), addUnder(2), moveUnder(1, 3)}, Cycle, 3},
		"five levels":                      {[]Op{addUnder(0), addUnder(1), addUnder(2), addUnder(3), addUnder(4)}, OK, 0},
		"six levels":                       {[]Op{addUnder(0), addUnder(1), addUnder(2), addUnder(3), addUnder(4), addUnder(5)}, TooDeep, 5},
		"a tree that becomes too deep":     {[]Op{addUnder(0), addUnder(1), addUnder(2), addUnder(0), addUnder(4), addUnder(5), moveUnder(4, 3)}, TooDeep, 6},
		"a tree that fits":                 {[]Op{addUnder(0), addUnder(1), addUnder(2), addUnder(0), addUnder(4), moveUnder(4, 3)}, OK, 0},
		"a tree whose depth was cut first": {[]Op{addUnder(0), addUnder(1), addUnder(2), addUnder(0), addUnder(4), addUnder(5), moveUnder(6, 0), moveUnder(4, 3)}, OK, 0},
		"below one that is taken away":     {[]Op{addUnder(0), {Kind: Delete, List: "bob", ID: 1}, addUnder(1)}, NoParent, 2},
		"to the top":                       {[]Op{addUnder(0), addUnder(1), moveUnder(2, 0), moveUnder(1, 2)}, OK, 0},
	} {
		t.Run(name, func(t *testing.T) {
			if out := newMemory().do(rules2(c.ops...)); out.Code != c.want || out.At != c.at { // all in one command
				t.Errorf("in one command: code %d at %d, want %d at %d", out.Code, out.At, c.want, c.at)
			}
			m := newMemory() // and each on its own
			for i, op := range c.ops {
				out := m.do(rules2(op))
				if want := c.want; out.Code != OK && (out.Code != want || i != c.at) {
					t.Fatalf("operation %d: code %d, want %d at %d", i, out.Code, want, c.at)
				}
			}
		})
	}
}

// An entry with more below it than one command may move stays where it is.
func TestTooManyBelow(t *testing.T) {
	m := newMemory()
	m.do(rules2(addUnder(0), addUnder(0)))
	ops := make([]Op, MaxBatch)
	for i := range ops {
		ops[i] = addUnder(1)
	}
	m.do(rules2(ops[1:]...))
	if out := m.do(rules2(moveUnder(1, 2))); out.Code != OK {
		t.Errorf("with 999 below it: code %d", out.Code)
	}
	m.do(rules2(addUnder(1), moveUnder(1, 0)))
	if out := m.do(rules2(moveUnder(1, 2))); out.Code != TooMany {
		t.Errorf("with 1,000 below it: code %d", out.Code)
	}
}
