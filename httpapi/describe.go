package httpapi

import (
	"encoding/json"
	"maps"
	"net/http"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"todod/httpapi/api"
	"todod/httpapi/openapi"
)

// describe makes the description of the API from the table of its routes.
func describe(table []route) *openapi.Document {
	doc, _ := describing(table)
	return doc
}

// describer is the description of a table while it is being made.
type describer struct {
	doc     *openapi.Document
	schemas openapi.Schemas
	missing []string // what the table or the glossary does not say, a sentence each
	asked   []*openapi.Schema
	given   []*openapi.Schema
}

// describing makes a description, and says what was missing for it.
func describing(table []route) (*openapi.Document, []string) {
	d := &describer{doc: &openapi.Document{OpenAPI: openapi.Version, Info: info, Servers: []openapi.Server{{URL: "/"}}, Tags: chapters},
		schemas: openapi.Schemas{Words: glossary}}
	d.components()
	for i := range table {
		d.route(&table[i])
	}
	// A field that is not described is refused where it comes in, and may come in later versions where it goes out.
	for _, s := range d.asked {
		d.schemas.Close(s)
	}
	d.doc.Components.Schemas = d.schemas.Made
	for _, name := range d.schemas.Missing {
		d.lack("the glossary has no word for the field %s", name)
	}
	return d.doc, d.missing
}

func (d *describer) lack(format string, args ...any) {
	d.missing = append(d.missing, fail("", format, args...).detail)
}

// components are the headers, and the answers to what fails, by status.
func (d *describer) components() {
	c := &d.doc.Components
	for _, p := range requestHeaders {
		c.Parameters.Put(p.Name, &p)
	}
	for _, h := range answerHeaders {
		c.Headers.Put(h.Name, &openapi.Header{Description: h.Description, Schema: h.Schema})
	}
	d.schemas.Part(reflect.TypeFor[api.Entry](), "EntryPart") // the glossary refers to it
	problem := d.schemas.Of(reflect.TypeFor[api.Problem]())
	for _, status := range slices.Sorted(maps.Values(api.Statuses)) {
		var says []string
		for _, code := range slices.Sorted(maps.Keys(codeSays)) {
			if api.Statuses[code] == status {
				says = append(says, "`"+string(code)+"`: "+codeSays[code])
			}
		}
		r := &openapi.Response{Description: strings.Join(says, "\n\n"), Status: status}
		if status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable {
			r.Headers.Put("Retry-After", headerRef("Retry-After"))
		}
		plain := *r
		r.Content.Put("application/problem+json", &openapi.MediaType{Schema: problem})
		plain.Content.Put("text/plain", &openapi.MediaType{Schema: &openapi.Schema{Type: openapi.Types{"string"}}})
		c.Responses.Put(failureName(status, true), r)
		c.Responses.Put(failureName(status, false), &plain)
	}
	for _, code := range slices.Sorted(maps.Keys(api.Statuses)) {
		if codeSays[code] == "" {
			d.lack("codeSays has no sentence for the error code %s", code)
		}
	}
}

// failureName is the name of the answer of a status where it is a problem, and where it is text.
func failureName(status int, problem bool) string {
	name := strings.ReplaceAll(http.StatusText(status), " ", "")
	if !problem {
		name += "Text"
	}
	return name
}

// route describes one row of the table.
func (d *describer) route(r *route) {
	where := r.method + " " + r.path
	if r.id == "" || r.does == "" {
		d.lack("%s has no description: give its row in table.go an about{id, does, ...}, as its neighbours have", where)
	}
	op := &openapi.Operation{ID: r.id, Tags: []string{r.chapter()}, Summary: r.does, Description: r.more, Parameters: d.parameters(r, where)}
	if r.ends != nil {
		op.Deprecated, op.Description = true, strings.TrimSpace(r.ends.text()+"\n\n"+r.more)
		if r.ends.until.Sub(r.ends.since) < notice {
			d.lack("%s ends sooner than a year after it was deprecated", where)
		}
	}
	if r.body != nil {
		op.Body = &openapi.Body{Required: isV1(r.path), Content: d.content(r.body, r.words)}
		for _, m := range op.Body.Content {
			d.asked = append(d.asked, m.Value.Schema)
		}
	}
	op.Responses.Put(strconv.Itoa(r.answers()), d.answer(r))
	if r.how&(tagged|fixed) != 0 && r.method == http.MethodGet {
		op.Responses.Put("304", &openapi.Response{Description: "What is there has one of the tags of If-None-Match.", Headers: headerRefs("ETag")})
	}
	codes := r.codes()
	statuses := map[int]bool{}
	for _, code := range codes {
		op.Codes = append(op.Codes, string(code))
		statuses[api.Statuses[code]] = true
	}
	for _, status := range slices.Sorted(maps.Keys(statuses)) {
		op.Responses.Put(strconv.Itoa(status), &openapi.Response{Ref: "#/components/responses/" + failureName(status, isV1(r.path))})
	}
	item := d.doc.Paths.Get(r.path)
	if item == nil {
		item = &openapi.PathItem{}
		d.doc.Paths.Put(r.path, item)
	}
	item.Put(strings.ToLower(r.method), op)
}

// answers is the status of a route where all went well.
func (r *route) answers() int {
	switch {
	case r.status != 0:
		return r.status
	case r.gives == nil:
		return http.StatusNoContent
	}
	return http.StatusOK
}

func (d *describer) answer(r *route) *openapi.Response {
	out := &openapi.Response{Description: http.StatusText(r.answers()), Headers: headerRefs(r.headers()...)}
	if r.gives != nil {
		out.Content = d.content(r.gives, r.words)
		for _, m := range out.Content {
			d.given = append(d.given, m.Value.Schema, m.Value.Event)
		}
	}
	return out
}

// content describes a body by what it is like.
func (d *describer) content(like any, words openapi.Words) (out openapi.Map[*openapi.MediaType]) {
	str := openapi.Types{"string"}
	switch like := like.(type) {
	case text:
		out.Put("text/plain", &openapi.MediaType{Schema: &openapi.Schema{Type: str}, Example: string(like)})
	case formats:
		for _, kind := range slices.Sorted(maps.Keys(like)) {
			m := &openapi.MediaType{Schema: &openapi.Schema{Type: str}}
			if like[kind] != "" {
				m.Example = like[kind]
			} else {
				m.Schema = &openapi.Schema{} // bytes: JSON Schema has nothing to say of them
			}
			out.Put(kind, m)
		}
	case stream:
		out.Put("text/event-stream", &openapi.MediaType{Schema: &openapi.Schema{Type: str},
			Event: d.schemas.Of(reflect.TypeOf(like.of)), Example: "retry: 1000\n\n" + eventLike(like.of)})
	case form:
		out.Put("application/x-www-form-urlencoded", d.form(like, words))
	case patch:
		schema := d.schemas.Patch(reflect.TypeOf(like.of), like.name)
		out.Put("application/merge-patch+json", &openapi.MediaType{Schema: schema, Example: like.like})
		out.Put("application/json", &openapi.MediaType{Schema: schema, Example: like.like})
	default:
		out.Put("application/json", &openapi.MediaType{Schema: d.schemas.Of(reflect.TypeOf(like)), Example: like})
	}
	return out
}

var variable = regexp.MustCompile(`\{([^}]*)\}`)

// parameters are those of the path, the query and the header.
func (d *describer) parameters(r *route, where string) (out []*openapi.Parameter) {
	for _, v := range variable.FindAllStringSubmatch(r.path, -1) {
		out = append(out, d.parameter(v[1], "path", true, r, where))
	}
	for _, name := range r.params {
		out = append(out, d.parameter(name, "query", slices.Contains(r.needs, name), r, where))
	}
	for _, name := range r.asks() {
		out = append(out, &openapi.Parameter{Ref: "#/components/parameters/" + name})
	}
	return out
}

func (d *describer) parameter(name, in string, required bool, r *route, where string) *openapi.Parameter {
	word, ok := r.words[name]
	if !ok && in == "query" {
		word, ok = glossary["?"+name]
	}
	if !ok {
		word, ok = glossary[name]
	}
	if !ok {
		d.lack("the glossary has no word for the parameter %s of %s", name, where)
	}
	schema := word
	if schema.Type == nil {
		schema.Type = openapi.Types{"string"}
	}
	schema.Description = ""
	return &openapi.Parameter{Name: name, In: in, Required: required, Description: word.Description, Schema: &schema}
}

func headerRef(name string) *openapi.Header {
	return &openapi.Header{Ref: "#/components/headers/" + name}
}

func headerRefs(names ...string) (out openapi.Map[*openapi.Header]) {
	for _, name := range names {
		out.Put(name, headerRef(name))
	}
	return out
}

// form describes parameters of a form.
func (d *describer) form(names form, words openapi.Words) *openapi.MediaType {
	schema := &openapi.Schema{Type: openapi.Types{"object"}}
	for _, name := range names {
		word := glossary.Merge(words)[name]
		schema.Properties.Put(name, &word)
	}
	return &openapi.MediaType{Schema: schema}
}

// eventLike is an event as it is sent.
func eventLike(of any) string {
	data, err := json.Marshal(of)
	if err != nil {
		return ""
	}
	return "id: 7.42\ndata: " + string(data) + "\n\n"
}
