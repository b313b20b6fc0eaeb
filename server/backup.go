package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"syscall"

	"todod/fsm"
)

// Backup is a backup that lies ready: all of it is made and checked before its first byte is read. Close it.
type Backup struct {
	fsm.BackupInfo
	Level Level // that was given
	io.ReadCloser
}

// spooled is a file without a name, and a place among those that make backups.
type spooled struct {
	*os.File
	done func()
}

func (s *spooled) Close() error {
	defer s.done()
	return s.File.Close()
}

// Backup makes a backup of all lists. Linearizable, it holds all that was acknowledged before the call, at
// whichever node; Stale, what this node has. A view of the replica keeps its file from reusing pages,
// so the backup is written to the disk first, at its pace and not at the reader's. The error is an *Error. It
// may be called concurrently, maxBackups at a time.
func (n *Node) Backup(ctx context.Context, opt ReadOptions) (*Backup, error) {
	return n.backup(ctx, opt, false)
}

func (n *Node) backup(ctx context.Context, opt ReadOptions, scheduled bool) (_ *Backup, err error) {
	e, err := n.inGroup()
	if err != nil {
		return nil, err
	}
	if err := e.replica.Withheld(); err != nil {
		return nil, failure(KindConflict, NotApplied, "no backup is made: %v", err)
	}
	select {
	case e.backups <- struct{}{}:
	default:
		return nil, failure(KindOverloaded, NotApplied, "this node makes %d backups already: try again, or ask another node", maxBackups)
	}
	done := sync.OnceFunc(func() { <-e.backups })
	defer func() {
		if err != nil {
			done()
		}
	}()
	view, err := n.Read(ctx, opt)
	if err != nil {
		return nil, err
	}
	view.Close()
	if err := e.replica.Withheld(); err != nil {
		return nil, failure(KindConflict, NotApplied, "no backup is made of this node: %v", err)
	}
	if err := e.storage.room(e.replica.Path()); err != nil {
		return nil, err
	}
	file, err := spool(n.folder.dir)
	if err != nil {
		return nil, spoolError(err)
	}
	about := fsm.BackupInfo{Group: n.groupID(), Node: n.id, Program: n.cfg.Version, Made: n.cfg.Now().UnixMilli(), Scheduled: scheduled}
	about, err = e.replica.Backup(whileWanted{ctx, file}, about)
	if err == nil {
		_, err = file.Seek(0, io.SeekStart)
	}
	if err != nil {
		return nil, errors.Join(spoolError(err), file.Close())
	}
	return &Backup{about, view.Level, &spooled{file, done}}, nil
}

// spool returns a file without a name: it is gone with the process. Its name, until then, is one that
// a replica takes away when it is opened.
func spool(dir string) (*os.File, error) {
	f, err := os.CreateTemp(dir, "replica-backup-*.tmp")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// spoolError says why there is no backup. An error of the replica has ended the node by now.
func spoolError(err error) error {
	switch {
	case errors.Is(err, fsm.ErrStorage):
		return stopping()
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return noRoom()
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return failure(KindTimeout, NotApplied, "the backup was not waited for")
	}
	return failure(KindInternal, NotApplied, "the backup could not be written: %v", sentence(err))
}

func noRoom() *Error {
	return failure(KindStorage, NotApplied, "the disk has not the room that this takes beyond the reserve: free some, or ask another node")
}

// room refuses what takes as much room again as a file has, where the reserve would be touched.
func (s *storage) room(path string) error {
	if err := s.stalled(); err != nil {
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return failure(KindInternal, NotApplied, "%v", sentence(err))
	}
	return s.roomFor(info.Size())
}

func (s *storage) roomFor(size int64) error {
	free, _, err := s.disk.room()
	if err != nil {
		return failure(KindInternal, NotApplied, "the room on the disk cannot be told: %v", sentence(err))
	}
	if free-size < max(s.reserve, 0) {
		return noRoom()
	}
	return nil
}

// whileWanted ends a long write when nobody waits for it any more.
type whileWanted struct {
	ctx context.Context
	to  io.Writer
}

func (w whileWanted) Write(b []byte) (int, error) {
	if err := w.ctx.Err(); err != nil {
		return 0, fmt.Errorf("write a backup: %w", err)
	}
	return w.to.Write(b)
}
