package server

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"todod/fsm/todo"
)

// A leader whose clock is set two years ahead never stamps, at whatever moment between two looks at
// the others' clocks that happens: one stamp would move the group's time for good.
func TestAClockThatIsSetNeverStamps(t *testing.T) {
	const step = 2 * 365 * 24 * time.Hour
	for phase := time.Duration(0); phase < pingEvery; phase += 30 * time.Millisecond {
		t.Run(fmt.Sprint(phase), func(t *testing.T) {
			inBubble(t, 3, func(t *testing.T, s *sim) {
				ahead := s.named("leader")
				if _, err := s.add(ahead, "bob", WriteOptions{}); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Second + phase)
				s.skew[ahead].Store(int64(step))
				for began := time.Now(); time.Since(began) < time.Second; time.Sleep(5 * time.Millisecond) {
					// A stamp is taken whenever the leader proposes, whoever asked for it.
					if stamp, err := s.node(ahead).engine().stamp(); err == nil && stamp > time.Now().Add(maxClockOffset).UnixMilli() {
						t.Fatalf("%s after its clock was set it stamps", time.Since(began))
					}
				}
				if took := s.acknowledged(ahead); took > time.Second {
					t.Errorf("a write took %s", took)
				}
				if l := s.named("leader"); l == ahead {
					t.Error("it still leads")
				}
				for _, id := range s.running() {
					if d := time.Until(time.UnixMilli(s.node(id).engine().replica.Time())); d > maxClockOffset {
						t.Errorf("the group's time at %s is %s ahead", id, d)
					}
				}
			})
		})
	}
}

// A node that is set right again stamps again.
func TestAClockThatIsSetRightStamps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t)
		s.group(1)
		if _, err := s.add("n1", "bob", WriteOptions{}); err != nil {
			t.Fatal(err)
		}
		e := s.node("n1").engine()
		s.skew["n1"].Store(int64(time.Hour))
		if _, err := e.stamp(); kindOf(err) != KindClock {
			t.Errorf("right after its clock was set a node alone stamps: %v", err)
		}
		s.skew["n1"].Store(0)
		if took := s.acknowledged("n1"); took > time.Second {
			t.Errorf("a write took %s", took)
		}
		s.check()
	})
}

// A leader whose clock is two years ahead and then right again has lost nothing that goes by time: the answers kept under keys,
// the history of changes, the process of a list.
func TestAClockAheadLosesNothing(t *testing.T) {
	inBubble(t, 3, func(t *testing.T, s *sim) {
		ctx := context.Background()
		ahead := s.named("leader")
		const key = "a key of the year before"
		keyed := func(id string) (todo.Code, bool, error) {
			res, err := s.node(id).Write(ctx, addCommand("bob", "kept"), WriteOptions{Key: key})
			return res.Code, res.Replayed, err
		}
		if code, replayed, err := keyed(ahead); err != nil || code != todo.OK || replayed {
			t.Fatal(code, replayed, err)
		}
		s.acked = append(s.acked, "kept") // nobody else is at work
		s.skew[ahead].Store(int64(2 * 365 * 24 * time.Hour))
		s.await("another leads", func() bool { return s.named("leader") != ahead })
		for range 5 { // at the wrong node and at the others
			for _, id := range s.running() {
				if code, replayed, err := keyed(id); err != nil || code != todo.OK || !replayed {
					t.Errorf("sent again at %s: %v, replayed %v, %v", id, code, replayed, err)
				}
			}
			time.Sleep(time.Second)
		}
		other := s.named("leader")
		lives := func(id string) bool { return s.node(id).engine().term.Load().registry.alive("bob") }
		if !lives(other) {
			t.Error("the list has no process at the new leader")
		}
		s.skew[ahead].Store(0)
		s.await("the clock is right again", func() bool { return s.node(other).Transfer(ctx, ahead) == nil && s.named("leader") == ahead })
		if code, replayed, err := keyed(ahead); err != nil || code != todo.OK || !replayed {
			t.Errorf("sent again at the old leader: %v, replayed %v, %v", code, replayed, err)
		}
		time.Sleep(10 * time.Second) // less than a process may be idle
		if !lives(ahead) {
			t.Error("the list has no process any more")
		}
		for _, id := range s.running() {
			v, err := s.node(id).Read(ctx, ReadOptions{Level: Linearizable})
			if err != nil {
				t.Fatal(err)
			}
			if l, ok := v.List("bob"); !ok || l.Entries != 1 {
				t.Errorf("%s has %+v", id, l)
			}
			v.Close()
			if d := time.Until(time.UnixMilli(s.node(id).engine().replica.Time())); d > maxClockOffset {
				t.Errorf("the group's time at %s is %s ahead", id, d)
			}
		}
	})
}
