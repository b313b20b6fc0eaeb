// Command targets measures what todod is held to beside its benchmarks: nodes are real processes of
// this tree's program, on one machine, with fsync on and all defaults.
//
//	go run ./deploy/targets                       all rows but the long one
//	go run ./deploy/targets -rows 9,10,17         some
//	go run ./deploy/targets -rows 15 -long 10m    the long one
//
// It prints a row for each figure as it is known: the median, then all runs. It judges nothing:
// figures drift twofold with what else a machine does, and the README tells how they were taken.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// lab is where it is measured.
type lab struct {
	out  io.Writer
	dir  string // of the nodes' folders
	exe  string // the program
	runs int
	long time.Duration
}

// row is one target.
type row struct {
	name    string
	measure func(context.Context, *lab) error
}

var rows = []row{
	{"2b", oneList}, {"7", theBook}, {"8-10", bigStore}, {"11", loneNode}, {"12", killed}, {"13", terminated}, {"14", paused},
	{"15", overcommitted}, {"16", readAfterWrite}, {"17", idle}, {"18", overload}, {"19", followed},
}

func main() {
	l := &lab{out: os.Stdout}
	only := flag.String("rows", "", "which `ROWS` to measure, separated by commas (default all but 15)")
	flag.StringVar(&l.dir, "dir", "", "a folder on the disk that is meant (default the system's temporary one)")
	flag.IntVar(&l.runs, "runs", 5, "how often each is measured")
	flag.DurationVar(&l.long, "long", 10*time.Minute, "how long row 15 goes on")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, l, *only); err != nil {
		fmt.Fprintln(os.Stderr, "targets:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, l *lab, only string) (err error) {
	if l.dir, err = os.MkdirTemp(l.dir, "todod-targets-"); err != nil {
		return fmt.Errorf("make a folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(l.dir)) }()
	l.exe = filepath.Join(l.dir, "todod")
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", l.exe, "./cmd/todod")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if text, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build todod: %w\n%s", err, text)
	}
	wanted := strings.Split(only, ",")
	for _, name := range wanted {
		if only != "" && !slices.ContainsFunc(rows, func(r row) bool { return r.name == name }) {
			return fmt.Errorf("there is no row %s", name)
		}
	}
	for _, r := range rows {
		if only == "" && r.name == "15" || only != "" && !slices.Contains(wanted, r.name) {
			continue
		}
		if err := r.measure(ctx, l); err != nil {
			return fmt.Errorf("row %s: %w", r.name, err)
		}
	}
	return nil
}

// tell prints a figure: its median and all runs of it.
func (l *lab) tell(row, what, unit string, runs []float64) {
	sorted := slices.Sorted(slices.Values(runs))
	var all []string
	for _, v := range runs {
		all = append(all, trim(v))
	}
	fmt.Fprintf(l.out, "%-4s %-72s %9s %-8s %s\n", row, what, trim(median(sorted)), unit, strings.Join(all, " "))
}

// median is the middle of sorted figures, or between the two in the middle.
func median(sorted []float64) float64 {
	n := len(sorted)
	if n == 0 {
		return 0
	}
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// trim prints three digits that count.
func trim(v float64) string {
	switch {
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.3f", v)
}
