// Package openapi holds a description of an API as OpenAPI 3.1 has it: as values, as JSON, made
// from Go types, and as a page for people. It knows nothing of what it describes.
package openapi

import (
	"bytes"
	"encoding/json"
)

// Version is the version of the specification that a Document keeps to.
const Version = "3.1.1"

// Map is an object whose members keep the order in which they were put in, as people read them.
type Map[T any] []Member[T]

// Member is one member of a Map.
type Member[T any] struct {
	Name  string
	Value T
}

// Get returns the member of a name, the zero value if there is none.
func (m Map[T]) Get(name string) (v T) {
	for i := range m {
		if m[i].Name == name {
			return m[i].Value
		}
	}
	return v
}

// Put adds a member, or gives the one of that name another value.
func (m *Map[T]) Put(name string, v T) {
	for i := range *m {
		if (*m)[i].Name == name {
			(*m)[i].Value = v
			return
		}
	}
	*m = append(*m, Member[T]{name, v})
}

// MarshalJSON gives an object.
func (m Map[T]) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	b.WriteByte('{')
	for i := range m {
		if i > 0 {
			b.WriteByte(',')
		}
		if err := enc.Encode(m[i].Name); err != nil {
			return nil, err
		}
		b.WriteByte(':')
		if err := enc.Encode(m[i].Value); err != nil {
			return nil, err
		}
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// Document is a whole description.
type Document struct {
	OpenAPI    string         `json:"openapi"`
	Info       Info           `json:"info"`
	Servers    []Server       `json:"servers,omitempty"`
	Tags       []Tag          `json:"tags,omitempty"`
	Paths      Map[*PathItem] `json:"paths"`
	Components Components     `json:"components"`
}

// Info is what a description says of the API as a whole.
type Info struct {
	Title       string `json:"title"`
	Summary     string `json:"summary,omitempty"`
	Description string `json:"description,omitempty"`
	Version     string `json:"version"`
}

// Server says where the API is.
type Server struct {
	URL string `json:"url"`
}

// Tag is a chapter of the description.
type Tag struct {
	Name        string `json:"name"`
	Description string `json:"description,omitempty"`
}

// PathItem has the operations of a path by method, in lower case.
type PathItem = Map[*Operation]

// Operation is what a method does on a path.
type Operation struct {
	ID          string         `json:"operationId"`
	Tags        []string       `json:"tags,omitempty"`
	Summary     string         `json:"summary"`
	Description string         `json:"description,omitempty"`
	Deprecated  bool           `json:"deprecated,omitempty"`
	Parameters  []*Parameter   `json:"parameters,omitempty"`
	Body        *Body          `json:"requestBody,omitempty"`
	Responses   Map[*Response] `json:"responses"`
	Codes       []string       `json:"x-codes,omitempty"` // the error codes that it can answer with
}

// Parameter is one of a path, a query or a header.
type Parameter struct {
	Ref         string  `json:"$ref,omitempty"`
	Name        string  `json:"name,omitempty"`
	In          string  `json:"in,omitempty"`
	Description string  `json:"description,omitempty"`
	Required    bool    `json:"required,omitempty"`
	Schema      *Schema `json:"schema,omitempty"`
}

// Body is the body of a request.
type Body struct {
	Description string          `json:"description,omitempty"`
	Required    bool            `json:"required,omitempty"`
	Content     Map[*MediaType] `json:"content"`
}

// Response is what comes back under one status.
type Response struct {
	Ref         string          `json:"$ref,omitempty"`
	Description string          `json:"description,omitempty"`
	Headers     Map[*Header]    `json:"headers,omitempty"`
	Content     Map[*MediaType] `json:"content,omitempty"`
	Status      int             `json:"-"` // of one that others refer to, for the page
}

// Header is one header of an answer.
type Header struct {
	Ref         string  `json:"$ref,omitempty"`
	Description string  `json:"description,omitempty"`
	Schema      *Schema `json:"schema,omitempty"`
}

// MediaType is a body in one format.
type MediaType struct {
	Schema  *Schema `json:"schema,omitempty"`
	Example any     `json:"example,omitempty"`
	Event   *Schema `json:"x-event,omitempty"` // of a stream: what the data of each event is
}

// Components are what is said once and meant in many places.
type Components struct {
	Schemas    Map[*Schema]    `json:"schemas,omitempty"`
	Responses  Map[*Response]  `json:"responses,omitempty"`
	Parameters Map[*Parameter] `json:"parameters,omitempty"`
	Headers    Map[*Header]    `json:"headers,omitempty"`
}
