package format

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestJSONLosesNothing(t *testing.T) {
	roundTrip(t, Find(JSON), func(e *Entry) { e.Above = "" })
}

// Any program reads an export, and what another program made of it is read again.
func TestJSONIsOneDocument(t *testing.T) {
	entries := []*Entry{{}, {}}
	for i, e := range entries {
		e.ID, e.Title = uint64(i+1), "a"
	}
	file := encode(t, Find(JSON), entries)
	var doc map[string]any
	if err := json.Unmarshal([]byte(file), &doc); err != nil {
		t.Fatal(err)
	}
	if len(doc["entries"].([]any)) != 2 || doc["list"] != "bob" || doc["version"] != 1.0 {
		t.Errorf("%v", doc)
	}
	if lines := strings.Split(file, "\n"); len(lines) != 5 {
		t.Errorf("one line for each entry, and one before and after: %q", lines)
	}
	bare := "\ufeff [ {\"title\" : \"a\"} ,\r\n\r\n\t{\"title\":\"\\ud83d\\ude00\", \"x\" : { \"b\": [ ] } } ] \n"
	got, faults := decode(t, Find(JSON), bare)
	if len(faults) > 0 || len(got) != 2 || got[1].Title != "😀" || got[1].Line != 3 || string(got[1].X) != `{"b":[]}` {
		t.Errorf("%+v %v", got, faults)
	}
}

func TestJSONRefuses(t *testing.T) {
	head := `{"format":"todod","version":1,"entries":[` + "\n"
	checkRefusals(t, Find(JSON), []refusal{
		{"nothing", "", 0, "line 1: must be JSON: it ends too early"},
		{"text", "hello", 0, "line 1: the file must be JSON: an object with entries, or an array of them"},
		{"a later version", `{"format":"todod","version":2,"entries":[]}`, 0, `line 1: version "2" of the format is not known to this program, which reads version 1`},
		{"another format", `{"format":"other","version":1,"entries":[]}`, 0, `line 1: the format must be "todod"`},
		{"no version", `{"entries":[]}`, 0, "line 1: the format and its version must stand before the entries"},
		{"a doubled name before the entries", `{"format":"todod","format":"todod","entries":[]}`, 0, `line 1: "format" is given twice`},
		{"a doubled name", head + `{"title":"a","title":"b"},{"title":"c"}]}`, 1, `line 2: "title" is given twice`},
		{"a doubled name deep within", head + `{"title":"a","x":{"b":[{"c":1,"c":2}]}},{"title":"c"}]}`, 1, `line 2: "c" is given twice`},
		{"a name in another case", head + `{"Title":"a"}]}`, 0, `line 2: "Title" is not a known field`},
		{"a number for a text", head + "{\"title\":\"a\"},\n{\"title\":1}]}", 1, "line 3: title must be a string"},
		{"a fraction for an id", head + `{"id":1.5}]}`, 0, "line 2: id must be a whole number"},
		{"a priority out of range", head + `{"priority":300}]}`, 0, "line 2: priority must be a whole number from 0 to 9"},
		{"x that is no object", head + `{"x":[1]}]}`, 0, "line 2: x must be an object"},
		{"an entry that is no object", head + `7,{"title":"a"}]}`, 1, "line 2: an entry must be a JSON object"},
		{"cut in an entry", head + `{"title":"a"},{"tit`, 1, "line 2: must be JSON: it ends too early"},
		{"cut between entries", head + `{"title":"a"}` + "\n", 1, "line 3: must be JSON: it ends too early"},
		{"cut at the end", head + `{"title":"a"}]`, 1, "line 2: must be JSON: it ends too early"},
		{"no comma", head + `{"title":"a"} {"title":"b"}]}`, 1, `line 2: must be JSON: '{' does not belong after an entry`},
		{"a comma too many", head + `{"title":"a"},]}`, 1, `line 2: must be JSON: ']' stands where a value belongs`},
		{"something after it", head + `]} x`, 0, `line 2: must be JSON: 'x' does not belong after the end`},
		{"half a surrogate pair", head + `{"title":"\ud800\u0041"},{"title":"\\ud800"}]}`, 1, "line 2: must be valid UTF-8: half a surrogate pair is none"},
		{"no UTF-8", head + "{\"title\":\"\xff\"},{\"title\":\"a\"}]}", 1, "line 2: must be valid UTF-8"},
		{"a NUL", head + "{\"title\":\"a\x00\"}]}", 0, "line 2: must be JSON: it has a NUL character"},
		{"10,000 deep", head + `{"x":` + strings.Repeat("[", 10000) + strings.Repeat("]", 10000) + `}]}`, 0, "line 2: it is nested deeper than 64"},
		{"1 MB in one string", head + `{"title":"` + strings.Repeat("a", 1<<20) + `"},{"title":"a"}]}`, 1, "line 2: it is longer than 524288 bytes"},
		{"1 MB of white space", head + strings.Repeat(" ", 1<<20) + `{"title":7}]}`, 0, "line 2: title must be a string"},
	})
}

func FuzzJSON(f *testing.F) {
	fuzz(f, Find(JSON), `[{"title":"a"}]`, `{"format":"todod","version":1,"entries":[{"title":"a"},{"x":{"a":"\ud83d\ude00"}}]}`, `[{"a":[}]`, `[1,"a\"]",{}]`)
}
