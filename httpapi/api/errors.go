package api

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"syscall"
	"time"
)

// CodeUnreachable is the client's own: no node answered. Its status is 0.
const CodeUnreachable Code = "unreachable"

// The outcomes of a write that failed, as Problem.Outcome says them.
const (
	NotApplied = "not_applied" // it was not done and never will be
	Applied    = "applied"     // it was done
	Unknown    = "unknown"     // it may have been done, or be done yet
)

// Error is a call that failed: what a node said, or that none answered. Its Outcome covers all
// tries of the call: unknown as soon as one of them was, unless a later one settled it.
type Error struct {
	Problem
	Addr       string        // the node that it is about, "" if none was asked
	RetryAfter time.Duration // how long that node asks to wait, 0 if it does not say
	Err        error         // beneath it, if no node answered or the context ended
}

// Error is one sentence for a person.
func (e *Error) Error() string {
	s := e.Detail
	if s == "" {
		s = e.Title
	}
	if e.Outcome == Unknown {
		s += " (whether the change was made is not known)"
	}
	return s
}

func (e *Error) Unwrap() error { return e.Err }

// Is reports whether e carries the code, for errors.Is(err, api.CodeNotFound).
func (e *Error) Is(target error) bool {
	code, ok := target.(Code)
	return ok && e.Code == string(code)
}

// Error lets a code stand as the target of errors.Is.
func (c Code) Error() string { return string(c) }

// AsError returns the *Error in err's chain, nil if there is none.
func AsError(err error) *Error {
	var e *Error
	errors.As(err, &e)
	return e
}

// NotModified reports whether err says that what If-None-Match named is still as it was.
func NotModified(err error) bool {
	e := AsError(err)
	return e != nil && e.Status == http.StatusNotModified
}

// Retryable reports whether the same call may succeed later: no node was reached, none had a
// leader, or one had too much to do. Only a write with a key of the caller's is safe to call again.
func (e *Error) Retryable() bool {
	if e.Code == string(CodeUnreachable) {
		return true
	}
	switch e.Status {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// broken is the error of a try that got no answer.
func broken(addr string, err error) *Error {
	e := &Error{Addr: addr, Err: err, Problem: Problem{Code: string(CodeUnreachable), Outcome: Unknown}}
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "dial" {
		e.Outcome = NotApplied // nothing was sent
	}
	e.Detail = "the node at " + addr + " " + whyBroken(err)
	return e
}

func whyBroken(err error) string {
	var errno syscall.Errno
	var dns *net.DNSError
	var timeout interface{ Timeout() bool }
	switch {
	case errors.Is(err, context.Canceled):
		return "was no longer waited for"
	case errors.As(err, &dns):
		return "cannot be reached: its name is not known"
	case errors.As(err, &timeout) && timeout.Timeout():
		return "did not answer in time"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "closed the connection"
	case errors.As(err, &errno):
		return "cannot be reached: " + errno.Error()
	}
	return "cannot be reached: " + err.Error()
}
