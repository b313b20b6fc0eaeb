package todo

import "strings"

// ListMore is what few lists have beside their counts. It is never changed, only replaced.
type ListMore struct {
	Title    string // shown instead of the name; "" for none
	Colour   string // #rrggbb; "" for none
	Archived bool   // kept, and out of the way: only clients care
	Sort     string // what clients sort it by if nobody says otherwise, as package filter has it; "" for none
	Was      uint64 // of a name without a list: the number of the list that had it and has another name now; 0 for none
}

// Get returns what is set, all zero for nil.
func (m *ListMore) Get() ListMore {
	if m == nil {
		return ListMore{}
	}
	return *m
}

// kept returns what is stored: nil if nothing is set.
func (m ListMore) kept() *ListMore {
	if m == (ListMore{}) {
		return nil
	}
	return &m
}

// ListSet names fields of a list.
type ListSet uint8

// The settable fields of a list.
const (
	ListTitle ListSet = 1 << iota
	ListColour
	ListArchived
	ListSort

	listSetEnd
)

// ListFields are the settable fields of a list, and which of them a PatchList sets.
type ListFields struct {
	Set ListSet
	ListMore
}

// ListChange is what a PatchList changed of a list beside its name.
type ListChange struct {
	Num      uint64 // the internal number of the list
	From, To ListMore
}

// patchList changes a list's own fields, and its name: ids, and whatever else hangs on its number, stay.
func (s *Stage) patchList(op *Op, rev uint64) (Item, Code) {
	list := s.list(op.List)
	if list.Num == 0 {
		return Item{}, NoList
	}
	if !s.holds(op.If, true, list.Rev) {
		return Item{}, Precondition
	}
	is := Item{Kind: PatchList, List: op.List, Entry: Entry{Rev: list.Rev}, Origin: Ref{List: op.List}}
	was := list.More.Get()
	more := op.ListFields.set(was)
	renamed := op.To != "" && op.To != op.List
	if more == was && !renamed {
		return is, OK
	}
	if renamed {
		to := s.list(op.To)
		if to.Num != 0 || to.LastID != 0 && to.More.Get().Was != list.Num {
			return is, NameTaken
		}
		s.setList(List{Name: list.Name, LastID: list.LastID, More: &ListMore{Was: list.Num}})
		s.Renamed = append(s.Renamed, Renaming{Num: list.Num, From: op.List, To: op.To})
		list.Name, list.LastID = op.To, max(list.LastID, to.LastID)
	}
	list.More, list.Rev = more.kept(), rev
	s.setList(list)
	is.List, is.Entry.Rev, is.Changed = list.Name, rev, true
	is.ListChange = &ListChange{Num: list.Num, From: was, To: more}
	return is, OK
}

// differs returns the fields in which two differ.
func (m ListMore) differs(o ListMore) (set ListSet) {
	for field, differ := range map[ListSet]bool{ListTitle: m.Title != o.Title, ListColour: m.Colour != o.Colour, ListArchived: m.Archived != o.Archived, ListSort: m.Sort != o.Sort} {
		if differ {
			set |= field
		}
	}
	return set
}

// undoList gives a list the values back that it had before a change, unless they were changed again since.
func (s *Stage) undoList(c *ListChange, name string, rev uint64) Code {
	list := s.list(name)
	more, set := list.More.Get(), c.From.differs(c.To)
	if list.Num != c.Num || more.differs(c.To)&set != 0 {
		return Overtaken
	}
	was := more
	more = (&ListFields{Set: set, ListMore: c.From}).set(more)
	if more == was {
		return OK
	}
	list.More, list.Rev = more.kept(), rev
	s.setList(list)
	s.also = append(s.also, Item{Kind: PatchList, List: name, Entry: Entry{Rev: rev}, Origin: Ref{List: name}, Changed: true,
		ListChange: &ListChange{Num: list.Num, From: was, To: more}})
	return OK
}

// called returns what a list is called now; "" if it never got another name.
func (s *Stage) called(num uint64) string {
	for i := len(s.Renamed) - 1; i >= 0; i-- {
		if s.Renamed[i].Num == num {
			return s.Renamed[i].To
		}
	}
	return s.view.Called(num)
}

// set returns m with the fields that f sets.
func (f *ListFields) set(m ListMore) ListMore {
	if f == nil {
		return m
	}
	if f.Set&ListTitle != 0 {
		m.Title = f.Title
	}
	if f.Set&ListColour != 0 {
		m.Colour = f.Colour
	}
	if f.Set&ListArchived != 0 {
		m.Archived = f.Archived
	}
	if f.Set&ListSort != 0 {
		m.Sort = f.Sort
	}
	return m
}

// checkList validates what a PatchList sets, and the new name.
func (op *Op) checkList() (err error) {
	if op.To != "" {
		if op.To, err = ListName(op.To); err != nil {
			return renamed(err, "name")
		}
	}
	f := op.ListFields
	if f == nil {
		return nil
	}
	if f.Title != "" {
		if err := Title(f.Title); err != nil {
			return err
		}
	}
	f.Colour = strings.ToLower(f.Colour)
	switch {
	case f.Colour != "" && !isColour(f.Colour):
		return invalid("colour", "must be like #3366cc")
	case len(f.Sort) > MaxSort:
		return invalid("sort", "must be at most %d bytes long", MaxSort)
	}
	return nil
}

func isColour(text string) bool {
	if len(text) != 7 || text[0] != '#' {
		return false
	}
	for _, c := range text[1:] {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}
