package server

import (
	"errors"
	"path/filepath"

	"todod/fsm"
)

// Verified is what a check of a stopped node's folder found: all of it is sound.
type Verified struct {
	*Survey
	FirstIndex uint64 // of the log, 0 if it has no entry
}

// Verify reads the folder of a node that does not run, "" for the only one in data, and checks all of it: what it says
// of itself, each entry of its log, its term and vote, each page and row of its replica, and that they fit
// together. It changes nothing. The error is an *Exit: with ExitFailed if there is no such folder or a process
// runs on it, else with the code that the node would end with.
func Verify(data, id string) (*Verified, error) {
	dir, state, lock, err := openToRead(data, id)
	if err != nil {
		return nil, err
	}
	defer lock.Close()
	f := &folder{dir: dir, state: state}
	if err := f.fits(); err != nil {
		return nil, err
	}
	v := &Verified{}
	if v.FirstIndex, err = verifyLog(filepath.Join(dir, logName)); err != nil {
		return nil, logExit(err)
	}
	if f.has(replicaName) {
		if err := fsm.Check(dir); err != nil {
			return nil, replicaExit(err)
		}
	}
	if v.Survey, err = survey(dir, &state); err != nil {
		return nil, err
	}
	return v, nil
}

// verifyLog reads each entry of a log, and the term and the vote. It returns the index of the first.
func verifyLog(path string) (first uint64, err error) {
	logs, err := readLog(path)
	if logs == nil || err != nil {
		return 0, asDamage(err)
	}
	defer func() { err = errors.Join(err, logs.Close()) }()
	if err := logs.readAll(); err != nil {
		return 0, err
	}
	return logs.FirstIndex()
}

// asDamage takes the advice for survivors out of what readLog found.
func asDamage(err error) error {
	var why *Exit
	if errors.As(err, &why) && why.Code == ExitUnknownEntry {
		return fsm.ErrDamaged
	}
	return err
}
