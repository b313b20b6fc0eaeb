package fsm

import (
	"bufio"
	"compress/gzip"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/raft"

	"todod/fsm/todo"
)

// testdata/golden has a folder for each release, made by `make golden RELEASE=...` and never
// changed afterwards: log.txt, a line for each entry of a log with its type and data, and with the
// rev and the hashes after every tenth; and replica.db.gz, the file of a replica that has applied
// half of it; and lists.backup, a
// backup, with the state that restored.txt says it comes to. Two releases that run side by side in a group must agree on both. A change that breaks
// them needs a new version of the commands, not new files.

// TestGoldenLogs applies the log of each release and expects the state that this release came to.
func TestGoldenLogs(t *testing.T) {
	eachRelease(t, func(t *testing.T, dir string) {
		applyGolden(t, dir, newNode(t), 0)
	})
}

// The golden logs hold each version of each command that this program can apply: a new one comes with its
// release.
func TestGoldenLogsHoldEveryCommand(t *testing.T) {
	logged := map[[2]uint8]bool{
		{uint8(TypeRestore), 1}: true, // restored.txt has what it comes to: it needs a backup beside the log
		{uint8(TypeTodo), 3}:    len(testTodo) > 0,
	}
	eachRelease(t, func(t *testing.T, dir string) {
		b, err := os.ReadFile(filepath.Join(dir, "log.txt"))
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(b)) {
			text, ok := strings.CutPrefix(strings.TrimSpace(line), "entry ")
			if !ok {
				continue
			}
			data, err := hex.DecodeString(text)
			if err != nil {
				t.Fatal(err)
			}
			_, cmds, err := DecodeEnvelope(data)
			if err != nil {
				t.Fatal(err)
			}
			for i := range cmds {
				logged[[2]uint8{uint8(cmds[i].Type), cmds[i].Version}] = true
			}
		}
	})
	for typ, versions := range formats {
		for v := range versions {
			if !logged[[2]uint8{uint8(typ), uint8(v + 1)}] {
				t.Errorf("no golden log has a command of type %d, version %d", typ, v+1)
			}
		}
	}
}

// TestGoldenReplicas opens the replica of each release, as an upgraded node does and one that gets
// a snapshot from the older release, and goes on with the rest of the log.
func TestGoldenReplicas(t *testing.T) {
	eachRelease(t, func(t *testing.T, dir string) {
		own := t.TempDir()
		unzip(t, filepath.Join(dir, "replica.db.gz"), filepath.Join(own, FileName))
		n := openNode(t, own, nil)
		from, _ := n.r.Applied()
		if from < 10 || from%10 != 0 {
			t.Fatalf("the replica is at entry %d", from)
		}
		other := newNode(t)
		if err := send(n, other); err != nil {
			t.Fatal(err)
		}
		applyGolden(t, dir, n, from)
		applyGolden(t, dir, other, from)
	})
}

func eachRelease(t *testing.T, check func(t *testing.T, dir string)) {
	root := filepath.Join("testdata", "golden")
	if release := os.Getenv("GOLDEN"); release != "" {
		writeGolden(t, filepath.Join(root, release))
	}
	dirs, err := filepath.Glob(filepath.Join(root, "*"))
	if err != nil || len(dirs) == 0 {
		t.Fatal("no golden files", err)
	}
	for _, dir := range dirs {
		t.Run(filepath.Base(dir), func(t *testing.T) { check(t, dir) })
	}
}

// applyGolden applies what a release logged after an entry to a node that has applied up to it.
func applyGolden(t *testing.T, dir string, n *node, after uint64) {
	t.Helper()
	f, err := os.Open(filepath.Join(dir, "log.txt"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	index, states := uint64(0), 0
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		kind, rest, _ := strings.Cut(lines.Text(), " ")
		if kind == "state" {
			if index < after {
				continue
			}
			if states++; rest != state(n) {
				t.Fatalf("after entry %d the state is %q, was %q", index, state(n), rest)
			}
			continue
		}
		data, err := hex.DecodeString(rest)
		if err != nil {
			t.Fatal(err)
		}
		if index++; index <= after {
			continue
		}
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

// writeGolden makes the folder of a release that has none yet.
func writeGolden(t *testing.T, dir string) {
	if _, err := os.Stat(dir); err == nil {
		return
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	n := newNode(t)
	goldenHistory(n)
	replay, out := newNode(t), &strings.Builder{}
	half := len(n.log) / 20 * 10
	for i, log := range n.log {
		kind := "entry"
		if log.Type == raft.LogConfiguration {
			kind = "conf"
		}
		fmt.Fprintln(out, kind, hex.EncodeToString(log.Data))
		if replay.r.Apply(log); i%10 == 9 || i == len(n.log)-1 {
			fmt.Fprintln(out, "state", state(replay))
		}
		if i+1 == half {
			if err := replay.r.Flush(); err != nil {
				t.Fatal(err)
			}
			zip(t, replay.r.Path(), filepath.Join(dir, "replica.db.gz"))
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "log.txt"), []byte(out.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

// goldenHistory has a command of every type and version that this release proposes.
func goldenHistory(n *node) {
	n.do(&Command{Type: TypeVersion, Version: 1, Payload: Version{Reads}.Encode()})
	history(n, 0, 50)
	n.do(mark())
	n.do(todoCommand(addOp("list0", "x"), todo.Op{Kind: todo.Put, List: "list0", ID: 1, Fields: todo.Fields{Title: "y", Done: true}},
		todo.Op{Kind: todo.Patch, List: "list0", ID: 2, Fields: todo.Fields{Set: todo.FieldDate}}, todo.Op{Kind: todo.Delete, List: "list1", ID: 1}))
	n.do(todoCommand(todo.Op{Kind: todo.DeleteList, List: "list2"}), addCommand("list2", "anew"), todoCommand(todo.Op{Kind: todo.Delete, List: "none", ID: 1}))
	goldenLists(n)
	n.do(seedCommands()[4], openSession("n1", "another boot"), openSession("n2", "boot"))
	n.do(todo2(todo.Op{Kind: todo.Delete, List: "list0", ID: 1}), todo2(todo.Op{Kind: todo.Restore, List: "list0", ID: 1}), todo2(patchDone("list0", 2)))
	_, rev := n.r.Applied()
	n.do(todo2(todo.Op{Kind: todo.Undo, Rev: rev}), todo2(todo.Op{Kind: todo.Delete, List: "list0", ID: 2}, todo.Op{Kind: todo.Purge, List: "list0", ID: 2}))
	n.do(&Command{Type: TypeSettings, Version: 1, Payload: Settings{7, 9}.Encode()})
	n.do(&Command{Type: TypePurge, Version: 1, Payload: Purge{10}.Encode()}, &Command{Type: TypeSweep, Version: 1, Payload: Sweep{10}.Encode()})
	n.do(keyed(addCommand("list3", "again"), "a key of its own"), keyed(addCommand("list3", "again"), "a key of its own"))
}

// What the golden log of the next release will hold does what it is there for.
func TestGoldenHistory(t *testing.T) {
	n := newNode(t)
	goldenHistory(n)
	n.sound()
	logged := map[todo.Kind]bool{}
	for _, log := range n.log {
		_, cmds, err := DecodeEnvelope(log.Data)
		if err != nil {
			continue // a configuration
		}
		for i := range cmds {
			if cmds[i].Type != TypeTodo {
				continue
			}
			cmd, err := cmds[i].decodeTodo()
			if err != nil {
				t.Fatal(err)
			}
			for _, op := range cmd.Ops {
				logged[op.Kind] = true
			}
		}
	}
	for kind := todo.Add; kind <= todo.Arrange; kind++ {
		if !logged[kind] {
			t.Errorf("no operation of kind %d", kind)
		}
	}
	if got := n.titles("whole"); got != "done" {
		t.Errorf("left of the whole entries: %q", got)
	}
	if got := n.titles("renamed"); got != "Dentist" {
		t.Errorf("left of what moved: %q", got)
	}
}

// goldenLists has every kind of operation and every operand of version 2.
func goldenLists(n *node) {
	more := whole
	more.Completed, more.Place, more.Parent = 0, todo.Place{}, 0
	add := todo.Op{Kind: todo.Add, List: "whole", Fields: todo.Fields{Title: "Dentist", Date: "2018-12-19", More: &more}}
	below := todo.Op{Kind: todo.Add, List: "whole", ParentOf: 1, Fields: todo.Fields{Title: "bring the card"}}
	note := todo.Op{Kind: todo.Patch, List: "whole", IDOf: 2, Fields: todo.Fields{Set: todo.FieldNotes, More: &todo.More{Notes: "n"}}}
	n.do(todo2(add, below, note))
	rev := n.do(todo2(todo.Op{Kind: todo.Add, List: "whole", Fields: todo.Fields{Title: "done", Done: true}}))[0].Rev
	n.do(todo2(todo.Op{Kind: todo.Undo, Rev: rev}), todo2(todo.Op{Kind: todo.Restore, List: "whole", ID: 3}))
	n.do(todo2(todo.Op{Kind: todo.Arrange, List: "whole", ID: 3, Where: todo.Where{Rel: todo.First}}),
		todo2(todo.Op{Kind: todo.Arrange, List: "whole", ID: 2, Where: todo.Where{Rel: todo.Before, Neighbor: 1}}))
	n.do(todo2(todo.Op{Kind: todo.Copy, List: "whole", ID: 1, To: "copies"}), todo2(todo.Op{Kind: todo.Move, List: "copies", ID: 1, To: "moved"}),
		todo2(todo.Op{Kind: todo.Patch, List: "copies", ID: 1, Fields: todo.Fields{Set: todo.FieldTitle, Title: "x"}})) // it is elsewhere
	e := n.do(todo2(patchDone("moved", 2)))[0].Items[0].Entry
	n.do(todo2(todo.Op{Kind: todo.Patch, List: "whole", ID: 1, At: rev - 1, Next: &todo.Next{Date: "2019-06-19", Repeat: "FREQ=MONTHLY;INTERVAL=6"},
		Fields: todo.Fields{Set: todo.FieldDone, Done: true}}), todo2(todo.Op{Kind: todo.Patch, List: "moved", ID: 2, At: e.Rev - 1, Fields: todo.Fields{Set: todo.FieldDone}}))
	n.do(todo2(todo.Op{Kind: todo.PatchList, List: "moved", To: "renamed", ListFields: &todo.ListFields{Set: 15,
		ListMore: todo.ListMore{Title: "Bob's", Colour: "#3366cc", Archived: true, Sort: "due"}}}))
	rev = n.do(todo2(todo.Op{Kind: todo.PatchList, List: "renamed", ListFields: &todo.ListFields{Set: todo.ListTitle}}))[0].Rev
	n.do(todo2(todo.Op{Kind: todo.Undo, Rev: rev}), todo2(todo.Op{Kind: todo.Undo, Rev: rev - 1})) // the latter gave it its name
	choice := &Command{Type: TypeTodo, Version: 2, Key: "a key of a choice", Payload: EncodeTodo(&todo.Command{Batch: true, Choice: "all that is done",
		Ops: []todo.Op{{Kind: todo.Patch, List: "renamed", ID: 2, Fields: todo.Fields{Set: todo.FieldTags, More: &todo.More{Tags: []string{"a"}}}}}})}
	again := *choice
	n.do(choice, &again)
	n.do(todo2(todo.Op{Kind: todo.Delete, List: "whole", ID: 1}), todo2(todo.Op{Kind: todo.Purge, List: "whole", ID: 1}), todo2(todo.Op{Kind: todo.Delete, List: "renamed", ID: 2}))
}

func zip(t *testing.T, from, to string) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(to)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w := gzip.NewWriter(f)
	if _, err := w.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

func unzip(t *testing.T, from, to string) {
	t.Helper()
	f, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, b, 0o600); err != nil {
		t.Fatal(err)
	}
}
