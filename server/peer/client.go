package peer

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// Client makes calls to one peer over one connection, which it opens when needed. It
// may be used concurrently.
type Client struct {
	p        *Port
	id, addr string

	mu      sync.Mutex
	conn    *callConn
	dialing *dialing
	closed  bool
}

// dialing is one attempt to connect, shared by all who wait for it.
type dialing struct {
	done chan struct{}
	conn *callConn
	err  error
}

// unsent is the error of a call that cannot have arrived.
type unsent struct{ error }

func (e unsent) Unwrap() error { return e.error }

// Sent reports whether a call that failed may have arrived.
func Sent(err error) bool {
	var u unsent
	return !errors.As(err, &u)
}

// ErrBroken is a connection that ended while a call waited for its reply.
var ErrBroken = errors.New("the connection to the peer broke")

// Call sends a request and returns the reply. Of an error, Sent tells whether the request
// may have arrived; a *Refused is in its chain if the handshake turned this node away.
func (c *Client) Call(ctx context.Context, kind uint8, body []byte) ([]byte, error) {
	conn, err := c.connect(ctx)
	if err != nil {
		return nil, unsent{err}
	}
	began := time.Now()
	call, reply := conn.begin()
	if err := conn.send(call, kind, body); err != nil {
		conn.forget(call)
		return nil, fmt.Errorf("%w: %v", ErrBroken, err)
	}
	select {
	case b := <-reply:
		return b, nil
	case <-conn.ended:
		select { // the reply may have come just before the end
		case b := <-reply:
			return b, nil
		default:
			return nil, ErrBroken
		}
	case <-ctx.Done():
		conn.forget(call)
		// TCP waits minutes for a peer or a path that is gone; the calls behind this one shall not.
		if conn.quiet(began) {
			conn.Close()
		}
		return nil, ctx.Err()
	}
}

// Peer returns who was at the other end of the newest connection, and whether it still stands.
func (c *Client) Peer() (peer Identity, connected bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.conn == nil {
		return Identity{}, false
	}
	return c.conn.peer, c.conn.alive()
}

// Probe connects if there is no connection. It returns who answers, or why nobody does.
func (c *Client) Probe(ctx context.Context) (Identity, error) {
	conn, err := c.connect(ctx)
	if err != nil {
		return Identity{}, err
	}
	return conn.peer, nil
}

func (c *Client) connect(ctx context.Context) (*callConn, error) {
	c.mu.Lock()
	if c.conn != nil && c.conn.alive() {
		defer c.mu.Unlock()
		return c.conn, nil
	}
	if c.closed {
		c.mu.Unlock()
		return nil, net.ErrClosed
	}
	d := c.dialing
	if d == nil {
		d = &dialing{done: make(chan struct{})}
		c.dialing = d
		if !c.p.spawn(func() { c.dial(d) }) {
			c.dialing = nil
			c.mu.Unlock()
			return nil, net.ErrClosed
		}
	}
	c.mu.Unlock()
	select {
	case <-d.done:
		return d.conn, d.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (c *Client) dial(d *dialing) {
	ctx, cancel := context.WithTimeout(c.p.ctx, dialTimeout)
	defer cancel()
	conn, peer, err := c.p.dial(ctx, streamCalls, c.id, c.addr)
	c.mu.Lock()
	c.dialing = nil
	switch {
	case err != nil:
		d.err = err
	case c.closed:
		conn.Close()
		d.err = net.ErrClosed
	default:
		d.conn = newCallConn(conn, peer)
		c.conn = d.conn
	}
	c.mu.Unlock()
	if d.conn != nil && !c.p.spawn(func() { c.serve(d.conn) }) {
		d.conn.Close()
		d.conn, d.err = nil, net.ErrClosed
	}
	close(d.done)
}

// serve reads replies until the connection ends, and tells the node that it did.
func (c *Client) serve(conn *callConn) {
	stop := context.AfterFunc(c.p.ctx, func() { conn.Close() })
	defer stop()
	conn.read()
	if c.p.cfg.Lost != nil {
		c.p.cfg.Lost(conn.peer)
	}
}

func (c *Client) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	if c.conn != nil {
		c.conn.Close()
	}
}

const (
	// dialTimeout bounds a connection attempt with its handshake.
	dialTimeout = 2 * time.Second
	// stallTimeout is after how long without any frame a call that ends takes its connection along.
	stallTimeout = 900 * time.Millisecond
)
