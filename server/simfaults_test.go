package server

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"todod/fsm"
)

// The words of the simulator's stories: what can happen to a group. A word that makes no sense when
// its turn comes does nothing.

// do tells one line.
func (w *world) do(words []string) {
	if words[0] == "pass" {
		d, err := time.ParseDuration(words[1])
		if err != nil {
			w.t.Fatal(err)
		}
		time.Sleep(d)
		return
	}
	if words[0] == "minority" {
		w.minority(words[1], words[2])
		return
	}
	id, arg := "", ""
	if len(words) > 1 {
		id, arg = w.who(words[1]), words[len(words)-1]
	}
	w.tellOf("%s (%s)", strings.Join(words, " "), id)
	if len(words) > 1 && w.node(id) == nil && words[0] != "slow" {
		return
	}
	switch words[0] {
	case "crash":
		w.end(id, "")
	case "kill": // kill leader at flush 3: as it comes to the third step of a flush
		n, _ := strconv.Atoi(arg)
		if words[3] != "send" {
			n = 1 + n%3
		}
		w.watch.Lock()
		w.traps[id] = &trap{step: words[3], left: n}
		w.watch.Unlock()
	case "revive":
		w.revive()
	case "restart":
		for _, id := range w.running() {
			w.end(id, "")
		}
		w.revive()
	case "isolate":
		w.isolate(id)
	case "cut":
		w.net.cutWay(id+":70", w.who(arg)+":70")
	case "split":
		w.split()
	case "heal":
		w.net.heal()
	case "sever":
		w.net.sever(id+":70", "")
	case "stall":
		w.net.stall()
	case "slow":
		most, err := time.ParseDuration(arg)
		if err != nil {
			w.t.Fatal(err)
		}
		w.net.slow(func() time.Duration { return time.Duration(w.n(int(most))) })
	case "clock":
		d, err := time.ParseDuration(arg)
		if err != nil {
			w.t.Fatal(err)
		}
		w.skew[id].Store(int64(d - 12*time.Second))
	case "fail":
		w.fail(id)
	case "wipe":
		w.wipe(id)
	default:
		w.doBeside(words[0], id)
	}
}

// who resolves a word to a node that runs, if one does.
func (w *world) who(word string) string {
	l := w.sim.leader()
	switch {
	case word == "leader" && l != nil:
		return l.id
	case word == "leader", word == "follower":
		for _, id := range w.running() {
			if l == nil || id != l.id {
				return id
			}
		}
	}
	return word
}

// end ends a node as kill -9 would, at most once. Its folder becomes what an image of it shows, if one was taken.
func (w *world) end(id, image string) {
	w.hands <- struct{}{}
	defer func() { <-w.hands }()
	if w.node(id) == nil {
		return
	}
	w.crash(id)
	w.dead[id] = true
	if image == "" {
		return
	}
	if err := os.RemoveAll(w.path(id)); err != nil {
		w.errorf("%v", err)
	}
	if err := os.Rename(image, w.path(id)); err != nil {
		w.errorf("%v", err)
	}
}

// revive starts all that is dead.
func (w *world) revive() {
	w.hands <- struct{}{}
	defer func() { <-w.hands }()
	for id := range w.dead {
		delete(w.dead, id)
		if w.wiped[id] { // turned away once, and killed since
			continue
		}
		_, err := w.start(id, w.joins) // which goes for one that is no member yet
		if err != nil && (!w.gone[id] || asExit(err).Code != ExitFolderRefused) {
			w.errorf("%s does not start: %v", id, err)
		}
		delete(w.broken, id)
	}
}

// trap is a step at which a node dies.
type trap struct {
	step string // what the step begins with
	left int
}

// step is told of every step of a node at which a crash may come: right before it sends
// something, which it may rely on being on its disk, and between those of a flush and a restore.
func (w *world) step(id, step string) {
	w.watch.Lock()
	t := w.traps[id]
	if t == nil || !strings.HasPrefix(step, t.step) {
		w.watch.Unlock()
		return
	}
	if t.left--; t.left > 0 {
		w.watch.Unlock()
		return
	}
	delete(w.traps, id)
	w.deeds.Add(1) // while nobody can disarm the traps, and wait for less than this
	w.watch.Unlock()
	w.net.kill(id + ":70") // from here on nobody hears of it
	image, err := w.image(id, step)
	if err != nil { // then it keeps what it does until it is ended
		w.tellOf("%s: %v", id, err)
	}
	w.tellOf("%s is killed at %q", id, step)
	go func() {
		defer w.deeds.Done()
		w.end(id, image)
	}()
}

// image copies the folder of a node as it is at this moment. What the node does until it is ended
// nobody hears of, and its folder forgets.
func (w *world) image(id, step string) (string, error) {
	n := w.node(id)
	if n == nil || n.engine() == nil {
		return "", fmt.Errorf("it is not up")
	}
	dir := filepath.Join(w.dir, fmt.Sprintf("image-%s-%d", id, w.history.clock.Add(1)))
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", err
	}
	writes := n.engine().storage.writes
	writes.mu.Lock()
	for len(writes.begun) > 0 { // of the log, in the middle of which no image can be taken
		writes.mu.Unlock()
		runtime.Gosched()
		writes.mu.Lock()
	}
	defer writes.mu.Unlock()
	names := []string{"node.json", logName}
	if strings.HasPrefix(step, "restore") || strings.HasPrefix(step, "flush") { // nobody else writes the file
		names = append(names, replicaName)
	} else if err := copyReplica(n.engine().replica, filepath.Join(dir, replicaName)); err != nil {
		return "", err
	}
	for _, name := range names {
		b, err := os.ReadFile(filepath.Join(w.path(id), name))
		if err != nil {
			return "", err
		}
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			return "", err
		}
	}
	return dir, nil
}

func copyReplica(r *fsm.Replica, to string) error {
	_, from, err := r.Snapshots().Open("replica")
	if err != nil {
		return err
	}
	defer from.Close()
	b, err := io.ReadAll(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, b, 0o600)
}

func (w *world) split() {
	ids, left := w.running(), 1+w.n(2)
	for i, id := range ids {
		if i >= left {
			break
		}
		var others []string
		for _, o := range ids[min(left, len(ids)):] {
			others = append(others, o+":70")
		}
		w.net.cutOff(id+":70", others)
	}
}

func (w *world) fail(id string) {
	n := w.node(id)
	if n == nil || n.engine() == nil || w.broken[id] {
		return
	}
	e := n.engine()
	if err := breakFile(e.replica.Path()); err != nil {
		w.errorf("%v", err)
		return
	}
	w.broken[id] = true
	w.deeds.Go(func() {
		before, _ := e.replica.Applied()
		select {
		case <-n.Done():
		case <-time.After(3 * time.Second):
		case <-n.ctx.Done(): // it died of something else
		}
		why := n.Err()
		durable, _, err := e.replica.Durable()
		switch {
		case why != nil && why.Code != ExitStorage && why.Code != 0 && why.Code != ExitFolderRefused: // it may be removed meanwhile
			w.errorf("%s ended with %d and not %d when its disk failed: %s", id, why.Code, ExitStorage, why)
		case why == nil && err == nil && durable < before && n.ctx.Err() == nil:
			w.errorf("%s goes on with a disk that fails: it holds entry %d of %d", id, durable, before)
		}
		w.end(id, "")
	})
}

// breakFile puts a file that cannot be written in the place of the one that is open here.
func breakFile(path string) error {
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return err
	}
	for _, f := range fds {
		if to, err := os.Readlink("/proc/self/fd/" + f.Name()); err != nil || to != path {
			continue
		}
		fd, err := strconv.Atoi(f.Name())
		if err != nil {
			return err
		}
		other, err := os.Open(path)
		if err != nil {
			return err
		}
		defer other.Close()
		if err := syscall.Dup3(int(other.Fd()), fd, syscall.O_CLOEXEC); err != nil {
			return err
		}
	}
	return nil
}

// wipe has a node lose its folder and ask to be let in again under its name, one in a story.
func (w *world) wipe(id string) {
	if len(w.gone)+len(w.wiped) > 0 || len(w.running()) < 3 {
		return
	}
	w.end(id, "")
	w.hands <- struct{}{}
	defer func() { <-w.hands }()
	if w.node(id) != nil || !w.dead[id] {
		return
	}
	delete(w.dead, id)
	w.wiped[id] = true
	if err := os.RemoveAll(w.path(id)); err != nil {
		w.errorf("%v", err)
	}
	if _, err := w.start(id, w.joins); err != nil {
		w.errorf("%s does not start: %v", id, err)
	}
}

// reap ends nodes that ended by themselves, and asks why.
func (w *world) reap() {
	for _, id := range w.running() {
		n := w.node(id)
		if n == nil || n.Err() == nil {
			continue
		}
		why := n.Err()
		w.tellOf("%s ended: %s", id, why)
		refused := why.Code == 0 || why.Code == ExitFolderRefused
		switch {
		case w.broken[id]: // fail judges
			continue
		case refused && (w.gone[id] || w.wiped[id]):
		default:
			w.errorf("%s ended with %d: %s", id, why.Code, why)
		}
		w.end(id, "")
	}
}
