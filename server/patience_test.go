package server

import (
	"context"
	"sync"
	"testing"
	"time"
)

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
