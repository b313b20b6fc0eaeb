package server

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"todod/fsm"
)

// schedule makes backups of the group into a folder of this node's machine, one after each interval, and lets
// the oldest of its own go. Each node makes its own: a machine that is lost takes its backups along.
//
// What it takes away it has written: a file whose name is the one that its own first lines give it, and
// which they say was made by the schedule of this node in this group.
type schedule struct {
	n     *Node
	dir   string
	every time.Duration
	keep  int

	last     atomic.Int64 // when the newest one was made, Unix ms; 0 if there is none
	failures atomic.Int64
	failing  bool // touched by run alone
}

// makeBackupDir makes the folder of the schedule when the node starts: somebody is looking then.
func makeBackupDir(dir string) error {
	if dir == "" {
		return nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return exit(ExitFailed, "the folder of --backup-dir cannot be made: %v", sentence(err))
	}
	return nil
}

func newSchedule(n *Node) *schedule {
	return &schedule{n: n, dir: n.cfg.BackupDir, every: n.cfg.BackupEvery, keep: n.cfg.BackupKeep}
}

// run makes backups until the node stops. A restart does not put the next one off: the files tell when the
// last was made. One that fails is tried again within a minute.
func (s *schedule) run() {
	wait := func(d time.Duration) bool { return wait(s.n.ctx, d) }
	for began := time.Now(); s.n.engine() == nil || s.n.Ready() != nil && time.Since(began) < scheduleReady; {
		if !wait(scheduleLook) {
			return
		}
	}
	if own, err := s.own(); err == nil && len(own) > 0 {
		s.last.Store(own[len(own)-1].made)
	}
	for {
		// In short steps: the clock may be set, and a machine may sleep.
		for {
			now := s.n.cfg.Now().UnixMilli()
			left := time.Duration(s.last.Load()+s.every.Milliseconds()-now) * time.Millisecond
			if s.last.Load() > now { // of a clock that was ahead
				left = min(left, s.every)
			}
			if left <= 0 {
				break
			}
			if !wait(min(left, scheduleLook)) {
				return
			}
		}
		err := s.once()
		s.tell(err)
		if err != nil && !wait(min(s.every, scheduleAgain)) || s.n.ctx.Err() != nil {
			return
		}
	}
}

// tell says how it went: each failure in the log, the first of a row as an event too.
func (s *schedule) tell(err error) {
	switch {
	case s.n.ctx.Err() != nil:
		return
	case err != nil:
		s.failures.Add(1)
		s.n.log.Error("the scheduled backup failed: tried again", "dir", s.dir, "reason", err)
		if !s.failing {
			s.n.event(BackupFailed, s.n.id, 0)
		}
	default:
		s.n.event(BackupMade, s.n.id, 0)
	}
	s.failing = err != nil
}

// once makes a backup, and then lets old ones go.
func (s *schedule) once() error {
	b, err := s.n.backup(s.n.ctx, ReadOptions{Level: Linearizable}, true)
	if err != nil {
		return err
	}
	defer b.Close()
	if err := s.save(b); err != nil {
		return fmt.Errorf("the backup cannot be written: %w", sentence(err))
	}
	s.last.Store(b.Made)
	s.n.log.Info("made the scheduled backup", "dir", s.dir, "file", scheduledName(&b.BackupInfo), "entries", b.Entries, "bytes", b.Size)
	return s.rotate()
}

// save writes a backup under a name that it gets when it is on the disk and was read again.
func (s *schedule) save(b *Backup) (err error) {
	name := filepath.Join(s.dir, scheduledName(&b.BackupInfo))
	tmp, err := os.OpenFile(filepath.Join(s.dir, "."+filepath.Base(name)+".tmp"), os.O_CREATE|os.O_TRUNC|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err = errors.Join(err, tmp.Close()); err != nil {
			_ = os.Remove(tmp.Name())
		}
	}()
	if _, err := io.Copy(whileWanted{s.n.ctx, tmp}, b); err != nil {
		return err
	}
	if err := tmp.Sync(); err != nil {
		return err
	}
	if _, err := tmp.Seek(0, io.SeekStart); err != nil {
		return err
	}
	if about, err := fsm.CheckBackup(tmp); err != nil || about.Hash != b.Hash {
		return errors.Join(err, fmt.Errorf("what was read again is not what was written"))
	}
	if err := os.Rename(tmp.Name(), name); err != nil {
		return err
	}
	return syncDir(s.dir)
}

// scheduledName is what the schedule calls a backup.
func scheduledName(b *fsm.BackupInfo) string {
	return fmt.Sprintf("todod-%s-%s-%d.backup", b.Node, time.UnixMilli(b.Made).UTC().Format("20060102T150405Z"), b.Rev)
}

// ownFile is a backup that this schedule wrote.
type ownFile struct {
	path string
	made int64
	half bool // it was never given its name
}

// own returns the backups that this schedule wrote, the oldest first.
func (s *schedule) own() (own []ownFile, err error) {
	files, err := os.ReadDir(s.dir)
	if err != nil {
		return nil, fmt.Errorf("the backups cannot be listed: %w", sentence(err))
	}
	for _, f := range files {
		bare, half := strings.CutPrefix(strings.TrimSuffix(f.Name(), ".tmp"), ".")
		if !f.Type().IsRegular() || !strings.HasPrefix(bare, "todod-"+s.n.id+"-") {
			continue
		}
		path := filepath.Join(s.dir, f.Name())
		about, err := headOf(path)
		if err == nil && about.Scheduled && about.Node == s.n.id && about.Group == s.n.groupID() && scheduledName(&about) == bare {
			own = append(own, ownFile{path, about.Made, half})
		}
	}
	slices.SortFunc(own, func(a, b ownFile) int { return int(a.made - b.made) })
	return own, nil
}

func headOf(path string) (fsm.BackupInfo, error) {
	f, err := os.Open(path)
	if err != nil {
		return fsm.BackupInfo{}, err
	}
	defer f.Close()
	return fsm.BackupHead(bufio.NewReader(f))
}

// rotate lets the oldest go until keep are left, and what a crash left half done.
func (s *schedule) rotate() error {
	own, err := s.own()
	if err != nil {
		return err
	}
	whole := slices.DeleteFunc(slices.Clone(own), func(f ownFile) bool { return f.half })
	gone := whole[:max(0, len(whole)-s.keep)]
	for _, f := range own {
		if f.half || slices.Contains(gone, f) {
			if err := os.Remove(f.path); err != nil {
				return fmt.Errorf("an old backup cannot be taken away: %w", sentence(err))
			}
		}
	}
	return nil
}
