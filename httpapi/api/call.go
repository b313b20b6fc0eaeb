package api

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// call is one call of a client, whichever nodes it is sent to.
type call struct {
	method string
	path   string // escaped, from /
	query  url.Values
	header http.Header
	body   []byte
	// again says that it may be sent again although it may have arrived: a read, or a write
	// with a key.
	again bool
}

// Meta is what an answer says beside its body.
type Meta struct {
	Addr        string        // the node that answered
	ETag        string        // of what was read or written
	Index       uint64        // Todod-Index: the rev the answer reflects
	Rev         uint64        // Todod-Rev: the rev that a write made; 0 if it changed nothing
	Consistency string        // the level that was given to a read
	LastContact time.Duration // of a stale read: since that node heard from a leader; -1 if never
	Replayed    bool          // the answer to an earlier request with the same key
}

// The pause between two rounds over all nodes begins short, an election takes some tens of
// milliseconds, and doubles up to maxPause.
const (
	firstPause = 20 * time.Millisecond
	maxPause   = time.Second
)

// do sends a call to one node after the other until one settles it or ctx ends, and decodes
// the answer into out, unless that is nil.
func (c *Client) do(ctx context.Context, r call, out any) (Meta, error) {
	ctx, cancel := c.bounded(ctx)
	defer cancel()
	return c.each(ctx, r, func(node string) (Meta, *Error) { return c.try(ctx, node, r, out) })
}

// each is do with a way to try of its own.
func (c *Client) each(ctx context.Context, r call, attempt func(node string) (Meta, *Error)) (Meta, error) {
	var last *Error
	unsure := false // an earlier try may have been carried out
	pause := firstPause
	at := int(c.prefer.Load())
	for try := 1; ; try++ {
		meta, err := attempt(c.nodes[at])
		if err == nil {
			return meta, nil
		}
		if r.method == http.MethodGet {
			err.Outcome = NotApplied // a read changes nothing
		}
		if last == nil || ctx.Err() == nil { // what a node said is worth more than "out of time"
			last = err
		}
		unsure = unsure || r.method != http.MethodGet && err.Outcome != NotApplied
		if !err.Retryable() || !r.again && err.Outcome != NotApplied {
			if unsure && err.Status >= 500 {
				err.Outcome = Unknown
			}
			return meta, err
		}
		if c.opt.Moved != nil {
			c.opt.Moved(c.nodes[at], err)
		}
		next := (at + 1) % len(c.nodes)
		c.prefer.CompareAndSwap(int32(at), int32(next))
		at = next

		wait := time.Duration(0)
		if busy(err) {
			wait = max(err.RetryAfter, pause)
		} else if try%len(c.nodes) == 0 {
			wait = pause
		}
		if wait > 0 {
			pause = min(2*pause, maxPause)
		}
		if !sleep(ctx, wait) {
			if unsure {
				last.Outcome = Unknown
			}
			last.Err = errors.Join(last.Err, ctx.Err())
			return Meta{}, last
		}
	}
}

// busy reports that another node would say the same, or be hurt by being asked as well.
func busy(e *Error) bool {
	return e.Status == http.StatusTooManyRequests || e.Code == string(CodeOverloaded)
}

// sleep waits, and reports whether it did: not if ctx ends before.
func sleep(ctx context.Context, d time.Duration) bool {
	if end, has := ctx.Deadline(); ctx.Err() != nil || has && time.Until(end) <= d {
		return false
	}
	if d == 0 {
		return true
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// try sends a call to one node.
func (c *Client) try(ctx context.Context, node string, r call, out any) (Meta, *Error) {
	if r.again && len(c.nodes) > 1 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.opt.PerTry)
		defer cancel()
	}
	resp, err := c.send(ctx, node, r)
	if err != nil {
		return Meta{}, broken(node, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		// What there is of an error's body will do.
		return Meta{}, problem(node, resp, body)
	}
	if err != nil {
		return Meta{}, broken(node, err)
	}
	if err := decode(resp, body, out); err != nil {
		return Meta{}, strange(node, err)
	}
	return readMeta(node, resp.Header), nil
}

func (c *Client) send(ctx context.Context, node string, r call) (*http.Response, error) {
	target := "http://" + node + r.path
	if len(r.query) > 0 {
		target += "?" + r.query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, r.method, target, bytes.NewReader(r.body))
	if err != nil {
		return nil, err
	}
	if r.header != nil {
		req.Header = r.header.Clone()
	}
	req.Header.Set("User-Agent", c.opt.UserAgent)
	resp, err := c.http.Do(req)
	if u := (*url.Error)(nil); errors.As(err, &u) {
		err = u.Err // its method and URL help no one
	}
	return resp, err
}

// decode is strict about what a success looks like, so that no other program at that address
// is taken for a node, and lenient about fields it does not know, which a newer node may send.
func decode(resp *http.Response, body []byte, out any) error {
	switch resp.StatusCode {
	case http.StatusOK, http.StatusCreated, http.StatusNoContent:
	default:
		return fmt.Errorf("answered with status %d", resp.StatusCode)
	}
	if out == nil {
		return nil
	}
	if len(body) > maxAnswer {
		return fmt.Errorf("answered with more than %d bytes", maxAnswer)
	}
	if kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); kind != "application/json" {
		return errors.New("answered with something that is not JSON")
	}
	if err := json.Unmarshal(body, out); err != nil {
		return fmt.Errorf("answered with JSON that is not of the API: %w", err)
	}
	return nil
}

// strange is the error of an answer that no todod gives.
func strange(node string, err error) *Error {
	return &Error{Addr: node, Err: err, Problem: Problem{
		Code: string(CodeInternal), Outcome: Unknown,
		Detail: "the node at " + node + " " + err.Error() + ": check that a todod of a fitting version listens there",
	}}
}

// problem reads an error as a node sends it, or makes one of what something else sent.
func problem(node string, resp *http.Response, body []byte) *Error {
	e := &Error{Addr: node, RetryAfter: retryAfter(resp.Header.Get("Retry-After"))}
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if kind != "application/problem+json" || json.Unmarshal(body, &e.Problem) != nil {
		e.Problem = Problem{Detail: fmt.Sprintf("the node at %s answered %d %s", node, resp.StatusCode, strings.TrimSpace(firstLine(body)))}
	}
	e.Status = resp.StatusCode
	if e.Title == "" {
		e.Title = http.StatusText(e.Status)
	}
	if e.Outcome == "" {
		e.Outcome = NotApplied
		if e.Status >= 500 {
			e.Outcome = Unknown
		}
	}
	return e
}

// firstLine is the beginning of a text, short enough for an error.
func firstLine(body []byte) string {
	line, _, _ := strings.Cut(string(body), "\n")
	if len(line) > 200 {
		line = line[:200]
	}
	return strings.ToValidUTF8(line, "")
}

// retryAfter reads RFC 9110, section 10.2.3.
func retryAfter(s string) time.Duration {
	if n, err := strconv.Atoi(s); err == nil && n >= 0 && n < 1<<30 {
		return time.Duration(n) * time.Second
	}
	if at, err := http.ParseTime(s); err == nil {
		return max(0, time.Until(at))
	}
	return 0
}

func readMeta(node string, h http.Header) Meta {
	m := Meta{Addr: node, ETag: h.Get("ETag"), Consistency: h.Get("Todod-Consistency"), Replayed: h.Get("Idempotency-Replayed") == "true"}
	m.Index, _ = strconv.ParseUint(h.Get("Todod-Index"), 10, 64)
	m.Rev, _ = strconv.ParseUint(h.Get("Todod-Rev"), 10, 64)
	if ms, err := strconv.ParseInt(h.Get("Todod-Last-Contact"), 10, 64); err == nil {
		m.LastContact = time.Duration(ms) * time.Millisecond
		if ms < 0 {
			m.LastContact = -1
		}
	}
	return m
}

// NewKey returns a new idempotency key. A program that wants to call a write again by itself,
// even after it was restarted, makes one, keeps it, and gives it each time.
func NewKey() string { return rand.Text() }
