package todo

// TrashKind says how an entry went. Kinds are stored: never renumber.
type TrashKind uint8

// The kinds of rows in the trash.
const (
	Deleted   TrashKind = 1
	MovedAway TrashKind = 2 // it is in another list now: the row says where, for those who look for it here
)

// Trashed is what the trash of a list keeps under an id.
type Trashed struct {
	Kind  TrashKind
	Rev   uint64   // of the command that it went with
	At    int64    // when, Unix ms
	Entry Entry    // as it was
	Root  uint64   // the entry that took it along; 0: none did
	With  []uint64 // the entries it took along, each after the one it is below
	List  string   // where one that moved is now, as that list was called then, and its id there
	ID    uint64
	Num   uint64 // the internal number of that list
}

// StageTrash is a row of a trash that a command changed.
type StageTrash struct {
	Num     uint64  // the internal number of its list
	Now     Trashed // as it is now; when Gone, as it was
	Old     Trashed // as it was before the command
	Existed bool    // there was a row before the command
	Gone    bool    // there is none now
	Purged  bool    // nor is there an entry: it is gone for good
}

// discard puts an entry and all that is below it into the trash.
func (s *Stage) discard(list List, e Entry, now int64, rev uint64) Code {
	found, _, code := s.below(list.Num, e.ID)
	if code != OK || s.tooMany(len(found)) {
		return TooMany
	}
	root := Trashed{Kind: Deleted, Rev: rev, At: now, Entry: e}
	for i := range found {
		root.With = append(root.With, found[i].ID)
	}
	s.toTrash(&list, root)
	for i := range found {
		s.toTrash(&list, Trashed{Kind: Deleted, Rev: rev, At: now, Entry: found[i], Root: e.ID})
		s.also = append(s.also, Item{Kind: Delete, List: list.Name, Entry: found[i], Changed: true})
	}
	s.setList(list)
	return OK
}

// tooMany reports whether to take so many along would make more of a command than a batch may be.
func (s *Stage) tooMany(along int) bool { return along > 0 && len(s.Entries)+1+along > MaxBatch }

func (s *Stage) toTrash(list *List, t Trashed) {
	s.remove(list, t.Entry)
	s.setTrash(list.Num, t.Entry.ID, t)
}

// missing is the outcome of an operation on an entry that is not in the list.
func (s *Stage) missing(op *Op, num uint64) (Item, Code) {
	t, ok := s.trashed(num, op.ID)
	if s.rules < Rules2 || !ok || t.Kind != MovedAway {
		return Item{}, NoEntry
	}
	return t.Follow(op.Kind, places{s}), Moved
}

// Places are where an entry may be.
type Places interface {
	List(name string) List
	Entry(num, id uint64) (Entry, bool)
	Trashed(num, id uint64) (Trashed, bool)
	Called(num uint64) string
}

// maxFollow bounds how often an entry that moved is looked for elsewhere. Who asks where it is at the last of these places
// is told the next ones.
const maxFollow = 16

// Follow returns where an entry is that moved away, by the name that the list has now, as an item of a kind. If it is no
// longer there, the entry is as it was.
func (t *Trashed) Follow(kind Kind, in Places) Item {
	at := *t
	for range maxFollow {
		if name := in.Called(at.Num); name != "" {
			at.List = name
		}
		if in.List(at.List).Num != at.Num { // the list was deleted
			break
		}
		if e, ok := in.Entry(at.Num, at.ID); ok {
			return Item{Kind: kind, List: at.List, Entry: e}
		}
		next, ok := in.Trashed(at.Num, at.ID)
		if !ok || next.Kind != MovedAway {
			break
		}
		at = next
	}
	item := Item{Kind: kind, List: at.List, Entry: at.Entry}
	item.Entry.ID = at.ID
	return item
}

// places are those that a stage knows of.
type places struct{ s *Stage }

func (p places) List(name string) List                  { return p.s.list(name) }
func (p places) Entry(num, id uint64) (Entry, bool)     { return p.s.entry(num, id) }
func (p places) Trashed(num, id uint64) (Trashed, bool) { return p.s.trashed(num, id) }
func (p places) Called(num uint64) string               { return p.s.called(num) }

// inTrash is what an operation on the trash begins with.
func (s *Stage) inTrash(op *Op) (list List, t Trashed, is Item, code Code) {
	if list = s.list(op.List); list.Num == 0 {
		return list, t, is, NoList
	}
	t, ok := s.trashed(list.Num, op.ID)
	if !ok || t.Kind != Deleted {
		return list, t, is, NotInTrash
	}
	is = Item{Kind: op.Kind, List: op.List, Entry: t.Entry}
	if !s.holds(op.If, true, t.Entry.Rev) {
		return list, t, is, Precondition
	}
	return list, t, is, OK
}

// restore takes an entry back with its id, and with it what it took along into the trash and what is still there.
func (s *Stage) restore(op *Op, now int64, rev uint64) (Item, Code) {
	list, t, is, code := s.inTrash(op)
	if code != OK {
		return is, code
	}
	with := s.wentWith(list.Num, &t)
	if s.tooMany(len(with)) {
		return is, TooMany
	}
	if list.Entries+uint64(1+len(with)) > MaxEntries {
		return is, ListFull
	}
	list.Rev = rev
	for _, id := range append([]uint64{op.ID}, with...) {
		t, _ := s.trashed(list.Num, id)
		item := Item{Kind: Restore, List: op.List, Entry: back(&t, now, rev), Changed: true}
		if item, code = s.settle(list.Num, item); code != OK {
			return item, code
		}
		s.takeBack(&list, t, item.Entry)
		s.also = append(s.also, item)
	}
	s.setList(list)
	is, s.also = s.also[0], s.also[1:]
	return is, OK
}

// back is an entry as it comes out of the trash.
func back(t *Trashed, now int64, rev uint64) Entry {
	e := t.Entry
	e.Rev, e.Updated = rev, now
	return e
}

// wentWith returns what an entry took along into the trash and what is still there since.
func (s *Stage) wentWith(num uint64, t *Trashed) (ids []uint64) {
	for _, id := range t.With {
		if along, ok := s.trashed(num, id); ok && along.Root == t.Entry.ID && along.Rev == t.Rev {
			ids = append(ids, id)
		}
	}
	return ids
}

// takeBack moves an entry out of the trash into its list.
func (s *Stage) takeBack(list *List, t Trashed, e Entry) {
	s.dropTrash(list.Num, t, false)
	list.Entries++
	if !e.Done {
		list.Open++
	}
	s.setEntry(list.Num, e, t.Entry, false)
	s.Entries[s.entryAt[entryKey{list.Num, e.ID}]].Back = true
}

// settle says where an entry that comes back fits: at the top level if its parent does not take it any
// longer. It returns the item of the entry, or what stands in its way.
func (s *Stage) settle(num uint64, item Item) (Item, Code) {
	e := &item.Entry
	code := s.fits(num, e, nil)
	if code == NoParent || code == Cycle || code == TooDeep {
		m := *e.More
		m.Parent = 0
		e.More = m.Tidy()
		code = s.fits(num, e, nil)
	}
	if code == UIDTaken {
		item.Entry, _ = s.entry(num, s.uid(num, e.More.UID, e.ID))
	}
	return item, code
}

// purge takes an entry out of the trash for good, and what it took along. The list does not change by it.
func (s *Stage) purge(op *Op) (Item, Code) {
	list, t, is, code := s.inTrash(op)
	if code != OK {
		return is, code
	}
	with := s.wentWith(list.Num, &t)
	s.dropTrash(list.Num, t, true)
	for _, id := range with {
		child, _ := s.trashed(list.Num, id)
		s.dropTrash(list.Num, child, true)
		s.also = append(s.also, Item{Kind: Purge, List: op.List, Entry: child.Entry, Changed: true})
	}
	is.Changed = true
	return is, OK
}

func (s *Stage) trashed(num, id uint64) (Trashed, bool) {
	if i, ok := s.trashAt[entryKey{num, id}]; ok {
		return s.Trash[i].Now, !s.Trash[i].Gone
	}
	return s.view.Trashed(num, id)
}

// setTrash stages a row of a trash.
func (s *Stage) setTrash(num, id uint64, t Trashed) *StageTrash {
	key := entryKey{num, id}
	i, ok := s.trashAt[key]
	if !ok {
		i = len(s.Trash)
		s.trashAt[key] = i
		old, existed := s.view.Trashed(num, id)
		s.Trash = append(s.Trash, StageTrash{Num: num, Old: old, Existed: existed})
	}
	row := &s.Trash[i]
	row.Now, row.Gone, row.Purged = t, false, false
	return row
}

// dropTrash stages that a row of a trash is gone.
func (s *Stage) dropTrash(num uint64, t Trashed, forGood bool) {
	row := s.setTrash(num, t.Entry.ID, t)
	row.Gone, row.Purged = true, forGood
}
