// Command planted shows that the checkers find bugs. Each patch of testdata is one that somebody could make: it
// is applied to a copy of the tree, so that the program itself carries none of it, and the checker that
// must find it runs until it does or its budget of time is over. The tree as it is must
// stand the same checkers for the same time. It ends with 1 if a bug was not found, if something was found
// without one, or if a patch no longer fits the tree.
//
//	go run ./deploy/planted                     all of them
//	go run ./deploy/planted -only map_order     one
//	go run ./deploy/planted -for 5m             with another budget for each
//
// server/DESIGN.md has a table of what was found and how fast.
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// checker is a test that finds bugs nobody told it of.
type checker struct{ pkg, test string }

var (
	simulator = checker{"./server", "TestSimulator"}
	marks     = checker{"./server", "TestNoAnswerIsNoPass"}
)

// bugs are the patches, each with the checker that must find it.
var bugs = []struct {
	name string
	by   checker
}{
	{"acknowledge_before_commit", simulator},
	{"read_from_old_leader", simulator},
	{"index_saved_apart", simulator},
	{"dedupe_left_out", simulator},
	{"retry_without_number", simulator},
	{"ignored_write_error", simulator},
	{"skipped_unknown_command", simulator},
	{"map_order", simulator},
	{"clock_in_apply", simulator},
	{"forward_swallows_an_error", simulator},
	{"wiped_disk_rejoins", simulator},
	{"no_answer_confirms_a_read", simulator},
	{"nobody_misses_the_leader", simulator},
	{"no_answer_passes_a_mark", marks},
}

func main() {
	only := flag.String("only", "", "plant these bugs alone, separated by commas")
	budget := flag.Duration("for", time.Minute, "how long a checker may look for a bug")
	flag.Parse()
	if err := run(os.Stdout, *only, *budget); err != nil {
		fmt.Fprintln(os.Stderr, "planted:", err)
		os.Exit(1)
	}
}

func run(out io.Writer, only string, budget time.Duration) error {
	dir, err := os.MkdirTemp("", "todod-planted-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	t := tree{dir}
	if err := t.copy("."); err != nil {
		return err
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	defer table.Flush()
	failed := 0
	tell := func(ok bool, name string, by checker, took time.Duration, what string) {
		if !ok {
			failed++
		}
		fmt.Fprintf(table, "%s\t%s\t%.1f s\t%s\n", name, by.test, took.Seconds(), what)
		table.Flush()
	}
	planted := 0
	used := map[checker]bool{}
	for _, b := range bugs {
		if only != "" && !slices.Contains(strings.Split(only, ","), b.name) {
			continue
		}
		planted++
		used[b.by] = true
		found, took, err := t.plant(b.name, b.by, budget)
		switch {
		case err != nil:
			return err
		case found == "":
			tell(false, b.name, b.by, took, "NOT FOUND")
		default:
			tell(true, b.name, b.by, took, found)
		}
	}
	if planted == 0 {
		return fmt.Errorf("there is no bug called %q: see deploy/planted/testdata", only)
	}
	for _, by := range []checker{simulator, marks} {
		if !used[by] {
			continue
		}
		found, took, err := t.check(by, budget)
		if err != nil {
			return err
		}
		if found == "" {
			tell(true, "none", by, took, "nothing, as it must be")
		} else {
			tell(false, "none", by, took, "FOUND WITHOUT A BUG: "+found)
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d bugs, or a checker without one, did not end as it must", failed, planted)
	}
	return nil
}

// tree is a copy of the source.
type tree struct{ dir string }

func (t tree) copy(from string) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		rel, relErr := filepath.Rel(from, path)
		if err = errors.Join(err, relErr); err != nil {
			return err
		}
		to := filepath.Join(t.dir, rel)
		switch {
		case d.IsDir() && rel != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "bin" || d.Name() == "data"):
			return filepath.SkipDir
		case d.IsDir():
			return os.MkdirAll(to, 0o755)
		case !d.Type().IsRegular():
			return nil
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(to, b, 0o644)
	})
}

func patchOf(name string) string { return filepath.Join("deploy/planted/testdata", name+".patch") }

// apply plants a bug, or takes it out again with "-R".
func (t tree) apply(name string, flags ...string) error {
	if said, err := t.command("git", append(append([]string{"apply"}, flags...), patchOf(name))...).CombinedOutput(); err != nil {
		return fmt.Errorf("the patch %s no longer fits the tree: make it anew, with the same bug in what the code is now (%v: %s)", patchOf(name), err, bytes.TrimSpace(said))
	}
	return nil
}

func (t tree) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Dir = t.dir
	cmd.Env = append(os.Environ(), "GIT_CEILING_DIRECTORIES="+filepath.Dir(t.dir)) // no repository around it
	return cmd
}

// plant has a checker look for a bug: what it found, "" for nothing, and how long it took.
func (t tree) plant(name string, by checker, budget time.Duration) (found string, took time.Duration, err error) {
	if err := t.apply(name); err != nil {
		return "", 0, err
	}
	found, took, err = t.check(by, budget)
	if err != nil {
		return "", 0, fmt.Errorf("with %s: %w", name, err)
	}
	return found, took, t.apply(name, "-R")
}

// check runs a checker on the tree. What does not build is no finding, nor is a checker that hangs.
func (t tree) check(by checker, budget time.Duration) (found string, took time.Duration, err error) {
	binary := filepath.Join(t.dir, "checker.test")
	if said, err := t.command("go", "test", "-c", "-trimpath", "-o", binary, by.pkg).CombinedOutput(); err != nil {
		return "", 0, fmt.Errorf("%s does not build: %v\n%s", by.pkg, err, said)
	}
	cmd := t.command(binary, "-test.run", "^"+by.test+"$", "-test.timeout", (2*budget + time.Minute).String())
	cmd.Dir = filepath.Join(t.dir, by.pkg)
	cmd.Env = append(cmd.Env, "SIM_TIME="+budget.String())
	began := time.Now()
	said, err := cmd.CombinedOutput()
	took = time.Since(began)
	var ended *exec.ExitError
	switch {
	case err == nil:
		return "", took, nil
	case !errors.As(err, &ended):
		return "", took, err
	case bytes.Contains(said, []byte("panic: test timed out")), !bytes.Contains(said, []byte("--- FAIL: "+by.test)) && !bytes.Contains(said, []byte("panic: ")):
		return "", took, fmt.Errorf("%s came to no end:\n%.2000s", by.test, said)
	}
	return finding(string(said)), took, nil
}

var (
	complaint = regexp.MustCompile(`(?m)^ +\w+_test\.go:\d+: (.+)$`)
	noise     = regexp.MustCompile(`^SIM_SEED=|^what happened|stories in `)
)

// finding is what a checker said first of what it found.
func finding(said string) string {
	for _, m := range complaint.FindAllStringSubmatch(said, -1) {
		if !noise.MatchString(m[1]) {
			return fmt.Sprintf("%.120s", m[1])
		}
	}
	if _, after, ok := strings.Cut(said, "panic: "); ok {
		line, _, _ := strings.Cut(after, "\n")
		return "panic: " + line
	}
	return "it failed"
}
