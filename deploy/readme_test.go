package deploy_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

func readme(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func needCurl(t *testing.T) {
	t.Helper()
	for _, name := range []string{"bash", "curl"} {
		if _, err := exec.LookPath(name); err != nil {
			t.Skipf("%s is not installed here, and the README's lines need it", name)
		}
	}
}

var loopback = regexp.MustCompile(`127\.0\.0\.1:\d+`)

// elsewhere moves the addresses of the text to free ones, the same ones to the same.
func elsewhere(t *testing.T, text string) string {
	addrs := map[string]string{}
	return loopback.ReplaceAllStringFunc(text, func(a string) string {
		if addrs[a] == "" {
			addrs[a] = freeAddr(t)
		}
		return addrs[a]
	})
}

// The README's shell lines, all of them in one shell, in their order, and after each what the
// README says it prints ("# this", with | for a new line). Only the ports are others, which may be taken here.
func TestReadmeLines(t *testing.T) {
	needCurl(t)
	dir := t.TempDir()
	bin, err := programs()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(bin, filepath.Join(dir, "bin")); err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, block := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(readme(t), -1) {
		lines = append(lines, strings.Split(strings.TrimSpace(block[1]), "\n")...)
	}
	if len(lines) < 20 {
		t.Fatalf("the README has only %d lines to try", len(lines))
	}
	runLines(t, nil, dir, lines, func(text string) string { return elsewhere(t, text) }, 2*time.Minute)
}

// runLines runs the lines in one shell, with their addresses moved, and checks what each printed.
func runLines(t *testing.T, env []string, dir string, lines []string, moved func(string) string, most time.Duration) {
	t.Helper()
	var script strings.Builder
	want := map[int]string{}
	for i, line := range lines {
		command, says, checked := strings.Cut(line, "    # ")
		if checked {
			want[i] = strings.ReplaceAll(says, "|", "\n")
		}
		if command == "make build" {
			continue // that is what bin is
		}
		fmt.Fprintf(&script, "printf '\\n@%d@'\n%s\nprintf '\\n@%d=%%d@' $?\n", i, command, i)
	}
	r := start(t, env, dir, "bash", "-c", moved(script.String()))
	select {
	case <-r.ended:
	case <-time.After(most):
		t.Fatal("the lines do not come to an end")
	}
	out := r.output.String()
	for i, line := range lines {
		checkLine(t, out, i, line, moved(want[i]))
	}
}

// checkLine compares what the script printed for one line.
func checkLine(t *testing.T, out string, i int, line, want string) {
	t.Helper()
	if line == "make build" {
		return
	}
	_, rest, _ := strings.Cut(out, fmt.Sprintf("\n@%d@", i))
	printed, rest, ended := strings.Cut(rest, fmt.Sprintf("\n@%d=", i))
	code, _, _ := strings.Cut(rest, "@")
	switch {
	case !ended:
		t.Errorf("%s\ndid not end", line)
	// wait tells how the node ended that was told to: by SIGKILL it is 137.
	case code != "0" && !(strings.HasPrefix(line, "kill -9") && code == "137"):
		t.Errorf("%s\nended with %s:\n%s", line, code, printed)
	case strings.HasPrefix(want, "~ ") && strings.Contains(printed, want[2:]): // "# ~ this" is a part of what it says
	case want != "" && strings.TrimSpace(printed) != want:
		t.Errorf("%s\nprinted %q, want %q", line, printed, want)
	}
}

// make run, and each of the lines that it prints.
func TestMakeRun(t *testing.T) {
	needCurl(t)
	if _, err := exec.LookPath("make"); err != nil {
		t.Skip("make is not installed here")
	}
	addr := freeAddr(t)
	env := []string{"TODOD_HTTP=" + addr, "TODOD_RAFT=" + freeAddr(t), "TODOD_DATA=" + filepath.Join(t.TempDir(), "data")}
	top, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	r := start(t, env, top, "make", "--no-print-directory", "run")
	waitReady(t, addr)
	tried := 0
	for line := range strings.Lines(r.output.String()) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "curl ") && !strings.HasPrefix(line, "bin/") || !strings.Contains(line, addr) {
			continue
		}
		cmd := exec.Command("bash", "-c", line)
		cmd.Dir = top
		out, err := cmd.CombinedOutput()
		if err != nil || len(out) == 0 {
			t.Errorf("%s: %v\n%s", line, err, out)
		}
		if strings.Contains(line, "/add_entry?") && !strings.HasSuffix(string(out), "OK") {
			t.Errorf("%s printed %q", line, out)
		}
		tried++
	}
	if tried < 4 {
		t.Errorf("make run printed %d lines to try:\n%s", tried, r.output)
	}
}
