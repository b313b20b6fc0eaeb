package todo

import (
	"cmp"
	"math/bits"
	"slices"
)

// Rel says where an entry is to be put.
type Rel uint8

// The places that can be named. They are stored: never renumber.
const (
	First  Rel = 1 // before all others
	Last   Rel = 2 // behind all others, before those to come
	Before Rel = 3 // right before a neighbor
	After  Rel = 4 // right behind it
)

// Where is where an entry is to be put; zero: it stays. Clients name neighbors, never keys: so two that
// move entries at once both get what they asked for.
type Where struct {
	Rel      Rel
	Neighbor uint64 // of Before and After: the id of an entry of the list
}

// Position is the place of an entry; the id decides between two that are at one place.
type Position struct {
	Place
	ID uint64
}

// Position is where the entry stands.
func (e *Entry) Position() Position {
	if p := e.More.Get().Place; p != (Place{}) {
		return Position{p, e.ID}
	}
	return Position{Place{Hi: e.ID}, e.ID}
}

// Compare orders positions.
func (p Position) Compare(o Position) int {
	return cmp.Or(cmp.Compare(p.Hi, o.Hi), cmp.Compare(p.Lo, o.Lo), cmp.Compare(p.ID, o.ID))
}

// maxSpread is about the most entries that one command spreads anew, and roomy the least distance it leaves
// between them: that many halvings pass before it happens at that place again.
const (
	maxSpread = 1000
	roomy     = 1 << 16
)

// arrange gives an entry its place in the order of its list.
func (s *Stage) arrange(op *Op, list List, old Entry, now int64, rev uint64) (Item, Code) {
	is := Item{Kind: op.Kind, List: op.List, Entry: old}
	o := order{s: s, num: list.Num, self: old.ID, end: Position{Place: Place{Hi: list.LastID + 1}}}
	left, right, code := o.gap(op.Where)
	if code != OK {
		return is, code
	}
	if at := old.Position(); left.Compare(at) < 0 && at.Compare(right) < 0 {
		return is, OK // it is there
	}
	place, ok := middle(left.Place, right.Place)
	if !ok {
		if place, ok = o.spread(left, right); !ok {
			return is, OrderFull
		}
	}
	e := old
	more := *old.More.Get()
	more.Place = place
	e.More, e.Rev, e.Updated = &more, rev, now
	list.Rev = rev
	s.setList(list)
	s.setEntry(list.Num, e, old, true)
	is.Entry, is.Changed = e, true
	return is, OK
}

// order is the order of a list without the entry that is to be put somewhere.
type order struct {
	s    *Stage
	num  uint64
	self uint64
	end  Position // where the next entry of the list will be added
}

// gap returns the two positions that the entry goes between, with no other entry between them.
func (o *order) gap(w Where) (left, right Position, code Code) {
	var neighbor Entry
	if w.Rel == Before || w.Rel == After {
		var ok bool
		if neighbor, ok = o.s.entry(o.num, w.Neighbor); !ok || w.Neighbor == o.self {
			return left, right, NoNeighbor
		}
	}
	switch at := neighbor.Position(); w.Rel {
	case First:
		return Position{}, o.next(Position{}), OK
	case Last:
		return o.previous(o.end), o.end, OK
	case Before:
		return o.previous(at), at, OK
	default:
		return at, o.next(at), OK
	}
}

func (o *order) next(at Position) Position {
	found, edge := o.around(at, false, 1)
	if len(found) > 0 {
		return found[0]
	}
	return edge
}

func (o *order) previous(at Position) Position {
	found, edge := o.around(at, true, 1)
	if len(found) > 0 {
		return found[0]
	}
	return edge
}

// around returns the entries behind a position, or before it, the nearest first and at most most, as the command
// has left them; there are no others up to edge.
func (o *order) around(at Position, back bool, most int) (found []Position, edge Position) {
	if edge = o.end; back {
		edge = Position{}
	}
	for limit := most + 8; ; limit *= 4 {
		stored, stop, more := o.s.view.Around(o.num, at, back, limit)
		found = found[:0]
		for _, p := range stored {
			if _, touched := o.s.entryAt[entryKey{o.num, p.ID}]; !touched && p.ID != o.self {
				found = append(found, p)
			}
		}
		if !more || len(found) >= most {
			if more {
				edge = stop
			}
			break
		}
		if limit > maxSpread {
			edge = stop
			break
		}
	}
	for i := range o.s.Entries {
		e := &o.s.Entries[i]
		if p := e.Entry.Position(); e.Num == o.num && !e.Gone && p.ID != o.self && beyond(at, p, back) && beyond(p, edge, back) {
			found = append(found, p)
		}
	}
	slices.SortFunc(found, func(a, b Position) int {
		if back {
			a, b = b, a
		}
		return a.Compare(b)
	})
	if len(found) > most {
		found, edge = found[:most], found[most]
	}
	return found, edge
}

// beyond reports whether p comes behind at, or before it.
func beyond(at, p Position, back bool) bool {
	if back {
		at, p = p, at
	}
	return at.Compare(p) < 0
}

// spread makes room between two positions: it spreads the entries around them evenly, a few if that is enough,
// and returns the place in the middle. They get neither a rev nor an ETag: nobody sees their keys.
func (o *order) spread(left, right Position) (Place, bool) {
	for size := 8; ; size *= 4 {
		size = min(size, maxSpread/2)
		before, low := o.around(right, true, size)
		behind, high := o.around(left, false, size)
		before = slices.DeleteFunc(before, func(p Position) bool { return p.Compare(left) > 0 })
		behind = slices.DeleteFunc(behind, func(p Position) bool { return p.Compare(right) < 0 })
		step := divide(minus(high.Place, low.Place), uint64(len(before)+len(behind)+2))
		last := size == maxSpread/2
		if step.Hi == 0 && (step.Lo == 0 || step.Lo < roomy && !last) {
			if last {
				return Place{}, false
			}
			continue
		}
		at := low.Place
		for i := range before {
			at = plus(at, step)
			o.shift(before[len(before)-1-i], at)
		}
		at = plus(at, step)
		place := at
		for i := range behind {
			at = plus(at, step)
			o.shift(behind[i], at)
		}
		return place, true
	}
}

// shift gives an entry another place, and nothing else.
func (o *order) shift(p Position, to Place) {
	old, ok := o.s.entry(o.num, p.ID)
	if !ok {
		return
	}
	e, more := old, *old.More.Get()
	more.Place = to
	e.More = &more
	o.s.setEntry(o.num, e, old, true)
}

// middle returns the place halfway between two; not ok if there is none.
func middle(a, b Place) (Place, bool) {
	d := minus(b, a)
	half := Place{Hi: d.Hi >> 1, Lo: d.Lo>>1 | d.Hi<<63}
	return plus(a, half), half != Place{}
}

func plus(a, b Place) Place {
	lo, carry := bits.Add64(a.Lo, b.Lo, 0)
	hi, _ := bits.Add64(a.Hi, b.Hi, carry)
	return Place{hi, lo}
}

func minus(a, b Place) Place {
	lo, borrow := bits.Sub64(a.Lo, b.Lo, 0)
	hi, _ := bits.Sub64(a.Hi, b.Hi, borrow)
	return Place{hi, lo}
}

func divide(a Place, n uint64) Place {
	hi, rest := a.Hi/n, a.Hi%n
	lo, _ := bits.Div64(rest, a.Lo, n)
	return Place{hi, lo}
}
