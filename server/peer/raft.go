package peer

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// raftLayer is Raft's stream layer on a port.
type raftLayer struct {
	p      *Port
	accept chan net.Conn
	closed chan struct{}
	once   sync.Once
}

var _ raft.StreamLayer = (*raftLayer)(nil)

// RaftLayer returns the stream layer for a new Raft. Streams that peers open go to the newest.
// The addresses it dials are those that Target returns.
func (p *Port) RaftLayer() raft.StreamLayer {
	l := &raftLayer{p: p, accept: make(chan net.Conn), closed: make(chan struct{})}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.raft = l
	return l
}

// Target is the address for a raft layer to dial: of a node, whoever answers must be that one.
func Target(id raft.ServerID, addr raft.ServerAddress) raft.ServerAddress {
	return raft.ServerAddress(string(id) + "@" + string(addr))
}

func (p *Port) toRaft(conn net.Conn, from Identity) {
	t := &tracked{Conn: conn, p: p, from: from}
	p.mu.Lock()
	l := p.raft
	p.streams[t] = true
	p.mu.Unlock()
	if l == nil {
		t.Close()
		return
	}
	select {
	case l.accept <- t:
	case <-l.closed:
		t.Close()
	case <-p.ctx.Done():
		t.Close()
	}
}

// RaftStreams is how many streams a process has opened to this node's Raft that are not yet dealt
// with to their end. Once it is 0 for a dead process, all it ever sent is in the log or lost.
func (p *Port) RaftStreams(boot string) (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for t := range p.streams {
		if t.from.Boot == boot {
			n++
		}
	}
	return n
}

// HangUp ends the streams that a node has opened to this node's Raft, whoever reads from them.
func (p *Port) HangUp(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for t := range p.streams {
		if t.from.Node == id {
			t.Conn.Close() // the stream counts until its reader has noticed
		}
	}
}

// tracked is an accepted connection of Raft's, which the port forgets when it is closed.
type tracked struct {
	net.Conn
	p    *Port
	from Identity
	once sync.Once
}

func (t *tracked) Close() error {
	t.once.Do(func() {
		t.p.drop(t.Conn)
		t.p.mu.Lock()
		defer t.p.mu.Unlock()
		delete(t.p.streams, t)
	})
	return nil
}

func (l *raftLayer) Accept() (net.Conn, error) {
	select {
	case conn := <-l.accept:
		return conn, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *raftLayer) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *raftLayer) Dial(target raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	id, addr, ok := strings.Cut(string(target), "@")
	if !ok {
		return nil, fmt.Errorf("dial a peer: no node in %q", target)
	}
	ctx, cancel := context.WithTimeout(l.p.ctx, min(timeout, dialTimeout))
	defer cancel()
	conn, peer, err := l.p.dial(ctx, streamRaft, id, addr)
	if err != nil {
		return nil, err
	}
	l.p.mu.Lock()
	defer l.p.mu.Unlock()
	if l.p.closed {
		conn.Close()
		return nil, net.ErrClosed
	}
	l.p.conns[conn] = peer
	return &dialled{conn, l.p}, nil
}

// dialled is a connection that Raft opened. It ends with the port: the others wait for the end of what
// a dead leader sent them. And it ends when the port forgets the node: Raft keeps three for each that it ever knew.
type dialled struct {
	net.Conn
	p *Port
}

// streamTimeout is how long a peer may not take what Raft sends it. Raft has a deadline of its own for all but a
// pipeline, but that for a replica grows with it, by 10 s for each 256 KiB: hours, where a machine vanished.
const streamTimeout = 10 * time.Second

func (d *dialled) Write(b []byte) (int, error) {
	stuck := time.AfterFunc(streamTimeout, func() { d.Conn.Close() })
	defer stuck.Stop()
	return d.Conn.Write(b)
}

func (d *dialled) Close() error {
	d.p.drop(d.Conn)
	return nil
}

func (l *raftLayer) Addr() net.Addr { return address(l.p.cfg.Advertise) }

// address is a net.Addr that is told as it was given.
type address string

func (address) Network() string  { return "tcp" }
func (a address) String() string { return string(a) }
