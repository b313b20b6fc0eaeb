package httpapi

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// FuzzRoutes asks for all sorts of paths: the table of what most requests are for finds what mux finds.
func FuzzRoutes(f *testing.F) {
	s := New(Config{Node: newTestNode(f)})
	for _, res := range resources(table()) {
		for _, list := range []string{"bob", "", "%2F", "b%20b", "a b", "Zo\u00eb", "Zo%C3%AB", "\xff", "..", "%", "%zz", "b\nb", "a:b;c", "{list}"} {
			path := strings.NewReplacer("{list}", list, "{id}", "7").Replace(res.path)
			for _, end := range []string{"", "/", "/entries", "?q=/", "%2F", "#/"} {
				f.Add(path + end)
			}
		}
	}
	f.Fuzz(func(t *testing.T, target string) {
		var urls []*url.URL
		if u, err := url.ParseRequestURI(target); err == nil { // as net/http reads it
			urls = append(urls, u)
		}
		urls = append(urls, &url.URL{Path: target}, &url.URL{Path: target, RawPath: target})
		for _, u := range urls {
			if s.routes.plain[u.EscapedPath()] != nil {
				continue
			}
			r := &http.Request{Method: "GET", URL: u, Header: http.Header{}}
			got, gotVars := s.routes.find(r)
			want, wantVars := s.routes.match(r)
			if got != want || gotVars != wantVars {
				t.Fatalf("%q is %s with %+v, by mux %s with %+v", u.EscapedPath(), got.path, gotVars, want.path, wantVars)
			}
		}
	})
}

// Entries of a list, what is asked for most, need no mux.
func TestEntriesAreFoundInTheTable(t *testing.T) {
	s := New(Config{Node: newTestNode(t)})
	if res, list := s.routes.findOfList("/v1/lists/b%20b/entries"); res == nil || res.path != "/v1/lists/{list}/entries" || list != "b%20b" {
		t.Errorf("found %+v of %q", res, list)
	}
}
