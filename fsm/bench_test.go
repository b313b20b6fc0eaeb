package fsm

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"todod/fsm/todo"
)

// A load makes log entries as a leader does: commands of one node session, numbered, with
// the lowest open number trailing by what is in flight.
type load struct {
	r       *Replica
	rng     *rand.Rand
	lists   int
	keyed   bool
	session uint64
	number  uint64
	index   uint64
}

const inFlight = 256

func newLoad(tb testing.TB, lists int, keyed bool) *load {
	tb.Helper()
	r, err := Open(Config{Dir: tb.TempDir(), Fatal: func(err error) { tb.Error(err) }})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := r.Close(); err != nil {
			tb.Error(err)
		}
	})
	l := &load{r: r, rng: rand.New(rand.NewPCG(1, 2)), lists: lists, keyed: keyed}
	l.session = l.apply(&Command{Type: TypeSession, Version: 1, Payload: Session{"n1", "boot"}.Encode()})[0].Value
	return l
}

func (l *load) apply(cmds ...*Command) []Result {
	l.index++
	data := EncodeEnvelope(Stamp{Time: 1_700_000_000_000 + int64(l.index)}, cmds)
	return l.r.Apply(&raft.Log{Index: l.index, Term: 1, Type: raft.LogCommand, Data: data}).([]Result)
}

var benchTitle = strings.Repeat("Dentist at ten. ", 7)[:100]

// add is one numbered add of a 100-byte title to a random list.
func (l *load) add() *Command {
	l.number++
	list := fmt.Sprintf("list-%d", l.rng.IntN(l.lists))
	date := fmt.Sprintf("2018-12-%02d", 1+l.rng.IntN(28))
	c := &Command{Type: TypeTodo, Version: 1, Session: l.session, Number: l.number,
		Low: uint64(max(1, int64(l.number)-inFlight)), Payload: EncodeTodo(&todo.Command{Ops: []todo.Op{{Kind: todo.Add, List: list,
			Fields: todo.Fields{Title: benchTitle, Date: date}}}})}
	if l.keyed {
		c.Key = fmt.Sprintf("key-%020d", l.number)
	}
	return c
}

// entries encodes n adds as log entries of size commands each.
func (l *load) entries(n, size int) (logs []*raft.Log) {
	for n > 0 {
		cmds := make([]*Command, 0, size)
		for range min(n, size) {
			cmds = append(cmds, l.add())
		}
		n -= len(cmds)
		l.index++
		data := EncodeEnvelope(Stamp{Time: 1_700_000_000_000 + int64(l.index)}, cmds)
		logs = append(logs, &raft.Log{Index: l.index, Term: 1, Type: raft.LogCommand, Data: data})
	}
	return logs
}

// BenchmarkApply is the cost of one add, flushes included: they go on every second beside it,
// and the last one is waited for.
func BenchmarkApply(b *testing.B) {
	for _, keyed := range []bool{false, true} {
		for _, size := range []int{1, 16, 200} {
			b.Run(fmt.Sprintf("keyed=%t/batch=%d", keyed, size), func(b *testing.B) {
				l := newLoad(b, 1000, keyed)
				l.run(b, l.entries(1000, 200)) // the lists exist
				logs := l.entries(b.N, size)
				b.ReportAllocs()
				b.ResetTimer()
				cpu := cpuTime(b)
				l.run(b, logs)
				if err := l.r.Flush(); err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(float64(cpuTime(b)-cpu)/float64(b.N), "cpu-ns/op")
			})
		}
	}
}

func (l *load) run(b *testing.B, logs []*raft.Log) {
	for _, log := range logs {
		for _, res := range l.r.ApplyBatch([]*raft.Log{log})[0].([]Result) {
			if res.Code != todo.OK {
				b.Fatal(res)
			}
		}
	}
}

// BenchmarkApplyFullWindow is an add that pushes an old change row out of the file.
func BenchmarkApplyFullWindow(b *testing.B) {
	l := newLoad(b, 1000, false)
	l.run(b, l.entries(100_000, 200))
	if err := l.r.Flush(); err != nil {
		b.Fatal(err)
	}
	l.r.limits.changeBytes = l.r.store.meta.ChangeBytes
	logs := l.entries(b.N, 200)
	b.ReportAllocs()
	b.ResetTimer()
	cpu := cpuTime(b)
	l.run(b, logs)
	if err := l.r.Flush(); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(cpuTime(b)-cpu)/float64(b.N), "cpu-ns/op")
}

// BenchmarkApplyToList compares an add to an empty list with one to a list of a million: they
// must cost the same.
func BenchmarkApplyToList(b *testing.B) {
	for _, size := range []int{0, 900_000} {
		b.Run(fmt.Sprintf("entries=%d", size), func(b *testing.B) {
			l := newLoad(b, 1, false)
			for left := size; left > 0; left -= 10_000 {
				l.run(b, l.entries(10_000, 200))
			}
			if err := l.r.Flush(); err != nil {
				b.Fatal(err)
			}
			logs := l.entries(b.N, 16)
			b.ResetTimer()
			l.run(b, logs)
		})
	}
}

// BenchmarkView reads pages of five by date.
func BenchmarkView(b *testing.B) {
	l := newLoad(b, 1000, false)
	l.run(b, l.entries(100_000, 200))
	if err := l.r.Flush(); err != nil {
		b.Fatal(err)
	}
	page := func(b *testing.B, i int) {
		v, err := l.r.View()
		if err != nil {
			b.Fatal(err)
		}
		defer v.Close()
		if page, _ := v.Entries(fmt.Sprintf("list-%d", i%1000), Query{Date: "2018-12-19", Limit: 5}); len(page) > 5 {
			b.Fatal(len(page))
		}
	}
	b.Run("one", func(b *testing.B) {
		b.ReportAllocs()
		for i := range b.N {
			page(b, i)
		}
	})
	b.Run("parallel", func(b *testing.B) {
		b.RunParallel(func(pb *testing.PB) {
			for i := 0; pb.Next(); i++ {
				page(b, i)
			}
		})
	})
	b.Run("writing", func(b *testing.B) { // beside an applier of some 10,000 adds a second
		stop, done := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(done)
			for {
				select {
				case <-stop:
					return
				case <-time.After(time.Millisecond):
					l.r.ApplyBatch(l.entries(16, 16))
				}
			}
		}()
		b.RunParallel(func(pb *testing.PB) {
			for i := 0; pb.Next(); i++ {
				page(b, i)
			}
		})
		b.StopTimer()
		close(stop)
		<-done
	})
}

// BenchmarkOpen is the start of a node with 200,000 entries in 1,000 lists: the check of the whole file, and with it what
// bolt does when it opens one.
func BenchmarkOpen(b *testing.B) {
	l := newLoad(b, 1000, false)
	l.run(b, l.entries(200_000, 200))
	if err := l.r.Flush(); err != nil {
		b.Fatal(err)
	}
	dir := b.TempDir()
	file, err := os.ReadFile(l.r.store.path)
	if err != nil {
		b.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, FileName), file, 0o600); err != nil {
		b.Fatal(err)
	}
	b.Run("check", func(b *testing.B) {
		for b.Loop() {
			if err := Check(dir); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("open", func(b *testing.B) {
		for b.Loop() {
			r, err := Open(Config{Dir: dir})
			if err != nil {
				b.Fatal(err)
			}
			if err := r.Abandon(); err != nil {
				b.Fatal(err)
			}
		}
	})
}
