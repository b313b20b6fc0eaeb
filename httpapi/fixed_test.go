package httpapi

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"html"
	"regexp"
	"strings"
	"testing"

	"todod/httpapi/api"
	"todod/httpapi/openapi"
)

// The description is where clients look for it, whole, and is not sent to one that has it.
func TestTheDescriptionIsServed(t *testing.T) {
	w := newWorld(t)
	a := w.do("GET", "/openapi.json", "").want(200, "").has("Content-Type", "application/json")
	var doc struct {
		OpenAPI string
		Paths   map[string]map[string]struct{ OperationID string }
	}
	a.decode(&doc)
	if doc.OpenAPI != openapi.Version || doc.Paths["/v1/lists/{list}/entries"]["post"].OperationID != "addEntry" {
		t.Errorf("openapi %q with %d paths", doc.OpenAPI, len(doc.Paths))
	}
	if len(doc.Paths) != len(resources(table())) {
		t.Errorf("%d paths are described and %d served", len(doc.Paths), len(resources(table())))
	}
	tag := a.header.Get("ETag")
	w.do("GET", "/openapi.json", "", "If-None-Match: "+tag).want(304, "").has("ETag", tag)
	w.do("GET", "/openapi.json", "", `If-None-Match: "1.2", W/`+tag).want(304, "")
	w.do("GET", "/openapi.json", "", "If-None-Match: *").want(304, "")
	w.do("GET", "/openapi.json", "", `If-None-Match: "1.2"`).want(200, a.body)
	w.do("GET", "/openapi.json", "", `If-None-Match: 1.2`).line(400, "If-None-Match")
	w.do("HEAD", "/openapi.json", "").want(200, "").has("ETag", tag)
	w.do("POST", "/openapi.json", "").line(404, "not found")
	if !json.Valid([]byte(a.body)) {
		t.Error("it is no JSON")
	}
}

// The page shows all of the description, under a policy that lets nothing run or be fetched.
func TestThePageForPeople(t *testing.T) {
	w := newWorld(t)
	a := w.do("GET", "/docs", "").want(200, "").has("Content-Type", "text/html; charset=utf-8").has("Referrer-Policy", "no-referrer").has("X-Content-Type-Options", "nosniff")
	w.do("GET", "/docs", "", "If-None-Match: "+a.header.Get("ETag")).want(304, "")
	if plain := w.do("GET", "/docs", "", takesGzip).unzip(); plain != a.body {
		t.Error("it is another page when compressed")
	}
	policy := a.header.Get("Content-Security-Policy")
	style := between(a.body, "<style>", "</style>")
	sum := sha256.Sum256([]byte(style))
	if want := "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; "; !strings.HasPrefix(policy, want) || strings.Contains(policy, "unsafe") {
		t.Errorf("the policy is %s, and the style has %s", policy, want)
	}
	for _, foreign := range []string{"<script", "<img", "<link", "<iframe", "<form", " src=", " style=", "@import", "url(", " onclick", `href="http`, `href="//`, "ZgotmplZ"} {
		if strings.Contains(a.body, foreign) {
			t.Errorf("it has %s", foreign)
		}
	}
	ids := map[string]int{}
	for _, m := range regexp.MustCompile(` id="([^"]*)"`).FindAllStringSubmatch(a.body, -1) {
		if ids[m[1]]++; ids[m[1]] > 1 {
			t.Errorf("two places of it are called %s", m[1])
		}
	}
	for _, m := range regexp.MustCompile(` href="#([^"]*)"`).FindAllStringSubmatch(a.body, -1) {
		if ids[m[1]] == 0 {
			t.Errorf("it points at %s, which is not there", m[1])
		}
	}
	for _, r := range table() {
		if ids[r.id] == 0 || !strings.Contains(a.body, html.EscapeString(r.does)) {
			t.Errorf("it does not show %s", r.id)
		}
	}
	for code := range api.Statuses {
		if !strings.Contains(a.body, "<code>"+string(code)+"</code>") {
			t.Errorf("it does not show the code %s", code)
		}
	}
}

func between(text, from, to string) string {
	_, text, _ = strings.Cut(text, from)
	text, _, _ = strings.Cut(text, to)
	return text
}

func BenchmarkDescribe(b *testing.B) {
	for b.Loop() {
		describe(table())
	}
}
