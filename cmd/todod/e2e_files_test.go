package main_test

import (
	"encoding/json"
	"hash/crc32"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cespare/xxhash/v2"
	bolt "go.etcd.io/bbolt"
)

// oddities is a stopped node's folder, of which each case gets a copy to do something to, while
// the rest of its group runs.
type oddities struct {
	t     *testing.T
	g     *group
	n     *node  // whose folder it is
	whole string // a copy of its folder as it was
	other string // the folder of another node of the group
	alien string // that of a node of the same name in another group
}

func newOddities(t *testing.T) *oddities {
	t.Helper()
	g := newGroup(t, 3)
	l := startLoad(t, g.nodes, 4)
	l.waitAcks(50)
	l.end()
	wantCommand(t, 0, "transfer", "n1", "--server", g.nodes[0].http)
	g.wantSameHashes(g.nodes...)
	o := &oddities{t: t, g: g, n: g.nodes[1], other: filepath.Join(t.TempDir(), "other"), alien: filepath.Join(t.TempDir(), "alien")}
	o.whole = filepath.Join(t.TempDir(), "whole")
	o.n.term()
	copyFolder(t, o.folder(), o.whole)
	g.nodes[2].term()
	copyFolder(t, filepath.Join(g.nodes[2].data, "n3"), o.other)
	g.nodes[2].start()

	alien := newNode(t, "n2")
	alien.start()
	g.waitReady(alien)
	for range 20 {
		alien.add("alien", "of another group")
	}
	alien.term()
	copyFolder(t, filepath.Join(alien.data, "n2"), o.alien)
	g.waitReady(g.nodes[0], g.nodes[2])
	return o
}

func (o *oddities) folder() string { return filepath.Join(o.n.data, o.n.id) }

func (o *oddities) file(name string) string { return filepath.Join(o.folder(), name) }

// copyFolder makes to a copy of the folder from, and nothing else.
func copyFolder(t *testing.T, from, to string) {
	t.Helper()
	if err := os.RemoveAll(to); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
}

// odd is something done to the files of a stopped node.
type odd func(t *testing.T, o *oddities)

// The ways in which any file can be wrong.
func without(name string) odd {
	return func(t *testing.T, o *oddities) { must(t, os.Remove(o.file(name))) }
}

func holding(name, text string) odd {
	return func(t *testing.T, o *oddities) { must(t, os.WriteFile(o.file(name), []byte(text), 0o600)) }
}

func empty(name string) odd { return holding(name, "") }

func garbage(name string) odd { return holding(name, strings.Repeat("garbage\x00\xff", 4000)) }

// cut leaves a file a part of its length; of a bolt file, of the length that is in use.
func cut(name string, part float64) odd {
	return func(t *testing.T, o *oddities) {
		must(t, os.Truncate(o.file(name), int64(float64(used(t, o.file(name)))*part)))
	}
}

// used is how much of a file holds anything: bolt makes its files longer than it needs.
func used(t *testing.T, path string) (size int64) {
	t.Helper()
	if filepath.Ext(path) == ".db" {
		db, err := bolt.Open(path, 0o600, &bolt.Options{ReadOnly: true})
		must(t, err)
		defer db.Close()
		must(t, db.View(func(tx *bolt.Tx) error { size = tx.Size(); return nil }))
		return size
	}
	info, err := os.Stat(path)
	must(t, err)
	return info.Size()
}

func aFolder(name string) odd {
	return func(t *testing.T, o *oddities) {
		must(t, os.RemoveAll(o.file(name)))
		must(t, os.MkdirAll(filepath.Join(o.file(name), "x"), 0o700))
	}
}

// from takes a file of another folder.
func from(folder func(o *oddities) string, name string) odd {
	return func(t *testing.T, o *oddities) {
		b, err := os.ReadFile(filepath.Join(folder(o), name))
		must(t, err)
		must(t, os.WriteFile(o.file(name), b, 0o600))
	}
}

func other(o *oddities) string { return o.other }
func alien(o *oddities) string { return o.alien }

// saying changes fields of node.json.
func saying(fields map[string]any) odd {
	return func(t *testing.T, o *oddities) {
		b, err := os.ReadFile(o.file("node.json"))
		must(t, err)
		state := map[string]any{}
		must(t, json.Unmarshal(b, &state))
		maps.Copy(state, fields)
		b, err = json.Marshal(state)
		must(t, err)
		must(t, os.WriteFile(o.file("node.json"), b, 0o600))
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Each file of a node's folder missing, empty, cut, full of garbage, of another node, of another group,
// of a newer version: the node is told so in one sentence with the right exit code, or it heals; it never comes
// up as something that it is not.
func TestE2EOddFiles(t *testing.T) {
	leftOutOfShortRace(t)
	o := newOddities(t)
	for _, c := range []struct {
		name string
		do   odd
		code int    // 0: it heals
		says string // part of the sentence
	}{
		{"nothing", func(*testing.T, *oddities) {}, 0, ""},
		{"node.json missing", without("node.json"), 73, "lost its identity"},
		{"node.json empty", empty("node.json"), 73, "node.json is damaged"},
		{"node.json cut", cut("node.json", 0.5), 73, "node.json is damaged"},
		{"node.json garbage", garbage("node.json"), 73, "node.json is damaged"},
		{"node.json a folder", aFolder("node.json"), 74, "cannot be read"},
		{"node.json of another node", from(other, "node.json"), 73, "belongs to node n3"},
		{"node.json of another group", from(alien, "node.json"), 73, "another data folder"},
		{"node.json newer", saying(map[string]any{"version": 2}), 73, "newer todod"},
		{"node.json in an unknown phase", saying(map[string]any{"phase": "dreaming"}), 73, "node.json is damaged"},
		{"node.json that forgot the group", saying(map[string]any{"phase": "empty", "group": ""}), 73, "node.json is older than"},
		{"node.json of no group", saying(map[string]any{"group": ""}), 73, "node.json is damaged"},
		{"half a node.json on the way", holding("node.json.tmp", `{"ver`), 0, ""},

		{"log missing", without("raft.db"), 73, "lost its log"},
		{"log empty", empty("raft.db"), 73, "lost its log"},
		{"log cut within its first page", cut("raft.db", 0.001), 78, "log is damaged"},
		{"log cut to a third", cut("raft.db", 0.3), 78, "log is damaged"},
		{"log cut at its end", cut("raft.db", 0.99), 78, "log is damaged"},
		{"log without its slack", cut("raft.db", 1), 0, ""},
		{"log garbage", garbage("raft.db"), 78, "log is damaged"},
		{"log a folder", aFolder("raft.db"), 74, "log cannot be opened"},
		{"log newer", row("raft.db", "conf", "Owner", func(b []byte) []byte {
			return []byte(strings.Replace(string(b), `"version":1`, `"version":2`, 1))
		}), 73, "newer todod"},
		{"log of another node", from(other, "raft.db"), 73, "another data folder"},
		{"log of another group", from(alien, "raft.db"), 73, "another data folder"},

		// Before any other has healed: put in the place of one that did, an older replica is an old copy.
		{"replica of another node", from(other, "replica.db"), 0, ""},
		{"replica missing", without("replica.db"), 0, ""},
		{"replica empty", empty("replica.db"), 0, ""},
		{"replica cut within its first page", cut("replica.db", 0.001), 0, ""},
		{"replica cut to a third", cut("replica.db", 0.3), 0, ""},
		{"replica cut at its end", cut("replica.db", 0.99), 0, ""},
		{"replica without its slack", cut("replica.db", 1), 0, ""},
		{"replica garbage", garbage("replica.db"), 0, ""},
		{"replica a folder", aFolder("replica.db"), 74, "replica"},
		{"replica newer", row("replica.db", "rows", metaKey, newerRow), 73, "newer todod"},
		{"replica of another group", from(alien, "replica.db"), 73, "another group"},
		{"half a replica on the way", holding("replica-1.tmp", "half"), 0, ""},

		{"canary missing", without("canary"), 0, ""},
		{"canary empty", empty("canary"), 0, ""},
		{"canary garbage", garbage("canary"), 0, ""},
		{"canary a folder", aFolder("canary"), 74, "cannot be used"},
		{"lock missing", without("lock"), 0, ""},
		{"lock garbage", garbage("lock"), 0, ""},
		{"lock a folder", aFolder("lock"), 1, "cannot be written"},
		{"strange files", func(t *testing.T, o *oddities) { holding("x.db", "x")(t, o); aFolder("old")(t, o) }, 0, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			copyFolder(t, o.whole, o.folder())
			c.do(t, o)
			o.want(t, c.code, c.says)
		})
	}
}

func (o *oddities) want(t *testing.T, code int, says string) {
	t.Helper()
	if code == 0 {
		o.n.start()
		defer o.n.kill()
		o.g.waitReady(o.n)
		o.g.wantSameHashes(o.g.nodes...)
		o.n.term()
		copyFolder(t, o.folder(), o.whole) // the group would turn away what it has seen more in
		return
	}
	_, stderr, got := command(t, o.n.flags()...)
	if got != code {
		t.Errorf("exit code %d, want %d", got, code)
	}
	wantSentence(t, stderr, says, o.n.data)
}

// row changes a row of a bolt file.
func row(name, bucket, key string, change func(value []byte) []byte) odd {
	return func(t *testing.T, o *oddities) {
		db, err := bolt.Open(o.file(name), 0o600, nil)
		must(t, err)
		defer db.Close()
		must(t, db.Update(func(tx *bolt.Tx) error {
			b := tx.Bucket([]byte(bucket))
			return b.Put([]byte(key), change(append([]byte(nil), b.Get([]byte(key))...)))
		}))
	}
}

const metaKey = "\x00meta"

// newerRow is the meta row of a replica as a newer version would seal it.
func newerRow(row []byte) []byte {
	row = row[:len(row)-4]
	row[0]++
	sum := crc32.Update(uint32(xxhash.Sum64String(metaKey)), crc32.MakeTable(crc32.Castagnoli), row)
	return append(row, byte(sum>>24), byte(sum>>16), byte(sum>>8), byte(sum))
}

// The file that keeps a second process away is taken from under the first.
func TestE2ELockTakenAway(t *testing.T) {
	n := newNode(t, "n1")
	n.start()
	waitReady(t, n)
	must(t, os.Remove(filepath.Join(n.data, n.id, "lock")))
	_, stderr, code := command(t, "serve", "--id", n.id, "--data", n.data, "--http", freeAddr(t), "--raft", freeAddr(t))
	if code != 1 {
		t.Errorf("exit code %d, want 1", code)
	}
	wantSentence(t, stderr, "another process", n.data)
	n.add("bob", "after")
	n.term()
}
