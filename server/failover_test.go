package server

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"
	"github.com/prometheus/client_golang/prometheus"
)

// total is the sum of a node's counter.
func (s *sim) total(id, name string) (sum float64) {
	s.t.Helper()
	families, err := s.node(id).cfg.Metrics.(prometheus.Gatherer).Gather()
	if err != nil {
		s.t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			for _, m := range f.GetMetric() {
				sum += m.GetCounter().GetValue()
			}
		}
	}
	return sum
}

// campaigns are those that all running nodes began.
func (s *sim) campaigns() (sum float64) {
	for _, id := range s.running() {
		sum += s.total(id, "todod_campaigns_total")
	}
	return sum
}

// quiet runs what must not lead to an election, under load, and looks for one meanwhile.
func (s *sim) quiet(disturb func(leader string)) {
	s.t.Helper()
	stop := s.load(4)
	defer stop()
	leader := s.leader()
	term, before := leader.engine().raft.CurrentTerm(), s.campaigns()
	disturb(leader.id)
	time.Sleep(4 * electionTimeout)
	now := s.leader()
	if now != leader || now.engine().raft.CurrentTerm() != term {
		s.t.Errorf("%s led in term %d; now %s in term %d", leader.id, term, s.named("leader"), s.leader().engine().raft.CurrentTerm())
	}
	if n := s.campaigns() - before; n != 0 {
		s.t.Errorf("%v campaigns", n)
	}
}

// load has writers add through every node; stop ends it.
func (s *sim) load(writers int) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	ids := append([]string(nil), s.ids...)
	for i := range writers {
		all.Go(func() {
			for n := 0; wait(ctx, 5*time.Millisecond); n++ {
				_, _ = s.add(ids[(i+n)%len(ids)], fmt.Sprintf("l%d", n%7), WriteOptions{}) // add keeps account
			}
		})
	}
	return func() { cancel(); all.Wait() }
}

// acknowledged is how long it takes until a write at a node is acknowledged.
func (s *sim) acknowledged(id string) time.Duration {
	s.t.Helper()
	began := time.Now()
	for {
		if _, err := s.add(id, "bob", WriteOptions{}); err == nil {
			return time.Since(began)
		}
		if time.Since(began) > time.Minute {
			s.t.Fatal("no write was acknowledged for a minute")
		}
	}
}

// followers are running nodes that do not lead.
func (s *sim) followers() (ids []string) {
	s.t.Helper()
	leader := s.named("leader")
	for _, id := range s.running() {
		if id != leader {
			ids = append(ids, id)
		}
	}
	return ids
}

func inBubble(t *testing.T, size int, f func(t *testing.T, s *sim)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t)
		s.group(size)
		time.Sleep(2 * pingEvery) // until each knows of all
		f(t, s)
		s.net.heal()
		s.check()
	})
}

// The life of a leader ends as with kill -9; how long until the next write is acknowledged?
func TestFailoverTime(t *testing.T) {
	for _, size := range []int{3, 5} {
		for _, writers := range []int{0, 16} {
			t.Run(fmt.Sprintf("%d nodes, %d writers", size, writers), func(t *testing.T) {
				inBubble(t, size, func(t *testing.T, s *sim) {
					stop := s.load(writers)
					defer stop()
					var longest time.Duration
					for range 5 {
						old := s.named("leader")
						s.crash(old)
						longest = max(longest, s.acknowledged(s.running()[0]))
						time.Sleep(50 * time.Millisecond)
						if _, err := s.start(old, nil); err != nil {
							t.Fatal(err)
						}
						s.await("the old leader follows", func() bool { return s.node(old).Ready() == nil })
						time.Sleep(2 * pingEvery)
					}
					if longest > 100*time.Millisecond {
						t.Errorf("up to %s passed until a write was acknowledged", longest)
					}
					t.Log("at most", longest)
				})
			})
		}
	}
}

func TestFailoverFalseAlarm(t *testing.T) {
	for _, size := range []int{3, 5} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			inBubble(t, size, func(t *testing.T, s *sim) {
				for range 5 {
					s.quiet(func(leader string) { s.net.sever(leader+":70", "") })
				}
			})
		})
	}
}

// Two start an election at the same moment, with the leader alive and with it dead: one
// of them leads soon, nothing is lost.
func TestFailoverTwoCampaigns(t *testing.T) {
	for _, dead := range []bool{false, true} {
		t.Run(fmt.Sprintf("leader dead: %v", dead), func(t *testing.T) {
			inBubble(t, 5, func(t *testing.T, s *sim) {
				stop := s.load(8)
				defer stop()
				for range 5 {
					old := s.named("leader")
					ids := s.followers()
					term := s.node(ids[0]).engine().raft.CurrentTerm()
					if dead {
						s.crash(old)
					}
					var both sync.WaitGroup
					for _, id := range ids[:2] {
						both.Go(func() { s.node(id).engine().campaign("a test says so") })
					}
					both.Wait()
					s.await("a leader of a newer term", func() bool {
						l := s.leader()
						return l != nil && l.engine().raft.CurrentTerm() > term
					})
					if took := s.acknowledged(ids[0]); took > 3*time.Second {
						t.Errorf("a write took %s", took)
					}
					if dead {
						if _, err := s.start(old, nil); err != nil {
							t.Fatal(err)
						}
					}
					time.Sleep(2 * pingEvery)
				}
			})
		})
	}
}

// A leader that is back within the same millisecond, with another boot ID, leads no longer: its
// survivors do not wait for the heartbeat to find out.
func TestFailoverLeaderRestarted(t *testing.T) {
	for _, size := range []int{3, 5} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			inBubble(t, size, func(t *testing.T, s *sim) {
				stop := s.load(4)
				defer stop()
				for range 5 {
					old := s.named("leader")
					at := s.followers()[0]
					s.crash(old)
					if _, err := s.start(old, nil); err != nil {
						t.Fatal(err)
					}
					if took := s.acknowledged(at); took > 2*rankPause {
						t.Errorf("a write took %s after the leader was restarted", took)
					}
					time.Sleep(2 * pingEvery)
				}
			})
		})
	}
}

func TestFailoverListenerGone(t *testing.T) {
	inBubble(t, 3, func(t *testing.T, s *sim) {
		s.quiet(func(leader string) { s.net.deafen(leader + ":70") })
		// One follower loses its stream and is refused: the other still has its own, so
		// there is no majority.
		s.quiet(func(leader string) { s.net.sever(s.followers()[0]+":70", leader+":70") })
		// All are refused: a majority takes the leader for dead, and the one that it was
		// gives way. That is one election; nothing is lost.
		old := s.named("leader")
		stop := s.load(4)
		defer stop()
		s.net.sever(old+":70", "")
		s.await("another leader", func() bool { l := s.leader(); return l != nil && l.id != old })
		stop()
		s.crash(old) // nobody reaches it
		if _, err := s.start(old, nil); err != nil {
			t.Fatal(err)
		}
	})
}

// Some of the survivors are refused by a leader that the others see alive.
func TestFailoverDisagreement(t *testing.T) {
	for size, blind := range map[int]int{3: 1, 5: 2} {
		t.Run(fmt.Sprintf("%d of %d", blind, size), func(t *testing.T) {
			inBubble(t, size, func(t *testing.T, s *sim) {
				s.quiet(func(leader string) {
					for _, id := range s.followers()[:blind] {
						s.net.refused(id+":70", leader+":70")
						s.net.sever(id+":70", leader+":70")
					}
				})
			})
		})
	}
}

// The leader is dead, but its survivors cannot speak with each other: neither campaigns.
func TestFailoverSurvivorsApart(t *testing.T) {
	inBubble(t, 3, func(t *testing.T, s *sim) {
		ids, old := s.followers(), s.named("leader")
		s.net.cutOff(ids[0]+":70", []string{ids[1] + ":70"})
		s.crash(old)
		time.Sleep(3 * time.Second)
		if n := s.campaigns(); n > 1 { // of the first node, when it founded the group
			t.Errorf("%v campaigns", n)
		}
		if s.leader() != nil {
			t.Errorf("%s leads alone", s.leader().id)
		}
		s.net.heal()
		if _, err := s.start(old, nil); err != nil {
			t.Fatal(err)
		}
	})
}

func TestFailoverThreeOfFive(t *testing.T) {
	inBubble(t, 5, func(t *testing.T, s *sim) {
		old, ids := s.named("leader"), s.followers()
		s.crash(ids[0])
		s.crash(ids[1])
		s.crash(old)
		began := time.Now()
		_, err := s.add(ids[2], "bob", WriteOptions{})
		if err == nil || time.Since(began) < 4*time.Second {
			t.Fatalf("a write with two of five alive: %v after %s", err, time.Since(began))
		}
		if f := AsError(err); f.Outcome != NotApplied && f.Outcome != UnknownOutcome {
			t.Errorf("outcome %s", f.Outcome)
		}
		if s.leader() != nil {
			t.Errorf("%s leads two of five", s.leader().id)
		}
		if _, err := s.start(old, nil); err != nil {
			t.Fatal(err)
		}
		if took := s.acknowledged(ids[3]); took > 5*time.Second {
			t.Errorf("with three of five alive again a write took %s", took)
		}
		for _, id := range ids[:2] {
			if _, err := s.start(id, nil); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestFailoverFollowerDead(t *testing.T) {
	inBubble(t, 3, func(t *testing.T, s *sim) {
		dead := s.followers()[0]
		s.quiet(func(string) { s.crash(dead) })
		for _, id := range s.running() {
			var down []string
			for _, e := range first(s.node(id).events.since(0)) {
				if e.Type == NodeDown {
					down = append(down, e.Node)
				}
			}
			if strings.Join(down, " ") != dead {
				t.Errorf("%s saw go down: %q", id, down)
			}
		}
		if _, err := s.start(dead, nil); err != nil {
			t.Fatal(err)
		}
	})
}

// A member without a vote finds its leader dead like all others, and leaves the election to them.
func TestFailoverNonvoter(t *testing.T) {
	inBubble(t, 4, func(t *testing.T, s *sim) {
		s.await("n1 leads", func() bool {
			l := s.leader()
			return l != nil && (l.id == "n1" || l.Transfer(context.Background(), "n1") == nil && false)
		})
		leader, plain := s.node("n1").engine(), s.node("n4").engine()
		isPlain := func() bool {
			server, _ := find(plain.configuration(), "n4")
			return server.Suffrage == raft.Nonvoter
		}
		s.await("n4 has no vote", func() bool { // its leader gives it one again before long
			return leader.raft.DemoteVoter("n4", 0, 0).Error() == nil && isPlain()
		})
		term := plain.raft.CurrentTerm()
		s.crash("n1")
		if plain.monitor.mayFollow("n1", term) {
			t.Error("a member without a vote may stand for election")
		}
		s.await("another leader", func() bool { return s.leader() != nil })
		if n := s.total("n4", "todod_campaigns_total"); n != 0 {
			t.Errorf("a member without a vote began %v elections", n)
		}
		if took := s.acknowledged("n4"); took > 2*rankPause {
			t.Errorf("a write took %s", took)
		}
		if _, err := s.start("n1", nil); err != nil {
			t.Fatal(err)
		}
	})
}

// What must hold just before an election is begun, whatever came since the poll.
func TestFailoverGuards(t *testing.T) {
	inBubble(t, 3, func(t *testing.T, s *sim) {
		leader, ids := s.named("leader"), s.followers()
		m := s.node(ids[0]).engine().monitor
		term := m.e.raft.CurrentTerm()
		cases := []struct {
			name   string
			m      *monitor
			leader string
			term   uint64
			want   bool
		}{
			{"follower of the dead leader", m, leader, term, true},
			{"another leads", m, ids[1], term, false},
			{"the term moved on", m, leader, term - 1, false},
			{"this node leads", s.node(leader).engine().monitor, leader, term, false},
		}
		for _, c := range cases {
			if got := c.m.mayFollow(c.leader, c.term); got != c.want {
				t.Errorf("%s: %v", c.name, got)
			}
		}
		// One attempt for each incarnation.
		m.mu.Lock()
		p := m.peers[leader]
		p.gone, p.attempted = p.boot, p.boot
		m.mu.Unlock()
		before := s.campaigns()
		m.bereaved(p)
		time.Sleep(time.Second)
		if s.campaigns() != before {
			t.Error("a second attempt for one incarnation")
		}
	})
}
