package peer

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// A frame is: length of what follows (4 bytes), call number (8 bytes), kind (1 byte; 0 for a reply), body.
const (
	frameHead = 4 + 8 + 1
	// maxFrame bounds a message: a batch of 1,000 results with long titles is some 5 MB.
	maxFrame = 16 << 20
	// writeTimeout is how long a peer may not read before its connection is given up.
	writeTimeout = 2 * time.Second
)

// wire is one connection that carries frames. Writes may come from any goroutine.
type wire struct {
	net.Conn
	in *bufio.Reader
	mu sync.Mutex // one frame at a time
}

func newWire(conn net.Conn) *wire { return &wire{Conn: conn, in: bufio.NewReaderSize(conn, 64<<10)} }

// send writes a frame. After an error the connection is closed: part of the frame may be out.
func (w *wire) send(call uint64, kind uint8, body []byte) error {
	if len(body) > maxFrame-frameHead {
		return fmt.Errorf("message of %d bytes: more than %d", len(body), maxFrame)
	}
	b := binary.BigEndian.AppendUint32(make([]byte, 0, frameHead+len(body)), uint32(frameHead-4+len(body)))
	b = binary.BigEndian.AppendUint64(b, call)
	b = append(append(b, kind), body...)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.SetWriteDeadline(time.Now().Add(writeTimeout))
	if _, err := w.Write(b); err != nil {
		w.Close()
		return err
	}
	return nil
}

func (w *wire) receive() (call uint64, kind uint8, body []byte, err error) {
	var head [frameHead]byte
	if _, err = io.ReadFull(w.in, head[:]); err != nil {
		return 0, 0, nil, err
	}
	size := binary.BigEndian.Uint32(head[:])
	if size < frameHead-4 || size > maxFrame {
		return 0, 0, nil, fmt.Errorf("frame of %d bytes", size)
	}
	body = make([]byte, size-(frameHead-4))
	_, err = io.ReadFull(w.in, body)
	return binary.BigEndian.Uint64(head[4:]), head[12], body, err
}

// callConn is the calling side of a connection.
type callConn struct {
	*wire
	peer  Identity
	begun time.Time
	heard atomic.Int64 // how long after that something came last

	mu      sync.Mutex
	next    uint64
	waiting map[uint64]chan []byte
	ended   chan struct{}
}

func newCallConn(conn net.Conn, peer Identity) *callConn {
	c := &callConn{peer: peer, begun: time.Now(), waiting: map[uint64]chan []byte{}, ended: make(chan struct{})}
	c.wire = newWire(&noting{conn, c})
	return c
}

// noting notes that bytes came: a long reply on a slow line is a sign of life.
type noting struct {
	net.Conn
	c *callConn
}

func (n *noting) Read(b []byte) (int, error) {
	got, err := n.Conn.Read(b)
	if got > 0 {
		n.c.heard.Store(int64(time.Since(n.c.begun)))
	}
	return got, err
}

// quiet reports whether nothing came for at least as long as a call that began then may take.
func (c *callConn) quiet(since time.Time) bool {
	return time.Since(since) >= stallTimeout && c.begun.Add(time.Duration(c.heard.Load())).Before(since)
}

// read hands replies to their callers until the connection ends.
func (c *callConn) read() {
	defer close(c.ended)
	defer c.Close()
	for {
		call, kind, body, err := c.receive()
		if err != nil || kind != 0 {
			return
		}
		c.mu.Lock()
		ch := c.waiting[call]
		delete(c.waiting, call)
		c.mu.Unlock()
		if ch != nil { // else its caller has given up
			ch <- body
		}
	}
}

func (c *callConn) begin() (uint64, chan []byte) {
	ch := make(chan []byte, 1)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.next++
	c.waiting[c.next] = ch
	return c.next, ch
}

func (c *callConn) forget(call uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.waiting, call)
}

func (c *callConn) alive() bool {
	select {
	case <-c.ended:
		return false
	default:
		return true
	}
}
