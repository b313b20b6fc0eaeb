package fsm

import (
	"strings"
	"testing"

	"todod/fsm/todo"
)

func (n *node) transactions(t *testing.T, when string, open, kept int) {
	t.Helper()
	s := n.r.store
	if got := s.db.Stats().OpenTxN; got != open || len(s.readers.free) != kept {
		t.Errorf("%s: %d transactions are open and %d wait, want %d and %d", when, got, len(s.readers.free), open, kept)
	}
}

// A view that ends leaves its transaction to the next one, which sees what was applied meanwhile. A flush ends all
// that wait before it writes, and none of an older flush is kept.
func TestViewsLeaveTheirTransactions(t *testing.T) {
	n := newNode(t)
	n.do(addCommand("bob", "one"))
	n.sound()
	one, two := n.view(), n.view()
	n.transactions(t, "two views", 2, 0)
	one.Close()
	one.Close()
	two.Close()
	n.transactions(t, "they ended", 2, 2)
	n.do(addCommand("bob", "two"))
	if got := n.titles("bob"); got != "one two" {
		t.Errorf("a view on a transaction of before has %q", got)
	}
	n.transactions(t, "a third one ended", 2, 2)

	over := n.view()
	n.r.store.step = func(step string) {
		if !strings.HasPrefix(step, "flush: ") {
			return
		}
		n.transactions(t, step, 1, 0)
		if got := n.titles("bob"); got != "one two" {
			t.Errorf("%s: a view has %q", step, got)
		}
		n.transactions(t, step+", and a view", 1, 0)
	}
	if err := n.r.Flush(); err != nil {
		t.Fatal(err)
	}
	over.Close()
	n.transactions(t, "after the flush", 0, 0)
	if got := n.titles("bob"); got != "one two" {
		t.Errorf("after the flush a view has %q", got)
	}
	n.transactions(t, "and a view", 1, 1)
}

// No more wait than may be needed, and the replica closes though some do.
func TestFewTransactionsWait(t *testing.T) {
	n := newNode(t)
	views := make([]*View, maxReaders+2)
	for i := range views {
		views[i] = n.view()
	}
	for _, v := range views {
		v.Close()
	}
	n.transactions(t, "all ended", maxReaders, maxReaders)
	if err := n.r.Close(); err != nil {
		t.Error(err)
	}
}

// A look within a look at a list has a cursor of its own.
func TestLookWithinALook(t *testing.T) {
	n := newNode(t)
	n.do(addCommand("bob", "one"), addCommand("bob", "two"), addCommand("bob", "three"))
	n.sound()
	v := n.view()
	defer v.Close()
	for range 2 { // with new cursors, and with those of before
		seen := ""
		v.Look("bob", &Query{}, func(e *todo.Entry) bool {
			id := e.ID
			v.Look("bob", &Query{After: Position{ID: id}}, func(e *todo.Entry) bool {
				seen += e.Title + " "
				return true
			})
			return true
		})
		if want := "two three three "; seen != want {
			t.Errorf("saw %q, want %q", seen, want)
		}
	}
}

// Entries of a day are found whether they lie side by side or not, in the file and above it, changed and taken away.
func TestEntriesOfADayWithGaps(t *testing.T) {
	n := newNode(t)
	on := func(title, date string) *Command {
		return todoCommand(todo.Op{Kind: todo.Add, List: "bob", Fields: todo.Fields{Title: title, Date: date}})
	}
	const day, other = "2018-12-19", "2018-12-20"
	n.do(on("1", day), on("2", day), on("3", other), on("4", day), on("5", day), on("6", day), on("7", day))
	see := func(want string) {
		t.Helper()
		v := n.view()
		defer v.Close()
		page, _ := v.Entries("bob", Query{Date: day, Limit: 9})
		var titles []string
		for _, e := range page {
			titles = append(titles, e.Title)
		}
		if got := strings.Join(titles, " "); got != want {
			t.Errorf("of the day are %q, want %q", got, want)
		}
	}
	see("1 2 4 5 6 7")
	n.sound()
	see("1 2 4 5 6 7")
	n.do(todoCommand(patchTitle("bob", 2, "two")), todoCommand(todo.Op{Kind: todo.Delete, List: "bob", ID: 5}), on("8", day))
	see("1 two 4 6 7 8")
	n.sound()
	see("1 two 4 6 7 8")
}
