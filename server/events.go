package server

import (
	"context"
	"sync"
	"time"
)

// The types of event.
const (
	NodeDown      = "node_down"
	NodeUp        = "node_up"
	LeaderChanged = "leader_changed"
	MemberAdded   = "member_added"
	MemberRemoved = "member_removed"
	BackupMade    = "backup_made"   // by the schedule of this node
	BackupFailed  = "backup_failed" // the first time in a row
	Diverged      = "diverged"      // a node's data differs from the group's; about "" when nobody knows whose is right
	SnapshotLoop  = "snapshot_loop" // a node is sent the whole replica again and again
	Agreed        = "agreed"        // a majority's data is the same again
	NodeDead      = "node_dead"     // silent for --remove-dead-after: the leader, which tells it, takes it out
)

// diskEvent is the type of event that tells how a node's disk is now: disk_ok, disk_low, disk_stalled.
func diskEvent(s DiskState) string { return "disk_" + string(s) }

// maxEvents is how many events of the group a node keeps for those who follow.
const maxEvents = 1000

// events are what this node saw happen to the group since it started.
type events struct {
	mu   sync.Mutex
	last uint64
	kept []Event
	more chan struct{} // closed when another comes
}

func newEvents() *events { return &events{more: make(chan struct{})} }

func (e *events) add(typ, node string, term uint64, now time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.last++
	e.kept = append(e.kept, Event{Seq: e.last, Type: typ, Node: node, Term: term, Time: now.UTC()})
	if len(e.kept) > maxEvents {
		e.kept = append([]Event(nil), e.kept[len(e.kept)-maxEvents/2:]...)
	}
	close(e.more)
	e.more = make(chan struct{})
}

func (e *events) since(seq uint64) ([]Event, <-chan struct{}) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if seq > e.last { // of an earlier run of the process
		seq = 0
	}
	if seq == e.last {
		return nil, e.more
	}
	first := e.kept[0].Seq
	at := 0
	if seq >= first {
		at = int(seq - first + 1)
	}
	return append([]Event(nil), e.kept[at:]...), nil
}

// Events returns the events after seq since, at least one: it waits for it. When some of them
// are no longer kept it returns those that are. The error is the context's, or an *Error
// when the node stops.
func (n *Node) Events(ctx context.Context, since uint64) ([]Event, error) {
	for {
		got, more := n.events.since(since)
		if more == nil {
			return got, nil
		}
		select {
		case <-more:
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-n.ctx.Done():
			return nil, stopping()
		}
	}
}

// LastEvent returns the seq of the newest event, 0 if there is none.
func (n *Node) LastEvent() uint64 {
	n.events.mu.Lock()
	defer n.events.mu.Unlock()
	return n.events.last
}
