package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Every patch still fits the tree and what comes out builds. Patches that do not touch the same place are built together.
func TestPatchesFit(t *testing.T) {
	files, err := filepath.Glob("testdata/*.patch")
	if err != nil || len(files) != len(bugs) {
		t.Fatalf("%d patches for %d bugs, %v", len(files), len(bugs), err)
	}
	dir := tree{t.TempDir()}
	if err := dir.copy("../.."); err != nil {
		t.Fatal(err)
	}
	left := make([]string, len(bugs))
	for i, b := range bugs {
		left[i] = b.name
	}
	for len(left) > 0 {
		var planted, later []string
		for _, name := range left {
			switch err := dir.apply(name); {
			case err == nil:
				planted = append(planted, name)
			case len(planted) == 0:
				t.Fatal(err)
			default:
				later = append(later, name)
			}
		}
		if said, err := dir.command("go", "build", "./fsm", "./server").CombinedOutput(); err != nil {
			t.Fatalf("with %s: %v\n%s", strings.Join(planted, ", "), err, said)
		}
		for i := len(planted) - 1; i >= 0; i-- {
			if err := dir.apply(planted[i], "-R"); err != nil {
				t.Fatal(err)
			}
		}
		left = later
	}
}

// A patch that does not fit is told in a sentence that says what to do.
func TestPatchThatDoesNotFit(t *testing.T) {
	dir := tree{t.TempDir()}
	if err := dir.copy("../.."); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir.dir, "fsm/apply.go"), []byte("package fsm\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := dir.apply("map_order"); err == nil || !strings.Contains(err.Error(), "no longer fits the tree: make it anew") {
		t.Error(err)
	}
}

func TestFinding(t *testing.T) {
	for said, want := range map[string]string{
		"    seed_test.go:21: SIM_SEED=7\n    simchecks_test.go:9: bob lost 3, which was acknowledged\n": "bob lost 3, which was acknowledged",
		"panic: log not found\n\ngoroutine 1": "panic: log not found",
		"FAIL\n":                              "it failed",
	} {
		if got := finding(said); got != want {
			t.Errorf("%q came to %q, want %q", said, got, want)
		}
	}
}
