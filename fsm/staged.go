package fsm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// A backup that may be restored is staged at each node first: whole and checked on the disk, under its hash,
// with the replica that it will become beside it. The file outlives the process, since an entry
// of the log may name it; the replica does not, and is made again.
const (
	stagedFormat = "restore-%s.backup"
	hashText     = 64 // hexadecimal digits
)

type staged struct {
	dir    string
	noSync bool
	at     func(step string) // for tests

	mu    sync.Mutex // guards files
	files map[string]*stagedFile
}

type stagedFile struct {
	about   BackupInfo // only Size and Hash of one that an earlier process staged
	built   string     // path of the replica that was made of it, "" for none
	meta    meta       // of that
	applied uint64     // the log entry that restored it, 0 if none has in this process
}

func openStaged(dir string, noSync bool, at func(string)) (*staged, error) {
	s := &staged{dir: dir, noSync: noSync, at: at, files: map[string]*stagedFile{}}
	names, err := filepath.Glob(filepath.Join(dir, fmt.Sprintf(stagedFormat, "*")))
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		prefix, suffix, _ := strings.Cut(stagedFormat, "%s")
		hash := strings.TrimSuffix(strings.TrimPrefix(filepath.Base(name), prefix), suffix)
		info, err := os.Stat(name)
		if err != nil || len(hash) != hashText {
			continue
		}
		s.files[hash] = &stagedFile{about: BackupInfo{Hash: hash, Size: info.Size()}}
	}
	return s, nil
}

func (s *staged) path(hash string) string {
	return filepath.Join(s.dir, fmt.Sprintf(stagedFormat, hash))
}

// Stage reads a backup to its end, checks it, and keeps it and the replica that it will become. When it is
// fresh, from a client and not from another node, its texts are held against the rules for those of a
// request too. It fails as CheckBackup does. It may be called concurrently.
func (r *Replica) Stage(from io.Reader, fresh bool) (BackupInfo, error) {
	return r.staged.stage(from, fresh)
}

func (s *staged) stage(from io.Reader, fresh bool) (about BackupInfo, err error) {
	file, err := os.CreateTemp(s.dir, fmt.Sprintf(tempFormat, "staged-*"))
	if err != nil {
		return about, fmt.Errorf("stage a backup: %w", err)
	}
	defer func() {
		file.Close()
		os.Remove(file.Name()) // which has another name by now if all went well
	}()
	b, err := newBuilder(s.dir, s.noSync)
	if err != nil {
		return about, err
	}
	defer b.drop()
	var to backupVisitor = b
	if fresh {
		to = both{&backupChecker{}, b}
	}
	if about, err = readBackup(io.TeeReader(from, file), to); err != nil {
		return about, err
	}
	s.at("stage: all is checked")
	if err := b.finish(&about); err != nil {
		return about, err
	}
	if !s.noSync {
		err = file.Sync()
	}
	if err == nil {
		s.at("stage: all is durable")
		err = rename(file.Name(), s.path(about.Hash))
	}
	if err != nil {
		return about, fmt.Errorf("stage a backup: %w", err)
	}
	s.at("stage: it has its name")
	s.add(&about, b)
	return about, nil
}

// StageFrom stages a backup that another folder has staged, for a replica whose group is not there to be asked.
func (r *Replica) StageFrom(dir string, what Restore) error {
	file, err := os.Open(filepath.Join(dir, fmt.Sprintf(stagedFormat, what.Hash)))
	if err != nil {
		return err
	}
	defer file.Close()
	about, err := r.Stage(file, false)
	if err == nil && about.Hash != what.Hash {
		err = fmt.Errorf("the staged backup is another one: %w", ErrDamaged)
	}
	return err
}

// add makes a staged backup known, and the builder's replica its own.
func (s *staged) add(about *BackupInfo, b *builder) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.files[about.Hash]
	if f == nil {
		f = &stagedFile{}
		s.files[about.Hash] = f
	}
	f.about, f.applied = *about, 0
	if f.built == "" {
		f.built, f.meta = b.keep()
	}
}

// take returns the replica that a staged backup becomes, made anew if need be, to be put in place by the caller.
// ok is false if the backup is not staged, or not as it was.
func (s *staged) take(hash string) (path string, m meta, ok bool, err error) {
	s.mu.Lock()
	f := s.files[hash]
	if f != nil {
		path, m, f.built = f.built, f.meta, ""
	}
	s.mu.Unlock()
	if f == nil || path != "" {
		return path, m, f != nil, nil
	}
	file, err := os.Open(s.path(hash))
	if err != nil {
		s.drop(hash)
		return "", m, false, nil
	}
	defer file.Close()
	b, err := newBuilder(s.dir, s.noSync)
	if err != nil {
		return "", m, false, err
	}
	defer b.drop()
	about, err := readBackup(file, b)
	if err != nil || about.Hash != hash { // it decayed: other nodes have it too
		s.drop(hash)
		return "", m, false, nil
	}
	if err := b.finish(&about); err != nil {
		return "", m, false, err
	}
	path, m = b.keep()
	return path, m, true, nil
}

// Prepare makes a staged backup ready to be restored, again if it was before; false if it is not staged.
func (r *Replica) Prepare(hash string) (bool, error) {
	s := r.staged
	path, m, ok, err := s.take(hash)
	if !ok || err != nil {
		return false, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.files[hash]
	if f == nil || f.built != "" { // dropped, or prepared twice at a time
		os.Remove(path)
		return f != nil, nil
	}
	f.built, f.meta, f.applied = path, m, 0
	return true, nil
}

func (s *staged) applied(hash string, index uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f := s.files[hash]; f != nil {
		f.applied = index
	}
}

func (s *staged) drop(hash string) {
	s.mu.Lock()
	f := s.files[hash]
	delete(s.files, hash)
	s.mu.Unlock()
	if f == nil {
		return
	}
	os.Remove(s.path(hash)) // what is left is found at the next start
	if f.built != "" {
		os.Remove(f.built)
	}
}

// Staged is a backup that is staged.
type Staged struct {
	Hash    string
	Size    int64
	Applied uint64 // the log entry that restored it, 0 if none has since the start
}

// Staged returns the backups that are staged, in order of their hashes.
func (r *Replica) Staged() (all []Staged) {
	s := r.staged
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, hash := range slices.Sorted(maps.Keys(s.files)) {
		f := s.files[hash]
		all = append(all, Staged{hash, f.about.Size, f.applied})
	}
	return all
}

// HasStaged reports whether a backup is staged.
func (r *Replica) HasStaged(hash string) bool {
	r.staged.mu.Lock()
	defer r.staged.mu.Unlock()
	return r.staged.files[hash] != nil
}

// OpenStaged opens a staged backup; os.ErrNotExist if it is not.
func (r *Replica) OpenStaged(hash string) (*os.File, error) {
	if !r.HasStaged(hash) {
		return nil, os.ErrNotExist
	}
	return os.Open(r.staged.path(hash))
}

// DropStaged takes a staged backup away, which no entry of a log may need any more.
func (r *Replica) DropStaged(hash string) { r.staged.drop(hash) }

// IsStagedName reports whether a file of a data folder is a staged backup.
func IsStagedName(name string) bool {
	ok, err := filepath.Match(fmt.Sprintf(stagedFormat, "*"), name)
	return ok && err == nil
}

// fetching is the wait for a backup. A replica that was received ends it, and keeps another from beginning until
// it is in place.
type fetching struct {
	mu     sync.Mutex
	cancel context.CancelFunc
	over   bool
}

var errFurther = errors.New("another node's replica was received, which is further")

func (f *fetching) end() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.over = true
	if f.cancel != nil {
		f.cancel()
	}
}

func (f *fetching) begin() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.over = false
}

func (f *fetching) context() (context.Context, context.CancelFunc, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.over {
		return nil, nil, errFurther
	}
	ctx, cancel := context.WithCancel(context.Background())
	f.cancel = cancel
	return ctx, cancel, nil
}
