package server

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cespare/xxhash/v2"

	"todod/fsm/boltfile"
	"todod/fsm/todo"
)

// writeAllTables has a group write rows of each table that lists have.
func (s *sim) writeAllTables() {
	s.t.Helper()
	s.await("the version is raised", func() bool {
		return !slices.ContainsFunc(s.ids, func(id string) bool { return s.node(id).engine().replica.GroupVersion() < 2 })
	})
	entry := func(title string, more *todo.More) todo.Fields {
		return todo.Fields{Title: title, Date: "2018-12-19", More: more}
	}
	for i, op := range []todo.Op{
		{Kind: todo.Add, List: "bob", Fields: entry("above", nil)},
		{Kind: todo.Add, List: "bob", Fields: entry("below", &todo.More{Parent: 1})},
		{Kind: todo.Add, List: "bob", Fields: entry("known elsewhere", &todo.More{UID: "uid-1", Tags: []string{"home"}})},
		{Kind: todo.Add, List: "bob", Fields: entry("to go", nil)},
		{Kind: todo.Add, List: "eve", Fields: entry("to go with its list", nil)},
		{Kind: todo.Patch, List: "bob", ID: 1, Fields: todo.Fields{Set: todo.FieldTitle, Title: "renamed"}},
		{Kind: todo.Arrange, List: "bob", ID: 3, Where: todo.Where{Rel: todo.First}},
		{Kind: todo.Delete, List: "bob", ID: 4},
		{Kind: todo.DeleteList, List: "eve"},
	} {
		res, err := s.node(s.named("leader")).Write(s.t.Context(), todo.Command{Ops: []todo.Op{op}}, WriteOptions{Key: fmt.Sprintf("a key of the test %d", i)})
		if err != nil || res.Code != todo.OK {
			s.t.Fatalf("operation %d came to %+v, %v", i, res, err)
		}
	}
	s.acked = append(s.acked, "renamed", "below", "known elsewhere")
}

// storedRow is a row as a replica's file has it.
type storedRow struct{ key, value []byte }

// storedRows reads the rows of a replica's file, by their tables.
func (s *sim) storedRows(id string) map[byte][]storedRow {
	s.t.Helper()
	b, err := os.ReadFile(s.replicaOf(id))
	if err != nil {
		s.t.Fatal(err)
	}
	tables := map[byte][]storedRow{}
	if _, err := boltfile.Walk(bytes.NewReader(b), int64(len(b)), 0, func(bucket string, row []byte, keySize int) error {
		if bucket == "rows" && row[0] != 0 { // but for the one that each flush writes anew
			row = bytes.Clone(row)
			tables[row[0]] = append(tables[row[0]], storedRow{row[:keySize], row[keySize:]})
		}
		return nil
	}); err != nil {
		s.t.Fatal(err)
	}
	return tables
}

// another is a row that differs in a bit: in its payload, or in its key where it has none. Its sum is that of the row before, or, as if
// some program had written it so, its own.
func (w storedRow) another(r *rand.Rand, sealed bool) storedRow {
	a := storedRow{bytes.Clone(w.key), bytes.Clone(w.value)}
	end := len(a.value) - crc32.Size
	if end > 1 {
		a.value[1+r.IntN(end-1)] ^= 1 << r.IntN(8)
	} else {
		a.key[len(a.key)-1] ^= 1 << r.IntN(8)
	}
	if sealed {
		sum := crc32.Update(uint32(xxhash.Sum64(a.key)), castagnoli, a.value[:end])
		binary.BigEndian.PutUint32(a.value[end:], sum)
	}
	return a
}

// plantRow puts another row in the place of one of a running node's file, while nothing else moves.
func (s *sim) plantRow(id string, old, planted storedRow) {
	s.t.Helper()
	synctest.Wait()
	f, err := os.OpenFile(s.replicaOf(id), os.O_RDWR, 0)
	if err != nil {
		s.t.Fatal(err)
	}
	defer f.Close()
	b, err := os.ReadFile(s.replicaOf(id))
	if err != nil {
		s.t.Fatal(err)
	}
	was, is := slices.Concat(old.key, old.value), slices.Concat(planted.key, planted.value)
	for at := 0; bytes.Contains(b[at:], was); at++ { // pages of earlier transactions have it too
		at += bytes.Index(b[at:], was)
		if _, err := f.WriteAt(is, int64(at)); err != nil {
			s.t.Fatal(err)
		}
	}
}

// A row that is another one in one node's file is found within two marks after the next rescan, on that node, whichever it is and
// whatever table the row is of, with the sum that it had or one that fits it, in an idle group and under load. That node alone ends; started
// again it gets another replica, and agrees with the others within two marks.
func TestPlantedRowIsFound(t *testing.T) {
	seed := simSeed(t)
	tried := map[byte]int{}
	runs := 50
	if testing.Short() {
		runs = 10
	}
	for run := range runs {
		synctest.Test(t, func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed+uint64(run), 4))
			s := newSim(t)
			s.mark, s.scan = time.Duration(1+r.IntN(10))*time.Second, time.Duration(1+r.IntN(10))*time.Second
			s.group(3 + 2*r.IntN(2))
			s.writeAllTables()
			for _, id := range s.ids {
				s.await(id+" to know of the others", func() bool { return len(s.node(id).folder.peers()) == len(s.ids)-1 })
			}
			time.Sleep(time.Duration(2000+r.IntN(5000)) * time.Millisecond) // all is in the files
			wrong := s.named("leader")
			if run%2 == 1 {
				wrong = s.followers()[r.IntN(len(s.ids)-1)]
			}
			tables := s.storedRows(wrong)
			all := slices.Sorted(maps.Keys(tables))
			table := all[(run/2)%len(all)]
			old := tables[table][r.IntN(len(tables[table]))]
			sealed, loaded := r.IntN(2) == 0, r.IntN(2) == 0
			tried[table]++
			what := fmt.Sprintf("seed %d: table %c of %s, sealed %v, under load %v", seed+uint64(run), table, wrong, sealed, loaded)

			s.plantRow(wrong, old, old.another(r, sealed))
			began := time.Now()
			stop := func() {}
			if loaded && !slices.Contains([]byte("sbr"), table) { // but where the row would soon be written anew, unread
				stop = s.writeElsewhere()
			}
			s.await(what+" to be found", func() bool { return s.node(wrong).Err() != nil })
			if took := time.Since(began); took > s.scan+2*s.mark {
				t.Errorf("%s: found after %v, with a rescan every %v and a mark every %v", what, took, s.scan, s.mark)
			}
			if why := s.node(wrong).Err(); why.Code != ExitStorage {
				t.Errorf("%s: it ended with %d: %s", what, why.Code, why)
			}
			stop()
			s.crash(wrong)
			now := s.applied(s.named("leader"))
			if _, err := s.start(wrong, nil); err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			s.await(what+": to be back", func() bool { return s.node(wrong).engine() != nil && s.node(wrong).Ready() == nil })
			back := time.Now()
			for _, id := range s.ids {
				s.agreedAfter(id, now)
				if why := s.node(id).Err(); why != nil {
					t.Errorf("%s: %s ended: %s", what, id, why)
				}
			}
			if took := time.Since(back); took > 2*s.mark+markPatience {
				t.Errorf("%s: all agree after %v, with a mark every %v", what, took, s.mark)
			}
			s.check()
		})
	}
	for _, table := range []byte("lendcptqhisokmf") {
		if tried[table] == 0 && runs == 50 {
			t.Errorf("no row of table %c was planted: %v", table, tried)
		}
	}
}

// writeElsewhere adds to a list of its own until stop is called, through the leader whoever it is.
func (s *sim) writeElsewhere() (stop func()) {
	ctx, cancel := context.WithCancel(s.t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for wait(ctx, 100*time.Millisecond) {
			if l := s.leader(); l != nil {
				_, _ = s.add(l.id, "carol", WriteOptions{}) // add keeps account
			}
		}
	}()
	return func() { cancel(); <-done }
}
