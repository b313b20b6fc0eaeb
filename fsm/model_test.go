package fsm

import (
	"bytes"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"todod/fsm/todo"
)

// model is lists as anyone would write them who did not care for speed.
type model struct {
	lists map[string][]todo.Entry
	revs  map[string]uint64 // of lists
	ids   map[string]uint64 // highest used
	rev   uint64
}

func (m *model) clone() *model {
	c := &model{map[string][]todo.Entry{}, maps.Clone(m.revs), maps.Clone(m.ids), m.rev}
	for name, l := range m.lists {
		c.lists[name] = slices.Clone(l)
	}
	return c
}

func (m *model) do(cmd *todo.Command, now int64) (*model, todo.Code, int) {
	next, changed := m.clone(), false
	next.rev++
	for i := range cmd.Ops {
		code, did := next.op(&cmd.Ops[i], now)
		if code != todo.OK {
			return m, code, i
		}
		changed = changed || did
	}
	if !changed {
		return m, todo.OK, 0
	}
	return next, todo.OK, 0
}

func (m *model) op(op *todo.Op, now int64) (todo.Code, bool) {
	entries, exists := m.lists[op.List]
	at := slices.IndexFunc(entries, func(e todo.Entry) bool { return e.ID == op.ID })
	rev := m.revs[op.List]
	switch op.Kind {
	case todo.Add:
	case todo.DeleteList:
		if !exists {
			return todo.NoList, false
		}
	default:
		if !exists {
			return todo.NoList, false
		}
		if at < 0 {
			return todo.NoEntry, false
		}
		rev = entries[at].Rev
	}
	if !modelHolds(op.If, exists, todo.Tag{Epoch: 7, Rev: rev}) {
		return todo.Precondition, false
	}
	switch op.Kind {
	case todo.Add:
		m.ids[op.List]++
		m.lists[op.List] = append(entries, todo.Entry{ID: m.ids[op.List], Title: op.Fields.Title, Date: op.Fields.Date,
			Done: op.Fields.Done, Rev: m.rev, Created: now, Updated: now})
	case todo.Delete:
		m.lists[op.List] = slices.Delete(entries, at, at+1)
	case todo.DeleteList:
		delete(m.lists, op.List)
		delete(m.revs, op.List)
		return todo.OK, true
	default:
		was := entries[at]
		e := &entries[at]
		if set := op.Fields.Set; op.Kind == todo.Put || set&todo.FieldTitle != 0 {
			e.Title = op.Fields.Title
		}
		if set := op.Fields.Set; op.Kind == todo.Put || set&todo.FieldDate != 0 {
			e.Date = op.Fields.Date
		}
		if set := op.Fields.Set; op.Kind == todo.Put || set&todo.FieldDone != 0 {
			e.Done = op.Fields.Done
		}
		if *e == was {
			return todo.OK, false
		}
		e.Rev, e.Updated = m.rev, now
	}
	m.revs[op.List] = m.rev
	return todo.OK, true
}

func modelHolds(c todo.Condition, exists bool, at todo.Tag) bool {
	one := func(tags []todo.Tag) bool {
		return exists && (slices.Contains(tags, at) || slices.Contains(tags, todo.AnyTag))
	}
	return (len(c.Match) == 0 || one(c.Match)) && (len(c.NoneMatch) == 0 || !one(c.NoneMatch))
}

var (
	genList  = rapid.SampledFrom([]string{"a", "ann", "b", "\u00fc"})
	genTitle = rapid.SampledFrom([]string{"x", "y", "a longer title with \u00fc in it"})
	genDate  = rapid.SampledFrom([]string{"", "2018-12-18", "2018-12-19", "2019-01-01"})
	genTag   = rapid.Custom(func(t *rapid.T) todo.Tag {
		if rapid.IntRange(0, 4).Draw(t, "any") == 0 {
			return todo.AnyTag
		}
		return todo.Tag{Epoch: rapid.SampledFrom([]uint64{7, 7, 7, 6}).Draw(t, "epoch"), Rev: rapid.Uint64Range(1, 60).Draw(t, "rev")}
	})
	genOp = rapid.Custom(func(t *rapid.T) todo.Op {
		op := todo.Op{
			Kind: rapid.SampledFrom([]todo.Kind{1, 1, 1, 1, 1, 2, 3, 3, 4, 4, 5}).Draw(t, "kind"),
			List: genList.Draw(t, "list"), ID: rapid.Uint64Range(1, 6).Draw(t, "id"),
			Fields: todo.Fields{Set: todo.FieldSet(rapid.IntRange(0, 7).Draw(t, "set")), Title: genTitle.Draw(t, "title"),
				Date: genDate.Draw(t, "date"), Done: rapid.Bool().Draw(t, "done")},
		}
		switch rapid.IntRange(0, 7).Draw(t, "if") {
		case 0:
			op.If.Match = rapid.SliceOfN(genTag, 1, 3).Draw(t, "match")
		case 1:
			op.If.NoneMatch = rapid.SliceOfN(genTag, 1, 3).Draw(t, "none-match")
		}
		return op
	})
)

// genOps makes a batch, whose operations often meet the same entry.
var genOps = rapid.Custom(func(t *rapid.T) []todo.Op {
	ops := rapid.SliceOfN(genOp, 1, 5).Draw(t, "ops")
	for i := 1; i < len(ops); i++ {
		if rapid.Bool().Draw(t, "same") {
			ops[i].List, ops[i].ID = ops[i-1].List, ops[i-1].ID
		}
	}
	return ops
})

// restored is what comes of a backup of saved: no id is given twice, and the rev is above both.
func (m *model) restored(saved *model) *model {
	next := saved.clone()
	for name, id := range m.ids {
		next.ids[name] = max(next.ids[name], id)
	}
	next.rev = max(m.rev, saved.rev) + 1
	return next
}

// Two nodes run the same commands. One gets each in a log entry of its own and never flushes;
// the other gets them packed, flushes, crashes, takes snapshots and receives replicas; both restore its backups. Both
// must come to what the model says, and to the same hashes.
func TestModel(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		plain, packed := rapidNode(t, dir), rapidNode(t, dir)
		defer func() {
			plain.r.Abandon()
			packed.r.Abandon()
		}()
		term := &Command{Type: TypeTerm, Version: 1, Payload: Term{"n1", 7}.Encode()}
		plain.do(term)
		packed.do(term)
		m := &model{map[string][]todo.Entry{}, map[string]uint64{}, map[string]uint64{}, 0}
		var waiting []*Command
		var saved *model
		var file bytes.Buffer
		pack := func() {
			if len(waiting) > 0 {
				packed.do(waiting...)
				waiting = nil
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"commands": func(t *rapid.T) {
				for range rapid.IntRange(1, 30).Draw(t, "commands") {
					cmd := todo.Command{Ops: genOps.Draw(t, "ops")}
					c := &Command{Type: TypeTodo, Version: 1, Payload: EncodeTodo(&cmd)}
					waiting = append(waiting, c)
					res := plain.do(c)[0]
					next, code, at := m.do(&cmd, testTime)
					if m = next; res.Code != code || res.At != at || res.Rev != m.rev {
						t.Fatalf("came to %+v, the model says code %d at %d, rev %d", res, code, at, m.rev)
					}
				}
			},
			"pack":  func(*rapid.T) { pack() },
			"flush": func(*rapid.T) { packed.sound() },
			"crash": func(*rapid.T) { packed.crash() },
			"sweep": func(t *rapid.T) {
				c := &Command{Type: TypeSweep, Version: 1, Payload: Sweep{rapid.Uint64Range(1, 5).Draw(t, "rows")}.Encode()}
				plain.do(c)
				waiting = append(waiting, c)
			},
			"snapshot": func(t *rapid.T) {
				index, _ := packed.r.Applied()
				if err := packed.snapshot(index); err != nil {
					t.Fatal(err)
				}
			},
			"receive": func(t *rapid.T) {
				packed.sound()
				other := rapidNode(t, dir)
				if err := send(packed, other); err != nil {
					t.Fatal(err)
				}
				packed.r.Abandon()
				other.log = packed.log
				packed = other
			},
			"backup": func(t *rapid.T) {
				pack()
				file.Reset()
				if _, err := packed.r.Backup(&file, BackupInfo{}); err != nil {
					t.Fatal(err)
				}
				saved = m
			},
			"restore": func(t *rapid.T) {
				if saved == nil {
					t.Skip("no backup yet")
				}
				pack()
				for _, n := range []*node{plain, packed} {
					if _, err := n.r.Stage(bytes.NewReader(file.Bytes()), true); err != nil {
						t.Fatal(err)
					}
					n.do(toRestore(file.Bytes(), 7))
				}
				m = m.restored(saved)
			},
			"": func(t *rapid.T) { m.compare(t, plain) },
		})
		pack()
		m.compare(t, packed)
		plain.sound()
		packed.sound()
		sameState(t, plain, packed)
		emptied(t, packed, m)
	})
}

// emptied deletes all lists and sweeps: nothing of them but names must be left.
func emptied(t *rapid.T, n *node, m *model) {
	for name := range m.lists {
		n.do(todoCommand(todo.Op{Kind: todo.DeleteList, List: name}))
	}
	for n.r.Garbage() > 0 {
		n.do(&Command{Type: TypeSweep, Version: 1, Payload: Sweep{3}.Encode()})
	}
	v := n.view()
	defer v.Close()
	for _, table := range []byte{tabEntry, tabDate, tabGarbage} {
		if key := v.rows.first(string(table)); key != "" {
			t.Fatalf("row %q is left", key)
		}
	}
}

func rapidNode(t *rapid.T, parent string) *node {
	dir, err := os.MkdirTemp(parent, "node")
	if err != nil {
		t.Fatal(err)
	}
	n := &node{tb: t, dir: dir}
	n.open()
	return n
}

// compare reads all there is in every way.
func (m *model) compare(t *rapid.T, n *node) {
	v := n.view()
	defer v.Close()
	lists, more := v.Lists("", "", 100)
	if more || len(lists) != len(m.lists) {
		t.Fatalf("lists are %+v, the model has %d", lists, len(m.lists))
	}
	for _, l := range lists {
		want := m.lists[l.Name]
		open := uint64(0)
		for _, e := range want {
			if !e.Done {
				open++
			}
		}
		if l.Entries != uint64(len(want)) || l.Open != open || l.Rev != m.revs[l.Name] || l.LastID != m.ids[l.Name] {
			t.Fatalf("list %+v, the model has %d entries, %d open, rev %d, id %d", l, len(want), open, m.revs[l.Name], m.ids[l.Name])
		}
		done := true
		for _, q := range []Query{{}, {Date: "2018-12-19"}, {From: "2018-12-19"}, {To: "2018-12-18"}, {From: "2018-12-18", To: "2018-12-19"},
			{Done: &done}, {Date: "2018-12-19", Done: &done}, {Date: "2018-12-19", From: "2019-01-01"}} {
			if got := pages(t, v, l.Name, q); !slices.Equal(got, selectEntries(want, q)) {
				t.Fatalf("%q %+v came to %+v, want %+v", l.Name, q, got, selectEntries(want, q))
			}
		}
		for _, e := range want {
			if got, ok := v.Entry(l.Name, e.ID); !ok || got != e {
				t.Fatalf("entry %+v, want %+v", got, e)
			}
		}
	}
}

// pages reads a query in pages of two.
func pages(t *rapid.T, v *View, list string, q Query) (all []todo.Entry) {
	q.Limit = 2
	for {
		page, more := v.Entries(list, q)
		all = append(all, page...)
		if !more {
			return all
		}
		if len(page) != 2 {
			t.Fatalf("a page of %d and more to come", len(page))
		}
		q.After = Position{ID: page[1].ID}
		if q.Date+q.From+q.To != "" {
			q.After.Date = page[1].Date
		}
	}
}

func selectEntries(all []todo.Entry, q Query) (chosen []todo.Entry) {
	dated := q.Date+q.From+q.To != ""
	for _, e := range all {
		switch {
		case q.Done != nil && e.Done != *q.Done, dated && e.Date == "", q.Date != "" && e.Date != q.Date,
			e.Date < q.From, q.To != "" && e.Date > q.To:
		default:
			chosen = append(chosen, e)
		}
	}
	if dated {
		slices.SortStableFunc(chosen, func(a, b todo.Entry) int { return strings.Compare(a.Date, b.Date) })
	}
	return chosen
}

// The same commands packed into entries in any way, applied in batches of any size, with any
// flushes: one history, one state.
func TestBatchingIndependence(t *testing.T) {
	l := newLoad(t, 5, true)
	var cmds []*Command
	for i := range 600 {
		c := l.add()
		c.Session = 1
		if i%7 == 0 && i > 0 {
			c = cmds[i-1] // sent twice
		}
		cmds = append(cmds, c)
	}
	var first *node
	for _, size := range []int{1, 3, 50, 600} {
		for _, together := range []int{1, 64} {
			n := newNode(t)
			n.do(openSession("n1", "boot1"))
			before := len(n.log)
			for chunk := range slices.Chunk(cmds, size) {
				n.append(chunk...)
			}
			for i, batch := range slices.Collect(slices.Chunk(n.log[before:], together)) {
				n.r.ApplyBatch(batch)
				if i%3 == 1 {
					n.sound()
				}
			}
			n.sound()
			if first == nil {
				first = n
			}
			sameState(t, first, n)
		}
	}
	if _, rev := first.r.Applied(); rev == 0 || rev >= 600 {
		t.Errorf("rev %d after 600 commands, some of them sent twice", rev)
	}
}
