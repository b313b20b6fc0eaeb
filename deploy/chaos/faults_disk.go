package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// diskFaults are what befalls disks and files. strace makes the syncs of a running node fail or stall.
func diskFaults() []kind {
	return []kind{
		{"stall-leader", 1, "strace", "the leader's disk does not answer: it ends, or leads on after a short stall", func(r *run, f fault) error {
			return r.stall(f, r.theLeader)
		}},
		{"stall-follower", 1, "strace", "a follower's disk does not answer for a while", func(r *run, f fault) error {
			return r.stall(f, r.aFollower)
		}},
		{"slow-disk", 1, "strace", "each sync of the leader takes longer", func(r *run, f fault) error {
			leader, err := r.leader()
			if err != nil {
				return err
			}
			undo, err := r.tamper(leader, fmt.Sprintf("delay_enter=%d", f.between(5*time.Millisecond, 60*time.Millisecond).Microseconds()))
			if err != nil {
				return err
			}
			defer undo()
			r.hold(f.between(300*time.Millisecond, 2*time.Second))
			return nil
		}},
		{"fsync-leader", 1, "strace", "a sync of the leader fails", func(r *run, f fault) error { return r.failedSync(f, r.theLeader) }},
		{"fsync-follower", 1, "strace", "a sync of a follower fails", func(r *run, f fault) error { return r.failedSync(f, r.aFollower) }},
		{"disk-low", 1, "disk", "a disk has less room than the reserve: a leader hands over", (*run).diskLow},
		{"disk-full", 1, "disk", "a disk has no room at all", (*run).diskFull},
		{"flipped-bit", 1, "", "a bit of a stopped node's replica is flipped: it gets another one", (*run).flippedReplica},
		{"flipped-bit-running", 1, "", "a bit of a running node's replica is flipped: it ends, and gets another one", (*run).flippedUnderIt},
		{"flipped-log", 1, "", "a bit of a stopped node's log is flipped: it does not start, and is replaced", (*run).flippedLog},
		{"flipped-log-running", 1, "", "a bit of a running node's log is flipped: it does not start again, and is replaced", (*run).flippedLogUnderIt},
		{"wiped-disk", 1, "", "a node comes back with an empty folder: refused, and replaced", (*run).wipedDisk},
	}
}

// tamper has strace do something to each sync of a node until undo is called.
func (r *run) tamper(n *node, inject string) (undo func(), err error) {
	r.tell("%s %s", n.id, inject)
	pid := n.pid.Load()
	cmd := exec.Command("strace", "-f", "-qq", "-o", os.DevNull, "-p", strconv.FormatInt(pid, 10),
		"-e", "trace=fsync,fdatasync", "-e", "inject=fsync,fdatasync:"+inject)
	said, err := os.Create(filepath.Join(r.dir, "strace.log"))
	if err != nil {
		return nil, err
	}
	defer said.Close()
	cmd.Stderr = said
	if err := startCommand(cmd); err != nil {
		return nil, err
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait()
	}()
	undo = func() {
		// What was delayed goes on at once. A signal that strace can deal with it would deal with
		// only after the delay of a thread whose process has ended.
		_ = cmd.Process.Kill()
		<-ended
	}
	err = r.await("strace to hold "+n.id, func() error {
		select {
		case <-ended:
			if n.running() {
				why, _ := os.ReadFile(said.Name())
				return fmt.Errorf("strace ended: %s", strings.TrimSpace(string(why)))
			}
			return nil
		default:
			return traced(pid)
		}
	})
	if err != nil {
		undo()
		return nil, err
	}
	return undo, nil
}

// traced returns nil once every thread of a process has a tracer, or the process is gone.
func traced(pid int64) error {
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	if err != nil {
		return err
	}
	for _, task := range tasks {
		status, err := os.ReadFile(task)
		if err == nil && strings.Contains(string(status), "TracerPid:\t0\n") {
			return fmt.Errorf("%s is not traced", task)
		}
	}
	return nil
}

func (r *run) stall(f fault, who func(fault) ([]*node, error)) error {
	victims, err := who(f)
	if err != nil {
		return err
	}
	n := victims[0]
	// While it hangs it may come to lead, or be found to.
	n.mayEnd(exitStorage)
	undo, err := r.tamper(n, "delay_enter=60s")
	if err != nil {
		return err
	}
	r.hold(f.between(500*time.Millisecond, 5*time.Second))
	undo()
	return r.again(n)
}

// again starts a node that may have ended by now with the code for its storage, and waits until it serves.
func (r *run) again(n *node) error {
	err := r.await(n.id+" to be well or to have ended", func() error {
		if !n.running() {
			return nil
		}
		c, err := r.cluster(n)
		if err != nil {
			return err
		}
		for _, m := range c.Members {
			if m.ID == n.id && m.Disk != "ok" {
				return fmt.Errorf("its disk is %s", m.Disk)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	if n.running() {
		n.mayEnd()
		return nil
	}
	r.tell("and it ended with %d", n.process().code)
	return r.startAgain(n)
}

func (r *run) failedSync(f fault, who func(fault) ([]*node, error)) error {
	victims, err := who(f)
	if err != nil {
		return err
	}
	n := victims[0]
	n.mayEnd(exitStorage)
	undo, err := r.tamper(n, "error=EIO")
	if err != nil {
		return err
	}
	defer undo()
	if err := n.ends(exitStorage); err != nil {
		return err
	}
	undo()
	r.hold(f.between(0, time.Second))
	return r.startAgain(n)
}

// smallNode is the member with a small disk, nil if there is none.
func (r *run) smallNode() *node {
	for _, n := range r.members() {
		if n.small {
			return n
		}
	}
	return nil
}

func ballast(n *node) string { return filepath.Join(n.dir, "ballast") }

// fill leaves no more than so many bytes free on a small disk, also where the node has given some back since it was
// filled before.
func fill(n *node, leave int64) error {
	var st syscall.Statfs_t
	if err := syscall.Statfs(n.dir, &st); err != nil {
		return fmt.Errorf("measure the small disk: %w", err)
	}
	file, err := os.OpenFile(ballast(n), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer file.Close()
	has, err := file.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	for size := int64(st.Bavail)*int64(st.Bsize) - leave; size > 0; size -= 64 << 10 {
		err := syscall.Fallocate(int(file.Fd()), 0, has, size)
		if err == nil {
			return nil
		}
		if !errors.Is(err, syscall.ENOSPC) { // else the node took some meanwhile
			return fmt.Errorf("fill the small disk: %w", err)
		}
	}
	return nil
}

func (r *run) diskLow(f fault) error {
	n := r.smallNode()
	if n == nil {
		return errNotNow
	}
	if f.Pick%2 == 0 {
		if err := r.transferTo(n); err != nil {
			return err
		}
	}
	r.tell("%s", n.id)
	since := time.Now()
	n.mayEnd(exitStorage) // the writers may be faster than the watch
	if err := fill(n, 8<<20); err != nil {
		return err
	}
	err := r.await("another leader, and word of the disk", func() error {
		if !n.running() { // another's replica came just then, and is larger than the room
			return nil
		}
		if err := fill(n, 8<<20); err != nil { // it may have taken the place of a larger one
			return err
		}
		if c, err := r.cluster(n); err != nil || c.Leader == n.id {
			return fmt.Errorf("%s leads", n.id)
		}
		if !r.watch.told("disk_low", n.id, since) {
			return errors.New("nobody told of it")
		}
		return nil
	})
	if err := errors.Join(err, os.Remove(ballast(n))); err != nil {
		return err
	}
	return r.again(n)
}

func (r *run) diskFull(f fault) error {
	n := r.smallNode()
	if n == nil {
		return errNotNow
	}
	r.tell("%s", n.id)
	n.mayEnd(exitStorage)
	if err := fill(n, 0); err != nil {
		return err
	}
	r.hold(f.between(300*time.Millisecond, 2*time.Second))
	if err := os.Remove(ballast(n)); err != nil {
		return err
	}
	return r.again(n)
}

func (r *run) wipedDisk(f fault) error {
	victims, err := r.aFollower(f)
	if err != nil {
		return err
	}
	n := victims[0]
	r.tell("%s", n.id)
	n.kill()
	if err := os.RemoveAll(filepath.Join(n.dir, n.id)); err != nil {
		return err
	}
	if err := n.start(addrs(but(r.members(), n))...); err != nil {
		return err
	}
	if err := n.ends(exitRefused); err != nil {
		return err
	}
	return r.replace(n)
}
