package httpapi

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http/httptest"
	"testing"
	"time"

	"todod/httpapi/api"
)

// nodes puts more servers before the node of a world, as the nodes of a group are, and returns a client of all.
func (w *world) nodes(n int) (*api.Client, []*httptest.Server) {
	w.t.Helper()
	var servers []*httptest.Server
	var addrs []string
	for range n {
		s := New(Config{Node: w.node})
		h := httptest.NewServer(s)
		w.t.Cleanup(func() { s.stop(); h.Close() })
		servers, addrs = append(servers, h), append(addrs, h.Listener.Addr().String())
	}
	c, err := api.NewClient(addrs, api.Options{Patience: 20 * time.Second})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(c.Close)
	return c, servers
}

// A watch goes on at another node when one breaks off, and gives each change once.
func TestWatchGoesOnAnywhere(t *testing.T) {
	w := newWorld(t)
	c, servers := w.nodes(3)
	const changes = 200
	go func() {
		for i := range changes {
			list := "bob"
			if i%3 == 0 {
				list = "ann"
			}
			if _, _, err := c.AddEntry(t.Context(), list, api.NewEntry{Title: "x"}, api.WriteOptions{}); err != nil {
				t.Error(err)
				return
			}
			if i%10 == 0 {
				servers[rand.IntN(len(servers))].CloseClientConnections()
			}
		}
	}()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Second)
	defer cancel()
	bob := make(chan int)
	go func() {
		n := 0
		for change, err := range c.Watch(ctx, "bob", "0") {
			if err != nil || change.Items[0].List != "bob" || change.Rev%3 == 1 {
				t.Errorf("%+v, %v", change, err)
				break
			}
			if n++; change.Rev == changes {
				break
			}
		}
		bob <- n
	}()
	last := uint64(0)
	for change, err := range c.Watch(ctx, "", "0") {
		if err != nil || change.Rev != last+1 || change.ID == "" || change.Items[0].Op != "add" || change.Items[0].Entry.Title != "x" {
			t.Fatalf("%+v after %d, %v", change, last, err)
		}
		if last = change.Rev; last == changes {
			break
		}
	}
	if n := <-bob; last != changes || n != changes-(changes+2)/3 {
		t.Errorf("all: %d, bob's: %d", last, n)
	}
}

func TestWatchEndsWhereItMustBeginAnew(t *testing.T) {
	w := newWorld(t)
	w.add("bob", "x", "")
	c, _ := w.nodes(2)
	for list, since := range map[string]string{"": "8.1", "bob": "8.1"} {
		for _, err := range c.Watch(t.Context(), list, since) {
			if !errors.Is(err, api.CodeGone) {
				t.Errorf("since %s: %v", since, err)
			}
		}
	}
	for _, err := range c.Watch(t.Context(), "..", "") {
		if !errors.Is(err, api.CodeInvalid) {
			t.Error(err)
		}
	}
	for _, err := range c.Watch(t.Context(), "", "x") {
		if !errors.Is(err, api.CodeInvalid) {
			t.Error(err)
		}
	}
}
