package fsm

import (
	"encoding/binary"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
)

// someKey is one of few: of groups that follow the last key, and of those that do not.
func someKey(rng *rand.Rand) string {
	num, id := 1+rng.Uint64N(8), rng.Uint64N(60)
	switch rng.IntN(6) {
	case 0:
		return textKey(tabList, fmt.Sprint("list-", num))
	case 1:
		return dateKey(num, fmt.Sprintf("2018-12-%02d", 1+rng.IntN(28)), id)
	case 2:
		return numKey(tabChange, id)
	case 3:
		return "e" // of no form that the tables know
	case 4:
		return textKey(tabKey, string(binary.BigEndian.AppendUint64(nil, rng.Uint64N(200)<<56)))
	}
	return numKey(tabEntry, num, id)
}

// A layer is what a map says, and so is each of its older states, whatever was set after it.
func TestLayerModel(t *testing.T) {
	for seed := range uint64(10) {
		rng := rand.New(rand.NewPCG(seed, 1))
		l, want, hidden := newLayer(), map[string][]byte{}, 0
		states, wanted := []*layer{}, []map[string][]byte{}
		fresh := map[string]bool{} // set in the state that is being made
		for i := range 3000 {
			key := someKey(rng)
			row, had := want[key]
			if got, ok := l.own(key); ok != had || string(got) != string(row) {
				t.Fatalf("seed %d: own(%q) = %q, %t, want %q, %t", seed, key, got, ok, row, had)
			}
			set := fmt.Append(nil, i)
			if rng.IntN(4) == 0 {
				set = nil
			}
			if old, replaced := l.set(key, set); replaced != had || string(old) != string(row) {
				t.Fatalf("seed %d: set(%q) replaced %q, %t, want %q, %t", seed, key, old, replaced, row, had)
			}
			if !fresh[key] {
				hidden += len(row)
			}
			want[key], fresh[key] = set, true
			if rng.IntN(100) == 0 {
				states, wanted = append(states, l.publish()), append(wanted, maps.Clone(want))
				clear(fresh)
			}
		}
		states, wanted = append(states, l), append(wanted, want)
		for i, state := range states {
			sameRows(t, rng, state, wanted[i])
		}
		size := hidden
		for key, row := range want {
			size += len(key) + len(row)
		}
		if l.size() != size || l.len() != len(want) {
			t.Errorf("seed %d: %d keys of %d bytes, want %d of %d", seed, l.len(), l.size(), len(want), size)
		}
		levelsInOrder(t, l.list)
	}
}

// sameRows compares a state with a map, in each way that it can be read.
func sameRows(t *testing.T, rng *rand.Rand, l *layer, want map[string][]byte) {
	t.Helper()
	keys := slices.Sorted(maps.Keys(want))
	var got []string
	l.scan(func(key string, row []byte) bool {
		if w := want[key]; string(row) != string(w) || (row == nil) != (w == nil) {
			t.Fatalf("row %q is %q, want %q", key, row, w)
		}
		got = append(got, key)
		return true
	})
	if !slices.Equal(got, keys) {
		t.Fatalf("keys %q, want %q", got, keys)
	}
	for range 5 {
		key := someKey(rng)
		row, ok := l.get(key)
		if w, had := want[key]; ok != had || string(row) != string(w) {
			t.Fatalf("get(%q) = %q, %t, want %q, %t", key, row, ok, w, had)
		}
		at, _ := slices.BinarySearch(keys, key)
		it := l.iter()
		if ok := it.seek(key); ok != (at < len(keys)) || ok && it.key != keys[at] {
			t.Fatalf("seek(%q) is at %q, %t", key, it.key, ok)
		}
		for i := at - 1; i >= -1; i-- {
			ok := it.below(key)
			if ok != (i >= 0) || ok && (it.key != keys[i] || string(it.row) != string(want[it.key])) {
				t.Fatalf("below(%q) is at %q, %t", key, it.key, ok)
			}
			key = it.key
		}
	}
}

// levelsInOrder checks that each level has slots of the one below it, in order.
func levelsInOrder(t *testing.T, s *skiplist) {
	t.Helper()
	for h := range maxHeight {
		n := 0
		for at := s.head; at.next[h].Load() != nil; n++ {
			next := at.next[h].Load()
			if at.key >= next.key {
				t.Fatalf("level %d has %q before %q", h, at.key, next.key)
			}
			at = next
		}
		if h == 0 && n != s.count {
			t.Errorf("%d slots, %d count", n, s.count)
		}
	}
}

// Readers of a state see it as it was, while the applier goes on.
func TestLayerReaders(t *testing.T) {
	const states, perState, hot = 300, 20, 10
	l := newLayer()
	var newest atomic.Pointer[layer]
	newest.Store(l.publish())
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			for state := uint64(0); state < states; {
				r := newest.Load()
				state = r.at - 1
				n, last := 0, ""
				r.scan(func(key string, row []byte) bool {
					if set := binary.BigEndian.Uint64(row); set > state || key[0] == tabList && set != state {
						t.Errorf("state %d has a row of state %d under %q", state, set, key)
					}
					if key <= last {
						t.Errorf("%q after %q", key, last)
					}
					n, last = n+1, key
					return true
				})
				if want := int(state) * perState; n != want+min(want, hot) {
					t.Errorf("state %d has %d rows", state, n)
				}
			}
		})
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for state := range uint64(states) {
		row := binary.BigEndian.AppendUint64(nil, state+1)
		for range hot {
			for h := range hot {
				l.set(textKey(tabList, fmt.Sprint(h)), row)
			}
		}
		for i := range uint64(perState) {
			l.set(numKey(tabEntry, rng.Uint64N(100), state*perState+i), row)
		}
		newest.Store(l.publish())
	}
	readers.Wait()
}
