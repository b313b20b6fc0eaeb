package main

import (
	"errors"
	"fmt"
	"syscall"
	"time"
)

// processFaults are what befalls processes.
func processFaults() []kind {
	return []kind{
		{"kill-leader", 3, "", "kill -9 of the leader", func(r *run, f fault) error {
			return r.down(f, (*node).crash, r.theLeader)
		}},
		{"kill-follower", 2, "", "kill -9 of a follower", func(r *run, f fault) error {
			return r.down(f, (*node).crash, r.aFollower)
		}},
		{"kill-majority", 1, "", "kill -9 of more than half at once, the leader among them", func(r *run, f fault) error {
			return r.down(f, (*node).crash, func(f fault) ([]*node, error) {
				leader, err := r.leader()
				if err != nil {
					return nil, err
				}
				all := r.members()
				return append(but(all, leader)[:len(all)/2], leader), nil
			})
		}},
		{"kill-all", 1, "", "kill -9 of all at once", func(r *run, f fault) error {
			return r.down(f, (*node).crash, func(fault) ([]*node, error) { return r.members(), nil })
		}},
		{"kill-twice", 1, "", "kill -9 of the leader, and of the next one as soon as there is one", (*run).killTwice},
		{"node-down", 1, "", "kill -9 of a follower for so long that the others tell of it", (*run).nodeDown},
		{"term-leader", 1, "", "SIGTERM to the leader", func(r *run, f fault) error {
			return r.down(f, (*node).terminate, r.theLeader)
		}},
		{"term-follower", 1, "", "SIGTERM to a follower", func(r *run, f fault) error {
			return r.down(f, (*node).terminate, r.aFollower)
		}},
		{"term-all", 1, "", "SIGTERM to all at once", func(r *run, f fault) error {
			return r.down(f, (*node).terminate, func(fault) ([]*node, error) { return r.members(), nil })
		}},
		{"rolling-restart", 1, "", "SIGTERM and start, one after the other", (*run).rollingRestart},
		{"pause-short", 2, "", "SIGSTOP of the leader, for less than an election", func(r *run, f fault) error {
			return r.pause(f, f.between(50*time.Millisecond, 450*time.Millisecond), r.theLeader)
		}},
		{"pause-long", 2, "", "SIGSTOP of the leader, for longer than an election", func(r *run, f fault) error {
			return r.pause(f, f.between(1200*time.Millisecond, 4*time.Second), r.theLeader)
		}},
		{"pause-follower", 1, "", "SIGSTOP of a follower", func(r *run, f fault) error {
			return r.pause(f, f.between(100*time.Millisecond, 3*time.Second), r.aFollower)
		}},
		{"pause-all", 1, "", "SIGSTOP of all, as of a machine that is suspended", func(r *run, f fault) error {
			return r.pause(f, f.between(500*time.Millisecond, 4*time.Second), func(fault) ([]*node, error) { return r.members(), nil })
		}},
	}
}

func (r *run) theLeader(fault) ([]*node, error) {
	leader, err := r.leader()
	return []*node{leader}, err
}

func (r *run) aFollower(f fault) ([]*node, error) {
	leader, err := r.leader()
	if err != nil {
		return nil, err
	}
	return []*node{f.one(but(r.members(), leader))}, nil
}

// crash is kill as a way for a node to end.
func (n *node) crash() error {
	n.kill()
	return nil
}

// down ends some nodes and starts them again after a while.
func (r *run) down(f fault, end func(*node) error, who func(fault) ([]*node, error)) error {
	victims, err := who(f)
	if err != nil {
		return err
	}
	r.tell("%v", names(victims...))
	ended := make(chan error, len(victims))
	for _, n := range victims {
		go func() { ended <- end(n) }()
	}
	for range victims {
		if err := <-ended; err != nil {
			return err
		}
	}
	r.hold(f.between(0, 1500*time.Millisecond))
	return r.startAgain(victims...)
}

// startAgain reads the logs of nodes that do not run, and starts them.
func (r *run) startAgain(nodes ...*node) error {
	for _, n := range nodes {
		if err := r.audit.read(n); err != nil {
			r.find("%v", err)
		}
		if err := n.start(); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) killTwice(f fault) error {
	first, err := r.leader()
	if err != nil {
		return err
	}
	first.kill()
	second, err := r.leader(but(r.members(), first)...)
	if err != nil {
		return err
	}
	second.kill()
	r.tell("%s, then %s", first.id, second.id)
	r.hold(f.between(0, time.Second))
	return r.startAgain(second, first)
}

func (r *run) nodeDown(f fault) error {
	victims, err := r.aFollower(f)
	if err != nil {
		return err
	}
	n := victims[0]
	if err := r.seenAlive(n); err != nil { // after a fault just before
		return err
	}
	since := time.Now()
	r.tell("%s", n.id)
	n.kill()
	if err := r.watch.eventTold("node_down", n.id, since); err != nil {
		return err
	}
	since = time.Now()
	if err := r.startAgain(n); err != nil {
		return err
	}
	return r.watch.eventTold("node_up", n.id, since)
}

// seenAlive waits until the leader knows that a node is up: only then can it tell that it is down.
func (r *run) seenAlive(n *node) error {
	leader, err := r.leader()
	if err != nil {
		return err
	}
	return r.await(leader.id+" to see "+n.id, func() error {
		c, err := r.cluster(leader)
		for _, m := range c.Members {
			if m.ID == n.id && m.Alive != nil && *m.Alive {
				return nil
			}
		}
		return errors.Join(err, errors.New("it does not"))
	})
}

func (r *run) rollingRestart(f fault) error {
	for _, n := range r.members() {
		if err := n.terminate(); err != nil {
			return err
		}
		if err := r.startAgain(n); err != nil {
			return err
		}
		if err := r.ready(n); err != nil {
			return err
		}
	}
	return nil
}

// pause stops some processes for a while.
func (r *run) pause(f fault, d time.Duration, who func(fault) ([]*node, error)) error {
	victims, err := who(f)
	if err != nil {
		return err
	}
	r.tell("%v for %v", names(victims...), d.Round(time.Millisecond))
	for _, n := range victims {
		n.signal(syscall.SIGSTOP)
	}
	r.hold(d)
	for _, n := range victims {
		n.signal(syscall.SIGCONT)
	}
	return nil
}

// tell adds to what the fault that is under way did.
func (r *run) tell(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.detail += " " + fmt.Sprintf(format, args...)
}
