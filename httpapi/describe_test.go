package httpapi

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"todod/httpapi/openapi"
)

// A route, a parameter, a field and an error code are not there before they are described.
func TestAllIsDescribed(t *testing.T) {
	doc, missing := describing(table())
	for _, what := range missing {
		t.Error(what)
	}
	ids := map[string]bool{}
	for _, r := range table() {
		if ids[r.id] {
			t.Errorf("two rows of the table have the id %s", r.id)
		}
		ids[r.id] = true
	}
	for _, res := range resources(table()) {
		for method := range res.methods {
			if item := doc.Paths.Get(res.path); item == nil || item.Get(strings.ToLower(method)) == nil {
				t.Errorf("%s %s is not in the description", method, res.path)
			}
		}
	}
}

// A row that says nothing of itself is named, and so is all that nothing explains.
func TestWhatLacksADescriptionIsNamed(t *testing.T) {
	_, missing := describing([]route{
		{"POST", "/v1/lists/{list}/undo", getList, []string{"why"}, about{}},
		{"POST", "/v1/undo", getList, nil, about{id: "undo", does: "Undo", body: struct {
			Reason string `json:"reason"`
		}{}}},
	})
	for _, want := range []string{
		"POST /v1/lists/{list}/undo has no description: give its row in table.go an about{id, does, ...}, as its neighbours have",
		"the glossary has no word for the parameter why of POST /v1/lists/{list}/undo",
		"the glossary has no word for the field .reason",
	} {
		if !slices.Contains(missing, want) {
			t.Errorf("nothing says that %s, only %q", want, missing)
		}
	}
}

// What a body may never have is not in its description, though its Go type has it.
func TestWhatIsAlwaysRefusedIsNotDescribed(t *testing.T) {
	doc := describe(table())
	for schema, there := range map[string]bool{"Bulk": false, "Command": true, "EntryPatch": true} {
		s := doc.Components.Schemas.Get(schema)
		if s == nil || (s.Properties.Get("uid") != nil) != there || s.Properties.Get("title") == nil {
			t.Errorf("%s: uid, title: want %v, true", schema, there)
		}
	}
}

// The description is one that OpenAPI's own schema of a description takes, and all schemas in it are
// JSON Schema.
func TestDescriptionIsOpenAPI(t *testing.T) {
	file, err := os.ReadFile("testdata/openapi-3.1.json")
	if err != nil {
		t.Fatal(err)
	}
	meta, err := jsonschema.UnmarshalJSON(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("openapi-3.1.json", meta); err != nil {
		t.Fatal(err)
	}
	schema, err := compiler.Compile("openapi-3.1.json")
	if err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(describe(table()))
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	if err := schema.Validate(doc); err != nil {
		t.Errorf("%#v", err)
	}
	refs(doc, func(ref string) {
		if _, err := theContract().at(strings.Split(strings.TrimPrefix(ref, "#/"), "/")...); err != nil && strings.Contains(ref, "/schemas/") {
			t.Errorf("%s: %v", ref, err)
		}
	})
}

// refs calls do with each reference in a value.
func refs(v any, do func(string)) {
	switch v := v.(type) {
	case map[string]any:
		for name, v := range v {
			if ref, ok := v.(string); ok && name == "$ref" {
				do(ref)
			}
			refs(v, do)
		}
	case []any:
		for _, v := range v {
			refs(v, do)
		}
	}
}

// Each example is valid against the schema beside it, and is of a body that would be taken.
func TestExamplesAreValid(t *testing.T) {
	c, n := theContract(), 0
	check := func(content openapi.Map[*openapi.MediaType], at ...string) {
		for _, m := range content {
			if m.Value.Example == nil {
				continue
			}
			n++
			data, err := json.Marshal(m.Value.Example)
			if err != nil {
				t.Fatal(err)
			}
			if err := c.valid(data, append(slices.Clone(at), "content", m.Name, "schema")...); err != nil {
				t.Errorf("%v: %v", at, err)
			}
		}
	}
	for _, path := range c.doc.Paths {
		for _, m := range *path.Value {
			at := []string{"paths", path.Name, m.Name}
			if m.Value.Body != nil {
				check(m.Value.Body.Content, append(at, "requestBody")...)
			}
			for _, r := range m.Value.Responses {
				check(r.Value.Content, append(slices.Clone(at), "responses", r.Name)...)
			}
		}
	}
	if n < 20 {
		t.Errorf("only %d examples", n)
	}
}

// What holds answers against the description finds what is wrong with one.
func TestTheContractIsHeld(t *testing.T) {
	const path = "/v1/lists/{list}"
	entry := `{"name":"bob","entries":1,"open":1,"rev":42}`
	for _, try := range []struct {
		change func(x *exchange)
		says   string
	}{
		{func(*exchange) {}, ""},
		{func(x *exchange) { x.status = 202 }, "status is not described"},
		{func(x *exchange) { x.header.Set("Content-Type", "text/html") }, "text/html is not described"},
		{func(x *exchange) { x.header.Set("Location", "/") }, "header Location is not described"},
		{func(x *exchange) { x.answer = []byte(`{"name":"bob","entries":1,"open":1}`) }, "missing property 'rev'"},
		{func(x *exchange) { x.answer = []byte(strings.Replace(entry, "{", `{"shade":"red",`, 1)) }, "'shade' not allowed"},
		{func(x *exchange) { x.answer = []byte(strings.Replace(entry, "42", "-1", 1)) }, "minimum"},
		{func(x *exchange) { x.r.URL.RawQuery = "consistency=some" }, "parameter consistency"},
		{func(x *exchange) { x.r.Method = "POST" }, "no such operation"},
		{func(x *exchange) {
			x.status, x.answer = 404, []byte(`{"type":"about:blank","title":"Not Found","status":404,"detail":"?","code":"gone"}`)
			x.header.Set("Content-Type", "application/problem+json")
		}, "the code gone is not among those of getList"},
	} {
		x := &exchange{path: path, r: httptest.NewRequest("GET", "/v1/lists/bob", nil), status: 200, answer: []byte(entry),
			header: http.Header{"Content-Type": {"application/json"}, "Todod-Index": {"42"}}}
		try.change(x)
		err := theContract().check(x)
		if try.says == "" && err != nil || try.says != "" && (err == nil || !strings.Contains(err.Error(), try.says)) {
			t.Errorf("want %q, got %v", try.says, err)
		}
	}
}
