package server

import (
	"context"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"
)

// A node died while it founded its group, when Raft had stored its first term but no configuration:
// it founds the group when it comes back.
func TestAFolderHalfFounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t)
		f, err := openFolder(filepath.Join(s.dir, "n1"), "n1")
		if err != nil {
			t.Fatal(err)
		}
		if err := f.change(func(st *folderState) { st.Phase, st.Group = phaseFounding, "G" }); err != nil {
			t.Fatal(err)
		}
		logs, err := openLogStore(filepath.Join(f.dir, logName), true, newUnderway(), func(err error) { t.Error(err) })
		if err != nil {
			t.Fatal(err)
		}
		if err := logs.SetUint64([]byte("CurrentTerm"), 1); err != nil { // the first that BootstrapCluster does
			t.Fatal(err)
		}
		if has, err := raft.HasExistingState(logs, logs, raft.NewInmemSnapshotStore()); err != nil || !has {
			t.Fatal("Raft does not take the term for a state: the case is none", err)
		}
		if err := logs.Close(); err != nil {
			t.Fatal(err)
		}
		if err := f.close(); err != nil {
			t.Fatal(err)
		}
		if _, err := s.start("n1", nil); err != nil {
			t.Fatal(err)
		}
		if took := s.acknowledged("n1"); took > time.Second {
			t.Errorf("a write took %s", took)
		}
		if got := s.node("n1").groupID(); got != "G" {
			t.Errorf("the group is %s now", got)
		}
		s.check()
	})
}

// heldContacts answers only when told to.
type heldContacts struct {
	simContacts
	asked, answer chan struct{}
}

func (c heldContacts) Cluster(ctx context.Context, addr string) (Cluster, error) {
	close(c.asked)
	<-c.answer
	return c.simContacts.Cluster(ctx, addr)
}

// While a group of one looks for the group that it is to join, another node joins it: they stay
// together, and the first is not let go with the other left behind.
func TestJoinWhileJoined(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t)
		s.group(1)
		held := heldContacts{simContacts{s, "n2"}, make(chan struct{}), make(chan struct{})}
		if _, err := s.start("n2", func(c *Config) { c.Contacts = held }); err != nil {
			t.Fatal(err)
		}
		s.await("a group of one", func() bool { return s.node("n2").Ready() == nil })
		joined := make(chan error)
		go func() { joined <- s.node("n2").JoinGroup(context.Background(), "n1:80") }()
		<-held.asked
		if _, err := s.start("n3", func(c *Config) { c.Join = []string{"n2:80"} }); err != nil {
			t.Fatal(err)
		}
		s.await("n3 is in", func() bool { return s.node("n3").groupID() != "" })
		close(held.answer)
		if err := <-joined; kindOf(err) != KindConflict {
			t.Errorf("a node that another has just joined was let go: %v", err)
		}
		if took := s.acknowledged("n3"); took > 5*time.Second {
			t.Errorf("a write at n3 took %s", took)
		}
		if a, b := s.node("n2").groupID(), s.node("n3").groupID(); a != b {
			t.Errorf("n2 is of group %s, n3 of %s", a, b)
		}
	})
}
