package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"time"
)

// Download is a backup on its way from a node. Close it. A Read fails when nothing comes for 30 s;
// whether all came is told by the backup itself, which ends with its hash.
type Download struct {
	Meta
	Size int64 // bytes to come in all
	body io.ReadCloser
	idle *idle
}

// Backup asks for a backup of all lists at a consistency, "" for linearizable: with that it holds all that was
// acknowledged before; with stale, what the node has that answers. The
// context's end breaks the download off; the client's patience is for its beginning alone.
func (c *Client) Backup(ctx context.Context, consistency string) (*Download, error) {
	r := call{method: http.MethodGet, path: "/v1/backup", query: url.Values{}, again: true}
	set(r.query, "consistency", consistency)
	return c.download(ctx, r)
}

// download asks one node after the other until an answer begins.
func (c *Client) download(ctx context.Context, r call) (*Download, error) {
	patience, cancel := c.bounded(ctx)
	defer cancel()
	d := &Download{}
	meta, err := c.each(patience, r, func(node string) (Meta, *Error) {
		stream, idle := newIdle(ctx)
		resp, err := c.send(stream, node, r)
		if err != nil {
			idle.stop()
			return Meta{}, broken(node, idle.why(err))
		}
		if resp.StatusCode != http.StatusOK {
			defer idle.stop()
			defer resp.Body.Close()
			body, _ := io.ReadAll(io.LimitReader(resp.Body, maxAnswer)) // what there is of an error's body will do
			return Meta{}, problem(node, resp, body)
		}
		d.Size, d.body, d.idle = resp.ContentLength, resp.Body, idle
		return readMeta(node, resp.Header), nil
	})
	if err != nil {
		return nil, err
	}
	d.Meta = meta
	return d, nil
}

// Read reads what came; its error is io.EOF at the end, else an *Error.
func (d *Download) Read(b []byte) (int, error) {
	d.idle.moved()
	n, err := d.body.Read(b)
	if err != nil && !errors.Is(err, io.EOF) {
		err = broken(d.Addr, d.idle.why(err))
	}
	return n, err
}

// Close ends the download.
func (d *Download) Close() error {
	d.idle.stop()
	return d.body.Close()
}

// idle ends a stream that stands still.
type idle struct {
	timer  *time.Timer
	cancel context.CancelFunc
	ctx    context.Context
}

var errIdle = fmt.Errorf("nothing moved for %s: %w", streamStill, os.ErrDeadlineExceeded)

// streamStill is how long a backup may stand still, as at a node.
const streamStill = 30 * time.Second

func newIdle(ctx context.Context) (context.Context, *idle) {
	ctx, cancel := context.WithCancelCause(ctx)
	i := &idle{ctx: ctx, cancel: func() { cancel(nil) }}
	i.timer = time.AfterFunc(streamStill, func() { cancel(errIdle) })
	return ctx, i
}

func (i *idle) moved() { i.timer.Reset(streamStill) }

func (i *idle) stop() {
	i.timer.Stop()
	i.cancel()
}

// why is the error of a stream, or that it stood still.
func (i *idle) why(err error) error {
	if cause := context.Cause(i.ctx); errors.Is(cause, errIdle) {
		return cause
	}
	return err
}

// Restored is what a restore came to.
type Restored struct {
	Epoch   uint64    `json:"epoch"` // a new one: ETags, cursors and event ids of the one before are void
	Rev     uint64    `json:"rev"`   // above all there were
	Lists   uint64    `json:"lists"`
	Entries uint64    `json:"entries"`
	Group   string    `json:"group"` // that the backup was made of
	Made    time.Time `json:"made"`
	SHA256  string    `json:"sha256"` // of the backup
}

// Restore puts the lists of a backup in the place of those of the group. A backup of another group is refused
// with CodeConflict where the group has any lists, unless foreign is set. It is sent to the next node only while it is
// certain that nothing was changed. The context's end breaks it off; the client's patience is for its beginning.
func (c *Client) Restore(ctx context.Context, from io.ReadSeeker, size int64, foreign bool) (Restored, error) {
	r := call{method: http.MethodPost, path: "/v1/restore", query: url.Values{}, header: http.Header{"Content-Type": {"application/octet-stream"}}}
	if foreign {
		r.query.Set("foreign", "true")
	}
	var out Restored
	_, err := c.upload(ctx, r, upload{from: from}, size, &out)
	return out, err
}

// upload sends a file to one node after the other until one settles it, from its beginning each time.
func (c *Client) upload(ctx context.Context, r call, u upload, size int64, out any) (Meta, error) {
	patience, cancel := c.bounded(ctx)
	defer cancel()
	return c.each(patience, r, func(node string) (Meta, *Error) {
		if _, err := u.from.Seek(0, io.SeekStart); err != nil {
			return Meta{}, &Error{Err: err, Problem: Problem{Outcome: NotApplied, Detail: "the file cannot be read: " + err.Error()}}
		}
		stream, idle := newIdle(ctx)
		defer idle.stop()
		u.idle, u.sent = idle, 0
		req, err := http.NewRequestWithContext(stream, r.method, "http://"+node+r.path+"?"+r.query.Encode(), &u)
		if err != nil {
			return Meta{}, broken(node, err)
		}
		if req.ContentLength = size; size == 0 {
			req.Body = http.NoBody
		}
		req.Header = r.header.Clone()
		req.Header.Set("User-Agent", c.opt.UserAgent)
		resp, err := c.http.Do(req)
		if u := (*url.Error)(nil); errors.As(err, &u) {
			err = u.Err
		}
		if err != nil {
			return Meta{}, broken(node, idle.why(err))
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
		switch {
		case resp.StatusCode != http.StatusOK:
			return Meta{}, problem(node, resp, body)
		case err != nil:
			return Meta{}, broken(node, err)
		}
		if err := decode(resp, body, out); err != nil {
			return Meta{}, strange(node, err)
		}
		return readMeta(node, resp.Header), nil
	})
}

// upload is a body that may not stand still; once it is sent, the answer may take its time.
type upload struct {
	from     io.ReadSeeker
	progress func(sent int64) // nil: nobody wants to know
	sent     int64
	idle     *idle
}

func (u *upload) Read(b []byte) (int, error) {
	n, err := u.from.Read(b)
	if err == nil {
		u.idle.moved()
	} else {
		u.idle.timer.Reset(restoreWait)
	}
	if u.sent += int64(n); u.progress != nil && n > 0 {
		u.progress(u.sent)
	}
	return n, err
}

// restoreWait is the most that a group takes over a restore once it has the backup.
const restoreWait = 10 * time.Minute
