package server

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/hashicorp/raft"

	"todod/server/peer"
)

// monitor watches the other nodes of the group: who is alive, how far each is, and how far
// their clocks are from this one's.
type monitor struct {
	e     *engine
	clock atomic.Pointer[clock]

	mu        sync.Mutex
	peers     map[string]*watched
	reached   map[string]reached
	known     map[string]bool // the members, as last seen; nil before the first look
	sawLeader bool
	tried     time.Time // when this node last began an election because nobody led
}

// reached is the furthest a member said it had applied, and in which run of its process.
type reached struct {
	boot    string
	applied uint64
}

// watched is another node of the group. The fields below mu are guarded by monitor.mu.
type watched struct {
	id     string
	client *peer.Client
	wake   chan struct{} // holds a token when there is reason to look at once
	cancel context.CancelFunc

	heard     time.Time // of the last answer
	last      pong
	clock     time.Time // what its clock said then
	down      bool
	boot      string // the incarnation that answered last
	gone      string // the incarnation that is known to have ended
	attempted string // the incarnation whose loss this node dealt with
}

// pong is a node's answer to a ping.
type pong struct {
	Now       int64  `json:"now"` // its clock, Unix microseconds
	Term      uint64 `json:"term"`
	LastTerm  uint64 `json:"last_term"` // of the last entry of its log
	LastIndex uint64 `json:"last_index"`
	Applied   uint64 `json:"applied"`
	Leader    string `json:"leader"` // as it believes
	Leads     bool   `json:"leads"`
	Version   string `json:"version"`
	Reads     uint64 `json:"reads"` // the highest version of a group that it can read
	Disk      health `json:"disk"`
}

// clock is this node's clock against the median of the voters'.
type clock struct {
	offset time.Duration
	known  bool      // a majority's clocks are
	wall   time.Time // what this node's clock said then
	at     time.Time // when that was, by the clock that nobody sets
}

func newMonitor(e *engine) *monitor {
	m := &monitor{e: e, peers: map[string]*watched{}, reached: map[string]reached{}}
	m.clock.Store(&clock{wall: e.node.cfg.Now().Round(0), at: time.Now()})
	return m
}

func (e *engine) pong() pong {
	p := pong{Now: e.node.cfg.Now().UnixMicro(), Term: e.raft.CurrentTerm(), Leader: e.leaderID(),
		Leads: e.raft.State() == raft.Leader, Version: e.node.cfg.Version, Reads: e.node.reads(), Disk: *e.storage.health.Load()}
	p.LastIndex, p.LastTerm = e.lastLog()
	p.Applied, _ = e.replica.Applied()
	return p
}

// run keeps one goroutine for each other member.
func (m *monitor) run() {
	for {
		change := m.e.news()
		m.reconcile()
		m.measure()
		if !waitOr(m.e.ctx, pingEvery, change) {
			return
		}
	}
}

// reconcile begins to watch new members and forgets those that went.
func (m *monitor) reconcile() {
	e := m.e
	conf := e.configuration()
	members := map[string]bool{}
	for _, s := range conf.Servers {
		id := string(s.ID)
		members[id] = true
		if id == e.node.id {
			continue
		}
		m.watch(id, e.node.port.Client(id, string(s.Address)))
	}
	if len(members) == 0 { // joined, but the leader's log has not come yet
		return
	}
	e.node.remember(conf)
	m.mu.Lock()
	known := m.known
	m.known = members
	if e.leaderID() != "" {
		m.sawLeader = true
	}
	for id, p := range m.peers {
		if !members[id] {
			p.cancel()
			delete(m.peers, id)
			delete(m.reached, id)
			defer e.node.port.Forget(id)
		}
	}
	m.mu.Unlock()
	if known == nil {
		return
	}
	for id := range members {
		if !known[id] {
			e.node.event(MemberAdded, id, e.raft.CurrentTerm())
		}
	}
	for id := range known {
		if !members[id] {
			e.node.event(MemberRemoved, id, e.raft.CurrentTerm())
		}
	}
}

func (m *monitor) watch(id string, client *peer.Client) {
	m.mu.Lock()
	defer m.mu.Unlock()
	p := m.peers[id]
	if p != nil && p.client == client {
		return
	}
	if p != nil { // at another address now
		p.cancel()
	}
	ctx, cancel := context.WithCancel(m.e.ctx)
	p = &watched{id: id, client: client, wake: make(chan struct{}, 1), cancel: cancel, heard: time.Now()}
	m.peers[id] = p
	m.e.crew.spawn(func() { m.follow(ctx, p) })
}

// follow pings a node until it is no longer a member.
func (m *monitor) follow(ctx context.Context, p *watched) {
	again := pingAgain
	for ctx.Err() == nil {
		pause := pingEvery
		// A process that dies closes its streams before its listener: a connection made in between
		// breaks, and only the next one is refused.
		if err := m.ping(ctx, p); err == nil || errors.Is(err, syscall.ECONNREFUSED) {
			again = pingAgain
		} else {
			pause = min(again, pingEvery)
			again = 2 * pause
		}
		waitOr(ctx, pause, p.wake)
	}
}

// look has a node pinged at once.
func (m *monitor) look(id string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if p := m.peers[id]; p != nil {
		select {
		case p.wake <- struct{}{}:
		default:
		}
	}
}

// lost is told when the stream to a peer has ended: is its process dead?
func (n *Node) lost(p peer.Identity) {
	if e := n.engine(); e != nil {
		e.monitor.look(p.Node)
	}
}

func (m *monitor) ping(ctx context.Context, p *watched) error {
	ctx, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()
	began := time.Now()
	body, err := p.client.Call(ctx, callPing, nil)
	var got pong
	if err == nil {
		err = json.Unmarshal(body, &got)
	}
	if err != nil {
		m.silent(p, err)
		return err
	}
	who, _ := p.client.Peer()
	m.answered(p, got, who.Boot, time.UnixMicro(got.Now).Add(time.Since(began)/2))
	return nil
}

func (m *monitor) answered(p *watched, got pong, boot string, clock time.Time) {
	m.mu.Lock()
	before := p.boot
	restarted := before != "" && before != boot
	m.reached[p.id] = reached{boot, max(m.reached[p.id].applied, got.Applied)}
	if restarted {
		p.gone = p.boot
	}
	was := p.last.Disk.State
	p.heard, p.last, p.boot, p.clock = time.Now(), got, boot, clock
	up := p.down
	p.down = false
	m.mu.Unlock()
	if before != boot {
		// Whoever else calls itself so runs on a copy of the folder, or has not noticed that it moved. What a process
		// that has ended sent is still read to its end.
		m.e.node.port.Only(p.id, boot, before)
	}
	if up {
		m.e.node.event(NodeUp, p.id, m.e.raft.CurrentTerm())
	}
	if disk := got.Disk.State; disk != was && disk != "" && (was != "" || disk != DiskOK) {
		m.e.node.event(diskEvent(disk), p.id, m.e.raft.CurrentTerm())
	}
	if restarted && !got.Leads {
		m.bereaved(p)
	}
	m.measure()
	m.beginAlone()
}

// silent deals with a ping that got no answer. Only a process that is dead refuses a connection;
// all others may only be slow.
func (m *monitor) silent(p *watched, err error) {
	refused := errors.Is(err, syscall.ECONNREFUSED)
	m.mu.Lock()
	if refused {
		p.gone = p.boot
	}
	down := !p.down && (refused || time.Since(p.heard) > downAfter)
	if down {
		p.down = true
	}
	m.mu.Unlock()
	if down && m.e.ctx.Err() == nil {
		m.e.node.event(NodeDown, p.id, m.e.raft.CurrentTerm())
	}
	if refused {
		m.bereaved(p)
	}
}

// describe adds to a member what is known of it.
func (m *monitor) describe(to *Member) {
	alive := true
	to.Alive = &alive
	if to.ID == m.e.node.id {
		to.Applied, _ = m.e.replica.Applied()
		to.Version, to.Reads = m.e.node.cfg.Version, m.e.node.reads()
		h := m.e.storage.health.Load()
		to.Disk, to.Free = h.State, h.Free
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	p := m.peers[to.ID]
	if p == nil || p.boot == "" {
		alive, to.Contact = false, -1
		return
	}
	alive = !p.down
	to.Contact, to.Applied, to.Version = time.Since(p.heard), p.last.Applied, p.last.Version
	to.Reads = p.last.Reads
	to.Disk, to.Free = p.last.Disk.State, p.last.Disk.Free
}

// alive reports whether a member gave a sign of life lately.
func (m *monitor) alive(id string) bool {
	if id == m.e.node.id {
		return true
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	p := m.peers[id]
	return p != nil && p.alive()
}

// alive is called with monitor.mu held.
func (p *watched) alive() bool { return p.boot != "" && !p.down && time.Since(p.heard) < downAfter }

// answering asks nodes for a sign of life and returns how many give one, this node among them.
func (m *monitor) answering(ctx context.Context, nodes []raft.Server) int {
	ctx, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()
	var answered atomic.Int64
	var all sync.WaitGroup
	for _, s := range nodes {
		all.Go(func() {
			if string(s.ID) != m.e.node.id {
				b, err := m.e.node.port.Client(string(s.ID), string(s.Address)).Call(ctx, callPing, nil)
				if err != nil || len(b) == 0 { // empty: it belongs to no group yet
					return
				}
			}
			answered.Add(1)
		})
	}
	all.Wait()
	return int(answered.Load())
}

// applied is how far another member said it was; not ok if it gave no sign of life lately.
func (m *monitor) applied(id string) (index uint64, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	p := m.peers[id]
	if p == nil || !p.alive() {
		return 0, false
	}
	return p.last.Applied, true
}

// leads returns the member that says it leads. A node that came back at another address does not
// hear it from Raft: its leader looks for it where it was.
func (m *monitor) leads() (leadership, bool) {
	conf := m.e.configuration()
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range conf.Servers {
		if p := m.peers[string(s.ID)]; p != nil && p.alive() && p.last.Leads {
			return leadership{id: p.id, addr: string(s.Address)}, true
		}
	}
	return leadership{}, false
}

// disk is what another member said of its disk, and how long ago; alive if it gave a sign of life lately.
func (m *monitor) disk(id string) (h health, age time.Duration, alive bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	p := m.peers[id]
	if p == nil || !p.alive() {
		return health{}, 0, false
	}
	return p.last.Disk, time.Since(p.heard), true
}

// lastDisk is what another member said last of its disk, and whether it is known to be down. One that
// was never heard of is not.
func (m *monitor) lastDisk(id string) (h health, down bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	p := m.peers[id]
	if p == nil {
		return health{}, false
	}
	return p.last.Disk, p.down
}

// measure compares this node's clock with the voters', as they were when last heard and have gone on
// since: so it also shows when it is this node's that was set.
func (m *monitor) measure() {
	conf := m.e.configuration()
	wall := m.e.node.cfg.Now().Round(0)
	all := voters(conf)
	var offsets []time.Duration
	m.mu.Lock()
	for _, v := range all {
		p := m.peers[string(v.ID)]
		switch {
		case string(v.ID) == m.e.node.id:
			offsets = append(offsets, 0)
		case p != nil && p.boot != "" && time.Since(p.heard) < maxClockOffset:
			offsets = append(offsets, p.clock.Add(time.Since(p.heard)).Sub(wall))
		}
	}
	m.mu.Unlock()
	c := clock{known: len(offsets) > len(all)/2, wall: wall, at: time.Now()}
	if c.known {
		c.offset = -median(offsets)
	}
	m.clock.Store(&c)
}

func median(d []time.Duration) time.Duration {
	slices.Sort(d)
	mid := len(d) / 2
	if len(d)%2 == 1 {
		return d[mid]
	}
	return d[mid-1] + (d[mid]-d[mid-1])/2
}

// offset is this node's clock against the median of the voters'; 0 while that is not known.
func (e *engine) offset() time.Duration { return e.monitor.clock.Load().offset }

// clockError says why this node may not stamp commands: a clock that runs years ahead would let
// every key expire for good.
func (e *engine) clockError() error {
	c := e.monitor.clock.Load()
	step := e.node.cfg.Now().Round(0).Sub(c.wall) - time.Since(c.at)
	switch {
	case step.Abs() > maxClockOffset: // it was set since the others were asked
		return failure(KindClock, NotApplied, "the clock of the leader %s was set %s ahead or back: it is compared with the others first", e.node.id, step.Abs().Round(time.Second))
	case !c.known:
		return failure(KindClock, NotApplied, "the leader %s has not compared its clock with the other nodes yet: try again", e.node.id)
	case c.offset.Abs() > maxClockOffset:
		return failure(KindClock, NotApplied, "the clock of the leader %s is %s off the other nodes: set it right", e.node.id, c.offset.Abs().Round(time.Second))
	}
	return nil
}
