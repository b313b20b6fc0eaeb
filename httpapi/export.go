package httpapi

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"todod/fsm/todo"
	"todod/fsm/todo/due"
	"todod/httpapi/api"
	"todod/httpapi/format"
	"todod/server"
)

// getExport sends a list as a file of some format: all of it as it was at one rev. A file that fits into a buffer leaves when
// the view is closed again; a larger one keeps the view open, so whoever reads it may not stand still, nor take longer
// than exportTimeout.
func getExport(req *request) error {
	list, err := req.list()
	if err != nil {
		return err
	}
	f, err := req.format()
	if err != nil {
		return err
	}
	zone, err := req.fileZone()
	if err != nil {
		return err
	}
	h := req.w.Header()
	if req.r.Method == http.MethodHead { // an export is not made to be measured
		h["Content-Type"] = []string{f.Type}
		req.w.WriteHeader(http.StatusOK)
		return nil
	}
	if !req.s.transfers.enter() {
		return errTransfers
	}
	defer req.s.transfers.leave()
	r, err := req.read(server.Linearizable)
	if err != nil {
		return err
	}
	x := &export{req: req, r: r, list: list, f: f, until: time.Now().Add(exportTimeout)}
	defer x.close()
	l, exists := r.List(list)
	if !exists {
		return noList(r.View, list)
	}
	if ok, err := req.fresh(exists, r.Epoch(), l.Rev); !ok {
		return err
	}
	req.stays()
	h["Content-Type"] = []string{f.Type}
	h["X-Content-Type-Options"] = noSniff
	h["Cache-Control"] = noCache
	h["Content-Disposition"] = []string{`attachment; filename="list` + f.Suffix + `"; filename*=UTF-8''` + url.PathEscape(list) + f.Suffix}
	enc, err := f.Encoder(x, format.Head{List: list, Rev: l.Rev, Zone: zone})
	if err == nil {
		err = x.entries(enc)
	}
	if err == nil {
		err = enc.Close()
	}
	if err == nil {
		x.close() // all is in the buffer
		err = x.flush()
	}
	if err != nil {
		req.s.log.Warn("an export was not read to its end", "list", list, "error", err)
		req.cut = true
	}
	return nil
}

var errTransfers = fail(api.CodeOverloaded, "too many lists are on their way in or out: try again later")

// transfers bounds the exports and imports at a time.
type transfers chan struct{}

func (t transfers) enter() bool {
	select {
	case t <- struct{}{}:
		return true
	default:
		return false
	}
}

func (t transfers) leave() { <-t }

// format is the one that a request names.
func (req *request) format() (*format.Format, error) {
	name, _ := req.query.get("format")
	if f := format.Find(name); f != nil {
		return f, nil
	}
	names := format.Names()
	last := len(names) - 1
	return nil, &todo.Invalid{Field: "format", Reason: "must be " + strings.Join(names[:last], ", ") + " or " + names[last]}
}

// fileZone is the zone that a file of instants was made in, or is made for.
func (req *request) fileZone() (*time.Location, error) {
	name, given := req.query.get("tz")
	if !given {
		return time.UTC, nil
	}
	return due.Zone(name)
}

// formatNames are those of all formats, for the description.
func formatNames() (all []any) {
	for _, name := range format.Names() {
		all = append(all, name)
	}
	return all
}

// export is a file on its way out: what an encoder writes is gathered up to exportBuffer.
type export struct {
	req   *request
	r     *server.Reading
	list  string
	f     *format.Format
	until time.Time
	buf   []byte
	done  bool
}

func (x *export) close() {
	if !x.done {
		x.done = true
		x.r.Close()
	}
}

func (x *export) Write(b []byte) (int, error) {
	x.buf = append(x.buf, b...)
	if len(x.buf) < exportBuffer {
		return len(b), nil
	}
	return len(b), x.flush()
}

// flush sends what was gathered, in chunks of which each has to be taken in time.
func (x *export) flush() error {
	to := moving{x.req}
	for rest := x.buf; len(rest) > 0; {
		if time.Now().After(x.until) {
			return fmt.Errorf("it took longer than %s", exportTimeout)
		}
		n := min(len(rest), streamChunk)
		if _, err := to.Write(rest[:n]); err != nil {
			return err
		}
		rest = rest[n:]
	}
	x.buf = x.buf[:0]
	return nil
}

// entries writes all entries in the order that people gave them, so that a list which is made of the file has it too.
func (x *export) entries(enc format.Encoder) error {
	if x.f.Tree {
		return x.tree(enc)
	}
	return x.each(func(e *todo.Entry) error { return x.encode(enc, e, 0) })
}

// each calls do with the entries of the list, a page of them at a time: what is sent in between is not sent out of a scan.
func (x *export) each(do func(e *todo.Entry) error) error {
	var at todo.Position
	for page := make([]todo.Entry, 0, todo.MaxPage); ; page = page[:0] {
		x.r.InOrder(x.list, at, func(e todo.Entry) bool {
			page = append(page, e)
			return len(page) < todo.MaxPage
		})
		for i := range page {
			if err := do(&page[i]); err != nil {
				return err
			}
		}
		if len(page) < todo.MaxPage {
			return nil
		}
		at = page[len(page)-1].Position()
	}
}

func (x *export) encode(enc format.Encoder, e *todo.Entry, depth int) error {
	out := format.Entry{Entry: wireEntry(x.list, e), Depth: depth}
	if out.Parent != 0 {
		if p, ok := x.r.Entry(x.list, out.Parent); ok {
			above := wireEntry(x.list, &p)
			out.Above = format.UID(&above)
		}
	}
	return enc.Encode(&out)
}

// tree writes each entry with those below it behind it. It remembers the ids of the list, some 50 bytes for each.
func (x *export) tree(enc format.Encoder) error {
	below, there := map[uint64][]uint64{}, map[uint64]bool{0: true}
	err := x.each(func(e *todo.Entry) error {
		parent := e.More.Get().Parent
		below[parent] = append(below[parent], e.ID)
		there[e.ID] = true
		return nil
	})
	if err != nil {
		return err
	}
	for _, parent := range slices.Sorted(maps.Keys(below)) {
		if !there[parent] { // what is below nothing that is there stands at the top
			below[0] = append(below[0], below[parent]...)
		}
	}
	var walk func(ids []uint64, depth int) error
	walk = func(ids []uint64, depth int) error {
		for _, id := range ids {
			e, ok := x.r.Entry(x.list, id)
			if !ok {
				continue
			}
			if err := x.encode(enc, &e, depth); err != nil {
				return err
			}
			if err := walk(below[id], depth+1); err != nil {
				return err
			}
		}
		return nil
	}
	return walk(below[0], 0)
}
