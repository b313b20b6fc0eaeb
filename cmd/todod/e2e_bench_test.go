package main_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A short load on three real nodes, the leader killed in it: every acknowledged write is there,
// the page shows the fault, and nothing is left behind.
func TestE2EBench(t *testing.T) {
	leftOutOfShortRace(t)
	dir := t.TempDir()
	page := filepath.Join(dir, "bench.html")
	data := filepath.Join(dir, "data")
	if err := os.Mkdir(data, 0o700); err != nil {
		t.Fatal(err)
	}
	out := wantCommand(t, 0, "bench", "--faults", "kill", "--mix", "70", "--rate", "300", "--conns", "16", "--lists", "20", "--duration", "2500ms",
		"--data", data, "--html", page, "--output", "json")
	var report struct {
		All    struct{ Ops int }
		Faults []struct {
			Kind, Node string
			Back       float64 `json:"back_s"`
			Pause      float64 `json:"pause_ms"`
		}
		Audit    struct{ Acknowledged, Stored, Lost, Doubled int }
		NodesCPU float64 `json:"nodes_cpu_s"`
	}
	if err := json.Unmarshal([]byte(out), &report); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	a := report.Audit
	if report.All.Ops < 100 || a.Acknowledged < 100 || a.Stored < a.Acknowledged || a.Lost+a.Doubled != 0 || report.NodesCPU <= 0 {
		t.Errorf("%+v", report)
	}
	if len(report.Faults) != 1 || report.Faults[0].Kind != "kill" || report.Faults[0].Back == 0 || report.Faults[0].Pause == 0 {
		t.Errorf("faults %+v", report.Faults)
	}
	html, err := os.ReadFile(page)
	if err != nil || strings.Count(string(html), ">kill "+report.Faults[0].Node+"<") != 2 {
		t.Errorf("the page does not mark the fault: %v", err)
	}
	if left, err := os.ReadDir(data); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
