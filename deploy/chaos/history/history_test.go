package history

import (
	"errors"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
)

func op(call, end int64, in, out any) porcupine.Operation {
	return porcupine.Operation{Input: in, Output: out, Call: call, Return: end}
}

// The checkers are worth something only if they find what is wrong.
func TestRegisters(t *testing.T) {
	put := func(call, end int64, title, etag string) porcupine.Operation {
		return op(call, end, RegisterOp{"e", title, ""}, RegisterResult{ETag: etag})
	}
	get := func(call, end int64, title, etag string) porcupine.Operation {
		return op(call, end, RegisterOp{Entry: "e"}, RegisterResult{Title: title, ETag: etag})
	}
	lost := op(1, never, RegisterOp{"e", "a", ""}, RegisterResult{Unknown: true})
	for name, c := range map[string]struct {
		ops  []porcupine.Operation
		want bool
	}{
		"a read of what was put":        {[]porcupine.Operation{put(1, 2, "a", "1"), get(3, 4, "a", "1")}, true},
		"a stale read":                  {[]porcupine.Operation{put(1, 2, "a", "1"), put(3, 4, "b", "2"), get(5, 6, "a", "1")}, false},
		"a read during a put":           {[]porcupine.Operation{put(1, 2, "a", "1"), put(3, 6, "b", "2"), get(4, 5, "a", "1")}, true},
		"an unknown put, seen":          {[]porcupine.Operation{lost, get(3, 4, "a", "7")}, true},
		"an unknown put, never seen":    {[]porcupine.Operation{lost, get(3, 4, Start, "0")}, true},
		"an unknown put, seen, unseen":  {[]porcupine.Operation{lost, get(3, 4, "a", "7"), get(5, 6, Start, "0")}, false},
		"a swap with the wrong ETag":    {[]porcupine.Operation{put(1, 2, "a", "1"), op(3, 4, RegisterOp{"e", "b", "0"}, RegisterResult{ETag: "2"})}, false},
		"a swap refused without reason": {[]porcupine.Operation{put(1, 2, "a", "1"), op(3, 4, RegisterOp{"e", "b", "1"}, RegisterResult{Failed: true})}, false},
	} {
		if got := porcupine.CheckOperations(Registers, c.ops); got != c.want {
			t.Errorf("%s: linearizable: %v, want %v", name, got, c.want)
		}
	}
}

func TestLists(t *testing.T) {
	add := func(call, end int64, title string, id uint64) porcupine.Operation {
		return op(call, end, ListOp{Kind: Add, Book: "l", Title: title}, ListResult{IDs: [2]uint64{id}})
	}
	read := func(call, end int64, rows string) porcupine.Operation {
		return op(call, end, ListOp{Kind: Read, Book: "l"}, ListResult{Rows: rows})
	}
	do := func(call, end int64, kind Kind, id uint64, out ListResult) porcupine.Operation {
		return op(call, end, ListOp{Kind: kind, Book: "l", ID: id}, out)
	}
	both := op(5, 6, ListOp{Kind: Both, Book: "l", Title: "x"}, ListResult{IDs: [2]uint64{2, 1}})
	other := func(call, end int64, rows string) porcupine.Operation {
		return op(call, end, ListOp{Kind: Read, Book: "l", List: 1}, ListResult{Rows: rows})
	}
	done, gone := ListResult{}, ListResult{Missing: true}
	for name, c := range map[string]struct {
		ops  []porcupine.Operation
		want bool
	}{
		"in order":                  {[]porcupine.Operation{add(1, 2, "a", 1), add(3, 4, "b", 2), read(5, 6, "1 a\n2 b\n")}, true},
		"an entry is lost":          {[]porcupine.Operation{add(1, 2, "a", 1), add(3, 4, "b", 2), read(5, 6, "2 b\n")}, false},
		"an entry is there twice":   {[]porcupine.Operation{add(1, 2, "a", 1), read(5, 6, "1 a\n2 a\n")}, false},
		"an id is given twice":      {[]porcupine.Operation{add(1, 2, "a", 1), add(3, 4, "b", 1)}, false},
		"an id is left out":         {[]porcupine.Operation{add(1, 2, "a", 1), add(3, 4, "b", 3)}, false},
		"read before it was told":   {[]porcupine.Operation{add(1, 4, "a", 1), read(2, 3, "1 a\n")}, true},
		"ticked":                    {[]porcupine.Operation{add(1, 2, "a", 1), do(3, 4, Tick, 1, done), read(5, 6, "1 a+\n")}, true},
		"ticked twice":              {[]porcupine.Operation{add(1, 2, "a", 1), do(3, 4, Tick, 1, done), do(5, 6, Tick, 1, done), read(7, 8, "1 a+\n")}, true},
		"a tick is undone":          {[]porcupine.Operation{add(1, 2, "a", 1), do(3, 4, Tick, 1, done), read(5, 6, "1 a\n")}, false},
		"deleted":                   {[]porcupine.Operation{add(1, 2, "a", 1), do(3, 4, Delete, 1, done), add(5, 6, "b", 2), read(7, 8, "2 b\n")}, true},
		"a delete is undone":        {[]porcupine.Operation{add(1, 2, "a", 1), do(3, 4, Delete, 1, done), read(7, 8, "1 a\n")}, false},
		"the id of a deleted entry": {[]porcupine.Operation{add(1, 2, "a", 1), do(3, 4, Delete, 1, done), add(5, 6, "b", 1)}, false},
		"deleted twice":             {[]porcupine.Operation{add(1, 2, "a", 1), do(3, 4, Delete, 1, done), do(5, 6, Delete, 1, done)}, false},
		"missing and deleted":       {[]porcupine.Operation{add(1, 2, "a", 1), do(3, 4, Delete, 1, done), do(5, 6, Tick, 1, gone)}, true},
		"missing and there":         {[]porcupine.Operation{add(1, 2, "a", 1), do(5, 6, Tick, 1, gone)}, false},
		"a batch":                   {[]porcupine.Operation{add(1, 2, "a", 1), both, read(7, 8, "1 a\n2 x\n"), other(7, 8, "1 x\n")}, true},
		"half a batch":              {[]porcupine.Operation{add(1, 2, "a", 1), both, read(7, 8, "1 a\n2 x\n"), other(7, 8, "")}, false},
		"half a batch for a moment": {[]porcupine.Operation{add(1, 2, "a", 1), op(3, 9, both.Input, both.Output), read(4, 5, "1 a\n2 x\n"), other(6, 7, "")}, false},
	} {
		if got := porcupine.CheckOperations(Lists, c.ops); got != c.want {
			t.Errorf("%s: linearizable: %v, want %v", name, got, c.want)
		}
	}
}

// What is settled is what nobody can tell apart: adds that were seen have the id they were seen with,
// others never were.
func TestSettle(t *testing.T) {
	var h History
	add := func(title string) {
		h.Record(1, ListOp{Kind: Add, Book: "l", Title: title}, func() (any, string) { return ListResult{Unknown: true}, Unknown })
	}
	add("a")
	add("b")
	h.Record(1, ListOp{Kind: Tick, Book: "l", ID: 1}, func() (any, string) { return ListResult{Unknown: true}, Unknown })
	h.Record(1, ListOp{Kind: Delete, Book: "l", ID: 1}, func() (any, string) { return ListResult{Unknown: true}, Unknown })
	h.Record(1, ListOp{Kind: Add, Book: "l", Title: "c"}, func() (any, string) { return nil, NotApplied })
	rows := [2]string{Row(1, "a", true), ""}
	if err := h.Settle("l", func(list int) (string, error) { return rows[list], nil }); err != nil {
		t.Fatal(err)
	}
	var left []Kind
	for _, op := range h.ops {
		left = append(left, op.Input.(ListOp).Kind)
	}
	want := []Kind{Add, Tick, Read, Read}
	if len(left) != len(want) || left[0] != want[0] || left[1] != want[1] {
		t.Errorf("left are %v, want %v", left, want)
	}
	if got := h.ops[0].Output.(ListResult).IDs[0]; got != 1 {
		t.Errorf("the add that was seen has id %d, want 1", got)
	}
	if err := h.Check(Lists, time.Minute, ""); err != nil {
		t.Error(err)
	}
	if err := h.Settle("l", func(int) (string, error) { return "", errors.New("no answer") }); err == nil {
		t.Error("a last read that failed settles nothing")
	}
	rows[0] = ""
	if err := h.Settle("l", func(list int) (string, error) { return rows[list], nil }); err != nil {
		t.Fatal(err)
	}
	if h.Check(Lists, time.Minute, "") == nil {
		t.Error("what was there once is lost, and the check passes")
	}
}
