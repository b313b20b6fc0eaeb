package search

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"

	"todod/fsm"
	"todod/fsm/todo"
	"todod/fsm/todo/fold"
)

// store is a replica that commands are applied to as the leader of a group would have it.
type store struct {
	t     testing.TB
	r     *fsm.Replica
	index uint64
}

func newStore(t testing.TB) *store {
	t.Helper()
	r, err := fsm.Open(fsm.Config{Dir: t.TempDir(), NoSync: true, Fatal: func(err error) { t.Error(err) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Abandon() })
	s := &store{t: t, r: r}
	s.apply(&fsm.Command{Type: fsm.TypeTerm, Version: 1, Payload: fsm.Term{Node: "n1", Epoch: 7}.Encode()},
		&fsm.Command{Type: fsm.TypeVersion, Version: 1, Payload: fsm.Version{Group: fsm.Reads}.Encode()})
	return s
}

func (s *store) apply(cmds ...*fsm.Command) {
	s.t.Helper()
	s.index++
	out := s.r.Apply(&raft.Log{Index: s.index, Term: 1, Data: fsm.EncodeEnvelope(fsm.Stamp{Time: int64(s.index)}, cmds)})
	for _, res := range out.([]fsm.Result) {
		if res.Code != todo.OK {
			s.t.Fatalf("code %d", res.Code)
		}
	}
}

func (s *store) do(ops ...todo.Op) {
	s.t.Helper()
	c := fsm.TodoCommand(&todo.Command{Ops: ops, Batch: len(ops) > 1})
	s.apply(&c)
}

func (s *store) open(context.Context) (View, func(), error) {
	v, err := s.r.View()
	if err != nil {
		return nil, nil, err
	}
	return v, v.Close, nil
}

func (s *store) searcher() *Searcher {
	x := New(s.open)
	s.t.Cleanup(x.Close)
	return x
}

// find returns what is found, as list/id.
func (s *store) find(x *Searcher, q Query) (found []string) {
	s.t.Helper()
	for {
		v, done, err := s.open(s.t.Context())
		if err != nil {
			s.t.Fatal(err)
		}
		page, _, err := x.Search(s.t.Context(), v, q)
		done()
		if err == ErrBuilding {
			continue
		}
		if err != nil {
			s.t.Fatal(err)
		}
		for _, f := range page {
			found = append(found, fmt.Sprint(f.List, "/", f.Entry.ID))
		}
		return found
	}
}

func words(text string) Query { return Query{Words: fold.Words(text), Limit: 100} }

func add(list, title string, more *todo.More) todo.Op {
	return todo.Op{Kind: todo.Add, List: list, Fields: todo.Fields{Title: title, More: more}}
}

func TestWhatIsFound(t *testing.T) {
	s := newStore(t)
	s.do(add("bob", "Buy oat milk", nil), add("bob", "Zahnarzt anrufen", &todo.More{Notes: "wegen der Müllers", Tags: []string{"health"}}),
		add("eve", "Milky way, a film", nil), add("eve", "CRÈME brûlée", &todo.More{Tags: []string{"milk"}}), add("eve", "牛奶 milk", nil))
	x := s.searcher()
	for _, c := range []struct {
		query string
		want  []string
	}{
		{"milk", []string{"bob/1", "eve/5", "eve/4", "eve/3"}}, // the word in the title; as a tag; as a beginning
		{"MILK oat", []string{"bob/1"}},
		{"mil o", []string{"bob/1"}},
		{"muller", []string{"bob/2"}},
		{"Mu\u0308llers", []string{"bob/2"}},
		{"health zahn", []string{"bob/2"}},
		{"creme brulee", []string{"eve/4"}},
		{"牛", []string{"eve/5"}},
		{"ilk", nil},
		{"milk dentist", nil},
	} {
		got := s.find(x, words(c.query))
		if !slices.Equal(renumber(got), c.want) {
			t.Errorf("%q finds %v, want %v", c.query, got, c.want)
		}
	}
}

// renumber counts the entries of eve on from those of bob.
func renumber(found []string) (out []string) {
	for _, f := range found {
		if id, ok := strings.CutPrefix(f, "eve/"); ok {
			f = fmt.Sprint("eve/", int(id[0]-'0')+2)
		}
		out = append(out, f)
	}
	return out
}

// The index follows every kind of change, and finds at once what was written before the search.
func TestTheIndexFollows(t *testing.T) {
	s := newStore(t)
	x := s.searcher()
	want := func(query string, found ...string) {
		t.Helper()
		if got := s.find(x, words(query)); !slices.Equal(got, found) {
			t.Errorf("%q finds %v, want %v", query, got, found)
		}
	}
	want("milk")
	s.do(add("bob", "milk", nil), add("bob", "bread", nil))
	want("milk", "bob/1")
	s.do(todo.Op{Kind: todo.Patch, List: "bob", ID: 1, Fields: todo.Fields{Set: todo.FieldTitle, Title: "butter"}})
	want("milk")
	want("butter", "bob/1")
	s.do(todo.Op{Kind: todo.Move, List: "bob", ID: 1, To: "eve"})
	want("butter", "eve/1")
	s.do(todo.Op{Kind: todo.Copy, List: "eve", ID: 1, To: "bob"})
	want("butter", "bob/3", "eve/1")
	s.do(todo.Op{Kind: todo.PatchList, List: "bob", To: "robert"})
	want("butter", "robert/3", "eve/1")
	s.do(add("bob", "butter", nil)) // a new list of the old name
	want("butter", "bob/4", "robert/3", "eve/1")
	s.do(todo.Op{Kind: todo.Delete, List: "eve", ID: 1}, todo.Op{Kind: todo.DeleteList, List: "robert"})
	want("butter", "bob/4")
	s.do(todo.Op{Kind: todo.Delete, List: "bob", ID: 4})
	want("butter")
	s.do(todo.Op{Kind: todo.Restore, List: "bob", ID: 4})
	want("butter", "bob/4")
	v, closeView, err := s.open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	rev := v.Rev()
	closeView()
	s.do(todo.Op{Kind: todo.Undo, List: "bob", Rev: rev})
	want("butter")
	s.do(todo.Op{Kind: todo.Restore, List: "bob", ID: 4})
	done := true
	s.do(todo.Op{Kind: todo.Patch, List: "bob", ID: 4, Fields: todo.Fields{Set: todo.FieldDone, Done: true}})
	if got := s.find(x, Query{Words: fold.Words("butter"), Done: &done, List: "bob", Limit: 1}); len(got) != 1 {
		t.Error(got)
	}
}

// A view that is older than the index sees nothing of what came after it.
func TestAnOlderView(t *testing.T) {
	s := newStore(t)
	x := s.searcher()
	s.do(add("bob", "milk", nil))
	old, closeOld, err := s.open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer closeOld()
	s.do(add("bob", "milk again", nil))
	if got := s.find(x, words("milk")); len(got) != 2 {
		t.Fatal(got)
	}
	page, more, err := x.Search(t.Context(), old, words("milk"))
	if err != nil || more || len(page) != 1 || page[0].Entry.Title != "milk" {
		t.Errorf("%+v, %v, %v", page, more, err)
	}
}

// epoch is a view of another epoch, as a restore leaves it.
type epoch struct {
	View
	of uint64
}

func (e epoch) Epoch() uint64 { return e.of }

// After a restore the index is made anew for the first who searches.
func TestAnotherEpoch(t *testing.T) {
	s := newStore(t)
	s.do(add("bob", "milk", nil))
	of := uint64(7)
	open := func(ctx context.Context) (View, func(), error) {
		v, done, err := s.open(ctx)
		return epoch{v, of}, done, err
	}
	x := New(open)
	t.Cleanup(x.Close)
	for of = 7; of < 9; of++ {
		v, done, err := open(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		page, _, err := x.Search(t.Context(), v, words("milk"))
		if done(); err != nil || len(page) != 1 {
			t.Errorf("in epoch %d: %+v, %v", of, page, err)
		}
	}
	v, done, err := s.open(t.Context()) // of before the restore, as a slow request has it
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	if _, _, err := x.Search(t.Context(), epoch{v, 7}, words("milk")); err != ErrBuilding {
		t.Errorf("of the epoch before: %v", err)
	}
}

// Who cannot wait for the index is told so, and it is made all the same.
func TestItIsMadeBesideTheSearch(t *testing.T) {
	s := newStore(t)
	s.do(add("bob", "milk", nil))
	x := s.searcher()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	v, done, err := s.open(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	if _, _, err := x.Search(ctx, v, words("milk")); err != ErrBuilding && err != nil {
		t.Fatal(err)
	}
	if got := s.find(x, words("milk")); len(got) != 1 {
		t.Error(got)
	}
}

// BenchmarkSearch looks in 100,000 entries for a common word, a rare one and a beginning of many.
// BenchmarkSearch searches 100,000 entries and, unless it is to be short, 1,000,000.
func BenchmarkSearch(b *testing.B) {
	for _, size := range []int{100_000, 1_000_000} {
		if testing.Short() && size > 100_000 {
			continue
		}
		s := newStore(b)
		s.fill(size)
		b.Run(fmt.Sprintf("%d/make the index", size), func(b *testing.B) {
			for b.Loop() {
				x := New(s.open)
				s.find(x, words("bacodi"))
				x.Close()
			}
		})
		x := s.searcher()
		s.find(x, words("bacodi"))
		v, done, _ := s.open(b.Context())
		for _, query := range []string{"task", "baco", "bacodi", "b", "task baco d"} {
			b.Run(fmt.Sprintf("%d/%s", size, query), func(b *testing.B) {
				q := words(query)
				b.ReportAllocs()
				for b.Loop() {
					if _, _, err := x.Search(b.Context(), v, q); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
		done()
	}
}

// fill adds entries to ten lists, each with the word task and eight of 4,096 others.
func (s *store) fill(size int) {
	r := rand.New(rand.NewPCG(1, 2))
	syllables := []string{"ba", "co", "di", "fu", "ga", "he", "ki", "lo", "mu", "na", "pe", "ri", "so", "tu", "va", "we"}
	for i := range size / 1000 {
		ops := make([]todo.Op, 1000)
		for j := range ops {
			title := "task"
			for range 8 {
				title += " " + syllables[r.IntN(16)] + syllables[r.IntN(16)] + syllables[r.IntN(16)]
			}
			ops[j] = add(fmt.Sprint("list", i%10), title, nil)
		}
		s.do(ops...)
	}
	if err := s.r.Flush(); err != nil {
		s.t.Fatal(err)
	}
}

// decayed is a view that comes upon a damaged row.
type decayed struct{ View }

func (decayed) Look(string, *fsm.Query, func(*todo.Entry) bool) { panic(fsm.ErrCorrupt) }
func (decayed) Changes(string, uint64, int, int) ([]fsm.Change, uint64, bool) {
	panic(fsm.ErrCorrupt)
}

// A damaged row ends the node in order, which has been told of it, and not with the panic of a goroutine that nobody
// asked for anything.
func TestDamagedRowsBesideTheSearch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		s.do(add("bob", "milk", nil))
		var bad atomic.Bool
		x := New(func(ctx context.Context) (View, func(), error) {
			v, done, err := s.open(ctx)
			if bad.Load() {
				v = decayed{v}
			}
			return v, done, err
		})
		defer x.Close()
		if got := s.find(x, words("milk")); len(got) != 1 {
			t.Fatal(got)
		}
		s.do(add("bob", "more milk", nil))
		bad.Store(true)
		time.Sleep(3 * follow) // it comes upon it as it follows
		v, done, err := s.open(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer done()
		if _, _, err := x.Search(t.Context(), v, words("milk")); err != ErrBuilding { // and as it makes another index
			t.Errorf("searched with %v", err)
		}
	})
}
