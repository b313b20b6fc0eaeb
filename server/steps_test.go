package server

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"
)

// steps are the places between which a node may be killed while the group changes. A change that gets
// another one has to name it here.
var steps = []struct {
	at     string
	change string
	joiner bool // it is the node on its way in that is killed
}{
	{"add: recorded", "join", false},
	{"add: in", "join", false},
	{"promote: begun", "join", false},
	{"promote: done", "join", false},
	{"join: begun", "join", true},
	{"join: let in", "join", true},
	{"join: a member", "join", true},
	{"join: gives up its group", "command", true},
	{"join: begun", "command", true},
	{"join: let in", "command", true},
	{"join: a member", "command", true},
	{"join: refused", "refusal", true},
	{"remove: recorded", "remove", false},
	{"remove: out", "remove", false},
	{"remove: told", "remove", false},
	{"transfer: begun", "remove leader", false},
	{"transfer: done", "remove leader", false},
	{"remove: recorded", "remove leader", false},
	{"remove: out", "remove leader", false},
	{"transfer: begun", "transfer", false},
	{"transfer: done", "transfer", false},
	{"add: recorded", "replace", false},
	{"promote: begun", "replace", false},
	{"remove: recorded", "replace", false},
	{"remove: out", "replace", false},
}

// Whatever a node is killed at while the group changes under load, the change comes to its end, asked
// for once more or not, and nothing that was acknowledged is lost.
func TestKilledAtAnyStepOfAChange(t *testing.T) {
	for i, st := range steps {
		t.Run(st.change+"/"+st.at, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := &killing{sim: newSim(t), at: st.at, joiner: st.joiner}
				c.group(3 + 2*(i%2))
				c.run(st.change)
			})
		})
	}
}

// killing is a sim of which one node is killed when it comes to a step.
type killing struct {
	*sim
	at     string
	joiner bool
	armed  atomic.Bool
	hit    atomic.Bool
	killed sync.WaitGroup
	load   sync.WaitGroup
}

// group is sim.group with nodes that can be killed at a step.
func (c *killing) group(size int) {
	for i := 1; i <= size; i++ {
		c.startNode(fmt.Sprintf("n%d", i), i > 1)
	}
	c.await("all vote", func() bool { return c.voters() == size && c.leader().engine().unchanging() })
}

func (c *killing) startNode(id string, joins bool) {
	c.t.Helper()
	_, err := c.start(id, func(cfg *Config) {
		if joins {
			cfg.Join = []string{"n1:80", "n2:80", "n3:80"}
		}
		cfg.step = func(_ context.Context, at string) { c.reached(id, at) }
	})
	if err != nil {
		c.t.Fatal(err)
	}
}

// reached kills a node: the goroutine that came to the step goes no further.
func (c *killing) reached(id, at string) {
	if at != c.at || c.joiner != (id == "n9") || !c.armed.CompareAndSwap(true, false) {
		return
	}
	c.killed.Go(func() {
		for c.node(id) == nil { // Open has not returned yet
			time.Sleep(time.Millisecond)
		}
		c.crash(id)
		c.hit.Store(true)
		time.Sleep(700 * time.Millisecond) // another leads by now
		_, _ = c.start(id, nil)            // of three two must be alive; settled sees that it runs
	})
	runtime.Goexit()
}

func (c *killing) voters() int {
	l := c.leader()
	if l == nil {
		return 0
	}
	return len(voters(l.engine().configuration()))
}

// ask has a change asked for until it is done, as an operator would: at any node that is up.
func (c *killing) ask(do func(n *Node) error) {
	c.t.Helper()
	c.await("the change", func() bool {
		for _, id := range c.running() {
			n := c.node(id)
			if id == "n9" || n == nil || n.Err() != nil {
				continue
			}
			done := make(chan error, 1)
			go func() {
				defer close(done) // also when the goroutine is ended at a step
				done <- do(n)
			}()
			if err, answered := <-done; answered && err == nil {
				return true
			}
		}
		return false
	})
}

// run makes a change under load, with the node killed on the way and started again.
func (c *killing) run(change string) {
	ctx, stop := context.WithCancel(context.Background())
	defer c.load.Wait()
	defer stop()
	ids := slices.Clone(c.ids)
	for i := range 6 {
		c.load.Go(func() {
			for n := 0; wait(ctx, 10*time.Millisecond); n++ {
				_, _ = c.add(ids[(i+n)%3], fmt.Sprintf("l%d", i), WriteOptions{}) // sim.add keeps account
			}
		})
	}
	c.await("some load", func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return len(c.acked) > 30
	})
	size := c.voters()
	old := c.named("leader")
	c.armed.Store(true)
	gone := map[string]bool{}
	switch change {
	case "join":
		c.startNode("n9", true)
		size++
	case "command", "refusal":
		c.byCommand(change == "refusal")
		if change == "command" {
			size++
		}
	case "remove":
		out := c.followers()[0]
		c.ask(func(n *Node) error { return n.RemoveMember(context.Background(), out) })
		gone[out] = true
		size--
	case "remove leader":
		c.ask(func(n *Node) error { return n.RemoveMember(context.Background(), old) })
		gone[old] = true
		size--
	case "transfer":
		c.ask(func(n *Node) error { return n.Transfer(context.Background(), "") })
	case "replace":
		out := c.followers()[0]
		c.crash(out)
		c.startNode("n9", true)
		c.ask(func(n *Node) error { return n.RemoveMember(context.Background(), out) })
		gone[out] = true
	}
	c.await("the kill at "+c.at, c.hit.Load)
	c.killed.Wait()
	c.settled(size, gone)
	stop()
	c.load.Wait()
	c.check()
}

// byCommand has a group of one, n9, join by command; to be refused it asks with an address in use.
func (c *killing) byCommand(refused bool) {
	c.startNode("n9", false)
	c.await("a group of one", func() bool { return c.node("n9").Ready() == nil })
	if refused {
		c.node("n9").cfg.AdvertiseHTTP = "n2:80"
	}
	var err error
	for range 20 {
		asked := make(chan struct{})
		go func(n *Node) {
			defer close(asked) // also when the goroutine is ended at a step
			err = errors.New("killed")
			err = n.JoinGroup(context.Background(), "n1:80")
		}(c.node("n9"))
		<-asked
		if err == nil || !again(AsError(err).Kind) { // asked again while its group of one is not ready
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	c.t.Log("the join by command:", err)
}

// settled starts what was killed again and expects the group as it should be.
func (c *killing) settled(size int, gone map[string]bool) {
	c.t.Helper()
	for _, id := range c.ids {
		if n := c.node(id); n != nil && n.Err() != nil {
			c.crash(id)
		}
		if c.node(id) != nil {
			continue
		}
		if _, err := c.start(id, nil); err != nil && !gone[id] {
			c.t.Errorf("start %s: %v", id, err)
		}
	}
	c.await(fmt.Sprint(size, " voters"), func() bool {
		l := c.leader()
		return l != nil && c.voters() == size && len(l.engine().configuration().Servers) == size
	})
	conf := c.leader().engine().configuration()
	for id := range gone {
		if _, in := find(conf, id); in {
			c.t.Errorf("%s was removed and is in the group", id)
		}
		if n := c.node(id); n != nil { // it is told, now or when it is back
			<-n.Done()
			if code := n.Err().Code; code != 0 && code != ExitFolderRefused {
				c.t.Errorf("%s ended with %+v", id, n.Err())
			}
			c.crash(id)
		}
	}
	for _, s := range conf.Servers {
		if s.Suffrage != raft.Voter || c.node(string(s.ID)) == nil {
			c.t.Errorf("%s has no vote, or does not run", s.ID)
		}
		if _, err := c.add(string(s.ID), "last", WriteOptions{}); err != nil {
			c.t.Errorf("a write at %s: %v", s.ID, err)
		}
	}
}
