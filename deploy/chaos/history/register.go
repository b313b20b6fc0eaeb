package history

import "github.com/anishathalye/porcupine"

// RegisterOp is an operation on the title of one entry.
type RegisterOp struct {
	Entry string
	Write string // the title to put; "" reads
	Match string // If-Match of the put; "" for none
}

// RegisterResult is what it came to.
type RegisterResult struct {
	Unknown bool
	Failed  bool // 412: the ETag was another
	Title   string
	ETag    string
}

type register struct{ title, etag string }

// Registers is the entries of a list as registers with compare-and-swap, each with the title Start in the
// beginning. Each title is put once only, so a read tells exactly which write it saw.
var Registers = porcupine.Model{
	Partition: partition(func(in any) string { return in.(RegisterOp).Entry }),
	Init:      func() any { return register{title: Start} },
	Step: func(state, input, output any) (bool, any) {
		s, in, out := state.(register), input.(RegisterOp), output.(RegisterResult)
		// The ETag of a put whose answer was lost is learned by the first read of it.
		known := s.etag == "" || s.etag == out.ETag
		switch {
		case in.Write == "":
			return s.title == out.Title && known, register{out.Title, out.ETag}
		case out.Failed:
			return s.etag != in.Match, s
		case out.Unknown && in.Match != "" && s.etag != in.Match:
			return true, s
		case out.Unknown:
			return true, register{title: in.Write}
		case in.Match != "" && s.etag != in.Match:
			return false, s
		}
		return true, register{in.Write, out.ETag}
	},
	DescribeOperation: describe,
}

// Start is the title of a register before the first put.
const Start = "start"
