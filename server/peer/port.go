package peer

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"slices"
	"sync"
	"time"
)

// Config is what a port needs. All functions may be called from any goroutine.
type Config struct {
	Listener  net.Listener
	Dial      func(ctx context.Context, addr string) (net.Conn, error)
	Advertise string // the address that other nodes are told
	// Self is this node as it is now: its group is "" before it belongs to one.
	Self func() Identity
	// Admit judges a peer of this node's group; nil welcomes it. It came by itself, or it
	// answers where this node dialled it.
	Admit func(peer Identity, came bool) *Refused
	// Handle takes a call of a peer. It must not block: the peer's next call waits for
	// it. It calls reply exactly once, from any goroutine.
	Handle func(from Identity, kind uint8, body []byte, reply func([]byte))
	// Lost is told when an established connection of a Client has ended.
	Lost func(Identity)
	// Refused is told when a peer has turned this node away.
	Refused func(*Refused)
	Log     *slog.Logger
}

// Port is where the peers of a node come in and go out.
type Port struct {
	cfg    Config
	ctx    context.Context
	cancel context.CancelFunc
	done   sync.WaitGroup

	mu      sync.Mutex
	closed  bool
	clients map[string]*Client
	conns   map[net.Conn]Identity // that peers opened; empty before it is known whose it is
	greets  []net.Conn            // those whose handshake is under way, the oldest first
	streams map[*tracked]bool     // Raft's streams that peers have opened
	raft    *raftLayer            // where Raft's streams go; nil while there is no Raft
	told    map[string]time.Time  // when a refusal was last logged
}

const (
	// handshakeTimeout bounds how long whoever connects may take to say who it is.
	handshakeTimeout = 2 * time.Second
	// maxGreets bounds the strangers that are being listened to at a time; the oldest goes for a
	// newer one, so that silent ones cannot keep members out.
	maxGreets = 256
	// tellEvery is how often the same refusal is logged.
	tellEvery = 10 * time.Second
)

// NewPort begins to listen.
func NewPort(cfg Config) *Port {
	p := &Port{cfg: cfg, clients: map[string]*Client{}, conns: map[net.Conn]Identity{}, streams: map[*tracked]bool{},
		told: map[string]time.Time{}}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	p.done.Go(p.listen)
	return p
}

// Close ends all connections and waits for their goroutines. It may be called twice.
func (p *Port) Close() error {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		p.done.Wait()
		return nil
	}
	p.closed = true
	p.cancel()
	err := p.cfg.Listener.Close()
	for conn := range p.conns {
		conn.Close()
	}
	clients := p.clients
	p.clients = map[string]*Client{}
	p.mu.Unlock()
	for _, c := range clients {
		c.close()
	}
	p.done.Wait()
	return err
}

// spawn runs f in a goroutine that Close waits for; false once the port is closed.
func (p *Port) spawn(f func()) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	p.done.Go(f)
	return true
}

// Client returns the client for a node at an address. An older one for another address
// of that node is closed.
func (p *Port) Client(id, addr string) *Client {
	p.mu.Lock()
	c := p.clients[id]
	if c != nil && c.addr == addr {
		p.mu.Unlock()
		return c
	}
	old := c
	c = &Client{p: p, id: id, addr: addr, closed: p.closed}
	p.clients[id] = c
	p.mu.Unlock()
	if old != nil {
		old.close()
	}
	return c
}

// Forget closes the connections with a node that is no longer a member.
func (p *Port) Forget(id string) {
	p.mu.Lock()
	c := p.clients[id]
	delete(p.clients, id)
	for conn, peer := range p.conns {
		if peer.Node == id {
			conn.Close()
		}
	}
	p.mu.Unlock()
	if c != nil {
		c.close()
	}
}

// Only closes what other processes of a node than those of some boots have opened.
func (p *Port) Only(id string, boots ...string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for conn, peer := range p.conns {
		if peer.Node == id && !slices.Contains(boots, peer.Boot) {
			conn.Close()
		}
	}
}

func (p *Port) listen() {
	for {
		conn, err := p.cfg.Listener.Accept()
		if errors.Is(err, net.ErrClosed) || p.ctx.Err() != nil {
			return
		}
		if err != nil { // out of file handles, say: others may be freed
			select {
			case <-time.After(10 * time.Millisecond):
			case <-p.ctx.Done():
				return
			}
			continue
		}
		p.admit(conn)
	}
}

// admit keeps a new connection until its stream ends.
func (p *Port) admit(conn net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		conn.Close()
		return
	}
	if len(p.greets) == maxGreets {
		p.greets[0].Close()
		p.greets = p.greets[1:]
	}
	p.greets = append(p.greets, conn)
	p.conns[conn] = Identity{}
	p.done.Go(func() {
		h, err := p.greet(conn)
		p.greeted(conn, h)
		if err != nil {
			p.tell("turned a connection away", conn.RemoteAddr().String(), err)
			p.drop(conn)
			return
		}
		if h.kind == streamRaft {
			p.toRaft(conn, h.from)
			return
		}
		p.answer(conn, h.from)
		p.drop(conn)
	})
}

func (p *Port) greeted(conn net.Conn, h *hello) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.greets = slices.DeleteFunc(p.greets, func(c net.Conn) bool { return c == conn })
	if h != nil {
		p.conns[conn] = h.from
	}
}

func (p *Port) drop(conn net.Conn) {
	conn.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, conn)
}

// greet is the handshake with whoever connected.
func (p *Port) greet(conn net.Conn) (*hello, error) {
	conn.SetDeadline(time.Now().Add(handshakeTimeout))
	h, err := readHello(conn)
	var refused *Refused
	if err != nil && !errors.As(err, &refused) {
		return nil, err
	}
	self := p.cfg.Self()
	if refused == nil {
		refused = p.judge(self, h.from, true)
	}
	if refused == nil && h.text != self.Node {
		refused = refuse(Node, "node %s was called %s: it is at another address now", self.Node, h.text)
	}
	if refused == nil && h.kind != streamRaft && h.kind != streamCalls {
		refused = refuse(Version, "the peer wants a kind of stream that this node does not know")
	}
	answer := hello{kind: byte(Welcome), from: self}
	if refused != nil {
		answer.kind, answer.text = byte(refused.Reason), refused.Detail
	}
	if _, err := conn.Write(answer.encode()); err != nil {
		return nil, err
	}
	if refused != nil {
		return nil, refused
	}
	conn.SetDeadline(time.Time{})
	return h, watchPath(conn)
}

// judge says whether a node may speak with this one.
func (p *Port) judge(self, peer Identity, came bool) *Refused {
	switch {
	case self.Group == "":
		return refuse(NotYet, "node %s belongs to no group yet", self.Node)
	case peer.Group != self.Group:
		return refuse(Group, "node %s is of group %s, node %s of group %s", self.Node, self.Group, peer.Node, peer.Group)
	}
	return p.cfg.Admit(peer, came)
}

// dial connects to a node and makes the handshake.
func (p *Port) dial(ctx context.Context, kind byte, id, addr string) (net.Conn, Identity, error) {
	conn, err := p.cfg.Dial(ctx, addr)
	if err != nil {
		return nil, Identity{}, err
	}
	peer, err := p.introduce(ctx, conn, kind, id)
	if err == nil {
		err = watchPath(conn)
	}
	if err != nil {
		conn.Close()
		var refused *Refused
		if errors.As(err, &refused) {
			p.tell("a peer turned this node away", addr, err)
			if p.cfg.Refused != nil && refused.By.Node != "" {
				p.cfg.Refused(refused)
			}
		}
		return nil, Identity{}, err
	}
	return conn, peer, nil
}

// introduce is the handshake with the node that was dialled.
func (p *Port) introduce(ctx context.Context, conn net.Conn, kind byte, id string) (Identity, error) {
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	self := p.cfg.Self()
	if _, err := conn.Write((&hello{kind: kind, from: self, text: id}).encode()); err != nil {
		return Identity{}, err
	}
	h, err := readHello(conn)
	if err != nil {
		return Identity{}, err
	}
	if reason := Reason(h.kind); reason != Welcome {
		return h.from, &Refused{Reason: reason, Detail: h.text, By: h.from}
	}
	if refused := p.judge(self, h.from, false); refused != nil {
		return h.from, refused
	}
	if h.from.Node != id {
		return h.from, refuse(Node, "node %s answers at the address of node %s", h.from.Node, id)
	}
	if !stop() {
		return h.from, context.Cause(ctx)
	}
	return h.from, nil
}

// answer serves the calls of a peer until its connection ends.
func (p *Port) answer(conn net.Conn, from Identity) {
	w := newWire(conn)
	for {
		call, kind, body, err := w.receive()
		if err != nil {
			return
		}
		p.cfg.Handle(from, kind, body, func(b []byte) {
			_ = w.send(call, 0, b) // a caller that is gone asks again
		})
	}
}

// tell logs a refusal, the same one not too often.
func (p *Port) tell(msg, addr string, err error) {
	p.mu.Lock()
	host, _, _ := net.SplitHostPort(addr)
	key := msg + host
	var refused *Refused
	if errors.As(err, &refused) { // not its text, which says what a stranger calls itself
		key += string('0' + rune(refused.Reason))
	}
	now := time.Now()
	quiet := now.Sub(p.told[key]) < tellEvery
	if !quiet {
		if len(p.told) > maxGreets {
			clear(p.told)
		}
		p.told[key] = now
	}
	p.mu.Unlock()
	if !quiet && p.ctx.Err() == nil {
		p.cfg.Log.Warn(msg, "addr", addr, "reason", err)
	}
}
