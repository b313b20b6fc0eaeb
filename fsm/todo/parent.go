package todo

import "slices"

// under reports whether an entry may be below another one. An entry that was there before may have entries below it.
func (s *Stage) under(num uint64, e *Entry, parent uint64, existed bool) Code {
	depth := 1 // of e
	for id := parent; id != 0; depth++ {
		if id == e.ID {
			return Cycle
		}
		if depth == MaxDepth {
			return TooDeep
		}
		above, ok := s.entry(num, id)
		if !ok && id == parent {
			return NoParent
		}
		id = above.More.Get().Parent
	}
	if !existed {
		return OK
	}
	_, height, code := s.below(num, e.ID)
	if code == OK && depth+height > MaxDepth {
		return TooDeep
	}
	return code
}

// below returns the entries below one, those of a level before those of the next, and how many levels there are.
// More than MaxBatch with the entry itself are refused with TooMany.
func (s *Stage) below(num, id uint64) (found []Entry, height int, code Code) {
	for level := []uint64{id}; height < MaxDepth; height++ {
		var next []uint64
		for _, parent := range level {
			next = append(next, s.children(num, parent, MaxBatch-len(found)-len(next))...)
			if len(found)+len(next) >= MaxBatch {
				return nil, 0, TooMany
			}
		}
		if len(next) == 0 {
			break
		}
		for _, id := range next {
			e, _ := s.entry(num, id)
			found = append(found, e)
		}
		level = next
	}
	return found, height, OK
}

// children returns the entries below one as the command has left them, at most most.
func (s *Stage) children(num, parent uint64, most int) (ids []uint64) {
	touched := 0 // a row in the view for each of these may be of the past
	for i := range s.Entries {
		e := &s.Entries[i]
		if e.Num != num {
			continue
		}
		if e.Existed && e.Old.More.Get().Parent == parent {
			touched++
		}
		if !e.Gone && e.Entry.More.Get().Parent == parent {
			ids = append(ids, e.Entry.ID)
		}
	}
	for _, id := range s.view.Children(num, parent, most+touched) {
		if _, ok := s.entryAt[entryKey{num, id}]; !ok {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids[:min(len(ids), most)]
}
