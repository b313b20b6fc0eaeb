package server

import (
	"fmt"
	"sync"
	"time"

	"todod/fsm"
	"todod/server/peer"
)

// admit judges a peer by what the replica knows of the group's nodes.
func (n *Node) admit(p peer.Identity, came bool) *peer.Refused {
	e := n.engine()
	if e == nil {
		return nil
	}
	m, known, err := e.replica.Member(p.Node)
	if err != nil {
		return &peer.Refused{Reason: peer.Stopping, Detail: "node " + n.id + " is stopping"}
	}
	conf := e.configuration()
	_, in := find(conf, p.Node)
	switch {
	case known && m.Folder != p.Folder:
		return &peer.Refused{Reason: peer.Folder,
			Detail: fmt.Sprintf("node %s is known with another data folder: a wiped or copied folder may not come back under an id in use", p.Node)}
	case known && m.Status == fsm.Removed && !in:
		return &peer.Refused{Reason: peer.Removed, Detail: fmt.Sprintf("node %s was removed from the group", p.Node)}
	}
	return e.monitor.admit(p, came)
}

// refusedBy is told when a peer has turned this node away. Being removed is for good, and no failure of a node
// that asked for it: it may hear of it here before the leader's word comes. To run on a copy of a
// folder that is in use, or on an old one, ends it before it can vote a second time.
func (n *Node) refusedBy(r *peer.Refused) {
	switch {
	case r.By.Group != n.groupID():
	case r.Reason == peer.Removed && n.leaving.Load():
		n.removed(0)
	case r.Reason == peer.Removed:
		n.removed(ExitFolderRefused)
	case r.Reason == peer.Older:
		n.end(exit(ExitFolderRefused, "the data folder of node %s is an old copy: the group has seen more in it; remove the node, and begin with an empty folder and a new --id", n.id))
	case r.Reason == peer.Twice && n.twice.lasts():
		n.end(exit(ExitFolderRefused, "node %s runs already, on the data folder that this one is a copy of: stop one of the two, or begin with an empty folder and a new --id", n.id))
	}
}

// doubts is how long this node has been told that it runs twice. Once means little: the others may not
// have seen yet that its last process ended.
type doubts struct {
	mu          sync.Mutex
	since, last time.Time
}

// lasts notes another one and reports whether they have lasted.
func (d *doubts) lasts() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := time.Now()
	if now.Sub(d.last) > downAfter {
		d.since = now
	}
	d.last = now
	return now.Sub(d.since) > twiceFor
}

// A data folder that is copied is one voter twice, and one that is put back from a copy has forgotten
// what it voted and acknowledged. Neither shows in the folder itself. The others see it:
// two processes of one node, or a log that ends before what its node said it had applied.
// What was applied is committed, so an honest log is never cut there.

// admit judges a run of a member's process by those that were seen before. One that came by itself
// may not take the place of one that still answers where the group knows the node to be.
func (m *monitor) admit(p peer.Identity, came bool) *peer.Refused {
	m.mu.Lock()
	defer m.mu.Unlock()
	if r := m.reached[p.Node]; r.boot != "" && r.boot != p.Boot && p.Last != 0 && p.Last < r.applied {
		return &peer.Refused{Reason: peer.Older,
			Detail: fmt.Sprintf("node %s had applied log entry %d and its log ends at %d: its data folder is an old copy", p.Node, r.applied, p.Last)}
	}
	if w := m.peers[p.Node]; came && w != nil && w.alive() && w.boot != p.Boot {
		select { // is it?
		case w.wake <- struct{}{}:
		default:
		}
		return &peer.Refused{Reason: peer.Twice, Detail: fmt.Sprintf("node %s runs already, in another process", p.Node)}
	}
	return nil
}
