package main_test

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// wantSentence: what a person sees of a node that cannot start is one sentence, without the
// innards of the program. Lines of the log do not count, should it have got so far.
func wantSentence(t *testing.T, stderr, says string, never ...string) {
	t.Helper()
	line := strings.TrimSpace(logLine.ReplaceAllString(stderr, ""))
	if line == "" || strings.Contains(line, "\n") || len(line) > 400 {
		t.Errorf("stderr should be one sentence:\n%s", stderr)
	}
	if !strings.Contains(strings.ToLower(line), says) {
		t.Errorf("%q should say %q", line, says)
	}
	for _, bad := range append(never, "panic", "goroutine", ".go:") {
		if strings.Contains(line, bad) {
			t.Errorf("%q should not say %q", line, bad)
		}
	}
}

var logLine = regexp.MustCompile(`(?m)^time=\S+ level=.*\n`)

func TestE2ECannotStart(t *testing.T) {
	leftOutOfShortRace(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("not a folder"), 0o600); err != nil {
		t.Fatal(err)
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	port := taken.Addr().String()
	fresh := filepath.Join(dir, "fresh")
	two := filepath.Join(dir, "two")
	for _, id := range []string{"a", "b"} {
		os.MkdirAll(filepath.Join(two, id), 0o700)
		os.WriteFile(filepath.Join(two, id, "node.json"), []byte("{}"), 0o600)
	}
	broken := filepath.Join(dir, "broken")
	os.MkdirAll(filepath.Join(broken, "n1"), 0o700)
	os.WriteFile(filepath.Join(broken, "n1", "node.json"), []byte("{"), 0o600)
	newer := filepath.Join(dir, "newer")
	os.MkdirAll(filepath.Join(newer, "n1"), 0o700)
	os.WriteFile(filepath.Join(newer, "n1", "node.json"), []byte(`{"version":99,"id":"n1","folder":"x"}`), 0o600)

	for _, c := range []struct {
		name string
		args []string
		code int
		says string
	}{
		{"data is a file", []string{"--data", file}, 1, "data folder"},
		{"raft port taken", []string{"--data", fresh, "--raft", port}, 1, "in use"},
		{"http port taken", []string{"--data", fresh, "--http", port}, 1, port},
		{"unknown flag", []string{"--bogus"}, 2, "bogus"},
		{"an argument", []string{"extra"}, 2, "extra"},
		{"bad duration", []string{"--expiry", "soon"}, 2, "expiry"},
		{"bad address", []string{"--data", fresh, "--http", "nonsense"}, 2, "http"},
		{"bad id", []string{"--data", fresh, "--id", "../up"}, 2, "id"},
		{"off loopback", []string{"--data", fresh, "--http", "0.0.0.0:5454"}, 2, "--insecure"},
		{"peers off loopback", []string{"--data", fresh, "--raft", "0.0.0.0:7454"}, 2, "--insecure"},
		{"bad level", []string{"--log-level", "loud"}, 2, "log-level"},
		{"expect without join", []string{"--data", fresh, "--bootstrap-expect", "3"}, 2, "--join"},
		{"two nodes in the folder", []string{"--data", two, "--id", ""}, 1, "--id"},
		{"damaged identity", []string{"--data", broken}, 73, "damaged"},
		{"newer folder", []string{"--data", newer}, 73, "newer"},
	} {
		t.Run(c.name, func(t *testing.T) {
			args := []string{"serve", "--id", "n1", "--data", fresh, "--http", freeAddr(t), "--raft", freeAddr(t)}
			_, stderr, code := command(t, append(args, c.args...)...)
			if code != c.code {
				t.Errorf("exit code %d, want %d", code, c.code)
			}
			wantSentence(t, stderr, c.says, dir)
		})
	}
	if _, _, code := command(t, "frobnicate"); code != 2 {
		t.Errorf("an unknown command: exit code %d, want 2", code)
	}
	if _, _, code := command(t, "status", "--server", freeAddr(t)); code != 5 {
		t.Errorf("a node that is not there: exit code %d, want 5", code)
	}
}

// Root may write anywhere, so the program is run as somebody who may not.
func TestE2EFolderWithoutRights(t *testing.T) {
	dir := t.TempDir()
	locked := filepath.Join(dir, "locked")
	if err := os.Mkdir(locked, 0o500); err != nil {
		t.Fatal(err)
	}
	bin := todod(t)
	cmd := exec.Command(bin, "serve", "--id", "n1", "--data", locked, "--http", freeAddr(t), "--raft", freeAddr(t))
	if os.Getuid() == 0 {
		// Nobody else can reach the folder that the program was built in.
		program, err := os.ReadFile(bin)
		if err != nil {
			t.Fatal(err)
		}
		cmd.Path = filepath.Join(dir, "todod")
		if err := os.WriteFile(cmd.Path, program, 0o755); err != nil {
			t.Fatal(err)
		}
		for _, d := range []string{dir, filepath.Dir(dir), locked} {
			if err := os.Chmod(d, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		cmd.Dir = dir
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	}
	_, stderr, code := runCommand(t, cmd)
	if code != 1 {
		t.Errorf("exit code %d, want 1", code)
	}
	wantSentence(t, stderr, "permission denied", dir)
}

func TestE2EFullDiskAtStart(t *testing.T) {
	leftOutOfShortRace(t)
	dir := t.TempDir()
	if err := syscall.Mount("todod-test", dir, "tmpfs", 0, "size=16k"); err != nil {
		t.Skipf("a small disk cannot be mounted here: %v", err)
	}
	defer syscall.Unmount(dir, syscall.MNT_DETACH)
	_, stderr, code := command(t, "serve", "--id", "n1", "--data", dir, "--http", freeAddr(t), "--raft", freeAddr(t))
	if code != 74 {
		t.Errorf("exit code %d, want 74", code)
	}
	wantSentence(t, stderr, "no space", dir)
}

// A disk that fills up while the group writes: the node on it may stop, but what was acknowledged
// stays, and with room again the node comes back.
func TestE2EDiskFillsUp(t *testing.T) {
	leftOutOfShortRace(t)
	dir := t.TempDir()
	if err := syscall.Mount("todod-test", dir, "tmpfs", 0, "size=64m"); err != nil {
		t.Skipf("a small disk cannot be mounted here: %v", err)
	}
	defer syscall.Unmount(dir, syscall.MNT_DETACH)
	g := newGroup(t, 2)
	small := newNode(t, "small", "--join", g.nodes[0].http)
	small.data = dir
	small.start()
	g.nodes = append(g.nodes, small)
	g.waitReady(small)
	g.waitVoters(3)
	l := startLoad(t, g.nodes, 6)
	l.waitAcks(50)

	filler := filepath.Join(dir, "filler")
	fill(t, filler)
	l.waitAcks(200) // the others go on, whatever the small one does
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	if !small.running() {
		small.wantExit(74)
		small.start()
	}
	g.waitReady(small)
	l.verify(g.nodes...)
	g.wantSameHashes(g.nodes...)
	small.term() // before its disk is taken away
}

// fill writes until there is no room.
func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for block := make([]byte, 4096); ; {
		if _, err := f.Write(block); err != nil {
			return
		}
	}
}
