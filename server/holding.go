package server

import (
	"io"
	"maps"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// held is why the log is not cut. A node that gets the replica needs the entries behind it next: were they cut meanwhile, it would
// be sent another replica, and so on for as long as others write faster than it receives.
type held struct {
	mu   sync.Mutex
	open int                  // replicas on their way
	got  map[string]time.Time // nodes that have got one and not yet what follows it, since when
}

// heldSnapshots are those that this node sends: the log is kept from the moment that it is settled what one
// holds, until its stream is closed.
type heldSnapshots struct {
	raft.SnapshotStore
	held *held
}

func (h *held) snapshots(all raft.SnapshotStore) heldSnapshots { return heldSnapshots{all, h} }

func (s heldSnapshots) Open(id string) (*raft.SnapshotMeta, io.ReadCloser, error) {
	s.held.add(1)
	meta, rc, err := s.SnapshotStore.Open(id)
	if err != nil {
		s.held.add(-1)
		return nil, nil, err
	}
	return meta, &heldStream{rc, sync.OnceFunc(func() { s.held.add(-1) })}, nil
}

// heldStream is a replica on its way.
type heldStream struct {
	io.ReadCloser
	done func()
}

func (s *heldStream) Close() error {
	defer s.done()
	return s.ReadCloser.Close()
}

func (h *held) add(n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.open += n
}

// came is told that a node has got a replica.
func (h *held) came(id string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.got == nil {
		h.got = map[string]time.Time{}
	}
	h.got[id] = time.Now()
}

// hasAll is told that a node has got what the log held: Raft sends it each entry as it comes now.
func (h *held) hasAll(id string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.got, id)
}

// any reports whether a replica is on its way, or a node that has got one within heldFor needs more.
func (h *held) any() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	maps.DeleteFunc(h.got, func(_ string, since time.Time) bool { return time.Since(since) >= heldFor })
	return h.open > 0 || len(h.got) > 0
}

// keepsLog reports whether the log must not be cut now. It is cut in any case where there is no room for it.
func (e *engine) keepsLog() bool {
	return e.logs.bytes.Load() < heldBytes && !e.storage.low.Load() && e.held.any()
}
