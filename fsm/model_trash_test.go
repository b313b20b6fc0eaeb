package fsm

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"todod/fsm/todo"
)

// trashModel is lists with their trash, and whole copies of all that each rev found and left: undo without any history.
type trashModel struct {
	live, trash map[todo.Ref]modelEntry
	lists       map[string]bool
	ids         map[string]uint64
	rev         uint64
	revs        map[uint64]modelRev
}

type modelEntry struct {
	title  string
	done   bool
	parent uint64
	rev    uint64 // of its last change
	went   uint64 // of the command that put it into the trash
	root   uint64
}

// modelRev is what a rev found and left of the entries that it touched.
type modelRev struct {
	before, after map[todo.Ref]modelEntry
	touched       []todo.Ref
	lasting       bool // it deleted a list, or something for good
}

func newTrashModel() *trashModel {
	return &trashModel{map[todo.Ref]modelEntry{}, map[todo.Ref]modelEntry{}, map[string]bool{}, map[string]uint64{}, 0, map[uint64]modelRev{}}
}

func (m *trashModel) clone() *trashModel {
	return &trashModel{maps.Clone(m.live), maps.Clone(m.trash), maps.Clone(m.lists), maps.Clone(m.ids), m.rev, maps.Clone(m.revs)}
}

// do is what a command comes to. An undo that is refused is so with one of several codes, of which none is said.
func (m *trashModel) do(ops []todo.Op) (next *trashModel, code todo.Code) {
	next = m.clone()
	next.rev++
	lasting := false
	for i := range ops {
		if ops[i].Kind == todo.Undo {
			if !next.undo(ops[i].Rev) {
				return m, todo.Overtaken
			}
			continue
		}
		if code := next.op(&ops[i]); code != todo.OK {
			return m, code
		}
		lasting = lasting || ops[i].Kind == todo.DeleteList || ops[i].Kind == todo.Purge
	}
	r := modelRev{before: map[todo.Ref]modelEntry{}, after: map[todo.Ref]modelEntry{}, lasting: lasting}
	for _, all := range []map[todo.Ref]modelEntry{m.live, next.live, next.trash} {
		for ref := range all {
			was, had := m.live[ref]
			is, has := next.live[ref]
			if slices.Contains(r.touched, ref) || was == is && had == has && next.trash[ref].went != next.rev {
				continue
			}
			r.touched = append(r.touched, ref)
			if had {
				r.before[ref] = was
			}
			if has {
				r.after[ref] = is
			}
		}
	}
	if len(r.touched) == 0 && !lasting {
		return m, todo.OK
	}
	next.revs[next.rev] = r
	return next, todo.OK
}

func (m *trashModel) op(op *todo.Op) todo.Code {
	ref := todo.Ref{List: op.List, ID: op.ID}
	if op.Kind == todo.Add {
		m.ids[op.List]++
		m.lists[op.List] = true
		m.live[todo.Ref{List: op.List, ID: m.ids[op.List]}] = modelEntry{title: op.Fields.Title, parent: op.Fields.More.Get().Parent, rev: m.rev}
		return todo.OK
	}
	e, live := m.live[ref]
	t, trashed := m.trash[ref]
	switch {
	case !m.lists[op.List]:
		return todo.NoList
	case op.Kind == todo.DeleteList:
		delete(m.lists, op.List)
		gone := func(ref todo.Ref, _ modelEntry) bool { return ref.List == op.List }
		maps.DeleteFunc(m.live, gone)
		maps.DeleteFunc(m.trash, gone)
		return todo.OK
	case op.Kind == todo.Restore || op.Kind == todo.Purge:
		if !trashed {
			return todo.NotInTrash
		}
		m.takeOut(m.wentWith(ref, t), op.Kind == todo.Restore)
		return todo.OK
	case !live:
		return todo.NoEntry
	case op.Kind == todo.Delete:
		below := m.below(ref)
		m.discard(ref, 0)
		for _, child := range below {
			m.discard(child, ref.ID)
		}
		return todo.OK
	}
	was := e
	if op.Fields.Set&todo.FieldTitle != 0 {
		e.title = op.Fields.Title
	}
	if op.Fields.Set&todo.FieldDone != 0 {
		e.done = op.Fields.Done
	}
	if op.Fields.Set&todo.FieldParent != 0 {
		e.parent = 0
	}
	if e != was {
		e.rev = m.rev
		m.live[ref] = e
	}
	return todo.OK
}

func (m *trashModel) discard(ref todo.Ref, root uint64) {
	e := m.live[ref]
	e.went, e.root = m.rev, root
	delete(m.live, ref)
	m.trash[ref] = e
}

// wentWith is an entry in the trash, and what it took along and is still there.
func (m *trashModel) wentWith(ref todo.Ref, t modelEntry) []todo.Ref {
	refs := []todo.Ref{ref}
	for other, o := range m.trash {
		if other.List == ref.List && o.root == ref.ID && o.went == t.went {
			refs = append(refs, other)
		}
	}
	return refs
}

func (m *trashModel) takeOut(refs []todo.Ref, back bool) {
	for _, ref := range refs {
		e := m.trash[ref]
		delete(m.trash, ref)
		if e.rev, e.went, e.root = m.rev, 0, 0; back {
			m.live[ref] = e
		}
	}
	for _, ref := range refs {
		e, live := m.live[ref]
		if _, there := m.live[todo.Ref{List: ref.List, ID: e.parent}]; live && !there {
			e.parent = 0
			m.live[ref] = e
		}
	}
}

// below is all that is below an entry: by an undo it can come to be deeper than any command makes it.
func (m *trashModel) below(ref todo.Ref) (refs []todo.Ref) {
	for other, e := range m.live {
		if other.List == ref.List && e.parent == ref.ID {
			refs = append(append(refs, other), m.below(other)...)
		}
	}
	return refs
}

// undo puts all that a rev touched back as the rev found it, if it is as the rev left it.
func (m *trashModel) undo(rev uint64) bool {
	r, known := m.revs[rev]
	if !known || r.lasting {
		return false
	}
	for _, ref := range r.touched {
		after, there := r.after[ref]
		_, was := r.before[ref]
		if now, is := m.live[ref]; is != there || is && now != after || was && !is && m.trash[ref].went != rev {
			return false
		}
	}
	for _, ref := range r.touched {
		before, was := r.before[ref]
		switch _, is := r.after[ref]; {
		case was:
			delete(m.trash, ref)
			before.rev = m.rev
			if after := r.after[ref]; is && after.title == before.title && after.done == before.done && after.parent == before.parent {
				before.rev = after.rev // it was changed and changed back
			}
			m.live[ref] = before
		case is:
			m.discard(ref, 0)
		}
	}
	return m.whole(r)
}

// whole looks for entries below one that the undoing took away, and lets what it brought back be at the top instead.
func (m *trashModel) whole(r modelRev) bool {
	for ref, e := range m.live {
		if _, there := m.live[todo.Ref{List: ref.List, ID: e.parent}]; e.parent == 0 || there {
			continue
		}
		_, was := r.before[ref]
		if _, is := r.after[ref]; !was || is {
			return false
		}
		e.parent = 0
		m.live[ref] = e
	}
	return true
}

// String is all there is, as stateOf has it for a node.
func (m *trashModel) String() string {
	var all []string
	for ref, e := range m.live {
		all = append(all, fmt.Sprint(ref.List, ref.ID, " ", e.title, e.done, e.parent, e.rev))
	}
	for ref, e := range m.trash {
		all = append(all, fmt.Sprint(ref.List, ref.ID, " gone ", e.title, e.done, e.parent, e.went, e.root))
	}
	slices.Sort(all)
	return strings.Join(all, "\n")
}

func stateOf(n *node) string {
	v := n.view()
	defer v.Close()
	var all []string
	lists, _ := v.Lists("", "", 100)
	for _, l := range lists {
		entries, _ := v.Entries(l.Name, Query{Limit: 1000})
		for i := range entries {
			e := &entries[i]
			all = append(all, fmt.Sprint(l.Name, e.ID, " ", e.Title, e.Done, e.More.Get().Parent, e.Rev))
		}
		trash, _ := v.Trash(l.Name, 0, 1000)
		for i := range trash {
			t := &trash[i]
			all = append(all, fmt.Sprint(l.Name, t.Entry.ID, " gone ", t.Entry.Title, t.Entry.Done, t.Entry.More.Get().Parent, t.Rev, t.Root))
		}
	}
	slices.Sort(all)
	return strings.Join(all, "\n")
}

// genTrashOps makes a command that the model knows: entries are at most two deep.
func genTrashOps(t *rapid.T, m *trashModel) []todo.Op {
	if rapid.IntRange(0, 3).Draw(t, "undo") == 0 {
		return []todo.Op{{Kind: todo.Undo, Rev: rapid.Uint64Range(max(m.rev, 6)-5, m.rev+1).Draw(t, "rev")}}
	}
	ops := make([]todo.Op, rapid.IntRange(1, 4).Draw(t, "ops"))
	for i := range ops {
		op := todo.Op{Kind: rapid.SampledFrom([]todo.Kind{1, 1, 1, 3, 3, 4, 4, 4, 6, 6, 7, 5}).Draw(t, "kind"),
			List: rapid.SampledFrom([]string{"a", "b"}).Draw(t, "list"), ID: rapid.Uint64Range(1, 8).Draw(t, "id")}
		if op.Kind == todo.DeleteList && rapid.IntRange(0, 3).Draw(t, "rarely") > 0 {
			op.Kind = todo.Delete
		}
		switch op.Kind {
		case todo.Add:
			op.Fields.Title = genTitle.Draw(t, "title")
			above, live := m.live[todo.Ref{List: op.List, ID: op.ID}]
			if i == 0 && live && above.parent == 0 {
				op.Fields.More = &todo.More{Parent: op.ID}
			}
			op.ID = 0
		case todo.Patch:
			op.Fields = todo.Fields{Set: rapid.SampledFrom([]todo.FieldSet{todo.FieldTitle, todo.FieldDone, todo.FieldParent, todo.FieldTitle | todo.FieldDone}).Draw(t, "set"),
				Title: genTitle.Draw(t, "title"), Done: rapid.Bool().Draw(t, "done")}
		}
		ops[i] = op
	}
	return ops
}

// Deleting, restoring and undoing come to what a model says that keeps whole copies, on a node that applies each
// command alone and on one that packs them, flushes, crashes and is sent a replica; and deleting all leaves nothing.
func TestTrashModel(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		plain, packed := rapidNode(t, dir), rapidNode(t, dir)
		defer func() {
			plain.r.Abandon()
			packed.r.Abandon()
		}()
		plain.do(raise(2))
		packed.do(raise(2))
		m := newTrashModel()
		var waiting []*Command
		pack := func() {
			if len(waiting) > 0 {
				packed.do(waiting...)
				waiting = nil
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"command": func(t *rapid.T) {
				for range 10 {
					ops := genTrashOps(t, m)
					c := todo2(ops...)
					waiting = append(waiting, c)
					res := plain.do(c)[0]
					next, code := m.do(ops)
					if ops[0].Kind == todo.Undo && (res.Code == todo.OK) != (code == todo.OK) || ops[0].Kind != todo.Undo && res.Code != code || res.Rev != next.rev {
						t.Fatalf("%+v came to code %d at %d and rev %d, the model says %d and %d", ops, res.Code, res.At, res.Rev, code, next.rev)
					}
					m = next
				}
			},
			"pack":  func(*rapid.T) { pack() },
			"flush": func(*rapid.T) { packed.sound() },
			"crash": func(*rapid.T) { packed.crash() },
			"sweep": func(*rapid.T) {
				plain.do(sweepCommand(3))
				waiting = append(waiting, sweepCommand(3))
			},
			"receive": func(t *rapid.T) {
				if rapid.IntRange(0, 3).Draw(t, "rarely") > 0 {
					t.Skip("it is slow")
				}
				packed.sound()
				other := rapidNode(t, dir)
				if err := send(packed, other); err != nil {
					t.Fatal(err)
				}
				packed.r.Abandon()
				other.log = packed.log
				packed = other
			},
			"": func(t *rapid.T) {
				if got := stateOf(plain); got != m.String() {
					t.Fatalf("there is\n%s\nthe model has\n%s", got, m)
				}
			},
		})
		pack()
		plain.sound()
		packed.sound()
		sameState(t, plain, packed)
		for name := range m.lists {
			packed.do(todo2(todo.Op{Kind: todo.DeleteList, List: name}))
		}
		for packed.r.Garbage() > 0 {
			packed.do(sweepCommand(3))
		}
		if got := left(packed, listTables...); got != "" || packed.r.store.meta.HistoryBytes != 0 {
			t.Fatalf("rows are left in %s, %d bytes of history", got, packed.r.store.meta.HistoryBytes)
		}
	})
}
