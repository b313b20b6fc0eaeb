// Package filter is the language of one line that chooses entries, and the orders they can be asked for in.
//
//	due<today+7 & #home & !done | p1
//
// What joins terms, the strongest first: ! (not), & or nothing (and), | (or), with parentheses. The terms:
//
//	done  open  overdue                    overdue: open, and due before now
//	due<today+7  date>=2026-11-28          also <= = != >; a day is a date, today, tomorrow, yesterday or the next
//	created<monday  updated  completed     monday ... sunday (today if it is one), and + or - days (7) or weeks (1w)
//	today  tomorrow  yesterday             due on that day
//	p1 ... p9  p0  p<=3  priority>5        1 is the highest; p0 has none
//	#home  #"next week"  tag:home          a tag
//	has:notes  no:date                     date due time tag priority notes repeat remind parent sub completed uid
//	parent:7  parent:0  id<=20             below entry 7; below none
//	milk  "oat milk"  title:milk  notes:x  a text anywhere in title, notes and tags, or in one of them
//	done:true  done:false                  as done and open
//
// A : says the same as =. What is not set is neither below, above nor equal to anything. Case and accents make no
// difference in texts and tags; names and days may be in any case. Days are those of the caller's zone: date is
// the date as the entry has it, due is the day on which that moment falls there.
//
// Nothing here is used when applying: it needs the zone data and Unicode tables of the program.
package filter

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"todod/fsm/todo"
)

// The limits of a filter: nobody writes such a one by hand, and each costs the same for every entry looked at.
const (
	MaxBytes = 4 << 10 // of a filter, and of its canonical spelling
	MaxTerms = 100
	MaxDepth = 32 // of operators within each other
)

// Expr is a filter. It is never changed and may be used by many goroutines.
type Expr struct{ root *node }

// Error says where a filter is wrong, and why. It is a *todo.Invalid to errors.As.
type Error struct {
	Field  string // the parameter or flag that has the text: filter, due, ...
	Column int    // in characters, from 1
	Reason string // a sentence
}

func (e *Error) Error() string { return fmt.Sprintf("%s, column %d: %s", e.Field, e.Column, e.Reason) }

func (e *Error) Unwrap() error {
	return &todo.Invalid{Field: fmt.Sprintf("%s, column %d:", e.Field, e.Column), Reason: e.Reason}
}

// kind is what a node is.
type kind uint8

const (
	isAnd kind = iota
	isOr
	isNot
	isDone
	isOverdue
	isTag     // text
	isText    // text, in the field or, with none, anywhere
	isHas     // field
	isParent  // num
	isDay     // field op day
	isNumber  // field op num
	operators = isNot
)

// node is an operator with what it joins, or a term. And and or have at least two kids, none of their
// own kind, so that a meaning has few spellings.
type node struct {
	kind  kind
	field field
	op    op
	kids  []*node
	depth int
	terms int
	text  string
	num   uint64
	day   day
}

// field names what a term looks at.
type field uint8

const (
	anywhere field = iota
	fieldID
	fieldTitle
	fieldNotes
	fieldDate
	fieldDue
	fieldTime
	fieldDone
	fieldPriority
	fieldTag
	fieldParent
	fieldSub
	fieldRepeat
	fieldRemind
	fieldUID
	fieldCreated
	fieldUpdated
	fieldCompleted
	fieldOrder
	fieldHas
	fieldNo
)

// fieldNames has the names in a filter. The first of each is the canonical one.
var fieldNames = []struct {
	name  string
	field field
}{
	{"id", fieldID}, {"title", fieldTitle}, {"notes", fieldNotes}, {"date", fieldDate}, {"due", fieldDue}, {"time", fieldTime},
	{"done", fieldDone}, {"p", fieldPriority}, {"tag", fieldTag}, {"parent", fieldParent}, {"sub", fieldSub}, {"repeat", fieldRepeat},
	{"remind", fieldRemind}, {"uid", fieldUID}, {"created", fieldCreated}, {"updated", fieldUpdated}, {"completed", fieldCompleted},
	{"has", fieldHas}, {"no", fieldNo},
	{"priority", fieldPriority}, {"tags", fieldTag}, {"subs", fieldSub},
}

func fieldNamed(name string) (field, bool) {
	name = strings.ToLower(name)
	for _, f := range fieldNames {
		if f.name == name {
			return f.field, true
		}
	}
	return 0, false
}

func (f field) String() string {
	for _, n := range fieldNames {
		if n.field == f {
			return n.name
		}
	}
	return ""
}

// has reports whether has: and no: take the field.
func (f field) has() bool {
	switch f {
	case fieldDate, fieldDue, fieldTime, fieldTag, fieldPriority, fieldNotes, fieldRepeat, fieldRemind, fieldParent, fieldSub, fieldCompleted, fieldUID:
		return true
	}
	return false
}

// op is a comparison.
type op uint8

const (
	equal op = iota
	unequal
	less
	lessEqual
	greater
	greaterEqual
)

// ops has the longer spellings first, so that the first that fits is the one meant.
var ops = []struct {
	text string
	op   op
}{{"<=", lessEqual}, {">=", greaterEqual}, {"!=", unequal}, {"<", less}, {">", greater}, {"=", equal}, {":", equal}}

func (o op) String() string {
	for _, n := range ops {
		if n.op == o {
			return n.text
		}
	}
	return ""
}

// holds reports whether the comparison does, given how the two sides compare.
func (o op) holds(cmp int) bool {
	switch o {
	case equal:
		return cmp == 0
	case unequal:
		return cmp != 0
	case less:
		return cmp < 0
	case lessEqual:
		return cmp <= 0
	case greater:
		return cmp > 0
	default:
		return cmp >= 0
	}
}

func leaf(n node) *node {
	n.depth, n.terms = 1, 1
	return &n
}

func not(n *node) *node {
	return &node{kind: isNot, kids: []*node{n}, depth: n.depth + 1, terms: n.terms}
}

// join is and or or of some nodes. Kids of the same kind are taken in.
func join(k kind, parts []*node) *node {
	if len(parts) == 1 {
		return parts[0]
	}
	out := &node{kind: k}
	for _, n := range parts {
		if n.kind == k {
			out.kids = append(out.kids, n.kids...)
		} else {
			out.kids = append(out.kids, n)
		}
		out.terms += n.terms
	}
	for _, n := range out.kids {
		out.depth = max(out.depth, n.depth+1)
	}
	return out
}

// All is the filter that holds where all of the given ones do; those that are nil hold everywhere. It is nil if all are.
// It fails with *todo.Invalid when they are too many together.
func All(exprs ...*Expr) (*Expr, error) {
	var parts []*node
	for _, e := range exprs {
		if e != nil {
			parts = append(parts, e.root)
		}
	}
	if len(parts) == 0 {
		return nil, nil
	}
	e := &Expr{join(isAnd, parts)}
	if e.root.terms > MaxTerms || e.root.depth > MaxDepth || len(e.String()) > MaxBytes {
		return nil, &todo.Invalid{Field: "filter", Reason: "must be shorter together with the other parameters"}
	}
	return e, nil
}

// String is the canonical spelling, which means the same and is parsed to an equal filter. That of nil is "".
func (e *Expr) String() string {
	if e == nil {
		return ""
	}
	return string(e.root.append(nil))
}

func (n *node) append(b []byte) []byte {
	switch n.kind {
	case isAnd, isOr:
		for i, kid := range n.kids {
			if i > 0 {
				b = append(b, map[kind]string{isAnd: " & ", isOr: " | "}[n.kind]...)
			}
			b = kid.appendWithin(b, n.kind)
		}
	case isNot:
		return n.kids[0].appendWithin(append(b, '!'), isNot)
	case isDone:
		return append(b, "done"...)
	case isOverdue:
		return append(b, "overdue"...)
	case isTag:
		return appendText(append(b, '#'), n.text, true)
	case isText:
		if n.field == anywhere {
			return appendText(b, n.text, false)
		}
		return appendText(fmt.Appendf(b, "%s:", n.field), n.text, true)
	case isHas:
		return fmt.Appendf(b, "has:%s", n.field)
	case isParent:
		return fmt.Appendf(b, "parent:%d", n.num)
	case isDay:
		return n.day.append(fmt.Appendf(b, "%s%s", n.field, n.op))
	case isNumber:
		if n.field == fieldPriority && n.op == equal {
			return fmt.Appendf(b, "p%d", n.num)
		}
		return fmt.Appendf(b, "%s%s%d", n.field, n.op, n.num)
	}
	return b
}

// appendWithin puts parentheses around what binds less than the operator that it is within.
func (n *node) appendWithin(b []byte, outer kind) []byte {
	if n.kind == isOr || n.kind == isAnd && outer == isNot {
		return append(n.append(append(b, '(')), ')')
	}
	return n.append(b)
}

// appendText puts quotes around a text that would be read as something else without them.
func appendText(b []byte, s string, value bool) []byte {
	plain := strings.IndexFunc(s, func(r rune) bool { return !isPlain(r) }) < 0
	if plain && (value || !reserved(s)) {
		return append(b, s...)
	}
	b = append(b, '"')
	for i := range len(s) {
		if s[i] == '"' || s[i] == '\\' {
			b = append(b, '\\')
		}
		b = append(b, s[i])
	}
	return append(b, '"')
}

// isPlain is true of the characters that have no meaning in any place of a filter.
func isPlain(r rune) bool {
	return r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r == '_' || r >= 0xa1 && !isSpace(r) && r != utf8.RuneError
}
