package main

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"todod/deploy/chaos/history"
	"todod/httpapi/api"
)

// How many registers and books are in use at a time, and after how many operations, or operations of unknown
// outcome, another takes the place of one: each is checked by itself, and many unknowns make
// that hard.
const (
	inUse       = 10
	maxUses     = 150
	maxUnknowns = 4
)

// shelf holds what the clients of a load work on.
type shelf struct {
	l    *load
	part int

	mu      sync.Mutex
	entries []*register
	books   []*book
	all     []*book     // of this part
	made    []*register // of this part
}

// register is an entry whose title is put and read.
type register struct {
	path          string
	uses, unknown int
}

// book is two lists.
type book struct {
	name          string
	uses, unknown int
	ids           [2][]uint64        // entries that clients know of
	deleted       [2]map[uint64]bool // those that somebody may have taken away
}

func newShelf(l *load, part int) *shelf { return &shelf{l: l, part: part} }

// listName is the name of one of the two lists of a book.
func (b *book) listName(list int) string { return b.name + string(rune('a'+list)) }

// book returns one of those in use.
func (s *shelf) book(pick int) *book {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := pick % inUse
	for len(s.books) <= i {
		s.books = append(s.books, nil)
	}
	if b := s.books[i]; b == nil || b.uses >= maxUses || b.unknown >= maxUnknowns {
		b = &book{name: fmt.Sprintf("book-%d-%d-", s.part, len(s.all)), deleted: [2]map[uint64]bool{{}, {}}}
		s.books[i] = b
		s.all = append(s.all, b)
	}
	s.books[i].uses++
	return s.books[i]
}

// register returns one of those in use, or nil when the client has to make another in its place.
func (s *shelf) register(pick int) (e *register, at int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := pick % inUse
	for len(s.entries) <= i {
		s.entries = append(s.entries, nil)
	}
	e = s.entries[i]
	if e == nil || e.uses >= maxUses || e.unknown >= maxUnknowns {
		return nil, i
	}
	e.uses++
	return e, i
}

func (s *shelf) put(at int, e *register) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.entries[at] = e
	s.made = append(s.made, e)
}

// unsure counts an operation of unknown outcome.
func (s *shelf) unsure(unknown *int, outcome string) {
	if outcome != history.Unknown {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	*unknown++
}

// know notes an entry that was added or seen.
func (s *shelf) know(b *book, list int, id uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b.ids[list] = append(b.ids[list], id)
}

// pickID returns an entry of a list that somebody knows, 0 if there is none.
func (s *shelf) pickID(b *book, list, pick int, deletes bool) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	ids := b.ids[list]
	if len(ids) == 0 {
		return 0
	}
	id := ids[pick%len(ids)]
	if deletes {
		b.deleted[list][id] = true
	}
	return id
}

func (s *shelf) mayBeGone(b *book, list int, id uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return b.deleted[list][id]
}

// register does one operation on a register: reads, puts, and puts by If-Match.
func (c *client) register(title string, k int) {
	s := c.l.shelf
	e, at := s.register(c.random.IntN(inUse))
	if e == nil {
		list := fmt.Sprintf("registers-%d", s.part)
		a, outcome := c.write(http.MethodPost, entriesPath(list), newEntry(history.Start))
		if outcome == history.Done {
			s.put(at, &register{path: fmt.Sprintf("%s/%d", entriesPath(list), decode[api.Entry](c, a).ID)})
		}
		return
	}
	in := history.RegisterOp{Entry: e.path}
	if k >= 15 {
		in.Write = title
	}
	if k >= 25 {
		in.Match = c.etags[e.path]
	}
	c.l.regs.Record(c.id, in, func() (any, string) {
		if in.Write == "" {
			a, outcome := c.read(e.path)
			return c.sawRegister(e, a, outcome), outcome
		}
		var header []string
		if in.Match != "" {
			header = []string{"If-Match", in.Match}
		}
		a, outcome := c.write(http.MethodPut, e.path, newEntry(title), header...)
		s.unsure(&e.unknown, outcome)
		out := c.sawRegister(e, a, outcome)
		out.Unknown, out.Failed = outcome == history.Unknown, a.status == http.StatusPreconditionFailed
		return out, outcome
	})
}

func (c *client) sawRegister(e *register, a answer, outcome string) (out history.RegisterResult) {
	if outcome != history.Done || a.status == http.StatusPreconditionFailed {
		return out
	}
	if a.status != http.StatusOK {
		c.l.r.find("%s, which nobody deletes: %d %s", e.path, a.status, a.body)
		return out
	}
	out.Title, out.ETag = decode[api.Entry](c, a).Title, a.header.Get("ETag")
	c.etags[e.path] = out.ETag
	return out
}

// list does one operation on a list.
func (c *client) list(title string, k int) {
	s := c.l.shelf
	b := s.book(c.random.IntN(inUse))
	in := history.ListOp{Book: b.name, List: c.random.IntN(2), Kind: history.Read}
	path := entriesPath(b.listName(in.List))
	do := func() (any, string) { return c.readList(path + "?limit=1000") }
	switch {
	case k < 60:
	case k < 82:
		in.Kind, in.Title = history.Add, title
		do = func() (any, string) { return c.add(b, in) }
	case k < 88:
		in.Kind, in.Title = history.Both, title
		do = func() (any, string) { return c.both(b, in) }
	default:
		in.Kind = history.Tick
		if k >= 94 {
			in.Kind = history.Delete
		}
		if in.ID = s.pickID(b, in.List, c.random.IntN(1<<20), in.Kind == history.Delete); in.ID == 0 {
			return
		}
		do = func() (any, string) { return c.change(in, path) }
	}
	c.l.lists.Record(c.id, in, func() (any, string) {
		out, outcome := do()
		s.unsure(&b.unknown, outcome)
		return out, outcome
	})
}

func (c *client) readList(path string) (any, string) {
	a, outcome := c.read(path)
	if outcome != history.Done {
		return nil, outcome
	}
	return history.ListResult{Rows: rows(decode[api.Entries](c, a).Entries)}, outcome
}

// rows is a page of entries as a history has it.
func rows(all []api.Entry) string {
	var b strings.Builder
	for _, e := range all {
		b.WriteString(history.Row(e.ID, e.Title, e.Done))
	}
	return b.String()
}

func (c *client) add(b *book, in history.ListOp) (any, string) {
	path := entriesPath(b.listName(in.List))
	a, outcome := c.write(http.MethodPost, path, newEntry(in.Title))
	out := history.ListResult{Unknown: outcome == history.Unknown}
	switch outcome {
	case history.NotApplied:
		c.l.never(in.Title)
	case history.Done:
		id := decode[api.Entry](c, a).ID
		out.IDs[0] = id
		c.l.shelf.know(b, in.List, id)
		c.readBack(b, in.List, id, a.header.Get("Todod-Index"))
	}
	return out, outcome
}

// readBack reads what was just written at the level stale, at some node: with the rev of the write as the least,
// it must be there.
func (c *client) readBack(b *book, list int, id uint64, rev string) {
	if c.random.IntN(3) > 0 {
		return
	}
	least, err := strconv.ParseUint(rev, 10, 64)
	if err != nil {
		return // found already
	}
	path := fmt.Sprintf("%s/%d?consistency=stale", entriesPath(b.listName(list)), id)
	a, outcome := c.try(least, http.MethodGet, path, "", "Todod-Min-Index", rev)
	if outcome != history.Done {
		return
	}
	c.l.reads.Add(1)
	if a.status == http.StatusNotFound && !c.l.shelf.mayBeGone(b, list, id) {
		c.l.r.find("%s is not there for a stale read with Todod-Min-Index %s, the rev it was added with", path, rev)
	}
}

// both adds to both lists of a book in one batch.
func (c *client) both(b *book, in history.ListOp) (any, string) {
	body := fmt.Sprintf(`{"commands":[{"op":"add","list":%q,"title":%q},{"op":"add","list":%q,"title":%q}]}`,
		b.listName(0), in.Title, b.listName(1), in.Title)
	a, outcome := c.write(http.MethodPost, "/v1/batch", body)
	out := history.ListResult{Unknown: outcome == history.Unknown}
	switch outcome {
	case history.NotApplied:
		c.l.never(in.Title)
	case history.Done:
		for i, change := range decode[api.BatchResult](c, a).Results {
			out.IDs[i%2] = change.ID
			c.l.shelf.know(b, i%2, change.ID)
		}
	}
	return out, outcome
}

// change ticks an entry off or takes it away.
func (c *client) change(in history.ListOp, path string) (any, string) {
	method, body := http.MethodDelete, ""
	var header []string
	if in.Kind == history.Tick {
		method, body, header = http.MethodPatch, `{"done":true}`, []string{"Content-Type", "application/merge-patch+json"}
	}
	a, outcome := c.write(method, fmt.Sprintf("%s/%d", path, in.ID), body, header...)
	return history.ListResult{Unknown: outcome == history.Unknown, Missing: a.status == http.StatusNotFound}, outcome
}

// never notes a title that was said to be not applied.
func (l *load) never(title string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lost[title] = true
}
