package server

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"
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
