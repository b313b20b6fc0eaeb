package server

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/datadriven"
)

// TestSimulator tells groups of real nodes stories that dice made, in virtual time: crashes, cuts, delays,
// disks that fail, transfers, changes of the group and of clocks, snapshots that cut the log to
// nothing, while clients add, put, remove and read. SIM_RUNS says how many, SIM_TIME for how long,
// SIM_SEED begins with a given one. A story that fails is printed and kept among
// testdata/stories, where TestStories tells it again. Runs are not the same to the step: the seed makes
// the story and not who wins.
func TestSimulator(t *testing.T) {
	runs, until := simBudget(t)
	seed := simSeed(t)
	defer debug.SetGCPercent(debug.SetGCPercent(400))
	began := time.Now()
	var told, answered, next atomic.Int64
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for !t.Failed() && time.Now().Before(until) {
				n := next.Add(1)
				if n > runs {
					return
				}
				s := newPlot(seed + uint64(n-1))
				t.Run(fmt.Sprint(s.seed), func(t *testing.T) { answered.Add(s.tell(t)) })
				told.Add(1)
			}
		})
	}
	workers.Wait()
	t.Logf("%d stories in %s, %.0f a minute; %d requests were answered", told.Load(), time.Since(began).Round(time.Millisecond),
		float64(told.Load())/time.Since(began).Minutes(), answered.Load())
	if !t.Failed() && told.Load() > 10 && answered.Load() < 20*told.Load() {
		t.Errorf("only %d requests were answered in %d stories", answered.Load(), told.Load())
	}
}

// simBudget is how many stories are told, and until when a new one is begun.
func simBudget(t *testing.T) (runs int64, until time.Time) {
	runs, until = 40, time.Now().Add(time.Hour)
	if testing.Short() { // the race detector takes six times as long
		runs = 20
	}
	var err error
	if s := os.Getenv("SIM_TIME"); s != "" {
		d, err := time.ParseDuration(s)
		if err != nil {
			t.Fatal("SIM_TIME:", err)
		}
		runs, until = 1<<40, time.Now().Add(d)
	}
	if s := os.Getenv("SIM_RUNS"); s != "" {
		if runs, err = strconv.ParseInt(s, 10, 64); err != nil {
			t.Fatal("SIM_RUNS:", err)
		}
	}
	return runs, until
}

// plot is a story made by dice.
type plot struct {
	seed  uint64
	size  int
	lines []string
}

// deeds are what may happen, each with its share. WHO is the leader, a follower or any; the words
// are told in simfaults_test.go.
var deeds = []struct {
	share int
	line  string
}{
	{3, "crash WHO"}, {3, "kill WHO at send N"}, {3, "kill WHO at flush N"}, {2, "kill WHO at receive N"}, {2, "kill WHO at restore N"},
	{6, "revive"}, {1, "restart"}, {3, "isolate WHO"}, {3, "cut WHO WHO"}, {2, "split"}, {5, "heal"}, {2, "sever WHO"},
	{1, "stall"}, {2, "slow Nms"}, {5, "usurp WHO"}, {2, "transfer"}, {2, "clock WHO Ns"}, {1, "join"}, {1, "remove WHO"},
	{6, "snapshot WHO"}, {2, "session WHO"}, {2, "late WHO"}, {1, "fail WHO"}, {1, "wipe WHO"},
}

func newPlot(seed uint64) *plot {
	r := rand.New(rand.NewPCG(seed, 1))
	s := &plot{seed: seed, size: 3}
	if r.IntN(6) == 0 {
		s.size = 5
	}
	shares := 0
	for _, d := range deeds {
		shares += d.share
	}
	for range 3 + r.IntN(5) {
		i, at := 0, r.IntN(shares)
		for ; at >= deeds[i].share; i++ {
			at -= deeds[i].share
		}
		line := deeds[i].line
		for strings.Contains(line, "WHO") {
			line = strings.Replace(line, "WHO", []string{"leader", "leader", "follower", "follower", fmt.Sprint("n", 1+r.IntN(s.size))}[r.IntN(5)], 1)
		}
		line = strings.Replace(line, "N", fmt.Sprint(1+r.IntN(25)), 1)
		pause := r.IntN(60)
		switch r.IntN(4) {
		case 0:
			pause = 400 + r.IntN(1200) // an election
		case 1:
			pause = r.IntN(400)
		}
		s.lines = append(s.lines, line, fmt.Sprintf("pass %dms", pause))
	}
	newer := r.IntN(8) == 0
	if r.IntN(2) == 0 {
		who, way := []string{"leader", "leader", "follower"}[r.IntN(3)], []string{"both", "in", "out", "one"}[r.IntN(4)]
		s.lines = append(s.lines, fmt.Sprintf("minority %s %s", who, way))
	}
	if newer {
		s.lines = append(s.lines, "newer")
	}
	return s
}

// tell tells the story to a group, and keeps it if something is found. It returns how many requests
// were answered.
func (s *plot) tell(t *testing.T) int64 {
	var w *world
	defer func() { // also when the story ended early
		if w == nil || !t.Failed() {
			return
		}
		t.Logf("what happened:\n%s", strings.Join(w.told, "\n"))
		if err := s.keep(w.found); err != nil {
			t.Error(err)
		}
	}()
	synctest.Test(t, func(t *testing.T) {
		w = newWorld(t, s)
		w.live()
	})
	w.linearizable(t)
	return w.answered.Load()
}

// String is the story as TestStories reads it.
func (s *plot) String() string {
	return fmt.Sprintf("simulate %d %d\n%s\n----\nok\n", s.size, s.seed, strings.Join(s.lines, "\n"))
}

func (s *plot) keep(found []string) error {
	head := fmt.Sprintf("# The simulator found with seed %d:\n", s.seed)
	for _, f := range found {
		head += "# " + strings.ReplaceAll(f, "\n", " ") + "\n"
	}
	return os.WriteFile(fmt.Sprintf("testdata/stories/seed_%d.txt", s.seed), []byte(head+s.String()), 0o644)
}

// simulate tells a story of the simulator that was kept.
func simulate(t *testing.T, d *datadriven.TestData) string {
	s := &plot{lines: strings.Split(strings.TrimSpace(d.Input), "\n")}
	var err1, err2 error
	s.size, err1 = strconv.Atoi(d.CmdArgs[0].Key)
	s.seed, err2 = strconv.ParseUint(d.CmdArgs[1].Key, 10, 64)
	if err1 != nil || err2 != nil {
		d.Fatalf(t, "simulate takes a size and a seed")
	}
	t.Run("simulate", func(t *testing.T) { s.tell(t) })
	if t.Failed() {
		return "failed\n"
	}
	return "ok\n"
}

// world is a group that a story is told to, with its clients.
type world struct {
	*sim
	*locked
	*plot
	*history
	told   []string
	deeds  sync.WaitGroup    // what goes on beside the story
	hands  chan struct{}     // a token for whoever starts or ends nodes
	dead   map[string]bool   // to be started again
	gone   map[string]bool   // removed for good
	wiped  map[string]bool   // came back with an empty folder
	broken map[string]bool   // its disk fails
	traps  map[string]*trap  // nodes that will be killed at a step
	terms  map[uint64]string // who led which term
	watch  sync.Mutex        // guards traps and terms, and told
	ctx    context.Context   // ends with the clients
}

// memory is a folder in memory where there is one: the nodes of a simulator sync nothing anyway.
func memory(t *testing.T) string {
	dir, err := os.MkdirTemp("/dev/shm", "todod-sim-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func newWorld(t *testing.T, s *plot) *world {
	dir := memory(t) // goes after the nodes in it
	w := &world{sim: newSim(t), locked: &locked{r: rand.New(rand.NewPCG(s.seed, 2))}, plot: s,
		hands: make(chan struct{}, 1), dead: map[string]bool{}, gone: map[string]bool{}, wiped: map[string]bool{},
		broken: map[string]bool{}, traps: map[string]*trap{}, terms: map[uint64]string{}}
	w.history = newHistory(w.errorf)
	w.dir, w.mark, w.scan = dir, time.Second, 3*time.Second
	w.net.leaving = func(addr string) { w.step(strings.TrimSuffix(addr, ":70"), "send") }
	w.set = func(c *Config) {
		id := c.ID
		c.step = func(_ context.Context, step string) { w.step(id, step) }
	}
	return w
}

// errorf notes what was found.
func (w *world) errorf(format string, args ...any) {
	w.watch.Lock()
	w.history.found = append(w.history.found, fmt.Sprintf(format, args...))
	w.watch.Unlock()
	w.t.Errorf(format, args...)
}

func (w *world) tellOf(format string, args ...any) {
	w.watch.Lock()
	defer w.watch.Unlock()
	w.told = append(w.told, fmt.Sprintf("%s %s", time.Since(time.Unix(946684800, 0)), fmt.Sprintf(format, args...)))
}

func (w *world) any(of []string) string { return of[w.n(len(of))] }

func (w *world) live() {
	w.group(w.size)
	var cancel context.CancelFunc
	w.ctx, cancel = context.WithCancel(context.Background())
	var clients sync.WaitGroup
	defer func() { // also when the story ends early
		cancel()
		w.ends("clients", clients.Wait)
		w.calm()
	}()
	w.begin()
	for i := range 3 {
		clients.Go(func() {
			for wait(w.ctx, time.Duration(w.n(30))*time.Millisecond) {
				w.request(i)
				w.look()
			}
		})
	}
	newer := false
	for _, line := range w.lines {
		w.reap()
		if newer = line == "newer"; !newer {
			w.do(strings.Fields(line))
		}
	}
	w.calm()
	w.recover()
	cancel()
	w.ends("clients", clients.Wait)
	w.check()
	w.compare()
	if newer {
		w.newer()
		return
	}
	w.close()
	w.checkFolders()
}

// recover makes everything well again.
func (w *world) recover() {
	w.tellOf("all is well again")
	w.net.heal()
	w.mend()
	well := w.healthy()
	if wrong := w.alive(len(well), well); wrong != "" {
		w.errorf("all is well: %s", wrong)
		w.describe()
	}
}

// path of a node's folder.
func (w *world) path(id string) string { return filepath.Join(w.dir, id, id) }
