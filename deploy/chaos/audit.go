package main

import (
	"errors"
	"fmt"
	"hash/crc32"
	"path/filepath"

	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
	bolt "go.etcd.io/bbolt"

	"todod/fsm"
)

// audit reads the logs of nodes that do not run, and remembers what is committed: that is the same
// on every node for good, terms never go down in it, and each term is opened once, by one leader.
type audit struct {
	r       *run
	entries map[uint64]entry
	opened  map[uint64]string // what each term was opened with, the leader's name among it
	refused int               // committed proposals of an earlier term, which the replicas refuse
}

// entry is what an index of the log holds.
type entry struct {
	term uint64
	sum  uint32
	by   string // the node whose log it was first seen in
}

func newAudit(r *run) *audit {
	return &audit{r: r, entries: map[uint64]entry{}, opened: map[uint64]string{}}
}

// read reads the log of a node that does not run, as far as it is committed.
func (a *audit) read(n *node) error {
	commit := a.r.watch.committed(n)
	s, err := raftboltdb.New(raftboltdb.Options{Path: filepath.Join(n.dir, n.id, "raft.db"), MsgpackUseNewTimeFormat: true,
		BoltOptions: &bolt.Options{ReadOnly: true}})
	if err != nil {
		return fmt.Errorf("read the log of %s: %w", n.id, err)
	}
	defer s.Close()
	first, err := s.FirstIndex()
	if err != nil {
		return fmt.Errorf("read the log of %s: %w", n.id, err)
	}
	last, err := s.LastIndex()
	if err != nil {
		return fmt.Errorf("read the log of %s: %w", n.id, err)
	}
	term := uint64(0)
	for i := max(first, 1); i <= min(last, commit); i++ {
		var l raft.Log
		if err := s.GetLog(i, &l); err != nil {
			if errors.Is(err, raft.ErrLogNotFound) {
				return fmt.Errorf("the log of %s has a gap: index %d of %d to %d", n.id, i, first, last)
			}
			return fmt.Errorf("read the log of %s: %w", n.id, err)
		}
		if l.Term < term {
			return fmt.Errorf("the log of %s goes from term %d back to term %d at index %d", n.id, term, l.Term, i)
		}
		term = l.Term
		if err := a.note(n, &l); err != nil {
			return err
		}
	}
	return nil
}

func (a *audit) note(n *node, l *raft.Log) error {
	now := entry{l.Term, crc32.ChecksumIEEE(append([]byte{byte(l.Type)}, l.Data...)), n.id}
	if was, known := a.entries[l.Index]; known {
		if was.term != now.term || was.sum != now.sum {
			return fmt.Errorf("index %d is committed and differs: at %s it is of term %d, at %s of term %d (sums %x and %x)",
				l.Index, was.by, was.term, n.id, now.term, was.sum, now.sum)
		}
		return nil
	}
	a.entries[l.Index] = now
	if l.Type != raft.LogCommand {
		return nil
	}
	stamp, commands, err := fsm.DecodeEnvelope(l.Data)
	if err != nil {
		return fmt.Errorf("index %d at %s: %w", l.Index, n.id, err)
	}
	if stamp.Term != 0 && stamp.Term < l.Term {
		a.refused++
	}
	if stamp.Term > l.Term {
		return fmt.Errorf("index %d at %s is of term %d and says that it was proposed in term %d", l.Index, n.id, l.Term, stamp.Term)
	}
	for _, c := range commands {
		if c.Type != fsm.TypeTerm || stamp.Term != l.Term || len(c.Payload) == 0 {
			continue
		}
		// A leader that was not told may say it again; another one may not.
		by := c.Payload[:min(len(c.Payload), 1+int(c.Payload[0]))]
		if other, known := a.opened[l.Term]; known && other != string(by) {
			return fmt.Errorf("term %d is opened by two leaders: %q and %q", l.Term, other, by)
		}
		a.opened[l.Term] = string(by)
	}
	return nil
}
