package httpapi

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"todod/httpapi/api"
	"todod/httpapi/openapi"
)

// contract checks what goes in and out of a node in tests against the description of the API.
type contract struct {
	doc     *openapi.Document
	schemas *jsonschema.Compiler
	mu      sync.Mutex // the compiler's
}

const described = "http://todod/openapi.json"

// theContract is made once: all tests of the package keep to it.
var theContract = sync.OnceValue(func() *contract {
	c := &contract{doc: describe(table()), schemas: jsonschema.NewCompiler()}
	data, err := json.Marshal(c.doc)
	if err != nil {
		panic(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		panic(err)
	}
	// A client takes fields that it does not know; a test wants them described.
	for _, s := range doc.(map[string]any)["components"].(map[string]any)["schemas"].(map[string]any) {
		schema := s.(map[string]any)
		if _, open := schema["additionalProperties"]; schema["properties"] != nil && !open {
			schema["additionalProperties"] = false
		}
	}
	c.schemas.DefaultDraft(jsonschema.Draft2020)
	c.schemas.AssertFormat()
	if err := c.schemas.AddResource(described, doc); err != nil {
		panic(err)
	}
	return c
})

// at compiles the schema at a place of the description.
func (c *contract) at(pointer ...string) (*jsonschema.Schema, error) {
	escape := strings.NewReplacer("~", "~0", "/", "~1")
	path := ""
	for _, p := range pointer {
		path += "/" + url.PathEscape(escape.Replace(p))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.schemas.Compile(described + "#" + path)
}

// valid checks JSON against the schema at a place of the description.
func (c *contract) valid(data []byte, pointer ...string) error {
	schema, err := c.at(pointer...)
	if err != nil {
		return err
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		return err
	}
	return schema.Validate(v)
}

// exchange is a request and its answer.
type exchange struct {
	path   string // as the table has it
	r      *http.Request
	body   []byte
	status int
	header http.Header
	answer []byte
}

// check says what of an exchange is not as described.
func (c *contract) check(x *exchange) error {
	method := strings.ToLower(x.r.Method)
	if method == "head" {
		method = "get"
	}
	var op *openapi.Operation
	if item := c.doc.Paths.Get(x.path); item != nil {
		op = item.Get(method)
	}
	if op == nil {
		if x.status < 400 && x.r.Method != http.MethodOptions {
			return errors.New("it is answered, though the description has no such operation")
		}
		return nil
	}
	if err := c.response(x, op, method); err != nil {
		return fmt.Errorf("the answer: %w", err)
	}
	if x.status >= 300 {
		return nil
	}
	if err := c.request(x, op, method); err != nil {
		return fmt.Errorf("the request, which was taken: %w", err)
	}
	return nil
}

func (c *contract) response(x *exchange, op *openapi.Operation, method string) error {
	name := strconv.Itoa(x.status)
	r, at := op.Responses.Get(name), []string{"paths", x.path, method, "responses", name}
	if r == nil {
		return errors.New("its status is not described")
	}
	if ref := strings.TrimPrefix(r.Ref, "#/components/responses/"); ref != "" {
		r, at = c.doc.Components.Responses.Get(ref), []string{"components", "responses", ref}
	}
	for name := range x.header {
		known := strings.HasPrefix(name, "Todod-") || slices.ContainsFunc(answerHeaders, func(p openapi.Parameter) bool { return http.CanonicalHeaderKey(p.Name) == name })
		if known && x.status < 300 && !slices.ContainsFunc(r.Headers, func(m openapi.Member[*openapi.Header]) bool { return http.CanonicalHeaderKey(m.Name) == name }) {
			return fmt.Errorf("its header %s is not described", name)
		}
	}
	replayed := x.header.Get("Idempotency-Replayed") == "true"
	if x.r.Method == http.MethodHead || len(x.answer) == 0 && (r.Content == nil || replayed) {
		return nil
	}
	kind, _, err := mime.ParseMediaType(x.header.Get("Content-Type"))
	if err != nil {
		return fmt.Errorf("its Content-Type: %w", err)
	}
	m := r.Content.Get(kind)
	if m == nil {
		return fmt.Errorf("its Content-Type %s is not described", kind)
	}
	body := x.answer
	if x.header.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(bytes.NewReader(body))
		if err != nil {
			return err
		}
		if body, err = io.ReadAll(z); err != nil {
			return err
		}
	}
	at = append(at, "content", kind)
	switch {
	case kind == "text/event-stream":
		return c.events(body, m, append(at, "x-event"))
	case strings.HasSuffix(kind, "json") && len(m.Schema.Type)+len(m.Schema.Ref) > 0:
		if err := c.valid(body, append(at, "schema")...); err != nil {
			return fmt.Errorf("%w\nin %s", err, body)
		}
	}
	return c.code(kind, body, op)
}

// code checks that a problem has one of the codes that its route says it can have.
func (c *contract) code(kind string, body []byte, op *openapi.Operation) error {
	if kind != "application/problem+json" {
		return nil
	}
	var p api.Problem
	if err := json.Unmarshal(body, &p); err != nil {
		return err
	}
	if !slices.Contains(op.Codes, p.Code) {
		return fmt.Errorf("the code %s is not among those of %s: add it to fails in its row", p.Code, op.ID)
	}
	return nil
}

// events checks the data of all events that came whole.
func (c *contract) events(body []byte, m *openapi.MediaType, at []string) error {
	for event := range strings.SplitSeq(string(body), "\n\n") {
		_, data, ok := strings.Cut("\n"+event, "\ndata: ")
		if !ok {
			continue
		}
		if err := c.valid([]byte(data), at...); err != nil {
			return fmt.Errorf("the event %s: %w", data, err)
		}
	}
	return nil
}

func (c *contract) request(x *exchange, op *openapi.Operation, method string) error {
	query, err := url.ParseQuery(x.r.URL.RawQuery)
	if err != nil {
		return nil // ; in a query, which net/url does not take
	}
	at := []string{"paths", x.path, method}
	for i, p := range op.Parameters {
		if p.In != "query" || !query.Has(p.Name) {
			continue
		}
		value := query.Get(p.Name)
		if t := p.Schema.Type; len(t) == 0 || t[0] == "string" {
			value = strconv.Quote(value)
		}
		if query.Get(p.Name) == "" { // asks for nothing, as a loop over pages begins
			continue
		}
		if err := c.valid([]byte(value), append(at, "parameters", strconv.Itoa(i), "schema")...); err != nil {
			return fmt.Errorf("its parameter %s: %w", p.Name, err)
		}
	}
	kind, _, _ := mime.ParseMediaType(x.r.Header.Get("Content-Type"))
	if op.Body == nil || !strings.HasSuffix(kind, "json") {
		return nil
	}
	if op.Body.Content.Get(kind) == nil {
		return fmt.Errorf("its Content-Type %s is not described", kind)
	}
	if err := c.valid(x.body, append(at, "requestBody", "content", kind, "schema")...); err != nil {
		return fmt.Errorf("%w\nin %s", err, x.body)
	}
	return nil
}

// witness sees what a node is asked and answers.
type witness struct {
	http.ResponseWriter
	status int
	body   bytes.Buffer
}

// mostWitnessed is how long a body may be that is looked at: longer ones are of the same kinds, and take long.
const mostWitnessed = 128 << 10

func (w *witness) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *witness) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	if w.body.Len() < mostWitnessed {
		w.body.Write(b)
	}
	return w.ResponseWriter.Write(b)
}

func (w *witness) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// witnessed is a server whose every exchange is held against the description. What is not as described
// fails the test at its end.
func witnessed(of *world) http.Handler {
	c, t, s := theContract(), of.t, of.srv
	var mu sync.Mutex
	var wrong []string
	t.Cleanup(func() {
		mu.Lock()
		defer mu.Unlock()
		for _, w := range wrong {
			t.Error(w)
		}
	})
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w := &witness{ResponseWriter: rw}
		var sent bytes.Buffer
		r.Body = struct {
			io.Reader
			io.Closer
		}{io.TeeReader(r.Body, &sent), r.Body}
		s.ServeHTTP(w, r) // one that panics, to cut its answer off, is not looked at
		res, _ := s.routes.find(r)
		x := &exchange{path: res.path, r: r, body: sent.Bytes(), status: w.status, header: w.Header(), answer: w.body.Bytes()}
		if w.body.Len() >= mostWitnessed || sent.Len() >= mostWitnessed || w.status >= 400 && of.odd.Load() {
			return
		}
		if err := c.check(x); err != nil {
			mu.Lock()
			defer mu.Unlock()
			wrong = append(wrong, fmt.Sprintf("%s %s: %d is not as /openapi.json says: %v", r.Method, r.URL, w.status, err))
		}
	})
}
