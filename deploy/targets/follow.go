package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"slices"
	"sync/atomic"
	"time"

	"todod/httpapi/api"
)

// How many follow the changes of one node, and how often something changes.
const (
	manyFollowers = 5000
	changesPerS   = 20
)

// followed is what 5,000 followers of all changes cost the node that they follow.
func followed(ctx context.Context, l *lab) error {
	g, err := l.start(ctx, 1)
	if err != nil {
		return err
	}
	before, err := g.changes(ctx)
	if err != nil {
		return err
	}
	was, err := g.nodes[0].status("VmRSS")
	if err != nil {
		return err
	}
	all, err := follow(g.nodes[0].http, manyFollowers)
	if err != nil {
		return err
	}
	defer all.close()
	is, err := g.nodes[0].status("VmRSS")
	if err != nil {
		return err
	}
	var idle, busy, writes []float64
	for range l.runs {
		rest, length, err := g.spends(func() error { time.Sleep(10 * time.Second); return nil })
		if err != nil {
			return err
		}
		told, took := all.told.Load(), []float64(nil)
		spent, during, err := g.spends(func() (err error) {
			took, err = g.changes(ctx)
			return err
		})
		if err != nil {
			return err
		}
		if err := all.wait(ctx, told+manyFollowers*int64(len(took))); err != nil {
			return err
		}
		each := (spent - rest*during.Seconds()/length.Seconds()) / float64(len(took)) / manyFollowers
		idle, busy, writes = append(idle, rest/length.Seconds()), append(busy, each*1e6), append(writes, middle(took))
	}
	l.tell("19", fmt.Sprintf("memory of a node for each of %d followers", manyFollowers), "KB", []float64{(is - was) / manyFollowers})
	l.tell("19", "its CPU while nothing changes", "cores", idle)
	l.tell("19", fmt.Sprintf("its CPU for each change and follower, %d changes a second", changesPerS), "us", busy)
	l.tell("19", "a write without followers", "ms", []float64{middle(before)})
	l.tell("19", "a write with all of them", "ms", writes)
	return g.end()
}

func middle(all []float64) float64 { return median(slices.Sorted(slices.Values(all))) }

// changes writes at the rate for ten seconds, and returns how long each write took, in ms.
func (g *group) changes(ctx context.Context) (took []float64, err error) {
	tick := time.NewTicker(time.Second / changesPerS)
	defer tick.Stop()
	for range 10 * changesPerS {
		<-tick.C
		began := time.Now()
		_, _, err := g.all.AddEntry(ctx, "bob", api.NewEntry{Title: "Dentist, and then the shopping"}, api.WriteOptions{})
		if err != nil {
			return nil, err
		}
		took = append(took, millis(time.Since(began)))
	}
	return took, nil
}

// spends is the CPU that the group takes while do runs, in seconds, and for how long that is.
func (g *group) spends(do func() error) (cpu float64, length time.Duration, err error) {
	before, err := g.cpu()
	if err != nil {
		return 0, 0, err
	}
	began := time.Now()
	if err := do(); err != nil {
		return 0, 0, err
	}
	after, err := g.cpu()
	return after - before, time.Since(began), err
}

// followers are connections that follow the changes of a node.
type followers struct {
	conns []net.Conn
	told  atomic.Int64 // events that came, to all of them together
	ended atomic.Int64 // streams that the node has ended
}

func follow(addr string, n int) (*followers, error) {
	f := &followers{}
	for range n {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			f.close()
			return nil, fmt.Errorf("follow: %w", err)
		}
		f.conns = append(f.conns, conn)
		r := bufio.NewReaderSize(conn, 512)
		if _, err = io.WriteString(conn, "GET /v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n"); err == nil {
			err = begun(r)
		}
		if err != nil {
			f.close()
			return nil, fmt.Errorf("follow: %w", err)
		}
		go f.count(r)
	}
	return f, nil
}

// begun reads up to the id with which a stream begins.
func begun(r *bufio.Reader) error {
	for {
		line, err := r.ReadString('\n')
		if err != nil || bytes.HasPrefix([]byte(line), []byte("id: ")) {
			return err
		}
	}
}

// count counts the lines that begin with an e, as only those of an event's kind do.
func (f *followers) count(r *bufio.Reader) {
	defer f.ended.Add(1)
	last := byte('\n')
	for {
		if _, err := r.Peek(1); err != nil {
			return
		}
		b, _ := r.Peek(r.Buffered())
		n := bytes.Count(b, []byte("\ne"))
		if last == '\n' && b[0] == 'e' {
			n++
		}
		last = b[len(b)-1]
		f.told.Add(int64(n))
		_, _ = r.Discard(len(b)) // it is buffered
	}
}

// wait waits until so many events have come.
func (f *followers) wait(ctx context.Context, want int64) error {
	for end := time.Now().Add(time.Minute); f.told.Load() < want; time.Sleep(time.Millisecond) {
		if ended := f.ended.Load(); ended > 0 || time.Now().After(end) || ctx.Err() != nil {
			return fmt.Errorf("%d events came, want %d; %d streams were ended", f.told.Load(), want, ended)
		}
	}
	return nil
}

func (f *followers) close() {
	for _, c := range f.conns {
		c.Close()
	}
}
