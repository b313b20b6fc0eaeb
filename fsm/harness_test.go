package fsm

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/raft"

	"todod/fsm/todo"
)

// tester is what *testing.T and *rapid.T have in common.
type tester interface {
	Helper()
	Fatal(...any)
	Fatalf(string, ...any)
}

// node is a replica with the log that raft would keep for it.
type node struct {
	tb    tester
	dir   string
	r     *Replica
	log   []*raft.Log
	fatal []error
	limit *limits                                       // instead of the default ones
	fetch func(ctx context.Context, what Restore) error // of the replica's Config
}

func newNode(tb testing.TB) *node { return openNode(tb, tb.TempDir(), nil) }

func openNode(tb testing.TB, dir string, log []*raft.Log) *node {
	tb.Helper()
	n := &node{tb: tb, dir: dir, log: log}
	n.open()
	tb.Cleanup(func() { n.r.Abandon() })
	return n
}

func (n *node) open() {
	n.tb.Helper()
	n.fatal = nil
	r, err := Open(Config{Dir: n.dir, NoSync: true, Fetch: n.fetched, Fatal: func(err error) { n.fatal = append(n.fatal, err) }})
	if err != nil {
		n.tb.Fatal(err)
	}
	r.end() // flushes come when the test says so
	if n.r = r; n.limit != nil {
		r.limits = *n.limit
	}
}

func (n *node) fetched(ctx context.Context, what Restore) error {
	if n.fetch == nil {
		return errors.New("nobody has it")
	}
	return n.fetch(ctx, what)
}

// crash ends the process and starts it again: raft goes on after the snapshot that it finds.
func (n *node) crash() {
	n.tb.Helper()
	n.r.Abandon()
	n.open()
	n.replay()
}

// replay applies the log above the snapshot that raft finds at its start.
func (n *node) replay() {
	n.tb.Helper()
	list, err := n.r.Snapshots().List()
	if err != nil {
		n.tb.Fatal(err)
	}
	from := uint64(0)
	if len(list) > 0 {
		from = list[0].Index
	}
	for i, log := range n.log {
		if log.Index > from {
			if i == 0 && log.Index != from+1 {
				n.tb.Fatalf("the log begins at %d, the replica is at %d", log.Index, from)
			}
			n.r.Apply(log)
		}
	}
}

// append makes a log entry of commands.
func (n *node) append(cmds ...*Command) *raft.Log {
	last := uint64(0)
	if len(n.log) > 0 {
		last = n.log[len(n.log)-1].Index
	}
	log := &raft.Log{Index: last + 1, Term: 1, Type: raft.LogCommand, Data: EncodeEnvelope(Stamp{Time: testTime}, cmds)}
	n.log = append(n.log, log)
	return log
}

const testTime = 1_700_000_000_000

// do commits commands in one log entry and applies it.
func (n *node) do(cmds ...*Command) []Result {
	n.tb.Helper()
	res, ok := n.r.Apply(n.append(cmds...)).([]Result)
	if !ok || len(res) != len(cmds) {
		n.tb.Fatalf("entry %d came to %v, %v", len(n.log), res, n.fatal)
	}
	return res
}

func (n *node) view() *View {
	n.tb.Helper()
	v, err := n.r.View()
	if err != nil {
		n.tb.Fatal(err)
	}
	return v
}

// titles are those of a list, in order.
func (n *node) titles(list string) string {
	n.tb.Helper()
	v := n.view()
	defer v.Close()
	page, _ := v.Entries(list, Query{Limit: todo.MaxPage})
	var titles []string
	for _, e := range page {
		titles = append(titles, e.Title)
	}
	return strings.Join(titles, " ")
}

// sound flushes and checks what the store counts: the bytes that wait, and the set hash of all
// rows of the file.
func (n *node) sound() {
	n.tb.Helper()
	n.r.store.mu.Lock()
	bytes := 0
	n.r.store.live.Scan(func(key string, row []byte) bool {
		bytes += len(key) + len(row)
		return true
	})
	if dirty := n.r.store.dirty; dirty != bytes {
		n.tb.Fatalf("%d bytes count as waiting, there are %d", dirty, bytes)
	}
	n.r.store.mu.Unlock()
	if err := n.r.Flush(); err != nil {
		n.tb.Fatal(err)
	}
	if tx, _, err := n.r.store.beginChecked(func() error { return nil }); err != nil {
		n.tb.Fatal(err)
	} else if err := tx.Rollback(); err != nil {
		n.tb.Fatal(err)
	}
	if len(n.fatal) > 0 {
		n.tb.Fatal(n.fatal)
	}
}

func sameState(tb tester, a, b *node) {
	tb.Helper()
	ha, hb := a.r.Hash(), b.r.Hash()
	_, ra := a.r.Applied()
	_, rb := b.r.Applied()
	if ha.Chain != hb.Chain || ha.Set != hb.Set || ra != rb {
		tb.Fatalf("states differ: rev %d %+v and rev %d %+v", ra, ha, rb, hb)
	}
}

// send takes a snapshot of one node to another, as raft does.
func send(from, to *node) error {
	sink, err := receive(from, to)
	if err != nil {
		return err
	}
	_, rc, err := to.r.Snapshots().Open(sink.ID())
	if err != nil {
		return err
	}
	return to.r.Restore(rc)
}

// receive is send without the end: the replica is there and not in place.
func receive(from, to *node) (raft.SnapshotSink, error) {
	meta, rc, err := from.r.Snapshots().Open(replicaID)
	if err != nil {
		return nil, err
	}
	defer rc.Close()
	sink, err := to.r.Snapshots().Create(meta.Version, meta.Index, meta.Term, meta.Configuration, meta.ConfigurationIndex, nil)
	if err != nil {
		return nil, err
	}
	if size, err := io.Copy(sink, rc); err != nil || size != meta.Size {
		sink.Cancel()
		return nil, fmt.Errorf("sent %d of %d bytes: %w", size, meta.Size, err)
	}
	return sink, sink.Close()
}

// snapshot takes a node's own snapshot, as raft does: of all entries up to index, of which
// the last may be barriers that were not delivered.
func (n *node) snapshot(index uint64) error {
	snap, err := n.r.Snapshot()
	if err != nil {
		return err
	}
	defer snap.Release()
	sink, err := n.r.Snapshots().Create(raft.SnapshotVersionMax, index, 1, raft.Configuration{}, 0, nil)
	if err != nil {
		return err
	}
	if err := snap.Persist(sink); err != nil {
		return err
	}
	return sink.Close()
}

// truncate drops the log up to an index, as raft does after a snapshot.
func (n *node) truncate(index uint64) {
	for len(n.log) > 0 && n.log[0].Index <= index {
		n.log = n.log[1:]
	}
}

func copyDir(tb testing.TB, dir string) string {
	tb.Helper()
	to := tb.TempDir()
	if err := os.CopyFS(filepath.Join(to, "copy"), os.DirFS(dir)); err != nil {
		tb.Fatal(err)
	}
	return filepath.Join(to, "copy")
}

func todoCommand(ops ...todo.Op) *Command {
	return &Command{Type: TypeTodo, Version: 1, Payload: EncodeTodo(&todo.Command{Ops: ops, Batch: len(ops) > 1})}
}

func addOp(list, title string) todo.Op {
	return todo.Op{Kind: todo.Add, List: list, Fields: todo.Fields{Title: title, Date: "2018-12-19"}}
}

func addCommand(list, title string) *Command { return todoCommand(addOp(list, title)) }

func openSession(node, boot string) *Command {
	return &Command{Type: TypeSession, Version: 1, Payload: Session{node, boot}.Encode()}
}

func numbered(c *Command, session, number, low uint64) *Command {
	c.Session, c.Number, c.Low = session, number, low
	return c
}

func keyed(c *Command, key string) *Command {
	c.Key = key
	return c
}

func patchDone(list string, id uint64) todo.Op {
	return todo.Op{Kind: todo.Patch, List: list, ID: id, Fields: todo.Fields{Set: todo.FieldDone, Done: true}}
}

// resum ends a changed envelope with the right sum.
func resum(body []byte) []byte {
	return binary.BigEndian.AppendUint32(body, crc32.Checksum(body, castagnoli))
}
