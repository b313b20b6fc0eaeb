package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"todod/httpapi/api"
)

// wire is one connection to one node. net/http's client takes two goroutines and some forty
// allocations a request, more than the server does: it would be the load that is measured.
type wire struct {
	conn net.Conn
	in   *bufio.Reader
	body []byte // of the last answer, made use of again
}

// reply is an answer of a node; its body holds until the next one.
type reply struct {
	status     int
	body       []byte
	problem    bool // the body is an api.Problem
	closing    bool // the node closes the connection
	retryAfter time.Duration
}

// The limits of a connection, each with its reason.
const (
	benchDial = time.Second // as the Go client has it
	// benchTry is the most that one node may take before the next is asked: as the Go client has it.
	benchTry = 3 * time.Second
	// maxReply bounds what is read of one answer.
	maxReply = 32 << 20
)

var errReply = errors.New("the answer is not HTTP/1.1 as todod speaks it")

func dialWire(addr string) (*wire, error) {
	conn, err := net.DialTimeout("tcp", addr, benchDial)
	if err != nil {
		return nil, err
	}
	return &wire{conn: conn, in: bufio.NewReaderSize(conn, 16<<10)}, nil
}

func (w *wire) close() { _ = w.conn.Close() }

// roundTrip sends a whole request and reads the whole answer. After an error the connection is of no use.
func (w *wire) roundTrip(request []byte, deadline time.Time) (reply, error) {
	if err := w.conn.SetDeadline(deadline); err != nil {
		return reply{}, err
	}
	if _, err := w.conn.Write(request); err != nil {
		return reply{}, err
	}
	r, length, err := w.head()
	if err != nil {
		return r, err
	}
	w.body = w.body[:0]
	switch {
	case length == chunked:
		err = w.chunks()
	case r.status != http.StatusNoContent && r.status != http.StatusNotModified:
		err = w.take(length)
	}
	r.body = w.body
	return r, err
}

const chunked = -1

// head reads the status and the headers that matter here.
func (w *wire) head() (r reply, length int, err error) {
	line, err := w.line()
	if err != nil {
		return r, 0, err
	}
	if len(line) < len("HTTP/1.1 200") || string(line[:9]) != "HTTP/1.1 " {
		return r, 0, errReply
	}
	if r.status, err = strconv.Atoi(string(line[9:12])); err != nil {
		return r, 0, errReply
	}
	for {
		if line, err = w.line(); err != nil || len(line) == 0 {
			return r, length, err
		}
		name, value, ok := bytes.Cut(line, []byte(":"))
		if !ok {
			return r, 0, errReply
		}
		value = bytes.TrimSpace(value)
		switch {
		case is(name, "Content-Length"):
			length, err = strconv.Atoi(string(value))
		case is(name, "Transfer-Encoding"):
			length = chunked
		case is(name, "Connection"):
			r.closing = strings.EqualFold(string(value), "close")
		case is(name, "Content-Type"):
			r.problem = bytes.HasPrefix(value, []byte("application/problem+json"))
		case is(name, "Retry-After"):
			seconds, _ := strconv.Atoi(string(value))
			r.retryAfter = time.Duration(seconds) * time.Second
		}
		if err != nil {
			return r, 0, errReply
		}
	}
}

// is compares the name of a header, which is most often written as here.
func is(name []byte, want string) bool {
	return len(name) == len(want) && (string(name) == want || strings.EqualFold(string(name), want))
}

// line reads a line of the head; it holds until the next read.
func (w *wire) line() ([]byte, error) {
	line, err := w.in.ReadSlice('\n')
	if err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(line[:len(line)-1], []byte("\r")), nil
}

// take appends n bytes to the body.
func (w *wire) take(n int) error {
	at := len(w.body)
	if n < 0 || at+n > maxReply {
		return errReply
	}
	if cap(w.body) < at+n {
		w.body = append(make([]byte, 0, 2*(at+n)), w.body...)
	}
	w.body = w.body[:at+n]
	_, err := io.ReadFull(w.in, w.body[at:])
	return err
}

// chunks reads a body of RFC 9112, section 7.1, without trailers, which todod has none of.
func (w *wire) chunks() error {
	for {
		line, err := w.line()
		if err != nil {
			return err
		}
		size, _, _ := strings.Cut(string(line), ";")
		n, err := strconv.ParseInt(strings.TrimSpace(size), 16, 32)
		if err != nil {
			return errReply
		}
		if err := w.take(int(n)); err != nil {
			return err
		}
		if line, err = w.line(); err != nil {
			return err
		}
		if len(line) != 0 {
			return errReply
		}
		if n == 0 {
			return nil
		}
	}
}

// verdict is what a try came to.
type verdict struct {
	outcome string // api.Applied, api.NotApplied or api.Unknown
	kind    string // of the failure, "" if it was none
	again   bool   // another try may do better
	busy    bool   // ... but another node would say the same
}

// broke judges a try without an answer.
func broke(err error, dialling bool) verdict {
	v := verdict{outcome: api.Unknown, kind: "closed", again: true}
	var timeout interface{ Timeout() bool }
	switch {
	case errors.Is(err, errReply):
		v.kind, v.again = "strange", false
	case dialling:
		v.outcome, v.kind = api.NotApplied, "unreachable"
	case errors.As(err, &timeout) && timeout.Timeout():
		v.kind = "timeout"
	}
	return v
}

// refused judges an answer that is no success.
func refused(r reply) verdict {
	v := verdict{outcome: api.NotApplied, kind: fmt.Sprintf("http_%d", r.status)}
	switch r.status {
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		v.again, v.busy = true, r.status == http.StatusTooManyRequests
	case http.StatusBadGateway, http.StatusGatewayTimeout:
		v.again, v.outcome = true, api.Unknown
	default:
		if r.status >= 500 {
			v.outcome = api.Unknown
		}
	}
	var p api.Problem
	if !r.problem || json.Unmarshal(r.body, &p) != nil || p.Code == "" {
		return v
	}
	v.kind, v.busy = p.Code, v.busy || p.Code == string(api.CodeOverloaded)
	if p.Outcome != "" {
		v.outcome = p.Outcome
	}
	return v
}
