// Package server is a node of a group: Raft, membership, a leadership term with its
// registry of list processes, reads at each level of consistency, and forwarding
// between nodes. DESIGN.md tells more.
package server

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"syscall"

	"todod/fsm"
	"todod/server/peer"
)

// Node is one node of a group. Its methods may be called concurrently.
type Node struct {
	cfg       Config
	id        string
	boot      string // of this run of the process
	advertise string // the raft address others are told
	log       *slog.Logger
	metrics   *metrics
	events    *events
	folder    *folder
	schedule  *schedule
	port      *peer.Port
	cur       atomic.Pointer[engine] // nil before the node belongs to a group
	gate      gate
	sees      atomic.Pointer[[]string]
	began     atomic.Pointer[uint64] // where the log ended when it was opened
	twice     doubts
	member    chan struct{} // a token: one change of this node's own membership at a time
	group     atomic.Pointer[string]
	leaving   atomic.Bool // it asked to be taken out

	ctx    context.Context
	cancel context.CancelFunc
	crew   crew
	ended  chan struct{}
	exit   atomic.Pointer[Exit]
	closed sync.Once
}

// Open opens a node's data folder and starts the node: it founds, joins or resumes. It
// returns an *Exit when the node cannot start.
func Open(cfg Config) (*Node, error) {
	cfg.fill()
	if err := cfg.check(); err != nil {
		return nil, err
	}
	if err := makeBackupDir(cfg.BackupDir); err != nil {
		return nil, err
	}
	listener, err := listen(&cfg) // before the folder is made: a port may be taken
	if err != nil {
		return nil, err
	}
	f, err := openFolder(cfg.Data, cfg.ID)
	if err != nil {
		listener.Close()
		return nil, err
	}
	n := &Node{cfg: cfg, id: f.state.ID, boot: rand.Text(), log: cfg.Logger.With("node", f.state.ID),
		events: newEvents(), folder: f, member: make(chan struct{}, 1), ended: make(chan struct{})}
	n.ctx, n.cancel = context.WithCancel(context.Background())
	n.setGroup(f.state.Group)
	n.schedule = newSchedule(n)
	n.metrics = newMetrics(cfg.Metrics, n)
	n.open(listener)
	if err := n.start(); err != nil {
		return nil, errors.Join(err, n.Close())
	}
	if cfg.BackupDir != "" {
		n.crew.spawn(n.schedule.run)
	}
	return n, nil
}

func (c *Config) check() error {
	if err := CheckAddr("--raft", c.Raft, c.Insecure); c.Listener == nil && err != nil {
		return err
	}
	if err := CheckRemoveDeadAfter(c.RemoveDeadAfter); err != nil {
		return err
	}
	if c.BootstrapExpect < 0 || c.BootstrapExpect == 1 && len(c.Join) == 0 {
		c.BootstrapExpect = 0
	}
	if c.BootstrapExpect > len(c.Join)+1 {
		return fmt.Errorf("--bootstrap-expect %d needs the HTTP addresses of the other nodes in --join", c.BootstrapExpect)
	}
	return nil
}

func listen(cfg *Config) (net.Listener, error) {
	if cfg.Listener != nil {
		return cfg.Listener, nil
	}
	l, err := net.Listen("tcp", cfg.Raft)
	if err != nil {
		return nil, fmt.Errorf("--raft %s cannot be listened on: %w", cfg.Raft, opError(err))
	}
	return l, nil
}

// open lets peers in.
func (n *Node) open(listener net.Listener) {
	if n.advertise = n.cfg.AdvertiseRaft; n.advertise == "" {
		n.advertise = listener.Addr().String()
	}
	dial := n.cfg.Dial
	if dial == nil {
		dial = func(ctx context.Context, addr string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", addr)
		}
	}
	n.port = peer.NewPort(peer.Config{
		Listener: listener, Dial: dial, Advertise: n.advertise, Log: n.log,
		Self: n.identity, Admit: n.admit, Handle: n.handle, Lost: n.lost, Refused: n.refusedBy,
	})
}

// opError takes the operation and the address out of a network error, which the caller names.
func opError(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Err
	}
	return err
}

// start brings the node to where its folder says it was.
func (n *Node) start() error {
	s := n.folder.state
	if s.Phase != phaseEmpty && len(n.cfg.Join) > 0 {
		n.log.Info("the data folder belongs to a group already: --join and --bootstrap-expect are ignored", "group", s.Group)
	}
	switch {
	case s.Phase == phaseMember:
		return n.orRepair(n.run(false))
	case s.Phase == phaseJoining:
		n.crew.spawn(func() { n.join(s.Targets) })
		return nil
	case s.Phase == phaseEmpty && n.cfg.BootstrapExpect > 0:
		n.crew.spawn(n.expect)
		return nil
	case s.Phase == phaseEmpty && len(n.cfg.Join) > 0:
		n.crew.spawn(func() { n.join(n.cfg.Join) })
		return nil
	}
	return n.found()
}

// run opens the engine: from here on the node is a member of its group.
func (n *Node) run(found bool) error {
	e, err := openEngine(n, found)
	if err != nil {
		return err
	}
	if n.folder.phase() == phaseFounding { // a member may have been told by now that it was removed
		if err := n.folder.change(func(s *folderState) { s.Phase = phaseMember }); err != nil {
			return errors.Join(err, e.close())
		}
	}
	n.cur.Store(e)
	if e.soleVoter() {
		e.campaign("it is the only voter")
	}
	return nil
}

// found makes a group of one.
func (n *Node) found() error {
	if n.folder.state.Phase != phaseFounding {
		group := rand.Text()
		if err := n.folder.change(func(s *folderState) { s.Phase, s.Group = phaseFounding, group }); err != nil {
			return err
		}
	} else if err := n.folder.wipe(); err != nil { // Raft cannot go on from a group that is half made
		return err
	}
	n.setGroup(n.folder.state.Group)
	n.log.Info("founds a group", "group", n.groupID())
	return n.run(true)
}

// engine is this node's part in its group, nil before it belongs to one.
func (n *Node) engine() *engine { return n.cur.Load() }

// inGroup is engine for what needs one.
func (n *Node) inGroup() (*engine, error) {
	if n.exit.Load() != nil {
		return nil, stopping()
	}
	if e := n.engine(); e != nil {
		return e, nil
	}
	if n.folder.phase() == phaseMember {
		return nil, failure(KindJoining, NotApplied, "this node gets another replica, for its own was damaged: try again, or ask another node")
	}
	return nil, failure(KindJoining, NotApplied, "this node belongs to no group yet: try again, or ask another node")
}

func (n *Node) setGroup(group string) { n.group.Store(&group) }
func (n *Node) groupID() string       { return *n.group.Load() }

// identity is how this node presents itself to peers. Before its request to join was granted it
// has no group: whatever else it held is given up by then. Before its log is open it does not say where that ends.
func (n *Node) identity() peer.Identity {
	self := peer.Identity{Group: n.groupID(), Node: n.id, Folder: n.folder.state.Folder, Boot: n.boot}
	if began := n.began.Load(); began != nil {
		self.Last = *began
	}
	return self
}

// removed ends this node after it was taken out of its group.
func (n *Node) removed(code int) {
	n.crew.spawn(func() {
		n.member <- struct{}{}
		defer func() { <-n.member }()
		if n.ctx.Err() != nil || n.folder.state.Phase == phaseRemoved {
			return
		}
		if err := n.folder.change(func(s *folderState) { s.Phase = phaseRemoved }); err != nil {
			n.end(asExit(err))
			return
		}
		n.end(exit(code, "node %s was removed from its group: its data folder is kept, and may not join again", n.id))
	})
}

// storageFailed ends the node after the first error of the disk, or damage.
func (n *Node) storageFailed(err error) {
	if newer := tooNew(err); newer != nil {
		n.end(newer)
		return
	}
	switch {
	case errors.Is(err, fsm.ErrUnknown):
		n.end(exit(ExitUnknownEntry, "the log holds an entry of a newer todod: run that version (%v)", sentence(err)))
	case errors.Is(err, fsm.ErrDamaged):
		n.end(exit(ExitUnknownEntry, "an entry of the log is damaged: remove this node and begin it anew, with an empty folder and a new --id (%v)", err))
	case errors.Is(err, fsm.ErrCorrupt):
		n.replicaDamaged(err)
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		n.end(exit(ExitStorage, "the disk is full: free some room, then start the node again (%v)", sentence(err)))
	default:
		n.end(exit(ExitStorage, "the storage failed: free or replace the disk, then start the node again (%v)", sentence(err)))
	}
}

func (n *Node) end(why *Exit) {
	if !n.exit.CompareAndSwap(nil, why) {
		return
	}
	n.log.Error("ends", "reason", why.Reason, "code", why.Code)
	if n.cfg.Fatal != nil && why.Code != 0 && why.Code != ExitFolderRefused {
		n.cfg.Fatal(why)
	}
	close(n.ended)
}

// ID returns the node's id, as given, found or made.
func (n *Node) ID() string { return n.id }

// Done is closed when the node cannot go on by itself: Err then says why.
func (n *Node) Done() <-chan struct{} { return n.ended }

// Err returns why the node ended, nil before Done. Code 0 means that it was removed from its
// group while it ran, as someone asked.
func (n *Node) Err() *Exit { return n.exit.Load() }

// HandOver hands leadership over if this node leads and another can; else it does nothing.
// The node still forwards writes and serves reads afterwards.
func (n *Node) HandOver(ctx context.Context) {
	e := n.engine()
	if e == nil || e.term.Load() == nil || e.soleVoter() {
		return
	}
	if err := e.handOver(ctx, ""); err != nil {
		n.log.Warn("leadership was not handed over", "err", err)
	}
}

// Close stops the node and closes its files. What waits is told so.
func (n *Node) Close() (err error) {
	n.closed.Do(func() {
		n.cancel()
		n.crew.close()
		n.member <- struct{}{} // a change of this node's own membership comes to its end
		defer func() { <-n.member }()
		if e := n.engine(); e != nil {
			err = e.close()
		}
		err = errors.Join(err, n.port.Close(), n.folder.close())
	})
	return err
}

func (n *Node) event(typ, node string, term uint64) {
	n.log.Info(typ, "about", node, "term", term)
	n.events.add(typ, node, term, n.cfg.Now())
}

// deadline bounds what is done on behalf of a client.
func (n *Node) deadline(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, n.cfg.RequestTimeout)
}

// soleVoter reports whether this node is the only voter of its group.
func (e *engine) soleVoter() bool {
	conf := e.configuration()
	v := voters(conf)
	return len(v) == 1 && string(v[0].ID) == e.node.id
}
