package api

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"
)

// Options set up a Client; the zero value is good for most programs.
type Options struct {
	// Patience is how long a call keeps trying when its context has no deadline; 10 s by default.
	Patience time.Duration
	// PerTry is the most one node may take before the call moves on to the next one; 3 s by
	// default. A client with one address waits as long as the call may take.
	PerTry time.Duration
	// Transport sends the requests; one with a pool of its own by default.
	Transport http.RoundTripper
	// Moved is called when a node could not answer, with why, before the next one is asked. It may be called by
	// several goroutines at once; nil: it is not called.
	Moved func(node string, err error)
	// UserAgent names the program in the nodes' logs; "todod-client" by default.
	UserAgent string
}

// Client speaks with a group through any of its nodes. When a node cannot be reached or has
// no leader it moves on to the next, within the caller's context. A write that is sent again
// carries the key it was sent with first, so it is done once.
// It may be used concurrently; programs should make one and keep it, for its pool of connections.
type Client struct {
	nodes  []string // host:port
	prefer atomic.Int32
	http   *http.Client
	opt    Options
}

// The limits of a client, each with its reason.
const (
	// maxAnswer bounds what is read of one answer: a page of 1,000 entries with the longest titles.
	maxAnswer = 32 << 20
	// maxIdle is how many connections to one node are kept open for the next call: fewer than
	// callers would open a new one for each call of the surplus.
	maxIdle = 256
	// idleTimeout is shorter than the nodes' own, so that a call seldom meets a closed connection.
	idleTimeout = 30 * time.Second
	// dialTimeout: a node that does not accept within it is as good as gone.
	dialTimeout = time.Second
)

// NewClient returns a client of the nodes at addrs, each host:port or http://host:port.
// It fails if there are none or one is no address; it does not connect yet.
func NewClient(addrs []string, opt Options) (*Client, error) {
	if len(addrs) == 0 {
		return nil, errors.New("no address of a node was given")
	}
	if opt.Patience <= 0 {
		opt.Patience = 10 * time.Second
	}
	if opt.PerTry <= 0 {
		opt.PerTry = 3 * time.Second
	}
	if opt.Transport == nil {
		opt.Transport = newTransport()
	}
	if opt.UserAgent == "" {
		opt.UserAgent = "todod-client"
	}
	c := &Client{opt: opt, http: &http.Client{
		Transport: opt.Transport,
		// todod never redirects: whatever does is something else.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	for _, addr := range addrs {
		node, err := hostPort(addr)
		if err != nil {
			return nil, err
		}
		c.nodes = append(c.nodes, node)
	}
	return c, nil
}

// Addrs returns the addresses the client knows, as host:port.
func (c *Client) Addrs() []string { return append([]string(nil), c.nodes...) }

// At returns a client of one node alone, over the same connections: for what is about that
// node and not about the group.
func (c *Client) At(addr string) (*Client, error) {
	node, err := hostPort(addr)
	if err != nil {
		return nil, err
	}
	return &Client{nodes: []string{node}, http: c.http, opt: c.opt}, nil
}

// Close closes the connections that no call uses.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// newTransport speaks HTTP/1.1 over connections that are kept. HTTP/2 would put all calls to a
// node on one connection, and a node that hangs would hold up all of them.
func newTransport() *http.Transport {
	return &http.Transport{
		DialContext:         (&net.Dialer{Timeout: dialTimeout, KeepAlive: 15 * time.Second}).DialContext,
		MaxIdleConnsPerHost: maxIdle,
		IdleConnTimeout:     idleTimeout,
		TLSNextProto:        map[string]func(string, *tls.Conn) http.RoundTripper{},
		DisableCompression:  true,
		ReadBufferSize:      16 << 10,
	}
}

// hostPort is the host:port of an address, which may be written as a URL.
func hostPort(addr string) (string, error) {
	bad := fmt.Errorf("%q is not an address of a node: give it as host:port", addr)
	if strings.Contains(addr, "://") {
		u, err := url.Parse(addr)
		if err != nil || u.Scheme != "http" || strings.Trim(u.Path, "/") != "" || u.User != nil || u.RawQuery != "" {
			return "", bad
		}
		addr = u.Host
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil || port == "" || strings.ContainsAny(addr, "/?#@ ") {
		return "", bad
	}
	if host == "" {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port), nil
}

// bounded gives ctx the client's patience if it has no deadline of its own.
func (c *Client) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, has := ctx.Deadline(); has {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, c.opt.Patience)
}
