package server

import (
	"context"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"todod/fsm"
)

// A member that is being removed is not given a vote in between, and one that was recorded as
// removed never again.
func TestARemovedNodeIsNotPromoted(t *testing.T) {
	inBubble(t, 4, func(t *testing.T, s *sim) {
		leader := s.leader()
		e, term := leader.engine(), leader.engine().term.Load()
		out := s.followers()[0]
		votes := func() bool {
			server, in := find(e.configuration(), out)
			return in && server.Suffrage == raft.Voter
		}
		term.changing <- struct{}{} // as remove holds it
		if err := e.raft.DemoteVoter(raft.ServerID(out), 0, 0).Error(); err != nil {
			t.Fatal(err)
		}
		for range 100 {
			if time.Sleep(promoteEvery); votes() {
				t.Fatal("given a vote during another change")
			}
		}
		m, _, err := term.member(out)
		if err != nil {
			t.Fatal(err)
		}
		m.Status = fsm.Removed
		if err := term.record(context.Background(), m); err != nil {
			t.Fatal(err)
		}
		<-term.changing // the leader died before it changed the configuration, say
		for range 100 {
			if time.Sleep(promoteEvery); votes() {
				t.Fatal("recorded as removed, and given a vote")
			}
		}
		s.await("it ends", func() bool { return s.node(out).Err() != nil })
		if _, in := find(e.configuration(), out); in {
			t.Error("recorded as removed, ended, and in the configuration")
		}
	})
}
