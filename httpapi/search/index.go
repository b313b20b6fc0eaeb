// Package search finds entries by words: a prefix of each is enough, case and accents make no difference, and what fits
// best comes first. The index is a node's own and in its memory: it is no part of the replica, of its snapshots or its
// hashes, since words are found with Unicode tables that differ between Go releases.
package search

import (
	"strings"

	"github.com/tidwall/btree"

	"todod/fsm/todo"
	"todod/fsm/todo/fold"
)

// Where a word stands decides how much it counts. An entry has it once for each.
const (
	inTitle = 4
	inTags  = 3
	inNotes = 1
	exact   = 2 // times as much as one that only begins with what was asked for
)

// spare is how many docs of the past are kept however few there are of the present.
const spare = 10_000

// posting is an entry that has a word, and how much the word counts in it.
type posting struct {
	doc    uint32
	weight uint8
}

// doc is an entry in the index. One that changed is another doc: the old one stays, without effect, until the index
// is made anew.
type doc struct {
	list uint32 // in names
	id   uint64
	rev  uint64
	done bool
	live bool
}

type key struct {
	list uint32
	id   uint64
}

// index is not safe for concurrent use.
type index struct {
	docs  []doc
	at    map[key]uint32
	live  int
	words btree.Map[string, *[]posting]
	exact map[string]*[]posting // the same: without it to make the index takes a third longer
	names []string              // of lists; "" for one that is gone
	lists map[string]uint32

	buf    []byte           // room for a folded text
	weighs map[string]uint8 // room for the words of an entry

	// Of a search, a place for each doc: which word it had last, how well it fits so far, and without that word.
	stamp        uint64
	stamps       []uint64
	fits, before []uint32
	found        []uint32 // room for what is found
}

func newIndex() *index {
	return &index{at: map[key]uint32{}, lists: map[string]uint32{}, exact: map[string]*[]posting{}, weighs: map[string]uint8{}}
}

// worn reports whether more of the index is past than present.
func (x *index) worn() bool { return len(x.docs) > 2*x.live+spare }

func (x *index) list(name string) uint32 {
	n, ok := x.lists[name]
	if !ok {
		n = uint32(len(x.names))
		x.names, x.lists[name] = append(x.names, name), n
	}
	return n
}

func (x *index) put(list string, e *todo.Entry) {
	x.drop(list, e.ID)
	k := key{x.list(list), e.ID}
	n := uint32(len(x.docs))
	x.docs = append(x.docs, doc{list: k.list, id: e.ID, rev: e.Rev, done: e.Done, live: true})
	x.at[k] = n
	x.live++
	clear(x.weighs)
	x.weigh(e.Title, inTitle)
	m := e.More
	if m != nil {
		for _, tag := range m.Tags {
			x.weigh(tag, inTags)
		}
		x.weigh(m.Notes, inNotes)
	}
	for word, weight := range x.weighs {
		list, ok := x.exact[word]
		if !ok {
			list = new([]posting)
			word = strings.Clone(word)
			x.words.Set(word, list)
			x.exact[word] = list
		}
		*list = append(*list, posting{n, weight})
	}
}

// weigh notes the words of a text.
func (x *index) weigh(text string, weight uint8) {
	x.buf = fold.Append(x.buf[:0], text)
	fold.EachWord(x.buf, func(word []byte, _ int) {
		if sum := x.weighs[string(word)] + weight; sum >= weight { // else it is there some sixty times
			x.weighs[string(word)] = sum
		}
	})
}

func (x *index) drop(list string, id uint64) {
	k := key{x.list(list), id}
	if n, ok := x.at[k]; ok {
		x.docs[n].live = false
		x.live--
		delete(x.at, k)
	}
}

func (x *index) dropList(name string) {
	n := x.list(name)
	for i := range x.docs {
		if d := &x.docs[i]; d.live && d.list == n {
			d.live = false
			x.live--
			delete(x.at, key{n, d.id})
		}
	}
}

// rename gives a list another name; what is indexed of it stays.
func (x *index) rename(from, to string) {
	n := x.list(from)
	delete(x.lists, from)
	x.names[n], x.lists[to] = to, n
}

// find returns the docs that have all words, until the next call; fits then has how well each does.
func (x *index) find(words []string) []uint32 {
	for len(x.stamps) < len(x.docs) {
		x.stamps, x.fits, x.before = append(x.stamps, 0), append(x.fits, 0), append(x.before, 0)
	}
	found := x.found[:0]
	for i, word := range words {
		last := x.stamp // of the docs that have the words before this one
		x.stamp++
		found = found[:0]
		x.words.Ascend(word, func(term string, list *[]posting) bool {
			if !strings.HasPrefix(term, word) {
				return false
			}
			times := uint32(1)
			if term == word {
				times = exact
			}
			for _, p := range *list {
				fits := times * uint32(p.weight)
				switch stamp := x.stamps[p.doc]; {
				case !x.docs[p.doc].live:
				case stamp == x.stamp: // by another term already: the one that fits best counts
					x.fits[p.doc] = max(x.fits[p.doc], x.before[p.doc]+fits)
				case i == 0 || stamp == last:
					if x.before[p.doc] = x.fits[p.doc]; i == 0 {
						x.before[p.doc] = 0
					}
					x.fits[p.doc], x.stamps[p.doc] = x.before[p.doc]+fits, x.stamp
					found = append(found, p.doc)
				}
			}
			return true
		})
	}
	x.found = found
	return found
}
