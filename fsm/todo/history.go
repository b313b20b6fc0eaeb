package todo

import (
	"cmp"
	"slices"
)

// Trace is what a command did to an entry that was there before, in the list or in its trash.
type Trace struct {
	Rev      uint64 // of the command
	At       int64  // when, Unix ms
	Who      string // who asked; "" until there are accounts
	Kind     Kind   // Patch (a Put too), Delete or Restore
	From, To Fields // what changed: what did not is zero in both. Their Set is of no meaning
}

// Trace returns what the command of a rev did to an entry; not ok for one that it added, or moved out of the
// way of another only.
func (e *StageEntry) Trace(rev uint64) (t Trace, ok bool) {
	switch {
	case e.Existed && e.Gone:
		t.Kind = Delete
	case e.Existed && e.Entry.Rev == rev:
		t.Kind = Patch
	case e.Back && !e.Gone:
		t.Kind = Restore
	default:
		return t, false
	}
	t.Rev = rev
	t.From, t.To = differ(&e.Old, &e.Entry)
	return t, true
}

// differ returns the fields in which two states of an entry differ.
func differ(old, now *Entry) (from, to Fields) {
	if old.Title != now.Title {
		from.Title, to.Title = old.Title, now.Title
	}
	if old.Date != now.Date {
		from.Date, to.Date = old.Date, now.Date
	}
	from.Done, to.Done = old.Done && !now.Done, now.Done && !old.Done
	if old.More == now.More {
		return from, to
	}
	a, b := old.More.Get(), now.More.Get()
	set := a.differs(b)
	f, t := *none.set(set, a).Get(), *none.set(set, b).Get()
	if a.Completed != b.Completed {
		f.Completed, t.Completed = a.Completed, b.Completed
	}
	if a.Place != b.Place {
		f.Place, t.Place = a.Place, b.Place
	}
	from.More, to.More = f.Tidy(), t.Tidy()
	return from, to
}

// differs returns the settable fields in which two differ.
func (m *More) differs(o *More) (set FieldSet) {
	for field, differ := range map[FieldSet]bool{
		FieldNotes: m.Notes != o.Notes, FieldTime: m.Time != o.Time, FieldTZ: m.TZ != o.TZ, FieldPriority: m.Priority != o.Priority,
		FieldTags: !slices.Equal(m.Tags, o.Tags), FieldParent: m.Parent != o.Parent, FieldRepeat: m.Repeat != o.Repeat,
		FieldRepeatFrom: m.RepeatFrom != o.RepeatFrom, FieldRemind: !slices.Equal(m.Remind, o.Remind), FieldUID: m.UID != o.UID, FieldX: m.X != o.X,
	} {
		if differ {
			set |= field
		}
	}
	return set
}

// Changed returns the settable fields that a trace changed.
func (t *Trace) Changed() (set FieldSet) {
	if t.From.Title != t.To.Title {
		set |= FieldTitle
	}
	if t.From.Date != t.To.Date {
		set |= FieldDate
	}
	if t.From.Done != t.To.Done {
		set |= FieldDone
	}
	return set | t.From.More.Get().differs(t.To.More.Get())
}

// undone is an entry with the values that it had before what a trace tells of.
func (t *Trace) undone(e Entry) Entry {
	set := t.Changed()
	if set&FieldTitle != 0 {
		e.Title = t.From.Title
	}
	if set&FieldDate != 0 {
		e.Date = t.From.Date
	}
	if set&FieldDone != 0 {
		e.Done = t.From.Done
	}
	from, to := t.From.More.Get(), t.To.More.Get()
	m := *e.More.set(set, from).Get()
	if from.Completed != to.Completed {
		m.Completed = from.Completed
	}
	if from.Place != to.Place {
		m.Place = from.Place
	}
	e.More = m.Tidy()
	return e
}

// net is what a rev came to for one entry, whatever the rev did to it in between.
type net struct {
	list    string
	id      uint64
	was, is bool  // whether it was in the list before, and after
	origin  Ref   // where the rev moved it here from
	trace   Trace // where it was
	trashed Trashed
}

// nets returns what a rev came to, in the order in which it met the entries.
func nets(items []Item) (all []net, code Code) {
	at := map[Ref]int{}
	met := func(entry Ref, was, is bool) *net {
		n, ok := at[entry]
		if !ok {
			n = len(all)
			at[entry] = n
			all = append(all, net{list: entry.List, id: entry.ID, was: was})
		}
		all[n].is = is
		return &all[n]
	}
	for i := range items {
		item := &items[i]
		switch entry := (Ref{item.List, item.Entry.ID}); item.Kind {
		case Add, Copy, Restore:
			met(entry, false, true)
		case Put, Patch, Arrange:
			met(entry, true, true)
		case Delete:
			met(entry, true, false)
		case Move:
			met(item.Origin, true, false)
			met(entry, false, true).origin = item.Origin
		case Purge:
			return nil, Forgotten
		case PatchList: // undoLists sees to it
		default:
			return nil, Final
		}
	}
	return all, OK
}

// undo does the reverse of all that a rev did, or nothing. What it does is a change as others are.
func (s *Stage) undo(op *Op, now int64, rev uint64) (Item, Code) {
	if op.Rev >= rev {
		return Item{}, NoRev
	}
	items, ok := s.view.Change(op.Rev)
	if !ok {
		return Item{}, Forgotten
	}
	for i := range items {
		if items[i].Left().List != "" && items[i].Kind == PatchList {
			return Item{}, Renames
		}
		items[i].List, items[i].Origin.List = s.lately(items[i].List), s.lately(items[i].Origin.List)
	}
	all, code := nets(items)
	if code != OK {
		return Item{}, code
	}
	for i := range all {
		if item, code := s.undoable(&all[i], op.Rev); code != OK {
			return item, code
		}
	}
	if code := s.undoLists(items, rev); code != OK {
		return Item{}, code
	}
	if item, code := s.takeAllBack(all, now, rev); code != OK {
		return item, code
	}
	for i := len(all) - 1; i >= 0; i-- {
		s.undoFields(&all[i], now, rev)
	}
	for i := len(all) - 1; i >= 0; i-- {
		s.undoAdd(&all[i], now, rev)
	}
	if item, code := s.noneBelow(all); code != OK {
		return item, code
	}
	if item, code := s.allFit(); code != OK {
		return item, code
	}
	if len(s.also) == 0 {
		return Item{Kind: Undo}, OK // it had left everything as it was
	}
	first := s.also[0]
	s.also = s.also[1:]
	return first, OK
}

// lately is what a list is called now that had a name some revs ago.
func (s *Stage) lately(name string) string {
	l := s.list(name)
	if was := l.More.Get().Was; l.Num == 0 && was != 0 {
		return cmp.Or(s.called(was), name)
	}
	return name
}

// undoLists undoes what a rev did to lists themselves, the last of it first.
func (s *Stage) undoLists(items []Item, rev uint64) Code {
	for i := len(items) - 1; i >= 0; i-- {
		if c := items[i].ListChange; c != nil {
			if code := s.undoList(c, items[i].List, rev); code != OK {
				return code
			}
		}
	}
	return OK
}

// undoable reports whether an entry is as a rev left it, and what is needed to undo that is kept.
func (s *Stage) undoable(n *net, rev uint64) (Item, Code) {
	num := s.list(n.list).Num
	e, live := s.entry(num, n.id)
	is := Item{}
	if live {
		is = Item{Kind: Undo, List: n.list, Entry: e}
	}
	if n.is && (!live || e.Rev != rev) || !n.is && live {
		return is, Overtaken
	}
	if n.was {
		trace, ok := s.view.Trace(num, n.id)
		if !ok || trace.Rev != rev {
			return is, Forgotten
		}
		n.trace = trace
	}
	if n.is || !n.was {
		return is, OK
	}
	t, ok := s.trashed(num, n.id)
	if !ok || t.Rev != rev {
		return is, Forgotten
	}
	n.trashed = t
	return is, OK
}

// takeAllBack restores what the rev deleted, as it was before the rev.
func (s *Stage) takeAllBack(all []net, now int64, rev uint64) (Item, Code) {
	for i := range all {
		n := &all[i]
		if !n.was || n.is {
			continue
		}
		list := s.list(n.list)
		if list.Entries >= MaxEntries {
			return Item{}, ListFull
		}
		list.Rev = rev
		s.takeBack(&list, n.trashed, n.trace.undone(back(&n.trashed, now, rev)))
		s.setList(list)
		s.also = append(s.also, Item{Kind: Restore, List: n.list, Entry: Entry{ID: n.id}, Changed: true})
	}
	return Item{}, OK
}

// undoFields gives an entry its old values.
func (s *Stage) undoFields(n *net, now int64, rev uint64) {
	if !n.was || !n.is {
		return
	}
	list := s.list(n.list)
	old, _ := s.entry(list.Num, n.id)
	e := n.trace.undone(old)
	if e.Same(&old) {
		return
	}
	e.Rev, e.Updated = rev, now
	list.Rev = rev
	list.recount(&old, &e)
	s.setList(list)
	s.setEntry(list.Num, e, old, true)
	s.also = append(s.also, Item{Kind: Patch, List: n.list, Entry: e, Changed: true})
}

// undoAdd puts what the rev added or restored into the trash.
func (s *Stage) undoAdd(n *net, now int64, rev uint64) {
	if n.was || !n.is {
		return
	}
	list := s.list(n.list)
	e, _ := s.entry(list.Num, n.id)
	list.Rev = rev
	t := Trashed{Kind: Deleted, Rev: rev, At: now, Entry: e}
	if n.origin != (Ref{}) {
		t.Kind, t.List, t.ID, t.Num = MovedAway, n.origin.List, n.origin.ID, s.list(n.origin.List).Num
	}
	s.toTrash(&list, t)
	s.setList(list)
	s.also = append(s.also, Item{Kind: Delete, List: n.list, Entry: e, Changed: true})
}

// noneBelow refuses to take away what others were put below since: they would go with it.
func (s *Stage) noneBelow(all []net) (Item, Code) {
	for i := range all {
		n := &all[i]
		num := s.list(n.list).Num
		if !n.was && n.is && len(s.children(num, n.id, 1)) > 0 {
			t, _ := s.trashed(num, n.id)
			return Item{Kind: Undo, List: n.list, Entry: t.Entry}, Overtaken
		}
	}
	return Item{}, OK
}

// allFit settles what came back, and looks whether all that was changed may be as it is now.
func (s *Stage) allFit() (Item, Code) {
	for i := range s.also {
		item := &s.also[i]
		if item.Kind == Delete || item.Kind == PatchList {
			continue
		}
		list := s.list(item.List)
		item.Entry, _ = s.entry(list.Num, item.Entry.ID)
		fits, code := s.settleOrKeep(list.Num, *item)
		if code != OK {
			return fits, code
		}
		*item = fits
		s.setEntry(list.Num, item.Entry, Entry{}, true) // which is staged: what it was is known
	}
	return Item{}, OK
}

// settleOrKeep is settle for what came back; what was there all the time is not put elsewhere.
func (s *Stage) settleOrKeep(num uint64, item Item) (Item, Code) {
	if item.Kind == Restore {
		return s.settle(num, item)
	}
	return item, s.fits(num, &item.Entry, &Entry{}) // as if its uid and its parent were new to it
}

// recount is the count of a list's open entries after one of them changed.
func (l *List) recount(old, now *Entry) {
	switch {
	case now.Done && !old.Done:
		l.Open--
	case !now.Done && old.Done:
		l.Open++
	}
}
