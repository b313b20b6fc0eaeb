package search

import (
	"cmp"
	"container/heap"
	"context"
	"errors"
	"math"
	"slices"
	"sync"
	"time"

	"todod/fsm"
	"todod/fsm/todo"
)

// ErrBuilding says that the index is being made and not there yet: it is soon.
var ErrBuilding = errors.New("the index for searching is being made: try again soon")

const (
	// keepFor is how long the index stays after the last search. It takes some 150 bytes of memory for an entry of
	// 100 bytes, which a node that nobody searches need not have.
	keepFor = time.Hour
	// follow is how often the index follows the replica while nobody searches: a search finds little to do then.
	follow = time.Second
	// pageBytes and pageChanges bound what is read of the changes at a time.
	pageBytes   = 4 << 20
	pageChanges = 10_000
	// pageLists is how many lists are read at a time.
	pageLists = 1000
)

// View is what of the replica is indexed. *fsm.View is one.
type View interface {
	Rev() uint64
	Epoch() uint64
	Lists(prefix, after string, limit int) (lists []todo.List, more bool)
	Look(list string, q *fsm.Query, visit func(e *todo.Entry) bool)
	Changes(list string, since uint64, limit, size int) (changes []fsm.Change, upto uint64, ok bool)
	Entry(list string, id uint64) (todo.Entry, bool)
}

var _ View = (*fsm.View)(nil)

// Searcher searches the entries of a node. Its methods may be called concurrently.
type Searcher struct {
	open func(context.Context) (View, func(), error) // a view of the replica as it is, to be closed

	mu    sync.Mutex
	index *index // nil: there is none
	epoch uint64
	rev   uint64 // up to which the index is
	used  time.Time
	busy  chan struct{} // closed once the index that is being made is there; nil: none is
	stop  context.CancelFunc
	ctx   context.Context
}

// New returns a searcher of what open gives views of.
func New(open func(context.Context) (View, func(), error)) *Searcher {
	s := &Searcher{open: open}
	s.ctx, s.stop = context.WithCancel(context.Background())
	return s
}

// Close ends what the searcher does beside searches.
func (s *Searcher) Close() { s.stop() }

// Query is what to look for.
type Query struct {
	Words []string // folded, as fold.Words gives them; all must be there
	List  string   // "" for all
	Done  *bool    // nil for both
	Limit int
}

// Found is an entry that was found.
type Found struct {
	List  string
	Entry todo.Entry
}

// Search returns the entries of a view that fit best, and whether there are more. The index is brought up to the view first,
// so what was written before is found. It fails with ErrBuilding when the context ends before there is an index.
func (s *Searcher) Search(ctx context.Context, v View, q Query) (page []Found, more bool, err error) {
	for range 2 { // an index that is too far behind, or of before a restore, is made anew
		if err := s.ready(ctx); err != nil {
			return nil, false, err
		}
		if page, ok := s.search(v, &q); ok {
			return page[:min(q.Limit, len(page))], len(page) > q.Limit, nil
		}
	}
	return nil, false, ErrBuilding // the view may be of before a restore itself
}

// search returns one entry more than the limit if there are; not ok if there is no index that can be brought up to the view.
func (s *Searcher) search(v View, q *Query) (page []Found, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.index == nil || !s.catchUp(v) {
		s.index = nil
		return nil, false
	}
	return s.best(v, q), true
}

// ready waits until there is an index; the first who asks has it made.
func (s *Searcher) ready(ctx context.Context) error {
	s.mu.Lock()
	s.used = time.Now()
	if s.index != nil {
		s.mu.Unlock()
		return nil
	}
	if s.busy == nil {
		s.busy = make(chan struct{})
		go s.run(s.busy)
	}
	busy := s.busy
	s.mu.Unlock()
	select {
	case <-busy:
		return nil
	case <-ctx.Done():
		return ErrBuilding
	}
}

// run makes the index and has it follow the replica as long as it is used.
func (s *Searcher) run(done chan struct{}) {
	x, epoch, rev, err := s.build()
	s.mu.Lock()
	if s.busy = nil; err == nil {
		s.index, s.epoch, s.rev = x, epoch, rev
	}
	close(done)
	s.mu.Unlock()
	if err != nil {
		return
	}
	tick := time.NewTicker(follow)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-s.ctx.Done():
			return
		}
		if !s.follow(x) {
			return
		}
	}
}

// follow brings an index up to the replica; false if it is no longer the one that is used.
func (s *Searcher) follow(x *index) (goesOn bool) {
	defer func() {
		if damage(recover()) != nil {
			s.mu.Lock()
			defer s.mu.Unlock()
			goesOn, s.index = false, nil // it may be half of the way
		}
	}()
	v, done, err := s.open(s.ctx)
	if err != nil {
		return s.ctx.Err() == nil
	}
	defer done()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.index != x {
		return false
	}
	if time.Since(s.used) > keepFor || x.worn() || !s.catchUp(v) {
		s.index = nil // the next who searches has another made
		return false
	}
	return true
}

// damage is what a view panics with at a damaged row, nil for no panic. Nobody is above a goroutine to catch it, and the
// node has been told of it and ends. Any other panic goes on.
func damage(p any) error {
	err, ok := p.(error)
	if p != nil && (!ok || !errors.Is(err, fsm.ErrStorage)) {
		panic(p)
	}
	return err
}

func (s *Searcher) build() (x *index, epoch, rev uint64, err error) {
	defer func() {
		if e := damage(recover()); e != nil {
			err = e
		}
	}()
	v, done, err := s.open(s.ctx)
	if err != nil {
		return nil, 0, 0, err
	}
	defer done()
	x = newIndex()
	for after := ""; ; {
		lists, more := v.Lists("", after, pageLists)
		for i := range lists {
			name := lists[i].Name
			v.Look(name, &fsm.Query{}, func(e *todo.Entry) bool {
				x.put(name, e)
				return s.ctx.Err() == nil
			})
		}
		if !more || s.ctx.Err() != nil {
			return x, v.Epoch(), v.Rev(), s.ctx.Err()
		}
		after = lists[len(lists)-1].Name
	}
}

// catchUp brings the index up to a view; it may be beyond it already. It is not ok when changes are missing.
func (s *Searcher) catchUp(v View) bool {
	if v.Epoch() != s.epoch {
		return false
	}
	for s.rev < v.Rev() {
		changes, upto, ok := v.Changes("", s.rev, pageChanges, pageBytes)
		if !ok {
			return false
		}
		for i := range changes {
			for j := range changes[i].Items {
				if !s.index.apply(&changes[i].Items[j]) {
					return false
				}
			}
		}
		s.rev = upto
	}
	return true
}

// apply does to the index what a change did to the lists; false for one that it does not know.
func (x *index) apply(it *todo.Item) bool {
	switch it.Kind {
	case todo.Add, todo.Put, todo.Patch, todo.Arrange, todo.Copy, todo.Restore:
		x.put(it.List, &it.Entry)
	case todo.Move:
		x.drop(it.Origin.List, it.Origin.ID)
		x.put(it.List, &it.Entry)
	case todo.Delete:
		x.drop(it.List, it.Entry.ID)
	case todo.DeleteList:
		x.dropList(it.List)
	case todo.PatchList:
		if it.Origin.List != it.List {
			x.rename(it.Origin.List, it.List)
		}
	case todo.Purge: // it was in the trash, which is not searched
	default:
		return false
	}
	return true
}

// hit is a doc that was found.
type hit struct {
	doc  uint32
	fits uint32
}

// hits is a heap whose root fits worst.
type hits struct {
	all []hit
	x   *index
}

func (h *hits) Len() int           { return len(h.all) }
func (h *hits) Swap(i, j int)      { h.all[i], h.all[j] = h.all[j], h.all[i] }
func (h *hits) Push(v any)         { h.all = append(h.all, v.(hit)) }
func (h *hits) Less(i, j int) bool { return h.compare(h.all[i], h.all[j]) > 0 }
func (h *hits) Pop() any {
	last := h.all[len(h.all)-1]
	h.all = h.all[:len(h.all)-1]
	return last
}

// compare puts what fits better first, then what was changed last.
func (h *hits) compare(a, b hit) int {
	return cmp.Or(cmp.Compare(b.fits, a.fits), cmp.Compare(h.x.docs[b.doc].rev, h.x.docs[a.doc].rev), cmp.Compare(a.doc, b.doc))
}

// best returns the entries that fit best, one more than the limit if there are. An entry is looked at only
// where it may be among them.
func (s *Searcher) best(v View, q *Query) (page []Found) {
	x := s.index
	only := uint32(math.MaxUint32)
	if q.List != "" {
		n, ok := x.lists[q.List]
		if !ok {
			return nil
		}
		only = n
	}
	h := &hits{x: x}
	for _, n := range x.find(q.Words) {
		d := &x.docs[n]
		if only != math.MaxUint32 && d.list != only || q.Done != nil && d.done != *q.Done {
			continue
		}
		one := hit{n, x.fits[n]}
		if full := h.Len() > q.Limit; full && h.compare(one, h.all[0]) > 0 {
			continue
		}
		if s.rev > v.Rev() { // the view is of before
			if e, ok := v.Entry(x.names[d.list], d.id); !ok || e.Rev != d.rev {
				continue
			}
		}
		if heap.Push(h, one); h.Len() > q.Limit+1 {
			heap.Pop(h)
		}
	}
	slices.SortFunc(h.all, h.compare)
	for _, one := range h.all {
		d := &x.docs[one.doc]
		if e, ok := v.Entry(x.names[d.list], d.id); ok {
			page = append(page, Found{x.names[d.list], e})
		}
	}
	return page
}
