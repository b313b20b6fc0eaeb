package fsm

import (
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"todod/fsm/todo"
)

// keptKey is a key as the contract has it.
type keptKey struct {
	key, request string
	time         int64
	first        Result
}

// keyTable holds what a replica does with keys against every sentence of the contract.
type keyTable struct {
	n    *node
	now  int64
	kept []keptKey // in the order they came in
}

// rows are the keys of the replica, in the order they came in.
func (k *keyTable) rows() (keys []string) {
	v := k.n.view()
	defer v.Close()
	v.rows.scan(string(tabOrder), after(string(tabOrder)), func(_ string, row []byte) bool {
		in := &reader{b: row}
		in.int()
		keys = append(keys, string(in.b))
		return true
	})
	return keys
}

// send sends a request under a key and checks the answer and what became of the table.
func (k *keyTable) send(t *rapid.T, key, request string, c *Command) {
	limits := k.n.r.limits
	before := k.n.r.store.meta
	res := k.n.doAt(k.now, keyed(c, key))
	m := k.n.r.store.meta
	at := slices.IndexFunc(k.kept, func(e keptKey) bool { return e.key == key })
	young := at >= 0 && k.now-k.kept[at].time < limits.keyLife
	switch {
	case young && k.kept[at].request == request:
		want := k.kept[at].first
		want.Replayed = true
		if !reflect.DeepEqual(res, want) {
			t.Fatalf("a replay came to %+v, first to %+v", res, want)
		}
	case young:
		if res.Code != KeyReused {
			t.Fatalf("another request came to %+v", res)
		}
	case res.Replayed || res.Code == KeyReused:
		t.Fatalf("a key that is new or past its life came to %+v", res)
	}
	if young && (m.Rev != before.Rev || m.Keys != before.Keys || m.Set != before.Set) {
		t.Fatal("a replay, or another request under the key, changed something")
	}
	if young {
		return
	}
	if at >= 0 {
		k.kept = slices.Delete(k.kept, at, at+1)
	}
	k.evicted(t)
	if res.Code == KeysFull {
		full := m.Keys >= limits.keys || m.KeyBytes >= limits.keyBytes
		if !full || m.Rev != before.Rev {
			t.Fatalf("refused with %d keys of %d bytes, rev %d after %d", m.Keys, m.KeyBytes, m.Rev, before.Rev)
		}
		return
	}
	k.kept = append(k.kept, keptKey{key, request, k.now, res})
}

// evicted checks which keys went: the oldest, two at most, none before its time. The one that was just
// used again past its life is out already.
func (k *keyTable) evicted(t *rapid.T) {
	limits := k.n.r.limits
	rows := k.rows()
	gone := 0
	for gone < len(k.kept) && !slices.Contains(rows, keyHash("", k.kept[gone].key)) {
		e := k.kept[gone]
		full := uint64(len(k.kept)-gone) >= limits.keys || limits.keyBytes < 1<<20
		if age := k.now - e.time; age < limits.keyMinLife || age < limits.keyLife && !full {
			t.Fatalf("%s went after %d ms, with %d keys there", e.key, age, len(k.kept)-gone)
		}
		gone++
	}
	if gone > 2 {
		t.Fatalf("%d keys went with one command", gone)
	}
	k.kept = k.kept[gone:]
	for _, e := range k.kept {
		if !slices.Contains(rows, keyHash("", e.key)) {
			t.Fatalf("%s went, which was not the oldest", e.key)
		}
	}
}

// Whatever comes when: the table of keys keeps what the contract says, within its bounds.
func TestKeyTable(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		n := rapidNode(t, dir)
		l := defaultLimits
		l.keys, l.keyBytes, l.keyLife, l.keyMinLife = rapid.Uint64Range(2, 8).Draw(t, "keys"), 1<<20, 1000, 100
		if rapid.Bool().Draw(t, "few bytes") {
			l.keys, l.keyBytes = 1000, 1500
		}
		n.limit, n.r.limits = &l, l
		defer func() { n.r.Abandon() }()
		k := &keyTable{n: n}
		n.do(addCommand("bob", "x"))
		t.Repeat(map[string]func(*rapid.T){
			"send": func(t *rapid.T) {
				key := fmt.Sprint("k", rapid.IntRange(0, 14).Draw(t, "key"))
				what := rapid.SampledFrom([]string{"add", "patch", "missing", "condition"}).Draw(t, "request")
				title := strings.Repeat("x", rapid.SampledFrom([]int{1, 300}).Draw(t, "length"))
				op := addOp("bob", title)
				switch what {
				case "patch":
					op = todo.Op{Kind: todo.Patch, List: "bob", ID: 1, Fields: todo.Fields{Set: todo.FieldTitle, Title: title}}
				case "missing":
					op = todo.Op{Kind: todo.Delete, List: "bob", ID: 9999}
				case "condition":
					op = todo.Op{Kind: todo.Delete, List: "bob", ID: 1, If: todo.Condition{Match: []todo.Tag{{Epoch: 9, Rev: 9}}}}
				}
				k.send(t, key, string(todoCommand(op).Payload), todoCommand(op))
			},
			"time":  func(t *rapid.T) { k.now += rapid.SampledFrom([]int64{1, 40, 100, 999, 1000}).Draw(t, "ms") },
			"flush": func(*rapid.T) { n.sound() },
			"crash": func(*rapid.T) { n.crash() },
			"": func(t *rapid.T) {
				m := n.r.store.meta
				if m.Keys > l.keys || m.KeyBytes > l.keyBytes+uint64(l.keyBody)+64 || m.Keys != uint64(len(k.kept)) {
					t.Fatalf("%d keys of %d bytes, of %d and %d, and %d were kept", m.Keys, m.KeyBytes, l.keys, l.keyBytes, len(k.kept))
				}
			},
		})
		n.sound()
		if err := os.RemoveAll(n.dir); err != nil {
			t.Fatal(err)
		}
	})
}

// The bounds are the contract's.
func TestKeyLimits(t *testing.T) {
	if l := defaultLimits; l.keys != 1_000_000 || l.keyBytes != 128<<20 || l.keyLife != 24*3600_000 || l.keyMinLife != 60_000 || l.keyBody != 4096 {
		t.Errorf("%+v", l)
	}
}
