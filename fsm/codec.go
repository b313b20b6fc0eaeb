package fsm

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"todod/fsm/todo"
)

// errShort is a value that ends too early or runs on too long.
var errShort = errors.New("value is cut short or too long")

// reader takes values apart that the append functions put together. The first error
// sticks and every later read gives zero values, so callers check once, with end.
type reader struct {
	b       []byte
	bad     bool
	unknown bool  // something in it is of a newer version
	lent    *lent // where what is read goes, without copies; nil: it is made
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 || n > 1 && r.b[n-1] == 0 { // a value has one encoding only: the shortest
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) uint16() uint16 {
	v := r.uvarint()
	r.bad = r.bad || v > math.MaxUint16
	return uint16(v)
}

func (r *reader) byte() byte {
	if len(r.b) == 0 {
		r.bad = true
		return 0
	}
	v := r.b[0]
	r.b = r.b[1:]
	return v
}

// bytes returns a slice of the input: it is valid as long as the input is.
func (r *reader) bytes() []byte {
	n := r.uvarint()
	if n > uint64(len(r.b)) {
		r.bad, r.b = true, nil
		return nil
	}
	v := r.b[:n:n]
	r.b = r.b[n:]
	return v
}

func (r *reader) string() string { return r.text(r.bytes()) }
func (r *reader) int() int64     { return int64(r.uvarint()) }

// bool reads a 0 or a 1: each value has one encoding only.
func (r *reader) bool() bool {
	v := r.byte()
	r.bad = r.bad || v > 1
	return v == 1
}

// count reads a number of things that take at least size bytes each, so that a damaged
// count cannot ask for more memory than the input could fill.
func (r *reader) count(size int) int {
	n := r.uvarint()
	if n > uint64(len(r.b)/size) {
		r.bad, r.b = true, nil
		return 0
	}
	return int(n)
}

// end returns an error unless everything was read and known, and nothing was missing.
func (r *reader) end() error {
	if r.bad || r.unknown || len(r.b) != 0 {
		return errShort
	}
	return nil
}

func appendBytes[T string | []byte](b []byte, v T) []byte {
	return append(binary.AppendUvarint(b, uint64(len(v))), v...)
}

func appendBool(b []byte, v bool) []byte {
	if v {
		return append(b, 1)
	}
	return append(b, 0)
}

func appendUvarints(b []byte, vs ...uint64) []byte {
	for _, v := range vs {
		b = binary.AppendUvarint(b, v)
	}
	return b
}

// An entry has one byte of flags. Version 1 knew only the first.
const (
	entryDone = 1 << iota
	entryMore // fields follow the title: see codec_more.go
	entryFlags
)

func appendEntry(b []byte, e *todo.Entry) []byte {
	b = appendUvarints(b, e.ID, e.Rev, uint64(e.Created), uint64(e.Updated))
	b = append(b, flags(e.Done, e.More))
	b = appendBytes(b, e.Date)
	b = appendBytes(b, e.Title)
	return appendMore(b, e.More)
}

func flags(done bool, more *todo.More) (f byte) {
	if done {
		f |= entryDone
	}
	if more != nil {
		f |= entryMore
	}
	return f
}

func (r *reader) flags() byte {
	f := r.byte()
	r.bad = r.bad || f >= entryFlags
	return f
}

func (r *reader) entry() (e todo.Entry) {
	e.ID, e.Rev, e.Created, e.Updated = r.uvarint(), r.uvarint(), r.int(), r.int()
	f := r.flags()
	e.Done = f&entryDone != 0
	e.Date = r.string()
	e.Title = r.string()
	if f&entryMore != 0 {
		e.More = r.more()
	}
	return e
}

func appendItems(b []byte, items []todo.Item) []byte {
	b = binary.AppendUvarint(b, uint64(len(items)))
	for i := range items {
		it := &items[i]
		b = append(b, byte(it.Kind))
		b = appendBool(b, it.Changed)
		b = appendBytes(b, it.List)
		b = appendEntry(b, &it.Entry)
		if hasOrigin(it.Kind) {
			b = binary.AppendUvarint(appendBytes(b, it.Origin.List), it.Origin.ID)
		}
		if it.Kind == todo.PatchList {
			b = appendListChange(b, it.ListChange)
		}
	}
	return b
}

func hasOrigin(k todo.Kind) bool { return k == todo.Move || k == todo.Copy || k == todo.PatchList }

func (r *reader) items() []todo.Item {
	n := r.count(10)
	if n == 0 {
		return nil
	}
	items := make([]todo.Item, n)
	for i := range items {
		items[i] = todo.Item{Kind: todo.Kind(r.byte()), Changed: r.bool(), List: r.string(), Entry: r.entry()}
		if hasOrigin(items[i].Kind) {
			items[i].Origin = todo.Ref{List: r.string(), ID: r.uvarint()}
		}
		if items[i].Kind == todo.PatchList {
			items[i].ListChange = r.listChange()
		}
	}
	return items
}

// AppendResult appends the encoding of a result, as sessions keep it and as it crosses
// between nodes.
func AppendResult(b []byte, res *Result) []byte {
	b = append(b, byte(res.Code))
	b = appendUvarints(b, uint64(res.At), res.Epoch, res.Rev, uint64(res.Time), res.Value)
	b = appendBool(b, res.Replayed)
	b = appendBool(b, res.Elided)
	return appendItems(b, res.Items)
}

// DecodeResult is the reverse of AppendResult.
func DecodeResult(b []byte) (Result, error) {
	r := &reader{b: b}
	res := r.result()
	return res, r.end()
}

func (r *reader) result() (res Result) {
	res.Code = todo.Code(r.byte())
	res.At = int(r.uvarint())
	res.Epoch, res.Rev, res.Time, res.Value = r.uvarint(), r.uvarint(), r.int(), r.uvarint()
	res.Replayed, res.Elided = r.bool(), r.bool()
	res.Items = r.items()
	return res
}

// EncodeTodo returns the payload of a TypeTodo command, in version 2. What version 1 can say is the same
// bytes in both, so that a request with a key is the same whichever version it is sent in.
func EncodeTodo(cmd *todo.Command) []byte {
	b := append(make([]byte, 0, 64+64*len(cmd.Ops)), commandFlags(cmd))
	if cmd.Choice != "" {
		b = appendBytes(b, cmd.Choice)
	}
	b = binary.AppendUvarint(b, uint64(len(cmd.Ops)))
	for i := range cmd.Ops {
		op := &cmd.Ops[i]
		b = append(b, byte(op.Kind))
		b = appendUvarints(b, op.ID, uint64(op.Fields.Set))
		b = appendBytes(b, op.List)
		b = appendBytes(b, op.Fields.Title)
		b = appendBytes(b, op.Fields.Date)
		b = append(b, opFlags(op))
		b = appendTags(b, op.If.Match)
		b = appendTags(b, op.If.NoneMatch)
		if !op.First() {
			b = appendOperands(b, op)
		}
	}
	return b
}

func appendTags(b []byte, tags []todo.Tag) []byte {
	b = binary.AppendUvarint(b, uint64(len(tags)))
	for _, t := range tags {
		b = appendUvarints(b, t.Epoch, t.Rev)
	}
	return b
}

// A command has one byte of flags. Version 1 knew only the first.
const (
	batchFlag  = 1
	choiceFlag = 2
)

func commandFlags(cmd *todo.Command) (f byte) {
	if cmd.Batch {
		f |= batchFlag
	}
	if cmd.Choice != "" {
		f |= choiceFlag
	}
	return f
}

// DecodeTodo is the reverse of EncodeTodo. It fails with ErrDamaged, or with ErrUnknown at an
// operation or a field that this program does not know: to leave it out would be to diverge.
func DecodeTodo(b []byte) (cmd todo.Command, err error) {
	r := &reader{b: b}
	f := r.byte()
	if cmd.Batch = f&batchFlag != 0; f&choiceFlag != 0 {
		cmd.Choice = r.string()
	}
	r.bad = r.bad || f != commandFlags(&cmd)
	cmd.Ops = make([]todo.Op, r.count(9))
	for i := range cmd.Ops {
		op := &cmd.Ops[i]
		op.Kind = todo.Kind(r.byte())
		op.ID, op.Fields.Set = r.uvarint(), todo.FieldSet(r.uint16())
		op.List, op.Fields.Title, op.Fields.Date = r.string(), r.string(), r.string()
		f := r.flags()
		op.Fields.Done = f&opDone != 0
		op.If.Match, op.If.NoneMatch = r.tags(), r.tags()
		if f&opOperands != 0 {
			r.operands(op)
		}
		known := op.Known()
		r.bad = r.bad || known && f != opFlags(op)
		r.unknown = r.unknown || !known
	}
	switch err := r.end(); {
	case r.unknown && !r.bad:
		return todo.Command{}, fmt.Errorf("command on lists: %w", ErrUnknown)
	case err != nil:
		return todo.Command{}, fmt.Errorf("command on lists: %w", ErrDamaged)
	}
	return cmd, nil
}

func (r *reader) tags() []todo.Tag {
	n := r.count(2)
	if n == 0 {
		return nil
	}
	tags := make([]todo.Tag, n)
	for i := range tags {
		tags[i] = todo.Tag{Epoch: r.uvarint(), Rev: r.uvarint()}
	}
	return tags
}
