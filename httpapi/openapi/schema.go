package openapi

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"
)

// Schema is a schema of JSON (draft 2020-12), as much of it as is used.
type Schema struct {
	Ref         string       `json:"$ref,omitempty"`
	Type        Types        `json:"type,omitempty"`
	Format      string       `json:"format,omitempty"`
	Description string       `json:"description,omitempty"`
	Enum        []any        `json:"enum,omitempty"`
	Default     any          `json:"default,omitempty"`
	Examples    []any        `json:"examples,omitempty"`
	Minimum     *int64       `json:"minimum,omitempty"`
	Maximum     *int64       `json:"maximum,omitempty"`
	MinLength   int          `json:"minLength,omitempty"` // in code points
	MaxLength   int          `json:"maxLength,omitempty"`
	Pattern     string       `json:"pattern,omitempty"`
	Items       *Schema      `json:"items,omitempty"`
	MinItems    int          `json:"minItems,omitempty"`
	MaxItems    int          `json:"maxItems,omitempty"`
	Properties  Map[*Schema] `json:"properties,omitempty"`
	Required    []string     `json:"required,omitempty"`
	Additional  any          `json:"additionalProperties,omitempty"` // false, or the schema of all others
	Deprecated  bool         `json:"deprecated,omitempty"`
	Absent      bool         `json:"-"` // of a word: the Go type has the field, the body may not
}

// Types is a type, or several of which a value has one.
type Types []string

// MarshalJSON gives one type as a string.
func (t Types) MarshalJSON() ([]byte, error) {
	if len(t) == 1 {
		return json.Marshal(t[0])
	}
	return json.Marshal([]string(t))
}

// Words say what a name means: a field of a body by TYPE.NAME or, where it means the same everywhere,
// by NAME. What a word says is laid over what the Go type of the field says.
type Words map[string]Schema

// Schemas makes schemas of Go types, as encoding/json sees them.
type Schemas struct {
	Words   Words
	Made    Map[*Schema]         // the named ones; others refer to them
	Missing []string             // the fields that no word is there for
	types   map[string]typeAndMe // by name, to find two types of one name
}

type typeAndMe struct {
	typ   reflect.Type
	patch bool
}

// Of returns the schema of a type.
func (s *Schemas) Of(t reflect.Type) *Schema {
	switch t {
	case reflect.TypeFor[time.Time]():
		return &Schema{Type: Types{"string"}, Format: "date-time"}
	case reflect.TypeFor[json.RawMessage]():
		return &Schema{}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return s.Of(t.Elem())
	case reflect.Bool:
		return &Schema{Type: Types{"boolean"}}
	case reflect.String:
		return &Schema{Type: Types{"string"}}
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return &Schema{Type: Types{"integer"}, Format: "uint64", Minimum: Int(0)}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return &Schema{Type: Types{"integer"}, Format: "int64"}
	case reflect.Float32, reflect.Float64:
		return &Schema{Type: Types{"number"}}
	case reflect.Slice, reflect.Array:
		return &Schema{Type: Types{"array"}, Items: s.Of(t.Elem())}
	case reflect.Map:
		return &Schema{Type: Types{"object"}, Additional: s.Of(t.Elem())}
	case reflect.Struct:
		return s.named(t, t.Name(), false)
	}
	return &Schema{} // an interface: anything
}

// Int is a limit that is there even if it is 0.
func Int(n int64) *int64 { return &n }

// Patch returns the schema of a JSON merge patch (RFC 7396) of a type, under a name of its own: no field must
// be there, and null takes away what can be left out of the whole.
func (s *Schemas) Patch(t reflect.Type, name string) *Schema { return s.named(t, name, true) }

// Part returns the schema of a type of which any field may be left out, under a name of its own.
func (s *Schemas) Part(t reflect.Type, name string) *Schema {
	ref := s.named(t, name, false)
	s.Made.Get(name).Required = nil
	return ref
}

func (s *Schemas) named(t reflect.Type, name string, patch bool) *Schema {
	ref := &Schema{Ref: "#/components/schemas/" + name}
	if s.types == nil {
		s.types = map[string]typeAndMe{}
	}
	me := typeAndMe{t, patch}
	if before, ok := s.types[name]; ok {
		if before != me {
			panic("two types are called " + name + " in the description: one needs another name")
		}
		return ref
	}
	s.types[name] = me
	made := &Schema{Type: Types{"object"}, Description: s.Words[name].Description}
	s.Made.Put(name, made) // before its fields, which may be of its own type
	s.fields(made, t, name, patch)
	return ref
}

// fields adds the fields of a struct, those of embedded ones among them.
func (s *Schemas) fields(to *Schema, t reflect.Type, owner string, patch bool) {
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Anonymous && name == "" {
			embedded := f.Type
			if embedded.Kind() == reflect.Pointer {
				embedded = embedded.Elem()
			}
			s.fields(to, embedded, owner, patch)
			continue
		}
		if name == "-" || !f.IsExported() {
			continue
		}
		if name == "" {
			name = f.Name
		}
		if s.Words[owner+"."+name].Absent {
			continue
		}
		optional := slices.Contains(strings.Split(options, ","), "omitempty") || slices.Contains(strings.Split(options, ","), "omitzero")
		field := s.field(f.Type, owner, name)
		if patch && optional || !patch && !optional && f.Type.Kind() == reflect.Pointer {
			field = nullable(field)
		}
		if !optional && !patch {
			to.Required = append(to.Required, name)
		}
		to.Properties.Put(name, field)
	}
}

// field is the schema of a field: its type's, with what the word for it says laid over it.
func (s *Schemas) field(t reflect.Type, owner, name string) *Schema {
	field := s.Of(t)
	word, ok := s.Words[owner+"."+name]
	if !ok {
		word, ok = s.Words[name]
	}
	if !ok {
		s.Missing = append(s.Missing, owner+"."+name)
		return field
	}
	if word.Type != nil && field.Type != nil && !slices.Equal(word.Type, field.Type) {
		s.Missing = append(s.Missing, owner+"."+name+" (the word for "+name+" means another type)")
	}
	return lay(&word, field)
}

// lay lays what a word says over the schema of a type.
func lay(word, under *Schema) *Schema {
	out := *word
	if out.Type == nil {
		out.Type = under.Type
	}
	if out.Format == "" && len(under.Type) > 0 && out.Type[0] == under.Type[0] && out.Pattern == "" && out.Enum == nil {
		out.Format = under.Format
	}
	if out.Ref == "" {
		out.Ref = under.Ref
	}
	if out.Ref != "" {
		out.Type, out.Format = nil, ""
	}
	if out.Minimum == nil {
		out.Minimum = under.Minimum
	}
	if under.Items != nil {
		items := *under.Items
		if out.Items != nil {
			items = *lay(out.Items, under.Items)
		}
		out.Items = &items
	}
	if out.Additional == nil {
		out.Additional = under.Additional
	}
	return &out
}

// nullable is a schema that null is valid against too.
func nullable(of *Schema) *Schema {
	out := *of
	if out.Type != nil {
		out.Type = append(slices.Clone(out.Type), "null")
	}
	if out.Enum != nil {
		out.Enum = append(slices.Clone(out.Enum), nil)
	}
	return &out
}

// Close refuses fields that are not described, in the schemas of these names and in what they refer to.
func (s *Schemas) Close(from *Schema) { s.close(from, map[string]bool{}) }

func (s *Schemas) close(at *Schema, seen map[string]bool) {
	if at == nil {
		return
	}
	if name, ok := strings.CutPrefix(at.Ref, "#/components/schemas/"); ok && !seen[name] {
		seen[name] = true
		s.close(s.Made.Get(name), seen)
	}
	if at.Properties != nil && at.Additional == nil {
		at.Additional = false
	}
	for _, p := range at.Properties {
		s.close(p.Value, seen)
	}
	s.close(at.Items, seen)
}

// Merge returns words with others laid over them.
func (w Words) Merge(over Words) Words {
	out := maps.Clone(w)
	maps.Copy(out, over)
	return out
}
