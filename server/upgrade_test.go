package server

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"todod/fsm"
)

// versions is a sim whose nodes are programs that read versions of a group up to different ones.
type versions struct {
	*sim
	program map[string]uint64
}

// inVersions runs a test on a group of three old programs.
func inVersions(t *testing.T, test func(v *versions)) {
	synctest.Test(t, func(t *testing.T) {
		v := &versions{newSim(t), map[string]uint64{}}
		for i := 1; i <= 3; i++ {
			if err := v.run(fmt.Sprintf("n%d", i), 1); err != nil {
				t.Fatal(err)
			}
		}
		v.await("all vote", func() bool {
			l := v.leader()
			return l != nil && len(voters(l.engine().configuration())) == 3 && l.engine().unchanging()
		})
		test(v)
	})
}

// run starts a node with a program.
func (v *versions) run(id string, reads uint64) error {
	v.program[id] = reads
	_, err := v.start(id, func(c *Config) {
		if c.reads = reads; id != "n1" {
			c.Join = []string{"n1:80", "n2:80"}
		}
	})
	return err
}

// replace gives a node another program.
func (v *versions) replace(id string, reads uint64) {
	v.t.Helper()
	v.crash(id)
	if err := v.run(id, reads); err != nil {
		v.t.Fatal(err)
	}
}

func (v *versions) version() uint64 {
	v.t.Helper()
	v.settle()
	return v.leader().Cluster().GroupVersion
}

// remains passes time in which the group could be raised and is not.
func (v *versions) remains(version uint64, why string) {
	v.t.Helper()
	time.Sleep(15 * time.Second)
	if got := v.version(); got != version {
		v.t.Fatalf("%s: the group is at version %d", why, got)
	}
}

func (v *versions) becomes(version uint64) {
	v.t.Helper()
	v.await(fmt.Sprint("version ", version), func() bool {
		l := v.leader()
		return l != nil && l.Cluster().GroupVersion == version
	})
	if got := v.version(); got != version {
		v.t.Errorf("the others are at version %d", got)
	}
}

func (v *versions) adds(ids ...string) {
	v.t.Helper()
	for _, id := range ids {
		if _, err := v.add(id, "bob", WriteOptions{}); err != nil {
			v.t.Errorf("add at %s: %v", id, err)
		}
	}
}

func wantExit(t *testing.T, err error, code int, says string) {
	t.Helper()
	var why *Exit
	if !errors.As(err, &why) || why.Code != code || !strings.Contains(why.Reason, says) {
		t.Errorf("it ended with %v, want code %d and %q", err, code, says)
	}
}

// Programs are replaced one by one: the version goes up when the last is, and each way back is open
// until then and closed afterwards.
func TestUpgradeInTurn(t *testing.T) {
	inVersions(t, func(v *versions) {
		v.replace("n1", 2)
		v.replace("n2", 2)
		v.adds("n1", "n2", "n3")
		v.remains(1, "n3 is old")
		v.replace("n1", 1) // back
		v.adds("n1", "n2", "n3")
		v.replace("n3", 3)
		v.remains(1, "n1 is old again")
		v.replace("n1", 2)
		v.becomes(2) // n3 could do with 3
		v.adds("n1", "n2", "n3")
		for _, m := range v.leader().Cluster().Members {
			if m.Reads != v.program[m.ID] {
				v.t.Errorf("%s reads %d by its members' word, is a program that reads %d", m.ID, m.Reads, v.program[m.ID])
			}
		}
		for _, id := range []string{"n1", "n2", "n3"} {
			v.crash(id)
			wantExit(v.t, v.run(id, 1), ExitFolderRefused, "the group is at version 2 and this todod reads up to 1: run a newer todod")
			if err := v.run(id, 2); err != nil {
				v.t.Fatal(err)
			}
		}
		v.check()
	})
}

// A member that cannot be asked keeps the version down, however it was last.
func TestUpgradeWaitsForEveryMember(t *testing.T) {
	inVersions(t, func(v *versions) {
		v.replace("n1", 2)
		v.replace("n2", 2)
		v.crash("n3")
		v.remains(1, "n3 is down")
		v.isolate("n3")
		if err := v.run("n3", 2); err != nil {
			v.t.Fatal(err)
		}
		time.Sleep(15 * time.Second)
		if got := v.leader().Cluster().GroupVersion; got != 1 {
			v.t.Fatalf("n3 is cut off: the group is at version %d", got)
		}
		v.net.heal()
		v.becomes(2)
		v.check()
	})
}

// Members leave the group as well: what is left can be raised.
func TestUpgradeWithoutARemovedMember(t *testing.T) {
	inVersions(t, func(v *versions) {
		v.replace("n1", 2)
		v.replace("n2", 2)
		v.crash("n3")
		v.remains(1, "n3 is old and down")
		if err := v.leader().RemoveMember(context.Background(), "n3"); err != nil {
			v.t.Fatal(err)
		}
		v.becomes(2)
	})
}

// A node that cannot read the group's version is not let in; a newer one is.
func TestUpgradeJoin(t *testing.T) {
	inVersions(t, func(v *versions) {
		for _, id := range []string{"n1", "n2", "n3"} {
			v.replace(id, 2)
		}
		v.becomes(2)
		if err := v.run("n4", 1); err != nil {
			v.t.Fatal(err)
		}
		v.await("n4 to end", func() bool { return v.node("n4").Err() != nil })
		wantExit(v.t, v.node("n4").Err(), ExitFolderRefused, "the group is at version 2 and the todod of node n4 reads up to 1: start the node with a newer todod")
		if err := v.run("n5", 3); err != nil {
			v.t.Fatal(err)
		}
		v.await("n5 to vote", func() bool { return len(voters(v.leader().engine().configuration())) == 4 })
		v.adds("n5")
	})
}

// The leader raises the version while it still believes what a member said before it was set back: that
// member ends with a sentence, before it applies anything.
func TestUpgradeCrossesADowngrade(t *testing.T) {
	inVersions(t, func(v *versions) {
		v.replace("n1", 2)
		v.replace("n2", 2)
		v.await("another than n3 to lead", func() bool {
			l := v.leader()
			if l != nil && l.id == "n3" {
				_ = l.Transfer(context.Background(), "") // tried until it works
			}
			return l != nil && l.id != "n3"
		})
		e := v.leader().engine()
		term := e.term.Load()
		term.changing <- struct{}{} // another change of the group keeps the version from being raised
		v.replace("n3", 2)
		v.await("n3 to say what it reads", func() bool { return e.allRead() == 2 })
		v.isolate("n3") // silent, not refusing: the leader does not know
		v.crash("n3")
		if err := v.run("n3", 1); err != nil {
			v.t.Fatal(err)
		}
		<-term.changing
		v.await("version 2", func() bool {
			l := v.leader()
			return l != nil && l.Cluster().GroupVersion == 2
		})
		v.net.heal()
		v.await("n3 to end", func() bool { return v.node("n3").Err() != nil })
		wantExit(v.t, v.node("n3").Err(), ExitFolderRefused, "the group is at version 2 and this todod reads up to 1")
		v.adds("n1", "n2")
		v.crash("n3")
		err := v.run("n3", 1) // again: it has it in its log alone
		if err == nil {
			v.await("n3 to end again", func() bool { return v.node("n3").Err() != nil })
			err = v.node("n3").Err()
			v.crash("n3")
		}
		wantExit(v.t, err, ExitFolderRefused, "the group is at version 2")
		if err := v.run("n3", 2); err != nil {
			v.t.Fatal(err)
		}
		v.check()
	})
}

// A command that the leader does not know is refused before it is proposed, wherever it comes from, and
// no node ends of it (Nomad #26425; rqlite goes on without it).
func TestUnknownCommandIsNotProposed(t *testing.T) {
	inVersions(t, func(v *versions) {
		add := addCommand("bob", "x")
		for _, id := range []string{v.leader().id, v.followers()[0]} {
			n := v.node(id)
			for _, cmd := range []fsm.Command{
				{Type: fsm.TypeTodo, Version: 9, Payload: fsm.EncodeTodo(&add)},
				{Type: 99, Version: 1},
			} {
				w := write{n: n, e: n.engine(), list: "bob", ops: 1, cmd: cmd}
				ctx, cancel := n.deadline(context.Background())
				began := time.Now()
				_, err := w.run(ctx)
				cancel()
				failed := AsError(err)
				if err == nil || failed.Kind != KindVersion || failed.Outcome != NotApplied || !strings.Contains(failed.Detail, "on every node of the group first") {
					v.t.Errorf("at %s, type %d: %v", id, cmd.Type, err)
				}
				if took := time.Since(began); took > 100*time.Millisecond {
					v.t.Errorf("the refusal took %v", took)
				}
			}
		}
		v.adds("n1", "n2", "n3")
		v.check()
		for _, id := range v.running() {
			if err := v.node(id).Err(); err != nil {
				v.t.Errorf("%s ended: %v", id, err)
			}
		}
	})
}
