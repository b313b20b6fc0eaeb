package server

import (
	"context"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"todod/fsm/todo"
)

// Batches whose answers together are larger than a frame between peers: each is answered all the
// same, and the stream to the leader stands.
func TestALargeAnswerDoesNotBreakTheStream(t *testing.T) {
	const entries, batches = 1000, 9
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t)
		s.group(3)
		leader, id := s.named("leader"), s.followers()[0]
		write := func(at string, ops []todo.Op) {
			res, err := s.node(at).Write(context.Background(), todo.Command{Ops: ops, Batch: true}, WriteOptions{})
			if err != nil || res.Code != todo.OK || len(res.Items) != len(ops) {
				t.Errorf("code %d, %d results of %d, %v", res.Code, len(res.Items), len(ops), err)
			}
		}
		title := strings.Repeat("\U0001F600", todo.MaxTitle) // 4 bytes each, the longest there is
		for range entries / 200 {
			var ops []todo.Op
			for range 200 {
				ops = append(ops, todo.Op{Kind: todo.Add, List: "long", Fields: todo.Fields{Title: title}})
			}
			write(leader, ops)
		}
		var all sync.WaitGroup
		for range batches {
			all.Go(func() {
				var ops []todo.Op
				for i := range entries {
					ops = append(ops, todo.Op{Kind: todo.Patch, List: "long", ID: uint64(i + 1), Fields: todo.Fields{Done: true, Set: todo.FieldDone}})
				}
				write(id, ops)
			})
		}
		all.Wait()
		s.settle()
	})
}
