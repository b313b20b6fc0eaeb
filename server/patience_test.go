package server

import (
	"context"
	"sync"
	"testing"
	"time"
)

// The leader is paused with a follower's write in flight, and another is elected within
// milliseconds: the write goes there, and does not wait until the old one is given up.
func TestWritesGoToTheNewLeaderWhenTheOldIsPaused(t *testing.T) {
	inBubble(t, 3, func(t *testing.T, s *sim) {
		old, ids := s.named("leader"), s.followers()
		for _, id := range ids { // each has a session, and a stream to the leader
			if _, err := s.add(id, "bob", WriteOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		s.await("both have all of the log", func() bool { // else one of them cannot win
			end := s.node(old).engine().raft.LastIndex()
			return s.node(ids[0]).engine().raft.LastIndex() == end && s.node(ids[1]).engine().raft.LastIndex() == end
		})
		s.isolate(old)
		var all sync.WaitGroup
		for range 2 * maxForwards {
			all.Go(func() {
				began := time.Now()
				_, err := s.add(ids[0], "bob", WriteOptions{})
				if took := time.Since(began); err != nil || took > pingTimeout/2 {
					t.Errorf("a write in flight took %s: %v", took, err)
				}
			})
		}
		time.Sleep(10 * time.Millisecond)
		s.node(ids[1]).engine().campaign("a test says so")
		all.Wait()
	})
}

// Reads that find no leader each have their own 1.5 seconds, however late in a round they join.
func TestALateReaderHasItsTime(t *testing.T) {
	inBubble(t, 3, func(t *testing.T, s *sim) {
		id := s.followers()[0]
		s.isolate(id)
		s.await("no leader is known", func() bool { return s.node(id).engine().leaderID() == "" })
		var all sync.WaitGroup
		for _, late := range []time.Duration{0, 10, 750, 1450, 2900} {
			all.Go(func() {
				time.Sleep(late * time.Millisecond)
				began := time.Now()
				_, err := s.node(id).Read(context.Background(), ReadOptions{Level: Linearizable})
				took := time.Since(began)
				if kindOf(err) != KindNoLeader {
					t.Errorf("%v", err)
				}
				if took < readTimeout || took > 2*readTimeout {
					t.Errorf("a read that began at %d ms gave up after %s", late, took)
				}
			})
		}
		all.Wait()
	})
}
