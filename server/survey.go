package server

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"

	"todod/fsm"
)

// Survey is what a stopped node's folder holds.
type Survey struct {
	ID, Group, Folder string
	Phase             string
	Term              uint64 // the newest that the node knew of
	LastTerm          uint64 // of the last entry that the folder holds,
	LastIndex         uint64 // in the log or, when that was cut, in the replica
	Replica           fsm.State
	// Servers are the members by the newest configuration, committed or not, HTTP their addresses for clients.
	Servers []raft.Server
	HTTP    map[string]string
}

// Better reports whether a survivor with this survey has more than another: Raft would elect it.
func (s *Survey) Better(than *Survey) bool {
	return s.LastTerm > than.LastTerm || s.LastTerm == than.LastTerm && s.LastIndex > than.LastIndex
}

// Voter reports whether a node has a vote by the newest configuration.
func (s *Survey) Voter(id string) bool {
	server, in := find(raft.Configuration{Servers: s.Servers}, id)
	return in && server.Suffrage == raft.Voter
}

// Interrupted reports whether a recovery of this folder was begun and not finished: it holds the files of neither
// group then, and only Recover or RecoverJoin are of use.
func (s *Survey) Interrupted() bool { return s.Phase == phaseRecovering }

// Look reads the folder of a node that does not run, "" for the only one in data, and changes nothing. It
// returns an *Exit when there is none, when a process runs on it, or when it cannot be read.
func Look(data, id string) (*Survey, error) {
	dir, state, lock, err := openToRead(data, id)
	if err != nil {
		return nil, err
	}
	defer lock.Close()
	return survey(dir, &state)
}

// openToRead finds the folder of a node that does not run, and keeps it from being started until the lock is closed.
func openToRead(data, id string) (dir string, state folderState, lock *os.File, err error) {
	dir, id, err = nodeDir(data, id)
	if err != nil {
		return "", state, nil, err
	}
	if lock, err = stopped(dir, id); err != nil {
		return "", state, nil, err
	}
	if state, err = readState(dir, id); err != nil {
		lock.Close()
		return "", state, nil, err
	}
	return dir, state, lock, nil
}

// stopped keeps a node from being started until the lock is closed; it fails if the node runs.
func stopped(dir, id string) (lock *os.File, err error) {
	lock, err = os.Open(filepath.Join(dir, lockName))
	if err != nil { // a copy of a folder may have none
		return nil, nil
	}
	if syscall.Flock(int(lock.Fd()), syscall.LOCK_SH|syscall.LOCK_NB) != nil {
		return nil, errors.Join(exit(ExitFailed, "node %s runs: stop it first", id), lock.Close())
	}
	return lock, nil
}

// nodeDir finds the folder of a node that was here before.
func nodeDir(data, id string) (dir, name string, err error) {
	if id == "" {
		if id, err = defaultID(data); err != nil {
			return "", "", exit(ExitFailed, "%v", err)
		}
	}
	if err := CheckID(id); err != nil {
		return "", "", exit(ExitFailed, "%v", err)
	}
	dir = filepath.Join(data, id)
	if _, err := os.Stat(filepath.Join(dir, nodeName)); err != nil {
		return "", "", exit(ExitFailed, "there is no folder of a node %s here: give --data and --id as the node has them", id)
	}
	return dir, id, nil
}

// survey reads the log and the replica of a folder.
func survey(dir string, state *folderState) (s *Survey, err error) {
	s = &Survey{ID: state.ID, Group: state.Group, Folder: state.Folder, Phase: state.Phase}
	if s.Interrupted() {
		return s, nil
	}
	if s.Replica, err = fsm.Inspect(dir); err != nil {
		return nil, replicaExit(err)
	}
	s.LastIndex, s.LastTerm, s.Servers = s.Replica.Index, s.Replica.Term, s.Replica.Servers
	s.learn(s.Replica.Members)
	logs, err := readLog(filepath.Join(dir, logName))
	if logs == nil {
		return s, err
	}
	defer func() { err = errors.Join(err, logs.Close()) }()
	if err := logs.claim(state.Folder, state.Group, false); err != nil {
		return nil, err
	}
	if s.Term, err = logs.GetUint64(termKey); err != nil && !errors.Is(err, raftboltdb.ErrKeyNotFound) {
		return nil, surveyExit(err)
	}
	err = tail(logs, s.Replica.Index, s.Replica.Term, func(l *raft.Log) error {
		s.LastIndex, s.LastTerm = l.Index, l.Term
		switch l.Type {
		case raft.LogConfiguration:
			s.Servers = raft.DecodeConfiguration(l.Data).Servers
		case raft.LogCommand:
			known, err := fsm.LoggedMembers(l.Data)
			if err != nil {
				return err
			}
			s.learn(known)
		}
		return nil
	})
	if err != nil {
		return nil, surveyExit(err)
	}
	return s, nil
}

func (s *Survey) learn(members []fsm.Member) {
	if s.HTTP == nil {
		s.HTTP = map[string]string{}
	}
	for _, m := range members {
		s.HTTP[m.ID] = m.HTTP
	}
}

// readLog opens a log that is not in use, to read it; nil if there is none.
func readLog(path string) (*logStore, error) {
	if info, err := os.Stat(path); errors.Is(err, os.ErrNotExist) || err == nil && info.Size() == 0 {
		return nil, nil
	}
	runs, err := checkLog(path)
	if err != nil {
		return nil, surveyExit(err)
	}
	opt := logOptions(false)
	opt.ReadOnly = true
	s, err := raftboltdb.New(raftboltdb.Options{Path: path, MsgpackUseNewTimeFormat: true, BoltOptions: opt})
	if err != nil {
		return nil, exit(ExitStorage, "the log cannot be opened: %v", sentence(err))
	}
	l := &logStore{BoltStore: s, path: path, runs: runs, writes: newUnderway(), fatal: func(error) {}}
	if err := l.readPromises(); err != nil {
		return nil, errors.Join(surveyExit(err), s.Close())
	}
	return l, nil
}

// errGap is a log that begins above what the replica holds.
var errGap = errors.New("entries are missing between the replica and the log")

// tail visits the entries of a log above those of its replica, which ends at an entry of a term. What is of an
// older term than what stands before it is what a crash left of a log that a received replica had made void.
func tail(logs *logStore, index, term uint64, visit func(*raft.Log) error) error {
	first, err := logs.FirstIndex()
	if err != nil {
		return err
	}
	last, err := logs.LastIndex()
	if err != nil {
		return err
	}
	if first > index+1 {
		return fmt.Errorf("the log begins at entry %d, the replica ends at %d: %w", first, index, errGap)
	}
	for i := index + 1; i <= last; i++ {
		var l raft.Log
		if err := logs.GetLog(i, &l); errors.Is(err, raft.ErrLogNotFound) {
			return fmt.Errorf("log entry %d is missing: %w", i, fsm.ErrDamaged)
		} else if err != nil {
			return err
		}
		if l.Term < term {
			return nil
		}
		term = l.Term
		if err := visit(&l); err != nil {
			return err
		}
	}
	return nil
}

// surveyExit says why a log cannot be used.
func surveyExit(err error) error {
	switch {
	case errors.As(err, new(*Exit)):
		return err
	case errors.Is(err, fsm.ErrUnknown):
		return exit(ExitUnknownEntry, "the log holds an entry of a newer todod: use that version (%v)", sentence(err))
	case errors.Is(err, fsm.ErrDamaged):
		return exit(ExitUnknownEntry, "the log is damaged: use another survivor, or restore a backup (%v)", sentence(err))
	}
	return exit(ExitStorage, "the log cannot be read: use another survivor, or restore a backup (%v)", sentence(err))
}
