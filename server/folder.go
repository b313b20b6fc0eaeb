package server

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
)

// folderVersion is the format of a data folder; a program refuses a newer one.
const folderVersion = 1

// The phases of a data folder, as node.json keeps them.
const (
	phaseEmpty    = "empty"    // belongs to no group
	phaseFounding = "founding" // its group of one is being made
	phaseJoining  = "joining"  // it asked to be let into a group, and may have been
	phaseMember   = "member"
	phaseRemoved  = "removed" // taken out for good
	// phaseRecovering: its files are being exchanged for those of another group, see recover.go
	phaseRecovering = "recovering"
)

// folder is the data folder of one node: locked while the node runs, and with an identity of
// its own, so that a wiped one is not taken for what it was.
type folder struct {
	dir   string
	lock  *os.File
	mu    sync.Mutex // guards state against phase; changes are made one at a time
	state folderState
}

// The names of the folder's own files.
const (
	nodeName = "node.json"
	lockName = "lock"
)

// folderState is node.json.
type folderState struct {
	Version int      `json:"version"`
	ID      string   `json:"id"`
	Folder  string   `json:"folder"` // random, made with the folder
	Group   string   `json:"group"`  // "" before the node belongs to one
	Phase   string   `json:"phase"`
	Targets []string `json:"targets,omitempty"` // HTTP addresses that it asked, or asks, to be let in; none once it knows the members
	Former  string   `json:"former,omitempty"`  // of a join from a group of one: that group
	Next    string   `json:"next,omitempty"`    // of a recovery under way: the new group, "" to join one
	Aside   string   `json:"aside,omitempty"`   // of a recovery under way: where the old files go
	// Peers are the other members by their raft addresses, as far as this node knew last.
	Peers map[string]string `json:"peers,omitempty"`
}

// openFolder finds, makes and locks the folder of a node in data.
func openFolder(data, id string) (*folder, error) {
	if id == "" {
		var err error
		if id, err = defaultID(data); err != nil {
			return nil, err
		}
	}
	if err := CheckID(id); err != nil {
		return nil, err
	}
	f := &folder{dir: filepath.Join(data, id)}
	if err := makeDir(f.dir); err != nil {
		return nil, exit(ExitFailed, "the data folder cannot be made: %v", sentence(err))
	}
	if err := f.acquire(); err != nil {
		return nil, err
	}
	if err := f.load(id); err != nil {
		f.lock.Close()
		return nil, err
	}
	return f, nil
}

// makeDir makes a folder and those above it, durably: a node whose folder with its vote in it is
// gone after a power cut would come back as another one.
func makeDir(dir string) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	parent := filepath.Dir(dir)
	if parent != dir {
		if err := makeDir(parent); err != nil {
			return err
		}
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	return syncDir(parent)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// defaultID is the only node folder in data, else the name of the host.
func defaultID(data string) (string, error) {
	found, err := filepath.Glob(filepath.Join(data, "*", nodeName))
	if err != nil {
		return "", err
	}
	switch len(found) {
	case 0:
		host, err := os.Hostname()
		if err != nil {
			return "", fmt.Errorf("the host has no name: give the node one with --id")
		}
		return strings.TrimLeft(strings.Map(idRune, host), "."), nil
	case 1:
		return filepath.Base(filepath.Dir(found[0])), nil
	}
	return "", fmt.Errorf("the data folder holds %d nodes: say which one with --id", len(found))
}

func idRune(r rune) rune {
	if strings.ContainsRune(idChars, r) {
		return r
	}
	return '-'
}

// sentence takes the path out of a file error.
func sentence(err error) error {
	var p *os.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

func (f *folder) acquire() error {
	lock, err := os.OpenFile(filepath.Join(f.dir, lockName), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return exit(ExitFailed, "the data folder cannot be written: %v", sentence(err))
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		lock.Close()
		return exit(ExitFailed, "another process runs on this data folder: stop it, or give another --id or --data")
	}
	f.lock = lock
	return nil
}

func (f *folder) load(id string) (err error) {
	if _, err := os.Stat(filepath.Join(f.dir, nodeName)); errors.Is(err, os.ErrNotExist) {
		if f.has(logName) || f.has(replicaName) {
			return exit(ExitFolderRefused, "the data folder has lost its identity (node.json): restore it, or begin with an empty folder and a new --id")
		}
		f.state = folderState{Version: folderVersion, ID: id, Folder: rand.Text(), Phase: phaseEmpty}
		return f.save()
	}
	if f.state, err = readState(f.dir, id); err != nil {
		return err
	}
	if err := f.fits(); err != nil {
		return err
	}
	_ = os.RemoveAll(filepath.Join(f.dir, freshName)) // of a recovery that came to nothing
	return nil
}

var errIdentityDamaged = exit(ExitFolderRefused, "the data folder's node.json is damaged: restore it, or begin with an empty folder and a new --id")

// readState reads the node.json of a folder, which must be of the node id.
func readState(dir, id string) (s folderState, err error) {
	b, err := os.ReadFile(filepath.Join(dir, nodeName))
	switch {
	case errors.Is(err, os.ErrPermission):
		return s, exit(ExitFailed, "the data folder cannot be read: %v", sentence(err))
	case err != nil:
		return s, exit(ExitStorage, "the data folder cannot be read: %v", sentence(err))
	}
	if err := json.Unmarshal(b, &s); err != nil || s.Folder == "" {
		return s, errIdentityDamaged
	}
	switch {
	case s.Version > folderVersion:
		return s, exit(ExitFolderRefused, "the data folder is of a newer todod (format %d, this one reads up to %d): run that version", s.Version, folderVersion)
	case !s.sound():
		return s, errIdentityDamaged
	case s.ID != id:
		return s, exit(ExitFolderRefused, "the data folder belongs to node %s, not to %s: give --id %s", s.ID, id, s.ID)
	}
	return s, nil
}

// fits checks what node.json says against the files beside it. A member that lost its log
// has forgotten its votes and what it acknowledged: with a new one it would help to undo both.
func (f *folder) fits() error {
	switch s := &f.state; {
	case s.Phase == phaseRemoved:
		return exit(ExitFolderRefused, "node %s was removed from its group and its data folder may not come back: begin with an empty folder and a new --id", s.ID)
	case s.Phase == phaseRecovering:
		return exit(ExitFolderRefused, "a recovery of node %s was interrupted: run 'todod recover' again, as before", s.ID)
	case f.has(divergenceName):
		return fenced(s.ID)
	case s.Phase == phaseEmpty && (f.has(logName) || f.has(replicaName)):
		return exit(ExitFolderRefused, "the data folder's node.json is older than the files beside it: restore the newest one, or begin with an empty folder and a new --id")
	case s.Phase == phaseMember && !f.has(logName):
		return exit(ExitFolderRefused, "the data folder has lost its log (raft.db) and with it its votes: remove this node and begin it anew, with an empty folder and a new --id")
	}
	return nil
}

// sound reports whether a state is one that was ever written.
func (s *folderState) sound() bool {
	switch s.Phase {
	case phaseFounding, phaseMember, phaseRecovering:
		return s.Group != ""
	case phaseEmpty, phaseJoining, phaseRemoved:
		return true
	}
	return false
}

// has reports whether a file is there and holds anything.
func (f *folder) has(name string) bool {
	info, err := os.Stat(filepath.Join(f.dir, name))
	return err == nil && info.Size() > 0
}

// change sets the state durably: it holds after a crash once this returns.
func (f *folder) change(set func(*folderState)) error {
	f.mu.Lock()
	set(&f.state)
	f.mu.Unlock()
	return f.save()
}

func (f *folder) phase() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.state.Phase
}

// targets are those that this node was let in by, as long as it does not know the others.
func (f *folder) targets() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.state.Targets
}

// peers are the other members of the group. The map is not changed any more.
func (f *folder) peers() map[string]string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.state.Peers
}

func (f *folder) save() error {
	b, err := json.MarshalIndent(f.state, "", "  ")
	if err != nil {
		return err
	}
	return f.replaceFile(nodeName, append(b, '\n'))
}

// replaceFile writes a file of the folder, whole or not at all, for good.
func (f *folder) replaceFile(name string, b []byte) (err error) {
	defer func() {
		if err != nil {
			err = exit(ExitStorage, "the data folder cannot be written: %v", sentence(err))
		}
	}()
	tmp, err := os.Create(filepath.Join(f.dir, name+".tmp"))
	if err != nil {
		return err
	}
	_, err = tmp.Write(b)
	if err = errors.Join(err, ownAs(f.dir, tmp.Name()), tmp.Sync(), tmp.Close()); err != nil {
		return err
	}
	if err := os.Rename(tmp.Name(), filepath.Join(f.dir, name)); err != nil {
		return err
	}
	return f.sync()
}

// sync makes the names in the folder durable.
func (f *folder) sync() error { return syncDir(f.dir) }

// wipe takes the log and the replica away: for a node that leaves a group of one, which
// never accepted a write, to join another.
func (f *folder) wipe() error {
	for _, name := range []string{logName, replicaName} {
		if err := os.Remove(filepath.Join(f.dir, name)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return exit(ExitStorage, "the data folder cannot be emptied: %v", sentence(err))
		}
	}
	if err := removeStaged(f.dir); err != nil {
		return exit(ExitStorage, "the data folder cannot be emptied: %v", sentence(err))
	}
	return nil
}

func (f *folder) close() error { return f.lock.Close() }
