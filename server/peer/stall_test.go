package peer

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// connected is a client whose connection ends in the test's hands.
func connected(t *testing.T) (c *Client, far net.Conn) {
	near, far := net.Pipe()
	t.Cleanup(func() { far.Close() })
	conn := newCallConn(near, named("b"))
	go conn.read()
	return &Client{conn: conn, closed: true}, far // closed: no other is dialled
}

// asked reads calls until the connection ends and puts their numbers into a channel.
func asked(far net.Conn) <-chan uint64 {
	calls := make(chan uint64, 100)
	go func() {
		defer close(calls)
		for w := newWire(far); ; {
			call, _, _, err := w.receive()
			if err != nil {
				return
			}
			calls <- call
		}
	}()
	return calls
}

// ping makes calls of a second that nobody answers, until the test ends.
func ping(t *testing.T, c *Client) {
	done := make(chan struct{})
	t.Cleanup(func() { <-done })
	go func() {
		defer close(done)
		for t.Context().Err() == nil {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			_, _ = c.Call(ctx, 4, nil)
			cancel()
			time.Sleep(250 * time.Millisecond)
		}
	}()
}

// A long reply that comes in pieces on a slow line is a sign of life: the calls that time out
// behind it do not end the stream.
func TestASlowReplyIsNoStall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, far := connected(t)
		calls := asked(far)
		got := make(chan error, 1)
		go func() {
			b, err := c.Call(context.Background(), 1, nil)
			if err == nil && len(b) != 50_000 {
				err = errors.New("cut short")
			}
			got <- err
		}()
		reply := binary.BigEndian.AppendUint32(nil, 50_000+frameHead-4)
		reply = append(binary.BigEndian.AppendUint64(reply, <-calls), 0)
		reply = append(reply, make([]byte, 50_000)...)
		ping(t, c)
		for len(reply) > 0 { // 5 seconds
			n := min(1000, len(reply))
			if _, err := far.Write(reply[:n]); err != nil {
				t.Fatalf("%d bytes before the end: %v", len(reply), err)
			}
			reply = reply[n:]
			time.Sleep(100 * time.Millisecond)
		}
		if err := <-got; err != nil {
			t.Error(err)
		}
	})
}

// Where nothing comes at all, the first call that times out takes the connection along, and those
// that wait on it are told.
func TestAStalledStreamIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, far := connected(t)
		asked(far)
		time.Sleep(time.Millisecond) // to have connected is a sign of life too
		ping(t, c)
		began := time.Now()
		if _, err := c.Call(context.Background(), 1, nil); !errors.Is(err, ErrBroken) || !Sent(err) {
			t.Errorf("%v, sent %v", err, Sent(err))
		}
		if took := time.Since(began); took > time.Second {
			t.Errorf("given up after %s", took)
		}
	})
}

// A call that ends before its peer had a fair time to answer does not end the stream.
func TestAShortCallEndsNoStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, far := connected(t)
		asked(far)
		for range 100 {
			ctx, cancel := context.WithTimeout(context.Background(), stallTimeout/2)
			if _, err := c.Call(ctx, 1, nil); !errors.Is(err, context.DeadlineExceeded) {
				t.Fatal(err)
			}
			cancel()
		}
		if !c.conn.alive() {
			t.Error("the stream was given up")
		}
	})
}

// What Raft sends to a machine that vanished waits for as long as one exchange may take, however much there is of it.
func TestAStreamThatNobodyReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		defer far.Close()
		d := &dialled{near, &Port{}}
		go func() {
			for range 10 {
				time.Sleep(streamTimeout - time.Second) // slow, and alive
				if _, err := far.Read(make([]byte, 1)); err != nil {
					t.Error(err)
				}
			}
		}()
		for range 10 {
			if _, err := d.Write([]byte{1}); err != nil {
				t.Fatal(err)
			}
		}
		began := time.Now()
		if n, err := d.Write([]byte{1}); err == nil {
			t.Errorf("%d bytes are taken", n)
		}
		if took := time.Since(began); took != streamTimeout {
			t.Errorf("given up after %s", took)
		}
		if _, err := far.Read(make([]byte, 1)); err == nil {
			t.Error("the stream lives")
		}
	})
}
