package main

import (
	"bytes"
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"
)

const printed = `goos: linux
pkg: todod/server
BenchmarkWrite/callers=64-2         	   10000	     94003 ns/op	         0.1500 cpu-s/1000	     10638 ops/s	    9000 B/op	      80 allocs/op
BenchmarkWrite/callers=64-2         	   10000	     84003 ns/op	         0.1200 cpu-s/1000	     11638 ops/s	    9000 B/op	      90 allocs/op
BenchmarkApply/keyed=true/batch=16 	   20000	      5000 ns/op	      7000 cpu-ns/op	    2000 B/op	      20 allocs/op
BenchmarkAddEntry-2 	   20000	      3000 ns/op	    1000 B/op	      9 allocs/op
PASS
ok  	todod/server	2.345s
`

func TestAdd(t *testing.T) {
	r := record{Figures: map[string]figure{}}
	names := r.add("server", printed)
	want := map[string]figure{
		"server Write/callers=64": {120, 80}, "server Apply/keyed=true/batch=16": {7, 20}, "server AddEntry": {3, 9},
	}
	if len(names) != len(want) || len(r.Figures) != len(want) {
		t.Errorf("names %v", names)
	}
	for name, f := range want {
		if r.Figures[name] != f {
			t.Errorf("%s: %v, want %v", name, r.Figures[name], f)
		}
	}
}

func TestCompare(t *testing.T) {
	was := record{Figures: map[string]figure{"a": {100, 40}, "b": {100, 1}}}
	for name, test := range map[string]struct {
		a, b  figure
		worse bool
	}{
		"as it was":        {figure{100, 40}, figure{100, 1}, false},
		"noise":            {figure{240, 48}, figure{240, 1}, false},
		"more CPU":         {figure{251, 40}, figure{100, 1}, true},
		"more allocations": {figure{100, 51}, figure{100, 1}, true},
		"two of few":       {figure{100, 40}, figure{100, 3}, false},
		"better":           {figure{10, 4}, figure{10, 0}, false},
	} {
		var out bytes.Buffer
		now := record{Figures: map[string]figure{"a": test.a, "b": test.b, "new": {1, 1}}}
		err := compare(&out, []string{"a", "b", "new"}, was, now)
		if (err != nil) != test.worse || strings.Contains(out.String(), "WORSE") != test.worse || !strings.Contains(out.String(), "not recorded") {
			t.Errorf("%s: %v\n%s", name, err, &out)
		}
	}
}

// What is recorded is what is run: a benchmark that was renamed would be guarded no more.
func TestRecordedIsWhatIsRun(t *testing.T) {
	text, err := os.ReadFile("../../server/testdata/bench.json")
	if err != nil {
		t.Fatal(err)
	}
	var r record
	if err := json.Unmarshal(text, &r); err != nil {
		t.Fatal(err)
	}
	for _, g := range guards {
		pkg, first := strings.TrimPrefix(g.pkg, "./"), strings.Split(g.bench, "/")[0]
		pattern := regexp.MustCompile("^" + pkg + " " + strings.Replace(strings.Trim(first, "^$"), "Benchmark", "", 1) + "(/|$)")
		found := 0
		for name, f := range r.Figures {
			if pattern.MatchString(name) && f.CPU > 0 {
				found++
			}
		}
		if found == 0 {
			t.Errorf("nothing is recorded of %s %s", g.pkg, g.bench)
		}
	}
}
