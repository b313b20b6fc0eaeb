package httpapi

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash/maphash"
	"reflect"
	"time"

	"todod/fsm"
	"todod/fsm/todo"
	"todod/fsm/todo/propose"
	"todod/httpapi/api"
	"todod/httpapi/format"
	"todod/server"
)

// importer brings the entries of a file into a list. Of each it remembers a hash of its uid and which entry of the list it
// is, some 100 bytes in all.
type importer struct {
	req   *request
	list  string
	file  *format.Format
	zone  *time.Location // where it was made
	dry   bool
	key   string
	names format.Namer

	seed   maphash.Seed
	known  map[uint64]target // by the hash of a uid
	ids    map[uint64]uint64 // hashes of uids by the ids that entries have in the file
	late   []orphan
	saw    uint64 // the rev of the last view
	report report
}

// target is an entry of the file that came already.
type target struct {
	line int
	id   uint64 // in the list; 0 while it is not there: in the part that is being made, or in a dry run
	gone bool   // it was refused
}

// item is an entry on its way into the list.
type item struct {
	line    int
	remarks []string
	fields  todo.Fields // as they are stored, without the parent
	set     todo.FieldSet
	uid     string
	hash    uint64
	above   uint64 // the hash of its parent's uid; 0 for none
	parent  string // that uid, if the file says it
	of      uint64 // the id of its parent in the file, not yet seen
}

// orphan is an entry whose parent comes behind it in the file.
type orphan struct {
	line api.ImportLine
	it   *item // only what names its parent is kept
}

func (im *importer) hash(uid string) uint64 { return max(1, maphash.String(im.seed, uid)) }

// allFields are those that an import sets, as far as its file knows them.
const allFields = todo.FieldTitle | todo.FieldDate | todo.FieldDone | todo.FieldNotes | todo.FieldTime | todo.FieldTZ | todo.FieldPriority | todo.FieldTags |
	todo.FieldParent | todo.FieldRepeat | todo.FieldRepeatFrom | todo.FieldRemind | todo.FieldUID | todo.FieldX

// item judges an entry of the file, and notes that it came.
func (im *importer) item(e *format.Entry) (*item, error) {
	it := &item{line: e.Line, remarks: e.Remarks, uid: im.names.UID(e), parent: e.Above, set: allFields &^ e.Lacks}
	it.hash = im.hash(it.uid)
	if first, twice := im.known[it.hash]; twice {
		return nil, fmt.Errorf("the file has this entry twice: line %d has the same uid", first.line)
	}
	switch {
	case it.parent != "":
		it.above = im.hash(it.parent)
	case e.Parent != 0:
		if it.above = im.ids[e.Parent]; it.above == 0 {
			it.of = e.Parent
		}
	}
	if e.ID != 0 {
		im.ids[e.ID] = it.hash
	}
	im.known[it.hash] = target{line: it.line, gone: true}
	in := api.NewEntry{Title: e.Title, Date: e.Date, Done: e.Done, More: e.More}
	in.UID, in.Parent = it.uid, 0
	cmd := one(todo.Op{Kind: todo.Add, List: im.list, Fields: fieldsOf(&in)})
	if err := propose.Check(&cmd); err != nil {
		return nil, err
	}
	it.fields = cmd.Ops[0].Fields
	if field, ok := todo.Consistent(&todo.Entry{Date: it.fields.Date, More: it.fields.More}); !ok {
		return nil, &todo.Invalid{Field: field, Reason: todo.Lacks(field)}
	}
	im.known[it.hash] = target{line: it.line}
	return it, nil
}

// take puts a part into the list, and works it out anew as long as others change the list at the same time. What the
// lists refuse is left out, the rest goes in.
func (im *importer) take(part []*item) error {
	for try := 0; len(part) > 0; {
		p, err := im.plan(part)
		if err != nil {
			return err
		}
		res, err := im.write(p.ops)
		if err != nil {
			return err
		}
		switch res.Code {
		case todo.OK:
			im.settle(p, &res)
			return nil
		case todo.Outdated, todo.NoEntry, todo.NoList, todo.NoParent, todo.UIDTaken, todo.Precondition, todo.Moved:
			if try++; try < maxRetries {
				continue
			}
		case todo.Cycle, todo.TooDeep, todo.Unfit:
		default:
			return refused(&res, false)
		}
		// One entry stands in the way of the others.
		at := p.item[res.At]
		im.refuse(part[at].line, refusals[res.Code].detail)
		im.known[part[at].hash] = target{line: part[at].line, gone: true}
		part = append(part[:at:at], part[at+1:]...)
	}
	return nil
}

// plan is what is to be done with a part.
type plan struct {
	part []*item
	did  []string
	ids  []uint64 // of those that are in the list
	late []bool   // their parent comes behind them
	ops  []todo.Op
	item []int // which one each operation is for
}

// plan compares a part with the list as it is.
func (im *importer) plan(part []*item) (*plan, error) {
	ctx, cancel := im.req.bounded()
	defer cancel()
	r, err := im.req.s.node.Read(ctx, server.ReadOptions{Level: server.Linearizable})
	if err != nil {
		return nil, err
	}
	defer r.Close()
	im.saw = r.Rev()
	p := &plan{part: part, did: make([]string, len(part)), ids: make([]uint64, len(part)), late: make([]bool, len(part))}
	made := map[uint64]uint64{} // which operation, counted from 1, makes the entry with a hash
	for i, it := range part {
		old, there := im.find(r, it.uid)
		op := todo.Op{Kind: todo.Add, List: im.list, Fields: it.fields}
		if there {
			op.Kind, op.ID, op.At, op.Fields.Set = todo.Patch, old.ID, old.Rev, it.set
			if op.Does() {
				op.Next = &todo.Next{} // it becomes what the file says: done, whether it repeats or not
			}
			p.ids[i] = old.ID
		}
		parent, parentOf, known := im.parent(r, it, made)
		switch {
		case it.set&todo.FieldParent == 0:
		case known:
			op.ParentOf = parentOf
			withParent(&op.Fields, parent)
		default:
			p.late[i] = true
			op.Fields.Set &^= todo.FieldParent
		}
		p.did[i] = api.DidAdd
		if there {
			p.did[i] = api.DidChange
			if op.ParentOf == 0 && unchanged(&op, &old) {
				p.did[i] = api.DidLeave
				continue
			}
		}
		p.ops, p.item = append(p.ops, op), append(p.item, i)
		if !there {
			made[it.hash] = uint64(len(p.ops))
		}
	}
	return p, nil
}

// find returns the entry of the list that has a uid, or had it in a file since it has none of its own.
func (im *importer) find(r *server.Reading, uid string) (todo.Entry, bool) {
	if e, ok := r.UID(im.list, uid); ok {
		return e, true
	}
	if id := format.ID(uid); id != 0 {
		if e, ok := r.Entry(im.list, id); ok && e.More.Get().UID == "" {
			w := wireEntry(im.list, &e)
			return e, format.UID(&w) == uid
		}
	}
	return todo.Entry{}, false
}

// parent returns the parent of an item: its id, or which operation of the part makes it, or neither for none. It is not
// known if it comes later in the file.
func (im *importer) parent(r *server.Reading, it *item, made map[uint64]uint64) (id, of uint64, known bool) {
	if it.above == 0 {
		return 0, 0, it.of == 0
	}
	if t, ok := im.known[it.above]; ok && t.id != 0 {
		return t.id, 0, true
	}
	if n := made[it.above]; n != 0 {
		return 0, n, true
	}
	if it.parent != "" {
		if e, ok := im.find(r, it.parent); ok {
			return e.ID, 0, true
		}
	}
	return 0, 0, false
}

// withParent sets the parent among fields that others may hold too.
func withParent(f *todo.Fields, parent uint64) {
	m := *f.More.Get()
	m.Parent = parent
	f.More = m.Tidy()
}

// unchanged reports whether a patch would leave an entry as it is. An entry that has no uid of its own gets none, and other
// spellings of one x are the same.
func unchanged(op *todo.Op, old *todo.Entry) bool {
	m := *op.Fields.More.Get()
	if old.More.Get().UID == "" {
		m.UID = ""
	}
	if sameJSON(m.X, old.More.Get().X) {
		m.X = old.More.Get().X
	}
	op.Fields.More = m.Tidy()
	with := old.With(&op.Fields)
	return with.Same(old)
}

func sameJSON(a, b string) bool {
	if a == b {
		return true
	}
	var v, w any
	for text, to := range map[string]*any{a: &v, b: &w} {
		dec := json.NewDecoder(bytes.NewReader([]byte(text)))
		dec.UseNumber()
		if text != "" && dec.Decode(to) != nil {
			return false
		}
	}
	return reflect.DeepEqual(v, w)
}

// write has a part applied. Its key says what is in it: a part that was applied, and worked out anew is another one, is not
// taken for the old one.
func (im *importer) write(ops []todo.Op) (fsm.Result, error) {
	if len(ops) == 0 || im.dry {
		return fsm.Result{Code: todo.OK}, nil
	}
	cmd := todo.Command{Ops: ops, Batch: true}
	opt := server.WriteOptions{}
	if im.key != "" {
		sum := sha256.Sum256(append([]byte(im.key+"\x00"), fsm.EncodeTodo(&cmd)...))
		opt.Key = hex.EncodeToString(sum[:])
	}
	ctx, cancel := context.WithTimeout(im.req.r.Context(), im.req.s.cfg.RequestTimeout)
	defer cancel()
	return im.req.s.node.Write(ctx, cmd, opt)
}

// settle notes what became of a part.
func (im *importer) settle(p *plan, res *fsm.Result) {
	im.report.rev = max(im.report.rev, res.Rev)
	for n := range res.Items {
		p.ids[p.item[n]] = res.Items[n].Entry.ID
	}
	for i, it := range p.part {
		im.known[it.hash] = target{line: it.line, id: p.ids[i]}
		line := api.ImportLine{Line: it.line, Did: p.did[i], ID: p.ids[i], Remarks: it.remarks}
		if p.late[i] {
			im.late = append(im.late, orphan{line, &item{above: it.above, parent: it.parent, of: it.of}})
			continue
		}
		im.report.add(line)
	}
}

// adopt gives those their parents that came before them.
func (im *importer) adopt() error {
	for len(im.late) > 0 {
		n := min(len(im.late), todo.MaxBatch)
		part := im.late[:n]
		if err := im.adoptPart(part); err != nil {
			return err
		}
		im.late = im.late[n:]
	}
	return nil
}

const (
	noParent   = "its parent is neither in the file nor in the list: it was left without one"
	goneParent = "its parent was refused: it was left without one"
)

// adoptPart is take for entries whose parent alone is missing.
func (im *importer) adoptPart(part []orphan) error {
	for try := 0; ; {
		ops, at, err := im.planParents(part)
		if err != nil {
			return err
		}
		res, err := im.write(ops)
		if err != nil {
			return err
		}
		switch res.Code {
		case todo.OK:
			im.report.rev = max(im.report.rev, res.Rev)
			for i := range part {
				im.report.add(part[i].line)
			}
			return nil
		case todo.Outdated, todo.NoEntry, todo.NoParent, todo.Cycle, todo.TooDeep, todo.Moved:
			if try++; res.Code == todo.Outdated && try < maxRetries {
				continue
			}
			o := &part[at[res.At]]
			o.it.above, o.it.of = 0, 0
			o.line.Remarks = append(o.line.Remarks, "it was left without its parent: "+refusals[res.Code].detail)
		default:
			return refused(&res, false)
		}
	}
}

func (im *importer) planParents(part []orphan) (ops []todo.Op, at []int, err error) {
	ctx, cancel := im.req.bounded()
	defer cancel()
	r, err := im.req.s.node.Read(ctx, server.ReadOptions{Level: server.Linearizable})
	if err != nil {
		return nil, nil, err
	}
	defer r.Close()
	for i := range part {
		o := &part[i]
		if o.it.above == 0 && o.it.of != 0 {
			o.it.above = im.ids[o.it.of]
		}
		t := im.known[o.it.above]
		old, there := r.Entry(im.list, o.line.ID)
		switch {
		case o.it.above == 0 && o.it.of == 0 || !there && !im.dry: // it was judged already, or somebody took it away
			continue
		case t.line == 0 || t.gone:
			o.line.Remarks = append(o.line.Remarks, map[bool]string{true: goneParent, false: noParent}[t.gone])
			o.it.above, o.it.of = 0, 0
			continue
		case !there || t.id != 0 && old.More.Get().Parent == t.id: // it is new in a dry run, or has that parent
			continue
		}
		if o.line.Did == api.DidLeave {
			o.line.Did = api.DidChange
		}
		op := todo.Op{Kind: todo.Patch, List: im.list, ID: old.ID, At: old.Rev, Fields: todo.Fields{Set: todo.FieldParent, More: &todo.More{Parent: t.id}}}
		ops, at = append(ops, op), append(at, i)
	}
	return ops, at, nil
}
