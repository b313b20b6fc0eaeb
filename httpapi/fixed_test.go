package httpapi

import (
	"encoding/json"
	"testing"

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

func BenchmarkDescribe(b *testing.B) {
	for b.Loop() {
		describe(table())
	}
}
