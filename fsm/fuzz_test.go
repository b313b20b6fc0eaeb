package fsm

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/hashicorp/raft"

	"todod/fsm/todo"
)

// Whatever can be read has one encoding only, the one that was read: so what a node
// decodes and encodes again when it forwards has the same sums everywhere.

func seedCommands() []*Command {
	full := todo.Op{Kind: todo.Put, List: "\u00fc", ID: 300, Fields: todo.Fields{Set: 7, Title: "x", Date: "2018-12-19", Done: true},
		If: todo.Condition{Match: []todo.Tag{{Epoch: 1, Rev: 2}, todo.AnyTag}, NoneMatch: []todo.Tag{{Epoch: 1 << 60, Rev: 3}}}}
	return []*Command{
		addCommand("bob", "Dentist"),
		numbered(keyed(todoCommand(full, addOp("bob", "x")), "a key of 16 bytes"), 1, 300, 2),
		openSession("n1", "boot"),
		{Type: TypeTerm, Version: 1, Payload: Term{"n1", 7}.Encode()},
		{Type: TypeSweep, Version: 1, Payload: Sweep{1000}.Encode()},
		{Type: TypeMember, Version: 1, Payload: Member{"n1", "folder", "host:1", "host:2", Known}.Encode()},
		{Type: TypeVersion, Version: 1, Payload: Version{1}.Encode()},
		{Type: 99, Version: 2, Flags: 1, Principal: "ann"},
	}
}

func FuzzEnvelope(f *testing.F) {
	f.Add(EncodeEnvelope(Stamp{Time: 0}, nil))
	f.Add(EncodeEnvelope(Stamp{Time: testTime}, seedCommands()))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, data := range [][]byte{data, resum(data)} { // a fuzzer does not find the sum by itself
			stamp, cmds, err := DecodeEnvelope(data)
			if err != nil {
				if !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrUnknown) {
					t.Fatal(err)
				}
				continue
			}
			refs := make([]*Command, len(cmds))
			for i := range cmds {
				refs[i] = &cmds[i]
			}
			if again := EncodeEnvelope(stamp, refs); !bytes.Equal(again, data) {
				t.Fatalf("%x became %x", data, again)
			}
			forwarded, err := DecodeCommands(AppendCommands(nil, refs))
			if err != nil || len(forwarded) != len(cmds) {
				t.Fatalf("%d commands became %d, %v", len(cmds), len(forwarded), err)
			}
		}
	})
}

func FuzzTodoPayload(f *testing.F) {
	f.Add(todo2(todo.Op{Kind: todo.Patch, List: "bob", ID: 1, At: 2, Fields: todo.Fields{Set: todo.FieldNotes | todo.FieldX, More: &whole}}).Payload)
	f.Add(todo2(todo.Op{Kind: todo.Undo, Rev: 300}).Payload)
	f.Add(todo2(deleteOp("bob", 1), restoreOp("bob", 1), deleteOp("bob", 1), purgeOp("bob", 1)).Payload)
	for _, c := range seedCommands()[:2] {
		f.Add(c.Payload)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		cmd, err := DecodeTodo(data)
		if err != nil {
			if !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrUnknown) {
				t.Fatal(err)
			}
			return
		}
		if again := EncodeTodo(&cmd); !bytes.Equal(again, data) {
			t.Fatalf("%x became %x", data, again)
		}
	})
}

func FuzzResult(f *testing.F) {
	e := todo.Entry{ID: 1, Title: "Dentist", Date: "2018-12-19", Done: true, Rev: 5, Created: testTime, Updated: testTime}
	f.Add(AppendResult(nil, &Result{}))
	f.Add(AppendResult(nil, &Result{Code: KeyReused, At: 3, Epoch: 7, Rev: 5, Time: testTime, Value: 9, Replayed: true, Elided: true,
		Items: []todo.Item{{Kind: todo.Add, List: "bob", Entry: e, Changed: true}, {Kind: todo.Delete, List: "bob", Entry: e},
			{Kind: todo.PatchList, List: "rob", Origin: todo.Ref{List: "bob"}, ListChange: &todo.ListChange{Num: 3, From: todo.ListMore{Title: "a"}, To: todo.ListMore{Archived: true}}}}}))
	f.Fuzz(func(t *testing.T, data []byte) {
		res, err := DecodeResult(data)
		if err != nil {
			return
		}
		if again := AppendResult(nil, &res); !bytes.Equal(again, data) {
			t.Fatalf("%x became %x", data, again)
		}
	})
}

// FuzzRow: a row that was not sealed under its key is refused, and what rows hold is read without a
// panic other than that of a damaged row.
func FuzzRow(f *testing.F) {
	e := todo.Entry{ID: 1, Title: "Dentist", Date: "2018-12-19", Done: true, Rev: 5, Created: testTime, Updated: testTime}
	f.Add("e1", appendEntry(newRow(0), &e))
	f.Add("lbob", appendList(newRow(0), &todo.List{Num: 1, LastID: 2, Entries: 1, Open: 1, Rev: 5}))
	f.Add("m", Member{"n1", "f1", "h", "r", Known}.append(newRow(0)))
	f.Add("t1", appendTrashed(newRow(0), &todo.Trashed{Kind: todo.Deleted, Rev: 5, At: testTime, Entry: e, With: []uint64{2, 3}}))
	f.Add("t2", appendTrashed(newRow(0), &todo.Trashed{Kind: todo.MovedAway, Rev: 5, At: testTime, Entry: e, List: "eve", ID: 4, Num: 2}))
	f.Add("w1", appendNames(newRow(0), &Names{since: 3, now: "eve", was: []formerly{{"ann", 5}, {"bob", 7}}}))
	f.Add("h1", appendTrace(newRow(0), &todo.Trace{Rev: 5, At: testTime, Who: "ann", Kind: todo.Patch, From: todo.Fields{Title: "a"}, To: todo.Fields{Done: true, More: &whole}}))
	m := newMeta()
	f.Add(string(metaKey), m.encode())
	m.HistoryBytes, m.TrashDays, m.EventsMiB = 300, 7, 9
	f.Add(string(metaKey), m.encode())
	f.Add("", []byte{2})
	f.Fuzz(func(t *testing.T, key string, row []byte) {
		key = "x" + key
		if payload, err := unseal(key, row); err == nil && !bytes.Equal(seal(key, append(newRow(0), payload...)), row) {
			t.Fatalf("row %x has two forms", row)
		}
		sealed := seal(key, bytes.Clone(row))
		payload, err := unseal(key, sealed)
		switch {
		case len(row) > 0 && row[0] == rowVersion && (err != nil || !bytes.Equal(payload, row[1:])):
			t.Fatalf("%x under %q: %v", row, key, err)
		case len(row) > 0 && row[0] != rowVersion && !errors.Is(err, ErrUnknown):
			t.Fatalf("version %d: %v", row[0], err)
		}
		if len(row) == 0 {
			return
		}
		if _, err := unseal(key+"y", sealed); err == nil {
			t.Fatalf("the row of %q was taken for that of another key", key)
		}
		decodeMeta(seal(string(metaKey), bytes.Clone(row)))
		for _, decode := range []func(){func() { decodeEntry(row[1:]) }, func() { decodeList("bob", row[1:]) },
			func() { decodeTrashed(row[1:]) }, func() { decodeTrace(row[1:]) }, func() { decodeNames(row[1:]) }} {
			func() {
				defer func() {
					if p := recover(); p != nil {
						if _, ok := p.(storageError); !ok {
							panic(p)
						}
					}
				}()
				decode()
			}()
		}
	})
}

// FuzzCommand applies whatever a peer could have sent: each comes to a result, or halts
// as damaged or unknown; none counts as a storage error or is a panic.
func FuzzCommand(f *testing.F) {
	for _, c := range seedCommands() {
		f.Add(byte(c.Type), c.Session, c.Number, c.Low, c.Key, c.Payload)
	}
	f.Add(byte(TypeTodo), uint64(1), uint64(1<<63), uint64(1<<62), "", addCommand("bob", "x").Payload)
	f.Add(byte(TypeTodo), uint64(0), uint64(0), uint64(1), "", todo2(todo.Op{Kind: todo.Undo, Rev: 2}).Payload)
	f.Add(byte(TypeTodo), uint64(0), uint64(0), uint64(1), "", todo2(restoreOp("bob", 2), purgeOp("bob", 1)).Payload)
	f.Add(byte(TypePurge), uint64(0), uint64(0), uint64(0), "", Purge{1 << 63}.Encode())
	n := newNode(f)
	n.do(raise(2))
	n.do(openSession("n1", "boot"), addCommand("bob", "x"), addCommand("bob", "y"), todo2(deleteOp("bob", 2)))
	n.sound()
	index := uint64(2)
	f.Fuzz(func(t *testing.T, typ byte, session, number, low uint64, key string, payload []byte) {
		n.tb = t
		index++
		c := &Command{Type: Type(typ), Version: uint8(1 + low%2), Session: session, Number: number, Low: low, Key: key, Payload: payload}
		res := n.r.Apply(&raft.Log{Index: index, Term: 1, Data: EncodeEnvelope(Stamp{Time: testTime}, []*Command{c})})
		if err, ok := res.(error); ok {
			if !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrUnknown) {
				t.Fatal(err)
			}
			n.r.Abandon()
			n.open()
		}
	})
}

// TestFuzzSeeds keeps the seeds of formats under testdata: a release must read what those
// before it wrote. It writes a file that is missing when WRITE_SEEDS is set.
func TestFuzzSeeds(t *testing.T) {
	e := todo.Entry{ID: 1, Title: "Dentist", Date: "2018-12-19", Rev: 5, Created: testTime, Updated: testTime}
	seeds := map[string][]byte{
		"FuzzEnvelope/v1":    EncodeEnvelope(Stamp{Time: testTime}, seedCommands()),
		"FuzzTodoPayload/v1": seedCommands()[1].Payload,
		"FuzzResult/v1": AppendResult(nil, &Result{Code: todo.OK, Epoch: 7, Rev: 5, Time: testTime,
			Items: []todo.Item{{Kind: todo.Add, List: "bob", Entry: e, Changed: true}}}),
	}
	for name, data := range seeds {
		path := filepath.Join("testdata", "fuzz", name)
		want := []byte("go test fuzz v1\n[]byte(" + strconv.Quote(string(data)) + ")\n")
		if os.Getenv("WRITE_SEEDS") != "" {
			if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, want, 0o644)); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is not what this program writes: the format changed, %v", path, err)
		}
	}
}

// FuzzReceived damages a replica on its way from another node: it is refused and nothing changes, or it holds what was
// sent. The process never ends.
func FuzzReceived(f *testing.F) {
	n := newNode(f)
	n.do(openSession("n1", "boot"), numbered(keyed(addCommand("bob", "one"), "a key of 16 bytes"), 1, 1, 1), addCommand("ann", "two"))
	want := n.r.Hash()
	if err := n.r.Close(); err != nil {
		f.Fatal(err)
	}
	sent, err := os.ReadFile(filepath.Join(n.dir, FileName))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(uint32(0), []byte{}, uint32(0))
	f.Add(uint32(8), []byte{0xff, 0xff}, uint32(0))
	f.Add(uint32(4096*2+10), []byte{0, 0}, uint32(0))
	f.Add(uint32(4096*3), make([]byte, 4096), uint32(0))
	f.Add(uint32(0), []byte{}, uint32(4096))
	f.Fuzz(func(t *testing.T, at uint32, with []byte, cut uint32) {
		b := bytes.Clone(sent)
		copy(b[int(at)%len(b):], with)
		b = b[:len(b)-int(cut)%len(b)]
		r, err := Open(Config{Dir: t.TempDir(), NoSync: true})
		if err != nil {
			t.Fatal(err)
		}
		before := r.Hash()
		s, err := r.Snapshots().Create(raft.SnapshotVersionMax, want.Index, 1, raft.Configuration{}, 1, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Write(b); err != nil {
			t.Fatal(err)
		}
		now := before
		if err := s.Close(); err == nil {
			if err := r.Restore(io.NopCloser(bytes.NewReader(nil))); err != nil {
				t.Fatalf("checked, and then %v", err)
			}
			now = want
		}
		if got := r.Hash(); got != now {
			t.Fatalf("the hash is %+v, want %+v", got, now)
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	})
}
