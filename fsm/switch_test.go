package fsm

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/raft"
	bolt "go.etcd.io/bbolt"

	"todod/fsm/todo"
)

// toRestore is the command that restores a backup, into an epoch.
func toRestore(b []byte, epoch uint64) *Command {
	about, err := CheckBackup(bytes.NewReader(b))
	if err != nil {
		panic(err)
	}
	return &Command{Type: TypeRestore, Version: 1, Payload: Restore{about.Hash, about.Size, epoch}.Encode()}
}

func stage(t testing.TB, n *node, b []byte) {
	t.Helper()
	if _, err := n.r.Stage(bytes.NewReader(b), true); err != nil {
		t.Fatal(err)
	}
}

// older is a backup, and a node whose group went on after it.
func older(t testing.TB) (b []byte, n *node) {
	n = lived(t)
	b = backup(t, n)
	n.do(addCommand("list0", "later"), addCommand("new", "later"), addCommand("new", "later"))
	n.do(todoCommand(todo.Op{Kind: todo.DeleteList, List: "list1"}))
	return b, n
}

func TestRestoreBackup(t *testing.T) {
	b, n := older(t)
	was := n.view()
	rev, list0 := was.Rev(), first(was.List("list0"))
	members, conf := was.Members(), n.r.store.meta.Conf
	was.Close()
	stage(t, n, b)
	res := n.do(toRestore(b, 9))[0]
	if res.Code != todo.OK || res.Epoch != 9 || res.Rev != rev+1 {
		t.Fatalf("it came to %+v at rev %d", res, rev)
	}
	n.sound()
	v := n.view()
	defer v.Close()
	if v.Rev() != rev+1 || v.Epoch() != 9 || len(v.Members()) != len(members) || len(members) == 0 || !bytes.Equal(n.r.store.meta.Conf, conf) {
		t.Errorf("rev %d, epoch %d, members %v", v.Rev(), v.Epoch(), v.Members())
	}
	if changes, _, ok := v.Changes("", rev, 5, 1<<20); ok || len(changes) > 0 {
		t.Errorf("changes over the restore: %v", changes)
	}
	if _, _, ok := v.Changes("", rev+1, 5, 1<<20); !ok {
		t.Error("no changes after the restore")
	}
	// All lists are as the backup had them: a backup of now differs in what says where it was made.
	if again := backup(t, n); !bytes.Equal(records(t, again, "new", "list0"), records(t, b, "new", "list0")) {
		t.Error("the lists are not those of the backup")
	}
	if got := first(v.List("list0")); got.LastID != list0.LastID || got.Entries != list0.Entries-1 {
		t.Errorf("list0 is %+v, was %+v", got, list0)
	}
	if _, there := v.List("new"); there {
		t.Error("a list that came after the backup is still there")
	}
	// No id is given twice, by a list that is in the backup or one that is not.
	for name, want := range map[string]uint64{"list0": list0.LastID + 1, "new": 3} {
		if res := n.do(addCommand(name, "x"))[0]; res.Items[0].Entry.ID != want || res.Epoch != 9 {
			t.Errorf("%s gave %+v, want id %d", name, res, want)
		}
	}
	// Sessions are closed, and their numbers not used again.
	if res := n.do(numbered(addCommand("bob", "x"), 1, 1000, 1000))[0]; res.Code != SessionClosed {
		t.Errorf("an old session: %+v", res)
	}
	if res := n.do(openSession("n1", "boot"))[0]; res.Value != 2 {
		t.Errorf("the next session is %+v", res)
	}
	// A key that the backup has gives its first answer; one that came later is free.
	if res := n.do(keyed(addCommand("list1", "t48"), "key24"))[0]; !res.Replayed && res.Code != KeyReused {
		t.Errorf("a key of the backup: %+v", res)
	}
	// An ETag of the old epoch does not hold.
	old := todoCommand(todo.Op{Kind: todo.Patch, List: "list0", ID: 1, Fields: todo.Fields{Set: todo.FieldTitle, Title: "z"},
		If: todo.Condition{Match: []todo.Tag{{Epoch: 7, Rev: first(v.Entry("list0", 1)).Rev}}}})
	if res := n.do(old)[0]; res.Code != todo.Precondition {
		t.Errorf("an ETag of the epoch before: %+v", res)
	}
	n.sound()
}

// records are the lists and keys of a backup, but for the highest ids of some lists.
func records(t *testing.T, b []byte, but ...string) []byte {
	t.Helper()
	l := &lister{but: but}
	if _, err := readBackup(bytes.NewReader(b), l); err != nil {
		t.Fatal(err)
	}
	return l.b
}

type lister struct {
	b   []byte
	but []string
}

func (l *lister) list(of todo.List, deleted bool) error {
	for _, name := range l.but {
		if of.Name == name {
			of.LastID = 0
			if deleted {
				return nil
			}
		}
	}
	of.Num = 1
	l.b = appendBackupList(l.b, &of)
	return nil
}

func (l *lister) entry(e todo.Entry) error {
	l.b = appendEntry(l.b, &e)
	return nil
}

func (l *lister) trash(todo.Trashed) error  { return nil }
func (l *lister) trace(uint64, Trace) error { return nil }
func (l *lister) key(k backupKey) error {
	l.b = append(append(append(l.b, k.hash...), k.fingerprint...), k.result...)
	return nil
}

func first[A, B any](a A, _ B) A { return a }

// Every node comes to the same, however it got the backup, and whatever was flushed before.
func TestRestoreIsTheSameEverywhere(t *testing.T) {
	b, n := older(t)
	cmd := toRestore(b, 9)
	n.append(cmd)
	n.append(addCommand("bob", "after"))
	n.append(keyed(addCommand("list0", "after"), "a new key"))
	n.append(&Command{Type: TypeSweep, Version: 1, Payload: Sweep{3}.Encode()})
	nodes := map[string]*node{}
	for _, name := range []string{"staged", "flushed", "one batch", "fetched", "restarted", "by snapshot"} {
		m := newNode(t)
		m.log = n.log
		if name != "fetched" {
			stage(t, m, b)
		}
		m.fetch = func(_ context.Context, what Restore) error {
			if name != "fetched" && name != "by snapshot" {
				t.Errorf("%s fetches", name)
			}
			_, err := m.r.Stage(bytes.NewReader(b), false)
			return err
		}
		if name == "restarted" {
			m.crash()
		}
		switch name {
		case "by snapshot":
			if err := nodes["flushed"].r.Flush(); err != nil {
				t.Fatal(err)
			}
			if err := send(nodes["flushed"], m); err != nil {
				t.Fatal(err)
			}
		case "one batch":
			for i, res := range m.r.ApplyBatch(m.log) {
				if results, ok := res.([]Result); !ok && m.log[i].Type == raft.LogCommand || ok && len(results) == 0 && m.log[i].Type == raft.LogCommand {
					t.Fatalf("entry %d came to %v", i, res)
				}
			}
		default:
			for i, log := range m.log {
				m.r.Apply(log)
				if name == "flushed" && i%3 == 0 {
					m.sound()
				}
			}
		}
		m.sound()
		nodes[name] = m
		sameState(t, nodes["staged"], m)
	}
	if got := nodes["staged"].titles("bob"); got != "after" {
		t.Errorf("bob has %q", got)
	}
}

// The process may end at any step of staging, of the switch, and of what follows; the entry of the restore
// is replayed unless the file has it.
func TestCrashInRestoreOfBackup(t *testing.T) {
	for version, older := range map[string]func(testing.TB) ([]byte, *node){"1": older, "2": older2} {
		t.Run("version "+version, func(t *testing.T) {
			b, n := older(t)
			crashInRestoreOfBackup(t, b, n)
		})
	}
}

func crashInRestoreOfBackup(t *testing.T, b []byte, n *node) {
	t.Helper()
	if err := n.r.Flush(); err != nil {
		t.Fatal(err)
	}
	n.do(addCommand("bob", "not flushed"))
	want := newNode(t)
	for _, log := range n.log {
		want.r.Apply(log)
	}
	want.log = n.log[:len(n.log):len(n.log)]
	var c crashes
	c.watch(n)
	c.at("before")
	stage(t, n, b)
	stage(t, want, b)
	c.at("staged")
	for _, cmd := range []*Command{toRestore(b, 9), addCommand("bob", "after"), addCommand("list0", "after")} {
		want.do(cmd)
	}
	log := want.log[len(want.log)-3]
	n.log = want.log[:len(want.log)-2] // committed before it is applied
	c.at("committed")
	n.r.Apply(log)
	c.at("switched")
	last := want.log[len(want.log)-1].Index
	n.log = want.log
	n.r.ApplyBatch(want.log[len(want.log)-2:])
	if err := n.snapshot(last); err != nil {
		t.Fatal(err)
	}
	n.truncate(last - 1)
	c.at("cut")
	sameState(t, want, n)
	for i := range c.images { // each finds the backup staged, or gets it from another node
		c.images[i].fetch = b
	}
	c.check(t, want, "before", "stage: all is checked", "stage: all is durable", "stage: it has its name", "staged", "committed",
		"switch: the replica is made", "restore: the old file is closed", "restore: the new file is in place", "switched", "cut")
}

// A node without the backup waits, applies nothing that follows, and takes no snapshot beyond it.
func TestRestoreOfWhatIsNotStaged(t *testing.T) {
	b, n := older(t)
	n.do(addCommand("bob", "before"))
	before := n.r.Hash()
	for _, log := range []*raft.Log{n.append(toRestore(b, 9)), n.append(addCommand("bob", "after"))} {
		if err, ok := n.r.Apply(log).(error); !ok || !strings.Contains(err.Error(), "nobody has it") {
			t.Fatalf("it came to %v", err)
		}
	}
	if n.r.Hash() != before || len(n.fatal) > 0 {
		t.Error("the state changed", n.fatal)
	}
	if _, err := n.r.Snapshot(); err == nil {
		t.Error("a snapshot was taken of what was not applied")
	}
	if n.titles("bob") != "before" {
		t.Error("it is not read any more")
	}
	// After a restart it goes on where it was.
	n.fetch = func(context.Context, Restore) error { _, err := n.r.Stage(bytes.NewReader(b), false); return err }
	n.crash()
	if got := n.titles("bob"); got != "after" {
		t.Errorf("bob has %q", got)
	}
	n.sound()
}

// A replica that was received ends the wait for a backup, which perhaps no node has any more.
func TestReceivedReplicaEndsTheWait(t *testing.T) {
	b, leader := older(t)
	n := newNode(t)
	for _, log := range leader.log {
		n.r.Apply(log)
	}
	stage(t, leader, b)
	leader.do(toRestore(b, 9))
	leader.do(addCommand("bob", "after"))
	if err := leader.r.Flush(); err != nil {
		t.Fatal(err)
	}
	waits, came := make(chan struct{}), make(chan error)
	n.fetch = func(ctx context.Context, _ Restore) error {
		close(waits)
		<-ctx.Done()
		return ctx.Err()
	}
	go func() {
		log := leader.log[len(leader.log)-2]
		err, _ := n.r.Apply(log).(error)
		came <- err
	}()
	<-waits
	sink, err := receive(leader, n)
	if err != nil {
		t.Fatal(err)
	}
	if err := <-came; err == nil {
		t.Error("the restore was applied")
	}
	_, rc, err := n.r.Snapshots().Open(sink.ID())
	if err != nil {
		t.Fatal(err)
	}
	if err := n.r.Restore(rc); err != nil {
		t.Fatal(err)
	}
	sameState(t, leader, n)
	n.log = leader.log
	n.do(addCommand("bob", "goes on"))
	if got := n.titles("bob"); got != "after goes on" {
		t.Errorf("bob has %q", got)
	}
	n.sound()
}

// A staged backup that decayed is not used, but fetched again; one whose node restarted is made ready again.
func TestStagedBackupDecays(t *testing.T) {
	b, n := older(t)
	stage(t, n, b)
	hash := n.r.Staged()[0].Hash
	path := filepath.Join(n.dir, "restore-"+hash+".backup")
	damaged := bytes.Clone(b)
	damaged[len(b)/2] ^= 1
	if err := os.WriteFile(path, damaged, 0o600); err != nil {
		t.Fatal(err)
	}
	n.crash() // the replica made of it is gone
	if all := n.r.Staged(); len(all) != 1 || all[0] != (Staged{Hash: hash, Size: int64(len(b))}) {
		t.Fatalf("staged are %+v", all)
	}
	fetched := false
	n.fetch = func(context.Context, Restore) error {
		fetched = true
		_, err := n.r.Stage(bytes.NewReader(b), false)
		return err
	}
	if res := n.do(toRestore(b, 9))[0]; res.Code != todo.OK || !fetched {
		t.Errorf("it came to %+v, fetched %v", res, fetched)
	}
	if all := n.r.Staged(); all[0].Applied != n.log[len(n.log)-1].Index {
		t.Errorf("staged are %+v", all)
	}
	// The same one again.
	if ok, err := n.r.Prepare(hash); !ok || err != nil || n.r.Staged()[0].Applied != 0 {
		t.Errorf("prepare: %v, %v, %+v", ok, err, n.r.Staged())
	}
	if res := n.do(toRestore(b, 11))[0]; res.Epoch != 11 {
		t.Errorf("again it came to %+v", res)
	}
	n.sound()
	n.r.DropStaged(hash)
	if ok, err := n.r.Prepare(hash); ok || err != nil || n.r.HasStaged(hash) {
		t.Errorf("prepare of what was dropped: %v, %v", ok, err)
	}
	left, err := filepath.Glob(filepath.Join(n.dir, "re*-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

// What cannot be staged leaves nothing behind.
func TestStageRefuses(t *testing.T) {
	b, n := older(t)
	odd := bytes.Clone(b)
	odd[len(odd)-1] ^= 1
	for what, bad := range map[string][]byte{"a wrong hash": odd, "half": b[:len(b)/2], "something else": []byte("{}")} {
		if _, err := n.r.Stage(bytes.NewReader(bad), true); !isBackupError(err) {
			t.Errorf("%s: %v", what, err)
		}
	}
	left, err := filepath.Glob(filepath.Join(n.dir, "re*-*"))
	if err != nil || len(left) > 0 || len(n.r.Staged()) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
	for what, c := range map[string]*Command{
		"beside another": toRestore(b, 9), "of epoch 0": toRestore(b, 0), "numbered": numbered(toRestore(b, 9), 1, 1, 1),
		"without a hash": {Type: TypeRestore, Version: 1, Payload: Restore{"x", 1, 9}.Encode()},
		"cut":            {Type: TypeRestore, Version: 1, Payload: toRestore(b, 9).Payload[:9]},
	} {
		n := newNode(t)
		cmds := []*Command{c}
		if what == "beside another" {
			cmds = append(cmds, addCommand("bob", "x"))
		}
		if err, ok := n.r.Apply(n.append(cmds...)).(error); !ok || !errors.Is(err, ErrDamaged) || len(n.fatal) != 1 {
			t.Errorf("%s: %v, Fatal %v", what, err, n.fatal)
		}
	}
}

// A backup of an empty group restores to one, and an empty group takes any.
func TestRestoreOfAndIntoNothing(t *testing.T) {
	empty := newNode(t)
	nothing := backup(t, empty)
	b, n := older(t)
	stage(t, n, nothing)
	n.do(toRestore(nothing, 9))
	n.sound()
	v := n.view()
	if lists, _ := v.Lists("", "", 5); len(lists) != 0 || v.Empty() {
		t.Errorf("lists are %+v", lists)
	}
	v.Close()
	stage(t, empty, b)
	empty.do(toRestore(b, 9))
	empty.sound()
	if !bytes.Equal(records(t, backup(t, empty)), records(t, b)) {
		t.Error("an empty group is not what the backup was")
	}
	// Damage in a replica made of a backup is found as in any.
	if err := empty.r.store.db.Update(func(tx *bolt.Tx) error { return flip(numKey(tabEntry, 1, 1))(tx.Bucket(rowsBucket)) }); err != nil {
		t.Fatal(err)
	}
	if err := empty.r.Rescan(t.Context()); !errors.Is(err, ErrCorrupt) {
		t.Errorf("damage: %v", err)
	}
}
