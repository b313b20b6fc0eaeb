package server

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"todod/fsm"
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

// A backup of a newer group is refused by one with a member that could not read what comes of it, before
// anything is proposed.
func TestRestoreThatAGroupCannotReadYet(t *testing.T) {
	var b []byte
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t)
		s.group(1)
		s.await("the version is raised", func() bool { return s.node("n1").engine().replica.GroupVersion() >= 2 })
		s.adds(1)
		b = s.backup("n1")
	})
	inVersions(t, func(v *versions) {
		v.sim.adds(1)
		before := v.node("n1").engine().replica.Hash().Set
		if _, err := v.restore("n1", b, true); kindOf(err) != KindVersion || AsError(err).Outcome != NotApplied {
			t.Errorf("it came to %v", err)
		}
		if v.node("n1").engine().replica.Hash().Set != before {
			t.Error("it changed something")
		}
		for _, id := range []string{"n1", "n2", "n3"} {
			v.replace(id, 2)
		}
		v.await("the version is raised", func() bool { return v.leader() != nil && v.leader().engine().replica.GroupVersion() == 2 })
		if _, err := v.restore("n1", b, true); err != nil {
			t.Errorf("once all nodes can read it: %v", err)
		}
	})
}

// Any node takes a setting of the group to its leader, once all its members know what that is.
func TestSettings(t *testing.T) {
	inVersions(t, func(v *versions) {
		ctx, days := context.Background(), fsm.Settings{TrashDays: 7, EventsMiB: 256}
		if err := v.node("n1").SetSettings(ctx, days); kindOf(err) != KindVersion {
			t.Errorf("in a group that does not know it: %v", err)
		}
		for _, id := range []string{"n1", "n2", "n3"} {
			v.replace(id, 2)
		}
		v.await("the version is raised", func() bool { return v.leader() != nil && v.leader().engine().replica.GroupVersion() == 2 })
		if err := v.node(v.named("follower")).SetSettings(ctx, days); err != nil {
			t.Fatal(err)
		}
		for _, id := range v.running() {
			r, err := v.node(id).Read(ctx, ReadOptions{Level: Linearizable})
			if err != nil {
				t.Fatal(err)
			}
			if r.Settings() != days {
				t.Errorf("%s has %+v", id, r.Settings())
			}
			r.Close()
		}
		for _, most := range []fsm.Settings{{TrashDays: 3651}, {EventsMiB: 1025}} {
			if err := v.node("n1").SetSettings(ctx, most); err == nil {
				t.Errorf("%+v was set", most)
			}
		}
	})
}
