package httpapi

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"todod/httpapi/api"
)

const page = "https://todo.example"

// Without the flag a node says nothing of CORS, and a browser keeps other sites out.
func TestNoOriginIsNamed(t *testing.T) {
	w := newWorld(t)
	for _, a := range []*answer{
		w.do("GET", "/v1/lists", "", "Origin: "+page).want(200, ""),
		w.do("OPTIONS", "/v1/lists", "", "Origin: "+page, "Access-Control-Request-Method: GET").problem(api.CodeMethod, "not_applied"),
	} {
		a.lacks("Access-Control-Allow-Origin").lacks("Access-Control-Allow-Methods").lacks("Vary")
	}
}

// A page of a named origin asks first, then changes and reads, and sees the headers that it needs.
func TestANamedOrigin(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Origins = []string{page, "http://localhost:3000"} })
	asks := []string{"Origin: " + page, "Access-Control-Request-Method: PATCH", "Access-Control-Request-Headers: content-type,if-match"}
	a := w.do("OPTIONS", "/v1/lists/bob/entries/1", "", asks...).want(204, "").has("Access-Control-Allow-Origin", page).
		has("Access-Control-Allow-Methods", "DELETE, GET, HEAD, PATCH, PUT").has("Access-Control-Max-Age", "7200").has("Vary", "Origin").lacks("Access-Control-Allow-Credentials")
	for _, name := range []string{"Content-Type", "If-Match", "If-None-Match", "Idempotency-Key", "Prefer", "Todod-Min-Index", "Last-Event-ID"} {
		if !strings.Contains(a.header.Get("Access-Control-Allow-Headers"), name) {
			t.Errorf("a page may not send %s", name)
		}
	}
	browser := []string{"Origin: " + page, "Sec-Fetch-Site: cross-site"}
	a = w.do("POST", "/v1/lists/bob/entries", `{"title":"a"}`, browser...).want(201, "").has("Access-Control-Allow-Origin", page)
	for _, name := range []string{"ETag", "Location", "Retry-After", "Todod-Index", "Todod-Rev", "Todod-Consistency", "Idempotency-Replayed"} {
		if !strings.Contains(a.header.Get("Access-Control-Expose-Headers"), name) {
			t.Errorf("a page does not see %s", name)
		}
	}
	w.do("GET", "/v1/lists/bob", "", "Origin: http://localhost:3000").want(200, "").has("Access-Control-Allow-Origin", "http://localhost:3000")
	// An error is for the page to read as well.
	w.do("GET", "/v1/lists/nobody", "", browser...).problem(api.CodeNotFound, "").has("Access-Control-Allow-Origin", page)
	w.do("OPTIONS", "/v1/lists", "", "Origin: "+page).problem(api.CodeMethod, "not_applied").has("Access-Control-Allow-Origin", page)
	w.do("OPTIONS", "/nothing", "", asks...).line(404, "not found").lacks("Access-Control-Allow-Methods")
	w.do("HEAD", "/v1/cluster/events", "", browser...).want(200, "").has("Access-Control-Allow-Origin", page)
	// An answer to nobody's page differs from one to a page: a cache has to know.
	w.do("GET", "/v1/lists", "").want(200, "").has("Vary", "Origin").lacks("Access-Control-Allow-Origin")
}

// Who is not named stays out, however much alike.
func TestOtherOriginsStayOut(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Origins = []string{page} })
	for _, origin := range []string{"https://evil.example", "null", "http://todo.example", "https://todo.example.evil", "https://todo.example:444",
		"https://TODO.example", "https://todo.example/", "https://todo.example, https://todo.example", "*", ""} {
		h := "Origin: " + origin
		w.do("OPTIONS", "/v1/lists/bob", "", h, "Access-Control-Request-Method: DELETE").lacks("Access-Control-Allow-Origin").lacks("Access-Control-Allow-Methods")
		w.do("GET", "/v1/lists", "", h).want(200, "").lacks("Access-Control-Allow-Origin").has("Vary", "Origin")
		w.do("POST", "/v1/lists/bob/entries", `{"title":"a"}`, h, "Sec-Fetch-Site: cross-site").problem(api.CodeForbidden, "not_applied")
	}
	w.do("GET", "/v1/lists", "", "Origin: "+page, "Origin: "+page).want(200, "").lacks("Access-Control-Allow-Origin")
	w.do("GET", "/v1/lists", "", "Origin: "+page, "Host: evil.example").problem(api.CodeMisdirected, "")
	if n := w.node.writes.Load(); n != 0 {
		t.Errorf("%d writes were applied", n)
	}
}

func TestCheckOrigin(t *testing.T) {
	for _, good := range []string{page, "http://localhost:3000", "http://127.0.0.1:8080", "http://[::1]:8080", "capacitor://localhost", "https://xn--bcher-kva.example"} {
		if err := CheckOrigin(good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for _, bad := range []string{"", "*", "null", "todo.example", "https://", "https://todo.example/", "https://todo.example/x", "https://Todo.example", "HTTPS://todo.example",
		"https://todo.example:443", "http://todo.example:80", "https://u@todo.example", "https://todo.example?x", "https://todo.example#x", "https://*.example",
		"https://todo.example:", "https://bücher.example", "https://a b", "https://a,b", "//todo.example"} {
		if CheckOrigin(bad) == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

// What is taken is an origin to net/url, spelled as browsers spell it, and to the guard of writes.
func FuzzCheckOrigin(f *testing.F) {
	for _, seed := range []string{page, "http://[::1]:8080", "*", "null", "https://todo.example:443", "https://todo.example/", "a://b%00"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, origin string) {
		if CheckOrigin(origin) != nil {
			return
		}
		u, err := url.Parse(origin)
		if err != nil || u.Host == "" || u.Path != "" || u.User != nil || u.String() != origin || strings.ContainsAny(origin, " ,*\r\n") {
			t.Errorf("%q was taken", origin)
		}
		if err := http.NewCrossOriginProtection().AddTrustedOrigin(origin); err != nil {
			t.Error(err)
		}
	})
}
