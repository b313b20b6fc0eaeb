package fsm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

// crashes takes an image of a node's folder at every step between which the process may be
// killed, together with the log that raft has at that time.
type crashes struct {
	n      *node
	images []crashImage
}

type crashImage struct {
	step, dir string
	log       []*raft.Log
	fetch     []byte // a backup that other nodes have
}

func (c *crashes) at(step string) {
	c.images = append(c.images, crashImage{step, copyDir(c.n.tb.(testing.TB), c.n.dir), c.n.log, nil})
}

func (c *crashes) watch(n *node) {
	c.n = n
	n.r.store.step = c.at
}

// check starts every image, replays the log and expects the state of a node without crashes.
func (c *crashes) check(t *testing.T, want *node, steps ...string) {
	t.Helper()
	seen := map[string]bool{}
	for i, img := range c.images {
		seen[img.step] = true
		t.Run(fmt.Sprintf("%d %s", i, img.step), func(t *testing.T) {
			n := openNode(t, img.dir, img.log)
			n.fetch = func(context.Context, Restore) error {
				_, err := n.r.Stage(bytes.NewReader(img.fetch), false)
				return err
			}
			n.replay()
			for _, log := range want.log { // what is committed after the crash
				if last := img.log[len(img.log)-1].Index; log.Index > last {
					n.r.Apply(log)
				}
			}
			sameState(t, want, n)
			n.sound()
			left, err := filepath.Glob(filepath.Join(img.dir, "*.tmp"))
			if err != nil || len(left) > 0 {
				t.Errorf("left after the start: %v, %v", left, err)
			}
		})
	}
	for _, step := range steps {
		if !seen[step] {
			t.Errorf("no crash was tried at %q", step)
		}
	}
}

// history is a log that touches every table.
func history(n *node, from, to int) {
	for i := from; i < to; i++ {
		switch {
		case i == 0:
			n.do(openSession("n1", "boot"), &Command{Type: TypeTerm, Version: 1, Payload: Term{"n1", 7}.Encode()})
		case i%10 == 7:
			conf := raft.Configuration{Servers: []raft.Server{{ID: "n1", Address: raft.ServerAddress(fmt.Sprint("host:", i))}}}
			last := n.log[len(n.log)-1].Index
			log := &raft.Log{Index: last + 1, Term: 1, Type: raft.LogConfiguration, Data: raft.EncodeConfiguration(conf)}
			n.log = append(n.log, log)
			n.r.Apply(log)
		case i%10 == 9:
			n.do(&Command{Type: TypeSweep, Version: 1, Payload: Sweep{3}.Encode()})
		default:
			number := uint64(i)
			name := fmt.Sprint("list", i%4)
			n.do(numbered(keyed(addCommand(name, fmt.Sprint("t", i)), fmt.Sprint("key", i/2)), 1, number, max(1, number-3)))
			if i%10 == 6 {
				n.do(&Command{Type: TypeMember, Version: 1, Payload: Member{ID: fmt.Sprint("n", i), Folder: fmt.Sprint("f", i), Status: Known}.Encode()})
			}
		}
	}
}

func TestCrashInFlush(t *testing.T) {
	n, want := newNode(t), newNode(t)
	history2(want, 0, 80)
	holdsAll(t, want, 80)
	var c crashes
	c.watch(n)
	for i := range 8 {
		history2(n, 10*i, 10*i+10)
		c.at("applied")
		if err := n.r.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	sameState(t, want, n)
	c.check(t, want, "applied", "flush: the rows are frozen", "flush: the rows are in the file")
}

// Raft truncates its log after a snapshot, here all of it that it may. The snapshot's index
// counts a barrier that the state machine never sees.
func TestCrashInSnapshot(t *testing.T) {
	n, want := newNode(t), newNode(t)
	history2(want, 0, 80)
	var c crashes
	c.watch(n)
	for i := range 8 {
		history2(n, 10*i, 10*i+10)
		c.at("applied")
		last := n.log[len(n.log)-1].Index
		if err := n.snapshot(last); err != nil {
			t.Fatal(err)
		}
		c.at("snapshot")
		n.truncate(last - 1)
		c.at("truncated")
	}
	c.check(t, want, "applied", "snapshot: begun", "flush: the rows are frozen", "flush: the rows are in the file",
		"snapshot: the replica is durable", "snapshot", "truncated")
}

func TestSnapshotCountsBarriers(t *testing.T) {
	n := newNode(t)
	n.do(addCommand("bob", "one"))
	barrier := n.append() // an entry for raft alone
	if err := n.snapshot(barrier.Index); err != nil {
		t.Fatal(err)
	}
	n.truncate(barrier.Index)
	n.log = append(n.log, &raft.Log{Index: barrier.Index + 1, Term: 1, Data: EncodeEnvelope(Stamp{Time: testTime}, []*Command{addCommand("bob", "two")})})
	n.crash() // the log begins above the barrier: so must the replica
	if got := n.titles("bob"); got != "one two" {
		t.Errorf("bob has %q", got)
	}
}

func TestCrashInRestore(t *testing.T) {
	leader := newNode(t)
	history2(leader, 0, 80)
	if err := leader.r.Flush(); err != nil {
		t.Fatal(err)
	}
	n := newNode(t)
	history2(n, 0, 25)
	if err := n.r.Flush(); err != nil {
		t.Fatal(err)
	}
	history2(n, 25, 45) // applied and not flushed when the replica comes
	n.log = leader.log
	var c crashes
	c.watch(n)
	if err := send(leader, n); err != nil {
		t.Fatal(err)
	}
	c.at("restored")
	sameState(t, leader, n)
	if conf, want := n.r.store.meta.snapshot(), leader.r.store.meta.snapshot(); conf.ConfigurationIndex != want.ConfigurationIndex ||
		fmt.Sprint(conf.Configuration) != fmt.Sprint(want.Configuration) || conf.Index != want.Index || conf.Term != want.Term {
		t.Errorf("restored %+v, sent %+v", conf, want)
	}
	c.check(t, leader, "receive: some is written", "receive: all is written", "receive: the file is durable", "receive: the file is checked",
		"restore: the old file is closed", "restore: the new file is in place", "restore: the new file is open", "restored")
}

func TestCrashInCreate(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf(tempFormat, "new")), []byte("half of a file"), 0o600); err != nil {
		t.Fatal(err)
	}
	n := openNode(t, dir, nil)
	n.do(addCommand("bob", "one"))
	n.sound()
}

// What raft says of the index and the configuration counts, not what the file says.
func TestReceivedIndexIsRafts(t *testing.T) {
	leader, n := newNode(t), newNode(t)
	history(leader, 0, 9)
	if err := leader.r.Flush(); err != nil {
		t.Fatal(err)
	}
	_, rc, err := leader.r.Snapshots().Open(replicaID)
	if err != nil {
		t.Fatal(err)
	}
	file, err := io.ReadAll(rc)
	rc.Close()
	if err != nil {
		t.Fatal(err)
	}
	conf := raft.Configuration{Servers: []raft.Server{{ID: "n9", Address: "host:9"}}}
	install := func(index uint64) error {
		sink, err := n.r.Snapshots().Create(raft.SnapshotVersionMax, index, 5, conf, 3, nil)
		if err != nil {
			return err
		}
		io.Copy(sink, bytes.NewReader(file))
		if err := sink.Close(); err != nil {
			return err
		}
		return n.r.Restore(io.NopCloser(eof{}))
	}
	if err := install(100); err != nil {
		t.Fatal(err)
	}
	n.crash()
	list, err := n.r.Snapshots().List()
	if err != nil || len(list) != 1 || list[0].Index != 100 || list[0].Term != 5 || list[0].ConfigurationIndex != 3 || list[0].Configuration.Servers[0].ID != "n9" {
		t.Errorf("List gives %+v, %v", list, err)
	}
	if err := install(3); !errors.Is(err, ErrStorage) {
		t.Errorf("a file ahead of its index: %v", err)
	}
}

func TestReceivedDamageChangesNothing(t *testing.T) {
	leader := newNode(t)
	history(leader, 0, 40)
	if err := leader.r.Flush(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(leader.dir, FileName)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{
		"empty":    {},
		"garbage":  bytes.Repeat([]byte("garbage "), 4096),
		"cut":      whole[:len(whole)/2],
		"one page": whole[:4096],
		"no rows":  emptyBolt(t),
	}
	for at := 0; at < len(whole); at += 1021 {
		damaged := bytes.Clone(whole)
		damaged[at] ^= 0x10
		files[fmt.Sprint("bit at ", at)] = damaged
	}
	n := newNode(t)
	history(n, 0, 5)
	before := n.r.Hash()
	taken := 0
	for name, file := range files {
		sink, err := n.r.Snapshots().Create(raft.SnapshotVersionMax, 1000, 1, raft.Configuration{}, 0, nil)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(sink, bytes.NewReader(file))
		if sink.Close() == nil && len(file) > 0 {
			taken++ // the bit was in a page that is not in use
			if !strings.HasPrefix(name, "bit") {
				t.Errorf("%s was taken", name)
			}
			if _, err := os.Stat(n.r.received.path); err != nil {
				t.Error(err)
			}
		}
	}
	if refused := len(files) - taken; refused < 10 {
		t.Errorf("%d of %d damaged files were refused", refused, len(files))
	}
	if n.r.Hash() != before || len(n.fatal) > 0 {
		t.Errorf("the node changed: %v", n.fatal)
	}
	if left, _ := filepath.Glob(filepath.Join(n.dir, "*.tmp")); len(left) > 1 {
		t.Errorf("%d files are left, at most the last received one may be", len(left))
	}
}

// A node that sends its replica to one that was cut off gets another itself: the file that is read cannot be
// replaced, and who wants to read it meanwhile would wait for as long as the other's connection takes to end.
func TestRestoreBreaksOffWhatIsSent(t *testing.T) {
	leader, n := newNode(t), newNode(t)
	history(leader, 0, 30)
	for _, log := range leader.log[:20] {
		n.r.Apply(log)
	}
	if err := errors.Join(leader.r.Flush(), n.r.Flush()); err != nil {
		t.Fatal(err)
	}
	_, stream, err := n.r.Snapshots().Open(replicaID)
	if err != nil {
		t.Fatal(err)
	}
	restored := make(chan error, 1)
	go func() { restored <- send(leader, n) }()
	select {
	case err := <-restored:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(20 * time.Second):
		stream.Close()
		t.Fatal("the restore waits for the stream")
	}
	if _, err := io.Copy(io.Discard, stream); err == nil {
		t.Error("the stream ended as if it were whole")
	}
	if err := stream.Close(); err != nil {
		t.Error(err)
	}
	n.log = leader.log
	sameState(t, leader, n)
	n.sound()
}

// A restore that comes between a snapshot and its Persist ends that snapshot: raising the
// new replica to the old one's index would skip entries.
func TestRestoreDuringSnapshot(t *testing.T) {
	leader, n := newNode(t), newNode(t)
	history(leader, 0, 20)
	if err := leader.r.Flush(); err != nil {
		t.Fatal(err)
	}
	history(leader, 20, 30)
	for _, log := range leader.log {
		n.r.Apply(log)
	}
	snap, err := n.r.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	index, _ := n.r.Applied()
	own, err := n.r.Snapshots().Create(raft.SnapshotVersionMax, index, 1, raft.Configuration{}, 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := send(leader, n); err != nil { // of an older state
		t.Fatal(err)
	}
	if err := snap.Persist(own); err == nil {
		t.Error("the snapshot of the replica before was taken for one of the new")
	}
	n.log = leader.log
	n.crash()
	sameState(t, leader, n)
	n.sound()
}

func TestTwoSnapshots(t *testing.T) {
	n := newNode(t)
	history(n, 0, 12)
	index, _ := n.r.Applied()
	one, err := n.r.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	history(n, 12, 15)
	if err := n.snapshot(index + 2); err != nil {
		t.Fatal(err)
	}
	sink, err := n.r.Snapshots().Create(raft.SnapshotVersionMax, index, 1, raft.Configuration{}, 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(one.Persist(sink), sink.Close()); err != nil {
		t.Fatal(err)
	}
	if sink.ID() != replicaID {
		t.Errorf("the snapshot's id is %q: raft opens it by that", sink.ID())
	}
	now, _ := n.r.Applied()
	if durable, _, err := n.r.Durable(); err != nil || durable != now {
		t.Errorf("durable is %d of %d, %v", durable, now, err)
	}
	n.sound()
}

// Raft does not hand over again what the file holds; should it, nothing happens twice.
func TestReplayedEntriesAreSkipped(t *testing.T) {
	n := newNode(t)
	history(n, 0, 40)
	n.do(addCommand("bob", "one"))
	before := n.r.Hash()
	n.sound()
	n.crash()
	for i, res := range n.r.ApplyBatch(n.log) {
		if results, ok := res.([]Result); !ok || len(results) != 0 {
			t.Fatalf("entry %d came to %v again", i, res)
		}
	}
	if n.r.Hash() != before {
		t.Error("the state changed")
	}
	n.sound()
}
