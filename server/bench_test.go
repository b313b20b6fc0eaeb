package server

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"todod/fsm"
)

// benchGroup starts a group of real nodes: real sockets, real files, fsync on.
func benchGroup(b *testing.B, size int) []*Node {
	b.Helper()
	nodes := make([]*Node, size)
	contacts := directContacts{}
	for i := range nodes {
		id := fmt.Sprintf("n%d", i+1)
		cfg := Config{ID: id, Data: b.TempDir(), Raft: "127.0.0.1:0", AdvertiseHTTP: id + ":80", Contacts: contacts}
		if i > 0 {
			cfg.Join = []string{"n1:80"}
		}
		n, err := Open(cfg)
		if err != nil {
			b.Fatal(err)
		}
		contacts[id+":80"] = n
		nodes[i] = n
		b.Cleanup(func() { n.Close() })
	}
	for len(voters(nodes[0].engine().configuration())) < size {
		time.Sleep(5 * time.Millisecond)
	}
	return nodes
}

// directContacts stands in for HTTP between nodes of one process.
type directContacts map[string]*Node

func (c directContacts) Cluster(_ context.Context, addr string) (Cluster, error) {
	return c[addr].Cluster(), nil
}

func (c directContacts) Join(ctx context.Context, addr string, req JoinRequest) (string, error) {
	return c[addr].AddMember(ctx, req)
}

// BenchmarkWrite is durable adds of 100-byte titles through all three nodes, over 1,000 lists.
func BenchmarkWrite(b *testing.B) {
	for _, callers := range []int{1, 64, 256} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			nodes := benchGroup(b, 3)
			title := fmt.Sprintf("%0100d", 1)
			drive(b, callers, func(n int, r *rand.Rand) error {
				_, err := nodes[n%3].Write(context.Background(), addCommand(fmt.Sprintf("l%d", r.IntN(1000)), title), WriteOptions{})
				return err
			})
		})
	}
}

// BenchmarkRead is linearizable reads of five entries through all three nodes.
func BenchmarkRead(b *testing.B) {
	for _, level := range []Level{Linearizable, Stale} {
		for _, callers := range []int{1, 64, 256} {
			b.Run(fmt.Sprintf("%s/callers=%d", level, callers), func(b *testing.B) {
				nodes := benchGroup(b, 3)
				for range 5 {
					if _, err := nodes[0].Write(context.Background(), addCommand("bob", "Dentist"), WriteOptions{}); err != nil {
						b.Fatal(err)
					}
				}
				drive(b, callers, func(n int, _ *rand.Rand) error {
					v, err := nodes[n%3].Read(context.Background(), ReadOptions{Level: level})
					if err != nil {
						return err
					}
					defer v.Close()
					if got, _ := v.Entries("bob", fsm.Query{Date: "2018-12-19", Limit: 100}); level == Linearizable && len(got) != 5 {
						return fmt.Errorf("%d entries", len(got))
					}
					return nil
				})
			})
		}
	}
}

// BenchmarkIdle is groups of three that do nothing, all in one process: b.N is of no matter but -benchtime 1x.
func BenchmarkIdle(b *testing.B) {
	for _, groups := range []int{1, 8} {
		b.Run(fmt.Sprintf("groups=%d", groups), func(b *testing.B) {
			before := heap()
			for range groups {
				nodes := benchGroup(b, 3)
				if _, err := nodes[0].Write(context.Background(), addCommand("bob", "Dentist"), WriteOptions{}); err != nil {
					b.Fatal(err)
				}
			}
			time.Sleep(3 * time.Second) // what the first writes began is over
			took, began := cpu(), time.Now()
			for b.Loop() {
				time.Sleep(10 * time.Second)
			}
			b.ReportMetric((cpu()-took).Seconds()/time.Since(began).Seconds(), "cores")
			b.ReportMetric(float64(heap()-before)/1e6/float64(3*groups), "MB/node")
			b.ReportMetric(float64(runtime.NumGoroutine())/float64(3*groups), "goroutines/node")
		})
	}
}

// heap is what lives in memory.
func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// drive spreads b.N operations over callers and reports the CPU that all of this process took.
func drive(b *testing.B, callers int, op func(n int, r *rand.Rand) error) {
	var next atomic.Int64
	var all sync.WaitGroup
	before := cpu()
	b.ResetTimer()
	for i := range callers {
		all.Go(func() {
			r := rand.New(rand.NewPCG(uint64(i), 1))
			for n := next.Add(1); n <= int64(b.N); n = next.Add(1) {
				if err := op(int(n), r); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "ops/s")
	b.ReportMetric((cpu()-before).Seconds()/float64(b.N)*1000, "cpu-s/1000")
}

func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
