package server

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"
)

// simNet is a network in memory for tests in virtual time. A cut link behaves as a real one does:
// what is sent waits, and nobody is told, until the kernels give a connection up that has them look after its path.
type simNet struct {
	mu        sync.Mutex
	changed   *sync.Cond // who listens and who may reach whom; each end of a connection has its own
	listeners map[string]*simListener
	dead      map[string]bool    // addresses that dial nobody until they listen again
	cut       map[[2]string]bool // from, to: one direction
	refuse    map[[2]string]bool // from, to: a dial that finds nobody
	conns     map[*simConn]bool
	healed    int                  // how often
	late      func() time.Duration // how long what is sent now is under way; nil for no time
	leaving   func(addr string)    // told before an address sends; nil for nobody
}

func newSimNet() *simNet {
	n := &simNet{listeners: map[string]*simListener{}, dead: map[string]bool{}, cut: map[[2]string]bool{}, refuse: map[[2]string]bool{}, conns: map[*simConn]bool{}}
	n.changed = sync.NewCond(&n.mu)
	return n
}

type simListener struct {
	net    *simNet
	addr   string
	queue  []*simConn
	closed bool
}

func (n *simNet) listen(addr string) *simListener {
	n.mu.Lock()
	defer n.mu.Unlock()
	l := &simListener{net: n, addr: addr}
	n.listeners[addr] = l
	delete(n.dead, addr)
	return l
}

func (l *simListener) Accept() (net.Conn, error) {
	l.net.mu.Lock()
	defer l.net.mu.Unlock()
	for len(l.queue) == 0 && !l.closed {
		l.net.changed.Wait()
	}
	if l.closed {
		return nil, net.ErrClosed
	}
	c := l.queue[0]
	l.queue = l.queue[1:]
	return c, nil
}

func (l *simListener) Close() error {
	l.net.mu.Lock()
	defer l.net.mu.Unlock()
	l.closed = true
	if l.net.listeners[l.addr] == l {
		delete(l.net.listeners, l.addr)
	}
	l.net.changed.Broadcast()
	return nil
}

func (l *simListener) Addr() net.Addr { return simAddr(l.addr) }

type simAddr string

func (simAddr) Network() string  { return "sim" }
func (a simAddr) String() string { return string(a) }

// dial connects from one address to another; nobody listening refuses, a cut link is silent.
func (n *simNet) dial(ctx context.Context, from, to string) (net.Conn, error) {
	stop := context.AfterFunc(ctx, func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.changed.Broadcast()
	})
	defer stop()
	n.mu.Lock()
	defer n.mu.Unlock()
	for (n.cut[[2]string{from, to}] || n.cut[[2]string{to, from}]) && ctx.Err() == nil {
		n.changed.Wait()
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	l := n.listeners[to]
	if l == nil || n.dead[from] || n.refuse[[2]string{from, to}] {
		return nil, &net.OpError{Op: "dial", Net: "sim", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	}
	a, b := n.conn(from, to), n.conn(to, from)
	a.peer, b.peer = b, a
	n.conns[a], n.conns[b] = true, true
	l.queue = append(l.queue, b)
	n.changed.Broadcast()
	return a, nil
}

func (n *simNet) conn(local, remote string) *simConn {
	return &simConn{net: n, local: local, remote: remote, changed: sync.NewCond(&n.mu)}
}

// tellAll wakes everybody. It is called with mu held.
func (n *simNet) tellAll() {
	n.changed.Broadcast()
	for c := range n.conns {
		c.changed.Broadcast()
	}
}

// cutOff cuts every link of an address, in both directions.
func (n *simNet) cutOff(addr string, others []string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, o := range others {
		n.cut[[2]string{addr, o}], n.cut[[2]string{o, addr}] = true, true
	}
	n.forsake()
}

// cutWay cuts what one address sends to another.
func (n *simNet) cutWay(from, to string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.cut[[2]string{from, to}] = true
	n.forsake()
}

// forsake has the kernels give up the connections over cut links, unless all is healed before. It is called with mu held.
func (n *simNet) forsake() {
	healed := n.healed
	for c := range n.conns {
		if c.patience > 0 && (n.cut[[2]string{c.local, c.remote}] || n.cut[[2]string{c.remote, c.local}]) {
			time.AfterFunc(c.patience, func() {
				n.mu.Lock()
				defer n.mu.Unlock()
				if n.healed == healed {
					c.reset()
				}
			})
		}
	}
}

// sever breaks every stream between two addresses, "" for any; both sides may dial again.
func (n *simNet) sever(addr, other string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for c := range n.conns {
		if c.local == addr && (other == "" || c.remote == other) {
			c.reset()
		}
	}
}

// stall has every stream there is stand still, as if a firewall had forgotten them, until the kernels notice; new ones work.
func (n *simNet) stall() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for c := range n.conns {
		c.stalled = true
		if c.patience > 0 {
			time.AfterFunc(c.patience, func() {
				n.mu.Lock()
				defer n.mu.Unlock()
				c.reset()
			})
		}
	}
}

// refused has the dials from one address to another refused, as if nobody listened there.
func (n *simNet) refused(from, to string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.refuse[[2]string{from, to}] = true
}

// slow has all that is sent from now on take as long as late says.
func (n *simNet) slow(late func() time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.late = late
}

// deafen takes the listener of an address away; what is connected stays.
func (n *simNet) deafen(addr string) {
	n.mu.Lock()
	l := n.listeners[addr]
	n.mu.Unlock()
	_ = l.Close()
}

func (n *simNet) heal() {
	n.mu.Lock()
	defer n.mu.Unlock()
	clear(n.cut)
	clear(n.refuse)
	n.late = nil
	n.healed++
	n.tellAll()
}

// kill ends all that an address has open, as the end of its process would: what it does from here on nobody hears of.
func (n *simNet) kill(addr string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.dead[addr] = true
	if l := n.listeners[addr]; l != nil {
		l.closed = true
		delete(n.listeners, addr)
	}
	for c := range n.conns {
		if c.local == addr {
			c.closed = true
			c.tell()
			delete(n.conns, c)
		}
	}
	n.changed.Broadcast()
}

// simConn is one end of a connection; what it may read is in buf.
type simConn struct {
	net           *simNet
	peer          *simConn
	local, remote string

	// guarded by net.mu
	buf           []byte
	coming        []parcel // sent to this end and under way
	closed        bool
	broken        bool          // reset by the network
	stalled       bool          // nothing comes any more, and nobody is told
	patience      time.Duration // after which the kernels give up a path that is dead; 0: never
	readBy, wrBy  time.Time
	readT, writeT *time.Timer
	changed       *sync.Cond
}

// parcel is what one Write sent.
type parcel struct {
	at   time.Time
	data []byte
}

// carry takes what was sent to this end when it has been under way for long enough, in order. It is called with
// net.mu held.
func (c *simConn) carry() {
	for len(c.coming) > 0 && !time.Now().Before(c.coming[0].at) {
		c.buf = append(c.buf, c.coming[0].data...)
		c.coming = c.coming[1:]
	}
}

// receive is told of what the other end sends. It is called with net.mu held.
func (c *simConn) receive(b []byte) {
	var late time.Duration
	if c.net.late != nil {
		late = c.net.late()
	}
	if late == 0 && len(c.coming) == 0 {
		c.buf = append(c.buf, b...)
		c.tell()
		return
	}
	at := time.Now().Add(late)
	if n := len(c.coming); n > 0 && at.Before(c.coming[n-1].at) {
		at = c.coming[n-1].at
	}
	c.coming = append(c.coming, parcel{at, slices.Clone(b)})
	time.AfterFunc(time.Until(at), func() {
		c.net.mu.Lock()
		defer c.net.mu.Unlock()
		c.carry()
		c.tell()
	})
}

// SetKeepAliveConfig has the kernels look after the path.
func (c *simConn) SetKeepAliveConfig(k net.KeepAliveConfig) error {
	c.net.mu.Lock()
	defer c.net.mu.Unlock()
	c.patience = k.Idle + time.Duration(k.Count)*k.Interval
	return nil
}

// reset breaks both ends. It is called with net.mu held.
func (c *simConn) reset() {
	c.broken, c.peer.broken = true, true
	c.tell()
}

// tell wakes both ends. It is called with net.mu held.
func (c *simConn) tell() {
	c.changed.Broadcast()
	c.peer.changed.Broadcast()
}

func (c *simConn) Read(b []byte) (int, error) {
	c.net.mu.Lock()
	defer c.net.mu.Unlock()
	for {
		link := !c.net.cut[[2]string{c.remote, c.local}] && !c.stalled
		switch {
		case c.closed:
			return 0, net.ErrClosed
		case c.broken:
			return 0, syscall.ECONNRESET
		case past(c.readBy):
			return 0, os.ErrDeadlineExceeded
		case link && len(c.buf) > 0:
			n := copy(b, c.buf)
			c.buf = c.buf[n:]
			c.tell()
			return n, nil
		case link && c.peer.closed && len(c.coming) == 0:
			return 0, io.EOF
		}
		c.changed.Wait()
	}
}

// simBuffer is how much a connection takes before a writer must wait.
const simBuffer = 1 << 20

func (c *simConn) Write(b []byte) (int, error) {
	if leaving := c.net.leaving; leaving != nil {
		leaving(c.local)
	}
	c.net.mu.Lock()
	defer c.net.mu.Unlock()
	for len(c.peer.buf) > simBuffer && !c.closed && !c.broken && !c.peer.closed && !past(c.wrBy) {
		c.changed.Wait()
	}
	switch {
	case c.closed:
		return 0, net.ErrClosed
	case c.broken:
		return 0, syscall.ECONNRESET
	case past(c.wrBy):
		return 0, os.ErrDeadlineExceeded
	case c.peer.closed && !c.net.cut[[2]string{c.local, c.remote}]:
		return 0, syscall.EPIPE
	}
	c.peer.receive(b)
	return len(b), nil
}

func past(t time.Time) bool { return !t.IsZero() && !time.Now().Before(t) }

func (c *simConn) Close() error {
	c.net.mu.Lock()
	defer c.net.mu.Unlock()
	if c.closed {
		return errors.New("closed twice")
	}
	c.closed = true
	delete(c.net.conns, c)
	for _, t := range []*time.Timer{c.readT, c.writeT} {
		if t != nil {
			t.Stop()
		}
	}
	c.tell()
	return nil
}

func (c *simConn) LocalAddr() net.Addr  { return simAddr(c.local) }
func (c *simConn) RemoteAddr() net.Addr { return simAddr(c.remote) }

func (c *simConn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

func (c *simConn) SetReadDeadline(t time.Time) error {
	c.setDeadline(&c.readBy, &c.readT, t)
	return nil
}

func (c *simConn) SetWriteDeadline(t time.Time) error {
	c.setDeadline(&c.wrBy, &c.writeT, t)
	return nil
}

func (c *simConn) setDeadline(at *time.Time, timer **time.Timer, t time.Time) {
	c.net.mu.Lock()
	defer c.net.mu.Unlock()
	*at = t
	if *timer != nil {
		(*timer).Stop()
		*timer = nil
	}
	if !t.IsZero() && !c.closed {
		*timer = time.AfterFunc(time.Until(t), func() {
			c.net.mu.Lock()
			defer c.net.mu.Unlock()
			c.tell()
		})
	}
	c.tell()
}
