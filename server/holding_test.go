package server

import (
	"context"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// slowReplicas is a group of three that cuts its logs at every turn, where a large piece takes its time, and whose logs were cut
// while a node was away; others write meanwhile, until stop is called.
func slowReplicas(t *testing.T) (s *sim, away string, stop func()) {
	t.Helper()
	s = newSim(t)
	s.set = func(c *Config) {
		c.SnapshotEntries, c.TrailingLogs = 64, 16
		dial := c.Dial
		c.Dial = func(ctx context.Context, addr string) (net.Conn, error) {
			conn, err := dial(ctx, addr)
			return &halting{conn, func() { time.Sleep(replicaSilence / 2) }}, err
		}
	}
	s.group(3)
	away = s.followers()[0]
	s.crash(away)
	for range 500 {
		if _, err := s.add(s.named("leader"), "bob", WriteOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	s.await("the log to be cut", func() bool { return first(s.leader().engine().logs.FirstIndex()) > 300 })
	return s, away, s.load(4)
}

// A node that gets the replica gets what follows it too, however long it took and whatever was written meanwhile: the log
// is not cut before that. Else it would be sent the next replica, and so on for as long as others write.
func TestTheLogWaitsForWhoGetsAReplica(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, away, stop := slowReplicas(t)
		began, at := time.Now(), s.leader().engine().raft.LastIndex()
		n, err := s.start(away, nil)
		if err != nil {
			t.Fatal(err)
		}
		e := s.leader().engine()
		s.await("it to have caught up", func() bool {
			applied, _ := n.engine().replica.Applied()
			return applied > at && applied+32 > e.raft.LastIndex()
		})
		if took, count := time.Since(began), e.sendings.count(away); count != 1 {
			t.Errorf("it took %s and %d replicas", took, count)
		}
		if e.raft.LastIndex() < at+200 {
			t.Error("nothing was written meanwhile that the log would have been cut of")
		}
		s.await("the log to be cut again", func() bool { return first(e.logs.FirstIndex()) > at+16 })
		stop()
		s.check()
	})
}

// The log is cut all the same where it grew by as much as it may, where the disk has no room for it, and once a node has had its time.
func TestTheLogDoesNotWaitForEver(t *testing.T) {
	inBubble(t, 3, func(t *testing.T, s *sim) {
		e := s.leader().engine()
		_, rc, err := e.held.snapshots(e.replica.Snapshots()).Open("replica")
		if err != nil {
			t.Fatal(err)
		}
		keeps := func(want bool, why string) {
			t.Helper()
			if got := e.keepsLog(); got != want {
				t.Errorf("%s: kept %v", why, got)
			}
		}
		keeps(true, "a replica is on its way")
		e.logs.bytes.Add(heldBytes)
		keeps(false, "it grew by as much as it may")
		e.logs.bytes.Add(-heldBytes)
		e.storage.low.Store(true)
		keeps(false, "the disk is full")
		e.storage.low.Store(false)
		keeps(true, "there is room again")
		e.held.came("n9") // which never says how far it is
		if err := rc.Close(); err != nil {
			t.Error(err)
		}
		time.Sleep(heldFor - time.Second)
		keeps(true, "a node that got it is behind")
		time.Sleep(time.Second)
		keeps(false, "that node had its time")
		e.held.came("n9")
		keeps(true, "that node got another")
		e.held.hasAll("n9")
		keeps(false, "it has what it needs")
		if _, _, err := e.held.snapshots(e.replica.Snapshots()).Open("received"); err == nil {
			t.Error("there is a received replica")
		}
		keeps(false, "nothing was opened")
	})
}
