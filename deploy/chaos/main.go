// Command chaos proves the promise of todod on real processes: an acknowledged write is never lost,
// doubled, undone or hidden, whatever fails. It starts a group, loads it over all nodes, does to it
// what befalls servers, from a seed, and checks every answer that was given.
//
//	go run ./deploy/chaos                     a run of 200 s
//	go run ./deploy/chaos -seed 7             the same faults as a run before
//	go run ./deploy/chaos -for 2h -page p.html   a soak, with a page at the end
//	go run ./deploy/chaos -kinds kill-leader,split-all -faults 20
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"
)

// options are the flags.
type options struct {
	seed    uint64
	faults  int           // 0 for as many as there is time for
	most    time.Duration // when no further fault is begun
	part    int           // faults in a part of the run, after which all is checked
	nodes   int
	clients int
	only    []string
	bin     string
	tags    string
	race    bool
	dir     string
	page    string
}

func main() {
	var opt options
	kinds := ""
	list := flag.Bool("list", false, "print the kinds of fault")
	flag.Uint64Var(&opt.seed, "seed", 0, "the seed of the schedule; 0 takes one")
	flag.IntVar(&opt.faults, "faults", 0, "how many faults; 0 for as many as there is time for")
	flag.DurationVar(&opt.most, "for", 200*time.Second, "how long")
	flag.IntVar(&opt.part, "part", 50, "check all after so many faults")
	flag.IntVar(&opt.nodes, "nodes", 3, "nodes at the beginning")
	flag.IntVar(&opt.clients, "clients", 64, "clients")
	flag.StringVar(&kinds, "kinds", "", "only these kinds of fault, separated by commas")
	flag.StringVar(&opt.bin, "bin", "", "a todod built with -tags chaos; built here by default")
	flag.StringVar(&opt.tags, "tags", "", "further build tags for todod")
	flag.BoolVar(&opt.race, "race", false, "build todod with the race detector")
	flag.StringVar(&opt.dir, "dir", "", "where the folders of the nodes are made (default the system's for temporary files)")
	flag.StringVar(&opt.page, "page", "", "write a page about it to this file")
	flag.Parse()
	if kinds != "" {
		opt.only = strings.Split(kinds, ",")
	}
	if opt.seed == 0 {
		opt.seed = rand.Uint64N(1_000_000)
	}
	if *list {
		listKinds(os.Stdout)
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := chaos(ctx, opt, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "chaos:", err)
		os.Exit(1)
	}
}

func listKinds(out io.Writer) {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, k := range kinds() {
		fmt.Fprintf(t, "%s\t%s\n", k.name, k.does)
	}
	_ = t.Flush() // to a terminal or a test
}

// chaos makes one run and tells of it.
func chaos(ctx context.Context, opt options, out io.Writer) error {
	count := opt.faults
	if count == 0 {
		count = int(opt.most/time.Second) + opt.part // no fault is over in less than a second
	}
	faults, err := schedule(opt.seed, opt.only, count)
	if err != nil {
		return err
	}
	bin, clean, err := build(opt)
	if err != nil {
		return err
	}
	defer clean()
	fmt.Fprintf(out, "chaos: seed %d, %d nodes, %d clients, %v at most\n", opt.seed, opt.nodes, opt.clients, opt.most)
	r, err := newRun(opt, bin, out)
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, r.stop)()
	if err := r.through(faults); err != nil && r.found() == 0 {
		if ctx.Err() != nil {
			r.close()
			return errors.New("stopped before its end")
		}
		r.find("%v", err)
	}
	r.close()
	if opt.page != "" {
		if err := r.writePage(opt.page); err != nil {
			return err
		}
		fmt.Fprintf(out, "the page is %s\n", opt.page)
	}
	r.summary(out)
	if n := r.found(); n > 0 {
		return fmt.Errorf("%d findings with seed %d; the folders and logs of the nodes are kept in %s", n, opt.seed, r.dir)
	}
	return nil
}

// build builds todod with handles for this program.
func build(opt options) (bin string, clean func(), err error) {
	if opt.bin != "" {
		return opt.bin, func() {}, nil
	}
	dir, err := os.MkdirTemp(opt.dir, "todod-chaos-bin-")
	if err != nil {
		return "", nil, err
	}
	bin = filepath.Join(dir, "todod")
	args := []string{"build", "-o", bin, "-tags", strings.TrimSuffix("chaos,"+opt.tags, ",")}
	if opt.race {
		args = append(args, "-race")
	}
	if text, err := exec.Command("go", append(args, "./cmd/todod")...).CombinedOutput(); err != nil {
		return "", nil, fmt.Errorf("build todod: %w\n%s", err, text)
	}
	return bin, func() { _ = os.RemoveAll(dir) }, nil
}

// through goes through the faults, part by part.
func (r *run) through(faults []fault) error {
	r.watch = newWatch(r)
	if err := r.foundGroup(); err != nil {
		return err
	}
	end := r.began.Add(r.opt.most)
	for part := 0; len(faults) > 0 && time.Now().Before(end); part++ {
		r.load = newLoad(r, part, r.opt.clients)
		err := r.progress(50)
		for i := 0; err == nil && i < r.opt.part && len(faults) > 0 && time.Now().Before(end); i++ {
			err = r.suffer(faults[0])
			faults = faults[1:]
		}
		if err == nil {
			err = r.progress(50)
		}
		r.load.end()
		r.add(r.load)
		if err != nil {
			return err
		}
		if err := r.endPart(); err != nil {
			return err
		}
	}
	return nil
}

// endPart checks a part of the run, and makes room for the next one.
func (r *run) endPart() error {
	began := time.Now()
	if err := r.check(r.load); err != nil {
		return err
	}
	if err := r.restore(r.load); err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	if err := r.sweep(r.load); err != nil {
		return err
	}
	if err := r.leaks(); err != nil {
		return err
	}
	r.say("checked in %v: %s", time.Since(began).Round(time.Millisecond), r.sums)
	r.tellStory(began, "check", "")
	return nil
}

// suffer does one fault and waits until the group is well again.
func (r *run) suffer(f fault) error {
	k := kindOf(f.Kind)
	if k.needs != "" && r.without[k.needs] {
		return nil
	}
	began := time.Now()
	r.detail = ""
	if f.With != "" {
		r.tell("with %s", f.With)
	}
	end := r.backdrop(f.With, f)
	err := k.do(r, f)
	end()
	r.net.Heal()
	if errors.Is(err, errNotNow) {
		return nil
	}
	took := time.Since(began)
	if err == nil {
		err = r.healthy()
	}
	if err != nil {
		err = fmt.Errorf("%s%s: %w", f.Kind, r.detail, err)
	}
	r.sums.Faults[f.Kind]++
	r.say("%-18s %5.1fs, well %4.1fs later%s", f.Kind, took.Seconds(), (time.Since(began) - took).Seconds(), r.detail)
	r.tellStory(began, f.Kind, r.detail)
	return err
}

func (r *run) tellStory(began time.Time, kind, text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.story = append(r.story, told{At: began.Sub(r.began).Seconds(), For: time.Since(began).Seconds(), Kind: kind, Text: text})
}
