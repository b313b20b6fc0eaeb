package fsm

import (
	"bytes"
	"sync/atomic"

	"github.com/cespare/xxhash/v2"
)

// layer is rows by key that are applied but not yet in bolt, as they are in one state; a nil row is a deleted one.
//
// All states of a layer share one skip list, which one goroutine changes while any number read. A row that is set
// hides the one of an older state, which stays for those who read that one: nothing is copied for readers, and nobody
// waits. Nothing is taken out of the list either: it goes as a whole, once it is flushed and nobody reads it any more.
type layer struct {
	list *skiplist
	at   uint64 // the state; what is set in a later one is not seen
}

func newLayer() *layer {
	return &layer{list: &skiplist{head: &slot{next: make([]link, maxHeight)}, seed: 1}, at: 1}
}

const (
	// maxHeight of a slot. One in four of each height is higher, so this is enough for the million rows that
	// maxDirty has room for at most.
	maxHeight = 8
	// slab is how many slots are made at once.
	slab = 64
	// paths that are kept, of 72 bytes each. Of two groups for the same one the last has it.
	paths = 4096
)

type skiplist struct {
	head  *slot // of all levels, below all keys
	seed  uint32
	count int    // of keys
	bytes int    // of keys and rows, those that are hidden too
	paths []path // by the hash of a group of keys; nil until the first row is set
	slots []slot // made ahead
	links []link // ditto
	room  []byte // for rows
}

// roomSize is how many bytes are made at once for rows; those of a quarter of it and more have their own.
const roomSize = 16 << 10

// keep returns a copy of a row: one by one rows would be a third of what applying allocates.
func (s *skiplist) keep(row []byte) []byte {
	if row == nil || len(row) >= roomSize/4 {
		return bytes.Clone(row)
	}
	if len(row) > len(s.room) {
		s.room = make([]byte, roomSize)
	}
	n := copy(s.room, row)
	kept := s.room[:n:n]
	s.room = s.room[n:]
	return kept
}

type link = atomic.Pointer[slot]

// slot is the place of a key in the list.
type slot struct {
	key    string
	newest atomic.Pointer[version]
	first  version
	next   []link // by level, the one with all slots first
}

// version is a row from one state on. It may change until that state is published: nobody looks at it before.
type version struct {
	at    uint64
	row   []byte
	older *version
}

// in returns the version that a state has, nil for none.
func (n *slot) in(at uint64) *version {
	v := n.newest.Load()
	for v != nil && v.at > at {
		v = v.older
	}
	return v
}

// path is where the applier went last for a group of keys: at each level the last slot below the key. The next key
// of the group is close to it, so that two or three steps lead there instead of some twenty. One that others have
// made slots behind costs steps and is never wrong: each step looks at the keys.
type path struct {
	group uint64 // the hash of what the keys have in common; 0: of none
	below [maxHeight]*slot
}

// group is what keys have in common that come in order, or close to each other.
func group(key string) string {
	switch key[0] {
	case tabList:
		return key
	case tabEntry, tabDate, tabResult:
		return key[:min(9, len(key))]
	}
	return key[:1]
}

// find returns the slot of a key, nil if there is none, and the path to it, which holds for the lowest levels, as many
// as asked for. It is for the applier alone.
func (s *skiplist) find(key string, levels int) (*slot, *path) {
	if s.paths == nil {
		s.paths = make([]path, paths)
	}
	hash := xxhash.Sum64String(group(key)) | 1
	p := &s.paths[hash>>1%paths]
	h, below := maxHeight-1, s.head
	if p.group == hash {
		h, below = p.climb(key, levels-1, h, below)
	}
	p.group = hash
	n := p.descend(below, h, key)
	if n == nil || n.key != key {
		return nil, p
	}
	return n, p
}

// climb returns the lowest slot of the path, at one of the levels from one on, that is below a key and the next one is
// not; else the top that is given.
func (p *path) climb(key string, from, top int, head *slot) (h int, below *slot) {
	for h := from; h < top; h++ {
		if below := p.below[h]; below.key < key {
			if next := below.next[h].Load(); next == nil || next.key >= key {
				return h, below
			}
		}
	}
	return top, head
}

// descend returns the first slot that is not below a key. It begins at a level of a slot that is below it, and the
// path is where it went.
func (p *path) descend(below *slot, h int, key string) (n *slot) {
	for ; h >= 0; h-- {
		for next := below.next[h].Load(); next != nil && next != n; next = below.next[h].Load() {
			if next.key >= key {
				n = next
				break
			}
			below = next
		}
		p.below[h] = below
	}
	return n
}

// toss returns how high the next slot is.
func (s *skiplist) toss() (height int) {
	s.seed = s.seed*1664525 + 1013904223 // as in Numerical Recipes; the high bits are the good ones
	for height = 1; height < maxHeight && s.seed>>(32-2*height)&3 == 0; height++ {
	}
	return height
}

// insert makes a slot at the end of a path.
func (s *skiplist) insert(key string, p *path, height int, v version) {
	if len(s.slots) == 0 {
		s.slots = make([]slot, slab)
	}
	if len(s.links) < height {
		s.links = make([]link, 2*slab)
	}
	n := &s.slots[0]
	s.slots = s.slots[1:]
	n.next, s.links = s.links[:height:height], s.links[height:]
	n.key, n.first = key, v
	n.newest.Store(&n.first)
	for h := range n.next {
		n.next[h].Store(p.below[h].next[h].Load())
	}
	for h := range n.next { // from the lowest: who finds the slot higher up goes on from there
		p.below[h].next[h].Store(n)
		p.below[h] = n
	}
	s.count++
}

// set sets a row, of which it keeps a copy, in the state that is being made, and returns the one before it, if the layer has one. It, own and
// publish are for the applier alone.
func (l *layer) set(key string, row []byte) (old []byte, replaced bool) {
	s := l.list
	height := s.toss()
	n, p := s.find(key, height)
	row = s.keep(row)
	s.bytes += len(row)
	if n == nil {
		s.bytes += len(key)
		s.insert(key, p, height, version{at: l.at, row: row})
		return nil, false
	}
	v := n.newest.Load()
	if old = v.row; v.at == l.at {
		s.bytes -= len(old)
		v.row = row
	} else {
		n.newest.Store(&version{at: l.at, row: row, older: v})
	}
	return old, true
}

// own is get by the paths.
func (l *layer) own(key string) (row []byte, ok bool) {
	n, _ := l.list.find(key, 1)
	if n == nil {
		return nil, false
	}
	return n.newest.Load().row, true
}

// publish returns the state that was made. What is set from now on is not in it.
func (l *layer) publish() *layer {
	published := *l
	l.at++
	return &published
}

// size is how many bytes keys and rows have, those that are hidden too.
func (l *layer) size() int { return l.list.bytes }

// len is how many keys there are.
func (l *layer) len() int { return l.list.count }

// get returns a row, and whether the layer has it, be it as deleted.
func (l *layer) get(key string) (row []byte, ok bool) {
	n, _ := l.list.seek(key)
	if n == nil || n.key != key {
		return nil, false
	}
	v := n.in(l.at)
	if v == nil {
		return nil, false
	}
	return v.row, true
}

// seek returns the first slot that is not below a key, and the one before it, which may be the head.
func (s *skiplist) seek(key string) (n, below *slot) {
	var p path
	n = p.descend(s.head, maxHeight-1, key)
	return n, p.below[0]
}

// scan visits all rows in order, until visit returns false.
func (l *layer) scan(visit func(key string, row []byte) bool) {
	it := l.iter()
	for ok := it.seek(""); ok && visit(it.key, it.row); ok = it.next() {
	}
}

// iter returns an iterator, which is nowhere yet. That of no layer finds no rows.
func (l *layer) iter() layerIter {
	if l == nil {
		return layerIter{}
	}
	return layerIter{list: l.list, at: l.at}
}

// layerIter goes over the rows of a layer. It is at one as long as its moves return true.
type layerIter struct {
	list *skiplist
	at   uint64
	slot *slot
	key  string
	row  []byte
}

// seek goes to the first row from a key on.
func (it *layerIter) seek(key string) bool {
	if it.list == nil {
		return false
	}
	it.slot, _ = it.list.seek(key)
	return it.stop()
}

// next goes to the row after this one.
func (it *layerIter) next() bool {
	it.slot = it.slot.next[0].Load()
	return it.stop()
}

// stop goes on to a row that the state has.
func (it *layerIter) stop() bool {
	for it.slot != nil && !it.show() {
		it.slot = it.slot.next[0].Load()
	}
	return it.slot != nil
}

// show reports whether the state has a row in the slot, and is at it then.
func (it *layerIter) show() bool {
	v := it.slot.in(it.at)
	if v == nil {
		return false
	}
	it.key, it.row = it.slot.key, v.row
	return true
}

// below goes to the last row below a key.
func (it *layerIter) below(key string) bool {
	if it.list == nil {
		return false
	}
	_, it.slot = it.list.seek(key)
	for it.slot != it.list.head && !it.show() {
		_, it.slot = it.list.seek(it.slot.key)
	}
	return it.slot != it.list.head
}
