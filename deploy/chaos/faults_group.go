package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"
)

// errNotNow: the fault does not fit the group as it is, and another takes its place.
var errNotNow = errors.New("not now")

// The least and the most members that the group is brought to.
const minMembers, maxMembers = 3, 5

// groupFaults are changes of the group, its leadership, its clocks and its snapshots.
func groupFaults() []kind {
	return []kind{
		{"transfer", 2, "", "leadership is handed over", (*run).transfer},
		{"transfer-and-kill", 1, "", "leadership is handed over, and the old or the new leader killed meanwhile", (*run).transferAndKill},
		{"member-in", 1, "", "another node joins", func(r *run, f fault) error {
			if len(r.members()) >= maxMembers {
				return r.leave(f)
			}
			return r.join(f, nil)
		}},
		{"member-in-and-kill", 1, "", "another node joins, and the leader is killed meanwhile", func(r *run, f fault) error {
			if len(r.members()) >= maxMembers {
				return r.leave(f)
			}
			leader, err := r.leader()
			if err != nil {
				return err
			}
			return r.join(f, leader)
		}},
		{"member-out", 1, "", "a node leaves, the leader as well as another", func(r *run, f fault) error {
			if len(r.members()) <= minMembers {
				return r.join(f, nil)
			}
			return r.leave(f)
		}},
		{"member-dead", 1, "", "a node is gone for good and replaced", func(r *run, f fault) error {
			victims, err := r.aFollower(f)
			if err != nil {
				return err
			}
			r.tell("%s", victims[0].id)
			victims[0].kill()
			return r.replace(victims[0])
		}},
		{"clock-jump", 1, "", "the leader's clock is two years ahead, and then right again", func(r *run, f fault) error {
			return r.clocks(f, 2*365*24*time.Hour, r.theLeader)
		}},
		{"clock-back", 1, "", "a clock goes back an hour, and then is right again", func(r *run, f fault) error {
			return r.clocks(f, -time.Hour, func(f fault) ([]*node, error) { return []*node{f.one(r.members())}, nil })
		}},
		{"backup", 1, "", "a backup from any node, which is verified", (*run).backup},
		{"mayhem", 4, "", "many of the small ones, on any nodes, without regard to each other", (*run).mayhem},
		{"split-and-kill", 1, "", "the leader is cut off, and the next one killed", (*run).splitAndKill},
		{"snapshot-storm", 1, "", "all cut their logs at every turn, and one is away meanwhile", (*run).snapshotStorm},
	}
}

// ask runs a todod command on the group until it ends with one of the codes.
func (r *run) ask(codes []int, args ...string) error {
	return r.await("todod "+args[0], func() error {
		out, code, err := r.command(args...)
		if err != nil {
			return err
		}
		for _, c := range codes {
			if c == code {
				return nil
			}
		}
		return fmt.Errorf("exit code %d: %s", code, out)
	})
}

func (r *run) transferTo(n *node) error {
	return r.await(n.id+" to lead", func() error {
		leader, err := r.leader()
		if err != nil || leader == n {
			return err
		}
		out, code, err := r.command("transfer", n.id, "--server", leader.http)
		if err == nil && code != 0 {
			err = fmt.Errorf("exit code %d: %s", code, out)
		}
		return err
	})
}

func (r *run) transfer(f fault) error {
	leader, err := r.leader()
	if err != nil {
		return err
	}
	to := f.one(but(r.members(), leader))
	r.tell("from %s to %s", leader.id, to.id)
	since := time.Now()
	if err := r.transferTo(to); err != nil {
		return err
	}
	return r.watch.eventTold("leader_changed", to.id, since)
}

func (r *run) transferAndKill(f fault) error {
	leader, err := r.leader()
	if err != nil {
		return err
	}
	to := f.one(but(r.members(), leader))
	victim := leader
	if f.Pick/8%2 == 0 {
		victim = to
	}
	r.tell("from %s to %s, kill %s", leader.id, to.id, victim.id)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _, _ = r.command("transfer", to.id, "--server", leader.http) // it may come to nothing
	}()
	r.hold(f.between(0, 60*time.Millisecond))
	victim.kill()
	<-done
	return r.startAgain(victim)
}

// join adds a member; victim, if not nil, is killed meanwhile.
func (r *run) join(f fault, victim *node) error {
	n, err := r.newNode(r.smallNode() == nil && !r.without["disk"])
	if err != nil {
		return err
	}
	r.tell("%s", n.id)
	since := time.Now()
	r.watch.follow(n)
	old := r.members()
	if err := n.start(addrs(old)...); err != nil {
		return err
	}
	if victim != nil {
		r.tell("kill %s", victim.id)
		r.hold(f.between(0, 300*time.Millisecond))
		victim.kill()
		r.hold(f.between(0, 300*time.Millisecond))
		if err := r.startAgain(victim); err != nil {
			return err
		}
	}
	if err := r.ready(n); err != nil {
		return err
	}
	r.setMembers(append(old, n))
	if err := r.voters(); err != nil {
		return err
	}
	return r.watch.eventTold("member_added", n.id, since)
}

// leave takes a running node out, by its own command.
func (r *run) leave(f fault) error {
	n := f.one(r.members())
	r.tell("%s", n.id)
	since := time.Now()
	// Refused, if it hears of it from the others first.
	codes := []int{exitClean, exitRefused}
	n.mayEnd(codes...)
	if _, _, err := r.command("leave", "--server", n.http); err != nil {
		return err
	}
	if err := r.takenOut(n); err != nil {
		return err
	}
	if err := n.ends(codes...); err != nil {
		return err
	}
	if err := r.watch.eventTold("member_removed", n.id, since); err != nil {
		return err
	}
	if f.Part < 0.5 { // its folder is kept, and is of no use any more
		if err := n.start(); err != nil {
			return err
		}
		return n.ends(exitRefused)
	}
	return nil
}

// takenOut has the others take a node out, if they have not yet, and forgets it.
func (r *run) takenOut(n *node) error {
	rest := but(r.members(), n)
	if err := r.ask([]int{0, 3}, "remove", n.id, "--server", strings.Join(addrs(rest), ",")); err != nil {
		return err
	}
	r.setMembers(rest)
	r.mu.Lock()
	r.gone = append(r.gone, n)
	r.mu.Unlock()
	return nil
}

// replace puts a new node in the place of one that is of no use any more.
func (r *run) replace(n *node) error {
	n.kill()
	if err := r.takenOut(n); err != nil {
		return err
	}
	r.unmount(n)
	if err := os.RemoveAll(n.dir); err != nil {
		return err
	}
	return r.join(fault{}, nil)
}

func (r *run) clocks(f fault, off time.Duration, who func(fault) ([]*node, error)) error {
	victims, err := who(f)
	if err != nil {
		return err
	}
	n := victims[0]
	r.tell("%s by %v", n.id, off)
	if err := n.shift(off); err != nil {
		return err
	}
	r.hold(f.between(300*time.Millisecond, 3*time.Second))
	return n.shift(0)
}

func (r *run) snapshotStorm(f fault) error {
	victims, err := r.aFollower(f)
	if err != nil {
		return err
	}
	away := victims[0]
	r.tell("%s is away", away.id)
	for _, n := range r.members() {
		n.storm = true
	}
	away.kill()
	for _, n := range but(r.members(), away) {
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
	if err := r.progress(200); err != nil {
		return err
	}
	if err := r.startAgain(away); err != nil {
		return err
	}
	if f.Pick/8%2 == 0 { // in the middle of what it is sent
		r.hold(f.between(0, 500*time.Millisecond))
		away.kill()
		if err := r.startAgain(away); err != nil {
			return err
		}
	}
	err = r.ready(away)
	for _, n := range r.members() {
		n.storm = false // from its next start on
	}
	return err
}
