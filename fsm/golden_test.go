package fsm

import (
	"bufio"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/raft"

	"todod/fsm/todo"
)

// TestGoldenLogs applies the log of each release and expects the state that this release came
// to: two versions that run side by side in a group must agree on it. A file is a line for each
// entry, its type and data, with the rev and the hashes after every tenth. A change
// that breaks it needs a new version of the commands, not a new file.
func TestGoldenLogs(t *testing.T) {
	writeGolden(t, filepath.Join("testdata", "golden", "v1.txt"))
	files, err := filepath.Glob(filepath.Join("testdata", "golden", "*.txt"))
	if err != nil || len(files) == 0 {
		t.Fatal("no golden logs", err)
	}
	for _, path := range files {
		t.Run(filepath.Base(path), func(t *testing.T) { readGolden(t, path) })
	}
}

func readGolden(t *testing.T, path string) {
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	n, index, states := newNode(t), uint64(0), 0
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		kind, rest, _ := strings.Cut(lines.Text(), " ")
		if kind == "state" {
			if states++; rest != state(n) {
				t.Fatalf("after entry %d the state is %q, was %q", index, state(n), rest)
			}
			continue
		}
		data, err := hex.DecodeString(rest)
		if err != nil {
			t.Fatal(err)
		}
		index++
		log := &raft.Log{Index: index, Term: 1, Data: data}
		if kind == "conf" {
			log.Type = raft.LogConfiguration
		}
		if err, ok := n.r.Apply(log).(error); ok {
			t.Fatalf("entry %d: %v", index, err)
		}
	}
	if err := lines.Err(); err != nil || states < 2 {
		t.Fatalf("%d states, %v", states, err)
	}
	n.sound()
}

func state(n *node) string {
	h := n.r.Hash()
	_, rev := n.r.Applied()
	return fmt.Sprint(rev, " ", h.Chain, " ", h.Set)
}

// writeGolden makes the file that is missing when WRITE_SEEDS is set.
func writeGolden(t *testing.T, path string) {
	if _, err := os.Stat(path); err == nil || os.Getenv("WRITE_SEEDS") == "" {
		return
	}
	n := newNode(t)
	history(n, 0, 50)
	n.do(todoCommand(addOp("list0", "x"), todo.Op{Kind: todo.Put, List: "list0", ID: 1, Fields: todo.Fields{Title: "y", Done: true}},
		todo.Op{Kind: todo.Patch, List: "list0", ID: 2, Fields: todo.Fields{Set: todo.FieldDate}}, todo.Op{Kind: todo.Delete, List: "list1", ID: 1}))
	n.do(todoCommand(todo.Op{Kind: todo.DeleteList, List: "list2"}), addCommand("list2", "anew"), todoCommand(todo.Op{Kind: todo.Delete, List: "none", ID: 1}))
	n.do(seedCommands()[4], openSession("n1", "another boot"), openSession("n2", "boot"))
	n.do(keyed(addCommand("list3", "again"), "a key of its own"), keyed(addCommand("list3", "again"), "a key of its own"))
	replay, out := newNode(t), &strings.Builder{}
	for i, log := range n.log {
		kind := "entry"
		if log.Type == raft.LogConfiguration {
			kind = "conf"
		}
		fmt.Fprintln(out, kind, hex.EncodeToString(log.Data))
		if replay.r.Apply(log); i%10 == 9 || i == len(n.log)-1 {
			fmt.Fprintln(out, "state", state(replay))
		}
	}
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(out.String()), 0o644)); err != nil {
		t.Fatal(err)
	}
}
