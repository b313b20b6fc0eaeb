package httpapi

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"todod/fsm/todo"
	"todod/httpapi/api"
	"todod/server"
)

var octets = []string{"application/octet-stream"}

// getBackup sends a backup. It has no limit of time, but whoever reads it may not stand still.
func getBackup(req *request) error {
	opt, err := req.readOptions(server.Linearizable)
	if err != nil {
		return err
	}
	h := req.w.Header()
	if req.r.Method == http.MethodHead { // a backup is not made to be measured
		h["Content-Type"] = octets
		req.w.WriteHeader(http.StatusOK)
		return nil
	}
	req.stays()
	b, err := req.s.node.Backup(req.r.Context(), opt)
	if err != nil {
		return err
	}
	defer b.Close()
	h["Content-Type"] = octets
	h["X-Content-Type-Options"] = noSniff
	h["Cache-Control"] = noCache
	h["Content-Length"] = []string{strconv.FormatInt(b.Size, 10)}
	h["Content-Disposition"] = []string{fmt.Sprintf(`attachment; filename="todod-%s-%d.backup"`, b.Group, b.Rev)}
	h["Todod-Consistency"] = []string{string(b.Level)}
	h["Todod-Index"] = []string{strconv.FormatUint(b.Rev, 10)}
	req.w.WriteHeader(http.StatusOK)
	if _, err := io.CopyBuffer(moving{req}, struct{ io.Reader }{b}, make([]byte, streamChunk)); err != nil {
		req.s.log.Warn("a backup was not read to its end", "error", err)
		req.cut = true
	}
	return nil
}

// stays takes the limits off that other requests have as a whole: a stream has one for each step.
func (req *request) stays() {
	_ = req.control().SetWriteDeadline(time.Time{})
}

// moving writes an answer of any length: each chunk has to be taken in time.
type moving struct{ req *request }

func (m moving) Write(b []byte) (int, error) {
	_ = m.req.control().SetWriteDeadline(time.Now().Add(m.req.s.cfg.StreamTimeout))
	return m.req.w.Write(b)
}

// postRestore takes a backup in, at the pace of whoever sends it.
func postRestore(req *request) error {
	opt := server.RestoreOptions{Size: req.r.ContentLength}
	if text, ok := req.query.get("foreign"); ok {
		if text != "true" && text != "false" {
			return &todo.Invalid{Field: "foreign", Reason: "must be true or false"}
		}
		opt.Foreign = text == "true"
	}
	if enc := req.r.Header.Get("Content-Encoding"); enc != "" && enc != "identity" {
		return fail(api.CodeMediaType, "the body must not be compressed: send it without Content-Encoding")
	}
	req.stays()
	res, err := req.s.node.Restore(req.r.Context(), coming{req}, opt)
	if err != nil {
		req.drain()
		return err
	}
	b := &res.Backup
	req.w.Header()["Todod-Index"] = []string{strconv.FormatUint(res.Rev, 10)}
	return req.sendJSON(http.StatusOK, applicationJSON, api.Restored{Epoch: res.Epoch, Rev: res.Rev, Lists: b.Lists, Entries: b.Entries,
		Group: b.Group, Made: time.UnixMilli(b.Made).UTC(), SHA256: b.Hash})
}

// coming reads a body of any length: each chunk has to come in time.
type coming struct{ req *request }

func (c coming) Read(b []byte) (int, error) {
	_ = c.req.control().SetReadDeadline(time.Now().Add(c.req.s.cfg.StreamTimeout))
	return c.req.r.Body.Read(b)
}

// drain reads on for a while when a body is refused in its middle: its sender may not look for an answer before
// all is sent.
func (req *request) drain() {
	_ = req.control().SetReadDeadline(time.Now().Add(req.s.cfg.BodyTimeout))
	_, _ = io.Copy(io.Discard, req.r.Body)
}
