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

// A machine that lost its power counts as alive for two seconds. In them nobody is taken out on whom the
// majority hangs then, and it is given no vote.
func TestVanishedIsNotAlive(t *testing.T) {
	inBubble(t, 3, func(t *testing.T, s *sim) {
		leader, ids := s.named("leader"), s.followers()
		s.isolate(ids[0])
		if !s.node(leader).engine().monitor.alive(ids[0]) {
			t.Fatal("it is known already that it vanished")
		}
		if err := s.node(leader).RemoveMember(context.Background(), ids[1]); kindOf(err) != KindConflict {
			t.Errorf("the one that the majority hangs on: %v", err)
		}
		s.mustAdd(ids[1], 3)
	})
	inBubble(t, 2, func(t *testing.T, s *sim) {
		leader, guest := s.leader(), s.followers()[0]
		e, term := leader.engine(), leader.engine().term.Load()
		term.changing <- struct{}{}
		if err := e.raft.DemoteVoter(raft.ServerID(guest), 0, 0).Error(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * pingEvery)
		s.isolate(guest)
		<-term.changing
		for range 30 {
			time.Sleep(100 * time.Millisecond)
			if v := voters(e.configuration()); len(v) != 1 {
				t.Fatal("a node that vanished was given a vote")
			}
		}
		s.mustAdd(leader.id, 3)
	})
}
