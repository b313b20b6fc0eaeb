package server

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"todod/fsm/todo"
)

// Trash goes once it was kept for 30 days, by the clock of the leader, and not before.
func TestTrashIsPurged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t)
		s.group(1)
		s.await("the version is raised", func() bool { return s.node("n1").engine().replica.GroupVersion() >= 2 })
		if _, err := s.add("n1", "bob", WriteOptions{}); err != nil {
			t.Fatal(err)
		}
		s.acked = nil // it goes
		remove := todo.Command{Ops: []todo.Op{{Kind: todo.Delete, List: "bob", ID: 1}}}
		if res, err := s.node("n1").Write(context.Background(), remove, WriteOptions{}); err != nil || res.Code != todo.OK {
			t.Fatal(res, err)
		}
		trash := func() int {
			v, err := s.node("n1").Read(context.Background(), ReadOptions{Level: Linearizable})
			if err != nil {
				t.Fatal(err)
			}
			defer v.Close()
			page, _ := v.Trash("bob", 0, 10)
			return len(page)
		}
		for _, c := range []struct{ day, kept int }{{29, 1}, {31, 0}} {
			s.crash("n1") // a clock that is set under a running node is not believed
			s.skew["n1"].Store(int64(c.day) * int64(24*time.Hour))
			if _, err := s.start("n1", nil); err != nil {
				t.Fatal(err)
			}
			s.acknowledged("n1")
			time.Sleep(time.Second)
			if got := trash(); got != c.kept {
				t.Errorf("day %d: %d in the trash, want %d", c.day, got, c.kept)
			}
		}
		s.check()
	})
}
