package httpapi

import (
	"bytes"
	"net/http"
	"slices"
	"strconv"

	"todod/httpapi/api"
	"todod/server"
)

// chosen answers with a page of a list's entries that are filtered, sorted or cut.
func (req *request) chosen(list string) error {
	c, err := req.choice("")
	if err != nil {
		return err
	}
	return req.sendChoice(c, list, "")
}

// findEntries is a page of the entries of all lists.
func findEntries(req *request) error {
	prefix, err := req.prefix()
	if err != nil {
		return err
	}
	c, err := req.choice("/" + prefix)
	if err != nil {
		return err
	}
	return req.sendChoice(c, "", prefix)
}

// sendChoice sends a page of a list, or, where it is "", of the lists with a prefix.
func (req *request) sendChoice(c *choice, list, prefix string) error {
	buf := req.s.buffer()
	defer req.s.release(buf)
	if ok, err := req.readChoice(buf, c, list, prefix); !ok {
		return err
	}
	return req.send(http.StatusOK, applicationJSON, buf.Bytes())
}

// readChoice puts the page into buf, as readPage does.
func (req *request) readChoice(buf *bytes.Buffer, c *choice, list, prefix string) (bool, error) {
	ctx, cancel := req.bounded()
	defer cancel()
	r, err := req.read(server.Linearizable)
	if err != nil {
		return false, err
	}
	defer r.Close()
	rev, exists, num := r.Rev(), true, uint64(0)
	if list != "" {
		l, ok := r.List(list)
		rev, exists, num = l.Rev, ok, l.Num
	}
	if c.from.stale(r.Epoch(), num) {
		return false, errStale
	}
	if !c.expr.Timed() { // else it changes while no rev does
		if ok, err := req.fresh(exists, r.Epoch(), rev); !ok {
			return false, err
		}
	}
	s := &seat{ctx: ctx, seats: req.s.seats}
	defer s.leave()
	f := newFinder(c, r.View, s, &req.s.cfg)
	if list != "" {
		f.inOnly(list)
	} else {
		f.inLists(prefix)
	}
	page, at, err := f.end()
	if err != nil {
		return false, err
	}
	next := ""
	if at != nil {
		next = c.cursor(r.Epoch(), num, at).String()
	}
	b, err := appendFound(buf.AvailableBuffer(), list, rev, page, c.fields, next)
	buf.Write(append(b, '\n'))
	return err == nil, err
}

// appendFound appends an api.Entries or, without a list, an api.FoundEntries.
func appendFound(b []byte, list string, rev uint64, page []found, fields []string, next string) (_ []byte, err error) {
	b = append(b, '{')
	if list != "" {
		b = append(appendString(append(b, `"list":`...), list), ',')
	}
	b = strconv.AppendUint(append(b, `"rev":`...), rev, 10)
	b = append(b, `,"entries":[`...)
	var whole []byte
	for i := range page {
		if i > 0 {
			b = append(b, ',')
		}
		e := &page[i]
		if fields == nil {
			b = appendEntry(b, e.list, &e.Entry)
			continue
		}
		whole = appendEntry(whole[:0], e.list, &e.Entry)
		if b, err = appendSome(b, whole, fields); err != nil {
			return nil, err
		}
	}
	b = append(b, ']')
	if next != "" {
		b = appendString(append(b, `,"next":`...), next)
	}
	return append(b, '}'), nil
}

// appendSome appends an object with some fields of another.
func appendSome(b, object []byte, fields []string) ([]byte, error) {
	s := scanner{data: object}
	b = append(b, '{')
	n := 0
	err := s.object(func(name []byte) (err error) {
		if !slices.Contains(fields, string(name)) {
			_, err = s.freeValue(nil, "", 0)
			return err
		}
		if n++; n > 1 {
			b = append(b, ',')
		}
		b = append(appendString(b, string(name)), ':')
		b, err = s.freeValue(b, "", 0)
		return err
	})
	if err != nil {
		return nil, fail(api.CodeInternal, "%v", err)
	}
	return append(b, '}'), nil
}
