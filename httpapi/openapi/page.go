package openapi

import (
	"bytes"
	"crypto/sha256"
	_ "embed" // the page and its style
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

//go:embed page.html
var pageHTML string

//go:embed page.css
var pageCSS string

// Page makes a page for people of a description: one file that needs no script and nothing from elsewhere.
// The policy is the Content-Security-Policy under which it shows as it should, and nothing else could run in it.
func Page(doc *Document) (page []byte, policy string, err error) {
	t, err := template.New("page").Funcs(template.FuncMap{
		"css":        func() template.CSS { return template.CSS(pageCSS) },
		"chapters":   func() []chapter { return chapters(doc) },
		"failures":   func() []answer { return failures(doc) },
		"field":      newField,
		"required":   func(s *Schema, name string) bool { return slices.Contains(s.Required, name) },
		"name":       refName,
		"kind":       kind,
		"limits":     limits,
		"example":    example,
		"pieces":     pieces,
		"paragraphs": paragraphs,
	}).Parse(pageHTML)
	if err != nil {
		return nil, "", err
	}
	var b bytes.Buffer
	if err := t.Execute(&b, doc); err != nil {
		return nil, "", err
	}
	sum := sha256.Sum256([]byte(pageCSS))
	policy = "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
		"'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
	return b.Bytes(), policy, nil
}

// chapter is a tag with its operations.
type chapter struct {
	Tag        Tag
	Operations []operation
}

// operation is one as the page shows it.
type operation struct {
	*Operation
	Method, Path string
	Own          []*Parameter // those that are not headers
	Headers      []string
	Answers      []answer // of what went well
	Failures     []answer
	Curl         string
}

// answer is one status.
type answer struct {
	Status      string
	Title, Text string
	Description string
	Response    *Response
	Codes       []string
}

func chapters(doc *Document) (all []chapter) {
	for _, tag := range doc.Tags {
		c := chapter{Tag: tag}
		for _, path := range doc.Paths {
			for _, m := range *path.Value {
				if slices.Contains(m.Value.Tags, tag.Name) {
					c.Operations = append(c.Operations, newOperation(doc, path.Name, m.Name, m.Value))
				}
			}
		}
		if c.Operations != nil {
			all = append(all, c)
		}
	}
	return all
}

func newOperation(doc *Document, path, method string, op *Operation) operation {
	o := operation{Operation: op, Path: path, Method: method, Curl: curl(path, method, op)}
	for _, p := range op.Parameters {
		if p.Ref != "" {
			o.Headers = append(o.Headers, refName(p.Ref))
			continue
		}
		o.Own = append(o.Own, p)
	}
	for _, r := range op.Responses {
		a := newAnswer(r.Name, r.Value)
		if r.Value.Ref == "" {
			o.Answers = append(o.Answers, a)
			continue
		}
		for _, code := range op.Codes {
			if strings.Contains(doc.Components.Responses.Get(refName(r.Value.Ref)).Description, "`"+code+"`:") {
				a.Codes = append(a.Codes, code)
			}
		}
		o.Failures = append(o.Failures, a)
	}
	return o
}

func newAnswer(status string, r *Response) answer {
	n, _ := strconv.Atoi(status)
	a := answer{Status: status, Title: http.StatusText(n), Description: r.Description, Response: r, Text: "No body."}
	if r.Description != a.Title && r.Description != "" {
		a.Text = r.Description
	}
	return a
}

// failures are the answers to what fails, once for each status.
func failures(doc *Document) (all []answer) {
	done := map[int]bool{}
	for _, r := range doc.Components.Responses {
		if !done[r.Value.Status] {
			done[r.Value.Status] = true
			all = append(all, newAnswer(strconv.Itoa(r.Value.Status), r.Value))
		}
	}
	return all
}

// curl is a command line that does an operation.
func curl(path, method string, op *Operation) string {
	var b strings.Builder
	b.WriteString("curl")
	var query []string
	for _, p := range op.Parameters {
		switch {
		case p.In == "path":
			path = strings.ReplaceAll(path, "{"+p.Name+"}", like(p))
		case p.In == "query" && p.Required:
			query = append(query, p.Name+"="+like(p))
		}
	}
	body := ""
	if op.Body != nil {
		for _, m := range op.Body.Content {
			if data, err := json.Marshal(m.Value.Example); strings.HasSuffix(m.Name, "json") && m.Value.Example != nil && err == nil {
				body = fmt.Sprintf(" -H 'Content-Type: %s' -d '%s'", m.Name, strings.ReplaceAll(string(data), "'", `'\''`))
				break
			}
		}
	}
	if usual := body != "" && method == "post" || body == "" && method == "get"; !usual {
		b.WriteString(" -X " + strings.ToUpper(method))
	}
	if query != nil {
		path += "?" + strings.Join(query, "&")
	}
	return b.String() + body + " 'http://127.0.0.1:5454" + path + "'"
}

// like is a value that a parameter could have.
func like(p *Parameter) string {
	if p.Schema != nil && len(p.Schema.Examples) > 0 {
		return fmt.Sprint(p.Schema.Examples[0])
	}
	return strings.ToUpper(p.Name)
}

// fieldView is a field, a parameter or a header.
type fieldView struct {
	ID, Name    string
	Schema      *Schema
	Description string
	Required    bool
}

func newField(id, name string, s *Schema, description string, required bool) fieldView {
	return fieldView{ID: id, Name: name, Schema: s, Description: description, Required: required}
}

func refName(ref string) string { return ref[strings.LastIndex(ref, "/")+1:] }

// kind says in a word of what kind a value is.
func kind(s *Schema) string {
	types := slices.Clone(s.Type)
	switch {
	case s.Enum != nil && len(s.Enum) < 8:
		var values []string
		for _, v := range s.Enum {
			data, err := json.Marshal(v)
			if err != nil || v == "" {
				continue
			}
			values = append(values, strings.Trim(string(data), `"`))
		}
		return strings.Join(values, " | ")
	case len(types) == 0:
		return "anything"
	case s.Format != "" && types[0] == "string":
		types[0] = s.Format
	}
	return strings.Join(types, " or ")
}

// limits says how much a value may be.
func limits(s *Schema) string {
	var says []string
	switch {
	case s.Minimum != nil && s.Maximum != nil:
		says = append(says, fmt.Sprintf("%s to %s", count(*s.Minimum), count(*s.Maximum)))
	case s.Minimum != nil && *s.Minimum > 0:
		says = append(says, "from "+count(*s.Minimum))
	}
	if s.Default != nil {
		says = append(says, fmt.Sprintf("%v if not given", s.Default))
	}
	if s.MaxLength > 0 {
		says = append(says, "at most "+count(int64(s.MaxLength))+" characters")
	}
	if s.MaxItems > 0 {
		says = append(says, "at most "+count(int64(s.MaxItems)))
		if s.Items != nil && s.Items.MaxLength > 0 {
			says = append(says, "each of at most "+count(int64(s.Items.MaxLength))+" characters")
		}
	}
	for _, of := range []*Schema{s, s.Items} {
		if of != nil && len(of.Examples) > 0 {
			says = append(says, fmt.Sprintf("such as %v", of.Examples[0]))
		}
	}
	return strings.Join(says, "; ")
}

// count writes a number with its thousands parted.
func count(n int64) string {
	text := strconv.FormatInt(n, 10)
	for i := len(text) - 3; i > 0 && text[i-1] != '-'; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// example writes an example as it would be sent, with its lines broken.
func example(v any) (string, error) {
	if text, ok := v.(string); ok {
		return text, nil
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	err := enc.Encode(v)
	return strings.TrimSuffix(b.String(), "\n"), err
}

// piece is a part of a path or of a text.
type piece struct {
	Text                  string
	Variable, Code, Break bool // Break: a line may end before it
}

// pieces parts a path at its slashes, and the variables in it from the rest.
func pieces(path string) (all []piece) {
	for part := range strings.SplitSeq(strings.TrimPrefix(path, "/"), "/") {
		if strings.HasPrefix(part, "{") {
			all = append(all, piece{Text: "/", Break: true}, piece{Text: part, Variable: true})
			continue
		}
		all = append(all, piece{Text: "/" + part, Break: true})
	}
	return all
}

// paragraphs parts a text at its empty lines, and code between backquotes from the rest.
func paragraphs(text string) (all [][]piece) {
	for p := range strings.SplitSeq(text, "\n\n") {
		var line []piece
		for i, part := range strings.Split(p, "`") {
			if part != "" {
				line = append(line, piece{Text: part, Code: i%2 == 1})
			}
		}
		if line != nil {
			all = append(all, line)
		}
	}
	return all
}
