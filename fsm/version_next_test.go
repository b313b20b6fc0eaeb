//go:build next

package fsm

import (
	"strings"
	"testing"

	"todod/fsm/todo"
)

// The format of the test build: readable once the group is at version 3, and with the same effect
// as version 2.
func TestNextFormat(t *testing.T) {
	n := newNode(t)
	add := TodoCommand(&todo.Command{Ops: []todo.Op{addOp("bob", "next: x")}})
	if plain := TodoCommand(&todo.Command{Ops: []todo.Op{addOp("bob", "x")}}); plain.Version != 1 || add.Version != 3 {
		t.Fatalf("versions %d and %d", plain.Version, add.Version)
	}
	if err := n.r.Readable(&add); err == nil || !strings.Contains(err.Error(), "version 3 of the group, which is at 1") {
		t.Error(err)
	}
	n.do(raise(3))
	if err := n.r.Readable(&add); err != nil {
		t.Error(err)
	}
	if n.do(&add); n.titles("bob") != "next: x" {
		t.Error(n.titles("bob"))
	}
	n.sound()
}
