package deploy_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// sshProgram stands in for machines: each is a folder with the node's files, its flags and its log.
const sshProgram = `#!/bin/bash
# ssh MACHINE COMMAND...
h=$MACHINES/$1; shift
alive() { [ -e $h/pid ] && grep -q '^State:[[:space:]]*[^Z[:space:]]' /proc/$(cat $h/pid)/status 2>/dev/null; }
stop() { alive && kill $1 $(cat $h/pid); while alive; do sleep 0.02; done; rm -f $h/pid; }
start() { alive || { env $(cat $h/env) todod serve --data $h/data </dev/null >>$h/log 2>&1 & echo $! >$h/pid; }; }
case "$*" in
"systemctl start todod") start ;;
"systemctl stop todod") stop -TERM ;;
"systemctl restart todod") stop -TERM; start ;;
"systemctl status todod") alive && echo active ;;
"journalctl -u todod -n 20") tail -n 20 $h/log ;;
kill) stop -KILL ;; # a test's alone
*) args=("${@//\/var\/lib\/todod/$h/data}"); exec "${args[@]//\/etc\/todod.env/$h/env}" ;;
esac
`

var machine = regexp.MustCompile(`\bn[1-4]:\d{4}\b`)

// machines makes the folders of n1 to n4, of which three are to found a group, and returns what gives a text the
// addresses that they have here.
func machines(t *testing.T, dir string) (here func(string) string) {
	t.Helper()
	addrs := map[string]string{}
	here = func(text string) string {
		return machine.ReplaceAllStringFunc(text, func(a string) string {
			if addrs[a] == "" {
				addrs[a] = freeAddr(t)
			}
			return addrs[a]
		})
	}
	for i := 1; i <= 4; i++ {
		id := fmt.Sprintf("n%d", i)
		env := fmt.Sprintf("TODOD_ID=%s\nTODOD_HTTP=%s:5454\nTODOD_RAFT=%s:7454\n", id, id, id)
		if i < 4 {
			env += "TODOD_BOOTSTRAP_EXPECT=3\nTODOD_JOIN=n1:5454,n2:5454,n3:5454\n"
		}
		if err := os.MkdirAll(filepath.Join(dir, id), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, id, "env"), []byte(here(env)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return here
}

// The runbook's shell lines, all of them in one shell, in their order, on a group of three; what its comments say befalls the
// machines in between. ssh and the machines are made up, the programs and the group are real.
func TestRunbookLines(t *testing.T) {
	needCurl(t)
	text, err := os.ReadFile("RUNBOOK.md")
	if err != nil {
		t.Fatal(err)
	}
	bin, err := programs()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	here := machines(t, dir)
	ssh := filepath.Join(dir, "bin")
	if err := os.Mkdir(ssh, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(ssh, "ssh"), []byte(sshProgram), 0o700); err != nil {
		t.Fatal(err)
	}
	lines := []string{"ssh n1 systemctl start todod", "ssh n2 systemctl start todod", "ssh n3 systemctl start todod",
		"curl -sf --retry 20 --retry-delay 1 --retry-connrefused http://n1:5454/readyz    # OK",
		"todo add bob Dentist --server n1:5454"}
	for _, m := range regexp.MustCompile("(?s)```sh\n(.*?)```|<!-- run: (.*?) -->").FindAllSubmatch(text, -1) {
		lines = append(lines, strings.Split(strings.TrimSpace(string(m[1])+string(m[2])), "\n")...)
	}
	if len(lines) < 30 {
		t.Fatalf("the runbook has only %d lines to try", len(lines))
	}
	lines = append(lines, "todo ls bob --server n1:5454    # ~ Dentist", "ssh n1 systemctl stop todod", "ssh n2 systemctl stop todod", "ssh n4 systemctl stop todod")
	env := []string{"PATH=" + ssh + ":" + bin + ":" + os.Getenv("PATH"), "MACHINES=" + dir}
	runLines(t, env, dir, lines, here, 3*time.Minute)
}
