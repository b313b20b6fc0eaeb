package server

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"

	bolt "go.etcd.io/bbolt"
)

// minShrink is the size below which the log's file is left as it is: nobody misses the room.
const minShrink = 4 << 20

// logOptions are those that the log's file is opened with everywhere. The list of free pages is not
// written at each commit: after a long log was cut it would be longer than what is committed.
func logOptions(noSync bool) *bolt.Options {
	return &bolt.Options{NoFreelistSync: true, FreelistType: bolt.FreelistMapType, NoSync: noSync, Timeout: lockTimeout}
}

// logRoom is what the log's file takes, and what of it is free: bolt uses that again and never gives
// it back to the disk.
type logRoom struct{ page, size, free int64 }

func (r logRoom) live() int64 { return r.size - r.free }

// shrinkLog writes the log's file anew when over half of it is free, as a log leaves it that once was long. It
// returns what the file takes afterwards. A crash on the way leaves the old file, and half of a new one
// that the next start removes.
func shrinkLog(path string) (room logRoom, err error) {
	tmp := path + ".tmp"
	if err := os.Remove(tmp); err != nil && !errors.Is(err, os.ErrNotExist) {
		return room, err
	}
	if info, err := os.Stat(path); errors.Is(err, os.ErrNotExist) || err == nil && info.Size() == 0 {
		return room, nil
	}
	opt := logOptions(false)
	opt.ReadOnly, opt.PreLoadFreelist = true, true
	db, err := bolt.Open(path, 0o600, opt)
	if err != nil {
		return room, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("its pages cannot be read: %v", p)
		}
	}()
	room = roomOf(db)
	if room.size < minShrink || 2*room.free <= room.size {
		return room, nil
	}
	if copyLog(tmp, db) != nil {
		// The old file is as good as it was: there may be no room for two. A broken disk shows at the next write.
		return room, os.Remove(tmp)
	}
	if err := os.Rename(tmp, path); err != nil {
		return room, err
	}
	room.size, room.free = room.live(), 0
	return room, syncDir(filepath.Dir(path))
}

func roomOf(db *bolt.DB) (room logRoom) {
	room.page = int64(db.Info().PageSize)
	room.free = int64(db.Stats().FreePageN) * room.page
	_ = db.View(func(tx *bolt.Tx) error { // fails only where the function does
		room.size = tx.Size()
		return nil
	})
	return room
}

func copyLog(to string, from *bolt.DB) error {
	db, err := bolt.Open(to, 0o600, logOptions(true))
	if err != nil {
		return fmt.Errorf("write the log anew: %w", err)
	}
	err = bolt.Compact(db, from, 1<<20)
	if err = errors.Join(err, db.Sync(), db.Close()); err != nil {
		return fmt.Errorf("write the log anew: %w", err)
	}
	return nil
}
