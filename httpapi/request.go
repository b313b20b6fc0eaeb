package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"todod/fsm"
	"todod/fsm/todo"
	"todod/httpapi/api"
	"todod/server"
)

// Header values that never change: to set them costs no allocation.
var (
	applicationJSON = []string{"application/json"}
	problemJSON     = []string{"application/problem+json"}
	textPlain       = []string{"text/plain; charset=utf-8"}
	textHTML        = []string{"text/html; charset=utf-8"}
	noReferrer      = []string{"no-referrer"}
	eventStream     = []string{"text/event-stream"}
	noCache         = []string{"no-cache"} // ask again each time: a read promises freshness
	noSniff         = []string{"nosniff"}
	isTrue          = []string{"true"}
	closes          = []string{"close"}
)

// request is one request on its way through this package.
type request struct {
	s       *Server
	r       *http.Request
	w       recorder
	route   string
	vars    vars
	query   query
	cut     bool                                                        // the answer broke off: what was sent of it must not look complete
	choose  func(context.Context, *server.Reading, *todo.Command) error // sets the operations of its command; nil: it has them
	applied bool                                                        // its command took effect, whatever fails after that
	values  []string                                                    // of the header of its answer
	few     [5]string                                                   // room for them
}

// header sets a header of the answer. The values of all stand side by side: a slice for each would be an allocation for each.
func (req *request) header(name, value string) {
	if req.values == nil {
		req.values = req.few[:0]
	}
	at := len(req.values)
	req.values = append(req.values, value)
	req.w.Header()[name] = req.values[at : at+1 : at+1]
}

// recorder remembers the status for the metrics.
type recorder struct {
	http.ResponseWriter
	status int
}

func (w *recorder) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *recorder) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(b)
}

// Unwrap is for http.ResponseController.
func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (req *request) started() bool { return req.w.status != 0 }

// accept is the way of most routes: it decodes a body strictly, has do answer it, and
// encodes what do returns. A nil scan stands for no body; an Out of nothing is answered 204.
func accept[In, Out any](scan func(*scanner, *In) error, do func(*request, *In) (Out, error)) handler {
	return func(req *request) error {
		var in In
		if scan != nil {
			if err := decode(req, scan, &in); err != nil {
				return err
			}
		}
		out, err := do(req, &in)
		if err != nil {
			return err
		}
		if _, none := any(out).(nothing); none {
			return req.noContent()
		}
		return req.sendJSON(http.StatusOK, applicationJSON, out)
	}
}

// nothing is what a route without a body takes, and one that answers 204 gives.
type nothing struct{}

// decode reads a body of JSON and nothing else into v.
func decode[T any](req *request, scan func(*scanner, *T) error, v *T) error {
	return req.scan(func(s *scanner) error { return scan(s, v) })
}

// scan has a body read that is JSON and nothing else.
func (req *request) scan(read func(*scanner) error) error {
	if err := req.isJSON(); err != nil {
		return err
	}
	buf := req.s.buffer()
	defer req.s.release(buf)
	if err := req.body(buf); err != nil {
		return err
	}
	s := scanner{data: buf.Bytes()}
	if err := read(&s); err != nil {
		return err
	}
	return s.end()
}

// isJSON refuses a body that does not call itself JSON. A browser sends no such body to
// another site without asking it first.
func (req *request) isJSON() error {
	if enc := req.r.Header.Get("Content-Encoding"); enc != "" && enc != "identity" {
		return fail(api.CodeMediaType, "the body must not be compressed: send it without Content-Encoding")
	}
	given := req.r.Header.Get("Content-Type")
	if given == "application/json" {
		return nil
	}
	kind, params, err := mime.ParseMediaType(given)
	isPatch := req.r.Method == http.MethodPatch && kind == "application/merge-patch+json"
	charset := params["charset"]
	if err != nil || kind != "application/json" && !isPatch || charset != "" && !strings.EqualFold(charset, "utf-8") {
		return fail(api.CodeMediaType, "the body must be JSON: send it with Content-Type: application/json")
	}
	return nil
}

// body reads the whole body. A client that vanishes in the middle has sent no request.
func (req *request) body(buf *bytes.Buffer) error {
	if req.r.ContentLength > maxBody {
		return errTooLarge
	}
	_, err := buf.ReadFrom(io.LimitReader(req.r.Body, maxBody+1))
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fail(api.CodeInvalid, "body must arrive within %d seconds", int(req.s.cfg.BodyTimeout.Seconds()))
	case err != nil:
		return fail(api.CodeInvalid, "body must arrive whole")
	case buf.Len() > maxBody:
		return errTooLarge
	}
	return nil
}

var errTooLarge = fail(api.CodeTooLarge, "the body must be at most 1 MiB long")

func (req *request) control() *http.ResponseController {
	return http.NewResponseController(req.w.ResponseWriter)
}

// list is the name of the list in the path, in its stored form.
func (req *request) list() (string, error) {
	name, err := url.PathUnescape(req.vars.list)
	if err != nil {
		return "", &todo.Invalid{Field: "list", Reason: "must be escaped as in a URL"}
	}
	return todo.ListName(name)
}

// id is the id of the entry in the path.
func (req *request) id() (uint64, error) {
	id, err := wholeNumber(req.vars.id)
	if err != nil {
		return 0, &todo.Invalid{Field: "id", Reason: err.Error()}
	}
	return id, nil
}

// bounded returns a context that ends with the time the caller allows by Prefer: wait=N
// (RFC 7240, section 4.3), which can only be less than the node's own limit.
func (req *request) bounded() (context.Context, context.CancelFunc) {
	limit := req.s.cfg.RequestTimeout
	if wait := preferredWait(req.r.Header["Prefer"]); wait > 0 && wait < limit {
		limit = wait
	}
	return context.WithTimeout(req.r.Context(), limit)
}

// preferredWait returns the first wait=N of a Prefer header, 0 if there is none. What cannot
// be understood is ignored, as the RFC wants it.
func preferredWait(values []string) time.Duration {
	for _, value := range values {
		for pref := range strings.SplitSeq(value, ",") {
			name, n, _ := strings.Cut(pref, "=")
			if !strings.EqualFold(trim(name), "wait") {
				continue
			}
			n, _, _ = strings.Cut(n, ";")
			seconds, err := strconv.ParseUint(strings.Trim(n, " \t\""), 10, 16)
			if err != nil {
				return 0
			}
			return time.Duration(seconds) * time.Second
		}
	}
	return 0
}

// write has the group apply a command, and says in the header what came of it.
func (req *request) write(cmd todo.Command) (res fsm.Result, err error) {
	opt := server.WriteOptions{}
	if opt.Key, err = idempotencyKey(req.r.Header); err != nil {
		return res, err
	}
	ctx := req.r.Context()
	if req.r.Header["Prefer"] != nil { // else the node's own limit holds, which is the same
		bounded, cancel := req.bounded()
		defer cancel()
		ctx = bounded
	}
	if res, err = req.propose(ctx, cmd, opt); err != nil {
		return res, err
	}
	h := req.w.Header()
	req.header("Todod-Index", strconv.FormatUint(res.Rev, 10))
	if res.Code == todo.OK && changed(res.Items) {
		h["Todod-Rev"] = h["Todod-Index"]
	}
	if res.Replayed {
		h["Idempotency-Replayed"] = isTrue
	}
	if res.Code != todo.OK {
		f := refused(&res, cmd.Batch)
		if res.Code == todo.NoList && res.At < len(cmd.Ops) {
			f.detail += req.calledNow(cmd.Ops[res.At].List, res.Rev)
		}
		return res, f
	}
	req.applied = true
	return res, nil
}

// changed reports whether a write changed something.
func changed(items []todo.Item) bool {
	for i := range items { // they are large: no copies
		if items[i].Changed {
			return true
		}
	}
	return false
}

func idempotencyKey(h http.Header) (string, error) {
	values := h["Idempotency-Key"]
	if values == nil {
		return "", nil
	}
	key := values[0]
	printable := strings.IndexFunc(key, func(r rune) bool { return r < '!' || r > '~' }) < 0
	if len(values) > 1 || len(key) < minKey || len(key) > maxKey || !printable {
		return "", &todo.Invalid{Field: "Idempotency-Key", Reason: "must be given once and be 16 to 128 visible ASCII characters"}
	}
	return key, nil
}

// read opens a view of the replica at the level the request asks for, else at level, and says
// in the header what was given. It must be closed.
func (req *request) read(level server.Level) (*server.Reading, error) {
	opt, err := req.readOptions(level)
	if err != nil {
		return nil, err
	}
	return req.readAs(opt)
}

func (req *request) readAs(opt server.ReadOptions) (*server.Reading, error) {
	ctx := req.r.Context()
	if opt.MinRev > 0 || req.r.Header["Prefer"] != nil { // else the read's own limit is lower
		bounded, cancel := req.bounded()
		defer cancel()
		ctx = bounded
	}
	r, err := req.s.node.Read(ctx, opt)
	if err != nil {
		return nil, err
	}
	req.header("Todod-Consistency", string(r.Level))
	req.header("Todod-Index", strconv.FormatUint(r.Rev(), 10))
	if r.Level == server.Stale {
		req.header("Todod-Last-Contact", strconv.FormatInt(millis(r.LastContact), 10))
	}
	return r, nil
}

// readOptions are what a request says of how fresh a read must be.
func (req *request) readOptions(level server.Level) (server.ReadOptions, error) {
	opt := server.ReadOptions{Level: level}
	if text, ok := req.query.get("consistency"); ok {
		opt.Level = server.Level(text)
		if opt.Level != server.Linearizable && opt.Level != server.Stale && opt.Level != server.Auto {
			return opt, &todo.Invalid{Field: "consistency", Reason: "must be linearizable, stale or auto"}
		}
	}
	least := req.r.Header["Todod-Min-Index"]
	if least != nil {
		n, err := strconv.ParseUint(least[0], 10, 64)
		if err != nil || len(least) > 1 {
			return opt, &todo.Invalid{Field: "Todod-Min-Index", Reason: "must be given once and be a whole number"}
		}
		opt.MinRev = n
	}
	return opt, nil
}

// millis is a duration in ms; what is negative, for never, is -1.
func millis(d time.Duration) int64 {
	if d < 0 {
		return -1
	}
	return d.Milliseconds()
}

// fresh evaluates the conditions of a read against what is there: false if all is answered
// with 304.
func (req *request) fresh(exists bool, epoch, rev uint64) (bool, error) {
	req.tag(epoch, rev)
	c, err := conditions(req.r.Header)
	if err != nil {
		return false, err
	}
	at := todo.Tag{Epoch: epoch, Rev: rev}
	if c.Match != nil && !holds(c.Match, exists, at) {
		return false, fail(api.CodePrecondition, "%s", refusals[todo.Precondition].detail)
	}
	if c.NoneMatch != nil && holds(c.NoneMatch, exists, at) {
		return false, req.notModified()
	}
	return true, nil
}

// notModified answers 304, under the tag that the client has of what is there.
func (req *request) notModified() error {
	h := req.w.Header()
	req.vary()
	if zipped := gzipTag(h["Etag"][0]); strings.Contains(strings.Join(req.r.Header["If-None-Match"], ","), zipped) {
		h["Etag"] = []string{zipped}
	}
	req.w.WriteHeader(http.StatusNotModified)
	return nil
}

// holds differs from todo.Matches for the entries of a list that is not there: their page
// is empty and has a tag, but a * does not match it.
func holds(tags []todo.Tag, exists bool, at todo.Tag) bool {
	for _, t := range tags {
		if t == todo.AnyTag && exists || t != todo.AnyTag && t == at {
			return true
		}
	}
	return false
}

// tag sets the ETag.
func (req *request) tag(epoch, rev uint64) {
	req.header("Etag", string(appendTag(make([]byte, 0, 44), epoch, rev)))
}

// send answers with a body that is complete.
func (req *request) send(status int, kind []string, body []byte) error {
	if len(body) >= minGzip {
		buf := req.s.buffer()
		defer req.s.release(buf)
		body = req.shorten(buf, kind, body)
	}
	return req.sendBytes(status, kind, body)
}

// sendBytes answers with just these bytes.
func (req *request) sendBytes(status int, kind []string, body []byte) error {
	h := req.w.Header()
	h["Content-Type"] = kind
	h["X-Content-Type-Options"] = noSniff
	req.header("Content-Length", strconv.Itoa(len(body)))
	if _, ok := h["Cache-Control"]; !ok {
		h["Cache-Control"] = noCache
	}
	req.w.WriteHeader(status)
	_, _ = req.w.Write(body) // an error means that the client is gone: there is nobody to tell
	return nil
}

// sendJSON answers with v, as encoding/json has it.
func (req *request) sendJSON(status int, kind []string, v any) error {
	buf := req.s.buffer()
	defer req.s.release(buf)
	enc := json.NewEncoder(buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return err
	}
	return req.send(status, kind, buf.Bytes())
}

func (req *request) noContent() error {
	req.w.WriteHeader(http.StatusNoContent)
	return nil
}
