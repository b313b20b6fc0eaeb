package history

import (
	"fmt"
	"slices"
	"strings"

	"github.com/anishathalye/porcupine"
)

// Kind is what an operation does to a list.
type Kind string

// The kinds of operation on lists.
const (
	Read   Kind = "read"
	Add    Kind = "add"
	Both   Kind = "both"   // a batch: the same title is added to both lists of the book
	Tick   Kind = "tick"   // an entry is marked as done
	Delete Kind = "delete" // an entry is taken away
)

// ListOp is an operation on a list. Two lists make a book, in which a batch can change both.
type ListOp struct {
	Kind  Kind
	Book  string
	List  int    // 0 or 1
	Title string // of Add and Both
	ID    uint64 // of Tick and Delete
}

// ListResult is what it came to.
type ListResult struct {
	Unknown bool
	Missing bool      // Tick, Delete: there is no such entry
	IDs     [2]uint64 // Add: in [0]; Both: in both lists; 0 for not known
	Rows    string    // Read: all entries, as Row has them
}

// Row is an entry as a state and a read have it.
func Row(id uint64, title string, done bool) string {
	mark := ""
	if done {
		mark = "+"
	}
	return fmt.Sprintf("%d %s%s\n", id, title, mark)
}

// book is the state of two lists: their rows, in order, and the highest id that was ever given.
type book struct {
	rows [2]string
	last [2]uint64
}

// Lists is to-do lists that are added to, ticked off and read as a whole: ids count up from 1 without a
// gap, whatever was taken away, and a read gives all that came before it, in order.
var Lists = porcupine.Model{
	Partition: partition(func(in any) string { return in.(ListOp).Book }),
	Init:      func() any { return book{} },
	Step: func(state, input, output any) (bool, any) {
		return state.(book).step(input.(ListOp), output.(ListResult))
	},
	DescribeOperation: describe,
}

func (s book) step(in ListOp, out ListResult) (bool, book) {
	switch in.Kind {
	case Read:
		return s.rows[in.List] == out.Rows, s
	case Add:
		return s.add(in.List, in.Title, out.IDs[0])
	case Both:
		ok, s := s.add(0, in.Title, out.IDs[0])
		if !ok {
			return false, s
		}
		return s.add(1, in.Title, out.IDs[1])
	}
	from, to, there := find(s.rows[in.List], in.ID)
	if out.Missing || !there {
		return out.Unknown || out.Missing && !there, s
	}
	rows := s.rows[in.List]
	row := ""
	if in.Kind == Tick {
		row = strings.TrimSuffix(rows[from:to-1], "+") + "+\n"
	}
	s.rows[in.List] = rows[:from] + row + rows[to:]
	return true, s
}

// add adds an entry, which must get the id given unless that is 0.
func (s book) add(list int, title string, id uint64) (bool, book) {
	s.last[list]++
	if id != 0 && id != s.last[list] {
		return false, s
	}
	s.rows[list] += Row(s.last[list], title, false)
	return true, s
}

// find returns where the row of an entry begins and ends.
func find(rows string, id uint64) (from, to int, there bool) {
	begin := fmt.Sprintf("%d ", id)
	switch {
	case strings.HasPrefix(rows, begin):
		from = 0
	default:
		at := strings.Index(rows, "\n"+begin)
		if at < 0 {
			return 0, 0, false
		}
		from = at + 1
	}
	return from, from + strings.IndexByte(rows[from:], '\n') + 1, true
}

// Settle reads a book once more when all is quiet, with read, and uses what it finds: an
// operation of unknown outcome that nobody ever saw the effect of can be left out, and the id of an add
// is that which it was seen with. Without this the checker would have to try each of
// them at each point of the history. Nobody may delete what he has not seen.
func (h *History) Settle(name string, read func(list int) (rows string, err error)) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	var last [2]string
	for list := range last {
		call := h.clock.Add(1)
		rows, err := read(list)
		if err != nil {
			return fmt.Errorf("a last read of list %d of %s: %w", list, name, err)
		}
		last[list] = rows
		h.ops = append(h.ops, porcupine.Operation{Input: ListOp{Kind: Read, Book: name, List: list}, Call: call,
			Output: ListResult{Rows: rows}, Return: h.clock.Add(1)})
	}
	seen := h.seen(name)
	h.ops = slices.DeleteFunc(h.ops, func(op porcupine.Operation) bool {
		in, out := op.Input.(ListOp), op.Output.(ListResult)
		if in.Book != name || !out.Unknown {
			return false
		}
		switch in.Kind {
		case Add:
			return seen[in.List][in.Title] == 0
		case Both:
			return seen[0][in.Title] == 0 && seen[1][in.Title] == 0
		}
		from, to, there := find(last[in.List], in.ID)
		return there && (in.Kind == Delete || !strings.HasSuffix(last[in.List][from:to], "+\n"))
	})
	for i := range h.ops {
		in, out := h.ops[i].Input.(ListOp), h.ops[i].Output.(ListResult)
		if in.Book != name || !out.Unknown {
			continue
		}
		switch in.Kind {
		case Add:
			out.IDs[0] = seen[in.List][in.Title]
		case Both:
			out.IDs = [2]uint64{seen[0][in.Title], seen[1][in.Title]}
		}
		h.ops[i].Output = out
	}
	return nil
}

// seen is, for each list of a book, the id that each title was read with.
func (h *History) seen(name string) (ids [2]map[string]uint64) {
	ids = [2]map[string]uint64{{}, {}}
	type page struct {
		list int
		rows string
	}
	known := map[page]bool{} // most reads of a list that does not change are alike
	for _, op := range h.ops {
		in, out := op.Input.(ListOp), op.Output.(ListResult)
		if in.Book != name || in.Kind != Read || known[page{in.List, out.Rows}] {
			continue
		}
		known[page{in.List, out.Rows}] = true
		for row := range strings.Lines(out.Rows) {
			var id uint64
			var title string
			if _, err := fmt.Sscanf(row, "%d %s", &id, &title); err == nil {
				ids[in.List][strings.TrimSuffix(title, "+")] = id
			}
		}
	}
	return ids
}
