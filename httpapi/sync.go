package httpapi

import (
	"bytes"
	"net/http"
	"strconv"
	"strings"

	"todod/fsm"
	"todod/fsm/todo"
	"todod/httpapi/api"
	"todod/server"
)

// syncPoint is what the cursor of a sync stands for: a client has the list with the internal number num as it was
// at rev, or is on its way through all of it, behind the entry id, from what it was at rev. What changes on that
// way comes once more after it.
type syncPoint struct {
	num, rev, id uint64
}

var (
	syncQuery = hashQuery("sync")
	errSync   = fail(api.CodeGone, "what changed since the cursor is no longer kept, or a restore came in between: begin again without a cursor")
)

func (p syncPoint) cursor(epoch uint64) string {
	text := strconv.FormatUint(p.num, 10) + "." + strconv.FormatUint(p.rev, 10)
	return cursor{epoch: epoch, query: syncQuery, id: p.id, text: text}.String()
}

func parseSync(text string) (p syncPoint, epoch uint64, err error) {
	c, err := parseCursor(text, syncQuery)
	if err == errRelease {
		return p, 0, err
	}
	num, rev, _ := strings.Cut(c.text, ".")
	p.id = c.id
	if err == nil {
		p.num, err = strconv.ParseUint(num, 10, 64)
	}
	if err == nil {
		p.rev, err = strconv.ParseUint(rev, 10, 64)
	}
	if err != nil || p.cursor(c.epoch) != text { // one spelling each
		return p, 0, &todo.Invalid{Field: "cursor", Reason: "must be that of the answer before"}
	}
	return p, c.epoch, nil
}

// syncList is what changed in a list since a cursor, for clients that poll.
func syncList(req *request) error {
	list, err := req.list()
	if err != nil {
		return err
	}
	limit, err := req.query.limit()
	if err != nil {
		return err
	}
	var from syncPoint
	epoch := uint64(0)
	if text, _ := req.query.get("cursor"); text != "" {
		if from, epoch, err = parseSync(text); err != nil {
			return err
		}
	}
	opt, err := req.readOptions(server.Linearizable)
	if err != nil {
		return err
	}
	if w, err := req.s.node.Window(req.r.Context(), fsm.Window{}); err != nil {
		return err
	} else if w.Epoch == epoch { // this node may be behind the one that gave the cursor
		opt.MinRev = max(opt.MinRev, from.rev)
	}
	buf := req.s.buffer()
	defer req.s.release(buf)
	if err := req.readSync(buf, opt, list, from, epoch, limit); err != nil {
		return err
	}
	return req.send(http.StatusOK, applicationJSON, buf.Bytes())
}

// readSync puts the answer into buf.
func (req *request) readSync(buf *bytes.Buffer, opt server.ReadOptions, list string, from syncPoint, epoch uint64, limit int) error {
	r, err := req.readAs(opt)
	if err != nil {
		return err
	}
	defer r.Close()
	if epoch != 0 && (epoch != r.Epoch() || !r.Window().Has(from.rev)) {
		return errSync
	}
	l, _ := r.List(list)
	out := synced{list: list, rev: l.Rev}
	next := from
	switch {
	case epoch == 0 || from.num != l.Num: // the first call, or what has the name now is another list
		next = out.all(r.View, syncPoint{num: l.Num, rev: r.Rev()}, limit)
		out.reset = true
	case from.id > 0:
		next = out.all(r.View, from, limit)
	default:
		d, ok := r.Delta(list, from.rev, limit, syncRead)
		switch {
		case !ok:
			return errSync
		case d.Anew:
			next = out.all(r.View, syncPoint{num: l.Num, rev: r.Rev()}, limit)
			out.reset = true
		default:
			out.entries, out.gone, next.rev = d.Entries, d.Gone, d.Upto
		}
	}
	out.more = next.id > 0 || l.Rev > next.rev
	out.cursor = next.cursor(r.Epoch())
	buf.Write(append(out.append(buf.AvailableBuffer()), '\n'))
	return nil
}

// synced is an api.Synced on its way out.
type synced struct {
	list        string
	rev         uint64
	reset, more bool
	entries     []todo.Entry
	gone        []uint64
	cursor      string
}

// all takes a page of all entries, and returns where the next one begins.
func (s *synced) all(v *fsm.View, at syncPoint, limit int) syncPoint {
	page, more := v.Entries(s.list, fsm.Query{After: fsm.Position{ID: at.id}, Limit: limit})
	s.entries, at.id = page, 0
	if more {
		at.id = page[len(page)-1].ID
	}
	return at
}

func (s *synced) append(b []byte) []byte {
	b = appendString(append(b, `{"list":`...), s.list)
	b = strconv.AppendUint(append(b, `,"rev":`...), s.rev, 10)
	if s.reset {
		b = append(b, `,"reset":true`...)
	}
	b = append(b, `,"entries":[`...)
	for i := range s.entries {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendEntry(b, s.list, &s.entries[i])
	}
	b = append(b, ']')
	for i, id := range s.gone {
		if i == 0 {
			b = append(b, `,"gone":[`...)
		} else {
			b = append(b, ',')
		}
		b = strconv.AppendUint(b, id, 10)
	}
	if len(s.gone) > 0 {
		b = append(b, ']')
	}
	b = appendString(append(b, `,"cursor":`...), s.cursor)
	if s.more {
		b = append(b, `,"more":true`...)
	}
	return append(b, '}')
}
