package httpapi

import (
	"mime"
	"net/http"

	"todod/fsm"
	"todod/fsm/todo"
	"todod/server"
)

// The two routes of the book, byte for byte.

// bookAdd is POST /add_entry.
func bookAdd(req *request) error {
	if err := req.form(); err != nil {
		return err
	}
	cmd, op := oneNew()
	var err error
	if op.List, err = req.query.required("list"); err != nil {
		return err
	}
	if op.Fields.Date, err = req.requiredDate(); err != nil {
		return err
	}
	if op.Fields.Title, err = req.query.required("title"); err != nil {
		return err
	}
	if op.If, err = conditions(req.r.Header); err != nil {
		return err
	}
	if _, err := req.write(cmd); err != nil {
		return err
	}
	return req.send(http.StatusOK, textPlain, bookOK)
}

var bookOK = []byte("OK")

// bookEntries is GET /entries: one line an entry, of any number, in the order added.
func bookEntries(req *request) error {
	if err := req.form(); err != nil {
		return err
	}
	list, err := req.query.required("list")
	if err != nil {
		return err
	}
	if list, err = todo.ListName(list); err != nil {
		return err
	}
	q := fsm.Query{}
	if q.Date, err = req.requiredDate(); err != nil {
		return err
	}
	r, err := req.read(server.Auto)
	if err != nil {
		return err
	}
	defer r.Close()
	return req.sendLines(r, list, q)
}

// sendLines writes a long answer piece by piece: a list may hold more than memory should.
func (req *request) sendLines(r *server.Reading, list string, q fsm.Query) error {
	buf := req.s.buffer()
	defer req.s.release(buf)
	first, gone := true, false
	r.Look(list, &q, func(e *todo.Entry) bool {
		if !first {
			buf.WriteByte('\n')
		}
		first = false
		buf.WriteString(e.Date)
		buf.WriteByte(' ')
		buf.WriteString(e.Title)
		if buf.Len() >= flushText {
			gone = req.flushLines(buf.Bytes()) != nil
			buf.Reset()
		}
		return !gone
	})
	if gone { // the client, that is
		return nil
	}
	if req.started() {
		_ = req.flushLines(buf.Bytes())
		return nil
	}
	return req.send(http.StatusOK, textPlain, buf.Bytes())
}

func (req *request) flushLines(b []byte) error {
	if !req.started() {
		req.w.Header()["Content-Type"] = textPlain
		req.w.Header()["X-Content-Type-Options"] = noSniff
		req.w.Header()["Cache-Control"] = noCache
	}
	_, err := req.w.Write(b)
	return err
}

// requiredDate returns the date that both routes need.
func (req *request) requiredDate() (string, error) {
	date, err := req.query.required("date")
	if err != nil {
		return "", err
	}
	return date, todo.Date(date)
}

// form adds the parameters of a form body to those of the query. A body of another kind is
// ignored, as the book's server does.
func (req *request) form() error {
	if req.r.ContentLength == 0 {
		return nil
	}
	kind, _, err := mime.ParseMediaType(req.r.Header.Get("Content-Type"))
	if err != nil || kind != "application/x-www-form-urlencoded" {
		return nil
	}
	buf := req.s.buffer()
	defer req.s.release(buf)
	if err := req.body(buf); err != nil {
		return err
	}
	return req.query.add(buf.String(), false)
}
