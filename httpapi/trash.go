package httpapi

import (
	"encoding/json"
	"net/http"
	"time"

	"todod/fsm"
	"todod/fsm/todo"
	"todod/httpapi/api"
	"todod/server"
)

// deleteEntry puts an entry into the trash, or with purge deletes it for good.
func deleteEntry(req *request) error {
	purge, err := req.query.flag("purge")
	if err != nil {
		return err
	}
	op, err := req.onEntry(todo.Op{Kind: todo.Delete})
	if err != nil {
		return err
	}
	cmd := one(op)
	if purge != nil && *purge {
		cmd.Ops = append(cmd.Ops, todo.Op{Kind: todo.Purge, List: op.List, ID: op.ID})
	}
	if _, err := req.write(cmd); err != nil {
		return err
	}
	return req.noContent()
}

func restoreEntry(req *request) error {
	res, err := req.writeEntry(todo.Op{Kind: todo.Restore})
	if err != nil {
		return err
	}
	return req.sendItem(http.StatusOK, &res)
}

// purgeTrashed deletes an entry of the trash for good.
func purgeTrashed(req *request) error {
	if _, err := req.writeEntry(todo.Op{Kind: todo.Purge}); err != nil {
		return err
	}
	return req.noContent()
}

// postUndo undoes what a rev did.
func postUndo(req *request) error {
	for _, name := range []string{"If-Match", "If-None-Match"} {
		if req.r.Header[name] != nil {
			return &todo.Invalid{Field: name, Reason: "must not be given: what was changed again since is not undone anyway"}
		}
	}
	var in api.Undo
	if err := decode(req, scanUndo, &in); err != nil {
		return err
	}
	res, err := req.write(one(todo.Op{Kind: todo.Undo, Rev: in.Rev}))
	if err != nil {
		return err
	}
	if res.Elided { // a replay whose body was too large to keep
		req.w.WriteHeader(http.StatusOK)
		return nil
	}
	if !res.Items[0].Changed { // the rev had left everything as it was
		res.Items = nil
	}
	return req.sendJSON(http.StatusOK, applicationJSON, batchResult(&res))
}

func scanUndo(s *scanner, u *api.Undo) error {
	return s.object(func(name []byte) (err error) {
		if string(name) != "rev" {
			return s.unknown(name)
		}
		u.Rev, err = s.number("rev")
		return err
	})
}

// pageAt is where a page of what a list has begins: its size, and the place that its cursor names, which is bound to
// these words.
func (req *request) pageAt(words ...string) (limit int, at cursor, err error) {
	if limit, err = req.query.limit(); err != nil {
		return limit, at, err
	}
	at.query = hashQuery(words...)
	if text, _ := req.query.get("cursor"); text != "" { // "" asks for the first page, as a loop over pages begins
		at, err = parseCursor(text, at.query)
	}
	return limit, at, err
}

// getTrash is a page of what was deleted from a list, by id.
func getTrash(req *request) error {
	list, err := req.list()
	if err != nil {
		return err
	}
	limit, at, err := req.pageAt("trash")
	if err != nil {
		return err
	}
	page, err := req.readTrash(list, limit, at)
	if err != nil {
		return err
	}
	return req.sendJSON(http.StatusOK, applicationJSON, page)
}

func (req *request) readTrash(list string, limit int, at cursor) (page api.Trash, err error) {
	r, err := req.read(server.Linearizable)
	if err != nil {
		return page, err
	}
	defer r.Close()
	l, _ := r.List(list)
	if at.stale(r.Epoch(), l.Num) {
		return page, errStale
	}
	rows, more := r.Trash(list, at.id, limit)
	page = api.Trash{List: list, Trash: make([]api.Trashed, len(rows))}
	for i := range rows {
		t := &rows[i]
		page.Trash[i] = api.Trashed{Entry: wireEntry(list, &t.Entry), Deleted: time.UnixMilli(t.At).UTC(), DeletedRev: t.Rev, With: t.Root}
	}
	if more {
		page.Next = cursor{epoch: r.Epoch(), query: at.query, list: l.Num, id: rows[limit-1].Entry.ID}.String()
	}
	return page, nil
}

// getHistory is a page of the changes of an entry, the newest first.
func getHistory(req *request) error {
	list, err := req.list()
	if err != nil {
		return err
	}
	id, err := req.id()
	if err != nil {
		return err
	}
	limit, at, err := req.pageAt("history", req.vars.id)
	if err != nil {
		return err
	}
	page, err := req.readHistory(list, id, limit, at)
	if err != nil {
		return err
	}
	return req.sendJSON(http.StatusOK, applicationJSON, page)
}

func (req *request) readHistory(list string, id uint64, limit int, at cursor) (page api.History, err error) {
	r, err := req.read(server.Linearizable)
	if err != nil {
		return page, err
	}
	defer r.Close()
	l, _ := r.List(list)
	if at.stale(r.Epoch(), l.Num) {
		return page, errStale
	}
	traces, more, ok := r.History(list, id, at.id, limit)
	if !ok {
		return page, missing(r.View, list, id)
	}
	page = api.History{List: list, ID: id, Changes: make([]api.EntryChange, len(traces))}
	for i := range traces {
		t := &traces[i]
		page.Changes[i] = api.EntryChange{Rev: t.Rev, Time: time.UnixMilli(t.At).UTC(), By: t.Who, Op: opName(t.Kind), Fields: fieldChanges(&t.Trace)}
	}
	if more {
		page.Next = cursor{epoch: r.Epoch(), query: at.query, list: l.Num, id: traces[limit-1].Count}.String()
	}
	return page, nil
}

// fieldChanges are the fields that a change of an entry changed, by the names that they have in JSON, and when it was done.
func fieldChanges(t *todo.Trace) map[string]api.FieldChange {
	from, to := fieldTexts(&t.From), fieldTexts(&t.To)
	changes := map[string]api.FieldChange{}
	for _, texts := range []map[string]json.RawMessage{from, to} {
		for name := range texts {
			changes[name] = api.FieldChange{From: orJSONNull(from[name]), To: orJSONNull(to[name])}
		}
	}
	if t.From.Done != t.To.Done {
		changes["done"] = api.FieldChange{From: trueOrFalse(t.From.Done), To: trueOrFalse(t.To.Done)}
	}
	return changes
}

func orJSONNull(text json.RawMessage) json.RawMessage {
	if text == nil {
		return json.RawMessage("null")
	}
	return text
}

func trueOrFalse(v bool) json.RawMessage {
	if v {
		return json.RawMessage("true")
	}
	return json.RawMessage("false")
}

// fieldTexts are the JSON of the fields that have a value.
func fieldTexts(f *todo.Fields) map[string]json.RawMessage {
	e := todo.Entry{Title: f.Title, Date: f.Date, More: f.More}
	texts := map[string]json.RawMessage{}
	for name, text := range jsonFields(appendEntry(nil, "", &e)) {
		switch name {
		case "list", "id", "done", "rev", "created", "updated", "due":
		case "title", "date":
			if string(text) != `""` {
				texts[name] = text
			}
		default:
			texts[name] = text
		}
	}
	return texts
}

// jsonFields takes an object apart that this program has put together.
func jsonFields(object []byte) (fields map[string]json.RawMessage) {
	if err := json.Unmarshal(object, &fields); err != nil {
		panic(err)
	}
	return fields
}

// missing is the failure of a read of an entry that is not in its list: it is nowhere, or in another list.
func missing(v *fsm.View, list string, id uint64) error {
	item, ok := v.Moved(list, id)
	if !ok {
		if _, there := v.List(list); !there {
			return noList(v, list)
		}
		return fail(api.CodeNotFound, "%s", refusals[todo.NoEntry].detail)
	}
	f := fail(api.CodeMoved, "%s", refusals[todo.Moved].detail)
	f.current = &item
	return f
}

// trashRoutes are those of what was, and of what is done about it.
var trashRoutes = []route{
	{http.MethodGet, "/v1/lists/{list}/trash", getTrash, pageParams, about{
		id: "listTrash", does: "A page of what was deleted from a list, by id",
		more: "It is kept for 30 days, unless the group has another limit, and at most 100,000 entries of each list: the oldest go first. The trash goes with its list.",
		how:  reads, gives: api.Trash{List: "bob", Trash: []api.Trashed{{Entry: dentist, Deleted: then, DeletedRev: 43}}},
	}},
	{http.MethodPost, "/v1/lists/{list}/trash/{id}/restore", restoreEntry, nil, about{
		id: "restoreEntry", does: "Take an entry back out of the trash, under its id",
		more: "What it took along comes back with it. Where its parent is gone, it is at the top level. No body is needed.",
		how:  writes | tagged, gives: dentist, fails: []api.Code{api.CodeNotFound},
	}},
	{http.MethodDelete, "/v1/lists/{list}/trash/{id}", purgeTrashed, nil, about{
		id: "purgeTrashed", does: "Delete an entry of the trash for good", more: "And what it took along. Its history goes too.",
		how: writes | matches, fails: []api.Code{api.CodeNotFound},
	}},
	{http.MethodGet, "/v1/lists/{list}/entries/{id}/history", getHistory, pageParams, about{
		id: "entryHistory", does: "A page of the changes of an entry, the newest first",
		more: "They are kept for 90 days, at most 1,000 of each entry and 128 MiB in all. That it was added is none of them: the entry itself says when. One in the trash has its history too.",
		how:  reads, gives: api.History{List: "bob", ID: 1, Changes: []api.EntryChange{{Rev: 43, Time: then, Op: "patch", Fields: map[string]api.FieldChange{"done": {From: trueOrFalse(false), To: trueOrFalse(true)}}}}},
		fails: []api.Code{api.CodeNotFound, api.CodeMoved},
	}},
	{http.MethodPost, "/v1/undo", postUndo, nil, about{
		id: "undo", does: "Undo what a rev did",
		more: "All of it, or nothing: 409 where an entry was changed again since, 410 where it is no longer kept what the rev did. What a list is like itself, its title say, is undone too, but a list that was deleted does not come back, and one that got another name keeps it: both are 409. To undo is a change like others, and can be undone.",
		how:  writes, body: api.Undo{Rev: 42}, gives: api.BatchResult{Rev: 43, Results: []api.BatchChange{{Op: "delete", List: "bob", ID: 1}}},
		fails: []api.Code{api.CodeNotFound, api.CodeGone},
	}},
}

var pageParams = []string{"limit", "cursor", "consistency"}
