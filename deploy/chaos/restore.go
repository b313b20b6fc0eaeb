package main

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// restore has a backup made, changes what it holds, and has it restored while a node is killed or paused: all lists are then as
// they were, at every node, and the rev goes on above all that was.
func (r *run) restore(l *load) error {
	began := time.Now()
	nodes := r.members()
	n := nodes[r.random.IntN(len(nodes))]
	file := filepath.Join(r.dir, "lists.backup")
	if err := r.ask([]int{0}, "backup", file, "--server", n.http); err != nil {
		return err
	}
	was, err := r.contents(n, l, "linearizable")
	if err != nil {
		return err
	}
	for _, b := range l.shelf.all[:min(3, len(l.shelf.all))] {
		if err := r.drop(n, b.listName(0)); err != nil {
			return err
		}
		if _, err := r.retry(n, "POST", entriesPath(b.listName(1)), newEntry("since")); err != nil {
			return err
		}
	}
	last, err := r.retry(n, "POST", entriesPath("since"), newEntry("since"))
	if err != nil {
		return err
	}
	if err := r.restoreUnderFire(file, nodes); err != nil {
		return err
	}
	if err := r.healthyAtRest(); err != nil {
		return err
	}
	next, err := r.retry(n, "POST", entriesPath("after"), newEntry("after"))
	if err != nil {
		return err
	}
	if a, b := r.revOf(last), r.revOf(next); b <= a {
		r.find("rev %d comes after rev %d, with a restore in between", b, a)
	}
	if err := r.sameHashes(nodes); err != nil {
		return err
	}
	for _, n := range nodes {
		is, err := r.contents(n, l, "stale")
		if err != nil {
			return err
		}
		for name, want := range was {
			if is[name] != want {
				r.find("%s of %s was\n%sin the backup, and is\n%safter its restore", name, n.id, want, is[name])
			}
		}
	}
	if err := r.checkKept(l.keeper, nodes); err != nil {
		return err
	}
	r.sums.Restores++
	r.tellStory(began, "restore", "")
	return nil
}

// contents is what a node holds of the lists of a load, and of one that came after its backup.
func (r *run) contents(n *node, l *load, level string) (map[string]string, error) {
	all := map[string]string{}
	var lists []string
	for _, b := range l.shelf.all {
		lists = append(lists, b.listName(0), b.listName(1))
	}
	for _, name := range append(lists, "since") {
		entries, err := r.entries(n, name, level)
		if err != nil {
			return nil, fmt.Errorf("read %s at %s: %w", name, n.id, err)
		}
		all[name] = rows(entries)
	}
	return all, nil
}

// restoreUnderFire has a backup restored, and again until it is; meanwhile a node is killed or paused.
func (r *run) restoreUnderFire(file string, nodes []*node) error {
	random := rand.New(rand.NewPCG(r.random.Uint64(), 0))
	victim := nodes[random.IntN(len(nodes))]
	done := make(chan error, 1)
	go func() {
		done <- r.ask([]int{0}, "restore", file, "--yes", "--server", strings.Join(addrs(nodes), ","))
	}()
	r.hold(time.Duration(random.IntN(400)) * time.Millisecond)
	if random.IntN(2) == 0 {
		victim.kill()
		r.hold(time.Duration(random.IntN(400)) * time.Millisecond)
		if err := r.startAgain(victim); err != nil {
			return err
		}
	} else {
		victim.signal(syscall.SIGSTOP)
		r.hold(time.Duration(random.IntN(2000)) * time.Millisecond)
		victim.signal(syscall.SIGCONT)
	}
	return <-done
}

// revOf is the rev that an answer shows.
func (r *run) revOf(a answer) uint64 {
	rev, err := strconv.ParseUint(a.header.Get("Todod-Index"), 10, 64)
	if err != nil {
		r.find("an answer without a rev: %d %s", a.status, a.body)
	}
	return rev
}

// healthyAtRest is healthy without a load.
func (r *run) healthyAtRest() error {
	if err := r.ready(r.members()...); err != nil {
		return err
	}
	_, err := r.leader()
	return err
}
