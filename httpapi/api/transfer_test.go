package api

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
)

// A node that dies in the middle of an import is no matter: the next one gets the file from its beginning, under the same key.
func TestImportGoesOnAtTheNextNode(t *testing.T) {
	var keys, files []string
	g := newGroup()
	note := func(r *http.Request, n int64) {
		b, _ := io.ReadAll(io.LimitReader(r.Body, n))
		g.mu.Lock()
		defer g.mu.Unlock()
		keys, files = append(keys, r.Header.Get("Idempotency-Key")), append(files, r.Method+" "+r.RequestURI+" "+string(b))
	}
	dies := g.serve(t, func(_ http.ResponseWriter, r *http.Request) {
		note(r, 3)
		panic(http.ErrAbortHandler)
	})
	takes := g.serve(t, func(w http.ResponseWriter, r *http.Request) {
		note(r, 1<<20)
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Todod-Index", "9")
		io.WriteString(w, `{"list":"a b","added":1,"lines":[{"line":2,"did":"added","id":7,"remarks":["r"]}]}`)
	})
	sent := int64(0)
	c := client(t, Options{}, dies, takes)
	r, meta, err := c.Import(t.Context(), "a b", "csv", strings.NewReader("title\na\n"), ImportOptions{DryRun: true, Progress: func(n int64) { sent = n }})
	if err != nil || r.Added != 1 || r.Lines[0].ID != 7 || meta.Index != 9 || sent != 8 {
		t.Errorf("%+v %+v %v, %d sent", r, meta, err, sent)
	}
	if len(keys) != 2 || keys[0] != keys[1] || len(keys[0]) < 16 || files[1] != "POST /v1/lists/a%20b/import?dry_run=true&format=csv title\na\n" {
		t.Errorf("%q %q", keys, files)
	}
}

// What is wrong with a file is not asked of every node, and the error says how far it came.
func TestImportThatBreaksOff(t *testing.T) {
	calls := 0
	g := newGroup()
	addr := g.serve(t, func(w http.ResponseWriter, r *http.Request) {
		calls++
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusBadRequest)
		io.WriteString(w, `{"code":"invalid","outcome":"applied","detail":"line 7: no","import":{"added":5,"lines":[]}}`)
	})
	_, _, err := client(t, Options{}, addr, addr).Import(t.Context(), "bob", "json", strings.NewReader(""), ImportOptions{})
	e := (*Error)(nil)
	if !errors.As(err, &e) || e.Import == nil || e.Import.Added != 5 || e.Outcome != Applied || calls != 1 {
		t.Errorf("%v after %d calls", err, calls)
	}
}

func TestExport(t *testing.T) {
	g := newGroup()
	addr := g.serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Todod-Index", "9")
		io.WriteString(w, r.RequestURI+" "+r.Header.Get("Todod-Min-Index"))
	}, func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "half a fi")
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	})
	c := client(t, Options{}, addr)
	d, err := c.Export(t.Context(), "a/b", "ical", "Asia/Tokyo", ReadOptions{Consistency: "stale", MinIndex: 4})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if b, err := io.ReadAll(d); err != nil || string(b) != "/v1/lists/a%2Fb/export?consistency=stale&format=ical&tz=Asia%2FTokyo 4" || d.Index != 9 {
		t.Errorf("%q %v %+v", b, err, d.Meta)
	}
	half, err := c.Export(t.Context(), "bob", "csv", "", ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer half.Close()
	if b, err := io.ReadAll(half); err == nil {
		t.Errorf("%q looks whole", b)
	}
}
