package filter

import (
	"todod/fsm/todo"
	"todod/fsm/todo/fold"
)

// Param reads the value of a parameter that has the name of a field, as one term: due and priority take a
// comparison before the value; has takes several names; q is a text anywhere. An error is an *Error, or, where no place
// in the value is to blame, a *todo.Invalid.
func Param(name, value string) (*Expr, error) {
	p := &parser{text: value, name: name}
	if err := p.check(); err != nil {
		return nil, err
	}
	switch name {
	case "q":
		return p.whole(isText)
	case "tag":
		return p.whole(isTag)
	case "overdue":
		return p.flag(isOverdue)
	case "done":
		return p.flag(isDone)
	case "has":
		return p.names()
	}
	f, ok := fieldNamed(name)
	if !ok {
		return nil, p.fail(0, "is not a field")
	}
	o, given := p.operator()
	if !given {
		o = equal
	}
	n, err := p.value(f, o)
	if err != nil {
		return nil, err
	}
	if p.space(); !p.end() {
		return nil, p.fail(p.pos, "%s comes after the value", p.found(p.pos))
	}
	return &Expr{n}, nil
}

func (p *parser) whole(k kind) (*Expr, error) {
	if fold.String(p.text) == "" {
		return nil, &todo.Invalid{Field: p.name, Reason: "must not be empty"}
	}
	return &Expr{leaf(node{kind: k, text: p.text})}, nil
}

func (p *parser) flag(k kind) (*Expr, error) {
	switch p.text {
	case "true":
		return &Expr{leaf(node{kind: k})}, nil
	case "false":
		return &Expr{not(leaf(node{kind: k}))}, nil
	}
	return nil, &todo.Invalid{Field: p.name, Reason: "must be true or false"}
}

func (p *parser) names() (*Expr, error) {
	var parts []*node
	for {
		n, err := p.hasName()
		if err != nil {
			return nil, err
		}
		parts = append(parts, n)
		if len(parts) > len(fieldNames) {
			return nil, p.fail(p.pos, "there are no more than %d names", len(fieldNames))
		}
		if p.end() {
			return &Expr{join(isAnd, parts)}, nil
		}
		if p.text[p.pos] != ',' {
			return nil, p.fail(p.pos, "a comma must come between two names")
		}
		p.pos++
	}
}
