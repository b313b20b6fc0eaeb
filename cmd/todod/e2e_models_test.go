package main_test

import (
	"fmt"
	"slices"

	"github.com/anishathalye/porcupine"
)

// What a client did and what it was told. An operation that was said to be not applied is
// not part of the history; one whose outcome is not known stays open to the end of it.

// regInput is an operation on the title of one entry.
type regInput struct {
	entry string
	write string // the title to put; "" reads
	match string // If-Match of the put; "" for none
}

type regOutput struct {
	unknown bool
	failed  bool // 412: the ETag was another
	title   string
	etag    string
}

type regState struct{ title, etag string }

// registers is the entries of a list as registers with compare-and-swap: each title is put
// once only, so a read tells exactly which write it saw.
var registers = porcupine.Model{
	Partition: partition(func(in any) string { return in.(regInput).entry }),
	Init:      func() any { return regState{title: "start"} },
	Step: func(state, input, output any) (bool, any) {
		s, in, out := state.(regState), input.(regInput), output.(regOutput)
		// The ETag of a put whose answer was lost is learned by the first read of it.
		known := s.etag == "" || s.etag == out.etag
		switch {
		case in.write == "":
			return s.title == out.title && known, regState{out.title, out.etag}
		case out.failed:
			return s.etag != in.match, s
		case out.unknown && in.match != "" && s.etag != in.match:
			return true, s
		case out.unknown:
			return true, regState{title: in.write}
		case in.match != "" && s.etag != in.match:
			return false, s
		}
		return true, regState{in.write, out.etag}
	},
	DescribeOperation: func(input, output any) string { return fmt.Sprintf("%+v -> %+v", input, output) },
}

// listInput is an operation on a whole list.
type listInput struct {
	list string
	add  string // the title to add; "" reads
}

type listOutput struct {
	unknown bool
	id      uint64
	titles  string // in order, of a read
}

type listState struct {
	titles string // in order, joined by spaces
	added  uint64
}

// lists is to-do lists that are added to and read as a whole: ids count up from 1, without a gap
// when nothing was refused, and a read gives all that came before it, in order.
var lists = porcupine.Model{
	Partition: partition(func(in any) string { return in.(listInput).list }),
	Init:      func() any { return listState{} },
	Step: func(state, input, output any) (bool, any) {
		s, in, out := state.(listState), input.(listInput), output.(listOutput)
		if in.add == "" {
			return s.titles == out.titles, s
		}
		s = listState{s.titles + in.add + " ", s.added + 1}
		return out.unknown || out.id == s.added, s
	},
	DescribeOperation: func(input, output any) string { return fmt.Sprintf("%+v -> %+v", input, output) },
}

// partition takes a history apart by key: what is checked apart is checked fast.
func partition(key func(any) string) func([]porcupine.Operation) [][]porcupine.Operation {
	return func(history []porcupine.Operation) [][]porcupine.Operation {
		parts := map[string][]porcupine.Operation{}
		var keys []string
		for _, op := range history {
			k := key(op.Input)
			if _, known := parts[k]; !known {
				keys = append(keys, k)
			}
			parts[k] = append(parts[k], op)
		}
		slices.Sort(keys)
		var all [][]porcupine.Operation
		for _, k := range keys {
			all = append(all, parts[k])
		}
		return all
	}
}
