package fsm

import (
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

func emptyBolt(t *testing.T) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "empty.db")
	db, err := bolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// edit changes the rows of a node's file while it is down.
func edit(t *testing.T, n *node, change func(b *bolt.Bucket) error) {
	t.Helper()
	if err := n.r.Close(); err != nil {
		t.Fatal(err)
	}
	db, err := bolt.Open(filepath.Join(n.dir, FileName), 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bolt.Tx) error { return change(tx.Bucket(rowsBucket)) })
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
}

func flip(key string) func(b *bolt.Bucket) error {
	return func(b *bolt.Bucket) error {
		row := append([]byte(nil), b.Get([]byte(key))...)
		row[len(row)/2] ^= 1
		return b.Put([]byte(key), row)
	}
}

// reads calls f and returns the error that a View method panicked with.
func reads(f func()) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = p.(error)
		}
	}()
	f()
	return nil
}

func TestDamagedRows(t *testing.T) {
	cases := map[string]struct {
		key  string
		read func(v *View)   // nil: only commands meet it
		cmd  func() *Command // nil: only reads meet it
	}{
		"entry": {numKey(tabEntry, 1, 1), func(v *View) { v.Entry("bob", 1) },
			func() *Command { return todoCommand(patchDone("bob", 1)) }},
		"entry in a page": {numKey(tabEntry, 1, 1), func(v *View) { v.Entries("bob", Query{Limit: 5}) }, nil},
		"list":            {textKey(tabList, "bob"), func(v *View) { v.List("bob") }, func() *Command { return addCommand("bob", "x") }},
		"list in a page":  {textKey(tabList, "bob"), func(v *View) { v.Lists("", "", 5) }, nil},
		"date":            {dateKey(1, "2018-12-19", 1), func(v *View) { v.Entries("bob", Query{Date: "2018-12-19", Limit: 5}) }, nil},
		"date that a command takes away": {dateKey(1, "2018-12-19", 1), nil,
			func() *Command { return todoCommand(todo.Op{Kind: todo.Delete, List: "bob", ID: 1}) }},
		"change": {numKey(tabChange, 1), func(v *View) { v.Changes("", 0, 5, 1<<20) }, nil},
		"member": {textKey(tabMember, "n1"), func(v *View) { v.Members() }, nil},
		"one member": {textKey(tabMember, "n1"), func(v *View) { v.Member("n1") }, func() *Command {
			return &Command{Type: TypeMember, Version: 1, Payload: Member{ID: "n1", Folder: "f1", Status: Known}.Encode()}
		}},
		"folder": {textKey(tabFolder, "f1"), func(v *View) { v.FolderOwner("f1") }, nil},
		"key":    {keyHash("", "k1"), nil, func() *Command { return keyed(addCommand("bob", "one"), "k1") }},
	}
	for name, c := range cases {
		damaged := func(t *testing.T) *node {
			n := newNode(t)
			n.do(keyed(addCommand("bob", "one"), "k1"),
				&Command{Type: TypeMember, Version: 1, Payload: Member{ID: "n1", Folder: "f1", Status: Known}.Encode()})
			n.sound()
			if err := n.r.store.db.Update(func(tx *bolt.Tx) error { return flip(c.key)(tx.Bucket(rowsBucket)) }); err != nil {
				t.Fatal(err)
			}
			return n
		}
		ended := func(t *testing.T, n *node) {
			t.Helper()
			if len(n.fatal) != 1 || !errors.Is(n.fatal[0], ErrCorrupt) || !errors.Is(n.fatal[0], ErrStorage) || errors.Is(n.fatal[0], ErrDamaged) || errors.Is(n.fatal[0], ErrUnknown) {
				t.Errorf("Fatal was told %v", n.fatal)
			}
			if _, err := n.r.View(); !errors.Is(err, ErrStorage) {
				t.Errorf("a view after it: %v", err)
			}
			if _, ok := n.r.Apply(n.append(addCommand("ann", "x"))).(error); !ok {
				t.Error("a command was applied after it")
			}
			if _, err := n.r.Snapshots().List(); err == nil {
				t.Error("a snapshot was listed after it")
			}
			if err := n.r.WaitIndex(context.Background(), 1<<40); !errors.Is(err, ErrStorage) {
				t.Errorf("a wait after it: %v", err)
			}
			n.r.Close()
			if _, ok := n.r.Apply(n.log[0]).(error); !ok || len(n.fatal) != 1 {
				t.Errorf("after the close: %v", n.fatal)
			}
		}
		if c.read != nil {
			t.Run(name+" read", func(t *testing.T) {
				n := damaged(t)
				v := n.view()
				err := reads(func() { c.read(v) })
				v.Close()
				if !errors.Is(err, ErrStorage) {
					t.Errorf("the read came to %v", err)
				}
				ended(t, n)
			})
		}
		if c.cmd != nil {
			t.Run(name+" command", func(t *testing.T) {
				n := damaged(t)
				if err, ok := n.r.Apply(n.append(c.cmd())).(error); !ok || !errors.Is(err, ErrStorage) {
					t.Errorf("the command came to %v", err)
				}
				ended(t, n)
			})
		}
	}
}

func TestDamagedFile(t *testing.T) {
	newer := func(b *bolt.Bucket) error {
		row := append([]byte(nil), b.Get(metaKey)...)
		row[0] = rowVersion + 1
		return b.Put(metaKey, seal(string(metaKey), row[:len(row)-crcSize]))
	}
	cases := map[string]struct {
		change func(b *bolt.Bucket) error
		want   error
	}{
		"meta row":             {flip(string(metaKey)), ErrCorrupt},
		"no meta row":          {func(b *bolt.Bucket) error { return b.Delete(metaKey) }, ErrCorrupt},
		"a newer version":      {newer, ErrUnknown},
		"session row":          {flip(numKey(tabSession, 1)), ErrCorrupt},
		"result row":           {flip(numKey(tabResult, 1, 1)), ErrCorrupt},
		"entry row":            {flip(numKey(tabEntry, 1, 1)), ErrCorrupt},
		"result of no session": {func(b *bolt.Bucket) error { return b.Delete([]byte(numKey(tabSession, 1))) }, ErrCorrupt},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			n := newNode(t)
			n.do(openSession("n1", "boot"), numbered(addCommand("bob", "one"), 1, 1, 1))
			edit(t, n, c.change)
			r, err := Open(Config{Dir: n.dir})
			if !errors.Is(err, c.want) {
				t.Errorf("Open came to %v, want %v", err, c.want)
			}
			if err == nil {
				r.Abandon()
			}
			if err := Check(n.dir); err == nil {
				t.Error("Check found nothing")
			}
		})
	}
	t.Run("a row gone", func(t *testing.T) {
		n := newNode(t)
		n.do(addCommand("bob", "one"))
		edit(t, n, func(b *bolt.Bucket) error { return b.Delete([]byte(numKey(tabEntry, 1, 1))) })
		if err := Check(n.dir); !errors.Is(err, ErrCorrupt) {
			t.Errorf("Check came to %v", err)
		}
	})
	t.Run("sound", func(t *testing.T) {
		n := newNode(t)
		history(n, 0, 30)
		if err := errors.Join(n.r.Close(), Check(n.dir)); err != nil {
			t.Error(err)
		}
	})
	t.Run("garbage", func(t *testing.T) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, FileName), []byte(strings.Repeat("garbage", 9999)), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(Config{Dir: dir}); !errors.Is(err, ErrCorrupt) {
			t.Errorf("Open came to %v", err)
		}
	})
	t.Run("in use", func(t *testing.T) {
		n := newNode(t)
		if _, err := Open(Config{Dir: n.dir}); err == nil || errors.Is(err, ErrStorage) {
			t.Errorf("a second Open came to %v", err)
		}
	})
}

// A file that was cut short faults when its pages are read: that must end the process as a
// storage error, not as a crash.
func TestTruncatedFile(t *testing.T) {
	n := newNode(t)
	for range 200 {
		n.do(addCommand("bob", strings.Repeat("x", 500)))
	}
	n.sound()
	if err := os.Truncate(filepath.Join(n.dir, FileName), 2*4096); err != nil {
		t.Fatal(err)
	}
	_, err := n.r.View()
	if err == nil {
		t.Fatal("a view of a file without pages was opened")
	}
	if len(n.fatal) != 1 || !errors.Is(n.fatal[0], ErrStorage) {
		t.Errorf("Fatal was told %v, the view %v", n.fatal, err)
	}
}

// An entry that cannot be read halts the node before any of it counts; what was good stays.
func TestBadEntriesHalt(t *testing.T) {
	good := EncodeEnvelope(Stamp{Time: testTime}, []*Command{addCommand("bob", "x")})
	flipped := append([]byte(nil), good...)
	flipped[len(flipped)/2] ^= 1
	version := append([]byte(nil), good[:len(good)-crcSize]...)
	version[2] = envelopeVersion + 1
	one := func(c *Command) []byte {
		return EncodeEnvelope(Stamp{Time: testTime}, []*Command{addCommand("bob", "x"), c})
	}
	unknownOp := todoCommand(addOp("bob", "x"))
	unknownOp.Payload[2] = 99
	cases := map[string]struct {
		data []byte
		want error
	}{
		"nothing":             {nil, ErrDamaged},
		"garbage":             {[]byte(strings.Repeat("x", 64)), ErrDamaged},
		"flipped bit":         {flipped, ErrDamaged},
		"cut":                 {good[:len(good)-1], ErrDamaged},
		"a newer envelope":    {resum(version), ErrUnknown},
		"an unknown type":     {one(&Command{Type: 99, Version: 1}), ErrUnknown},
		"a newer command":     {one(&Command{Type: TypeTodo, Version: 9, Payload: addCommand("bob", "x").Payload}), ErrUnknown},
		"an unknown flag":     {one(&Command{Type: TypeTodo, Version: 1, Flags: 1, Payload: addCommand("bob", "x").Payload}), ErrUnknown},
		"an unknown kind":     {one(unknownOp), ErrUnknown},
		"a damaged payload":   {one(&Command{Type: TypeTodo, Version: 1, Payload: []byte{9, 9, 9}}), ErrDamaged},
		"a damaged session":   {one(&Command{Type: TypeSession, Version: 1, Payload: []byte{200}}), ErrDamaged},
		"a damaged term":      {one(&Command{Type: TypeTerm, Version: 1}), ErrDamaged},
		"a damaged member":    {one(&Command{Type: TypeMember, Version: 1, Payload: []byte{1, 1}}), ErrDamaged},
		"an unknown status":   {one(&Command{Type: TypeMember, Version: 1, Payload: Member{ID: "a", Folder: "b", Status: 3}.Encode()}), ErrUnknown},
		"a cut version":       {one(&Command{Type: TypeVersion, Version: 1}), ErrDamaged},
		"trailing in a sweep": {one(&Command{Type: TypeSweep, Version: 1, Payload: []byte{1, 1}}), ErrDamaged},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			n := newNode(t)
			n.do(openSession("n1", "boot"), numbered(addCommand("bob", "one"), 1, 1, 1))
			before := n.r.Hash()
			index, _ := n.r.Applied()
			bad := &raft.Log{Index: index + 1, Term: 1, Data: c.data}
			for i, res := range n.r.ApplyBatch([]*raft.Log{bad, {Index: index + 2, Term: 1, Data: good}}) {
				if err, ok := res.(error); !ok || !errors.Is(err, c.want) {
					t.Errorf("response %d is %v, want %v", i, res, c.want)
				}
			}
			if len(n.fatal) != 1 || !errors.Is(n.fatal[0], c.want) {
				t.Errorf("Fatal was told %v", n.fatal)
			}
			if n.r.Hash() != before {
				t.Error("the state changed")
			}
			if _, err := n.r.Snapshot(); err == nil {
				t.Error("a snapshot was taken")
			}
			if err := n.r.Close(); err == nil {
				t.Error("the close flushed")
			}
			n.open()
			n.replay()
			if n.r.Hash() != before {
				t.Error("the state after a restart is another one")
			}
			n.sound()
		})
	}
}

// A replica names the group whose state it is. It is never taken for another's, whether it is found in the folder or sent.
func TestForeignReplica(t *testing.T) {
	open := func(dir, group string) error {
		r, err := Open(Config{Dir: dir, Group: group})
		if err == nil {
			err = r.Close()
		}
		return err
	}
	n := newNode(t)
	n.do(addCommand("bob", "one"))
	if err := n.r.Close(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		group string
		want  error
	}{{"A", nil}, {"A", nil}, {"", nil}, {"B", ErrForeign}} {
		if err := open(n.dir, c.group); !errors.Is(err, c.want) {
			t.Errorf("opened for group %q: %v, want %v", c.group, err, c.want)
		}
	}
	sent, err := os.ReadFile(filepath.Join(n.dir, FileName))
	if err != nil {
		t.Fatal(err)
	}
	for group, want := range map[string]error{"A": nil, "B": ErrForeign} {
		r, err := Open(Config{Dir: t.TempDir(), Group: group})
		if err != nil {
			t.Fatal(err)
		}
		s, err := r.Snapshots().Create(raft.SnapshotVersionMax, 100, 1, raft.Configuration{}, 1, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Write(sent); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); !errors.Is(err, want) {
			t.Errorf("received by group %s: %v, want %v", group, err, want)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
}

// Who looks beside a request gets an error for damage, and no other panic is taken for it.
func TestLook(t *testing.T) {
	n := newNode(t)
	n.do(addCommand("bob", "one"))
	n.sound()
	title := ""
	if err := n.r.Look(func(v *View) { e, _ := v.Entry("bob", 1); title = e.Title }); err != nil || title != "one" {
		t.Errorf("it sees %q, %v", title, err)
	}
	if err := reads(func() { _ = n.r.Look(func(*View) { panic(errors.ErrUnsupported) }) }); err != errors.ErrUnsupported {
		t.Errorf("a defect came to %v", err)
	}
	if err := n.r.store.db.Update(func(tx *bolt.Tx) error { return flip(numKey(tabEntry, 1, 1))(tx.Bucket(rowsBucket)) }); err != nil {
		t.Fatal(err)
	}
	n.r.store.readers.turn(nil, 0) // they would not see it
	for range 2 {
		if err := n.r.Look(func(v *View) { v.Entry("bob", 1) }); !errors.Is(err, ErrStorage) || len(n.fatal) != 1 {
			t.Errorf("a damaged row: %v, told %v", err, n.fatal)
		}
	}
}
