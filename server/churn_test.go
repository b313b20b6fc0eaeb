package server

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"todod/fsm"
)

// TestChurn has two operators at a time change a group at random while nodes die and come back and links are
// cut: whatever they ask for, those who belong to the group can go on together in the end, nothing
// is lost, and whoever was taken out knows it. CHURN_RUNS says how many runs, CHURN_SEED where to begin.
func TestChurn(t *testing.T) {
	usual := 4
	if testing.Short() {
		usual = 1
	}
	runs, seed := churnSetting(t, "CHURN_RUNS", usual), uint64(churnSetting(t, "CHURN_SEED", int(time.Now().UnixNano()%1e6)))
	for run := range uint64(runs) {
		t.Run(fmt.Sprint(seed+run), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := &churn{sim: newSim(t), locked: &locked{r: rand.New(rand.NewPCG(seed+run, 2))}, gone: map[string]bool{}}
				defer func() {
					if t.Failed() {
						t.Log(strings.Join(c.told, "\n"))
					}
				}()
				c.live()
			})
		})
	}
}

func churnSetting(t *testing.T, name string, otherwise int) int {
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(name, err)
	}
	return n
}

type churn struct {
	*sim
	*locked
	record sync.Mutex
	told   []string
	gone   map[string]bool // may have been taken out, or turned away
	fresh  int
}

func (c *churn) tell(format string, args ...any) {
	c.record.Lock()
	defer c.record.Unlock()
	c.told = append(c.told, fmt.Sprintf("%s %s", time.Since(time.Unix(946684800, 0)), fmt.Sprintf(format, args...)))
}

func (c *churn) any() string {
	running := c.running()
	return running[c.n(len(running))]
}

func (c *churn) live() {
	c.group(1 + 2*c.n(3))
	c.fresh = len(c.ids)
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	defer all.Wait()
	defer cancel()
	for i := range 3 {
		all.Go(func() {
			for wait(ctx, time.Duration(5+c.n(20))*time.Millisecond) {
				_, _ = c.add(c.any(), fmt.Sprintf("l%d", i), WriteOptions{}) // sim.add keeps account
			}
		})
	}
	var operators sync.WaitGroup
	for range 2 {
		operators.Go(func() {
			for range 12 {
				c.change()
				time.Sleep(time.Duration(c.n(300)) * time.Millisecond)
			}
		})
	}
	trouble, calm := context.WithCancel(ctx)
	operators.Go(func() {
		for wait(trouble, time.Duration(100+c.n(700))*time.Millisecond) {
			c.fault()
		}
	})
	time.Sleep(15 * time.Second)
	calm()
	operators.Wait()
	c.net.heal()
	c.end()
	cancel()
	all.Wait()
	c.check()
}

// change is something that an operator asks for, at any node.
func (c *churn) change() {
	at := c.any()
	n := c.node(at)
	if n == nil {
		return
	}
	ctx := context.Background()
	switch c.n(4) {
	case 0, 1:
		c.record.Lock()
		c.fresh++
		id, most := fmt.Sprintf("n%d", c.fresh), c.fresh > 9
		c.record.Unlock()
		if most {
			return
		}
		c.tell("%s joins", id)
		if _, err := c.start(id, func(cfg *Config) {
			for i := 1; i <= 9; i++ { // whoever is left of the group
				cfg.Join = append(cfg.Join, fmt.Sprintf("n%d:80", i))
			}
		}); err != nil {
			c.t.Error(err)
		}
	case 2:
		out := c.any()
		err := n.RemoveMember(ctx, out)
		c.tell("remove %s, asked at %s: %s", out, at, problem(err))
		if err == nil || AsError(err).Outcome == UnknownOutcome {
			c.record.Lock()
			c.gone[out] = true
			c.record.Unlock()
		}
	case 3:
		c.tell("transfer, asked at %s: %s", at, problem(n.Transfer(ctx, "")))
	}
}

// fault has a node die and come back, or cuts it off for a while.
func (c *churn) fault() {
	running := c.running()
	id := running[c.n(len(running))]
	switch {
	case c.n(3) == 0:
		c.tell("cut off %s", id)
		c.isolate(id)
		time.Sleep(time.Duration(c.n(1500)) * time.Millisecond)
		c.tell("heal")
		c.net.heal()
	case len(running) > 1:
		c.tell("crash %s", id)
		c.crash(id)
		time.Sleep(time.Duration(c.n(800)) * time.Millisecond)
		_, err := c.start(id, nil)
		c.tell("start %s: %v", id, err)
	}
}

// end starts all that is down: whoever belongs to the group serves, all others know that they do not.
func (c *churn) end() {
	c.tell("all is well again")
	for _, id := range c.ids {
		if c.node(id) == nil {
			if _, err := c.start(id, nil); err != nil && !c.gone[id] {
				c.t.Errorf("start %s: %v", id, err)
			}
		}
	}
	c.await("a group in which all have a say, and nobody else", func() bool {
		l := c.leader()
		if l == nil {
			return false
		}
		conf := l.engine().configuration()
		for _, id := range c.running() {
			_, in := find(conf, id)
			if in != (c.node(id).Err() == nil) {
				return false
			}
		}
		return len(voters(conf)) == len(conf.Servers) && l.engine().unchanging()
	})
	view, err := c.leader().engine().replica.View()
	if err != nil {
		c.t.Fatal(err)
	}
	defer view.Close()
	for _, id := range c.running() {
		if why := c.node(id).Err(); why != nil {
			if m, known := view.Member(id); why.Code != 0 && why.Code != ExitFolderRefused || known && m.Status != fsm.Removed || !c.gone[id] {
				c.t.Errorf("%s ended, and nobody took it out: %v", id, why)
			}
			c.crash(id)
			continue
		}
		if _, err := c.add(id, "last", WriteOptions{}); err != nil {
			c.t.Errorf("a write at %s: %v", id, err)
		}
	}
}
