package server

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"

	"todod/fsm"
)

// A backup holds all that was acknowledged before it was asked for, at whichever node, and is the same at each.
func TestBackup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t)
		s.group(3)
		for i := range 5 {
			for _, id := range s.running() {
				if _, err := s.add(id, "bob", WriteOptions{Key: ""}); err != nil {
					t.Fatal(err)
				}
			}
			for _, id := range s.running() {
				b, err := s.node(id).Backup(context.Background(), ReadOptions{Level: Linearizable})
				if err != nil {
					t.Fatal(err)
				}
				about, err := fsm.CheckBackup(b)
				if err != nil || about.Entries != uint64(3*i+3) || about.Hash != b.Hash || about.Node != id || about.Group != s.node(id).groupID() {
					t.Errorf("%s made %+v, %v", id, about, err)
				}
				b.Close()
			}
		}
		s.check()

		// Without a majority there is one of what this node has, if that will do.
		id := s.named("follower")
		s.isolate(id)
		if _, err := s.node(id).Backup(context.Background(), ReadOptions{Level: Linearizable}); err == nil || AsError(err).Kind != KindNoLeader {
			t.Errorf("a node that is cut off: %v", err)
		}
		b, err := s.node(id).Backup(context.Background(), ReadOptions{Level: Stale})
		if err != nil || b.Level != Stale {
			t.Fatal(err)
		}
		b.Close()
	})
}

// Backups are made a few at a time, leave nothing behind, and never take the last of the disk.
func TestBackupsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t)
		s.group(1)
		n := s.node("n1")
		make := func() (*Backup, error) { return n.Backup(context.Background(), ReadOptions{Level: Linearizable}) }
		var held []*Backup
		for range maxBackups {
			b, err := make()
			if err != nil {
				t.Fatal(err)
			}
			held = append(held, b)
		}
		if _, err := make(); AsError(err).Kind != KindOverloaded {
			t.Errorf("one too many: %v", err)
		}
		if _, err := io.Copy(io.Discard, held[0]); err != nil {
			t.Error(err)
		}
		for _, b := range held {
			b.Close()
			_ = b.Close() // twice gives up one place
		}
		gone, cancel := context.WithCancel(context.Background())
		cancel()
		if _, err := n.Backup(gone, ReadOptions{Level: Stale}); AsError(err).Kind != KindTimeout {
			t.Errorf("one that nobody waits for: %v", err)
		}
		free, _, err := n.engine().storage.disk.room()
		if err != nil {
			t.Fatal(err)
		}
		n.engine().storage.reserve = free
		if _, err := make(); AsError(err).Kind != KindStorage {
			t.Errorf("without room: %v", err)
		}
		n.engine().storage.reserve = -1
		if b, err := make(); err != nil {
			t.Errorf("after all those: %v", err)
		} else {
			b.Close()
		}
		n.engine().replica.Withhold(errUndecided)
		if _, err := make(); AsError(err).Kind != KindConflict {
			t.Errorf("of a replica that may be the wrong one: %v", err)
		}
		left, err := filepath.Glob(filepath.Join(n.folder.dir, "*.tmp"))
		if err != nil || len(left) > 0 {
			t.Errorf("left: %v, %v", left, err)
		}
		if _, err := os.Stat(n.engine().replica.Path()); err != nil {
			t.Error(err)
		}
	})
}
