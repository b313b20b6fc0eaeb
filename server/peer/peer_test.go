package peer

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

// port opens a port on loopback; set changes what it is made with.
func port(t *testing.T, self Identity, set func(*Config)) *Port {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	cfg := Config{Listener: l, Log: quiet, Advertise: l.Addr().String(),
		Dial: func(ctx context.Context, addr string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", addr)
		},
		Self:  func() Identity { return self },
		Admit: func(Identity, bool) *Refused { return nil },
		Handle: func(_ Identity, kind uint8, body []byte, reply func([]byte)) {
			reply(append([]byte{kind}, body...))
		},
	}
	if set != nil {
		set(&cfg)
	}
	p := NewPort(cfg)
	t.Cleanup(func() { p.Close() })
	return p
}

func named(node string) Identity {
	return Identity{Group: "g", Node: node, Folder: "f-" + node, Boot: "b-" + node}
}

// Each reason to turn a peer away, as the node that called sees it.
func TestHandshake(t *testing.T) {
	cases := []struct {
		name   string
		caller Identity
		called Identity
		admit  *Refused
		want   string // the node that is called
		reason Reason
	}{
		{"welcome", named("a"), named("b"), nil, "b", Welcome},
		{"another group", Identity{Group: "h", Node: "a"}, named("b"), nil, "b", Group},
		{"no group yet", named("a"), Identity{Node: "b"}, nil, "b", NotYet},
		{"the caller has none", Identity{Node: "a"}, named("b"), nil, "b", Group},
		{"another node at the address", named("a"), named("b"), nil, "c", Node},
		{"another folder", named("a"), named("b"), refuse(Folder, "known with another folder"), "b", Folder},
		{"removed", named("a"), named("b"), refuse(Removed, "was removed"), "b", Removed},
		{"stopping", named("a"), named("b"), refuse(Stopping, "is stopping"), "b", Stopping},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			b := port(t, c.called, func(cfg *Config) { cfg.Admit = func(Identity, bool) *Refused { return c.admit } })
			told := make(chan *Refused, 1)
			a := port(t, c.caller, func(cfg *Config) { cfg.Refused = func(r *Refused) { told <- r } })
			got, err := a.Client(c.want, b.cfg.Advertise).Call(t.Context(), 7, []byte("x"))
			if c.reason == Welcome {
				if err != nil || string(got) != "\x07x" {
					t.Fatalf("%q, %v", got, err)
				}
				return
			}
			var refused *Refused
			if !errors.As(err, &refused) || refused.Reason != c.reason || refused.Detail == "" || Sent(err) {
				t.Fatalf("%+v, sent %v", err, Sent(err))
			}
			if r := <-told; r.Reason != c.reason || r.By != c.called {
				t.Errorf("told of %+v", r)
			}
		})
	}
}

// The one that dials judges the answer too: it may have come from whoever took the address over.
func TestHandshakeAnswers(t *testing.T) {
	welcome := hello{kind: byte(Welcome), from: named("b")}
	other := welcome
	other.from.Node = "c"
	stranger := welcome
	stranger.from.Group = "h"
	newer := welcome.encode()
	newer[len(magic)] = 9
	cases := map[string]struct {
		answer []byte
		reason Reason
	}{
		"another node":    {other.encode(), Node},
		"another group":   {stranger.encode(), Group},
		"another version": {newer, Version},
		"garbage":         {[]byte("HTTP/1.1 400 Bad Request\r\n\r\n"), 0},
		"nothing":         {nil, 0},
		"half":            {welcome.encode()[:12], 0},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			go func() {
				if conn, err := l.Accept(); err == nil {
					_, _ = readHello(conn)
					_, _ = conn.Write(c.answer)
					conn.Close()
				}
			}()
			_, err = port(t, named("a"), nil).Client("b", l.Addr().String()).Probe(t.Context())
			var refused *Refused
			if err == nil || errors.As(err, &refused) != (c.reason != 0) || refused != nil && refused.Reason != c.reason {
				t.Errorf("%v", err)
			}
		})
	}
}

// Whoever connects and does not speak as a node is closed, and nobody else notices.
func TestStrangers(t *testing.T) {
	b := port(t, named("b"), nil)
	valid := (&hello{kind: streamCalls, from: named("a"), text: "b"}).encode()
	edit := func(f func(b []byte) []byte) []byte { return f(bytes.Clone(valid)) }
	cases := map[string]struct {
		sent     []byte
		answered bool // by a refusal
	}{
		"http":            {[]byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), false},
		"zeros":           {make([]byte, 64), false},
		"another version": {edit(func(b []byte) []byte { b[len(magic)] = 2; return b }), true},
		"another stream":  {edit(func(b []byte) []byte { b[len(magic)+1] = 'x'; return b }), true},
		"too long": {edit(func(b []byte) []byte {
			binary.BigEndian.PutUint16(b[len(magic)+2:], maxHello+1)
			return b
		}), false},
		"texts too long": {edit(func(b []byte) []byte { b[len(magic)+4] = 0x7f; return b }), false},
		"something left": {append(edit(func(b []byte) []byte {
			binary.BigEndian.PutUint16(b[len(magic)+2:], uint16(len(b)-len(magic)-4+1))
			return b
		}), 0), false},
		"half, then closed": {valid[:9], false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			conn, err := net.Dial("tcp", b.cfg.Advertise)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if _, err := conn.Write(c.sent); err != nil {
				t.Fatal(err)
			}
			conn.(*net.TCPConn).CloseWrite()
			got, _ := io.ReadAll(conn) // a reset is as good as an end
			if (len(got) > 0) != c.answered {
				t.Fatalf("answered %q", got)
			}
			if c.answered {
				if h, err := readHello(bytes.NewReader(got)); err != nil || Reason(h.kind) == Welcome || h.text == "" {
					t.Errorf("%+v, %v", h, err)
				}
			}
		})
	}
	if _, err := port(t, named("a"), nil).Client("b", b.cfg.Advertise).Call(t.Context(), 1, nil); err != nil {
		t.Errorf("after the strangers: %v", err)
	}
}

func TestCallOutcomes(t *testing.T) {
	held := make(chan func([]byte), 1)
	b := port(t, named("b"), func(cfg *Config) {
		cfg.Handle = func(_ Identity, kind uint8, body []byte, reply func([]byte)) {
			if kind == 1 {
				held <- reply
				return
			}
			reply(body)
		}
	})
	lost := make(chan Identity, 1)
	a := port(t, named("a"), func(cfg *Config) { cfg.Lost = func(id Identity) { lost <- id } })
	client := a.Client("b", b.cfg.Advertise)

	// The context ends first; the reply that comes later goes to nobody.
	ctx, cancel := context.WithCancel(t.Context())
	late := make(chan func([]byte), 1)
	go func() { late <- <-held; cancel() }()
	if _, err := client.Call(ctx, 1, nil); !errors.Is(err, context.Canceled) || !Sent(err) {
		t.Errorf("%v, sent %v", err, Sent(err))
	}
	(<-late)([]byte("late"))
	if got, err := client.Call(t.Context(), 2, []byte("next")); err != nil || string(got) != "next" {
		t.Errorf("after a late reply: %q, %v", got, err)
	}
	if who, up := client.Peer(); who != named("b") || !up {
		t.Errorf("peer %+v, up %v", who, up)
	}

	// The connection breaks while a call waits.
	go func() { <-held; b.Close() }()
	if _, err := client.Call(t.Context(), 1, nil); !errors.Is(err, ErrBroken) || !Sent(err) {
		t.Errorf("%v, sent %v", err, Sent(err))
	}
	if id := <-lost; id != named("b") {
		t.Errorf("lost %+v", id)
	}
	// Nobody listens any more.
	if _, err := client.Call(t.Context(), 2, nil); err == nil || Sent(err) {
		t.Errorf("%v, sent %v", err, Sent(err))
	}
	a.Forget("b")
	if _, err := client.Call(t.Context(), 2, nil); !errors.Is(err, net.ErrClosed) || Sent(err) {
		t.Errorf("%v, sent %v", err, Sent(err))
	}
}

// A port that is closed under load leaves no goroutine behind.
func TestCloseUnderLoad(t *testing.T) {
	before := runtime.NumGoroutine()
	for range 5 {
		b, a := port(t, named("b"), nil), port(t, named("a"), nil)
		client := a.Client("b", b.cfg.Advertise)
		var callers sync.WaitGroup
		answered := make(chan struct{}, 1)
		for range 32 {
			callers.Go(func() {
				for {
					if _, err := client.Call(t.Context(), 2, []byte(strings.Repeat("x", 1000))); err != nil {
						return
					}
					select {
					case answered <- struct{}{}:
					default:
					}
				}
			})
		}
		<-answered
		if err := a.Close(); err != nil {
			t.Error(err)
		}
		callers.Wait()
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}
	deadline := time.After(5 * time.Second)
	for runtime.NumGoroutine() > before { // those of the runtime's timers end by themselves
		select {
		case <-deadline:
			t.Fatalf("%d goroutines, %d before", runtime.NumGoroutine(), before)
		default:
			runtime.Gosched()
		}
	}
}

func FuzzHello(f *testing.F) {
	f.Add((&hello{kind: streamCalls, from: named("a"), text: "b"}).encode())
	f.Add((&hello{kind: byte(Removed), text: "node a was removed"}).encode())
	f.Add([]byte(magic))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := readHello(bytes.NewReader(b))
		if err != nil {
			return
		}
		again, err := readHello(bytes.NewReader(h.encode()))
		if err != nil || *again != *h {
			t.Errorf("%+v became %+v, %v", h, again, err)
		}
	})
}

// readOnly is a connection that gives bytes and takes none.
type readOnly struct {
	net.Conn
	io.Reader
}

func (r readOnly) Read(b []byte) (int, error) { return r.Reader.Read(b) }

func FuzzFrame(f *testing.F) {
	f.Add([]byte{0, 0, 0, 10, 0, 0, 0, 0, 0, 0, 0, 1, 2, 'x'})
	f.Add([]byte{0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 1})
	f.Add([]byte{1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 2})
	f.Fuzz(func(t *testing.T, b []byte) {
		w := newWire(readOnly{Reader: bytes.NewReader(b)})
		for read := 0; ; {
			_, _, body, err := w.receive()
			if err != nil {
				return
			}
			if read += frameHead + len(body); read > len(b) {
				t.Fatalf("%d bytes out of %d", read, len(b))
			}
		}
	})
}
