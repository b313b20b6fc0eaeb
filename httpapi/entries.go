package httpapi

import (
	"bytes"
	"net/http"
	"strconv"

	"todod/fsm"
	"todod/fsm/todo"
	"todod/httpapi/api"
	"todod/server"
)

// one is a command of a single operation.
func one(op todo.Op) todo.Command { return todo.Command{Ops: []todo.Op{op}} }

// oneNew is a command that adds an entry, to be filled in: an operation is large, and most writes are such.
func oneNew() (todo.Command, *todo.Op) {
	ops := []todo.Op{{Kind: todo.Add}}
	return todo.Command{Ops: ops}, &ops[0]
}

// addEntry is POST of a list's entries.
func addEntry(req *request) error {
	cmd, op := oneNew()
	var err error
	if op.List, err = req.list(); err != nil {
		return err
	}
	var in api.NewEntry
	if err := decode(req, scanNewEntry, &in); err != nil {
		return err
	}
	op.Fields = fieldsOf(&in)
	if op.If, err = conditions(req.r.Header); err != nil {
		return err
	}
	res, err := req.write(cmd)
	if err != nil {
		return err
	}
	req.locate(&res.Items[0])
	return req.sendItem(http.StatusCreated, &res)
}

// putEntry replaces all settable fields of an entry.
func putEntry(req *request) error {
	var in api.NewEntry
	if err := decode(req, scanNewEntry, &in); err != nil {
		return err
	}
	return changeEntry(req, todo.Op{Kind: todo.Put, Fields: fieldsOf(&in)})
}

// patchEntry changes the fields that the body names.
func patchEntry(req *request) error {
	var in api.EntryPatch
	if err := decode(req, scanPatch, &in); err != nil {
		return err
	}
	return changeEntry(req, todo.Op{Kind: todo.Patch, Fields: changeOf(&in)})
}

func changeEntry(req *request, op todo.Op) error {
	res, err := req.writeEntry(op)
	if err != nil {
		return err
	}
	return req.sendItem(http.StatusOK, &res)
}

// writeEntry does op to the entry in the path.
func (req *request) writeEntry(op todo.Op) (res fsm.Result, err error) {
	if op, err = req.onEntry(op); err != nil {
		return res, err
	}
	return req.write(one(op))
}

// onEntry is op on the entry in the path, under the conditions in the header.
func (req *request) onEntry(op todo.Op) (_ todo.Op, err error) {
	if op.List, err = req.list(); err != nil {
		return op, err
	}
	if op.ID, err = req.id(); err != nil {
		return op, err
	}
	op.If, err = conditions(req.r.Header)
	return op, err
}

// sendItem answers with the one entry that a write came to. A replay whose entry was too
// large to keep is answered without it.
func (req *request) sendItem(status int, res *fsm.Result) error {
	item := &res.Items[0]
	req.tag(res.Epoch, item.Entry.Rev)
	if res.Elided {
		req.w.WriteHeader(status)
		return nil
	}
	return req.sendEntry(status, item.List, &item.Entry)
}

func (req *request) sendEntry(status int, list string, e *todo.Entry) error {
	buf := req.s.buffer()
	defer req.s.release(buf)
	buf.Write(append(appendEntry(buf.AvailableBuffer(), list, e), '\n'))
	return req.send(status, applicationJSON, buf.Bytes())
}

func getEntry(req *request) error {
	list, err := req.list()
	if err != nil {
		return err
	}
	id, err := req.id()
	if err != nil {
		return err
	}
	r, err := req.read(server.Linearizable)
	if err != nil {
		return err
	}
	defer r.Close()
	e, ok := r.Entry(list, id)
	if !ok {
		return missing(r.View, list, id)
	}
	if ok, err := req.fresh(true, r.Epoch(), e.Rev); !ok {
		return err
	}
	return req.sendEntry(http.StatusOK, list, &e)
}

// getEntries is a page of a list's entries.
func getEntries(req *request) error {
	list, err := req.list()
	if err != nil {
		return err
	}
	if req.query.hasChoice() {
		return req.chosen(list)
	}
	q, err := req.entryQuery()
	if err != nil {
		return err
	}
	text, _ := req.query.get("cursor") // "" asks for the first page, as a loop over pages begins
	at := cursor{}
	if text != "" {
		if at, err = parseCursor(text, hashEntries(&q)); err != nil {
			return err
		}
		if at.text != "" && todo.Date(at.text) != nil {
			return errCursor
		}
		q.After = fsm.Position{Date: at.text, ID: at.id}
	}
	buf := req.s.buffer()
	defer req.s.release(buf)
	if ok, err := req.readPage(buf, list, q, at); !ok {
		return err
	}
	return req.send(http.StatusOK, applicationJSON, buf.Bytes())
}

// readPage puts a page of entries into buf; false if the answer is an error or 304. The view
// is closed before anything is sent, so that a slow client does not keep it open.
func (req *request) readPage(buf *bytes.Buffer, list string, q fsm.Query, at cursor) (bool, error) {
	r, err := req.read(server.Linearizable)
	if err != nil {
		return false, err
	}
	defer r.Close()
	l, exists := r.List(list)
	if at.stale(r.Epoch(), l.Num) {
		return false, errStale
	}
	if ok, err := req.fresh(exists, r.Epoch(), l.Rev); !ok {
		return false, err
	}
	b, last := beginEntries(buf.AvailableBuffer(), list, l.Rev), fsm.Position{}
	more := r.Page(list, &q, func(e *todo.Entry) {
		b = appendNext(b, list, e)
		last = fsm.Position{Date: e.Date, ID: e.ID}
	})
	next := ""
	if more {
		next = cursor{epoch: r.Epoch(), query: hashEntries(&q), list: l.Num, id: last.ID, text: last.Date}.String()
	}
	buf.Write(append(endEntries(b, next), '\n'))
	return true, nil
}

// hashEntries binds a cursor to the query that it came from.
func hashEntries(q *fsm.Query) uint64 {
	return hashQuery("entries", q.Date, q.From, q.To, flagText(q.Done))
}

var (
	errEpoch = fail(api.CodeGone, "the cursor is from before a restore: begin at the first page again")
	errStale = fail(api.CodeGone, "the cursor is from before a restore, or of another list than the one that is called so now: begin at the first page again")
)

// entryQuery reads the filters and the size of a page of entries.
func (req *request) entryQuery() (q fsm.Query, err error) {
	p := &req.query
	if q.Date, err = p.date("date"); err != nil {
		return q, err
	}
	if q.From, err = p.date("from"); err != nil {
		return q, err
	}
	if q.To, err = p.date("to"); err != nil {
		return q, err
	}
	if q.Done, err = p.flag("done"); err != nil {
		return q, err
	}
	q.Limit, err = p.limit()
	return q, err
}

func flagText(v *bool) string {
	if v == nil {
		return ""
	}
	return strconv.FormatBool(*v)
}
