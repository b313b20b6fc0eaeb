package server

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"

	"todod/fsm"
)

// promised is what the log of promisedFolder holds.
const (
	promisedTerm = uint64(0x1122334455667788)
	promisedCand = "127.0.0.1:7454"
)

// promisedFolder is the folder of a member that voted.
func promisedFolder(t *testing.T) (data, path string) {
	t.Helper()
	data, path = logFolder(t, 1, 3)
	l := openLog(t, path)
	err := errors.Join(l.SetUint64(termKey, promisedTerm), l.SetUint64(voteTermKey, promisedTerm), l.Set(voteKey, []byte(promisedCand)), l.Close())
	if err != nil {
		t.Fatal(err)
	}
	return data, path
}

// keeps reports whether a log's promises are those of promisedFolder; one that is missing is none of them.
func keeps(l raft.StableStore) bool {
	term, err1 := l.GetUint64(termKey)
	voted, err2 := l.GetUint64(voteTermKey)
	cand, err3 := l.Get(voteKey)
	return errors.Join(err1, err2, err3) == nil && term == promisedTerm && voted == promisedTerm && string(cand) == promisedCand
}

// A bit that is flipped in a term or a vote, or in what bolt keeps beside them, is found at the start: no node goes back in
// terms by it, nor forgets for whom it voted.
func TestFlippedBitOfAPromise(t *testing.T) {
	data, path := promisedFolder(t)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	refused := 0
	flip := func(at int, bit byte) {
		t.Helper()
		b := bytes.Clone(whole)
		b[at] ^= bit
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		l, err := readLog(path)
		if err != nil {
			var why *Exit
			if !errors.As(err, &why) || why.Code != ExitUnknownEntry {
				t.Fatalf("bit %#x of byte %d: %v", bit, at, err)
			}
			refused++
			return
		}
		defer l.Close()
		if !keeps(l) {
			t.Errorf("bit %#x of byte %d: the promises are others", bit, at)
		}
	}
	for _, key := range []string{string(termKey), string(voteTermKey), string(voteKey)} {
		before, copies := refused, 0
		for at := 0; bytes.Contains(whole[at:], []byte(key)); at++ { // some are on pages of earlier transactions
			at += bytes.Index(whole[at:], []byte(key))
			copies++
			for i := range len(key) + 8 + sealBytes {
				flip(at+i, 1<<(i%8))
			}
		}
		if refused-before < len(key)+8+sealBytes {
			t.Errorf("of %s, which the file has %d times, %d flipped bits were found", key, copies, refused-before)
		}
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 500 { // anywhere; every third in the head of a page
		at := r.IntN(len(whole))
		if r.IntN(3) == 0 {
			at = at/4096*4096 + r.IntN(256)
		}
		flip(at, 1<<r.IntN(8))
	}
	t.Logf("%d refused", refused)
	for _, meta := range []int{0, 4096} {
		before := refused
		if flip(meta+16+48, 1); refused == before { // the count of transactions
			t.Error("a damaged meta page was taken for a transaction that never was")
		}
	}
	before := refused
	for at := 0; refused == before; at++ { // on the page that is in use
		next := bytes.Index(whole[at:], voteTermKey)
		if next < 0 {
			t.Fatal("no flipped bit of the vote was found")
		}
		at += next
		flip(at+len(voteTermKey)+3, 1)
	}
	wantRefused(t, data, ExitUnknownEntry, "log is damaged")
	var why *Exit
	if _, err := Verify(data, "n1"); !errors.As(err, &why) || why.Code != ExitUnknownEntry {
		t.Errorf("verify: %v", err)
	}
}

// What an older program wrote has no sum: it is taken, and gets one when it is written again.
func TestPromisesOfAnOlderProgram(t *testing.T) {
	path := filepath.Join(t.TempDir(), logName)
	older, err := raftboltdb.New(raftboltdb.Options{Path: path, NoSync: true})
	if err == nil {
		err = errors.Join(older.SetUint64(termKey, promisedTerm), older.SetUint64(voteTermKey, promisedTerm), older.Set(voteKey, []byte(promisedCand)), older.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	l := openLog(t, path)
	if !keeps(l) || l.term.now.Load() != promisedTerm {
		t.Error("the promises are others")
	}
	err = errors.Join(l.SetUint64(termKey, promisedTerm+1), l.SetUint64(voteTermKey, promisedTerm+1), l.Set(voteKey, []byte("n9:70")))
	for _, key := range [][]byte{termKey, voteTermKey, voteKey} {
		stored, err := l.BoltStore.Get(key)
		if err != nil || len(stored) < sealBytes || stored[len(stored)-sealBytes] != 0 {
			t.Errorf("%s is stored as %q, %v", key, stored, err)
		}
	}
	if err := errors.Join(err, l.Close()); err != nil {
		t.Fatal(err)
	}
	l = openLog(t, path)
	defer l.Close()
	if cand, err := l.Get(voteKey); err != nil || string(cand) != "n9:70" {
		t.Errorf("the vote is for %q, %v", cand, err)
	}
	for _, stored := range []string{"", "1234567", "123456789", "12345678\x00\x00\x00\x00\x00", "12345678\x01abcd"} {
		if _, err := unseal(termKey, []byte(stored)); !errors.Is(err, fsm.ErrDamaged) {
			t.Errorf("a term of %q: %v", stored, err)
		}
	}
	for _, stored := range []string{"n1:70\x00abcd", "n1:70\x01abcd", "n1:7\x80"} {
		if _, err := unseal(voteKey, []byte(stored)); !errors.Is(err, fsm.ErrDamaged) {
			t.Errorf("a vote of %q: %v", stored, err)
		}
	}
}

// An older program that takes the folder back knows the terms, and gives no vote in a term in which this one gave its vote: neither
// to another candidate nor, as it cannot read for whom it was, to the same.
func TestOlderProgramGivesNoSecondVote(t *testing.T) {
	path := filepath.Join(t.TempDir(), logName)
	l := openLog(t, path)
	err := errors.Join(l.SetUint64(termKey, 7), l.SetUint64(voteTermKey, 7), l.Set(voteKey, []byte("n2")), l.Close())
	if err != nil {
		t.Fatal(err)
	}
	older, err := raftboltdb.New(raftboltdb.Options{Path: path, NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	defer older.Close()
	_, trans := raft.NewInmemTransport("n1")
	conf := raft.DefaultConfig()
	conf.LocalID, conf.LogOutput = "n1", testWriter{t}
	conf.HeartbeatTimeout, conf.ElectionTimeout, conf.LeaderLeaseTimeout = time.Hour, time.Hour, time.Hour
	r, err := raft.NewRaft(conf, nil, older, older, raft.NewInmemSnapshotStore(), trans)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Shutdown().Error() }()
	_, asker := raft.NewInmemTransport("n3")
	asker.Connect("n1", trans)
	ask := func(candidate string, term uint64) bool {
		t.Helper()
		req := &raft.RequestVoteRequest{RPCHeader: raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax, ID: []byte(candidate), Addr: []byte(candidate)}, Term: term}
		var resp raft.RequestVoteResponse
		if err := asker.RequestVote("n1", "n1", req, &resp); err != nil {
			t.Fatal(err)
		}
		return resp.Granted
	}
	if ask("n3", 6) || ask("n3", 7) || ask("n2", 7) {
		t.Error("it voted in a term in which it had")
	}
	if !ask("n3", 8) {
		t.Error("it does not vote in a new term")
	}
	if term := binary.BigEndian.Uint64(must(older.Get(termKey))); term != 8 {
		t.Errorf("its term is %d", term)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// testWriter is the log of a test.
type testWriter struct{ t *testing.T }

func (w testWriter) Write(b []byte) (int, error) {
	w.t.Logf("%s", bytes.TrimSpace(b))
	return len(b), nil
}

// Whatever a log goes through, what checks it at the next start finds it sound.
func TestSoundLogIsFoundSound(t *testing.T) {
	seed := simSeed(t)
	r := rand.New(rand.NewPCG(seed, 1))
	path := filepath.Join(t.TempDir(), logName)
	first, last := uint64(1), uint64(0)
	for range 40 {
		l := openLog(t, path)
		for range r.IntN(30) {
			var err error
			switch n := r.IntN(10); {
			case n < 6:
				var logs []*raft.Log
				for range 1 + r.IntN(64) {
					last++
					logs = append(logs, &raft.Log{Index: last, Term: 1, Data: make([]byte, r.IntN(1<<r.IntN(15)))})
				}
				err = l.StoreLogs(logs)
			case n < 7 && first < last: // cut at its beginning
				to := first + r.Uint64N(last-first)
				err = l.DeleteRange(first, to)
				first = to + 1
			case n < 8 && first < last: // another leader's take their place
				from := first + r.Uint64N(last-first)
				err = l.DeleteRange(from, last)
				last = from - 1
			case n < 9:
				err = errors.Join(l.SetUint64(voteTermKey, r.Uint64()), l.Set(voteKey, []byte("n1:70")))
			default:
				err = l.SetUint64(termKey, r.Uint64())
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if at, err := verifyLog(path); err != nil || at != first && at != 0 {
		t.Errorf("it begins at %d, want %d, %v", at, first, err)
	}
}
