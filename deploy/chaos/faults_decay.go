package main

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"time"

	"todod/fsm/boltfile"
)

// What decays on a disk, and what becomes of it: a node whose replica is damaged gets another one and stays a member, with the
// damaged file kept aside; one whose log is damaged does not start, since nobody else knows what it promised.

const replicaFile, asideFile, logFile = "replica.db", "replica.db.bad", "raft.db"

func (n *node) file(name string) string { return filepath.Join(n.dir, n.id, name) }

// verify is what todod verify says of a stopped node's folder.
func (r *run) verify(n *node) (code int, says string, err error) {
	says, code, err = r.command("verify", "--data", n.dir, "--id", n.id)
	return code, says, err
}

// aNode is any of the members, the leader as well as another.
func (r *run) aNode(f fault) (*node, error) {
	leader, err := r.leader()
	if err != nil {
		return nil, err
	}
	n := f.one(r.members())
	if n == leader {
		r.tell("the leader")
	}
	return n, nil
}

func (r *run) flippedReplica(f fault) error {
	n, err := r.aNode(f)
	if err != nil {
		return err
	}
	n.kill()
	code, err := r.flipWhereItMatters(n, replicaFile, f)
	if err != nil {
		return err
	}
	if code == exitClean {
		return errors.Join(r.startAgain(n), errNotNow)
	}
	return r.heals(n, code)
}

// flippedUnderIt flips a bit of a row that a running node stores. It reads all of that every second, to find it.
func (r *run) flippedUnderIt(f fault) error {
	n, err := r.aNode(f)
	if err != nil {
		return err
	}
	n.scrubs = true
	defer func() { n.scrubs = false }()
	if err := errors.Join(n.terminate(), r.startAgain(n), r.ready(n)); err != nil {
		return err
	}
	if f.Pick/8%2 == 0 {
		if err := r.transferTo(n); err != nil {
			return err
		}
		r.tell("it leads")
	}
	n.mayEnd(exitStorage)
	var flipped time.Time
	err = r.await(n.id+" to find it", func() error {
		if !n.running() {
			return nil
		}
		if time.Since(flipped) > 3*time.Second { // the page may have been written anew meanwhile
			if err := r.flipRow(n, replicaFile, f, func(bucket string, key []byte) bool { return bucket == "rows" && key[0] != 0 }); err != nil {
				return err
			}
			flipped = time.Now()
		}
		return errors.New("it runs")
	})
	if err != nil {
		return err
	}
	if said := n.sentence(); n.process().code != exitStorage || !strings.Contains(said, "replica is damaged") {
		return fmt.Errorf("%s ended with %d: %s", n.id, n.process().code, said)
	}
	code, says, err := r.verify(n)
	if err != nil {
		return err
	}
	if code == exitClean { // it came upon the row, which then was written anew
		r.tell("and is sound: %s", says)
		return errors.Join(r.startAgain(n), r.ready(n))
	}
	return r.heals(n, code)
}

// heals starts a node whose replica is damaged, as verify said with a code: it is back with another one, and with the damaged file
// beside it.
func (r *run) heals(n *node, code int) error {
	if code != exitStorage {
		return fmt.Errorf("verify ended with %d for the damaged replica of %s, not with %d", code, n.id, exitStorage)
	}
	damaged, err := os.ReadFile(n.file(replicaFile))
	if err != nil {
		return err
	}
	if err := errors.Join(r.startAgain(n), r.ready(n), r.voters()); err != nil {
		return err
	}
	aside, err := os.ReadFile(n.file(asideFile))
	if err != nil || !bytes.Equal(aside, damaged) {
		return fmt.Errorf("the damaged replica of %s is not kept aside: %d bytes of %d, %w", n.id, len(aside), len(damaged), err)
	}
	return os.Remove(n.file(asideFile))
}

func (r *run) flippedLog(f fault) error {
	n, err := r.aNode(f)
	if err != nil {
		return err
	}
	n.kill()
	code, err := r.flipWhereItMatters(n, logFile, f)
	if err != nil {
		return err
	}
	return r.isLost(n, code)
}

// flippedLogUnderIt flips a bit of a term, of a vote or of one of the last entries of a running node, which may come upon it by itself.
func (r *run) flippedLogUnderIt(f fault) error {
	n, err := r.aNode(f)
	if err != nil {
		return err
	}
	n.mayEnd(exitDamaged)
	entries := f.Pick/8%2 == 0
	if err := r.await("a bit to be flipped", func() error {
		return r.flipRow(n, logFile, f, func(bucket string, key []byte) bool {
			return bucket == "logs" && entries || bucket == "conf" && !entries && string(key) != "Owner"
		})
	}); err != nil {
		return err
	}
	r.hold(f.between(0, 300*time.Millisecond))
	n.kill()
	code, _, err := r.verify(n)
	if err != nil {
		return err
	}
	return r.isLost(n, code)
}

// isLost starts a node whose log is damaged, as verify said with a code: it ends with the same, in one sentence, and is replaced.
func (r *run) isLost(n *node, code int) error {
	switch code {
	case exitClean: // the entry was cut off, or the page written anew, as the node still ran
		return errors.Join(r.startAgain(n), errNotNow)
	case exitDamaged:
	case exitRefused: // whose log it is can no longer be read
	default:
		return fmt.Errorf("verify ended with %d for the damaged log of %s", code, n.id)
	}
	if err := n.start(); err != nil {
		return err
	}
	if err := n.ends(code); err != nil {
		return err
	}
	if said := n.sentence(); code == exitDamaged && !strings.Contains(said, "log is damaged") {
		return fmt.Errorf("%s ended with %q", n.id, said)
	}
	return r.replace(n)
}

// flipWhereItMatters flips bits of a stopped node's file, one at a time, until verify finds one: many are in pages that are not in use. It
// returns what verify ended with, 0 if it found none.
func (r *run) flipWhereItMatters(n *node, name string, f fault) (code int, err error) {
	random := rand.New(rand.NewPCG(f.Pick, 1))
	file, err := os.OpenFile(n.file(name), os.O_RDWR, 0)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return 0, err
	}
	for range 30 {
		at, bit := random.Int64N(info.Size()), byte(1)<<random.IntN(8)
		if err := flip(file, at, bit); err != nil {
			return 0, err
		}
		if code, _, err = r.verify(n); err != nil {
			return 0, err
		}
		if code != exitClean {
			r.tell("%s at byte %d of %s", n.id, at, name)
			return code, nil
		}
		if err := flip(file, at, bit); err != nil { // one at a time
			return 0, err
		}
	}
	return 0, nil
}

func flip(file *os.File, at int64, bit byte) error {
	b := []byte{0}
	if _, err := file.ReadAt(b, at); err != nil {
		return err
	}
	b[0] ^= bit
	_, err := file.WriteAt(b, at)
	return err
}

// flipRow flips a bit of one of the last rows of a running node's file that are wanted, in all places where the file has it: pages of earlier
// transactions do no harm. It fails when the file is changed meanwhile.
func (r *run) flipRow(n *node, name string, f fault, want func(bucket string, key []byte) bool) error {
	random := rand.New(rand.NewPCG(f.Pick, uint64(time.Now().UnixNano())))
	file, err := os.OpenFile(n.file(name), os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer file.Close()
	b, err := os.ReadFile(n.file(name))
	if err != nil {
		return err
	}
	type row struct {
		all     []byte
		keySize int
	}
	var rows []row
	if _, err := boltfile.Walk(bytes.NewReader(b), int64(len(b)), 0, func(bucket string, all []byte, keySize int) error {
		if want(bucket, all[:keySize]) {
			rows = append(rows, row{bytes.Clone(all), keySize})
		}
		return nil
	}); err != nil {
		return err
	}
	if len(rows) == 0 {
		return errors.New("it has no such row")
	}
	if name == logFile { // those that are cut off last
		rows = rows[max(0, len(rows)-8):]
	}
	one := rows[random.IntN(len(rows))]
	in, bit := one.keySize+random.IntN(len(one.all)-one.keySize), byte(1)<<random.IntN(8)
	for at := 0; bytes.Contains(b[at:], one.all); at++ {
		at += bytes.Index(b[at:], one.all)
		if err := flip(file, int64(at+in), bit); err != nil {
			return err
		}
	}
	r.tell("%s, a row of %d bytes in %s", n.id, len(one.all), name)
	return nil
}
