package fsm

import (
	"testing"

	"github.com/hashicorp/raft"

	"todod/fsm/todo"
)

// What the registry of one term gathered is refused in the log of another: applied, it would come
// after a newer registry has begun.
func TestCommandsOfAnotherTerm(t *testing.T) {
	n := newNode(t)
	entry := func(index, logged, gathered uint64) []Result {
		return n.r.Apply(&raft.Log{Index: index, Term: logged,
			Data: EncodeEnvelope(Stamp{Term: gathered, Time: testTime}, []*Command{addCommand("bob", "x")})}).([]Result)
	}
	for i, c := range []struct {
		logged, gathered uint64
		want             todo.Code
	}{{3, 3, todo.OK}, {4, 3, TermOver}, {4, 5, TermOver}, {4, 0, todo.OK}} {
		before := n.r.Hash()
		res := entry(uint64(i+1), c.logged, c.gathered)
		if len(res) != 1 || res[0].Code != c.want {
			t.Errorf("gathered in %d, logged in %d: %+v", c.gathered, c.logged, res)
		}
		if after := n.r.Hash(); c.want != todo.OK && (after.Set != before.Set || after.Chain != before.Chain || after.Index != uint64(i+1)) {
			t.Errorf("a refused entry changed the state: %v, %v", before, after)
		}
	}
}
