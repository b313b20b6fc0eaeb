package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"todod/httpapi/api"
)

// web is HTTP without the patience of the Go client: one request is one try, at one node.
type web struct {
	client *http.Client
	deaf   sync.Map // addresses whose answers get lost on the way
}

// answer is what a node answered.
type answer struct {
	status int
	header http.Header
	body   []byte
}

func newWeb() *web {
	w := &web{}
	w.client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true,
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			return &line{conn, addr, w}, nil
		}}}
	return w
}

// line is a connection to a node which may lose answers: the request arrives and is carried out.
type line struct {
	net.Conn
	addr string
	w    *web
}

func (l *line) Read(b []byte) (int, error) {
	n, err := l.Conn.Read(b)
	if _, deaf := l.w.deaf.Load(l.addr); deaf {
		l.Conn.Close()
		return 0, io.ErrUnexpectedEOF
	}
	return n, err
}

// do sends one request and reads the whole answer.
func (w *web) do(ctx context.Context, addr, method, path, body string, header ...string) (answer, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://"+addr+path, strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := w.client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return answer{res.StatusCode, res.Header, b}, err
}

// get reads JSON from a node, in a time that no healthy node needs.
func get[T any](w *web, addr, path string, most time.Duration) (out T, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), most)
	defer cancel()
	a, err := w.do(ctx, addr, http.MethodGet, path, "")
	if err != nil {
		return out, err
	}
	if a.status != http.StatusOK {
		return out, fmt.Errorf("status %d: %s", a.status, a.body)
	}
	return out, json.Unmarshal(a.body, &out)
}

// refused reports that a request never arrived.
func refused(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

func (a answer) problem() (p api.Problem) {
	_ = json.Unmarshal(a.body, &p) // an outcome of "" is a finding
	return p
}

func entriesPath(list string) string { return "/v1/lists/" + url.PathEscape(list) + "/entries" }
