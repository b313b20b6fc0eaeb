package server

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/datadriven"

	"todod/fsm"
)

// TestStories runs the stories of testdata/stories: failures of a group of real nodes, told in
// virtual time. stories.md there lists the words.
func TestStories(t *testing.T) {
	paths, err := filepath.Glob("testdata/stories/*.txt")
	if err != nil || len(paths) == 0 {
		t.Fatal("no stories", err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txt"), func(t *testing.T) {
			if strings.HasPrefix(filepath.Base(path), "seed_") { // of the simulator, which makes a time of its own
				datadriven.RunTest(t, path, simulate)
				return
			}
			synctest.Test(t, func(t *testing.T) {
				st := &story{sim: newSim(t), named: map[string]string{}}
				defer st.load.Wait()
				datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
					return st.tell(t, d)
				})
			})
		})
	}
}

// story is a sim that is told what to do line by line.
type story struct {
	*sim
	named map[string]string // nodes that the story gave a name
	load  sync.WaitGroup
	stop  chan struct{}
}

func (st *story) tell(t *testing.T, d *datadriven.TestData) string {
	st.t = t
	var out strings.Builder
	for _, line := range append([]string{strings.Join(append([]string{d.Cmd}, args(d)...), " ")}, strings.Split(d.Input, "\n")...) {
		if line = strings.TrimSpace(line); line != "" {
			if said := st.do(strings.Fields(line)); said != "" {
				fmt.Fprintln(&out, said)
			}
		}
	}
	if out.Len() == 0 {
		return "ok\n"
	}
	return out.String()
}

func args(d *datadriven.TestData) (words []string) {
	for _, a := range d.CmdArgs {
		words = append(words, a.String())
	}
	return words
}

// who resolves a word to a node: a name the story gave, or what sim.named knows.
func (st *story) who(word string) string {
	if id, ok := st.named[word]; ok {
		return id
	}
	return st.sim.named(word)
}

func (st *story) do(w []string) string {
	arg := func(i int) string {
		if i < len(w) {
			return w[i]
		}
		return ""
	}
	num := func(i int) int { n, _ := strconv.Atoi(arg(i)); return n }
	switch w[0] {
	case "policy": // policy remove-dead-after 1m: of all nodes started from now on
		d, err := time.ParseDuration(arg(2))
		if err != nil || arg(1) != "remove-dead-after" {
			st.t.Fatal(w)
		}
		st.set = func(c *Config) { c.RemoveDeadAfter = d }
	case "group":
		st.group(num(1))
	case "members":
		return st.members()
	case "call": // call leader old
		st.named[arg(2)] = st.who(arg(1))
	case "add": // add leader bob [times]
		return st.addSome(st.who(arg(1)), arg(2), max(1, num(3)))
	case "try": // try follower bob 1000: without waiting for each
		return st.tryMany(st.who(arg(1)), arg(2), num(3))
	case "read": // read leader linearizable
		return st.read(st.who(arg(1)), Level(arg(2)))
	case "load":
		st.startLoad(num(1))
	case "rest":
		close(st.stop)
		st.load.Wait()
	case "isolate":
		st.isolate(st.who(arg(1)))
	case "split": // split a b | c d e
		st.split(w[1:])
	case "heal":
		st.net.heal()
	case "crash":
		st.crash(st.who(arg(1)))
	case "stop":
		id := st.who(arg(1))
		n := st.node(id)
		n.HandOver(context.Background())
		st.mu.Lock()
		delete(st.live, id)
		st.mu.Unlock()
		if err := n.Close(); err != nil {
			return err.Error()
		}
	case "start":
		if _, err := st.start(st.who(arg(1)), nil); err != nil {
			return err.Error()
		}
	case "join": // join n4 through n1
		if _, err := st.start(arg(1), func(c *Config) { c.Join = []string{st.who(arg(3)) + ":80"} }); err != nil {
			return err.Error()
		}
	case "remove": // remove leader at follower
		id := st.who(arg(1))
		return problem(st.node(st.who(arg(3))).RemoveMember(context.Background(), id))
	case "transfer":
		to := "" // transfer leader [to n2]
		if arg(3) != "" {
			to = st.who(arg(3))
		}
		return problem(st.node(st.who(arg(1))).Transfer(context.Background(), to))
	case "snapshot":
		if err := st.node(st.who(arg(1))).engine().raft.Snapshot().Error(); err != nil {
			return err.Error()
		}
	case "clock": // clock leader +17520h
		d, err := time.ParseDuration(strings.TrimPrefix(arg(2), "+"))
		if err != nil {
			st.t.Fatal(err)
		}
		st.skew[st.who(arg(1))].Store(int64(d))
	case "within": // within 1s add leader bob
		return st.within(w[1], w[2:])
	case "stall":
		st.net.stall()
	case "pass":
		d, err := time.ParseDuration(arg(1))
		if err != nil {
			st.t.Fatal(err)
		}
		time.Sleep(d)
	case "await":
		st.awaitWord(w[1:])
	case "panic": // panic bob: the next command of a list kills its process
		st.leader().engine().term.Load().registry.breakNext(arg(1))
	case "duplicate": // duplicate follower bob: one forward that arrives three times, the last time late
		return st.duplicate(st.who(arg(1)), arg(2))
	case "check":
		st.check()
		return "every acknowledged entry is on every node once"
	default:
		st.t.Fatalf("a story says %q, which nobody knows", w[0])
	}
	return ""
}

// members are those of the leader's configuration.
func (st *story) members() string {
	st.await("a leader", func() bool { return st.leader() != nil })
	var ids []string
	for _, s := range st.leader().engine().configuration().Servers {
		ids = append(ids, string(s.ID))
	}
	slices.Sort(ids)
	return strings.Join(ids, " ")
}

// within says so when what it is told takes longer than it may.
func (st *story) within(limit string, w []string) string {
	d, err := time.ParseDuration(limit)
	if err != nil {
		st.t.Fatal(err)
	}
	began := time.Now()
	said := st.do(w)
	if took := time.Since(began); took > d {
		said = strings.TrimSpace(said + fmt.Sprintf(" (after %s)", took))
	}
	return said
}

func problem(err error) string {
	if err == nil {
		return ""
	}
	return AsError(err).Detail
}

func (st *story) addSome(id, list string, times int) string {
	for range times {
		if _, err := st.add(id, list, WriteOptions{}); err != nil {
			// Which node leads is chance where a story does not say so.
			said := strings.ReplaceAll(AsError(err).Detail, "leader "+st.node(id).engine().leaderID()+" is", "leader is")
			return fmt.Sprintf("%s (%s)", said, AsError(err).Outcome)
		}
	}
	return ""
}

// tryMany sends adds all at once and says what became of them.
func (st *story) tryMany(id, list string, times int) string {
	var mu sync.Mutex
	count := map[string]int{}
	var all sync.WaitGroup
	for range times {
		all.Go(func() {
			_, err := st.add(id, list, WriteOptions{})
			outcome := "acknowledged"
			if err != nil {
				outcome = AsError(err).Outcome.String()
			}
			mu.Lock()
			defer mu.Unlock()
			count[outcome]++
		})
	}
	all.Wait()
	if count["acknowledged"] == 0 { // how many were on their way when the leader was lost differs
		return "none acknowledged"
	}
	return fmt.Sprintf("acknowledged %d of %d", count["acknowledged"], times)
}

func (st *story) read(id string, level Level) string {
	v, err := st.node(id).Read(context.Background(), ReadOptions{Level: level})
	if err != nil {
		return AsError(err).Detail
	}
	defer v.Close()
	titles, err := st.titles(id, Stale)
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("%s: %d entries", v.Level, len(titles))
}

// startLoad has writers add through every node until rest.
func (st *story) startLoad(writers int) {
	st.stop = make(chan struct{})
	ids := append([]string(nil), st.ids...)
	for i := range writers {
		st.load.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-st.stop:
					return
				case <-time.After(time.Millisecond):
				}
				_, _ = st.add(ids[(i+n)%len(ids)], fmt.Sprintf("l%d", n%7), WriteOptions{}) // sim.add keeps account
			}
		})
	}
}

func (st *story) split(words []string) {
	left, right := []string{}, []string{}
	side := &left
	for _, w := range words {
		if w == "|" {
			side = &right
			continue
		}
		*side = append(*side, st.who(w)+":70")
	}
	for _, l := range left {
		st.net.cutOff(l, right)
	}
}

func (st *story) awaitWord(w []string) {
	switch w[0] {
	case "leader":
		st.await("a leader", func() bool { return st.leader() != nil })
	case "another": // await another than old
		old := st.who(w[2])
		st.await("another leader", func() bool { l := st.leader(); return l != nil && l.id != old })
	case "voters":
		n, _ := strconv.Atoi(w[1])
		st.await(w[1]+" voters", func() bool {
			l := st.leader()
			return l != nil && len(voters(l.engine().configuration())) == n
		})
	case "ended": // await ended n1
		id := st.who(w[1])
		st.await(id+" to end", func() bool {
			select {
			case <-st.node(id).Done():
				return true
			default:
				return false
			}
		})
	case "settled":
		st.settle()
	default:
		st.t.Fatalf("await %v", w)
	}
}

// breakNext has the next command of a list kill the list's process.
func (r *registry) breakNext(list string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	hand, armed := r.hand, true
	r.hand = func(c *pending) {
		r.mu.Lock()
		now := armed && c.list == list
		armed = armed && !now
		r.mu.Unlock()
		if now {
			panic("a story says so")
		}
		hand(c)
	}
}

// duplicate sends one forwarded batch to the leader three times: twice at once, and once more
// after its number was closed.
func (st *story) duplicate(id, list string) string {
	e := st.node(id).engine()
	session, number, err := e.number(context.Background())
	if err != nil {
		return err.Error()
	}
	to, ok := e.leader()
	if !ok || to.term != nil {
		return "not a follower"
	}
	title := fmt.Sprintf("t%d", st.next.Add(1))
	cmd := addCommand(list, title)
	c := &pending{list: list, cmd: fsm.Command{Type: fsm.TypeTodo, Version: 1, Session: session, Number: number,
		Low: e.numbers.lowest(), Payload: fsm.EncodeTodo(&cmd)}}
	send := func() string {
		b, err := e.node.port.Client(to.id, to.addr).Call(context.Background(), callForward, encodeForward([]*pending{c}))
		if err != nil {
			return err.Error()
		}
		answers, err := decodeAnswers(b, 1)
		if err != nil {
			return err.Error()
		}
		if _, err := asResult(answers[0].res, answers[0].err); err != nil {
			return err.Error()
		}
		return fmt.Sprintf("id %d", answers[0].res.Items[0].Entry.ID)
	}
	once := make(chan string, 1)
	go func() { once <- send() }()
	said := []string{send(), <-once}
	st.mu.Lock()
	st.acked = append(st.acked, title)
	st.mu.Unlock()
	e.numbers.release(session, number)
	if out := st.addSome(id, list, 1); out != "" { // carries that the number is closed
		return out
	}
	return strings.Join(append(said, send()), "; ")
}
