package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"syscall"
	"time"

	"todod/deploy/chaos/cable"
)

// mayhem does several small things to any nodes, one after the other and without regard to what the one before
// has done. At the end all is put right.
func (r *run) mayhem(f fault) error {
	random := rand.New(rand.NewPCG(f.Pick, 0))
	all := r.members()
	asked := map[*process]*node{} // to end
	var err error
	for range 5 + random.IntN(12) {
		if r.ctx.Err() != nil || err != nil {
			break
		}
		n, other := all[random.IntN(len(all))], all[random.IntN(len(all))]
		if which := random.IntN(12); which > 0 {
			err = r.mischief(which, n, other)
		} else if p := n.process(); n.running() && asked[p] == nil {
			r.tell("term %s,", n.id)
			asked[p] = n
			n.mayEnd(exitClean)
			n.signal(syscall.SIGTERM)
		}
		r.hold(time.Duration(random.IntN(400)) * time.Millisecond)
	}
	r.net.Heal()
	for _, n := range all {
		n.signal(syscall.SIGCONT)
		err = errors.Join(err, n.shift(0))
		if p := n.process(); asked[p] != nil {
			err = errors.Join(err, n.ends(exitClean, exitKilled))
		}
		if !n.running() {
			err = errors.Join(err, r.startAgain(n))
		}
	}
	return err
}

func (r *run) mischief(which int, n, other *node) error {
	switch which {
	case 1, 2, 3:
		if !n.running() {
			r.tell("start %s,", n.id)
			return r.startAgain(n)
		}
		r.tell("kill %s,", n.id)
		n.kill()
	case 4, 5:
		r.tell("stop %s,", n.id)
		n.signal(syscall.SIGSTOP)
	case 6, 7:
		r.tell("cont %s,", n.id)
		n.signal(syscall.SIGCONT)
	case 8:
		r.tell("%s does not hear %s,", other.id, n.id)
		r.net.Set(n.id, other.id, cable.Link{Cut: true})
	case 9:
		r.tell("heal,")
		r.net.Heal()
	case 10:
		r.tell("reset %s,", n.id)
		r.net.Reset(n.id)
	case 11:
		r.tell("%s a minute ahead,", n.id)
		return n.shift(time.Minute)
	}
	return nil
}

// splitAndKill kills the leader of the majority, and the one that was cut off from it, and heals it in between.
func (r *run) splitAndKill(f fault) error {
	old, err := r.leader()
	if err != nil {
		return err
	}
	rest := but(r.members(), old)
	r.net.Cut(names(old), names(rest...))
	next, err := r.leader(rest...)
	if err != nil {
		return err
	}
	r.tell("%s is cut off, %s leads,", old.id, next.id)
	r.hold(f.between(0, time.Second))
	victims := []*node{next, old}
	if f.Pick%2 == 0 {
		victims = victims[:1]
	}
	for _, n := range victims {
		r.tell("kill %s,", n.id)
		n.kill()
	}
	if f.Pick/2%2 == 0 { // the old one comes back before the new one does
		r.net.Heal()
		r.hold(f.between(0, time.Second))
	}
	for i := range victims {
		if err := r.startAgain(victims[len(victims)-1-i]); err != nil {
			return err
		}
	}
	return nil
}

// backup makes a backup while all goes on, and has it verified: it holds all that was acknowledged before.
func (r *run) backup(f fault) error {
	n := f.one(r.members())
	r.tell("at %s", n.id)
	file := r.dir + "/lists.backup"
	before := r.load.rev.Load()
	if err := r.ask([]int{0}, "backup", file, "--server", n.http); err != nil {
		return err
	}
	about, err := r.verifyBackup(file)
	if err != nil {
		return err
	}
	if about.Rev < before {
		r.find("a backup at %s is of rev %d, and rev %d was acknowledged before it began", n.id, about.Rev, before)
	}
	r.tell("rev %d, %d entries", about.Rev, about.Entries)
	return nil
}

func (r *run) verifyBackup(file string) (about struct{ Rev, Entries uint64 }, err error) {
	out, code, err := r.command("verify", file, "--output", "json")
	if err != nil || code != 0 {
		return about, fmt.Errorf("verify the backup: exit code %d: %s: %w", code, out, err)
	}
	return about, json.Unmarshal([]byte(out), &about)
}
