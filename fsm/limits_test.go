package fsm

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/raft"
	bolt "go.etcd.io/bbolt"

	"todod/fsm/todo"
)

func TestChangesAreServedAndBounded(t *testing.T) {
	n := newNode(t)
	small := defaultLimits
	small.changeBytes = 4000
	n.limit, n.r.limits = &small, small
	n.do(todoCommand(addOp("bob", "one"), todo.Op{Kind: todo.Patch, List: "bob", ID: 1}, addOp("ann", "two")))
	v := n.view()
	changes, _, ok := v.Changes("", 0, 10, 1<<20)
	v.Close()
	if !ok || len(changes) != 1 || changes[0].Rev != 1 || changes[0].Time != testTime || len(changes[0].Items) != 2 ||
		changes[0].Items[1].List != "ann" || changes[0].Items[1].Entry.Title != "two" {
		t.Errorf("changes of a batch with one idle operation: %+v, %v", changes, ok)
	}
	long := strings.Repeat("x", 200)
	for i := range 100 {
		n.do(addCommand("bob", long))
		if i%30 == 0 {
			n.sound()
		}
	}
	m := n.r.store.meta
	if m.ChangeBytes > small.changeBytes || m.ChangeBytes < small.changeBytes-300 || m.FirstChange < 80 {
		t.Errorf("%d bytes of changes are kept, from rev %d on", m.ChangeBytes, m.FirstChange)
	}
	n.sound()
	restored := newNode(t)
	if err := send(n, restored); err != nil {
		t.Fatal(err)
	}
	v = restored.view()
	defer v.Close()
	if _, _, ok := v.Changes("", m.FirstChange-2, 10, 1<<20); ok {
		t.Error("changes that are gone were served")
	}
	changes, _, ok = v.Changes("", m.FirstChange-1, 1000, 1<<20)
	if !ok || uint64(len(changes)) != m.Rev-m.FirstChange+1 || changes[0].Rev != m.FirstChange {
		t.Errorf("%d changes from %d on, %v", len(changes), m.FirstChange, ok)
	}
	if changes, _, ok = v.Changes("", m.Rev, 10, 1<<20); !ok || len(changes) != 0 {
		t.Errorf("after the newest: %v, %v", changes, ok)
	}
	if changes, _, _ = v.Changes("", m.FirstChange-1, 3, 1<<20); len(changes) != 3 {
		t.Errorf("%d changes, asked for 3", len(changes))
	}
}

// A list of 200,000 entries is deleted by a command that changes as many rows as for one of
// ten, and goes in steps of bounded size.
func TestDeleteOfALargeList(t *testing.T) {
	n := newNode(t)
	ops := make([]todo.Op, 1000)
	for i := range ops {
		ops[i] = addOp("large", "x")
	}
	for range 200 {
		n.do(todoCommand(ops...))
	}
	for range 10 {
		n.do(addCommand("small", "x"))
	}
	n.sound()
	rows := func(list string) int {
		before := n.r.store.live.Len()
		n.do(todoCommand(todo.Op{Kind: todo.DeleteList, List: list}))
		return n.r.store.live.Len() - before
	}
	if small, large := rows("small"), rows("large"); small != large || large > 4 {
		t.Errorf("the delete changed %d rows for 10 entries and %d for 200,000", small, large)
	}
	v := n.view()
	if _, ok := v.List("large"); ok {
		t.Error("the list is still there")
	}
	if page, _ := v.Entries("large", Query{Limit: 5}); len(page) != 0 {
		t.Errorf("its entries are still there: %v", page)
	}
	v.Close()
	n.do(addCommand("large", "anew"))
	v = n.view()
	if _, ok := v.Entry("large", 200_001); !ok {
		t.Error("the list begun anew does not go on with the ids")
	}
	v.Close()
	sweep := &Command{Type: TypeSweep, Version: 1, Payload: Sweep{1 << 40}.Encode()}
	longest, sweeps := time.Duration(0), 0
	for ; n.r.Garbage() > 0; sweeps++ {
		begin := time.Now()
		n.do(sweep)
		longest = max(longest, time.Since(begin))
	}
	if sweeps != 2*200_000/maxSweep+1 {
		t.Errorf("%d sweeps of %d rows", sweeps, maxSweep)
	}
	t.Logf("the longest of %d sweeps took %v", sweeps, longest)
	n.sound()
	if got := n.titles("large"); got != "anew" {
		t.Errorf("large has %q", got)
	}
}

// What waits in memory is bounded within one batch, too: raft hands over up to 64 entries.
func TestBackpressure(t *testing.T) {
	n := newNode(t)
	n.r.store.limit = 20_000
	var most int
	n.r.store.step = func(step string) {
		if img := n.r.store.image.Load(); img.frozen != nil {
			bytes := 0
			img.frozen.Scan(func(key string, row []byte) bool {
				bytes += len(key) + len(row)
				return true
			})
			most = max(most, bytes)
		}
	}
	var logs []*raft.Log
	for i := range 64 {
		logs = append(logs, n.append(addCommand(fmt.Sprint("list", i), strings.Repeat("x", 1000))))
	}
	n.r.ApplyBatch(logs)
	if most == 0 || most > 30_000 {
		t.Errorf("up to %d bytes waited, the limit is 20,000", most)
	}
	durable, _, err := n.r.Durable()
	if err != nil || durable < 40 {
		t.Errorf("durable is %d of 64, %v: no flush came on the way", durable, err)
	}
	n.sound()
	if n.r.store.dirty != 0 {
		t.Errorf("%d bytes count as waiting after a flush", n.r.store.dirty)
	}
	for range 100 { // what replaces a row takes its room
		n.do(todoCommand(patchTitle("list1", 1, "a"), patchTitle("list1", 1, "b")))
	}
	n.sound()
}

func patchTitle(list string, id uint64, title string) todo.Op {
	return todo.Op{Kind: todo.Patch, List: list, ID: id, Fields: todo.Fields{Set: todo.FieldTitle, Title: title}}
}

func TestMembers(t *testing.T) {
	n := newNode(t)
	steps := []struct {
		m    Member
		code todo.Code
	}{
		{Member{"n1", "f1", "http1", "raft1", Known}, todo.OK},
		{Member{"n1", "f1", "http9", "raft9", Known}, todo.OK},     // a new address
		{Member{"n1", "f2", "http1", "raft1", Known}, MemberKnown}, // a wiped disk
		{Member{"n2", "f1", "http2", "raft2", Known}, MemberKnown}, // another name for the folder
		{Member{"n2", "f2", "http2", "raft2", Known}, todo.OK},
		{Member{"n1", "f1", "http9", "raft9", Removed}, todo.OK},
		{Member{"n1", "f1", "http9", "raft9", Removed}, todo.OK},   // twice
		{Member{"n1", "f1", "http9", "raft9", Known}, MemberKnown}, // never again
		{Member{"n1", "f3", "http9", "raft9", Known}, MemberKnown},
		{Member{"n3", "f1", "http9", "raft9", Known}, MemberKnown},
	}
	for i, s := range steps {
		if got := n.do(&Command{Type: TypeMember, Version: 1, Payload: s.m.Encode()})[0].Code; got != s.code {
			t.Errorf("step %d, %+v, came to %d, want %d", i, s.m, got, s.code)
		}
	}
	v := n.view()
	defer v.Close()
	want := []Member{{"n1", "f1", "http9", "raft9", Removed}, {"n2", "f2", "http2", "raft2", Known}}
	if got := v.Members(); len(got) != 2 || got[0] != want[0] || got[1] != want[1] {
		t.Errorf("members %+v", got)
	}
	if owner := v.FolderOwner("f1"); owner != "n1" || v.FolderOwner("f3") != "" {
		t.Errorf("f1 belongs to %q", owner)
	}
	if _, ok := v.Member("n3"); ok || !v.Empty() {
		t.Error("a refused member is known, or members count as entries")
	}
}

func TestTermAndTime(t *testing.T) {
	n := newNode(t)
	for _, epoch := range []uint64{7, 8} { // the first term of a group begins its epoch, no later one does
		if got := n.do(&Command{Type: TypeTerm, Version: 1, Payload: Term{"n1", epoch}.Encode()})[0]; got.Epoch != 7 || got.Rev != 0 {
			t.Errorf("term with epoch %d came to %+v", epoch, got)
		}
	}
	first := n.doAt(1000, addCommand("bob", "x"))
	second := n.doAt(0, addCommand("bob", "y")) // a leader whose clock is behind
	if first.Time != testTime+1000 || second.Time != first.Time || second.Items[0].Entry.Created != first.Time {
		t.Errorf("times %d and %d", first.Time, second.Time)
	}
	if n.r.Time() != first.Time {
		t.Errorf("Time is %d", n.r.Time())
	}
}

func TestListPages(t *testing.T) {
	n := newNode(t)
	for _, name := range []string{"b", "a", "ab", "abc", "c", "\u00fc", "\U0010ffff", "gone"} {
		n.do(addCommand(name, "x"))
	}
	n.do(todoCommand(todo.Op{Kind: todo.DeleteList, List: "gone"}))
	v := n.view()
	defer v.Close()
	cases := []struct {
		prefix, after string
		limit         int
		want          string
		more          bool
	}{
		{"", "", 100, "a ab abc b c \u00fc \U0010ffff", false},
		{"", "", 2, "a ab", true},
		{"", "ab", 2, "abc b", true},
		{"", "aa", 1, "ab", true},
		{"a", "", 100, "a ab abc", false},
		{"a", "ab", 1, "abc", false},
		{"ab", "a", 100, "ab abc", false},
		{"a", "b", 100, "", false},
		{"\U0010ffff", "", 100, "\U0010ffff", false},
		{"x", "", 100, "", false},
	}
	for _, c := range cases {
		lists, more := v.Lists(c.prefix, c.after, c.limit)
		var names []string
		for _, l := range lists {
			names = append(names, l.Name)
		}
		if got := strings.Join(names, " "); got != c.want || more != c.more {
			t.Errorf("lists %q after %q, %d: %q, more %t", c.prefix, c.after, c.limit, got, more)
		}
	}
}

// The pages of the file are full, though rows come at the ends of many lists.
func TestPagesAreFull(t *testing.T) {
	l := newLoad(t, 100, false)
	for range 10 {
		l.r.ApplyBatch(l.entries(2000, 200))
		if err := l.r.store.flush(nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.r.store.db.View(func(tx *bolt.Tx) error {
		s := tx.Bucket(rowsBucket).Stats()
		if full := float64(s.LeafInuse) / float64(s.LeafAlloc); full < 0.7 {
			t.Errorf("the pages are %.2f full", full)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}
