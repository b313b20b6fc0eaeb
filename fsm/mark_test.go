package fsm

import (
	"context"
	"errors"
	"testing"
)

func mark() *Command { return &Command{Type: TypeMark, Version: 1} }

// The hashes at a mark are those after its log entry, on every node the same, and those of the state
// that the replica has: another one in its place knows nothing of them.
func TestMarks(t *testing.T) {
	a, b := newNode(t), newNode(t)
	for i := range maxMarks + 3 {
		a.do(addCommand("bob", "one"), mark(), addCommand("bob", "two"))
		h, err := a.r.NextMark(t.Context(), uint64(i))
		if err != nil || h != a.r.Hash() {
			t.Fatalf("mark %+v, state %+v, %v", h, a.r.Hash(), err)
		}
		b.r.Apply(a.log[i])
	}
	last := uint64(maxMarks + 3)
	for i := range last + 1 {
		ha, ok := a.r.Mark(i)
		hb, okB := b.r.Mark(i)
		if ok != (i > 3) || ok != okB || ha != hb {
			t.Errorf("mark %d: %+v and %+v", i, ha, hb)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := a.r.NextMark(ctx, last); !errors.Is(err, context.Canceled) {
		t.Errorf("a mark after the last one: %v", err)
	}
	b.log = append(b.log, a.log...)
	b.do(addCommand("bob", "three"))
	if err := errors.Join(b.r.Flush(), send(b, a)); err != nil {
		t.Fatal(err)
	}
	if h, ok := a.r.Mark(last); ok {
		t.Errorf("the replica received knows of %+v", h)
	}
}

// A replica that may be the wrong one goes nowhere, and takes no other in.
func TestWithhold(t *testing.T) {
	a, b := newNode(t), newNode(t)
	a.do(addCommand("bob", "one"))
	if err := a.r.Flush(); err != nil {
		t.Fatal(err)
	}
	why := errors.New("nobody knows")
	for _, n := range []*node{a, b} {
		n.r.Withhold(why)
		if err := send(a, b); !errors.Is(err, why) {
			t.Errorf("sent: %v", err)
		}
		n.r.Withhold(nil)
	}
	if err := send(a, b); err != nil || a.r.Withheld() != nil {
		t.Error(err)
	}
	sameState(t, a, b)
}
