// Command versus puts todod beside etcd on one machine: three nodes of each in turns, fsync on, all defaults, the
// same work over all nodes. Beside both it puts the floor: what net/http and the load alone reach there.
//
//	cd deploy/versus && go run . -todod ../../bin/todod
//
// It is a module of its own, so that nothing of etcd comes near todod's. Nodes are processes and their CPU is what
// compares best: the load takes its part of the same machine, and clientv3 takes more of it than todod bench.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"go.etcd.io/etcd/server/v3/etcdmain"
)

// asNode as the first argument makes a process of this program a node of etcd.
const asNode = "etcd-node"

// works is what is measured: writes are one entry of 100 bytes, reads the five of one list and date.
var works = []work{
	{"durable writes", 1, 100, false}, {"durable writes", 64, 100, false}, {"durable writes", 256, 100, false},
	{"linearizable reads", 64, 0, false}, {"linearizable reads", 256, 0, false},
	{"stale reads", 256, 0, true},
	{"90 % reads, 10 % writes", 64, 10, false}, {"90 % reads, 10 % writes", 256, 10, false},
}

type work struct {
	name   string
	conns  int
	writes int // percent
	stale  bool
}

// figures are what one run came to.
type figures struct {
	rate float64 // operations a second
	cpu  float64 // CPU-seconds of all nodes per 1,000 of them
	p50  float64 // ms
}

// program is one of the three.
type program func(ctx context.Context, w work, length time.Duration) (figures, error)

func main() {
	if len(os.Args) > 1 && os.Args[1] == asNode {
		etcdmain.Main(slices.Delete(slices.Clone(os.Args), 1, 2))
		return
	}
	if len(os.Args) > 1 && os.Args[1] == asFloor {
		fmt.Fprintln(os.Stderr, "versus:", serveFloor())
		os.Exit(1)
	}
	todod := flag.String("todod", "../../bin/todod", "the `PROGRAM` of todod")
	dir := flag.String("dir", "", "a folder on the disk that is meant (default the system's temporary one)")
	length := flag.Duration("time", 4*time.Second, "how long each run is measured")
	runs := flag.Int("runs", 5, "how often each is run")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := compare(ctx, tododAt(*todod, *dir), etcdIn(*dir), floorAt(*todod), *length, *runs); err != nil {
		fmt.Fprintln(os.Stderr, "versus:", err)
		os.Exit(1)
	}
}

// compare runs each work on all in turns and prints medians, and those of the ratios.
func compare(ctx context.Context, todod, etcd, floor program, length time.Duration, runs int) error {
	t := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "WORK\tCONNS\tTODOD/S\tETCD/S\tRATIO\tTODOD P50\tETCD P50\tTODOD CPU\tETCD CPU\tRATIO\tFLOOR/S\tFLOOR CPU\t")
	for _, w := range works {
		var ours, theirs, least []figures
		for range runs {
			a, errA := todod(ctx, w, length)
			b, errB := etcd(ctx, w, length)
			c, errC := floor(ctx, w, length)
			if err := errors.Join(errA, errB, errC); err != nil {
				return fmt.Errorf("%s at %d: %w", w.name, w.conns, err)
			}
			ours, theirs, least = append(ours, a), append(theirs, b), append(least, c)
		}
		rate, p50, cpu := func(f figures) float64 { return f.rate }, func(f figures) float64 { return f.p50 }, func(f figures) float64 { return f.cpu }
		fmt.Fprintf(t, "%s\t%d\t%.0f\t%.0f\t%.2f\t%.2f ms\t%.2f ms\t%.3f s\t%.3f s\t%.2f\t%.0f\t%.3f s\t\n", w.name, w.conns,
			median(ours, rate), median(theirs, rate), ratio(ours, theirs, rate),
			median(ours, p50), median(theirs, p50), median(ours, cpu), median(theirs, cpu), ratio(ours, theirs, cpu),
			median(least, rate), median(least, cpu))
	}
	return t.Flush()
}

func median(runs []figures, of func(figures) float64) float64 {
	var all []float64
	for _, f := range runs {
		all = append(all, of(f))
	}
	slices.SortFunc(all, cmp.Compare)
	return all[len(all)/2]
}

// ratio is the median of the ratios of runs that were made one after the other.
func ratio(a, b []figures, of func(figures) float64) float64 {
	var all []float64
	for i := range a {
		all = append(all, of(a[i])/of(b[i]))
	}
	slices.SortFunc(all, cmp.Compare)
	return all[len(all)/2]
}

// title is 100 bytes.
var title = strings.Repeat("x", 100)
