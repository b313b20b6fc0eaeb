package httpapi

import (
	"fmt"
	"net/http"

	"todod/fsm"
	"todod/fsm/todo"
	"todod/httpapi/api"
)

// postBatch does several commands wholly or not at all.
func postBatch(req *request) error {
	for _, name := range []string{"If-Match", "If-None-Match"} {
		if req.r.Header[name] != nil {
			return &todo.Invalid{Field: name, Reason: "must not be given for a batch: each command has an if_match of its own"}
		}
	}
	var in api.Batch
	if err := decode(req, scanBatch, &in); err != nil {
		return err
	}
	cmd := todo.Command{Batch: true, Ops: make([]todo.Op, len(in.Commands))}
	for i := range in.Commands {
		if err := batchOp(&cmd.Ops[i], &in.Commands[i]); err != nil {
			if inv, ok := err.(*todo.Invalid); ok {
				err = &todo.Invalid{Field: fmt.Sprintf("commands[%d].%s", i, inv.Field), Reason: inv.Reason}
			}
			return err
		}
	}
	res, err := req.write(cmd)
	if err != nil {
		return err
	}
	if res.Elided { // a replay whose body was too large to keep
		req.w.WriteHeader(http.StatusOK)
		return nil
	}
	return req.sendJSON(http.StatusOK, applicationJSON, batchResult(&res))
}

// batchKinds has the kind of each op; opNames is the reverse.
var (
	batchKinds = map[string]todo.Kind{"add": todo.Add, "put": todo.Put, "patch": todo.Patch, "delete": todo.Delete, "delete_list": todo.DeleteList,
		"move": todo.Move, "copy": todo.Copy, "place": todo.Arrange, "restore": todo.Restore, "purge": todo.Purge}
	opNames = [...]string{todo.Add: "add", todo.Put: "put", todo.Patch: "patch", todo.Delete: "delete", todo.DeleteList: "delete_list",
		todo.Move: "move", todo.Copy: "copy", todo.Arrange: "place", todo.Restore: "restore", todo.Purge: "purge", todo.Undo: "undo", todo.PatchList: "patch_list"}
)

const batchOps = "add, put, patch, delete, delete_list, move, copy, place, restore or purge"

// refOf is a reference as an operation has it: from 1, 0 for none.
func refOf(of *uint64) uint64 {
	if of == nil {
		return 0
	}
	return *of + 1
}

// batchOp turns a command of a batch into an operation. What the kind has no use for is
// refused: whoever sent it expected something of it.
func batchOp(op *todo.Op, c *api.Command) (err error) {
	fields := changeOf(&c.EntryPatch)
	op.Kind, op.List, op.ID, op.To = batchKinds[c.Op], c.List, c.ID, c.To
	op.IDOf, op.ParentOf = refOf(c.IDOf), refOf(c.ParentOf)
	onEntry := op.Kind != todo.Add && op.Kind != todo.DeleteList
	takesFields := op.Kind == todo.Add || op.Kind == todo.Put || op.Kind == todo.Patch
	switch {
	case op.Kind == 0:
		return &todo.Invalid{Field: "op", Reason: "must be " + batchOps}
	case onEntry && c.ID == 0 && c.IDOf == nil:
		return &todo.Invalid{Field: "id", Reason: "is missing"}
	case !onEntry && c.ID != 0:
		return &todo.Invalid{Field: "id", Reason: "must not be given for " + c.Op}
	case !onEntry && c.IDOf != nil:
		return &todo.Invalid{Field: "id_of", Reason: "must not be given for " + c.Op}
	case !takesFields && (fields.Set != 0 || c.ParentOf != nil):
		return &todo.Invalid{Field: "op", Reason: c.Op + " takes no fields of an entry"}
	case c.To != "" && op.Kind != todo.Move && op.Kind != todo.Copy:
		return &todo.Invalid{Field: "to", Reason: "must not be given for " + c.Op}
	case (c.Place != nil) != (op.Kind == todo.Arrange):
		return &todo.Invalid{Field: "place", Reason: "belongs to the op place, and only to it"}
	case c.Place != nil:
		if op.Where, err = whereOf(c.Place); err != nil {
			return err
		}
	}
	op.Fields = fields
	if op.Kind != todo.Patch {
		op.Fields.Set = 0 // the others set all: equal requests must be equal commands
	}
	if c.IfMatch != "" {
		op.If.Match, err = parseTags("if_match", c.IfMatch, false)
	}
	return err
}

func batchResult(res *fsm.Result) api.BatchResult {
	out := api.BatchResult{Rev: res.Rev, Results: make([]api.BatchChange, len(res.Items))}
	for i := range res.Items {
		item := &res.Items[i]
		change := api.BatchChange{Op: opNames[item.Kind], List: item.List}
		if item.Kind != todo.DeleteList && item.Kind != todo.PatchList {
			change.ID = item.Entry.ID
		}
		if change.ID != 0 && item.Kind != todo.Delete && item.Kind != todo.Purge {
			e := wireEntry(item.List, &item.Entry)
			change.Entry = &e
		}
		if item.Origin.ID != 0 || item.Left().List != "" {
			change.From = &api.EntryRef{List: item.Origin.List, ID: item.Origin.ID}
		}
		out.Results[i] = change
	}
	return out
}
