package httpapi

import (
	"errors"
	"net/http"
	"net/url"
	"strings"

	"todod/httpapi/openapi"
)

// cors lets the web pages of named origins use the API (the CORS protocol of the Fetch standard). Without any
// it does nothing, and browsers keep the pages of other sites out.
type cors struct {
	origins map[string][]string // each with itself as the value of a header
}

// errOrigin says what an origin has to look like.
var errOrigin = errors.New("must be an origin as browsers send it: SCHEME://HOST or SCHEME://HOST:PORT in lower case, without the port that is usual and without a path")

// CheckOrigin refuses what is no origin that a browser would ever send. A * is refused too: who can reach the
// node needs no password, so it would open the node to all pages that anyone near it visits.
func CheckOrigin(origin string) error {
	if origin == "*" {
		return errors.New("must name an origin: * would let every web page that a visitor opens read and change all lists")
	}
	u, err := url.Parse(origin)
	if err != nil || u.Scheme == "" || u.Host == "" || u.Scheme+"://"+u.Host != origin || origin != strings.ToLower(origin) || strings.HasSuffix(origin, ":") {
		return errOrigin
	}
	if strings.ContainsFunc(origin, func(r rune) bool { return r <= ' ' || r >= 0x7f || strings.ContainsRune(`,"'<>*`, r) }) {
		return errOrigin
	}
	if u.Scheme == "http" && u.Port() == "80" || u.Scheme == "https" && u.Port() == "443" {
		return errOrigin
	}
	return nil
}

// newCORS is for origins that CheckOrigin took.
func newCORS(origins []string) cors {
	if len(origins) == 0 {
		return cors{}
	}
	c := cors{origins: map[string][]string{}}
	for _, o := range origins {
		c.origins[o] = []string{o}
	}
	return c
}

// What named origins may send and see: all headers that have a meaning, from the description.
var (
	varyOrigin     = []string{"Origin"}
	allowHeaders   = []string{names(requestHeaders, "Content-Type")}
	exposedHeaders = []string{names(answerHeaders, "Allow", "Content-Disposition")}
	maxAge         = []string{"7200"} // seconds: the most that browsers keep an answer to a preflight
)

func names(of []openapi.Parameter, more ...string) string {
	for i := range of {
		more = append(more, of[i].Name)
	}
	return strings.Join(more, ", ")
}

// share lets the page that a request came from read the answer, if its origin is named. It reports whether the
// request only asks what it may do (a preflight), and answers that.
func (c *cors) share(req *request, res *resource) bool {
	h := req.w.Header()
	h["Vary"] = varyOrigin // caches must not give one origin's answer to another, nor to none
	given := req.r.Header["Origin"]
	if len(given) != 1 {
		return false
	}
	origin := c.origins[given[0]]
	if origin == nil {
		return false
	}
	h["Access-Control-Allow-Origin"] = origin
	asks := req.r.Header.Get("Access-Control-Request-Method")
	if req.r.Method != http.MethodOptions || asks == "" || res.methods == nil {
		h["Access-Control-Expose-Headers"] = exposedHeaders
		return false
	}
	h["Access-Control-Allow-Methods"] = []string{res.allow}
	h["Access-Control-Allow-Headers"] = allowHeaders
	h["Access-Control-Max-Age"] = maxAge
	req.w.WriteHeader(http.StatusNoContent)
	return true
}
