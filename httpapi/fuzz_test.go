package httpapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"todod/fsm/todo"
	"todod/httpapi/api"
)

// The hand-made JSON is what encoding/json makes of the same entries.
func TestEncodingEqualsTheLibrarys(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.String(), rapid.StringN(0, 20, -1), rapid.Custom(func(t *rapid.T) string {
			return string(rapid.SliceOf(rapid.Byte()).Draw(t, "bytes"))
		}), rapid.StringOf(rapid.SampledFrom([]rune("<>&\"\\\b\f\n\r\t\x00\x1f\x7f\u2028\u2029\ufffd é漢😀"))))
		list, next := text.Draw(t, "list"), text.Draw(t, "next")
		entries := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) todo.Entry {
			return todo.Entry{ID: rapid.Uint64().Draw(t, "id"), Title: text.Draw(t, "title"), Date: text.Draw(t, "date"), Done: rapid.Bool().Draw(t, "done"),
				More: moreDrawn(t), Rev: rapid.Uint64().Draw(t, "rev"), Created: rapid.Int64Range(0, 253402300799999).Draw(t, "created"), Updated: rapid.Int64Range(0, 253402300799999).Draw(t, "updated")}
		}), 0, 4).Draw(t, "entries")
		page := api.Entries{List: list, Rev: 7, Entries: []api.Entry{}, Next: next}
		for i := range entries {
			page.Entries = append(page.Entries, wireEntry(list, &entries[i]))
		}
		var want bytes.Buffer
		enc := json.NewEncoder(&want)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(page); err != nil {
			t.Fatal(err)
		}
		b := beginEntries(nil, list, 7)
		for i := range entries {
			b = appendNext(b, list, &entries[i])
		}
		if got := string(endEntries(b, next)) + "\n"; got != want.String() {
			t.Fatalf("got\n%s, want\n%s", got, want.String())
		}
	})
}

func moreDrawn(t *rapid.T) *todo.More {
	drawn := drawMore(t)
	m := moreOf(&drawn)
	m.Completed = rapid.Int64Range(0, 253402300799999).Draw(t, "completed")
	return m.Tidy()
}

// FuzzBody reads bodies of all shapes. What is taken must be JSON in valid UTF-8 and mean to
// encoding/json what it means here; and nothing panics.
func FuzzBody(f *testing.F) {
	for _, body := range []string{`{"title":"a","date":"2018-12-19","done":true}`, `{"title":"\ud83d\ude00\u0000\n","done":null,"date":null}`,
		`{"commands":[{"op":"patch","list":"bob","id":1,"title":"a","if_match":"\"7.1\""}]}`, `{"id":"n1","http":"a:1","raft":"b:1","folder":"f","group":"g"}`,
		`{"addr":"a:1"}`, `{"title":"a","tags":["b"],"priority":1,"parent":2,"repeat_from":"done","x":{"k":[true,{}]},"notes":"n"}`, `{"to":""}`, `{"title":"\ud800"}`, "{\"title\":\"\xff\"}", `{"title":"a","title":"b"}`, ` { "title" : "a" } `, `{}`, `[]`, `{"title":"a"}x`} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		same(t, body, scanNewEntry)
		same(t, body, scanBatch)
		same(t, body, scanJoin)
		same(t, body, scanJoinAddr)
		same(t, body, scanTransfer)
		same(t, body, scanPatch)
	})
}

// same compares what a scan makes of a body with what encoding/json does.
func same[T any](t *testing.T, body []byte, scan func(*scanner, *T) error) {
	t.Helper()
	s := scanner{data: body}
	var got, want T
	err := scan(&s, &got)
	if err == nil {
		err = s.end()
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	if err != nil {
		inv, ok := err.(*todo.Invalid)
		if !ok || inv.Field == "" || inv.Reason == "" || strings.ContainsAny(inv.Error(), "\n\x00") {
			t.Fatalf("refused %q with %q", body, err)
		}
		return
	}
	if !json.Valid(body) || !utf8.Valid(body) {
		t.Fatalf("took %q", body)
	}
	if err := dec.Decode(&want); err != nil {
		t.Fatalf("took %q, encoding/json says %v", body, err)
	}
	// In a patch null is as good as an empty value, and the strings of x are put into one spelling.
	if bytes.Contains(body, []byte("null")) || regexp.MustCompile(`"(x|\\u0078)"`).Match(body) {
		return
	}
	if !reflect.DeepEqual(normal(t, got), normal(t, want)) {
		t.Fatalf("%q is %+v, want %+v", body, got, want)
	}
}

// normal tells no nil slice from an empty one.
func normal(t rapid.TB, v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(string(b), `"commands":null`, `"commands":[]`)
}

func drawMore(t *rapid.T) api.More {
	text := rapid.OneOf(rapid.Just(""), rapid.String())
	m := api.More{Time: text.Draw(t, "time"), TZ: text.Draw(t, "tz"), Priority: rapid.Uint8Range(0, 9).Draw(t, "priority"),
		Tags: rapid.SliceOfN(text, 0, 3).Draw(t, "tags"), Notes: text.Draw(t, "notes"), Parent: rapid.Uint64().Draw(t, "parent"),
		Repeat: text.Draw(t, "repeat"), RepeatFrom: rapid.SampledFrom([]string{"", "due", "done"}).Draw(t, "from"),
		Remind: rapid.SliceOfN(text, 0, 3).Draw(t, "remind"), UID: text.Draw(t, "uid")}
	if rapid.Bool().Draw(t, "has x") {
		m.X = json.RawMessage(`{"a":[1,-2.5e3,{"b":null}],"c":"<d>"}`)
	}
	return m
}

// What a strict reader must take, this one takes: whatever encoding/json writes.
func TestWhatTheLibraryWritesIsRead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := api.NewEntry{Title: rapid.String().Draw(t, "title"), Date: rapid.String().Draw(t, "date"), Done: rapid.Bool().Draw(t, "done"), More: drawMore(t)}
		body, err := json.MarshalIndent(e, "\r\n", "\t ")
		if err != nil {
			t.Fatal(err)
		}
		s, got := scanner{data: body}, api.NewEntry{}
		if err := scanNewEntry(&s, &got); err != nil || normal(t, got) != normal(t, e) || s.end() != nil {
			t.Fatalf("%s: %+v, %v", body, got, err)
		}
	})
}

// FuzzQuery asks for entries and lists with any query: the answer is one of those named, and
// what is a plain query to net/url is the same query here.
func FuzzQuery(f *testing.F) {
	good := cursor{epoch: testEpoch, query: hashQuery("entries", "", "", "", ""), list: 1, id: 1}.String()
	for _, q := range []string{"", "date=2018-12-19&done=true", "from=2018-12-19&to=2018-12-20&limit=1", "cursor=" + good, "limit=1&cursor=" + good,
		"limit=0", "limit=1&limit=1", "a=b", "%zz", "cursor=%00", "consistency=stale", "prefix=a%2Fb", "list=bob&date=2018-12-19&title=x", "&&=&", "done=true;limit=2",
		"filter=due%3Ctoday%2B7%26%23home%26!done%7Cp1&limit=1", "filter=%28a", "overdue=true&due=%3C%3Dfriday&tz=Europe/Berlin&sort=due,-id", "q=a&tag=b&priority=%3C3&has=notes,date&parent=0",
		"sort=-title&fields=id,title&prefix=b", "tz=Local", "sort=due&cursor=AQcAAAAAAAAAAAAA"} {
		f.Add(q)
	}
	node := newTestNode(f)
	s := New(Config{Node: node})
	for _, date := range []string{"", "2018-12-19", "2018-12-20"} {
		r := httptest.NewRequest("POST", "/v1/lists/bob/entries", strings.NewReader(`{"title":"a","date":"`+date+`"}`))
		r.Header.Set("Content-Type", "application/json")
		s.ServeHTTP(httptest.NewRecorder(), r)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		for _, path := range []string{"/v1/lists/bob/entries", "/v1/entries", "/v1/lists", "/entries"} {
			r := httptest.NewRequest("GET", path, nil)
			r.URL.RawQuery = raw
			w := httptest.NewRecorder()
			s.ServeHTTP(w, r)
			if !slices.Contains([]int{200, 400, 410}, w.Code) {
				t.Fatalf("%s?%q: %d %s", path, raw, w.Code, w.Body)
			}
			if w.Code == 200 && path != "/entries" && !json.Valid(w.Body.Bytes()) {
				t.Fatalf("%s?%q: %s", path, raw, w.Body)
			}
		}
		q := query{known: entryParams}
		if values, err := url.ParseQuery(raw); q.add(raw, true) == nil && err == nil {
			for _, name := range entryParams {
				got, given := q.get(name)
				if got != values.Get(name) || given != values.Has(name) {
					t.Fatalf("%q: %s is %q, want %q", raw, name, got, values.Get(name))
				}
			}
		}
		if c, err := parseCursor(raw, 0); err == nil && c.String() != raw && len(raw) == len(c.String()) {
			t.Fatalf("%q has another spelling, %q", raw, c)
		}
	})
}

// FuzzConditional reads conditions: what is taken is made of tags in quotes, none of them
// AnyTag by accident, and our own tags come back as themselves.
func FuzzConditional(f *testing.F) {
	for _, h := range []string{"*", `"7.1"`, `W/"7.1"`, `"a","b"`, `"0.0"`, "", ",", `"`, `"7.1" , *`, `"7.1""7.2"`} {
		f.Add(h, uint64(7), uint64(1))
	}
	f.Fuzz(func(t *testing.T, value string, epoch, rev uint64) {
		c, err := conditions(http.Header{"If-Match": {value}, "If-None-Match": {value}})
		if (err == nil) != (c.Match != nil && c.NoneMatch != nil) {
			t.Fatalf("%q: %+v, %v", value, c, err)
		}
		for _, tags := range [][]todo.Tag{c.Match, c.NoneMatch} {
			if len(tags) > todo.MaxTags || slices.Contains(tags, todo.AnyTag) != (err == nil && trim(value) == "*") {
				t.Fatalf("%q: %v", value, tags)
			}
		}
		if err == nil && strings.Count(value, `"`) != 2*len(c.Match) && trim(value) != "*" {
			t.Fatalf("%q: %v", value, c.Match)
		}
		own := string(appendTag(nil, epoch, rev))
		tags, err := parseTags("If-Match", own, false)
		if want := (todo.Tag{Epoch: epoch, Rev: rev}); err != nil || tags[0] != want && epoch != 0 {
			t.Fatalf("%s: %v, %v", own, tags, err)
		}
		if weak, err := parseTags("If-None-Match", fmt.Sprintf("W/%s", own), true); err != nil || weak[0] != tags[0] {
			t.Fatalf("W/%s: %v, %v", own, weak, err)
		}
	})
}

// FuzzCursor reads cursors: one that is taken has one spelling, is of the query that was asked, and says what was put into it.
func FuzzCursor(f *testing.F) {
	f.Add("", uint64(0), uint64(0), uint64(0), "")
	f.Add(cursor{epoch: testEpoch, query: 7, id: 1, text: "2018-12-19"}.String(), uint64(7), uint64(1), uint64(1), "bob")
	f.Add("AQ", uint64(7), uint64(1)<<63, uint64(1)<<63, strings.Repeat("x", todo.MaxListName))
	f.Fuzz(func(t *testing.T, raw string, query, epoch, id uint64, text string) {
		if c, err := parseCursor(raw, query); err == nil && (c.query != query || c.epoch == 0 || len(c.text) > len(raw)) {
			t.Fatalf("%q: %+v", raw, c)
		}
		own := cursor{epoch: epoch, query: query, id: id, text: text}
		c, err := parseCursor(own.String(), query)
		if fits := epoch != 0 && len(text) <= maxCursorText; fits && (err != nil || c != own) {
			t.Fatalf("%+v became %+v, %v", own, c, err)
		}
		if _, err := parseCursor(own.String(), query+1); err == nil {
			t.Fatalf("%+v was taken for another query's", own)
		}
	})
}

// FuzzPatch sends merge patches: what comes of one that is taken is what RFC 7396 says, and one that is refused changes nothing.
func FuzzPatch(f *testing.F) {
	for _, body := range []string{`{}`, `{"title":"b"}`, `{"date":null,"done":null}`, `{"title":null}`, `{"done":true,"date":"2018-12-20"}`, `{"title":""}`,
		`{"id":2}`, `null`, `[]`, `{"title":{"a":null}}`, `{"done":"true"}`, `{"date":"2018-02-30"}`} {
		f.Add([]byte(body))
	}
	s := New(Config{Node: newTestNode(f)})
	send := func(method, path, body string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(method, path, strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		return w
	}
	entry := func(t *testing.T, w *httptest.ResponseRecorder) (e api.Entry) {
		if err := json.Unmarshal(w.Body.Bytes(), &e); err != nil {
			t.Fatalf("%v: %s", err, w.Body)
		}
		return e
	}
	const path = "/v1/lists/bob/entries/1"
	send("POST", "/v1/lists/bob/entries", `{"title":"a"}`)
	f.Fuzz(func(t *testing.T, body []byte) {
		before := entry(t, send("PUT", path, `{"title":"a","date":"2018-12-19","done":true}`))
		w := send("PATCH", path, string(body))
		if after := entry(t, send("GET", path, "")); w.Code != 200 {
			if w.Code != 400 || !reflect.DeepEqual(after, before) {
				t.Fatalf("%q: %d, and %+v became %+v", body, w.Code, before, after)
			}
			return
		}
		var patch map[string]any
		if err := json.Unmarshal(body, &patch); err != nil || patch == nil {
			t.Fatalf("took %q: %v", body, err)
		}
		want := before
		for name, value := range patch {
			switch name {
			case "title":
				want.Title = value.(string)
			case "date":
				want.Date, _ = value.(string)
			case "done":
				want.Done, _ = value.(bool)
			default:
				t.Fatalf("took %q", body)
			}
		}
		got := entry(t, w)
		if got.Title != want.Title || got.Date != want.Date || got.Done != want.Done || got.ID != want.ID || got.Created != want.Created {
			t.Fatalf("%q made %+v of %+v", body, got, before)
		}
	})
}

// FuzzSince reads where a stream or a sync is to go on: what is taken has one spelling, and our own ids and cursors
// are taken for what they are.
func FuzzSince(f *testing.F) {
	for _, text := range []string{"", "0", "7.42", "42", "07.1", "7.042", ".1", "1.", "7.18446744073709551616", "-1", "7.1.1", syncPoint{1, 2, 3}.cursor(testEpoch)} {
		f.Add(text, uint64(7), uint64(42), uint64(1))
	}
	f.Fuzz(func(t *testing.T, text string, epoch, rev, id uint64) {
		switch e, r, err := parseSince("since", text); {
		case err != nil && (e != 0 || r != 0):
			t.Fatalf("%q is refused, and %d.%d", text, e, r)
		case err == nil && e == 0 && strconv.FormatUint(r, 10) != text, err == nil && e != 0 && fmt.Sprintf("%d.%d", e, r) != text:
			t.Fatalf("%q is taken for %d.%d", text, e, r)
		}
		if p, e, err := parseSync(text); err == nil && p.cursor(e) != text {
			t.Fatalf("%q is taken for %+v of %d", text, p, e)
		}
		if epoch == 0 {
			return
		}
		own := strings.TrimPrefix(string(appendEventID(nil, epoch, rev)), "id: ")
		if e, r, err := parseSince("since", own); err != nil || e != epoch || r != rev {
			t.Fatalf("%q is taken for %d.%d, %v", own, e, r, err)
		}
		mine := syncPoint{num: id, rev: rev, id: id}
		if p, e, err := parseSync(mine.cursor(epoch)); err != nil || p != mine || e != epoch {
			t.Fatalf("%+v became %+v of %d, %v", mine, p, e, err)
		}
	})
}
