package server

import "sync"

// numbers gives each command that this process sends to a leader a number, in the session
// the group opened for it, and knows the lowest number whose caller still waits. The
// state machine keeps results from that one on, so a command that is sent twice is applied once.
type numbers struct {
	mu      sync.Mutex
	session uint64 // 0: not open
	next    uint64
	low     uint64
	open    map[uint64]struct{}
}

// begin starts numbering in a session.
func (n *numbers) begin(session uint64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.session != session {
		n.session, n.next, n.low, n.open = session, 1, 1, map[uint64]struct{}{}
	}
}

// end forgets a session that the group has closed.
func (n *numbers) end(session uint64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.session == session {
		n.session = 0
	}
}

// take returns the next number, which stays open until release; ok is false without a session.
func (n *numbers) take() (session, number uint64, ok bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.session == 0 {
		return 0, 0, false
	}
	number = n.next
	n.next++
	n.open[number] = struct{}{}
	return n.session, number, true
}

// release closes a number: its caller was answered, or told that the outcome is unknown.
func (n *numbers) release(session, number uint64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if session != n.session {
		return
	}
	delete(n.open, number)
	for n.low < n.next {
		if _, open := n.open[n.low]; open {
			return
		}
		n.low++
	}
}

// lowest returns the lowest number still open.
func (n *numbers) lowest() uint64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.low
}
