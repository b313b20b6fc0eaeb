package server

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
)

// disk is the disk under a node's folder, as far as the watch over it needs to know it.
type disk interface {
	// room returns the bytes that this process may still write, and the size of the whole.
	room() (free, size int64, err error)
	// canary writes a little and returns when it is on the disk.
	canary() error
	close() error
}

// folderDisk is the real one. Its canary overwrites one block of a file of its own: that takes no
// room, and hangs or fails as a write of the log would.
type folderDisk struct {
	file   *os.File
	noSync bool
}

const canaryName = "canary"

func openDisk(dir string, noSync bool) (disk, error) {
	file, err := os.OpenFile(filepath.Join(dir, canaryName), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the canary: %w", err)
	}
	return &folderDisk{file, noSync}, nil
}

func (d *folderDisk) room() (free, size int64, err error) {
	conn, err := d.file.SyscallConn()
	if err != nil {
		return 0, 0, fmt.Errorf("ask for the room on the disk: %w", err)
	}
	var st syscall.Statfs_t
	// Control, and not Fd: whoever closes the file does not wait for a probe, and the descriptor must
	// not be another file's by then.
	ctlErr := conn.Control(func(fd uintptr) {
		for {
			if err = syscall.Fstatfs(int(fd), &st); !errors.Is(err, syscall.EINTR) {
				return
			}
		}
	})
	if err = errors.Join(ctlErr, err); err != nil {
		return 0, 0, fmt.Errorf("ask for the room on the disk: %w", err)
	}
	return int64(st.Bavail) * int64(st.Bsize), int64(st.Blocks) * int64(st.Bsize), nil
}

func (d *folderDisk) canary() error {
	_, err := d.file.WriteAt([]byte("todod"), 0)
	if err == nil && !d.noSync {
		err = d.file.Sync()
	}
	// A disk that is full is not a broken one: room tells, and the log decides for itself.
	if err != nil && !errors.Is(err, syscall.ENOSPC) && !errors.Is(err, syscall.EDQUOT) {
		return fmt.Errorf("write the canary: %w", err)
	}
	return nil
}

func (d *folderDisk) close() error { return d.file.Close() }

// underway are the writes to the disk that have not come back. Their age is counted in the ticks of
// whoever watches, not by a clock: a process that was stopped, or a machine that was
// suspended, makes no ticks, and finds no stall when it wakes.
type underway struct {
	mu    sync.Mutex
	now   uint64            // ticks so far
	next  uint64            // names the next write
	begun map[uint64]uint64 // at which tick each write began
	fresh uint64            // the tick at which the newest write that came back had begun
}

func newUnderway() *underway { return &underway{begun: map[uint64]uint64{}} }

func (u *underway) begin() (write uint64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.next++
	u.begun[u.next] = u.now
	return u.next
}

func (u *underway) end(write uint64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.fresh = max(u.fresh, u.begun[write])
	delete(u.begun, write)
}

// drop forgets a write that says nothing of the disk.
func (u *underway) drop(write uint64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.begun, write)
}

// tick lets one tick pass. It returns how old the oldest write under way is, and how long ago the newest one
// began that came back: whatever was wrong with the disk since then was not seen.
func (u *underway) tick() (oldest, fresh uint64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.now++
	for _, at := range u.begun {
		oldest = max(oldest, u.now-at)
	}
	return oldest, u.now - u.fresh
}
