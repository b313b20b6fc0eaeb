package fsm

import (
	"fmt"
	"os"
	"reflect"
	"testing"

	"github.com/hashicorp/raft"

	"todod/fsm/todo"
)

// A replica that goes on as another group's: its data is the same, its sessions and members are not.
func TestRefound(t *testing.T) {
	n := newNode(t)
	history(n, 0, 60)
	n.do(openSession("n2", "other boot"))
	for _, id := range []string{"n1", "n2"} {
		n.do(&Command{Type: TypeMember, Version: 1, Payload: Member{ID: id, Folder: "F" + id, HTTP: id + ":80", Status: Known}.Encode()})
	}
	late := numbered(addCommand("bob", "late"), 1, 900, 899)
	again := keyed(addCommand("bob", "once"), "a key of a client")
	first := n.do(again)[0]
	if err := n.r.Flush(); err != nil { // some sessions and results are rows of the file, others are not
		t.Fatal(err)
	}
	n.do(numbered(addCommand("bob", "two"), 1, 898, 890))

	v := n.view()
	rev, epoch := v.Rev(), v.Epoch()
	v.Close()
	index, _ := n.r.Applied()
	titles := n.titles("bob")
	conf := raft.Configuration{Servers: []raft.Server{{ID: "n1", Address: "host:1"}}}
	for _, bad := range []Founding{{Index: index, Term: 9, Epoch: epoch + 1}, {Index: index + 1, Term: 9, Epoch: epoch}, {Index: index + 1, Epoch: epoch + 1}} {
		if func() error { m := n.r.store.meta; defer func() { n.r.store.meta = m }(); return n.r.refound(&bad) }() == nil {
			t.Errorf("%+v was taken", bad)
		}
	}
	if err := n.r.Refound(Founding{Node: "n1", Index: index + 1, Term: 9, Conf: conf, Epoch: epoch + 1}); err != nil {
		t.Fatal(err)
	}
	n.sound()
	if err := n.r.Close(); err != nil {
		t.Fatal(err)
	}
	st, err := Inspect(n.dir)
	if err != nil {
		t.Fatal(err)
	}
	if st.Index != index+1 || st.Term != 9 || st.Rev != rev || st.Epoch != epoch+1 || !reflect.DeepEqual(st.Servers, conf.Servers) ||
		len(st.Members) != 1 || st.Members[0].Folder != "Fn1" {
		t.Errorf("the file says %+v", st)
	}
	n.log = nil // the new group's begins empty
	n.open()
	if h := n.r.Hash(); h.Chain != st.Chain || h.Set != st.Set {
		t.Errorf("hashes %+v and %+v", h, st)
	}
	if got := n.titles("bob"); got != titles {
		t.Errorf("bob has %q, had %q", got, titles)
	}
	n.log = []*raft.Log{{Index: index + 1}}
	if res := n.do(late)[0]; res.Code != SessionClosed {
		t.Errorf("a late command of the old group came to %v", res.Code)
	}
	if res := n.do(again)[0]; !res.Replayed || res.Rev != first.Rev {
		t.Errorf("a client that asks again with its key gets %+v, had %+v", res, first)
	}
	if res := n.do(openSession("n1", "boot"))[0]; res.Value <= 2 {
		t.Errorf("the next session has number %d, which the old group gave too", res.Value)
	}
	if res := n.do(addCommand("bob", "three"))[0]; res.Rev != rev+1 || res.Epoch != epoch+1 {
		t.Errorf("the next change is %d.%d, the last of the old group %d.%d", res.Epoch, res.Rev, epoch, rev)
	}
	if res := n.do(&Command{Type: TypeMember, Version: 1, Payload: Member{ID: "n2", Folder: "another", Status: Known}.Encode()})[0]; res.Code != todo.OK {
		t.Errorf("a node of the old group, as a new one: %v", res.Code)
	}
	n.sound()
}

// To look changes nothing, also where there is nothing.
func TestInspect(t *testing.T) {
	n := newNode(t)
	history(n, 0, 20)
	if err := n.r.Close(); err != nil {
		t.Fatal(err)
	}
	before := fmt.Sprint(listing(t, n.dir))
	st, err := Inspect(n.dir)
	if err != nil || st.Index != 22 || st.Chain == "" {
		t.Errorf("%+v, %v", st, err)
	}
	if after := fmt.Sprint(listing(t, n.dir)); after != before {
		t.Errorf("before %s, after %s", before, after)
	}
	if st, err := Inspect(t.TempDir()); err != nil || st.Index != 0 {
		t.Errorf("an empty folder: %+v, %v", st, err)
	}
	n.open()
}

// listing are the names, times and sizes of the files in a folder.
func listing(t *testing.T, dir string) (all []string) {
	t.Helper()
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		info, err := f.Info()
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, fmt.Sprint(info.Name(), info.Size(), info.ModTime().UnixNano()))
	}
	return all
}
