package main_test

import (
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
)

// cable is the network between the nodes of a group: each node tells the others to reach it
// through a proxy here. Between two nodes that are cut off from each other nothing arrives and
// nothing is reset, as in a network that drops packets; once it is healed, what was on
// its way arrives late. Clients do not go through it.
type cable struct {
	t      *testing.T
	mu     sync.Mutex
	healed *sync.Cond
	nodes  []*node
	cuts   map[[2]*node]bool // from, to
	closed bool
	begin  []byte // the first bytes that some node sent to another
	open   map[net.Conn]bool
}

func newCable(t *testing.T) *cable {
	c := &cable{t: t, cuts: map[[2]*node]bool{}, open: map[net.Conn]bool{}}
	c.healed = sync.NewCond(&c.mu)
	t.Cleanup(c.close)
	return c
}

// newCabledGroup is newGroup over a cable.
func newCabledGroup(t *testing.T, size int) (*group, *cable) {
	t.Helper()
	c := newCable(t)
	return startGroup(t, size, c.plug), c
}

// plug puts a proxy before a node that has not been started.
func (c *cable) plug(n *node) {
	c.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { l.Close() })
	n.args = append(n.args, "--advertise-raft", l.Addr().String())
	c.mu.Lock()
	c.nodes = append(c.nodes, n)
	c.mu.Unlock()
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go c.carry(conn, n)
		}
	}()
}

// cut separates the nodes of one side from those of the other.
func (c *cable) cut(one, other []*node) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, a := range one {
		for _, b := range other {
			c.cuts[[2]*node{a, b}] = true
			c.cuts[[2]*node{b, a}] = true
		}
	}
}

func (c *cable) heal() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.cuts)
	c.healed.Broadcast()
}

func (c *cable) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	c.healed.Broadcast()
	for conn := range c.open {
		conn.Close()
	}
}

// pass waits until what one node says reaches the other; false means that the test is over.
func (c *cable) pass(from, to *node) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.cuts[[2]*node{from, to}] && !c.closed {
		c.healed.Wait()
	}
	return !c.closed
}

// hold keeps a connection among those that close ends.
func (c *cable) hold(conn net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		conn.Close()
	}
	c.open[conn] = true
}

func (c *cable) drop(conn net.Conn) {
	conn.Close()
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.open, conn)
}

// opening returns how a node begins when it dials another.
func (c *cable) opening() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.begin
}

func (c *cable) carry(in net.Conn, to *node) {
	c.hold(in)
	defer c.drop(in)
	from := c.caller(in)
	if from == nil || !c.pass(from, to) {
		return // whoever it was is gone
	}
	out, err := net.Dial("tcp", to.raft)
	if err != nil {
		return
	}
	c.hold(out)
	defer c.drop(out)
	var both sync.WaitGroup
	both.Go(func() { c.pump(in, out, from, to) })
	both.Go(func() { c.pump(out, in, to, from) })
	both.Wait()
}

func (c *cable) pump(src, dst net.Conn, from, to *node) {
	buf := make([]byte, 64<<10)
	for {
		n, err := src.Read(buf)
		if n > 0 {
			c.note(buf[:n])
			if !c.pass(from, to) {
				break
			}
			if _, werr := dst.Write(buf[:n]); werr != nil {
				break
			}
		}
		if err == io.EOF {
			// An end is a packet too.
			if c.pass(from, to) {
				dst.(*net.TCPConn).CloseWrite()
			}
			return
		}
		if err != nil {
			break
		}
	}
	src.Close()
	dst.Close()
}

func (c *cable) note(b []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.begin == nil {
		c.begin = append([]byte(nil), b...)
	}
}

// caller finds out which node a connection comes from: the kernel lists the inode of the
// socket at its other end, and the node's process has that inode open.
func (c *cable) caller(conn net.Conn) *node {
	table, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		c.t.Errorf("who dialled cannot be told: %v", err)
		return nil
	}
	local := conn.RemoteAddr().(*net.TCPAddr).Port
	remote := conn.LocalAddr().(*net.TCPAddr).Port
	pair := fmt.Sprintf(" 0100007F:%04X 0100007F:%04X ", local, remote)
	for line := range strings.Lines(string(table)) {
		if strings.Contains(line, pair) {
			return c.owner("socket:[" + strings.Fields(line)[9] + "]")
		}
	}
	return nil
}

func (c *cable) owner(socket string) *node {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, n := range c.nodes {
		pid := n.pid.Load()
		dir := fmt.Sprintf("/proc/%d/fd/", pid)
		fds, err := os.ReadDir(dir)
		if pid == 0 || err != nil {
			continue
		}
		for _, fd := range fds {
			if name, err := os.Readlink(dir + fd.Name()); err == nil && name == socket {
				return n
			}
		}
	}
	return nil
}
