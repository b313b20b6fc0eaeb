package server

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"todod/server/peer"
)

func TestAddMemberRefusals(t *testing.T) {
	inBubble(t, 3, func(t *testing.T, s *sim) {
		folder := s.node("n2").identity().Folder
		good := JoinRequest{ID: "n9", HTTP: "n9:80", Raft: "n9:70", Folder: "F9"}
		cases := []struct {
			name string
			set  func(*JoinRequest)
			kind Kind
		}{
			{"no id", func(r *JoinRequest) { r.ID = "" }, KindInvalid},
			{"a bad id", func(r *JoinRequest) { r.ID = "../n9" }, KindInvalid},
			{"no port", func(r *JoinRequest) { r.Raft = "n9" }, KindInvalid},
			{"no host", func(r *JoinRequest) { r.HTTP = ":80" }, KindInvalid},
			{"no folder", func(r *JoinRequest) { r.Folder = "" }, KindInvalid},
			{"another group's folder", func(r *JoinRequest) { r.Group = "other" }, KindConflict},
			{"an id in use", func(r *JoinRequest) { r.ID = "n2" }, KindConflict},
			{"a folder in use", func(r *JoinRequest) { r.Folder = folder }, KindConflict},
			{"an http address in use", func(r *JoinRequest) { r.HTTP = "n2:80" }, KindConflict},
			{"a raft address in use", func(r *JoinRequest) { r.Raft = "n1:70" }, KindConflict},
		}
		for _, c := range cases {
			for _, at := range []string{s.named("leader"), s.followers()[0]} {
				req := good
				c.set(&req)
				if _, err := s.node(at).AddMember(context.Background(), req); kindOf(err) != c.kind || AsError(err).Outcome != NotApplied {
					t.Errorf("%s, asked at %s: %v", c.name, at, err)
				}
			}
		}
		if n := len(s.leader().engine().configuration().Servers); n != 3 {
			t.Errorf("%d members", n)
		}
	})
}

// Who is left must be able to go on; a removed node is told, and its folder may not come back.
func TestRemoveMember(t *testing.T) {
	inBubble(t, 3, func(t *testing.T, s *sim) {
		ctx := context.Background()
		ids := s.followers()
		remove := func(id string) error { return s.node(s.named("leader")).RemoveMember(ctx, id) }
		if err := remove("n9"); kindOf(err) != KindNotFound {
			t.Errorf("a node nobody knows: %v", err)
		}
		s.crash(ids[0])
		time.Sleep(3 * time.Second)
		if err := remove(ids[1]); kindOf(err) != KindConflict {
			t.Errorf("one of two voters left would be dead: %v", err)
		}
		if err := remove(ids[0]); err != nil { // the dead one may go
			t.Errorf("the dead one: %v", err)
		}
		if err := remove(ids[0]); err != nil {
			t.Errorf("again: %v", err)
		}
		n, err := s.start(ids[0], nil) // it did not hear of it
		if err != nil {
			t.Fatal(err)
		}
		<-n.Done()
		if why := n.Err(); why.Code != ExitFolderRefused {
			t.Errorf("ended with %+v", why)
		}
		s.crash(ids[0])
		if _, err := s.start(ids[0], nil); err == nil || asExit(err).Code != ExitFolderRefused {
			t.Errorf("started again: %v", err)
		}
		if err := remove(ids[1]); err != nil {
			t.Errorf("the second of two: %v", err)
		}
		<-s.node(ids[1]).Done()
		if why := s.node(ids[1]).Err(); why.Code != 0 {
			t.Errorf("a node that was told ended with %+v", why)
		}
		if err := remove(s.named("leader")); kindOf(err) != KindConflict {
			t.Errorf("the last voter: %v", err)
		}
	})
}

// A node that asked to leave ends well, also where the word of the leader is later than a handshake that turns it away.
func TestLeaverIsTurnedAway(t *testing.T) {
	inBubble(t, 5, func(t *testing.T, s *sim) {
		followers := s.followers()
		for i, want := range []int{0, ExitFolderRefused} {
			n := s.node(followers[i])
			if want == 0 {
				n.leaving.Store(true) // as RemoveMember does before it asks
			}
			n.refusedBy(&peer.Refused{Reason: peer.Removed, By: peer.Identity{Group: "another"}})
			n.refusedBy(&peer.Refused{Reason: peer.Group, By: n.identity()})
			if n.Err() != nil {
				t.Errorf("turned away for another reason, it ended with %+v", n.Err())
			}
			n.refusedBy(&peer.Refused{Reason: peer.Removed, By: n.identity()})
			<-n.Done()
			if why := n.Err(); why.Code != want {
				t.Errorf("ended with %+v, want the code %d", why, want)
			}
			s.crash(followers[i])
		}
	})
}

// A node is taken out before the first entry of the log has reached it. It knows none of those who
// could tell it: it asks those whom it asked to be let in.
func TestRemovedBeforeTheLogCame(t *testing.T) {
	inBubble(t, 3, func(t *testing.T, s *sim) {
		s.ids = append(s.ids, "n9")
		s.skew["n9"] = new(atomic.Int64)
		s.isolate("n9")
		n, err := s.start("n9", func(c *Config) { c.Join = []string{"n1:80", "n2:80"} })
		if err != nil {
			t.Fatal(err)
		}
		s.await("let in", func() bool { _, in := find(s.leader().engine().configuration(), "n9"); return in && n.engine() != nil })
		if err := s.leader().RemoveMember(context.Background(), "n9"); err != nil {
			t.Fatal(err)
		}
		s.ends(n, 5*time.Second)
	})
}

// A node that ends as leadership is to be handed over does not wait for an answer that nobody gives.
func TestStopAsLeadershipIsHandedOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t)
		var begun chan struct{}
		s.set = func(c *Config) {
			c.step = func(ctx context.Context, at string) {
				if at == "transfer: begun" {
					close(begun)
					<-ctx.Done()
					time.Sleep(time.Millisecond) // until Raft has ended, unless it waits for this
				}
			}
		}
		s.group(3)
		for range 10 { // Raft takes what comes at its end, or refuses it, as it happens
			time.Sleep(2 * pingEvery) // until each knows of all
			begun = make(chan struct{})
			id := s.named("leader")
			answered := make(chan error, 1)
			go func() { answered <- s.node(id).Transfer(context.Background(), "") }()
			<-begun
			s.crash(id)
			select {
			case err := <-answered:
				if err == nil {
					t.Error("it was handed over by a node that had ended")
				}
			case <-time.After(time.Minute):
				t.Fatal("a transfer has no end")
			}
			if _, err := s.start(id, nil); err != nil {
				t.Fatal(err)
			}
		}
		s.check()
	})
}

// A member that comes back at another address says so, and is found there.
func TestAddressChange(t *testing.T) {
	inBubble(t, 3, func(t *testing.T, s *sim) {
		id := s.followers()[0]
		s.crash(id)
		if _, err := s.start(id, func(c *Config) {
			c.AdvertiseHTTP, c.AdvertiseRaft = id+"b:80", id+"b:70"
			c.Listener = s.net.listen(id + "b:70")
			c.Dial = s.dialFrom(id + "b:70")
		}); err != nil {
			t.Fatal(err)
		}
		s.await("the new address", func() bool {
			for _, m := range s.leader().Cluster().Members {
				if m.ID == id {
					return m.HTTP == id+"b:80" && m.Raft == id+"b:70" && *m.Alive
				}
			}
			return false
		})
		if _, err := s.add(id, "bob", WriteOptions{}); err != nil {
			t.Error(err)
		}
	})
}

// Three nodes found one group, in whatever order they start; if one is started again in the middle
// or has a group already, they still end in one.
func TestBootstrapExpect(t *testing.T) {
	all := []string{"n1:80", "n2:80", "n3:80"}
	expect := func(c *Config) { c.Join, c.BootstrapExpect = all, 3 }
	for i, order := range [][]string{{"n1", "n2", "n3"}, {"n3", "n2", "n1"}, {"n2", "n1", "n3"}} {
		for _, how := range []string{"plain", "restarted", "has a group"} {
			t.Run(fmt.Sprint(i, " ", how), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := newSim(t)
					start := func(id string, set func(*Config)) {
						if _, err := s.start(id, set); err != nil {
							t.Fatal(err)
						}
					}
					if how == "has a group" {
						start(order[0], nil)
						if _, err := s.add(order[0], "bob", WriteOptions{}); err != nil {
							t.Fatal(err)
						}
						s.crash(order[0])
					}
					for _, id := range order[:2] {
						start(id, expect)
						time.Sleep(300 * time.Millisecond)
					}
					if how != "has a group" && slices.ContainsFunc(order[:2], func(id string) bool { return s.node(id).engine() != nil }) {
						t.Error("two of three founded a group")
					}
					if how == "restarted" {
						s.crash(order[1])
						start(order[2], expect)
						time.Sleep(time.Second)
						start(order[1], expect)
					} else {
						start(order[2], expect)
					}
					s.await("three voters", func() bool {
						l := s.leader()
						return l != nil && len(voters(l.engine().configuration())) == 3
					})
					for _, id := range s.ids {
						s.await(id+" in the group", func() bool { return s.node(id).groupID() == s.leader().groupID() })
						if _, err := s.add(id, "bob", WriteOptions{}); err != nil {
							t.Errorf("a write at %s: %v", id, err)
						}
					}
					s.check()
				})
			})
		}
	}
}

// A group of one that was never written to joins another; refused, it is a group of one again;
// asked but not answered, it goes on asking after a crash.
func TestJoinGroup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t)
		ctx := context.Background()
		for _, id := range []string{"n1", "n2", "n3", "n4"} {
			if _, err := s.start(id, nil); err != nil {
				t.Fatal(err)
			}
			s.await("a group of one", func() bool { return s.node(id).Ready() == nil && s.node(id).engine().term.Load() != nil })
		}
		for id, addr := range map[string]string{"n1": "n1:80", "n2": "n9:80"} {
			if err := s.node(id).JoinGroup(ctx, addr); err == nil {
				t.Errorf("%s joined %s", id, addr)
			}
		}
		if err := s.node("n2").JoinGroup(ctx, "n1:80"); err != nil {
			t.Fatal(err)
		}
		if s.node("n2").groupID() != s.node("n1").groupID() {
			t.Error("joined, and of another group")
		}
		s.await("n2 knows of two voters", func() bool { return len(voters(s.node("n2").engine().configuration())) == 2 })
		if err := s.node("n2").JoinGroup(ctx, "n3:80"); kindOf(err) != KindConflict {
			t.Errorf("a member of two: %v", err)
		}
		refused(t, s)
		resumed(t, s)
		if _, err := s.add("n1", "bob", WriteOptions{}); err != nil {
			t.Fatal(err)
		}
		s.check()
	})
}

// refused has n3 ask under an address that is in use.
func refused(t *testing.T, s *sim) {
	n := s.node("n3")
	former := n.groupID()
	n.cfg.AdvertiseHTTP = "n2:80"
	if err := n.JoinGroup(context.Background(), "n1:80"); kindOf(err) != KindConflict {
		t.Errorf("an address in use: %v", err)
	}
	s.await("a group of one again", func() bool { return n.Ready() == nil })
	if n.groupID() != former {
		t.Errorf("of group %s, was of %s", n.groupID(), former)
	}
	if _, err := n.Write(context.Background(), addCommand("x", "y"), WriteOptions{}); err != nil {
		t.Errorf("a write: %v", err)
	}
	if err := n.JoinGroup(context.Background(), "n1:80"); kindOf(err) != KindConflict || !strings.Contains(err.Error(), "entries") {
		t.Errorf("a node that holds entries: %v", err)
	}
	s.crash("n3") // a group of its own
}

// resumed has n4 ask a group that cannot answer, and die meanwhile.
func resumed(t *testing.T, s *sim) {
	s.isolate("n1") // of two: no majority
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	err := s.node("n4").JoinGroup(ctx, "n1:80")
	if e := AsError(err); err == nil || e.Outcome != UnknownOutcome {
		t.Errorf("no answer: %v", err)
	}
	if _, err := s.node("n4").Write(context.Background(), addCommand("x", "y"), WriteOptions{}); kindOf(err) != KindJoining {
		t.Errorf("a write while joining: %v", err)
	}
	s.crash("n4")
	if n, err := s.start("n4", nil); err != nil || n.Cluster().State != StateJoining {
		t.Fatalf("%v", err)
	}
	s.net.heal()
	s.await("three voters", func() bool {
		l := s.leader()
		return l != nil && l.groupID() == s.node("n1").groupID() && len(voters(l.engine().configuration())) == 3
	})
}

// Nodes come and go: what is left of one that went is no connection. Raft keeps up to three to each
// address that it ever spoke to.
func TestNoConnectionToWhoWent(t *testing.T) {
	inBubble(t, 3, func(t *testing.T, s *sim) {
		gone := s.followers()[0]
		addr := s.node(gone).advertise
		// Each has led, and has asked for votes.
		for _, id := range s.running() {
			if err := s.node(s.named("leader")).Transfer(context.Background(), id); err != nil && s.leader().id != id {
				t.Fatal(err)
			}
			s.await(id+" leads", func() bool { l := s.leader(); return l != nil && l.id == id })
		}
		if err := s.node(s.named("leader")).RemoveMember(context.Background(), gone); err != nil {
			t.Fatal(err)
		}
		s.await("nobody is connected with "+gone, func() bool {
			s.net.mu.Lock()
			defer s.net.mu.Unlock()
			for c := range s.net.conns {
				if c.remote == addr {
					return false
				}
			}
			return true
		})
	})
}
