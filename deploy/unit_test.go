package deploy_test

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"todod/server"
)

// readUnit reads a systemd unit: section, key, the values in order.
func readUnit(t *testing.T, path string) map[string]map[string][]string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	unit := map[string]map[string][]string{}
	section := ""
	for lines := bufio.NewScanner(f); lines.Scan(); {
		line := strings.TrimSpace(lines.Text())
		switch {
		case line == "" || line[0] == '#' || line[0] == ';':
		case line[0] == '[' && strings.HasSuffix(line, "]"):
			section = line[1 : len(line)-1]
			unit[section] = map[string][]string{}
		default:
			key, value, ok := strings.Cut(line, "=")
			if !ok || section == "" {
				t.Fatalf("%s: not a line of a unit: %s", path, line)
			}
			unit[section][key] = append(unit[section][key], value)
		}
	}
	return unit
}

func TestUnit(t *testing.T) {
	service := readUnit(t, "todod.service")["Service"]
	for key, want := range map[string]string{
		"DynamicUser": "yes", "ProtectSystem": "strict", "NoNewPrivileges": "yes", "ProtectHome": "yes",
		"CapabilityBoundingSet": "", "StateDirectory": "todod", "Restart": "always", "PrivateDevices": "yes",
	} {
		if got := service[key]; len(got) != 1 || got[0] != want {
			t.Errorf("%s=%v, want %q", key, got, want)
		}
	}
	prevented := strings.Fields(strings.Join(service["RestartPreventExitStatus"], " "))
	for _, code := range []int{2, server.ExitFenced, server.ExitFolderRefused, server.ExitUnknownEntry} {
		if !contains(prevented, strconv.Itoa(code)) {
			t.Errorf("exit code %d is not cured by a restart, and the unit would try", code)
		}
	}
	for _, code := range []int{server.ExitFailed, server.ExitStorage} {
		if contains(prevented, strconv.Itoa(code)) {
			t.Errorf("exit code %d may be cured by a restart, and the unit would not try", code)
		}
	}
}

func contains(all []string, one string) bool {
	for _, s := range all {
		if s == one {
			return true
		}
	}
	return false
}

// The unit's own command, with its data folder and its addresses moved here.
func TestUnitRuns(t *testing.T) {
	exec := strings.Fields(readUnit(t, "todod.service")["Service"]["ExecStart"][0])
	data := filepath.Join(t.TempDir(), "todod")
	for i, arg := range exec {
		if arg == "/var/lib/todod" {
			exec[i] = data
		}
	}
	addr := freeAddr(t)
	env := []string{"TODOD_HTTP=" + addr, "TODOD_RAFT=" + freeAddr(t)} // as /etc/todod.env says them
	r := start(t, env, "", program(t, filepath.Base(exec[0])), exec[1:]...)
	waitReady(t, addr)
	r.term()
	if found, _ := filepath.Glob(filepath.Join(data, "*", "node.json")); len(found) != 1 {
		t.Errorf("the node's folder is not below --data: %v", found)
	}
}

func TestUnitUnderSystemd(t *testing.T) {
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Skip("systemd-analyze is not installed here")
	}
	text, err := os.ReadFile("todod.service")
	if err != nil {
		t.Fatal(err)
	}
	// verify wants the program to be there.
	path := filepath.Join(t.TempDir(), "todod.service")
	moved := strings.ReplaceAll(string(text), "/usr/local/bin/todod", program(t, "todod"))
	if err := os.WriteFile(path, []byte(moved), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("systemd-analyze", "verify", path).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
	// 0 is shut in, 10 is wide open; the threshold is in tenths.
	out, err := exec.Command("systemd-analyze", "security", "--offline=yes", "--threshold=20", path).CombinedOutput()
	switch {
	case err != nil && strings.Contains(string(out), "offline"):
		t.Skip("this systemd-analyze rates no files")
	case err != nil:
		t.Errorf("systemd-analyze security: %v\n%s", err, out)
	}
}
