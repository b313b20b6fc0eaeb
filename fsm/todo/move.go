package todo

// Ref names an entry.
type Ref struct {
	List string
	ID   uint64
}

// move puts an entry with all below it into another list, under new ids there; Copy leaves the old ones.
func (s *Stage) move(op *Op, from List, old Entry, now int64, rev uint64) (Item, Code) {
	is := Item{Kind: op.Kind, List: op.List, Entry: old, Origin: Ref{op.List, old.ID}}
	if op.Kind == Move && op.To == op.List {
		return is, OK
	}
	found, _, code := s.below(from.Num, old.ID)
	if code != OK {
		return is, code
	}
	to := s.list(op.To)
	if to.Entries+uint64(len(found))+1 > MaxEntries {
		return is, ListFull
	}
	if to.Num == 0 {
		to.Num, to.More = s.nextNum, nil
		s.nextNum++
	}
	ids := map[uint64]uint64{} // the parent of the entry itself stays behind, and is none of these
	for i, e := range append([]Entry{old}, found...) {
		to.LastID++
		ids[e.ID] = to.LastID
		moved := e
		moved.ID, moved.Rev, moved.Updated, moved.More = to.LastID, rev, now, e.More.moved(op.Kind, ids)
		if op.Kind == Copy {
			moved.Created = now
		}
		if uid := moved.More.Get().UID; uid != "" && s.uid(to.Num, uid, 0) != 0 {
			return is, UIDTaken
		}
		to.Entries++
		if !moved.Done {
			to.Open++
		}
		item := Item{Kind: op.Kind, List: op.To, Entry: moved, Changed: true, Origin: Ref{op.List, e.ID}}
		if i == 0 {
			is = item
		} else {
			s.also = append(s.also, item)
		}
		s.setEntry(to.Num, moved, Entry{}, false)
	}
	to.Rev = rev
	s.setList(to)
	if op.Kind == Move {
		from = s.list(op.List)
		for _, e := range append([]Entry{old}, found...) {
			s.remove(&from, e)
			s.setTrash(from.Num, e.ID, Trashed{Kind: MovedAway, Rev: rev, At: now, Entry: e, List: op.To, ID: ids[e.ID], Num: to.Num})
		}
		from.Rev = rev
		s.setList(from)
	}
	return is, OK
}

// moved is what an entry keeps: neither its place nor, as a copy, what names it alone.
func (m *More) moved(kind Kind, ids map[uint64]uint64) *More {
	if m == nil {
		return nil
	}
	c := *m
	c.Place, c.Parent = Place{}, ids[m.Parent]
	if kind == Copy {
		c.UID = ""
	}
	return c.Tidy()
}
