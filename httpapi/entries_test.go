package httpapi

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"

	"todod/httpapi/api"
)

const entryOne = `{"list":"bob","id":1,"title":"Dentist","date":"2018-12-19","done":false,"rev":1,"created":"2018-12-19T11:00:00.002Z","updated":"2018-12-19T11:00:00.002Z","due":"2018-12-19"}`

func TestTheLifeOfAnEntry(t *testing.T) {
	w := newWorld(t)
	const path = "/v1/lists/bob/entries/1"
	w.do("POST", "/v1/lists/bob/entries", `{"title":"Dentist","date":"2018-12-19"}`).want(201, entryOne).
		has("Location", path).has("ETag", `"7.1"`).has("Todod-Index", "1").has("Content-Type", "application/json")
	w.do("GET", path, "").want(200, entryOne).
		has("ETag", `"7.1"`).has("Todod-Index", "1").has("Todod-Consistency", "linearizable").lacks("Todod-Last-Contact")
	w.do("HEAD", path, "").want(200, "").has("ETag", `"7.1"`).has("Content-Type", "application/json")

	var e api.Entry
	w.do("PATCH", path, `{"done":true}`).want(200, "").has("ETag", `"7.2"`).has("Todod-Index", "2").has("Todod-Rev", "2").decode(&e)
	if !e.Done || e.Title != "Dentist" || e.Date != "2018-12-19" || e.Rev != 2 || !e.Updated.After(e.Created) {
		t.Errorf("after PATCH: %+v", e)
	}
	w.do("PATCH", path, `{"done":true}`).want(200, "").has("ETag", `"7.2"`).has("Todod-Index", "2").lacks("Todod-Rev") // changes nothing
	w.do("PATCH", path, `{}`).want(200, "").has("ETag", `"7.2"`)

	e = api.Entry{}
	w.do("PATCH", path, `{"date":null,"title":"Dr. <Müller> \ud83d\ude00","done":null}`, "Content-Type: application/merge-patch+json; charset=UTF-8").want(200, "").decode(&e)
	if e.Date != "" || e.Title != "Dr. <Müller> 😀" || e.Done || e.Rev != 3 {
		t.Errorf("after a patch that takes away: %+v", e)
	}
	e = api.Entry{}
	w.do("PUT", path, `{"title":"Dentist"}`, "Content-Type: application/json; charset=utf-8").want(200, "").has("ETag", `"7.4"`).decode(&e)
	if e.Title != "Dentist" || e.Date != "" || e.Done || e.Rev != 4 {
		t.Errorf("after PUT: %+v", e)
	}

	w.do("DELETE", path, "").want(204, "").has("Todod-Index", "5").has("Todod-Rev", "5")
	w.do("GET", path, "").problem(api.CodeNotFound, "")
	for _, method := range []string{"PUT", "PATCH", "DELETE"} {
		w.do(method, path, `{"title":"x"}`).problem(api.CodeNotFound, "not_applied").has("Todod-Index", "5").lacks("Todod-Rev")
	}
	w.add("bob", "again", "").has("Location", "/v1/lists/bob/entries/2") // an id is never used again
}

func TestTheLifeOfAList(t *testing.T) {
	w := newWorld(t)
	w.do("GET", "/v1/lists/bob/entries", "").want(200, `{"list":"bob","rev":0,"entries":[]}`)
	w.do("GET", "/v1/lists/bob", "").problem(api.CodeNotFound, "")
	w.do("DELETE", "/v1/lists/bob", "").problem(api.CodeNotFound, "not_applied")
	w.do("GET", "/v1/lists", "").want(200, `{"lists":[]}`)
	w.add("bob", "a", "")
	w.add("bob", "b", "")
	w.do("PATCH", "/v1/lists/bob/entries/1", `{"done":true}`)
	w.do("GET", "/v1/lists/bob", "").want(200, `{"name":"bob","entries":2,"open":1,"rev":3}`).has("ETag", `"7.3"`)
	w.do("DELETE", "/v1/lists/bob", "").want(204, "").has("Todod-Index", "4")
	w.do("GET", "/v1/lists/bob", "").problem(api.CodeNotFound, "")
	w.do("GET", "/v1/lists/bob/entries", "").want(200, `{"list":"bob","rev":0,"entries":[]}`)
	w.add("bob", "c", "").has("Location", "/v1/lists/bob/entries/3")
}

// A name needs escaping in a path; %2F is a slash in the name, which no name has.
func TestNamesOfListsInPaths(t *testing.T) {
	w := newWorld(t)
	for _, name := range []string{"bob's list", "50%", "a?b#c", "日本", "a;b", "x+y", "....", "entries", `"<>"`} {
		w.add(url.PathEscape(name), "a", "").has("Location", "/v1/lists/"+url.PathEscape(name)+"/entries/1")
		var page api.Entries
		w.do("GET", "/v1/lists/"+url.PathEscape(name)+"/entries", "").want(200, "").decode(&page)
		if page.List != name || len(page.Entries) != 1 || page.Entries[0].List != name {
			t.Errorf("%q: %+v", name, page)
		}
	}
	before := w.node.writes.Load()
	for path, says := range map[string]string{
		"/v1/lists/a%2Fb/entries": "must not contain /", "/v1/lists/%2F/entries": "must not contain /",
		"/v1/lists/..%2Fescaped/entries": "must not contain /", "/v1/lists/../entries": "must not be . or ..",
		"/v1/lists/%2E%2e/entries": "must not be . or ..", "/v1/lists/./entries": "must not be . or ..",
		"/v1/lists/%ff/entries": "valid UTF-8", "/v1/lists/a%00b/entries": "control characters",
		"/v1/lists//entries": "must not be empty", "/v1/lists/%20/entries": "begin or end with a space",
		"/v1/lists/" + strings.Repeat("a", 129) + "/entries":     "at most 128 bytes",
		"/v1/lists/" + strings.Repeat("a", 60_000) + "/entries":  "at most 128 bytes",
		"/v1/lists/" + strings.Repeat("%C3%AB", 65) + "/entries": "at most 128 bytes",
	} {
		w.do("GET", path, "").problem(api.CodeInvalid, "", "list", says)
		w.do("POST", path, `{"title":"a"}`).problem(api.CodeInvalid, "not_applied", "list", says)
		w.do("DELETE", path+"/1", "").problem(api.CodeInvalid, "not_applied", "list", says)
	}
	for _, path := range []string{"/v1/lists/a/b/entries", "/v1/lists/bob/entries/", "/v1//lists", "/v1/lists/bob/entries/1/2", "/v1/lists/", "/v1/lists/bob/..", "/v1", "/v1/"} {
		w.do("POST", path, `{"title":"a"}`).problem(api.CodeNotFound, "not_applied").lacks("Location")
	}
	if n := w.node.writes.Load() - before; n != 0 {
		t.Errorf("%d writes were applied", n)
	}
}

func TestConditions(t *testing.T) {
	w := newWorld(t)
	const list, entry = "/v1/lists/bob/entries", "/v1/lists/bob/entries/1"
	w.do("GET", list, "", `If-None-Match: *`).want(200, "").has("ETag", `"7.0"`)
	w.do("GET", list, "", `If-None-Match: "7.0"`).want(304, "")
	w.do("GET", list, "", `If-Match: *`).problem(api.CodePrecondition, "")
	w.do("POST", list, `{"title":"a"}`, "If-Match: *").problem(api.CodePrecondition, "not_applied").has("Todod-Index", "0")
	w.do("POST", list, `{"title":"a"}`, "If-None-Match: *").want(201, "").has("ETag", `"7.1"`)
	w.do("POST", list, `{"title":"a"}`, "If-None-Match: *").problem(api.CodePrecondition, "not_applied")
	w.do("POST", list, `{"title":"a"}`, `If-Match: "7.1"`).want(201, "")

	for _, path := range []string{list, "/v1/lists/bob"} {
		w.do("GET", path, "", `If-None-Match: "7.2"`).want(304, "").has("ETag", `"7.2"`).has("Todod-Index", "2")
	}
	w.do("GET", entry, "", `If-None-Match: "x", W/"7.1"`).want(304, "").has("ETag", `"7.1"`)
	w.do("GET", entry, "", `If-None-Match: *`).want(304, "")
	w.do("GET", entry, "", `If-None-Match: "8.1"`).want(200, "")
	w.do("GET", entry, "", `If-Match: "7.1"`, `If-None-Match: "7.9"`).want(200, "")
	w.do("GET", entry, "", `If-Match: "7.2"`).problem(api.CodePrecondition, "")
	w.do("GET", "/v1/lists/bob/entries/99", "", `If-None-Match: *`).problem(api.CodeNotFound, "")

	for _, tag := range []string{`"7.2"`, `W/"7.1"`, `"8.1"`, `"0.0"`, `"0.1"`, `"7.01"`, `"mine"`, `""`, `"7.2","7.3"`} {
		w.do("PATCH", entry, `{"title":"b"}`, "If-Match: "+tag).problem(api.CodePrecondition, "not_applied")
		w.do("PUT", entry, `{"title":"b"}`, "If-Match: "+tag).problem(api.CodePrecondition, "not_applied")
		w.do("DELETE", entry, "", "If-Match: "+tag).problem(api.CodePrecondition, "not_applied")
	}
	w.do("PATCH", entry, `{"title":"b"}`, `If-None-Match: "7.1"`).problem(api.CodePrecondition, "not_applied")
	w.do("PATCH", entry, `{"title":"b"}`, `If-Match: "7.9"`, `If-Match: "7.1"`).want(200, "").has("ETag", `"7.3"`)
	w.do("DELETE", "/v1/lists/bob", "", `If-Match: "7.2"`).problem(api.CodePrecondition, "not_applied")

	for _, bad := range []string{"", "7.1", `"7.1`, `"a" "b"`, `*, "7.1"`, `w/"7.1"`, `"a b"`, ",", strings.Repeat(`"7.1",`, 33) + `"7.1"`} {
		for _, name := range []string{"If-Match", "If-None-Match"} {
			w.do("DELETE", entry, "", name+": "+bad).problem(api.CodeInvalid, "not_applied", name)
			w.do("GET", entry, "", name+": "+bad).problem(api.CodeInvalid, "", name)
		}
	}
	w.do("DELETE", entry, "", `If-Match: , "7.3" ,`).want(204, "")
}

// pages follows next until there is none and returns the ids of all entries.
func (w *world) pages(path string) (ids []uint64) {
	w.t.Helper()
	for cursor := ""; ; {
		var page api.Entries
		w.do("GET", path+cursor, "").want(200, "").decode(&page)
		for _, e := range page.Entries {
			ids = append(ids, e.ID)
		}
		if page.Next == "" {
			return ids
		}
		cursor = "&cursor=" + page.Next
	}
}

func TestFiltersAndPages(t *testing.T) {
	w := newWorld(t)
	for i, date := range []string{"2018-12-21", "", "2018-12-19", "2018-12-20", "2018-12-19", "", "2018-12-22"} {
		w.add("bob", fmt.Sprint("entry ", i+1), date)
	}
	w.do("PATCH", "/v1/lists/bob/entries/3", `{"done":true}`)
	w.do("PATCH", "/v1/lists/bob/entries/6", `{"done":true}`)
	for query, want := range map[string][]uint64{
		"":                              {1, 2, 3, 4, 5, 6, 7},
		"date=2018-12-19":               {3, 5},
		"date=2018-12-19&done=false":    {5},
		"done=true":                     {3, 6},
		"from=2018-12-20":               {4, 1, 7},
		"to=2018-12-20":                 {3, 5, 4},
		"from=2018-12-20&to=2018-12-21": {4, 1},
		"from=2018-12-22&to=2018-12-19": nil,
		"date=2018-12-19&to=2018-12-18": nil,
	} {
		for _, limit := range []string{"limit=1", "limit=2", "limit=3", "limit=1000"} {
			if got := w.pages("/v1/lists/bob/entries?" + limit + "&" + query); !reflect.DeepEqual(got, want) {
				t.Errorf("%q %s: %v, want %v", query, limit, got, want)
			}
		}
	}
}

func TestListsComeInPages(t *testing.T) {
	w := newWorld(t)
	for _, name := range []string{"b", "a", "ab", "a%20c", "%C3%A9"} {
		w.add(name, "x", "")
	}
	w.do("DELETE", "/v1/lists/b", "").want(204, "")
	var names []string
	for cursor, pages := "", 0; ; pages++ {
		var page api.Lists
		w.do("GET", "/v1/lists?limit=1"+cursor, "").want(200, "").decode(&page)
		names = append(names, page.Lists[0].Name)
		if cursor = "&cursor=" + page.Next; page.Next == "" {
			break
		}
	}
	if want := []string{"a", "a c", "ab", "é"}; !reflect.DeepEqual(names, want) {
		t.Errorf("%q, want %q", names, want)
	}
	w.do("GET", "/v1/lists?prefix=a%20", "").want(200, `{"lists":[{"name":"a c","entries":1,"open":1,"rev":4}]}`)
}

func TestCursors(t *testing.T) {
	w := newWorld(t)
	for range 3 {
		w.add("bob", "x", "2018-12-19")
		w.add("eve", "x", "2018-12-19")
	}
	var page api.Entries
	w.do("GET", "/v1/lists/bob/entries?limit=1", "").want(200, "").decode(&page)
	next := page.Next
	w.do("GET", "/v1/lists/bob/entries?limit=2&consistency=stale&cursor="+next, "").want(200, "")
	w.do("GET", "/v1/lists/eve/entries?cursor="+next, "").problem(api.CodeGone, "", "of another list")
	for _, other := range []string{"/v1/lists/bob/entries?date=2018-12-19&", "/v1/lists/bob/entries?done=false&", "/v1/lists?"} {
		w.do("GET", other+"cursor="+next, "").problem(api.CodeInvalid, "", "cursor")
	}
	w.do("GET", "/v1/lists/bob/entries?limit=1&cursor=", "").want(200, "")
	for _, bad := range []string{"x", next[1:], next[:4], next + "A", strings.Repeat("A", 5000), "%2B%2B", "AQ"} {
		w.do("GET", "/v1/lists/bob/entries?cursor="+bad, "").problem(api.CodeInvalid, "", "cursor")
	}
	hash := hashQuery("entries", "", "", "", "")
	for _, epoch := range []uint64{testEpoch - 1, testEpoch + 1} {
		old := cursor{epoch: epoch, query: hash, list: 1, id: 1}.String()
		w.do("GET", "/v1/lists/bob/entries?cursor="+old, "").problem(api.CodeGone, "")
		old = cursor{epoch: epoch, query: hashQuery("lists", ""), text: "bob"}.String()
		w.do("GET", "/v1/lists?cursor="+old, "").problem(api.CodeGone, "")
	}
	last := cursor{epoch: testEpoch, query: hash, list: 1, id: ^uint64(0) - 1}.String()
	w.do("GET", "/v1/lists/bob/entries?cursor="+last, "").want(200, `{"list":"bob","rev":5,"entries":[]}`)
}

func TestIdempotencyKeys(t *testing.T) {
	w := newWorld(t)
	const list, key = "/v1/lists/bob/entries", "Idempotency-Key: 0123456789abcdef"
	first := w.do("POST", list, `{"title":"Dentist","date":"2018-12-19"}`, key).want(201, entryOne).lacks("Idempotency-Replayed")
	w.add("bob", "other", "")
	again := w.do("POST", list, `{ "date":"2018-12-19", "title" : "Dentist" } `, key).want(201, entryOne).
		has("Idempotency-Replayed", "true").has("ETag", `"7.1"`).has("Todod-Index", "1")
	if first.body != again.body || again.header.Get("Location") != first.header.Get("Location") {
		t.Errorf("replay %q %v", again.body, again.header)
	}
	w.do("POST", list, `{"title":"Doctor","date":"2018-12-19"}`, key).problem(api.CodeKeyReused, "not_applied").lacks("Idempotency-Replayed")
	w.do("POST", "/add_entry?list=bob&date=2018-12-19&title=x", "", key).line(422, "idempotency key")
	w.do("GET", list, "").want(200, "").has("Todod-Index", "2")

	other := "Idempotency-Key: " + strings.Repeat("~", 128)
	w.do("DELETE", list+"/9", "", other).problem(api.CodeNotFound, "not_applied")
	w.do("DELETE", list+"/9", "", other).problem(api.CodeNotFound, "not_applied").has("Idempotency-Replayed", "true")

	for _, bad := range []string{"", "short", strings.Repeat("x", 129), "0123456789 abcdef", "0123456789abcdé!!!"} {
		w.do("POST", list, `{"title":"a"}`, "Idempotency-Key: "+bad).problem(api.CodeInvalid, "not_applied", "Idempotency-Key")
	}
	w.do("POST", list, `{"title":"a"}`, key, key).problem(api.CodeInvalid, "not_applied", "Idempotency-Key")
}

// What is too large to be kept with a key is answered again without its body.
func TestAReplayWithoutItsBody(t *testing.T) {
	w := newWorld(t)
	w.add("bob", "x", "")
	key := "Idempotency-Key: 0123456789abcde"
	long := `{"title":"` + strings.Repeat("漢", 1000) + `"}`
	var cmds []string
	for range 10 {
		cmds = append(cmds, `{"op":"add","list":"bob","title":"`+strings.Repeat("a", 500)+`"}`)
	}
	batch := `{"commands":[` + strings.Join(cmds, ",") + `]}`
	put := `{"title":"` + strings.Repeat("\U0001F600", 1000) + `"}`

	w.do("POST", "/v1/lists/bob/entries", long, key+"1").want(201, "")
	if a := w.do("POST", "/v1/lists/bob/entries", long, key+"1").want(201, ""); !strings.Contains(a.body, "漢漢") {
		t.Error("an add can be made again from its request") // however long
	}
	first := w.do("POST", "/v1/batch", batch, key+"2").want(200, "")
	again := w.do("POST", "/v1/batch", batch, key+"2").want(200, "").has("Idempotency-Replayed", "true").has("Todod-Index", first.header.Get("Todod-Index"))
	if again.body != "" {
		t.Errorf("batch replayed with %q", again.body)
	}
	w.do("PUT", "/v1/lists/bob/entries/1", put, key+"3").want(200, "").has("ETag", `"7.4"`)
	if a := w.do("PUT", "/v1/lists/bob/entries/1", put, key+"3").want(200, "").has("ETag", `"7.4"`); !strings.Contains(a.body, "\U0001F600") {
		t.Error("one entry is below what is kept") // however long
	}
}

func TestBatches(t *testing.T) {
	w := newWorld(t)
	w.add("bob", "a", "2018-12-19")
	var got api.BatchResult
	w.do("POST", "/v1/batch", `{"commands":[
		{"op":"add","list":"eve","title":"b","date":"2018-12-20"},
		{"op":"patch","list":"bob","id":1,"date":"","done":true,"if_match":"\"7.1\""},
		{"op":"put","list":"eve","id":1,"title":"c"},
		{"op":"add","list":"bob","title":"d","done":true},
		{"op":"delete","list":"bob","id":2},
		{"op":"delete_list","list":"eve"}]}`).want(200, "").has("Todod-Index", "2").decode(&got)
	text, err := json.Marshal(got.Results[1])
	if err != nil {
		t.Fatal(err)
	}
	want := `{"op":"patch","list":"bob","id":1,"entry":{"list":"bob","id":1,"title":"a","done":true,"rev":2,"created":"2018-12-19T11:00:00.002Z","updated":"2018-12-19T11:00:00.003Z","completed":"2018-12-19T11:00:00.003Z"}}`
	if got.Rev != 2 || len(got.Results) != 6 || string(text) != want {
		t.Errorf("rev %d, %d results\n%s, want\n%s", got.Rev, len(got.Results), text, want)
	}
	if d := got.Results[4]; d.Op != "delete" || d.ID != 2 || d.Entry != nil {
		t.Errorf("delete: %+v", d)
	}
	w.do("POST", "/v1/batch", `{"commands":[{"op":"add","list":"new","title":"x"},{"op":"delete","list":"bob","id":9}]}`).
		problem(api.CodeNotFound, "not_applied", "commands[1]").has("Todod-Index", "2")
	w.do("POST", "/v1/batch", `{"commands":[{"op":"delete","list":"bob","id":1,"if_match":"\"7.1\""}]}`).problem(api.CodePrecondition, "not_applied", "commands[0]")
	w.do("GET", "/v1/lists/new", "").problem(api.CodeNotFound, "")

	thousand := strings.Repeat(`{"op":"add","list":"many","title":"x"},`, 1000)
	w.do("POST", "/v1/batch", `{"commands":[`+thousand+`{"op":"add","list":"many","title":"x"}]}`).problem(api.CodeInvalid, "not_applied", "at most 1000")
	w.do("POST", "/v1/batch", `{"commands":[`+strings.TrimSuffix(thousand, ",")+`]}`).want(200, "")
	for body, says := range map[string]string{
		`{"commands":[]}`:                       "commands must not be empty",
		`{}`:                                    "commands must not be empty",
		`{"commands":{}}`:                       "commands must be a JSON array",
		`{"commands":[7]}`:                      "commands[0] must be a JSON object",
		`{"commands":[{"op":"jump"}]}`:          "commands[0].op must be",
		`{"commands":[{}]}`:                     "commands[0].op must be",
		`{"commands":[{"op":"add","titel":1}]}`: `commands[0]."titel" is not a known field`,
		`{"commands":[{"op":"add","list":"bob","title":"a"},{"op":"add","list":"a/b","title":"a"}]}`: "commands[1].list must not contain /",
		`{"commands":[{"op":"add","list":"bob"}]}`:                                                   "commands[0].title must not be empty",
		`{"commands":[{"op":"add","list":"bob","id":3,"title":"a"}]}`:                                "commands[0].id must not be given",
		`{"commands":[{"op":"put","list":"bob","title":"a"}]}`:                                       "commands[0].id is missing",
		`{"commands":[{"op":"patch","list":"bob","id":1,"title":null}]}`:                             "commands[0].title must be a string",
		`{"commands":[{"op":"patch","list":"bob","id":1.0}]}`:                                        "commands[0].id must be a whole number",
		`{"commands":[{"op":"delete","list":"bob","id":-1}]}`:                                        "commands[0].id must be a whole number",
		`{"commands":[{"op":"delete","list":"bob","id":1,"done":true}]}`:                             "delete takes no fields",
		`{"commands":[{"op":"delete","list":"bob","id":1,"if_match":"7.1"}]}`:                        "commands[0].if_match must be",
	} {
		w.do("POST", "/v1/batch", body).problem(api.CodeInvalid, "not_applied", says)
	}
	w.do("POST", "/v1/batch", `{"commands":[{"op":"delete","list":"bob","id":1}]}`, "If-Match: *").problem(api.CodeInvalid, "not_applied", "If-Match")
}

func TestMethodsAreNamed(t *testing.T) {
	w := newWorld(t)
	for path, allow := range map[string]string{
		"/v1/lists": "GET, HEAD", "/v1/lists/bob": "DELETE, GET, HEAD, PATCH", "/v1/lists/bob/entries": "GET, HEAD, POST",
		"/v1/lists/bob/entries/1": "DELETE, GET, HEAD, PATCH, PUT", "/v1/batch": "POST", "/v1/cluster/members/n1": "DELETE",
	} {
		for _, method := range []string{"BREW", http.MethodOptions, http.MethodTrace} {
			w.do(method, path, "").problem(api.CodeMethod, "not_applied").has("Allow", allow)
		}
	}
	w.do("GET", "/v1/batch", "").problem(api.CodeMethod, "").has("Allow", "POST")
}
