package fsm

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/hashicorp/raft"

	"todod/fsm/todo"
)

// BenchmarkBackup makes a backup of 1,000,000 entries in 1,000 lists, stages it, and restores it: what is
// told as switch-ms is how long entries of the log wait meanwhile.
func BenchmarkBackup(b *testing.B) {
	n := newNode(b)
	for i := range 1000 {
		logs := make([]*raft.Log, 10)
		for j := range logs {
			ops := make([]todo.Op, 100)
			for k := range ops {
				ops[k] = addOp(fmt.Sprint("list", i), fmt.Sprintf("an entry with a title of some length, number %d %d %d, as people write them who have the time", i, j, k))
				ops[k].Fields.Date = fmt.Sprintf("20%02d-%02d-%02d", (i+j+k)%40+10, k%12+1, (j*k)%28+1)
			}
			logs[j] = n.append(todoCommand(ops...))
		}
		n.r.ApplyBatch(logs)
		n.log = n.log[len(n.log)-1:]
	}
	path := filepath.Join(b.TempDir(), "lists.backup")
	b.Run("make", func(b *testing.B) {
		for b.Loop() {
			f, err := os.Create(path)
			if err != nil {
				b.Fatal(err)
			}
			about, err := n.r.Backup(f, BackupInfo{})
			if err != nil {
				b.Fatal(err)
			}
			b.SetBytes(about.Size)
			b.ReportMetric(float64(about.Entries), "entries")
			f.Close()
		}
	})
	open := func(b *testing.B) io.ReadCloser {
		f, err := os.Open(path)
		if err != nil {
			b.Fatal(err)
		}
		return f
	}
	b.Run("check", func(b *testing.B) {
		for b.Loop() {
			f := open(b)
			if _, err := CheckBackup(f); err != nil {
				b.Fatal(err)
			}
			f.Close()
		}
	})
	epoch := uint64(9)
	b.Run("stage", func(b *testing.B) {
		for b.Loop() {
			f := open(b)
			if _, err := n.r.Stage(f, true); err != nil {
				b.Fatal(err)
			}
			f.Close()
		}
	})
	b.Run("switch", func(b *testing.B) {
		what := n.r.Staged()[0]
		for b.Loop() {
			b.StopTimer()
			if _, err := n.r.Prepare(what.Hash); err != nil {
				b.Fatal(err)
			}
			b.StartTimer()
			epoch++
			n.do(&Command{Type: TypeRestore, Version: 1, Payload: Restore{what.Hash, what.Size, epoch}.Encode()})
		}
	})
	n.sound()
}
