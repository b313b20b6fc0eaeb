package todo

// Stage runs commands on a View and gathers what they change, so that a refusal, of
// a batch's last operation too, leaves nothing behind. It is used by one goroutine.
//
// The order of Lists, Entries, Trash, Unlinked and Renamed is the order of the operations: it is the
// same on every node.
type Stage struct {
	view    View
	rules   Rules
	nextNum uint64

	Lists    []List       // lists and names that changed, as they are now
	Entries  []StageEntry // entries that changed, as they are now
	Trash    []StageTrash // what changed in the trash, as it is now
	Unlinked []uint64     // internal numbers of lists that were deleted
	Renamed  []Renaming   // lists that got another name, in order

	also    []Item // what the operation at hand takes along
	listAt  map[string]int
	entryAt map[entryKey]int
	trashAt map[entryKey]int
	uidAt   map[uidKey]uint64 // which entry took a uid last
}

// StageEntry is an entry that a command changed.
type StageEntry struct {
	Num     uint64 // the internal number of its list
	Entry   Entry  // as it is now; when Gone, as it was
	Old     Entry  // as it was before the command
	Existed bool   // there was an entry before the command
	Gone    bool   // there is none now
	Back    bool   // it came out of the trash: Old is what was there
}

// Renaming is that a list got another name.
type Renaming struct {
	Num      uint64 // the internal number of the list
	From, To string
}

type entryKey struct{ num, id uint64 }

type uidKey struct {
	num uint64
	uid string
}

// NewStage returns a stage over view.
func NewStage(view View) *Stage {
	return &Stage{view: view, listAt: map[string]int{}, entryAt: map[entryKey]int{}, trashAt: map[entryKey]int{},
		uidAt: map[uidKey]uint64{}}
}

// NextNum is the internal number that the next new list will take.
func (s *Stage) NextNum() uint64 { return s.nextNum }

// Do runs one command at a time (Unix ms) and with the rev it takes if it changes
// something. It starts from the view anew: what the stage held before is dropped.
// When the outcome's code is not OK, or nothing changed, the stage must not be stored.
func (s *Stage) Do(cmd Command, now int64, rev uint64) Outcome {
	s.Lists, s.Entries, s.Trash, s.Unlinked, s.Renamed, s.also = s.Lists[:0], s.Entries[:0], s.Trash[:0], s.Unlinked[:0], s.Renamed[:0], s.also[:0]
	clear(s.listAt)
	clear(s.entryAt)
	clear(s.trashAt)
	clear(s.uidAt)
	s.nextNum, s.rules = s.view.NextNum(), cmd.Rules
	items, told := make([]Item, 0, len(cmd.Ops)), []Item(nil)
	for i := range cmd.Ops {
		op := &cmd.Ops[i]
		if op.IDOf|op.ParentOf != 0 {
			resolved := resolve(*op, items)
			op = &resolved
		}
		item, code := s.op(op, now, rev)
		if code != OK {
			return s.refused(code, i, item)
		}
		if told == nil && len(s.also) > 0 {
			told = append(make([]Item, 0, len(items)+1+len(s.also)), items...)
		}
		if items = append(items, item); told != nil {
			told = append(append(told, item), s.also...)
			s.also = s.also[:0]
		}
	}
	return Outcome{Items: items, Told: told}
}

// refused is the outcome of a command whose operation at was refused; item is what stood in its way, of kind
// 0 for nothing.
func (s *Stage) refused(code Code, at int, item Item) Outcome {
	if s.rules < Rules2 || item.Kind == 0 {
		return Outcome{Code: code, At: at}
	}
	item.Changed = false
	return Outcome{Code: code, At: at, Items: []Item{item}}
}

func (s *Stage) op(op *Op, now int64, rev uint64) (Item, Code) {
	switch op.Kind {
	case Add:
		return s.add(op, now, rev)
	case DeleteList:
		return s.deleteList(op, rev)
	case PatchList:
		return s.patchList(op, rev)
	case Restore:
		return s.restore(op, now, rev)
	case Purge:
		return s.purge(op)
	case Undo:
		return s.undo(op, now, rev)
	}
	list := s.list(op.List)
	if list.Num == 0 {
		return Item{}, NoList
	}
	old, ok := s.entry(list.Num, op.ID)
	if !ok {
		return s.missing(op, list.Num)
	}
	is := Item{Kind: op.Kind, List: op.List, Entry: old}
	if !s.holds(op.If, true, old.Rev) {
		return is, Precondition
	}
	if !s.current(op, list.Num, &old) {
		return is, Outdated
	}
	switch op.Kind {
	case Delete:
		is.Changed = true
		return is, s.delete(list, old, now, rev)
	case Move, Copy:
		return s.move(op, list, old, now, rev)
	case Arrange:
		return s.arrange(op, list, old, now, rev)
	}
	return s.change(op, list, old, now, rev)
}

// add appends an entry; a list that does not exist begins with it. Its cost does not
// depend on the size of the list.
func (s *Stage) add(op *Op, now int64, rev uint64) (Item, Code) {
	list := s.list(op.List)
	if !s.holds(op.If, list.Num != 0, list.Rev) {
		return Item{}, Precondition
	}
	if list.Entries >= MaxEntries {
		return Item{}, ListFull
	}
	if list.Num == 0 {
		list.Num, list.More = s.nextNum, nil
		s.nextNum++
	}
	list.LastID++
	list.Entries++
	if !op.Fields.Done {
		list.Open++
	}
	list.Rev = rev
	e := Added(Entry{ID: list.LastID, Done: op.Fields.Done, Rev: rev, Created: now, Updated: now}, &op.Fields, s.rules)
	if s.rules >= Rules2 {
		if code := s.fits(list.Num, &e, nil); code != OK {
			return Item{}, code
		}
	}
	s.setList(list)
	s.setEntry(list.Num, e, Entry{}, false)
	return Item{Kind: Add, List: op.List, Entry: e, Changed: true}, OK
}

// Added is what an Add of fields makes of an entry that has all but what can be told from them.
func Added(e Entry, f *Fields, rules Rules) Entry {
	e.Title, e.Date, e.More = f.Title, f.Date, f.More
	if rules >= Rules2 && e.Done {
		e.More = e.More.at(e.Created)
	}
	return e
}

// change is Put and Patch: an entry that ends as it was takes no rev.
func (s *Stage) change(op *Op, list List, old Entry, now int64, rev uint64) (Item, Code) {
	e, is := s.changed(op, &old, now), Item{Kind: op.Kind, List: op.List, Entry: old}
	if s.rules >= Rules2 && e.Done && !old.Done && e.More.Get().Repeat != "" {
		if op.Next == nil { // it did not repeat when the command was made
			return is, Outdated
		}
		e = e.again(op.Next)
	}
	if e.Same(&old) {
		return is, OK
	}
	if s.rules >= Rules2 {
		if code := s.fits(list.Num, &e, &old); code != OK {
			return is, code
		}
	}
	e.Rev, e.Updated = rev, now
	list.recount(&old, &e)
	list.Rev = rev
	s.setList(list)
	s.setEntry(list.Num, e, old, true)
	is.Entry, is.Changed = e, true
	return is, OK
}

// changed is an entry with the fields of a Put or a Patch.
func (s *Stage) changed(op *Op, old *Entry, now int64) Entry {
	f := op.Fields
	if op.Kind == Put {
		if f.Set = firstFields; s.rules >= Rules2 {
			f.Set = fieldsEnd - 1
		}
	}
	e := old.With(&f)
	if s.rules >= Rules2 && e.Done != old.Done {
		completed := int64(0)
		if e.Done {
			completed = now
		}
		e.More = e.More.at(completed)
	}
	if s.rules >= Rules2 && !e.Done && e.More.Get().Repeat == "" { // what is open was never done, unless it repeats
		e.More = e.More.at(0)
	}
	return e
}

// fits reports whether an entry may be in its list as it is; old is nil for a new one.
func (s *Stage) fits(num uint64, e, old *Entry) Code {
	if _, ok := Consistent(e); !ok {
		return Unfit
	}
	if uid := e.More.Get().UID; uid != "" && (old == nil || old.More.Get().UID != uid) {
		if s.uid(num, uid, e.ID) != 0 {
			return UIDTaken
		}
	}
	if parent := e.More.Get().Parent; parent != 0 && (old == nil || old.More.Get().Parent != parent) {
		return s.under(num, e, parent, old != nil)
	}
	return OK
}

// uid returns the entry of a list that has a uid, another one than except; 0 if none has.
func (s *Stage) uid(num uint64, uid string, except uint64) uint64 {
	for _, id := range []uint64{s.uidAt[uidKey{num, uid}], s.view.UID(num, uid)} {
		if id == 0 || id == except {
			continue
		}
		// The command may have taken it away again.
		if i, ok := s.entryAt[entryKey{num, id}]; !ok || !s.Entries[i].Gone && s.Entries[i].Entry.More.Get().UID == uid {
			return id
		}
	}
	return 0
}

// delete is for good in version 1 of the commands; since then it puts an entry into the trash.
func (s *Stage) delete(list List, old Entry, now int64, rev uint64) Code {
	list.Rev = rev
	if s.rules >= Rules2 {
		return s.discard(list, old, now, rev)
	}
	s.remove(&list, old)
	s.setList(list)
	return OK
}

func (s *Stage) remove(list *List, old Entry) {
	list.Entries--
	if !old.Done {
		list.Open--
	}
	s.setEntry(list.Num, old, old, true)
	s.Entries[s.entryAt[entryKey{list.Num, old.ID}]].Gone = true
}

// deleteList unlinks a list in constant time: its rows stay behind under a number that
// no name maps to, and are taken away by later commands. The name keeps its last id.
func (s *Stage) deleteList(op *Op, rev uint64) (Item, Code) {
	list := s.list(op.List)
	if list.Num == 0 {
		return Item{}, NoList
	}
	if !s.holds(op.If, true, list.Rev) {
		return Item{}, Precondition
	}
	s.Unlinked = append(s.Unlinked, list.Num)
	s.setList(List{Name: list.Name, LastID: list.LastID})
	return Item{Kind: DeleteList, List: op.List, Entry: Entry{Rev: rev}, Changed: true}, OK
}

// holds evaluates a condition against what exists and its rev.
func (s *Stage) holds(c Condition, exists bool, rev uint64) bool {
	at := Tag{s.view.Epoch(), rev}
	if len(c.Match) > 0 && !(exists && Matches(c.Match, at)) {
		return false
	}
	return !(len(c.NoneMatch) > 0 && exists && Matches(c.NoneMatch, at))
}

// Matches reports whether one of tags is at, or AnyTag.
func Matches(tags []Tag, at Tag) bool {
	for _, t := range tags {
		if t == AnyTag || t == at {
			return true
		}
	}
	return false
}

func (s *Stage) list(name string) List {
	if i, ok := s.listAt[name]; ok {
		return s.Lists[i]
	}
	return s.view.List(name)
}

func (s *Stage) setList(l List) {
	if i, ok := s.listAt[l.Name]; ok {
		s.Lists[i] = l
		return
	}
	s.listAt[l.Name] = len(s.Lists)
	s.Lists = append(s.Lists, l)
}

func (s *Stage) entry(num, id uint64) (Entry, bool) {
	if i, ok := s.entryAt[entryKey{num, id}]; ok {
		return s.Entries[i].Entry, !s.Entries[i].Gone
	}
	return s.view.Entry(num, id)
}

// setEntry stages e; old is what the stage saw of it last.
func (s *Stage) setEntry(num uint64, e, old Entry, existed bool) {
	key := entryKey{num, e.ID}
	if uid := e.More.Get().UID; uid != "" {
		s.uidAt[uidKey{num, uid}] = e.ID
	}
	if i, ok := s.entryAt[key]; ok {
		s.Entries[i].Entry, s.Entries[i].Gone = e, false // its Old stays what it was before the command
		return
	}
	s.entryAt[key] = len(s.Entries)
	s.Entries = append(s.Entries, StageEntry{Num: num, Entry: e, Old: old, Existed: existed})
}
