package fsm

import (
	"fmt"
	"reflect"
	"testing"

	"github.com/hashicorp/raft"

	"todod/fsm/todo"
)

func codes(res []Result) (codes []todo.Code) {
	for _, r := range res {
		codes = append(codes, r.Code)
	}
	return codes
}

func TestNumberAppliesOnce(t *testing.T) {
	n := newNode(t)
	ses := n.do(openSession("n1", "boot1"))[0].Value
	first := n.do(numbered(addCommand("bob", "one"), ses, 1, 1))[0]
	check := func(when string) {
		t.Helper()
		again := n.do(numbered(addCommand("bob", "one"), ses, 1, 1))[0]
		if !reflect.DeepEqual(again, first) {
			t.Errorf("%s: the same number came to %+v, first to %+v", when, again, first)
		}
		if got := n.titles("bob"); got != "one" {
			t.Errorf("%s: bob has %q", when, got)
		}
	}
	check("at once")
	check("twice")
	if err := n.r.Flush(); err != nil {
		t.Fatal(err)
	}
	check("after a flush")
	n.crash()
	check("after a crash")
	other := newNode(t)
	if err := n.r.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := send(n, other); err != nil {
		t.Fatal(err)
	}
	sameState(t, n, other)
	n = other
	n.log = []*raft.Log{{Index: 100}}
	check("at a node that received the replica")
	n.sound()
}

func TestNumbers(t *testing.T) {
	n := newNode(t)
	ses := n.do(openSession("n1", "boot1"))[0].Value
	res := n.do(
		numbered(addCommand("bob", "three"), ses, 3, 1),
		numbered(addCommand("bob", "two"), ses, 2, 2), // closes 1
		numbered(addCommand("bob", "one"), ses, 1, 1), // late
		numbered(addCommand("bob", "three"), ses, 3, 2),
		numbered(addCommand("bob", "nine"), ses, 9, 9), // closes all below
		numbered(addCommand("bob", "three"), ses, 3, 2),
		numbered(addCommand("bob", "zero"), ses, 0, 0),
		numbered(addCommand("bob", "x"), ses+1, 1, 1),
		numbered(addCommand("bob", "ten"), ses, 10, 99), // its own number cannot be closed yet
		numbered(addCommand("bob", "ten"), ses, 10, 99),
	)
	want := []todo.Code{0, 0, NumberClosed, 0, 0, NumberClosed, NumberClosed, SessionClosed, 0, 0}
	if got := codes(res); !reflect.DeepEqual(got, want) {
		t.Errorf("codes %v, want %v", got, want)
	}
	if got := n.titles("bob"); got != "three two nine ten" {
		t.Errorf("bob has %q", got)
	}
	if kept := len(n.r.sessions[ses].results); kept != 1 {
		t.Errorf("%d results are kept, want that of 10 alone", kept)
	}
	n.sound()
	n.crash()
	if kept := len(n.r.sessions[ses].results); kept != 1 {
		t.Errorf("%d results are kept after a crash", kept)
	}
	if late := n.do(numbered(addCommand("bob", "three"), ses, 3, 2))[0]; late.Code != NumberClosed {
		t.Errorf("after a crash a late number came to %+v", late)
	}
	n.sound()
}

func TestSessionReopens(t *testing.T) {
	n := newNode(t)
	one := n.do(openSession("n1", "boot1"))[0].Value
	other := n.do(openSession("n2", "boot1"))[0].Value
	n.do(numbered(addCommand("bob", "a"), one, 1, 1), numbered(addCommand("bob", "b"), other, 1, 1))
	if err := n.r.Flush(); err != nil { // their results are rows now
		t.Fatal(err)
	}
	n.do(numbered(addCommand("bob", "c"), one, 2, 1))
	if again := n.do(openSession("n1", "boot1"))[0].Value; again != one {
		t.Errorf("the same boot got session %d, had %d", again, one)
	}
	res := n.do(openSession("n1", "boot2"), numbered(addCommand("bob", "a"), one, 1, 1))
	two := res[0].Value
	if two == one || two == other || res[1].Code != SessionClosed {
		t.Errorf("a new boot got session %d, the old one answered %d", two, res[1].Code)
	}
	res = n.do(numbered(addCommand("bob", "d"), two, 1, 1), numbered(addCommand("bob", "b"), other, 1, 1))
	if got := n.titles("bob"); res[0].Code != todo.OK || got != "a b c d" {
		t.Errorf("bob has %q", got)
	}
	n.sound()
	back := newNode(t)
	if err := send(n, back); err != nil {
		t.Fatal(err)
	}
	if len(back.r.sessions) != 2 || len(back.r.sessions[two].results) != 1 {
		t.Errorf("sessions received: %+v", back.r.sessions)
	}
	sameState(t, n, back)
}

// The session's results must not grow with what was written, and must not slow it down: they
// once became deleted rows that each command walked over.
func TestClosedResultsLeaveNothing(t *testing.T) {
	l := newLoad(t, 10, false)
	l.r.end() // no flush comes between
	for _, log := range l.entries(5000, 100) {
		l.r.Apply(log)
	}
	rows := 0
	l.r.store.live.Scan(func(key string, _ []byte) bool {
		if key[0] == tabResult {
			rows++
		}
		return true
	})
	kept := len(l.r.sessions[l.session].results)
	if rows > 2*inFlight || kept > inFlight+1 {
		t.Errorf("%d rows wait for a flush and %d results are kept after 5,000 commands", rows, kept)
	}
}

// What a removed node numbered goes with it, and it gets no session any more: the table is bounded by
// the members, however many came and went.
func TestRemovedNodesLeaveNoSession(t *testing.T) {
	n := newNode(t)
	member := func(id string, status Status) *Command {
		return &Command{Type: TypeMember, Version: 1, Payload: Member{ID: id, Folder: "F" + id, Status: status}.Encode()}
	}
	rows := func(table byte) int {
		v := n.view()
		defer v.Close()
		return len(v.rows.keys(string(table), after(string(table)), 1000))
	}
	stays := n.do(member("stays", Known), openSession("stays", "boot1"))[1].Value
	n.do(numbered(addCommand("bob", "s"), stays, 1, 1))
	for i := range 50 {
		id := fmt.Sprint("n", i)
		ses := n.do(member(id, Known), openSession(id, "boot1"))[1].Value
		n.do(numbered(addCommand("bob", "x"), ses, 1, 1), numbered(addCommand("bob", "x"), ses, 3, 1))
		if i%2 == 0 {
			if err := n.r.Flush(); err != nil { // their results are rows now
				t.Fatal(err)
			}
		}
		res := n.do(member(id, Removed), numbered(addCommand("bob", "x"), ses, 1, 1), numbered(addCommand("bob", "x"), ses, 4, 1),
			openSession(id, "boot1"), openSession(id, "boot2"), member(id, Removed))
		if got, want := codes(res), []todo.Code{0, SessionClosed, SessionClosed, MemberKnown, MemberKnown, 0}; !reflect.DeepEqual(got, want) {
			t.Fatalf("%s came to %v, want %v", id, got, want)
		}
	}
	again := n.do(numbered(addCommand("bob", "s"), stays, 1, 1))[0]
	if again.Code != todo.OK || again.Rev != 1 {
		t.Errorf("the session of a member that stays answers %+v", again)
	}
	for range 2 {
		if s, b, r := rows(tabSession), rows(tabNode), rows(tabResult); s != 1 || b != 1 || r > 1 || len(n.r.sessions) != 1 {
			t.Errorf("%d sessions, of %d nodes, with %d results, and %d in memory are left of 51 nodes", s, b, r, len(n.r.sessions))
		}
		n.sound()
		n.crash()
	}
}
