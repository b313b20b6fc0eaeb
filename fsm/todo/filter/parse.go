package filter

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"todod/fsm/todo/fold"
)

// maxNested bounds the recursion of the parser. Parentheses that say nothing are no part of the depth of a
// filter, and still nested.
const maxNested = 4 * MaxDepth

// Parse reads a filter. An error is an *Error.
func Parse(text string) (*Expr, error) {
	p := &parser{text: text, name: "filter"}
	if err := p.check(); err != nil {
		return nil, err
	}
	p.space()
	if p.end() {
		return nil, p.fail(0, "there is nothing to look for: give something like due<today+7 & #home")
	}
	root, err := p.or()
	if err != nil {
		return nil, err
	}
	if !p.end() { // or ends at nothing else
		return nil, p.fail(p.pos, "this ) closes nothing")
	}
	e := &Expr{root}
	if len(e.String()) > MaxBytes {
		return nil, p.fail(0, "a filter must be at most %d bytes long", MaxBytes)
	}
	return e, nil
}

// parser reads a filter from left to right.
type parser struct {
	text   string
	name   string // of the parameter that the text came in
	pos    int    // in bytes
	nested int
	terms  int
}

// fail is an error at a place in the text, in bytes.
func (p *parser) fail(at int, format string, args ...any) error {
	return &Error{Field: p.name, Column: utf8.RuneCountInString(p.text[:at]) + 1, Reason: fmt.Sprintf(format, args...)}
}

// check refuses what is too long to be looked at, and what is no text.
func (p *parser) check() error {
	if len(p.text) > MaxBytes {
		return &Error{Field: p.name, Column: MaxBytes + 1, Reason: fmt.Sprintf("it must be at most %d bytes long", MaxBytes)}
	}
	for i, r := range p.text {
		if r == utf8.RuneError && !strings.HasPrefix(p.text[i:], string(utf8.RuneError)) {
			return p.fail(i, "it must be valid UTF-8")
		}
		if unicode.IsControl(r) {
			return p.fail(i, "it must not contain control characters")
		}
	}
	return nil
}

func isSpace(r rune) bool { return unicode.IsSpace(r) }

// isWord is true of what a word may be made of: all that has no meaning of its own.
func isWord(r rune) bool { return !isSpace(r) && !strings.ContainsRune(`()&|!<>="`, r) }

func (p *parser) end() bool { return p.pos == len(p.text) }

func (p *parser) space() { p.run(isSpace) }

// run takes the characters that are of a kind.
func (p *parser) run(of func(rune) bool) string {
	n := strings.IndexFunc(p.text[p.pos:], func(r rune) bool { return !of(r) })
	if n < 0 {
		n = len(p.text) - p.pos
	}
	p.pos += n
	return p.text[p.pos-n : p.pos]
}

// takes takes a text, if it is what comes next.
func (p *parser) takes(s string) bool {
	if !strings.HasPrefix(p.text[p.pos:], s) {
		return false
	}
	p.pos += len(s)
	return true
}

// found says what is at a place, in quotes and without what a terminal could obey.
func (p *parser) found(at int) string {
	if at == len(p.text) {
		return "the end"
	}
	word := p.text[at:]
	if n := strings.IndexFunc(word, func(r rune) bool { return !isWord(r) }); n > 0 {
		word = word[:n]
	} else if n == 0 {
		_, size := utf8.DecodeRuneInString(word)
		word = word[:size]
	}
	if runes := []rune(word); len(runes) > 20 {
		word = string(runes[:20]) + "..."
	}
	return strconv.QuoteToGraphic(word)
}

// or reads parts joined by |, up to a ) or the end.
func (p *parser) or() (*node, error) {
	var parts []*node
	for {
		n, err := p.and()
		if err != nil {
			return nil, err
		}
		parts = append(parts, n)
		if !p.takes("|") {
			return p.joined(isOr, parts)
		}
		p.takes("|")
	}
}

// and reads parts joined by & or standing beside each other.
func (p *parser) and() (*node, error) {
	var parts []*node
	for {
		n, err := p.part()
		if err != nil {
			return nil, err
		}
		parts = append(parts, n)
		if p.space(); p.end() || p.text[p.pos] == '|' || p.text[p.pos] == ')' {
			return p.joined(isAnd, parts)
		}
		if p.takes("&") {
			p.takes("&")
		}
	}
}

func (p *parser) joined(k kind, parts []*node) (*node, error) { return p.bounded(join(k, parts)) }

func (p *parser) bounded(n *node) (*node, error) {
	if n.depth > MaxDepth {
		return nil, p.fail(p.pos, "a filter must be at most %d operators deep", MaxDepth)
	}
	return n, nil
}

// part reads a term, a ! with its part, or what is in parentheses.
func (p *parser) part() (*node, error) {
	p.space()
	at := p.pos
	if p.nested++; p.nested > maxNested {
		return nil, p.fail(at, "a filter must be at most %d operators deep", MaxDepth)
	}
	defer func() { p.nested-- }()
	switch {
	case strings.HasPrefix(p.text[at:], "!="):
		return nil, p.fail(at, "a field like due must come before !=")
	case p.takes("!"):
		n, err := p.part()
		if err != nil {
			return nil, err
		}
		return p.bounded(not(n))
	case p.takes("("):
		n, err := p.or()
		if err != nil {
			return nil, err
		}
		if !p.takes(")") {
			return nil, p.fail(at, "this ( is never closed")
		}
		return n, nil
	}
	if p.terms++; p.terms > MaxTerms {
		return nil, p.fail(at, "a filter must have at most %d terms", MaxTerms)
	}
	return p.term()
}

func (p *parser) term() (*node, error) {
	at := p.pos
	switch {
	case p.takes("#"):
		return p.textOf(node{kind: isTag})
	case strings.HasPrefix(p.text[at:], `"`):
		return p.textOf(node{kind: isText})
	}
	word := p.run(isWord)
	if word == "" {
		return nil, p.fail(at, "a term like done, #home or due<today must come here, not %s", p.found(at))
	}
	if name, _, ok := strings.Cut(word, ":"); ok && isName(name) {
		p.pos = at + len(name) + 1
		return p.fieldTerm(at, name, equal)
	}
	after := p.pos
	p.space()
	if o, ok := p.operator(); ok {
		return p.fieldTerm(at, word, o)
	}
	p.pos = after
	return p.word(at, word)
}

func isName(s string) bool {
	return s != "" && strings.IndexFunc(s, func(r rune) bool { return r < 'A' || r > 'Z' && r < 'a' || r > 'z' }) < 0
}

func (p *parser) operator() (op, bool) {
	for _, o := range ops {
		if p.takes(o.text) {
			return o.op, true
		}
	}
	return 0, false
}

func (p *parser) fieldTerm(at int, name string, o op) (*node, error) {
	f, ok := fieldNamed(name)
	if !ok {
		return nil, p.fail(at, "%s is no field; put quotes around what is a text", p.found(at))
	}
	return p.value(f, o)
}

// value reads what a field is compared with.
func (p *parser) value(f field, o op) (*node, error) {
	p.space()
	at := p.pos
	exact := o == equal || o == unequal
	switch f {
	case fieldDate, fieldDue, fieldCreated, fieldUpdated, fieldCompleted:
		d, err := p.day()
		return leaf(node{kind: isDay, field: f, op: o, day: d}), err
	case fieldPriority, fieldID:
		most := map[field]uint64{fieldPriority: 9, fieldID: 1 << 63}[f]
		num, err := p.number(0, most)
		return leaf(node{kind: isNumber, field: f, op: o, num: num}), err
	case fieldHas, fieldNo, fieldTag, fieldTitle, fieldNotes, fieldParent, fieldDone:
		if !exact {
			return nil, p.fail(at, "%s has no order: only = and != can come after it", f)
		}
	default:
		return nil, p.fail(at, "%s cannot be compared: give has:%s or no:%s", f, f, f)
	}
	n, err := p.exactly(f)
	if err != nil {
		return nil, err
	}
	if o == unequal {
		n = not(n)
	}
	return n, nil
}

// exactly reads the value of a field that knows nothing but equal.
func (p *parser) exactly(f field) (*node, error) {
	switch f {
	case fieldHas:
		return p.hasName()
	case fieldNo:
		n, err := p.hasName()
		if err != nil {
			return nil, err
		}
		return not(n), nil
	case fieldTag:
		p.takes("#")
		return p.textOf(node{kind: isTag})
	case fieldParent:
		num, err := p.number(0, anyNumber)
		return leaf(node{kind: isParent, num: num}), err
	case fieldDone:
		at := p.pos
		switch strings.ToLower(p.run(isWord)) {
		case "true":
			return leaf(node{kind: isDone}), nil
		case "false":
			return not(leaf(node{kind: isDone})), nil
		}
		return nil, p.fail(at, "true or false must come here, not %s", p.found(at))
	}
	return p.textOf(node{kind: isText, field: f})
}

// textOf reads a word or a text in quotes into a node.
func (p *parser) textOf(n node) (*node, error) {
	at := p.pos
	var err error
	if p.takes(`"`) {
		n.text, err = p.quoted(at)
	} else {
		n.text = p.run(isWord)
	}
	if err == nil && fold.String(n.text) == "" {
		err = p.fail(at, "there is nothing to look for here")
	}
	return leaf(n), err
}

// quoted reads up to the quote that closes. A \ takes the meaning from the character after it.
func (p *parser) quoted(open int) (string, error) {
	var b strings.Builder
	for !p.end() {
		if p.takes(`"`) {
			return b.String(), nil
		}
		p.takes(`\`)
		if p.end() {
			break
		}
		_, size := utf8.DecodeRuneInString(p.text[p.pos:])
		b.WriteString(p.text[p.pos : p.pos+size])
		p.pos += size
	}
	return "", p.fail(open, "this quote is never closed")
}

// anyNumber is more than any id.
const anyNumber = 1 << 63

func (p *parser) number(least, most uint64) (uint64, error) {
	at := p.pos
	word := p.run(isWord)
	n, err := strconv.ParseUint(word, 10, 64)
	switch {
	case err == nil && n >= least && n <= most:
		return n, nil
	case most == anyNumber:
		return 0, p.fail(at, "a whole number must come here, not %s", p.found(at))
	default:
		return 0, p.fail(at, "a whole number from %d to %d must come here, not %s", least, most, p.found(at))
	}
}

func (p *parser) hasName() (*node, error) {
	at := p.pos
	f, ok := fieldNamed(p.run(func(r rune) bool { return isWord(r) && r != ',' }))
	if !ok || !f.has() {
		return nil, p.fail(at, "date, due, time, tag, priority, notes, repeat, remind, parent, sub, completed or uid must come here, not %s", p.found(at))
	}
	return leaf(node{kind: isHas, field: f}), nil
}

// word makes a term of a word that stands alone.
func (p *parser) word(at int, word string) (*node, error) {
	switch name := strings.ToLower(word); {
	case name == "done":
		return leaf(node{kind: isDone}), nil
	case name == "open":
		return not(leaf(node{kind: isDone})), nil
	case name == "overdue":
		return leaf(node{kind: isOverdue}), nil
	case isPriority(name):
		return leaf(node{kind: isNumber, field: fieldPriority, op: equal, num: uint64(name[1] - '0')}), nil
	case startsWithDay(name):
		p.pos = at
		d, err := p.day()
		return leaf(node{kind: isDay, field: fieldDue, op: equal, day: d}), err
	}
	if fold.String(word) == "" {
		return nil, p.fail(at, "there is nothing to look for here")
	}
	return leaf(node{kind: isText, text: word}), nil
}

func isPriority(word string) bool {
	return len(word) == 2 && word[0] == 'p' && word[1] >= '0' && word[1] <= '9'
}

// startsWithDay reports whether a word is today, tomorrow or yesterday, with days to add or without.
func startsWithDay(word string) bool {
	return slices.ContainsFunc([]string{"today", "tomorrow", "yesterday"}, func(name string) bool {
		rest, ok := strings.CutPrefix(word, name)
		return ok && (rest == "" || rest[0] == '+' || rest[0] == '-')
	})
}

// reserved reports whether a word that stands alone has a meaning.
func reserved(word string) bool {
	word = strings.ToLower(word)
	return word == "done" || word == "open" || word == "overdue" || isPriority(word) || startsWithDay(word)
}
