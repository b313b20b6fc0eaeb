// Command bench runs the benchmarks that guard what todod is measured by, at a small size, and compares
// them with the last ones that were recorded. It ends with 1 if one became clearly worse.
//
//	go run ./deploy/bench            compare
//	go run ./deploy/bench -record    record
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"text/tabwriter"
)

// A benchmark is run three times and the least counts: what else the machine does only adds.
const times = "3"

// How much worse than recorded is told, and is a failure. On a machine that others use CPU doubles
// at times, so less than that is only told; allocations do not, but those of a group vary a little
// with the size of its batches.
const (
	slowerCPU   = 1.5 // told
	worseCPU    = 2.5
	worseAllocs = 1.25
	fewAllocs   = 2 // so many more are no matter
)

// guards is what is run: each row of the table of targets that one process can stand for.
var guards = []struct{ pkg, bench, size string }{
	{"./server", `^BenchmarkWrite$/^callers=1$`, "300x"},
	{"./server", `^BenchmarkWrite$/^callers=(64|256)$`, "10000x"},
	{"./server", `^BenchmarkRead$/^(linearizable|stale)$/^callers=(64|256)$`, "30000x"},
	{"./fsm", `^BenchmarkApply$/^keyed=(false|true)$/^batch=(16|200)$`, "20000x"},
	{"./fsm", `^BenchmarkApplyFullWindow$`, "50000x"},
	{"./fsm", `^BenchmarkView$/^one$`, "100000x"},
	{"./fsm", `^BenchmarkOpen$`, "10x"},
	{"./httpapi", `^Benchmark(PostEntry|AddEntry|GetEntries|GetEntriesOfADay)$`, "100000x"},
}

// figure is what one benchmark costs an operation.
type figure struct {
	CPU    float64 `json:"cpu_us"` // microseconds; CPU-seconds per 1,000 operations are a thousandth of it
	Allocs float64 `json:"allocs"`
}

// record is the file.
type record struct {
	On      string            `json:"recorded_on"`
	Figures map[string]figure `json:"figures"`
}

func main() {
	file := flag.String("file", "server/testdata/bench.json", "what was recorded")
	keep := flag.Bool("record", false, "record instead of comparing")
	flag.Parse()
	if err := run(*file, *keep, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(file string, keep bool, out io.Writer) error {
	now := record{On: fmt.Sprintf("%s/%s, %d CPUs, %s", runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version()), Figures: map[string]figure{}}
	var order []string
	for _, g := range guards {
		text, err := measure(g.pkg, g.bench, g.size)
		if err != nil {
			return err
		}
		names := now.add(strings.TrimPrefix(g.pkg, "./"), text)
		if len(names) == 0 {
			return fmt.Errorf("%s has no benchmark %s: change the list with it", g.pkg, g.bench)
		}
		order = append(order, names...)
	}
	if keep {
		text, err := json.MarshalIndent(now, "", "  ")
		if err != nil {
			return err
		}
		if err := os.WriteFile(file, append(text, '\n'), 0o644); err != nil {
			return fmt.Errorf("record: %w", err)
		}
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("read what was recorded: %w; make bench RECORD=1 records", err)
	}
	var was record
	if err := json.Unmarshal(text, &was); err != nil {
		return fmt.Errorf("read what was recorded: %w", err)
	}
	return compare(out, order, was, now)
}

// measure runs benchmarks of a package and returns what they print.
func measure(pkg, bench, size string) (string, error) {
	cmd := exec.Command("go", "test", "-run", "^$", "-bench", bench, "-benchtime", size, "-benchmem", "-count", times, pkg)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	text, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w\n%s%s", pkg, bench, err, text, &errs)
	}
	return string(text), nil
}

// The suffix of a name is GOMAXPROCS.
var resultLine = regexp.MustCompile(`^Benchmark(\S+?)(?:-\d+)?\s+\d+\s+(.*)$`)

// add takes the results in what go test prints; the least of those of one name. It returns the new names.
func (r *record) add(pkg, text string) (names []string) {
	for line := range strings.Lines(text) {
		m := resultLine.FindStringSubmatch(strings.TrimSpace(line))
		if m == nil {
			continue
		}
		name, f := pkg+" "+m[1], parse(m[2])
		old, known := r.Figures[name]
		if known {
			f = figure{min(f.CPU, old.CPU), min(f.Allocs, old.Allocs)}
		} else {
			names = append(names, name)
		}
		r.Figures[name] = f
	}
	return names
}

// parse reads the pairs of value and unit behind a name. Where a benchmark reports no CPU it runs
// in one goroutine, and its time is its CPU.
func parse(pairs string) (f figure) {
	fields := strings.Fields(pairs)
	values := map[string]float64{}
	for i := 0; i+1 < len(fields); i += 2 {
		if v, err := strconv.ParseFloat(fields[i], 64); err == nil {
			values[fields[i+1]] = v
		}
	}
	f.Allocs = values["allocs/op"]
	switch {
	case values["cpu-s/1000"] > 0:
		f.CPU = values["cpu-s/1000"] * 1000
	case values["cpu-ns/op"] > 0:
		f.CPU = values["cpu-ns/op"] / 1000
	default:
		f.CPU = values["ns/op"] / 1000
	}
	return f
}

// compare prints what is and what it is to what was recorded; the error says that something is
// clearly worse.
func compare(out io.Writer, order []string, was, now record) error {
	fmt.Fprintf(out, "recorded on %s\nnow on      %s\n\n", was.On, now.On)
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "BENCHMARK\tCPU-S PER 1,000\tRATIO\tALLOCS\tRATIO\t")
	worse := 0
	for _, name := range order {
		old, known := was.Figures[name]
		f := now.Figures[name]
		if !known {
			fmt.Fprintf(t, "%s\t%.4f\t-\t%.0f\t-\tnot recorded\n", name, f.CPU/1000, f.Allocs)
			continue
		}
		note := ""
		switch {
		case f.CPU > worseCPU*old.CPU || f.Allocs > worseAllocs*old.Allocs && f.Allocs > old.Allocs+fewAllocs:
			note = "WORSE"
			worse++
		case f.CPU > slowerCPU*old.CPU:
			note = "slower, or a busy machine"
		}
		fmt.Fprintf(t, "%s\t%.4f\t%s\t%.0f\t%s\t%s\n", name, f.CPU/1000, ratio(f.CPU, old.CPU), f.Allocs, ratio(f.Allocs, old.Allocs), note)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if worse > 0 {
		return errors.New("some are clearly worse than recorded: run it again on a quiet machine before you believe it; make bench RECORD=1 takes them as they are")
	}
	return nil
}

func ratio(now, was float64) string {
	if was == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f", now/was)
}
