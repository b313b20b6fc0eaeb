package fsm

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/hashicorp/raft"

	"todod/fsm/todo"
)

// doAt is do with a leader time, in ms after testTime.
func (n *node) doAt(ms int64, c *Command) Result {
	n.tb.Helper()
	log := n.append(c)
	log.Data = EncodeEnvelope(Stamp{Time: testTime + ms}, []*Command{c})
	return n.r.Apply(log).([]Result)[0]
}

func smallKeys(n *node, keys, bytes uint64) {
	l := defaultLimits
	l.keys, l.keyBytes = keys, bytes
	n.limit, n.r.limits = &l, l
}

func TestKeyReplay(t *testing.T) {
	n := newNode(t)
	long := strings.Repeat("x", 900)
	requests := map[string]*Command{
		"add":                 addCommand("bob", "one"),
		"refused":             todoCommand(todo.Op{Kind: todo.Delete, List: "bob", ID: 99}),
		"precondition":        todoCommand(todo.Op{Kind: todo.Delete, List: "bob", ID: 1, If: todo.Condition{Match: []todo.Tag{{Epoch: 9, Rev: 9}}}}),
		"patch":               todoCommand(todo.Op{Kind: todo.Patch, List: "bob", ID: 1, Fields: todo.Fields{Set: todo.FieldDone, Done: true}}),
		"batch":               todoCommand(addOp("bob", "x"), addOp("bob", "y")),
		"a batch beyond 4 KB": todoCommand(addOp("bob", long), addOp("bob", long), addOp("bob", long), addOp("bob", long), addOp("bob", long)),
	}
	first := map[string]Result{}
	for _, name := range []string{"add", "refused", "precondition", "patch", "batch", "a batch beyond 4 KB"} {
		first[name] = n.do(keyed(requests[name], "key of "+name))[0]
	}
	_, rev := n.r.Applied()
	n.do(todoCommand(todo.Op{Kind: todo.DeleteList, List: "bob"})) // the answer is that of then
	check := func(t *testing.T, n *node) {
		for name, c := range requests {
			got, want := n.do(c)[0], first[name]
			want.Replayed = true
			if name == "a batch beyond 4 KB" {
				want.Elided, want.Items = true, nil
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("%s came to %+v, want %+v", name, got, want)
			}
		}
		if _, now := n.r.Applied(); now != rev+1 {
			t.Errorf("replays took revs: %d, want %d", now, rev+1)
		}
		other := keyed(addCommand("bob", "another"), "key of add")
		if got := n.do(other)[0].Code; got != KeyReused {
			t.Errorf("another request under the key came to %d", got)
		}
		other.Principal = "ann"
		if got := n.do(other)[0]; got.Code != todo.OK || got.Replayed {
			t.Errorf("the key of another principal came to %+v", got)
		}
		n.sound()
	}
	if err := n.r.Flush(); err != nil {
		t.Fatal(err)
	}
	restored := newNode(t)
	if err := send(n, restored); err != nil {
		t.Fatal(err)
	}
	restored.log = []*raft.Log{{Index: 100}}
	t.Run("at a node that received the replica", func(t *testing.T) { check(t, restored) })
	n.crash()
	t.Run("after a crash", func(t *testing.T) { check(t, n) })
}

func TestKeysExpire(t *testing.T) {
	n := newNode(t)
	day := defaultLimits.keyLife
	n.doAt(0, keyed(addCommand("bob", "one"), "k1"))
	n.doAt(5, keyed(addCommand("bob", "two"), "k2"))
	if got := n.doAt(day-1, keyed(addCommand("bob", "one"), "k1")); !got.Replayed {
		t.Errorf("before its end the key came to %+v", got)
	}
	if got := n.doAt(day, keyed(addCommand("bob", "one"), "k1")); got.Replayed || got.Code != todo.OK {
		t.Errorf("after its end the key came to %+v", got)
	}
	if got := n.doAt(day+1, keyed(addCommand("bob", "one"), "k1")); !got.Replayed {
		t.Errorf("used again the key came to %+v", got)
	}
	if got := n.doAt(0, keyed(addCommand("bob", "one"), "k1")); !got.Replayed {
		t.Errorf("time ran backwards: %+v", got)
	}
	n.doAt(day+5, keyed(addCommand("bob", "three"), "k3")) // lets k2 go
	if m := n.r.store.meta; m.Keys != 2 || n.titles("bob") != "one two one three" {
		t.Errorf("%d keys, bob has %q", m.Keys, n.titles("bob"))
	}
	n.sound()
}

func TestKeysFull(t *testing.T) {
	n := newNode(t)
	smallKeys(n, 10, 1<<20)
	for i := range 10 {
		n.doAt(int64(i), keyed(addCommand("bob", "x"), fmt.Sprint("k", i)))
	}
	_, rev := n.r.Applied()
	young := defaultLimits.keyMinLife - 1
	if got := n.doAt(young, keyed(addCommand("bob", "x"), "new")); got.Code != KeysFull {
		t.Errorf("a full table of young keys came to %+v", got)
	}
	if _, now := n.r.Applied(); now != rev {
		t.Error("a refused command took a rev")
	}
	if got := n.doAt(young, addCommand("bob", "x")); got.Code != todo.OK {
		t.Errorf("without a key: %+v", got)
	}
	if got := n.doAt(young, keyed(addCommand("bob", "x"), "k3")); !got.Replayed {
		t.Errorf("a replay needs no room: %+v", got)
	}
	if got := n.doAt(young+1, keyed(addCommand("bob", "x"), "new")); got.Code != todo.OK {
		t.Errorf("when the oldest is 60 s old: %+v", got)
	}
	if m := n.r.store.meta; m.Keys != 10 || m.FirstKey != 2 {
		t.Errorf("%d keys from %d on, want 10 from 2: one went", m.Keys, m.FirstKey)
	}
	for i := range 20 { // at most two go with each, and no more than must
		before := n.r.store.meta.Keys
		n.doAt(young*2+int64(i)*100_000_000, keyed(addCommand("bob", "x"), fmt.Sprint("late", i)))
		if after := n.r.store.meta.Keys; before-after > 1 && after < before-1 {
			t.Errorf("%d keys became %d", before, after)
		}
	}
	n.sound()
	n.crash()
	n.sound()
}

func TestKeyBodies(t *testing.T) {
	n := newNode(t)
	smallKeys(n, 1000, 2000)
	n.do(addCommand("bob", "x"))
	long := strings.Repeat("x", 400)
	stored := 0
	for i := range 50 {
		c := todoCommand(todo.Op{Kind: todo.Patch, List: "bob", ID: 1, Fields: todo.Fields{Set: todo.FieldTitle, Title: fmt.Sprint(i, long)}})
		switch n.do(keyed(c, fmt.Sprint("k", i)))[0].Code {
		case todo.OK:
			stored++
		case KeysFull:
		default:
			t.Fatal("refused for another reason")
		}
	}
	if stored == 0 || stored > 6 {
		t.Errorf("%d bodies of 400 bytes were kept in 2,000", stored)
	}
	n.sound()
}

// A request with a key is the same however often its command was worked out; that it was outdated is no answer to keep.
func TestKeysOfWhatIsWorkedOut(t *testing.T) {
	n := newNode(t)
	n.do(raise(2))
	n.do(todo2(todo.Op{Kind: todo.Add, List: "bob", Fields: todo.Fields{Title: "Bins", Date: "2026-11-28", More: &todo.More{Repeat: "FREQ=WEEKLY"}}}))
	doing := func(at uint64, next *todo.Next) *Command {
		op := patchDone("bob", 1)
		op.At, op.Next = at, next
		return keyed(todo2(op), "done")
	}
	for _, c := range []*Command{doing(0, nil), doing(9, &todo.Next{Date: "2026-12-04", Repeat: "FREQ=WEEKLY"})} {
		if res := n.do(c)[0]; res.Code != todo.Outdated || res.Replayed {
			t.Fatalf("%d, replayed %v", res.Code, res.Replayed)
		}
	}
	first := n.do(doing(1, &todo.Next{Date: "2026-12-05", Repeat: "FREQ=WEEKLY"}))[0]
	if first.Code != todo.OK || first.Items[0].Entry.Date != "2026-12-05" {
		t.Fatalf("%+v", first)
	}
	first.Replayed = true
	for _, c := range []*Command{doing(0, nil), doing(2, &todo.Next{Date: "2026-12-12", Repeat: "FREQ=WEEKLY"}), doing(1, &todo.Next{})} {
		if res := n.do(c)[0]; !reflect.DeepEqual(res, first) {
			t.Errorf("%+v, want %+v", res, first)
		}
	}
	if res := n.do(keyed(todo2(patchDone("bob", 2)), "done"))[0]; res.Code != KeyReused {
		t.Errorf("another request: %d", res.Code)
	}
}
