package cable

import (
	"io"
	"net"
	"os"
	"testing"
	"time"
)

// Both ends are of this one process, so who dials is told by the proxy that is asked first: it has a
// pid, the other has none.
func pair(t *testing.T) (c *Net, dial func() net.Conn, accepted <-chan net.Conn) {
	t.Helper()
	c = New()
	t.Cleanup(c.Close)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	if _, err := c.Plug("a", "127.0.0.1:0", "127.0.0.1:1", func() int64 { return int64(os.Getpid()) }); err != nil {
		t.Fatal(err)
	}
	addr, err := c.Plug("b", "127.0.0.1:0", l.Addr().String(), func() int64 { return 0 })
	if err != nil {
		t.Fatal(err)
	}
	conns := make(chan net.Conn, 10)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			conns <- conn
		}
	}()
	return c, func() net.Conn {
		t.Helper()
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		return conn
	}, conns
}

func send(t *testing.T, conn net.Conn, text string) {
	t.Helper()
	if _, err := conn.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
}

// hears reads a text, within a time; "" stands for nothing in that time.
func hears(t *testing.T, conn net.Conn, most time.Duration, want string) {
	t.Helper()
	conn.SetReadDeadline(time.Now().Add(most))
	b := make([]byte, 100)
	n, err := conn.Read(b)
	if string(b[:n]) != want || want != "" && err != nil {
		t.Fatalf("heard %q (%v), want %q", b[:n], err, want)
	}
}

const soon, never = 20 * time.Second, 100 * time.Millisecond

// A cut holds up one direction alone, resets nothing, and lets through what was said once it is healed: the end
// of the connection too.
func TestCutOneWay(t *testing.T) {
	c, dial, accepted := pair(t)
	a := dial()
	send(t, a, "1")
	b := <-accepted
	hears(t, b, soon, "1")
	c.Set("a", "b", Link{Cut: true})
	send(t, a, "2")
	send(t, b, "3")
	hears(t, a, soon, "3")
	hears(t, b, never, "")
	a.Close()
	hears(t, b, never, "")
	c.Heal()
	hears(t, b, soon, "2")
	b.SetReadDeadline(time.Now().Add(soon))
	if _, err := b.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("after the end: %v", err)
	}
}

func TestDelay(t *testing.T) {
	c, dial, accepted := pair(t)
	a := dial()
	send(t, a, "1")
	b := <-accepted
	hears(t, b, soon, "1")
	c.Set("a", "b", Link{Delay: 150 * time.Millisecond})
	began := time.Now()
	send(t, a, "2")
	hears(t, b, soon, "2")
	if took := time.Since(began); took < 150*time.Millisecond {
		t.Errorf("a delay of 150 ms took %v", took)
	}
	send(t, b, "3")
	hears(t, a, soon, "3")
}

func TestResetAndPull(t *testing.T) {
	c, dial, accepted := pair(t)
	a := dial()
	send(t, a, "1")
	b := <-accepted
	hears(t, b, soon, "1")
	c.Reset("b")
	for _, conn := range []net.Conn{a, b} {
		conn.SetReadDeadline(time.Now().Add(soon))
		if _, err := conn.Read(make([]byte, 1)); err == nil {
			t.Error("a connection outlives its reset")
		}
	}
	addr := a.RemoteAddr().String()
	c.Pull("b")
	if conn, err := net.Dial("tcp", addr); err == nil {
		conn.Close()
		t.Error("a node that is gone is not refused")
	}
	if err := c.Push("b"); err != nil {
		t.Fatal(err)
	}
	again := dial()
	send(t, again, "4")
	hears(t, <-accepted, soon, "4")
}
