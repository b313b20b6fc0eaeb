package httpapi

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"time"

	"todod/fsm"
	"todod/fsm/todo"
	"todod/fsm/todo/filter"
	"todod/httpapi/api"
	"todod/server"
)

// bulkParams are those of a change of all entries that a filter chooses.
var bulkParams = []string{"tz"}

// bulk does one thing to all entries of a list that a filter chooses, in one command.
type bulk struct {
	api.Bulk
	list string
	kind todo.Kind
	expr *filter.Expr
	zone *time.Location
	now  time.Time
}

func postBulk(req *request) error {
	b := &bulk{now: req.s.cfg.Now()}
	var err error
	if b.list, err = req.list(); err != nil {
		return err
	}
	if err := decode(req, scanBulk, &b.Bulk); err != nil {
		return err
	}
	if b.zone, err = req.zone(); err != nil {
		return err
	}
	if err := b.check(); err != nil {
		return err
	}
	if b.DryRun {
		return b.answerDry(req)
	}
	asked, err := json.Marshal([]any{b.list, b.zone.String(), b.Bulk})
	if err != nil {
		return err
	}
	sum := sha256.Sum256(asked)
	req.choose = b.choose
	res, err := req.write(todo.Command{Batch: true, Choice: hex.EncodeToString(sum[:16])})
	if err != nil {
		return err
	}
	out := api.BulkResult{Rev: res.Rev, IDs: []uint64{}}
	for i := range res.Items {
		if it := &res.Items[i]; it.Changed {
			id := it.Entry.ID
			if it.Origin.ID != 0 {
				id = it.Origin.ID
			}
			out.IDs = append(out.IDs, id)
		}
	}
	if res.Elided { // a replay whose body was too large to keep
		req.w.WriteHeader(http.StatusOK)
		return nil
	}
	return req.sendJSON(http.StatusOK, applicationJSON, out)
}

// check holds what the request says against what its op takes.
func (b *bulk) check() (err error) {
	if b.expr, err = filter.Parse(b.Filter); err != nil {
		return err
	}
	fields := changeOf(&b.EntryPatch)
	switch b.Op {
	case "patch":
		b.kind = todo.Patch
	case "delete", "move", "copy":
		b.kind = batchKinds[b.Op]
	default:
		return &todo.Invalid{Field: "op", Reason: "must be patch, delete, move or copy"}
	}
	retags := len(b.AddTags)+len(b.RemoveTags) > 0
	switch {
	case b.Op == "patch" && fields.Set == 0 && !retags:
		return &todo.Invalid{Field: "op", Reason: "patch needs a field to set, or tags to add or to take away"}
	case b.Op == "patch" && fields.Set&todo.FieldUID != 0:
		return &todo.Invalid{Field: "uid", Reason: "must not be given: each entry needs one of its own"}
	case b.kind != todo.Patch && (fields.Set != 0 || retags):
		return &todo.Invalid{Field: "op", Reason: b.Op + " takes no fields of an entry"}
	case (b.To != "") != (b.Op == "move" || b.Op == "copy"):
		return &todo.Invalid{Field: "to", Reason: "belongs to move and copy, which need it"}
	case retags && fields.Set&todo.FieldTags != 0:
		return &todo.Invalid{Field: "tags", Reason: "must not be given with add_tags or remove_tags"}
	}
	if b.AddTags, err = todo.Tags(b.AddTags); err != nil {
		return err
	}
	if b.RemoveTags, err = todo.Tags(b.RemoveTags); err != nil {
		return err
	}
	for _, tag := range b.AddTags {
		if slices.Contains(b.RemoveTags, tag) {
			return &todo.Invalid{Field: "tags", Reason: "must not be added and taken away at once: " + tag}
		}
	}
	return nil
}

// choose makes an operation for each entry that the filter chooses, with the rev it was chosen at.
func (b *bulk) choose(ctx context.Context, r *server.Reading, cmd *todo.Command) error {
	chosen, err := b.entries(ctx, r)
	if err != nil {
		return err
	}
	cmd.Ops = make([]todo.Op, 0, len(chosen))
	for i := range chosen {
		op := todo.Op{Kind: b.kind, List: b.list, ID: chosen[i].ID, At: chosen[i].Rev, To: b.To}
		if b.kind == todo.Patch {
			p := b.EntryPatch
			if len(b.AddTags)+len(b.RemoveTags) > 0 {
				tags := b.tags(chosen[i].More.Get().Tags)
				if len(tags) > todo.MaxEntryTags {
					return &todo.Invalid{Field: "tags", Reason: fmt.Sprintf("would be more than %d of entry %d", todo.MaxEntryTags, chosen[i].ID)}
				}
				p.Tags = &tags
			}
			op.Fields = changeOf(&p)
			op.Fields.More = op.Fields.More.Tidy()
		}
		cmd.Ops = append(cmd.Ops, op)
	}
	return nil
}

// tags are those of an entry once the ones of the request were added and taken away.
func (b *bulk) tags(has []string) []string {
	has = slices.DeleteFunc(slices.Clone(has), func(tag string) bool { return slices.Contains(b.RemoveTags, tag) })
	has = append(has, b.AddTags...)
	slices.Sort(has)
	return slices.Compact(has)
}

// entries are those that the filter chooses, without those that go along with one that they are below.
func (b *bulk) entries(ctx context.Context, r *server.Reading) ([]todo.Entry, error) {
	match := b.expr.Bind(filter.Context{Now: b.now, Zone: b.zone, HasSub: func(id uint64) bool { return r.HasSub(b.list, id) }})
	var chosen []todo.Entry
	rows := 0
	r.Look(b.list, &fsm.Query{}, func(e *todo.Entry) bool {
		if match.Match(e) {
			chosen = append(chosen, e.Clone())
		}
		rows++
		return len(chosen) <= todo.MaxBatch && (rows%1024 != 0 || ctx.Err() == nil)
	})
	if ctx.Err() != nil {
		return nil, fail(api.CodeOverloaded, "there was not enough time to look at the whole list: narrow the filter, or ask for more time")
	}
	if len(chosen) > todo.MaxBatch {
		return nil, fail(api.CodeConflict, "%s", refusals[todo.TooMany].detail)
	}
	if b.kind == todo.Patch {
		return chosen, nil
	}
	ids := map[uint64]bool{}
	for i := range chosen {
		ids[chosen[i].ID] = true
	}
	return slices.DeleteFunc(chosen, func(e todo.Entry) bool {
		for up, depth := e.More.Get().Parent, 0; up != 0 && depth < todo.MaxDepth; depth++ {
			if ids[up] {
				return true
			}
			above, _ := r.Entry(b.list, up)
			up = above.More.Get().Parent
		}
		return false
	}), nil
}

// answerDry says what would be changed.
func (b *bulk) answerDry(req *request) error {
	ctx, cancel := req.bounded()
	defer cancel()
	r, err := req.s.node.Read(ctx, server.ReadOptions{Level: server.Linearizable})
	if err != nil {
		return err
	}
	chosen, err := b.entries(ctx, r)
	out := api.BulkResult{Rev: r.Rev(), IDs: []uint64{}}
	r.Close()
	if err != nil {
		return err
	}
	for i := range chosen {
		out.IDs = append(out.IDs, chosen[i].ID)
	}
	return req.sendJSON(http.StatusOK, applicationJSON, out)
}

func scanBulk(s *scanner, b *api.Bulk) error {
	return s.object(func(name []byte) (err error) {
		switch string(name) {
		case "filter":
			b.Filter, err = s.text("filter")
		case "op":
			b.Op, err = s.text("op")
		case "to":
			b.To, err = s.text("to")
		case "add_tags":
			b.AddTags, err = s.texts("add_tags", todo.MaxEntryTags)
		case "remove_tags":
			b.RemoveTags, err = s.texts("remove_tags", todo.MaxEntryTags)
		case "dry_run":
			b.DryRun, err = s.bool("dry_run")
		default:
			var known bool
			if known, err = scanChange(s, name, &b.EntryPatch); !known {
				err = s.unknown(name)
			}
		}
		return err
	})
}
