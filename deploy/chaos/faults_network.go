package main

import (
	"bufio"
	"fmt"
	"net"
	"sync"
	"time"

	"todod/deploy/chaos/cable"
)

// networkFaults are what befalls the network between nodes, and between them and clients.
func networkFaults() []kind {
	return []kind{
		{"split-leader", 2, "", "the leader alone is cut off", func(r *run, f fault) error { return r.split(f, 0) }},
		{"split-minority", 1, "", "the leader is cut off with as many as make no majority", func(r *run, f fault) error {
			return r.split(f, (len(r.members())-1)/2)
		}},
		{"split-majority", 1, "", "a minority without the leader is cut off", func(r *run, f fault) error {
			return r.split(f, len(r.members())/2)
		}},
		{"split-all", 1, "", "each node is alone", func(r *run, f fault) error {
			all := names(r.members()...)
			return r.cut(f, func() { r.net.Cut(all, all) })
		}},
		{"one-way-out", 1, "", "what the leader says does not arrive", func(r *run, f fault) error { return r.oneWay(f, true) }},
		{"one-way-in", 1, "", "what the others say does not reach the leader", func(r *run, f fault) error { return r.oneWay(f, false) }},
		{"ring", 1, "", "each node reaches its two neighbours; with three nodes one pair is apart", (*run).ring},
		{"delay", 1, "", "all between nodes takes longer, and not always as long", func(r *run, f fault) error {
			defer r.backdrop("delay", f)()
			r.hold(f.between(500*time.Millisecond, 2*time.Second))
			return nil
		}},
		{"loss", 1, "", "packets between nodes get lost, and TCP sends them again", func(r *run, f fault) error {
			defer r.backdrop("loss", f)()
			r.hold(f.between(500*time.Millisecond, 2*time.Second))
			return nil
		}},
		{"reset", 1, "", "all connections of a node are reset, some times", (*run).reset},
		{"lost-answers", 1, "", "the answers of nodes to clients get lost", func(r *run, f fault) error {
			defer r.backdrop("lost-answers", f)()
			r.hold(f.between(200*time.Millisecond, time.Second))
			return nil
		}},
		{"slow-clients", 1, "", "clients that send half a request, or do not read the answer", func(r *run, f fault) error {
			defer r.backdrop("slow-clients", f)()
			r.hold(f.between(200*time.Millisecond, 2*time.Second))
			return nil
		}},
	}
}

// cut does something to the network for a while.
func (r *run) cut(f fault, do func()) error {
	do()
	r.hold(f.between(300*time.Millisecond, 4*time.Second))
	return nil // it is healed after each fault
}

// split cuts the leader off with so many others.
func (r *run) split(f fault, with int) error {
	leader, err := r.leader()
	if err != nil {
		return err
	}
	rest := but(r.members(), leader)
	r.random.Shuffle(len(rest), func(i, j int) { rest[i], rest[j] = rest[j], rest[i] })
	one, other := names(append(rest[:with:with], leader)...), names(rest[with:]...)
	r.tell("%v from %v", one, other)
	return r.cut(f, func() { r.net.Cut(one, other) })
}

func (r *run) oneWay(f fault, out bool) error {
	leader, err := r.leader()
	if err != nil {
		return err
	}
	r.tell("%s", leader.id)
	return r.cut(f, func() {
		for _, n := range but(r.members(), leader) {
			if out {
				r.net.Set(leader.id, n.id, cable.Link{Cut: true})
			} else {
				r.net.Set(n.id, leader.id, cable.Link{Cut: true})
			}
		}
	})
}

func (r *run) ring(f fault) error {
	all := r.members()
	r.random.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	if len(all) < 4 {
		r.tell("%s from %s", all[0].id, all[1].id)
		return r.cut(f, func() { r.net.Cut(names(all[0]), names(all[1])) })
	}
	r.tell("%v", names(all...))
	return r.cut(f, func() {
		for i, n := range all {
			for k := i + 2; k < len(all) && k < i+len(all)-1; k++ {
				r.net.Cut(names(n), names(all[k]))
			}
		}
	})
}

func (r *run) reset(f fault) error {
	n := f.one(r.members())
	times := 1 + int(f.Part*5)
	r.tell("%s, %d times", n.id, times)
	for range times {
		r.net.Reset(n.id)
		r.hold(50 * time.Millisecond)
	}
	return nil
}

// backdrop begins something that goes on until the function that it returns is called.
func (r *run) backdrop(what string, f fault) (end func()) {
	all := names(r.members()...)
	link := cable.Link{Delay: f.between(5*time.Millisecond, 50*time.Millisecond), Jitter: f.between(5*time.Millisecond, 40*time.Millisecond)}
	switch what {
	case "":
		return func() {}
	case "lost-answers":
		n := f.one(r.members())
		r.load.web.deaf.Store(n.http, true)
		return func() { r.load.web.deaf.Delete(n.http) }
	case "slow-clients":
		return r.slowClients(f)
	case "loss":
		link = cable.Link{Stall: 0.01 + f.Part*0.05}
	}
	for _, a := range all {
		for _, b := range all {
			r.net.Set(a, b, link)
		}
	}
	return r.net.Heal
}

// slowClients are clients that keep a node waiting: some for the rest of a request, some for room for
// its answer.
func (r *run) slowClients(f fault) (end func()) {
	n := f.one(r.members())
	r.tell("at %s", n.id)
	var mu sync.Mutex
	open, over := []net.Conn{}, false
	var all sync.WaitGroup
	stop := make(chan struct{})
	for i := range 60 {
		all.Go(func() {
			conn, err := net.DialTimeout("tcp", n.http, time.Second)
			if err != nil {
				return
			}
			defer conn.Close()
			mu.Lock()
			open = append(open, conn)
			late := over
			mu.Unlock()
			if !late {
				_ = crawl(conn, i, stop) // the node may close it
			}
		})
	}
	return func() {
		close(stop)
		mu.Lock()
		over = true
		for _, conn := range open {
			conn.Close()
		}
		mu.Unlock()
		all.Wait()
	}
}

// crawl is one of them, until stop.
func crawl(conn net.Conn, i int, stop <-chan struct{}) error {
	if i%2 == 0 { // one byte at a time, and never the end
		for _, b := range []byte("POST /v1/lists/slow/entries HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n{") {
			if _, err := conn.Write([]byte{b}); err != nil {
				return err
			}
			select {
			case <-time.After(20 * time.Millisecond):
			case <-stop:
				return nil
			}
		}
		<-stop
		return nil
	}
	for range 200 { // many requests, and no answer is read but the first byte
		if _, err := fmt.Fprint(conn, "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
			return err
		}
	}
	_, err := bufio.NewReader(conn).ReadByte()
	<-stop
	return err
}
