package httpapi

import (
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"todod/fsm/todo"
	"todod/httpapi/api"
	"todod/server"
)

const takesGzip = "Accept-Encoding: gzip"

// unzip returns what was compressed.
func (a *answer) unzip() string {
	a.t.Helper()
	a.has("Content-Encoding", "gzip").has("Vary", "Accept-Encoding")
	z, err := gzip.NewReader(strings.NewReader(a.body))
	if err != nil {
		a.t.Fatalf("%s: %v", a.what, err)
	}
	plain, err := io.ReadAll(z)
	if err != nil {
		a.t.Fatalf("%s: %v", a.what, err)
	}
	return string(plain)
}

// fill makes bob's list long enough to be compressed.
func (w *world) fill() {
	for i := range 50 {
		w.add("bob", fmt.Sprint("Entry ", i), "2018-12-19")
	}
}

func TestLargeAnswersAreCompressed(t *testing.T) {
	w := newWorld(t)
	w.fill()
	for _, path := range []string{"/v1/lists/bob/entries", "/openapi.json"} {
		plain := w.do("GET", path, "").want(200, "").lacks("Content-Encoding").has("Vary", "Accept-Encoding")
		zipped := w.do("GET", path, "", takesGzip).want(200, "")
		if got := zipped.unzip(); got != plain.body || len(zipped.body) > len(plain.body)/2 {
			t.Errorf("%s: %d bytes became %d and then %d", path, len(plain.body), len(zipped.body), len(got))
		}
		zipped.has("Content-Length", strconv.Itoa(len(zipped.body)))
		w.do("HEAD", path, "", takesGzip).want(200, "").has("Content-Length", strconv.Itoa(len(zipped.body))).has("ETag", zipped.header.Get("ETag"))
	}
	// What is small, what is text and what is an error of one line stay as they are.
	for _, path := range []string{"/v1/lists/bob", "/v1/lists", "/v1/lists/bob/entries?limit=10", "/entries?list=bob&date=2018-12-19", "/nothing", "/livez"} {
		w.do("GET", path, "", takesGzip).lacks("Content-Encoding").lacks("Vary")
	}
	w.do("HEAD", "/v1/cluster/events", "", takesGzip).lacks("Content-Encoding")
	w.do("GET", "/v1/backup", "", takesGzip).want(200, "").lacks("Content-Encoding")
}

// A compressed answer has a strong tag of its own, and either tag stands for the state in any condition.
func TestTagsOfCompressedAnswers(t *testing.T) {
	w := newWorld(t)
	w.fill()
	const path = "/v1/lists/bob/entries"
	plain, zipped := `"7.50"`, `"7.50-gzip"`
	w.do("GET", path, "").has("ETag", plain)
	w.do("GET", path, "", takesGzip).has("ETag", zipped)
	for _, accept := range []string{takesGzip, "Accept-Encoding: identity"} {
		w.do("GET", path, "", accept, "If-None-Match: "+zipped).want(304, "").has("ETag", zipped).has("Vary", "Accept-Encoding")
		w.do("GET", path, "", accept, "If-None-Match: "+plain).want(304, "").has("ETag", plain)
		w.do("GET", path, "", accept, `If-None-Match: "7.49-gzip"`).want(200, "")
		w.do("GET", path, "", accept, "If-Match: "+zipped).want(200, "")
	}
	for _, foreign := range []string{`"7.50-br"`, `"7.50-gzip-gzip"`, `"-gzip"`, `"7.50gzip"`, `W/"7.50-gzip"`} {
		w.do("POST", path, `{"title":"a"}`, "If-Match: "+foreign).problem(api.CodePrecondition, "not_applied")
	}
	w.do("POST", path, `{"title":"a"}`, "If-Match: "+zipped).want(201, "")
	w.do("POST", "/v1/batch", `{"commands":[{"op":"delete","list":"bob","id":51,"if_match":"\"7.51-gzip\""}]}`).want(200, "")

	// The tag in the answer to a write is of the entry, however the answer was sent.
	big, err := json.Marshal(api.NewEntry{Title: strings.Repeat("long ", 200), More: api.More{Notes: strings.Repeat("and more ", 500)}})
	if err != nil {
		t.Fatal(err)
	}
	a := w.do("POST", path, string(big), takesGzip).want(201, "").has("ETag", `"7.53"`)
	a.unzip()
	w.do("PATCH", a.header.Get("Location"), `{"done":true}`, `If-Match: "7.53"`).want(200, "")
}

// Pages of lists have a tag too: that of the last change of any list.
func TestListsAreNotSentTwice(t *testing.T) {
	w := newWorld(t)
	w.add("alice", "a", "")
	tag := w.do("GET", "/v1/lists", "").want(200, "").has("ETag", `"7.1"`).header.Get("ETag")
	w.do("GET", "/v1/lists", "", "If-None-Match: "+tag).want(304, "").has("Todod-Index", "1").has("Todod-Consistency", "linearizable")
	w.do("GET", "/v1/lists?prefix=a&limit=1", "", "If-None-Match: "+tag).want(304, "")
	w.do("GET", "/v1/lists?consistency=stale", "", "If-None-Match: "+tag).want(304, "")
	w.do("PATCH", "/v1/lists/alice/entries/1", `{"done":true}`).want(200, "")
	w.do("GET", "/v1/lists", "", "If-None-Match: "+tag).want(200, `{"lists":[{"name":"alice","entries":1,"open":0,"rev":2}]}`).has("ETag", `"7.2"`)
	w.do("GET", "/v1/lists", "", "If-Match: "+tag).problem(api.CodePrecondition, "")
	w.do("GET", "/v1/lists", "", "If-None-Match: 7.2").problem(api.CodeInvalid, "")
}

// When all compressors are busy an answer goes out as it is, at once.
func TestNobodyWaitsForACompressor(t *testing.T) {
	w := newWorld(t)
	w.fill()
	var taken []*gzip.Writer
	for range cap(w.srv.gzips) {
		taken = append(taken, <-w.srv.gzips)
	}
	w.do("GET", "/v1/lists/bob/entries", "", takesGzip).want(200, "").lacks("Content-Encoding").has("ETag", `"7.50"`)
	for _, z := range taken {
		w.srv.gzips <- z
	}
	w.do("GET", "/v1/lists/bob/entries", "", takesGzip).unzip()
}

func TestAcceptEncoding(t *testing.T) {
	for given, want := range map[string]bool{
		"gzip": true, "GZip": true, "x-gzip": true, "deflate, gzip;q=1.0, *;q=0.5": true, "gzip, deflate, br, zstd": true, "*": true, "br;q=1, gzip ; q=0.2": true,
		"gzip;q=0.001": true, "gzip; Q=1": true, "identity;q=0, gzip;q=0.5": true, "*;q=0.5, gzip;q=0": false, "identity, gzip;q=0.5": false, "identity;q=0.5, gzip;q=0.5": true,
		"": false, "identity": false, "br": false, "gzip;q=0": false, "gzip;q=0.000": false, "*;q=0": false, "gzip;q=2": false, "gzip;q=1.001": false,
		"gzip;q=0.0001": false, "gzip;q=": false, "gzip;q=.5": false, "gzip;q=0.5x": false, "gzip;level=1": false, "gzipped": false, "gzip;q=-1": false, "gzip;q=1.": true,
	} {
		if got := acceptsGzip([]string{given}); got != want {
			t.Errorf("%q: %v", given, got)
		}
	}
	if acceptsGzip(nil) || !acceptsGzip([]string{"br", "gzip"}) {
		t.Error("several headers, or none")
	}
}

// However a client spells its wishes, the weights decide.
func TestAcceptEncodingByWeight(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		weights := rapid.MapOfN(rapid.SampledFrom([]string{"gzip", "*", "identity", "br"}), rapid.IntRange(0, 1000), 0, 4).Draw(t, "weights")
		space := rapid.StringMatching(`[ \t]{0,2}`)
		var elements []string
		for coding, w := range weights {
			q := fmt.Sprintf("%d.%03d", w/1000, w%1000)
			if rapid.Bool().Draw(t, "short") {
				q = strings.TrimRight(q, "0")
			}
			elements = append(elements, space.Draw(t, "a")+coding+space.Draw(t, "b")+";"+space.Draw(t, "c")+"q="+q+space.Draw(t, "d"))
		}
		w, named := weights["gzip"]
		if !named {
			w = weights["*"]
		}
		least := 1
		if plain, ok := weights["identity"]; ok {
			least = max(1, plain)
		}
		if got := acceptsGzip([]string{strings.Join(elements, ",")}); got != (w >= least) {
			t.Fatalf("%q: %v", elements, got)
		}
	})
}

func FuzzAcceptEncoding(f *testing.F) {
	for _, seed := range []string{"gzip", "gzip;q=0.5, *;q=0", "identity;q=1.000,,x-gzip", "*;q=0.", ";q=1,gzip;;"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		got := acceptsGzip([]string{value})
		if got && !strings.Contains(strings.ToLower(value), "gzip") && !strings.Contains(value, "*") {
			t.Errorf("%q wants gzip", value)
		}
		// Only what goes before and after changes nothing.
		if got != acceptsGzip([]string{" " + value + "\t,"}) || got != acceptsGzip([]string{"br", value}) {
			t.Errorf("%q: %v, but not with other codings", value, got)
		}
	})
}

// A page of 100 entries, as it is and compressed.
func BenchmarkGetPage(b *testing.B) {
	node := newTestNode(b)
	cmd := todo.Command{Batch: true}
	for i := range 100 {
		cmd.Ops = append(cmd.Ops, todo.Op{Kind: todo.Add, List: "bob", Fields: todo.Fields{Title: fmt.Sprint("Dentist, and then the shopping, ", i), Date: "2018-12-19"}})
	}
	if _, err := node.Write(b.Context(), cmd, server.WriteOptions{}); err != nil {
		b.Fatal(err)
	}
	if err := node.replica.Flush(); err != nil {
		b.Fatal(err)
	}
	s := New(Config{Node: node})
	for _, accept := range []string{"identity", "gzip"} {
		b.Run(accept, func(b *testing.B) {
			r := httptest.NewRequest("GET", "/v1/lists/bob/entries", nil)
			r.Header.Set("Accept-Encoding", accept)
			out := &sink{header: http.Header{}}
			b.ReportAllocs()
			for b.Loop() {
				clear(out.header)
				s.ServeHTTP(out, r)
			}
			if out.status != http.StatusOK || (accept == "gzip") != (out.header.Get("Content-Encoding") == "gzip") {
				b.Fatalf("status %d, header %v", out.status, out.header)
			}
		})
	}
}
