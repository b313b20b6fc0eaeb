package server

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"

	"github.com/hashicorp/raft"

	"todod/fsm"
)

// A group that lost its majority for good goes on from one survivor, as another group: with another ID, so
// that nodes of the old one are strangers to it, and another epoch, since revs that only the dead had
// acknowledged are given again. The survivor's log counts up to its last entry, committed or not: nobody
// left can say which of them were acknowledged.
//
// The new files are made beside the old ones, which stay as they are until the new ones are whole. From then on
// node.json says that files are being exchanged; a crash at any step is finished by asking again.

const (
	freshName   = "recover.tmp"       // a folder with the new files, until they are in place
	asideFormat = "before-recover-%d" // a folder with the old ones, for good
)

// Recovered is what became of a folder.
type Recovered struct {
	ID    string
	Group string // the new one; "" for a node that is to join one
	Aside string // the folder in the node's own where the old files are
}

// Recover makes the node that was stopped in data, "" for the only one there, a group of one with all that it
// holds. It returns an *Exit when that cannot be done, and has changed nothing then unless it says
// that it was interrupted: to call it again goes on.
func Recover(data, id string) (*Recovered, error) {
	r := &recovery{}
	return r.do(data, id, nil)
}

// RecoverJoin puts the files of a stopped node aside; it asks to be let into the group of targets, HTTP addresses,
// when it is started. What Recover says of errors holds here.
func RecoverJoin(data, id string, targets []string) (*Recovered, error) {
	r := &recovery{}
	return r.do(data, id, targets)
}

// recovery is one exchange of a folder's files.
type recovery struct {
	f    *folder
	step func(string) // for tests: called where a crash may come; nil otherwise
}

func (r *recovery) at(step string) {
	if r.step != nil {
		r.step(step)
	}
}

func (r *recovery) do(data, id string, targets []string) (done *Recovered, err error) {
	if r.f, err = openStopped(data, id); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.f.close()) }()
	st := &r.f.state
	if st.Phase == phaseRecovering && (st.Next == "") != (targets != nil) {
		if targets == nil {
			return nil, exit(ExitFolderRefused, "node %s was on its way into another group when it was interrupted: give --join once more", st.ID)
		}
		if _, err := r.exchange(); err != nil { // the group that was being founded is left again
			return nil, err
		}
	}
	if st.Phase != phaseRecovering {
		if targets == nil {
			err = r.prepare()
		} else {
			err = r.leave(targets)
		}
		if err != nil {
			return nil, err
		}
	}
	return r.exchange()
}

// openStopped opens and locks the folder of a node that was here before.
func openStopped(data, id string) (*folder, error) {
	dir, id, err := nodeDir(data, id)
	if err != nil {
		return nil, err
	}
	f := &folder{dir: dir}
	if err := f.acquire(); err != nil {
		return nil, err
	}
	if f.state, err = readState(dir, id); err != nil {
		f.lock.Close()
		return nil, err
	}
	return f, nil
}

// prepare makes the files of the new group, and has node.json say so once they are whole.
func (r *recovery) prepare() error {
	f := r.f
	if f.state.Phase != phaseMember {
		return exit(ExitFolderRefused, "node %s is no member of a group (%s): recover a node that is", f.state.ID, f.state.Phase)
	}
	s, err := survey(f.dir, &f.state)
	if err != nil {
		return err
	}
	self, in := find(raft.Configuration{Servers: s.Servers}, s.ID)
	switch {
	case f.has(divergenceName):
		return fenced(s.ID)
	case s.LastIndex == 0:
		return exit(ExitFolderRefused, "node %s holds nothing of its group yet: recover another survivor", s.ID)
	case !in:
		return exit(ExitFolderRefused, "node %s is no longer in its group: recover another survivor", s.ID)
	}
	group := rand.Text()
	r.at("recover: begun")
	if err := r.make(s, self.Address, group); err != nil {
		_ = os.RemoveAll(filepath.Join(f.dir, freshName)) // it may fill the disk
		return err
	}
	r.at("recover: the new files are whole")
	return r.commit(func(st *folderState) { st.Next = group })
}

// make makes the new replica and the new log. They are durable when it returns.
func (r *recovery) make(s *Survey, address raft.ServerAddress, group string) (err error) {
	f := r.f
	fresh := filepath.Join(f.dir, freshName)
	defer func() {
		if e := (*Exit)(nil); err != nil && !errors.As(err, &e) {
			err = exit(ExitStorage, "the new group's files cannot be written, and nothing was changed: %v", sentence(err))
		}
	}()
	if err := errors.Join(os.RemoveAll(fresh), os.Mkdir(fresh, 0o700)); err != nil {
		return err
	}
	if err := copyFile(filepath.Join(f.dir, replicaName), filepath.Join(fresh, replicaName)); err != nil {
		return err
	}
	r.at("recover: the replica is copied")
	// Above all that nodes of the old group ever said, so that nothing of theirs could be taken for newer.
	index, term := s.LastIndex+1, max(s.Term, s.LastTerm)+1
	alone := raft.Configuration{Servers: []raft.Server{{ID: raft.ServerID(s.ID), Address: address}}}
	if err := r.makeReplica(fresh, s, &fsm.Founding{Group: group, Node: s.ID, Index: index, Term: term, Conf: alone, Epoch: newEpoch()}); err != nil {
		return err
	}
	r.at("recover: the replica is the new group's")
	logs, err := openLogStore(filepath.Join(fresh, logName), false, newUnderway(), func(error) {})
	if err != nil {
		return err
	}
	if err := errors.Join(logs.claim(s.Folder, group, true), logs.SetUint64(termKey, term), logs.Close()); err != nil {
		return err
	}
	return syncDir(fresh)
}

// makeReplica brings a copy of the replica to the end of the log, and then to its new group.
func (r *recovery) makeReplica(dir string, s *Survey, found *fsm.Founding) (err error) {
	var failed error
	var replica *fsm.Replica
	fetch := func(_ context.Context, what fsm.Restore) error { return replica.StageFrom(r.f.dir, what) }
	replica, err = fsm.Open(fsm.Config{Dir: dir, Fetch: fetch, Fatal: func(err error) { failed = err }})
	if err != nil {
		return replicaExit(err)
	}
	defer func() { err = errors.Join(err, replica.Close()) }()
	logs, err := readLog(filepath.Join(r.f.dir, logName))
	if err != nil {
		return err
	}
	if logs != nil {
		defer logs.Close()
		err = tail(logs, s.Replica.Index, s.Replica.Term, func(l *raft.Log) error {
			if l.Type == raft.LogCommand || l.Type == raft.LogConfiguration { // as Raft hands over
				if err, not := replica.Apply(l).(error); not && failed == nil {
					failed = exit(ExitFailed, "the log restores a backup that this folder has not: recover another survivor (%v)", sentence(err))
				}
			}
			return failed
		})
	}
	if err != nil {
		return surveyExit(err)
	}
	if found.Epoch == s.Replica.Epoch { // a matter of luck
		found.Epoch += 2
	}
	return replica.Refound(*found)
}

// leave has node.json say that this folder's files are given up for another group's.
func (r *recovery) leave(targets []string) error {
	switch st := &r.f.state; st.Phase {
	case phaseMember:
		return r.commit(func(st *folderState) { st.Targets = targets })
	case phaseJoining: // it asks, and may have been told the wrong address
		return r.f.change(func(st *folderState) { st.Targets = targets })
	default:
		return exit(ExitFolderRefused, "node %s is no member of a group (%s): begin with an empty folder and --join", st.ID, st.Phase)
	}
}

// commit is the step from which on there is no way back: what there was is named before it is moved.
func (r *recovery) commit(set func(*folderState)) error {
	f := r.f
	aside, err := f.newAside()
	if err != nil {
		return exit(ExitStorage, "the old files cannot be put aside, and nothing was changed: %v", sentence(err))
	}
	r.at("recover: node.json is kept aside")
	err = f.change(func(st *folderState) {
		st.Phase, st.Aside, st.Next, st.Targets = phaseRecovering, aside, "", nil
		set(st)
	})
	r.at("recover: the exchange is written down")
	return err
}

// newAside makes a folder for the old files, with a copy of node.json in it: together they are what the node's
// folder was.
func (f *folder) newAside() (name string, err error) {
	for i := 1; ; i++ {
		name = fmt.Sprintf(asideFormat, i)
		if err = os.Mkdir(filepath.Join(f.dir, name), 0o700); !errors.Is(err, os.ErrExist) {
			break
		}
		if !f.has(filepath.Join(name, logName)) && !f.has(filepath.Join(name, replicaName)) {
			err = nil // what a crash left
			break
		}
	}
	if err == nil {
		err = copyFile(filepath.Join(f.dir, nodeName), filepath.Join(f.dir, name, nodeName))
	}
	return name, errors.Join(err, syncDir(filepath.Join(f.dir, name)), f.sync())
}

// exchange moves the old files aside and the new ones, if there are any, into place. It may be done again from the
// start after a crash at any step.
func (r *recovery) exchange() (*Recovered, error) {
	f := r.f
	st := f.state
	if st.Phase == phaseJoining { // only its targets were changed
		return &Recovered{ID: st.ID}, nil
	}
	for _, name := range []string{logName, replicaName, divergenceName} {
		if err := r.exchangeOne(name); err != nil {
			return nil, exit(ExitStorage, "the files could not be exchanged, call todod recover again: %v", sentence(err))
		}
	}
	if err := f.own(); err != nil {
		return nil, exit(ExitStorage, "the new files could not be given to the folder's owner, call todod recover again: %v", sentence(err))
	}
	err := f.change(func(st *folderState) {
		if st.Next != "" {
			st.Phase, st.Group = phaseMember, st.Next
		} else {
			// Another data folder from now on: a group that knew this one must not take it for what it was.
			st.Phase, st.Group, st.Folder = phaseJoining, "", rand.Text()
		}
		st.Aside, st.Next = "", ""
	})
	if err != nil {
		return nil, err
	}
	r.at("recover: the exchange is done")
	_ = os.Remove(filepath.Join(f.dir, freshName)) // empty now
	return &Recovered{ID: st.ID, Group: st.Next, Aside: st.Aside}, nil
}

// exchangeOne exchanges one file. Each move is durable before the next, so that a new file never takes the
// place of an old one that is not safe elsewhere.
func (r *recovery) exchangeOne(name string) error {
	f := r.f
	fresh := filepath.Join(freshName, name)
	if f.state.Next != "" && !f.has(fresh) {
		return nil // in place
	}
	if f.has(name) {
		aside := filepath.Join(f.dir, f.state.Aside)
		if err := os.Rename(filepath.Join(f.dir, name), filepath.Join(aside, name)); err != nil {
			return err
		}
		if err := errors.Join(syncDir(aside), f.sync()); err != nil {
			return err
		}
		r.at("recover: the old " + name + " is aside")
	}
	if f.state.Next == "" {
		return nil
	}
	if err := os.Rename(filepath.Join(f.dir, fresh), filepath.Join(f.dir, name)); err != nil {
		return err
	}
	r.at("recover: the new " + name + " is in place")
	return errors.Join(f.sync(), syncDir(filepath.Join(f.dir, freshName)))
}

// own gives what root has made in the folder to whom the folder belongs: the service has a user of its own.
func (f *folder) own() error {
	return filepath.WalkDir(f.dir, func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return ownAs(f.dir, path)
	})
}

// ownAs gives a file to the owner of another one, if this process may.
func ownAs(owner, path string) error {
	info, err := os.Stat(owner)
	if err != nil || os.Geteuid() != 0 {
		return err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return nil
	}
	return os.Lchown(path, int(st.Uid), int(st.Gid))
}

// copyFile makes a durable copy of a file; there is nothing to do if that does not exist.
func copyFile(from, to string) (err error) {
	in, err := os.Open(from)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Sync(), out.Close())
}
