package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"todod/fsm"
	"todod/fsm/todo"
)

// sim is a group of real nodes in one process, over a network in memory: for tests in a
// synctest bubble, where time is virtual.
type sim struct {
	t    *testing.T
	net  *simNet
	dir  string
	log  *slog.Logger
	mu   sync.Mutex
	ids  []string
	live map[string]*Node
	set  func(*Config)            // for all nodes, beside what start is told
	skew map[string]*atomic.Int64 // of each node's clock, ns
	mark time.Duration            // Config.MarkInterval
	scan time.Duration            // Config.ScrubInterval

	acked   []string // titles of acknowledged adds
	unknown []string // titles of adds whose outcome is not known
	next    atomic.Int64
}

func newSim(t *testing.T) *sim {
	level := slog.LevelError + 4
	if os.Getenv("SIM_LOG") != "" {
		level = slog.LevelDebug
	}
	s := &sim{t: t, net: newSimNet(), dir: t.TempDir(), live: map[string]*Node{}, skew: map[string]*atomic.Int64{},
		log: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))}
	t.Cleanup(s.close)
	return s
}

func (s *sim) close() {
	s.net.heal()
	for _, id := range s.running() {
		if err := s.node(id).Close(); err != nil {
			s.t.Errorf("close %s: %v", id, err)
		}
	}
}

func (s *sim) running() (ids []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range s.ids {
		if s.live[id] != nil {
			ids = append(ids, id)
		}
	}
	return ids
}

func (s *sim) node(id string) *Node {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.live[id]
}

// engine of a node, nil also for a node that is down.
func (s *sim) engine(id string) *engine {
	if n := s.node(id); n != nil {
		return n.engine()
	}
	return nil
}

// start starts a node, anew or again; addresses are its name.
func (s *sim) start(id string, set func(*Config)) (*Node, error) {
	s.mu.Lock()
	if s.skew[id] == nil {
		s.skew[id] = new(atomic.Int64)
		s.ids = append(s.ids, id)
	}
	skew := s.skew[id]
	s.mu.Unlock()
	cfg := Config{
		ID: id, Data: filepath.Join(s.dir, id), AdvertiseHTTP: id + ":80", AdvertiseRaft: id + ":70",
		Contacts: simContacts{s, id}, Logger: s.log, NoSync: true, Version: "test", MarkInterval: s.mark, ScrubInterval: s.scan,
		Listener: s.net.listen(id + ":70"),
		Dial:     s.dialFrom(id + ":70"),
		Now:      func() time.Time { return time.Now().Add(time.Duration(skew.Load())) },
	}
	for _, set := range []func(*Config){s.set, set} {
		if set != nil {
			set(&cfg)
		}
	}
	n, err := Open(cfg)
	if err != nil {
		s.net.kill(id + ":70")
		return nil, err
	}
	s.mu.Lock()
	s.live[id] = n
	s.mu.Unlock()
	return n, nil
}

func (s *sim) dialFrom(from string) func(context.Context, string) (net.Conn, error) {
	return func(ctx context.Context, addr string) (net.Conn, error) { return s.net.dial(ctx, from, addr) }
}

// group starts a group of size nodes and waits until all vote.
func (s *sim) group(size int) {
	s.t.Helper()
	for i := 1; i <= size; i++ {
		if _, err := s.start(fmt.Sprintf("n%d", i), func(c *Config) {
			if i > 1 {
				c.Join = []string{"n1:80"}
			}
		}); err != nil {
			s.t.Fatal(err)
		}
	}
	s.await("all vote", func() bool {
		l := s.leader()
		return l != nil && len(voters(l.engine().configuration())) == size && l.engine().unchanging()
	})
}

func first[A, B any](a A, _ B) A { return a }

// await waits, in virtual time, until a condition holds.
func (s *sim) await(what string, holds func() bool) {
	s.t.Helper()
	for range 60_000 { // a minute
		if holds() {
			return
		}
		time.Sleep(time.Millisecond)
	}
	s.t.Fatalf("waited a minute for: %s", what)
}

// unchanging reports whether the leader's newest configuration is committed.
func (e *engine) unchanging() bool {
	t := e.term.Load()
	return t != nil && len(t.changing) == 0
}

// leader is the node with a usable term, the newest if there are two.
func (s *sim) leader() (leader *Node) {
	var newest uint64
	for _, id := range s.running() {
		n := s.node(id)
		e := n.engine()
		if e == nil {
			continue
		}
		if t := e.term.Load(); t != nil && t.number > newest {
			leader, newest = n, t.number
		}
	}
	return leader
}

// named resolves the words of a story: leader, follower, dead, or a node's name.
func (s *sim) named(word string) string {
	s.t.Helper()
	switch word {
	case "leader":
		s.await("a leader", func() bool { return s.leader() != nil })
		return s.leader().id
	case "follower", "other":
		s.await("a leader", func() bool { return s.leader() != nil })
		for _, id := range s.running() {
			if id != s.leader().id {
				return id
			}
		}
	case "dead":
		for _, id := range s.ids {
			if s.node(id) == nil {
				return id
			}
		}
	}
	return word
}

// crash ends a node as kill -9 would: nothing is flushed, nobody is told more than closed
// connections tell.
func (s *sim) crash(id string) {
	n := s.node(id)
	s.mu.Lock()
	delete(s.live, id)
	s.mu.Unlock()
	s.net.kill(id + ":70")
	n.closed.Do(func() {
		n.cancel()
		n.crew.close()
		if e := n.engine(); e != nil {
			e.cancel()
			// Raft would leave whoever waits for what its state machine has not come to without an answer.
			time.Sleep(time.Millisecond)
			_ = e.raft.Shutdown().Error()
			<-e.led
			e.crew.close()
			_ = e.replica.Abandon()
			_ = e.logs.Close()
			_ = e.storage.close()
		}
		_ = n.port.Close()
		_ = n.folder.close()
	})
}

// isolate cuts a node off from all others.
func (s *sim) isolate(id string) {
	s.mu.Lock()
	var others []string
	for _, o := range s.ids {
		if o != id {
			others = append(others, o+":70")
		}
	}
	s.mu.Unlock()
	s.net.cutOff(id+":70", others)
}

// add adds an entry with a title of its own at a node and keeps account of it.
func (s *sim) add(id, list string, opt WriteOptions) (fsm.Result, error) {
	title := fmt.Sprintf("t%d", s.next.Add(1))
	n := s.node(id)
	if n == nil {
		return fsm.Result{}, errors.New("the node is down")
	}
	res, err := n.Write(context.Background(), addCommand(list, title), opt)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case err == nil && res.Code == todo.OK:
		s.acked = append(s.acked, title)
	case err != nil && AsError(err).Outcome == UnknownOutcome:
		s.unknown = append(s.unknown, title)
	}
	return res, err
}

func addCommand(list, title string) todo.Command {
	return todo.Command{Ops: []todo.Op{{Kind: todo.Add, List: list, Fields: todo.Fields{Title: title, Date: "2018-12-19"}}}}
}

// titles are those of all entries of all lists at a node, at a level.
func (s *sim) titles(id string, level Level) (titles []string, err error) {
	v, err := s.node(id).Read(context.Background(), ReadOptions{Level: level})
	if err != nil {
		return nil, err
	}
	defer v.Close()
	lists, _ := v.Lists("", "", todo.MaxPage)
	for _, l := range lists {
		page, more := v.Entries(l.Name, fsm.Query{Limit: 1 << 20})
		if more {
			return nil, errors.New("more than a page")
		}
		for i, e := range page {
			if i > 0 && e.ID <= page[i-1].ID {
				return nil, fmt.Errorf("ids out of order in %s", l.Name)
			}
			titles = append(titles, e.Title)
		}
	}
	return titles, nil
}

// settle waits until every running member has applied the same.
func (s *sim) settle() {
	s.t.Helper()
	s.await("replicas that are equal", func() bool {
		l := s.leader()
		if l == nil {
			return false
		}
		conf := l.engine().configuration()
		for _, id := range s.running() {
			e := s.node(id).engine()
			if _, in := find(conf, id); in && (e == nil || e.replica.Hash() != l.engine().replica.Hash()) {
				return false
			}
		}
		return true
	})
}

// check holds every acknowledged add against what each node has stored.
func (s *sim) check() {
	s.t.Helper()
	s.settle()
	conf := s.leader().engine().configuration()
	for _, id := range s.running() {
		if _, in := find(conf, id); !in {
			continue
		}
		titles, err := s.titles(id, Stale)
		if err != nil {
			s.t.Fatal(err)
		}
		count := map[string]int{}
		for _, title := range titles {
			count[title]++
			if count[title] > 1 {
				s.t.Errorf("%s holds %s twice", id, title)
			}
		}
		for _, title := range s.acked {
			if count[title] == 0 {
				s.t.Errorf("%s lost %s, which was acknowledged", id, title)
			}
			delete(count, title)
		}
		for title := range count {
			if !slices.Contains(s.unknown, title) {
				s.t.Errorf("%s holds %s, which was refused", id, title)
			}
		}
	}
}

// simContacts stands in for HTTP between nodes.
type simContacts struct {
	s    *sim
	from string
}

func (c simContacts) node(addr string) (*Node, error) {
	n := c.s.node(addr[:len(addr)-len(":80")])
	if n == nil {
		return nil, errors.New("connection refused")
	}
	return n, nil
}

func (c simContacts) Cluster(_ context.Context, addr string) (Cluster, error) {
	n, err := c.node(addr)
	if err != nil {
		return Cluster{}, err
	}
	return n.Cluster(), nil
}

func (c simContacts) Join(ctx context.Context, addr string, req JoinRequest) (string, error) {
	n, err := c.node(addr)
	if err != nil {
		return "", err
	}
	err, group := errors.New("connection reset"), ""
	answered := make(chan struct{})
	go func() { // of the node that is asked: a test may end it at a step
		defer close(answered)
		group, err = n.AddMember(ctx, req)
	}()
	<-answered
	return group, err
}
