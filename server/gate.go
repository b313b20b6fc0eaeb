package server

import (
	"context"
	"sync"
)

// gate is held by each write of a client, and shut while the engine below them is exchanged.
type gate struct {
	mu    sync.Mutex
	in    int
	empty chan struct{} // made by who shuts it, closed by the last that leaves; nil while it is open
}

// enter lets a write in; false if the gate is shut.
func (g *gate) enter() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.empty != nil {
		return false
	}
	g.in++
	return true
}

func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.in--; g.in == 0 && g.empty != nil {
		close(g.empty)
	}
}

// shut lets nobody else in, and waits until all that are in have left; false if ctx ended first. One shuts it at a
// time: who holds Node.member.
func (g *gate) shut(ctx context.Context) bool {
	g.mu.Lock()
	empty := make(chan struct{})
	g.empty = empty
	if g.in == 0 {
		close(empty)
	}
	g.mu.Unlock()
	select {
	case <-empty:
		return true
	case <-ctx.Done():
		return false
	}
}

func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.empty = nil
}
