package main_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"todod/httpapi/api"
)

// walk goes through the API of some nodes, one after the other, and notes what of /openapi.json was asked for with
// success: routes, parameters, fields of bodies, and of those that have an enum each value.
type walk struct {
	t     *testing.T
	nodes []*node     // that plain requests go to, in turn
	turn  int         // which of them is next
	c     *api.Client // of all nodes of the group
	http  *http.Client
	doc   walkDoc
	paths map[string]*regexp.Regexp

	mu    sync.Mutex
	seen  map[string]bool
	index uint64 // the highest Todod-Index so far

	kept map[string]string // the lists as they were read last, which is how every node has to have them
}

// walkDoc is what a walk reads of /openapi.json.
type walkDoc struct {
	Paths      map[string]map[string]walkOp
	Components struct {
		Schemas    map[string]walkSchema
		Parameters map[string]any
	}
}

type walkOp struct {
	Parameters []struct {
		Name, In string
		Schema   walkSchema
	}
	RequestBody struct {
		Content map[string]struct{ Schema walkSchema }
	}
}

type walkSchema struct {
	Ref        string `json:"$ref"`
	Properties map[string]walkSchema
	Items      *walkSchema
	Enum       []any
}

func newWalk(g *group) *walk {
	w := &walk{t: g.t, nodes: g.nodes, paths: map[string]*regexp.Regexp{}, seen: map[string]bool{}, kept: map[string]string{}}
	w.http = &http.Client{Transport: w}
	if err := json.Unmarshal([]byte(w.ask("GET", "/openapi.json", "").body), &w.doc); err != nil {
		g.t.Fatal(err)
	}
	for path := range w.doc.Paths {
		parts := regexp.MustCompile(`\\\{[a-z]+\\\}`).ReplaceAllString(regexp.QuoteMeta(path), `[^/]+`)
		w.paths[path] = regexp.MustCompile("^" + parts + "$")
	}
	var addrs []string
	for _, n := range g.nodes {
		addrs = append(addrs, n.http)
	}
	var err error
	if w.c, err = api.NewClient(addrs, api.Options{Patience: patience, Transport: w}); err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(w.c.Close)
	return w
}

// expects is the status that a request should be answered with, where that is an error.
type expects struct{}

// RoundTrip sends a request of either client and notes it.
func (w *walk) RoundTrip(r *http.Request) (*http.Response, error) {
	var body []byte
	if kind := r.Header.Get("Content-Type"); r.Body != nil && (strings.HasSuffix(kind, "json") || strings.HasSuffix(kind, "urlencoded")) {
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
		r = r.Clone(r.Context())
		r.Body = io.NopCloser(bytes.NewReader(body))
	}
	res, err := client.Transport.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if index, err := strconv.ParseUint(res.Header.Get("Todod-Index"), 10, 64); err == nil {
		w.index = max(w.index, index)
	}
	if res.StatusCode < 400 || res.StatusCode == r.Context().Value(expects{}) {
		w.note(r, body)
	}
	return res, nil
}

func (w *walk) note(r *http.Request, body []byte) {
	for path, pattern := range w.paths {
		if !pattern.MatchString(r.URL.EscapedPath()) {
			continue
		}
		route := r.Method + " " + path
		w.seen[route] = true
		for name, values := range r.URL.Query() {
			w.seen[route+" ?"+name] = true
			w.seen[route+" ?"+name+"="+values[0]] = true
		}
		var fields any
		if form, err := url.ParseQuery(string(body)); r.Header.Get("Content-Type") == "application/x-www-form-urlencoded" && err == nil {
			for name := range form {
				w.seen[route+" ."+name] = true
			}
		} else if json.Unmarshal(body, &fields) == nil {
			w.noteFields(route+" ", fields)
		}
	}
	for name := range r.Header {
		w.seen[name+":"] = true
	}
}

func (w *walk) noteFields(at string, value any) {
	switch value := value.(type) {
	case map[string]any:
		for name, v := range value {
			w.seen[at+"."+name] = true
			w.noteFields(at+"."+name, v)
		}
	case []any:
		for _, v := range value {
			w.noteFields(at, v)
		}
	case string:
		w.seen[at+"="+value] = true
	}
}

// all is everything that is to be walked.
func (w *walk) all() (all []string) {
	for path, methods := range w.doc.Paths {
		for method, op := range methods {
			route := strings.ToUpper(method) + " " + path
			all = append(all, route)
			for _, p := range op.Parameters {
				if p.In == "query" {
					all = append(all, route+" ?"+p.Name)
					all = append(all, enum(route+" ?"+p.Name, p.Schema)...)
				}
			}
			for _, kind := range op.RequestBody.Content {
				all = append(all, w.fields(route+" ", kind.Schema)...)
			}
		}
	}
	for name := range w.doc.Components.Parameters {
		all = append(all, http.CanonicalHeaderKey(name)+":")
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func (w *walk) fields(at string, s walkSchema) (all []string) {
	if s.Ref != "" {
		s = w.doc.Components.Schemas[s.Ref[strings.LastIndexByte(s.Ref, '/')+1:]]
	}
	if s.Items != nil {
		all = append(all, w.fields(at, *s.Items)...)
	}
	for name, field := range s.Properties {
		all = append(all, at+"."+name)
		all = append(all, w.fields(at+"."+name, field)...)
	}
	return append(all, enum(at, s)...)
}

// enum are the values that a parameter or a field can have. What is empty is as good as absent.
func enum(at string, s walkSchema) (all []string) {
	for _, value := range s.Enum {
		if text, ok := value.(string); ok && text != "" {
			all = append(all, at+"="+text)
		}
	}
	return all
}

// wantAll fails for what is in the description of the API and was not walked since the last time.
func (w *walk) wantAll() {
	w.t.Helper()
	all := w.all()
	routes := 0
	for _, what := range all {
		if !w.seen[what] {
			w.t.Errorf("nobody asked for %s", what)
		}
		if strings.Count(what, " ") == 1 {
			routes++
		}
	}
	w.t.Logf("walked %d routes, %d parameters, fields and their values", routes, len(all)-routes)
	clear(w.seen)
}

// next is the node whose turn it is.
func (w *walk) next() *node {
	w.turn++
	return w.nodes[w.turn%len(w.nodes)]
}

// send sends a plain request to the node whose turn it is, and wants a status.
func (w *walk) send(status int, method, path, body string, header ...string) answer {
	w.t.Helper()
	return w.sendTo(w.next(), status, method, path, body, header...)
}

func (w *walk) sendTo(n *node, status int, method, path, body string, header ...string) answer {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.WithValue(w.t.Context(), expects{}, status), 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, "http://"+n.http+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := w.http.Do(req)
	if err != nil {
		w.t.Fatalf("%s %s at %s: %v", method, path, n.id, err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	a := answer{res.StatusCode, res.Header, string(b)}
	if err := wantStatus(status)(a, err); err != nil {
		w.t.Fatalf("%s %s %s at %s: %v", method, path, body, n.id, err)
	}
	return a
}

// ask is send for what should succeed.
func (w *walk) ask(method, path, body string, header ...string) answer {
	w.t.Helper()
	return w.send(200, method, path, body, header...)
}

// made is when an answer was made, which some say.
var made = regexp.MustCompile(`"made":"[^"]*"`)

// read reads at each level, at one node after the other, all that was acknowledged so far: the answers must be equal.
func (w *walk) read(path string, query ...string) string {
	w.t.Helper()
	q := url.Values{}
	for i := 0; i+1 < len(query); i += 2 {
		q.Set(query[i], query[i+1])
	}
	first := ""
	for _, level := range []string{"linearizable", "stale", "auto"} {
		q.Set("consistency", level)
		a := w.ask("GET", path+"?"+q.Encode(), "", "Todod-Min-Index", strconv.FormatUint(w.index, 10))
		if got := a.header.Get("Todod-Consistency"); got != level && level != "auto" {
			w.t.Errorf("GET %s was answered at the level %q, want %q", path, got, level)
		}
		if first == "" {
			first = a.body
		} else if made.ReplaceAllString(a.body, "") != made.ReplaceAllString(first, "") {
			w.t.Fatalf("GET %s?%s: at the level %s\n%s\nbefore that\n%s", path, q.Encode(), level, a.body, first)
		}
	}
	return first
}

// page reads a page of entries and checks their titles, in their order. It returns the cursor of the next one.
func (w *walk) page(path string, query []string, titles ...string) (next string) {
	w.t.Helper()
	var page api.FoundEntries
	if err := json.Unmarshal([]byte(w.read(path, query...)), &page); err != nil {
		w.t.Fatal(err)
	}
	var got []string
	for _, e := range page.Entries {
		got = append(got, e.Title)
	}
	if !slices.Equal(got, titles) {
		w.t.Fatalf("%s %q has\n%q, want\n%q", path, query, got, titles)
	}
	return page.Next
}

// has checks the titles of a list, and remembers all of it: it must be so on every node when the day is over.
func (w *walk) has(list string, titles ...string) {
	w.t.Helper()
	w.page(entriesPath(list), []string{"limit", "1000"}, titles...)
	w.keep(list)
}

func (w *walk) keep(list string) {
	w.kept[list] = w.ask("GET", entriesPath(list)+"?limit=1000", "").body
}

// restored checks each list after a restore: the same as before, but for its revs.
func (w *walk) restored() {
	w.t.Helper()
	for list, was := range w.kept {
		w.keep(list)
		if revs := regexp.MustCompile(`"rev":[0-9]+`); revs.ReplaceAllString(was, "") != revs.ReplaceAllString(w.kept[list], "") {
			w.t.Errorf("%s is, restored,\n%s, and was\n%s", list, w.kept[list], was)
		}
	}
}

// same compares every list, as it was read last, with the replica of each node.
func (w *walk) same(nodes ...*node) {
	w.t.Helper()
	for _, n := range nodes {
		for list, want := range w.kept {
			a := w.sendTo(n, 200, "GET", entriesPath(list)+"?limit=1000&consistency=stale", "", "Todod-Min-Index", strconv.FormatUint(w.index, 10))
			if a.body != want {
				w.t.Errorf("%s has of %s\n%s, want\n%s", n.id, list, a.body, want)
			}
		}
	}
}

// entry is what a write through the Go client answered, which must have succeeded.
func (w *walk) entry(e api.Entry, _ api.Meta, err error) api.Entry {
	w.t.Helper()
	w.ok(err)
	return e
}

func (w *walk) ok(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// decoded is the JSON of an answer.
func decoded[T any](w *walk, a answer) (out T) {
	w.t.Helper()
	dec := json.NewDecoder(strings.NewReader(a.body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&out); err != nil {
		w.t.Fatal(fmt.Errorf("%w: %s", err, a.body))
	}
	return out
}

// firstEvent follows a stream until it says something, and returns the data of that.
func (w *walk) firstEvent(path string, header ...string) string {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, "GET", "http://"+w.next().http+path, nil)
	w.ok(err)
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := w.http.Do(req)
	w.ok(err)
	defer res.Body.Close()
	var text []byte
	for buf := make([]byte, 4096); ; {
		n, err := res.Body.Read(buf)
		text = append(text, buf[:n]...)
		if _, data, ok := strings.Cut(string(text), "data: "); ok && strings.Contains(data, "\n") {
			data, _, _ = strings.Cut(data, "\n")
			return data
		}
		if err != nil {
			w.t.Fatalf("GET %s: %d %s: %v", path, res.StatusCode, text, err)
		}
	}
}
