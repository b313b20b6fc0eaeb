package fsm

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"todod/fsm/todo"
)

// openReads opens a replica as a program does that reads versions of a group up to reads.
func openReads(n *node, reads uint64) (*Replica, error) {
	return Open(Config{Dir: n.dir, NoSync: true, Reads: reads, Fatal: func(err error) { n.fatal = append(n.fatal, err) }})
}

func newReads(t *testing.T, reads uint64) *node {
	t.Helper()
	n := &node{tb: t, dir: t.TempDir()}
	r, err := openReads(n, reads)
	if err != nil {
		t.Fatal(err)
	}
	r.end()
	n.r = r
	t.Cleanup(func() { n.r.Abandon() })
	return n
}

func raise(group uint64) *Command {
	return &Command{Type: TypeVersion, Version: 1, Payload: Version{group}.Encode()}
}

// Reads is what the table comes to: the highest version that any command needs.
func TestReadsIsOfTheTable(t *testing.T) {
	most := uint64(0)
	for _, versions := range formats {
		for _, needs := range versions {
			most = max(most, needs)
		}
		if !slices.IsSorted(versions) {
			t.Errorf("a later version of a command needs less than an earlier one: %v", versions)
		}
	}
	if most != Reads {
		t.Errorf("commands need up to version %d, Reads is %d", most, Reads)
	}
}

// What versions 1 and 2 of TypeTodo can say is pinned: a program that puts more into them halts the nodes of
// the release before. More kinds, fields or operands are a new version in the table.
func TestVersionsOfTodoAreClosed(t *testing.T) {
	for kind := range 256 {
		for _, set := range []todo.FieldSet{0, 7, 8, 1<<14 - 1, 1 << 14, 1 << 15} {
			op := todo.Op{Kind: todo.Kind(kind), Fields: todo.Fields{Set: set}}
			for version, want := range map[uint8]bool{1: kind >= 1 && kind <= 5 && set < 8, 2: kind >= 1 && kind <= 12 && set < 1<<14} {
				_, err := decodeTodo(version, EncodeTodo(&todo.Command{Ops: []todo.Op{op}}))
				if (err == nil) != want || err != nil && !errors.Is(err, ErrUnknown) {
					t.Errorf("operation of kind %d on fields %b in version %d: %v", kind, set, version, err)
				}
			}
		}
	}
}

func TestGroupVersion(t *testing.T) {
	n := newReads(t, 3)
	if n.r.GroupVersion() != 1 || n.r.Reads() != 3 {
		t.Fatal(n.r.GroupVersion(), n.r.Reads())
	}
	before := n.r.Hash()
	if res := n.do(raise(2))[0]; res.Code != todo.OK || res.Value != 2 || res.Rev != 0 {
		t.Errorf("%+v", res)
	}
	if n.r.Hash().Chain == before.Chain {
		t.Error("the chain does not tell that the version was raised")
	}
	// A late command of an older leader lowers nothing.
	if res := n.do(raise(1))[0]; res.Value != 2 || n.r.GroupVersion() != 2 {
		t.Errorf("%+v, version %d", res, n.r.GroupVersion())
	}
	// It is in the file and in a snapshot.
	other := newReads(t, 2)
	if err := n.snapshot(2); err != nil {
		t.Fatal(err)
	}
	if err := send(n, other); err != nil {
		t.Fatal(err)
	}
	if other.r.GroupVersion() != 2 {
		t.Errorf("a received replica is of version %d", other.r.GroupVersion())
	}
}

func wantTooNew(t *testing.T, err error) {
	t.Helper()
	var newer *TooNew
	if !errors.As(err, &newer) || *newer != (TooNew{Group: 2, Reads: 1}) || !errors.Is(err, ErrUnknown) || errors.Is(err, ErrStorage) {
		t.Errorf("the error is %v", err)
	}
}

// A program that cannot read the group's version stops before it changes anything, whichever way
// it hears of it: by its own file, by the log, by another node's replica.
func TestOlderProgramStops(t *testing.T) {
	newer := newReads(t, 2)
	newer.do(addCommand("bob", "x"))
	if err := newer.snapshot(1); err != nil {
		t.Fatal(err)
	}
	t.Run("before the version is raised it goes on", func(t *testing.T) {
		older := newReads(t, 1)
		if err := send(newer, older); err != nil {
			t.Error(err)
		}
		older.tb = t
		if got := older.titles("bob"); got != "x" {
			t.Error(got)
		}
	})

	newer.do(raise(2)) // it is in the file at once
	t.Run("its own file", func(t *testing.T) {
		older := &node{tb: t, dir: copyDir(t, newer.dir)}
		r, err := openReads(older, 1)
		if err == nil {
			r.Abandon()
		}
		wantTooNew(t, err)
	})
	t.Run("the log", func(t *testing.T) {
		older := newReads(t, 1)
		older.tb = t
		older.r.Apply(newer.log[0])
		err, _ := older.r.Apply(newer.log[1]).(error)
		wantTooNew(t, err)
		if len(older.fatal) != 1 {
			t.Fatalf("Fatal was told %v", older.fatal)
		}
		wantTooNew(t, older.fatal[0])
	})
	t.Run("another node's replica", func(t *testing.T) {
		older := newReads(t, 1)
		older.tb = t
		wantTooNew(t, send(newer, older))
		if len(older.fatal) != 1 { // else the leader would send the same file for ever
			t.Errorf("Fatal was told %v", older.fatal)
		}
		if index, _ := older.r.Applied(); index != 0 {
			t.Errorf("it applied up to %d", index)
		}
	})
}

// What is above the group's version is refused to whoever is about to propose it.
func TestReadable(t *testing.T) {
	n := newReads(t, 2)
	formats := []struct {
		c    Command
		says string // "" for readable
	}{
		{*addCommand("bob", "x"), ""},
		{*raise(2), ""},
		{Command{Type: TypeTodo, Version: 9}, "does not know"},
		{Command{Type: TypeTodo, Version: 0}, "does not know"},
		{Command{Type: 99, Version: 1}, "does not know"},
		{Command{Type: 0, Version: 1}, "does not know"},
	}
	for _, f := range formats {
		err := n.r.Readable(&f.c)
		if (err == nil) != (f.says == "") || err != nil && !strings.Contains(err.Error(), f.says) {
			t.Errorf("type %d, version %d: %v", f.c.Type, f.c.Version, err)
		}
	}
}
