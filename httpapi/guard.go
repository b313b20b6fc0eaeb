package httpapi

import (
	"net"
	"net/http"
	"net/netip"
	"strings"

	"todod/httpapi/api"
)

// guard keeps web pages from using a visitor's browser against the node. Other programs
// than browsers do not notice it.
type guard struct {
	origin     *http.CrossOriginProtection
	advertised map[string]bool // host names, in lower case
}

func newGuard(advertised, origins []string) guard {
	g := guard{origin: http.NewCrossOriginProtection(), advertised: map[string]bool{}}
	for _, addr := range advertised {
		g.advertised[hostOf(addr)] = true
	}
	for _, o := range origins {
		if err := g.origin.AddTrustedOrigin(o); err != nil {
			panic("httpapi: an origin that CheckOrigin does not take: " + o)
		}
	}
	return g
}

func (g *guard) check(r *http.Request) error {
	// On loopback a foreign name in Host means that a page had its own name resolve to
	// here (DNS rebinding): to the browser it is then the same site as the node.
	if r.Host != "" && isLoopback(r) && !g.knows(r.Host) {
		return fail(api.CodeMisdirected, "the Host header names neither this machine nor an advertised address of this node")
	}
	if g.origin.Check(r) != nil {
		return fail(api.CodeForbidden, "a web page of another site must not change anything here")
	}
	return nil
}

// isLoopback reports whether a request came in at a loopback address.
func isLoopback(r *http.Request) bool {
	addr, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
	return ok && addr.IP.IsLoopback()
}

func (g *guard) knows(host string) bool {
	host = hostOf(host)
	if host == "localhost" || g.advertised[host] {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}

// hostOf returns the host of host, host:port, [v6] or [v6]:port, in lower case and without
// the dot of a full name.
func hostOf(addr string) string {
	host := addr
	if strings.HasPrefix(addr, "[") {
		host, _, _ = strings.Cut(addr[1:], "]")
	} else if h, _, ok := strings.Cut(addr, ":"); ok && strings.Count(addr, ":") == 1 {
		host = h
	}
	return strings.TrimSuffix(strings.ToLower(host), ".")
}
