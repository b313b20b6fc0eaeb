package fsm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	bolt "go.etcd.io/bbolt"
)

// overwrite changes the file of a running replica under it, as decay does: the first place that holds
// what is given.
func (n *node) overwrite(find, put []byte) {
	n.tb.Helper()
	path := filepath.Join(n.dir, FileName)
	b, err := os.ReadFile(path)
	if err != nil {
		n.tb.Fatal(err)
	}
	if !bytes.Contains(b, find) {
		n.tb.Fatalf("the file does not hold %q", find)
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		n.tb.Fatal(err)
	}
	defer f.Close()
	for at := 0; ; at += len(find) { // in pages that are free by now, too
		i := bytes.Index(b[at:], find)
		if i < 0 {
			return
		}
		at += i
		if _, err := f.WriteAt(put, int64(at)); err != nil {
			n.tb.Fatal(err)
		}
	}
}

func (n *node) damaged(err error) {
	n.tb.Helper()
	if !errors.Is(err, ErrCorrupt) || len(n.fatal) != 1 || !errors.Is(n.fatal[0], ErrCorrupt) {
		n.tb.Fatalf("it came to %v, Fatal was told %v", err, n.fatal)
	}
}

// A rescan finds what became of a row while nobody looked at it: other bytes, or a row that is sound in
// itself and not the one that was stored.
func TestRescan(t *testing.T) {
	stored := func(t *testing.T) (n *node, row []byte) {
		n = newNode(t)
		history(n, 0, 30)
		n.do(addCommand("decay", "findme"))
		n.sound()
		if err := n.r.Rescan(t.Context()); err != nil || len(n.fatal) > 0 {
			t.Fatal(err, n.fatal)
		}
		v := n.view()
		num := v.rows.list("decay").Num
		row = bytes.Clone(v.rows.raw(numKey(tabEntry, num, 1)))
		v.Close()
		return n, row
	}
	t.Run("another byte", func(t *testing.T) {
		n, row := stored(t)
		other := bytes.Replace(row, []byte("findme"), []byte("Findme"), 1)
		n.overwrite(row, other)
		n.damaged(n.r.Rescan(t.Context()))
	})
	t.Run("another row", func(t *testing.T) {
		n, row := stored(t)
		v := n.view()
		key := numKey(tabEntry, v.rows.list("decay").Num, 1)
		v.Close()
		other := bytes.Replace(row, []byte("findme"), []byte("Findme"), 1)
		n.overwrite(row, seal(key, other[:len(other)-crcSize]))
		if got := n.titles("decay"); got != "Findme" {
			t.Fatalf("titles %q: the row is not sound in itself", got)
		}
		n.damaged(n.r.Rescan(t.Context()))
	})
	t.Run("none goes out", func(t *testing.T) {
		n, row := stored(t)
		n.overwrite(row, append([]byte{row[0] + 64}, row[1:]...))
		n.damaged(send(n, newNode(t)))
	})
	t.Run("it makes way", func(t *testing.T) {
		n, _ := stored(t)
		for i := range 60 {
			var cmds []*Command
			for j := range 200 {
				cmds = append(cmds, addCommand(fmt.Sprint(i), fmt.Sprint(j)))
			}
			n.do(cmds...)
		}
		n.sound()
		if err := n.r.Close(); err != nil {
			t.Fatal(err)
		}
		r, err := Open(Config{Dir: n.dir, NoSync: true, Fatal: func(err error) { t.Error(err) }})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := r.Rescan(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("given up: %v", err)
		}
		r.store.restoring.Store(true)
		if err := r.Rescan(t.Context()); !errors.Is(err, errRestoring) {
			t.Errorf("before a restore: %v", err)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
}

// A reader takes a file whose count of flushes is none that was ever published for what it is.
func TestDamagedFlushCount(t *testing.T) {
	n := newNode(t)
	n.do(addCommand("bob", "one"))
	n.sound()
	err := n.r.store.db.Update(func(tx *bolt.Tx) error {
		row := bytes.Clone(tx.Bucket(rowsBucket).Get(metaKey))
		row[3] ^= 4
		return tx.Bucket(rowsBucket).Put(metaKey, row)
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = n.r.View()
	n.damaged(err)
}

// A bit that is flipped anywhere in the file of a replica that is not in use is found, or it changes
// nothing: it is in no page that is used, or leaves the state of the flush before.
func TestFlippedBitsAtRest(t *testing.T) {
	n := newNode(t)
	history(n, 0, 40)
	n.sound()
	before := n.r.Hash()
	history(n, 40, 60)
	n.sound()
	after := n.r.Hash()
	if err := n.r.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(n.dir, FileName)
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(7, 8))
	found, harmless := 0, 0
	for i := range 600 {
		at, bit := r.IntN(len(file)), byte(1)<<r.IntN(8)
		if i%4 == 0 {
			at = at/4096*4096 + r.IntN(80)
		}
		file[at] ^= bit
		if err := os.WriteFile(path, file, 0o600); err != nil {
			t.Fatal(err)
		}
		file[at] ^= bit
		m, err := checkFile(path)
		switch {
		case err == nil && (m.hash() == after || m.hash() == before):
			harmless++
		case errors.Is(err, ErrCorrupt):
			found++
		default:
			t.Fatalf("byte %d, bit %08b: %+v, %v", at, bit, m.hash(), err)
		}
	}
	t.Logf("%d found, %d changed nothing", found, harmless)
	if found < 50 {
		t.Error("too few were anywhere that counts")
	}
}
