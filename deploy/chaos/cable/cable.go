// Package cable is the network between the nodes of a group on one machine: each node tells the
// others to reach it through a proxy here. What the proxy does to what one node says to
// another is set for each direction: a cut, a delay, stalls as of lost packets, a reset.
package cable

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"sync"
	"time"
)

// Link is how things are from one node to another. The zero value carries all at once.
type Link struct {
	// Cut lets nothing through and resets nothing, as a network that drops packets: once it
	// is healed, what was on its way arrives late.
	Cut bool
	// Delay is added to each piece, and up to Jitter more.
	Delay, Jitter time.Duration
	// Stall is how often, of 1, a piece is held up with all that comes behind it, as TCP holds it up that
	// lost a packet.
	Stall float64
}

// The time that TCP takes to send again what was lost: Linux begins at 200 ms and doubles.
const minStall, maxStall = 200 * time.Millisecond, 800 * time.Millisecond

// Net is the network of one group. It may be used concurrently.
type Net struct {
	mu      sync.Mutex
	changed *sync.Cond
	plugs   map[string]*plug
	links   map[[2]string]Link // from, to
	open    map[net.Conn][2]string
	closed  bool
	begin   []byte // the first bytes that some node sent to another
}

// plug is the proxy before one node.
type plug struct {
	name, addr, target string
	pid                func() int64
	listener           net.Listener // nil while it is pulled
}

// New returns a network without nodes.
func New() *Net {
	c := &Net{plugs: map[string]*plug{}, links: map[[2]string]Link{}, open: map[net.Conn][2]string{}}
	c.changed = sync.NewCond(&c.mu)
	return c
}

// Plug puts a proxy on addr before the node that listens on target, and returns the proxy's address:
// the one that the node has to advertise. pid is asked for the process of the node, 0 if
// there is none: that is how the proxies find out who dials.
func (c *Net) Plug(name, addr, target string, pid func() int64) (string, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return "", fmt.Errorf("put a proxy before %s: %w", name, err)
	}
	p := &plug{name: name, addr: l.Addr().String(), target: target, pid: pid, listener: l}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.plugs[name] = p
	go c.accept(l, p)
	return p.addr, nil
}

// Pull stops listening for a node whose process is gone: dialling it is refused then, as it would
// be without a proxy.
func (c *Net) Pull(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p := c.plugs[name]; p != nil && p.listener != nil {
		p.listener.Close()
		p.listener = nil
	}
}

// Push is the reverse of Pull.
func (c *Net) Push(name string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.plugs[name]
	if p == nil || p.listener != nil || c.closed {
		return nil
	}
	l, err := net.Listen("tcp", p.addr)
	if err != nil {
		return fmt.Errorf("put the proxy before %s back: %w", name, err)
	}
	p.listener = l
	go c.accept(l, p)
	return nil
}

// Set changes the link from one node to another.
func (c *Net) Set(from, to string, l Link) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.links[[2]string{from, to}] = l
	c.changed.Broadcast()
}

// Cut separates the nodes of one side from those of the other, both ways.
func (c *Net) Cut(one, other []string) {
	for _, a := range one {
		for _, b := range other {
			if a != b {
				c.Set(a, b, Link{Cut: true})
				c.Set(b, a, Link{Cut: true})
			}
		}
	}
}

// Heal makes all links whole again.
func (c *Net) Heal() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.links)
	c.changed.Broadcast()
}

// Reset resets all connections that a node has with others.
func (c *Net) Reset(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for conn, ends := range c.open {
		if ends[0] == name || ends[1] == name {
			abort(conn)
		}
	}
}

// Close ends it, with all connections.
func (c *Net) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	c.changed.Broadcast()
	for _, p := range c.plugs {
		if p.listener != nil {
			p.listener.Close()
		}
	}
	for conn := range c.open {
		conn.Close()
	}
}

// Opening returns how a node begins when it dials another; nil if none has yet.
func (c *Net) Opening() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.begin
}

func (c *Net) accept(l net.Listener, p *plug) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		go c.carry(conn, p)
	}
}

// pass waits until what one node says reaches the other; false means that the network was closed.
func (c *Net) pass(from, to string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.links[[2]string{from, to}].Cut && !c.closed {
		c.changed.Wait()
	}
	return !c.closed
}

func (c *Net) link(from, to string) Link {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.links[[2]string{from, to}]
}

// late is for how long the next piece is held up.
func (l Link) late() time.Duration {
	d := l.Delay
	if l.Jitter > 0 {
		d += rand.N(l.Jitter)
	}
	if l.Stall > 0 && rand.Float64() < l.Stall {
		d += minStall + rand.N(maxStall-minStall)
	}
	return d
}

// hold keeps a connection among those that Close and Reset end.
func (c *Net) hold(conn net.Conn, from, to string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		conn.Close()
	}
	c.open[conn] = [2]string{from, to}
}

func (c *Net) drop(conn net.Conn) {
	conn.Close()
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.open, conn)
}

func (c *Net) note(b []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.begin == nil {
		c.begin = append([]byte(nil), b...)
	}
}

// caller finds out which node a connection comes from: the kernel lists the inode of the
// socket at its other end, and the node's process has that inode open.
func (c *Net) caller(conn net.Conn) (string, bool) {
	table, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		return "", false
	}
	local := conn.RemoteAddr().(*net.TCPAddr).Port
	remote := conn.LocalAddr().(*net.TCPAddr).Port
	pair := fmt.Sprintf(" 0100007F:%04X 0100007F:%04X ", local, remote)
	for line := range strings.Lines(string(table)) {
		if strings.Contains(line, pair) {
			return c.owner("socket:[" + strings.Fields(line)[9] + "]")
		}
	}
	return "", false
}

func (c *Net) owner(socket string) (string, bool) {
	c.mu.Lock()
	plugs := make([]*plug, 0, len(c.plugs))
	for _, p := range c.plugs {
		plugs = append(plugs, p)
	}
	c.mu.Unlock()
	for _, p := range plugs {
		pid := p.pid()
		dir := fmt.Sprintf("/proc/%d/fd/", pid)
		fds, err := os.ReadDir(dir)
		if pid == 0 || err != nil {
			continue
		}
		for _, fd := range fds {
			if name, err := os.Readlink(dir + fd.Name()); err == nil && name == socket {
				return p.name, true
			}
		}
	}
	return "", false
}
