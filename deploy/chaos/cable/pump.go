package cable

import (
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

// carry joins a connection that came in for a node with one to that node.
func (c *Net) carry(in net.Conn, to *plug) {
	c.hold(in, "", to.name)
	defer c.drop(in)
	from, known := c.caller(in)
	if !known || !c.pass(from, to.name) {
		return // whoever it was is gone
	}
	out, err := net.Dial("tcp", to.target)
	if err != nil {
		return
	}
	c.hold(in, from, to.name)
	c.hold(out, from, to.name)
	defer c.drop(out)
	var both sync.WaitGroup
	both.Go(func() { c.pump(in, out, from, to.name) })
	both.Go(func() { c.pump(out, in, to.name, from) })
	both.Wait()
}

// piece is what came at once, or the end of a connection: io.EOF, or what broke it.
type piece struct {
	data []byte
	due  time.Time
	end  error
}

// maxPieces are on their way in one direction of a connection; beyond that the sender is held up.
const maxPieces = 64

// pump carries one direction, in order. An end is on its way like all else: nobody on the other side
// of a cut hears of the death of a process.
func (c *Net) pump(src, dst net.Conn, from, to string) {
	pieces := make(chan piece, maxPieces)
	gone := make(chan struct{}) // dst takes no more
	go c.read(src, from, to, pieces, gone)
	defer close(gone)
	for p := range pieces {
		if wait := time.Until(p.due); wait > 0 {
			time.Sleep(wait)
		}
		if !c.pass(from, to) {
			return
		}
		switch {
		case p.end == nil:
			if _, err := dst.Write(p.data); err != nil {
				// Whoever is gone is known to the other direction, which tells of it.
				return
			}
		case errors.Is(p.end, io.EOF):
			dst.(*net.TCPConn).CloseWrite()
		default:
			abort(dst)
		}
	}
}

// read cuts what comes into pieces until the end of it.
func (c *Net) read(src net.Conn, from, to string, pieces chan<- piece, gone <-chan struct{}) {
	defer close(pieces)
	var due time.Time
	buf := make([]byte, 64<<10)
	for {
		n, err := src.Read(buf)
		if n > 0 {
			c.note(buf[:n])
		}
		// A piece never overtakes the one before it.
		if at := time.Now().Add(c.link(from, to).late()); at.After(due) {
			due = at
		}
		for _, p := range []piece{{data: append([]byte(nil), buf[:n]...), due: due}, {end: err, due: due}} {
			if p.end == nil && len(p.data) == 0 {
				continue
			}
			select {
			case pieces <- p:
			case <-gone:
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// abort ends a connection with a reset.
func abort(conn net.Conn) {
	_ = conn.(*net.TCPConn).SetLinger(0) // else it ends with less noise
	conn.Close()
}
