package httpapi

import (
	"strings"
	"testing"

	"todod/httpapi/api"
)

func TestBadBodies(t *testing.T) {
	w := newWorld(t)
	deep := strings.Repeat(`{"title":`, 100_000)
	for body, says := range map[string]string{
		`{}`:                  "title must not be empty",
		`{"title":""}`:        "title must not be empty",
		`{"title":"   "}`:     "title must not be blank",
		`{"title":"\u00a0"}`:  "title must not be blank",
		`{"title":"a\u0000"}`: "title must not contain control characters",
		`{"title":"a\nb"}`:    "title must not contain control characters",
		`{"title":"` + strings.Repeat("é", 1001) + `"}`: "title must be at most 1000",
		`{"title":null}`:                         "title must be a string",
		`{"title":7}`:                            "title must be a string",
		`{"title":["a"]}`:                        "title must be a string",
		`{"title":{"title":"a"}}`:                "title must be a string",
		`{"Title":"a"}`:                          `"Title" is not a known field`,
		`{"title":"a","colour":"red"}`:           `"colour" is not a known field`,
		`{"title":"a","id":7}`:                   `"id" is not a known field`,
		`{"title":"a","":1}`:                     `"" is not a known field`,
		`{"title":"a","title":"a"}`:              `"title" is given twice`,
		`{"title":"a","\u0074itle":"b"}`:         `"title" is given twice`,
		`{"title":"a","done":"true"}`:            "done must be true or false",
		`{"title":"a","done":1}`:                 "done must be true or false",
		`{"title":"a","done":truest}`:            "done must be true or false",
		`{"title":"a","date":"2018-02-29"}`:      "date must be a real date",
		`{"title":"a","date":"2018-2-9"}`:        "date must be",
		`{"title":"a","date":null}`:              "date must be a string",
		`{"title":"a","date":20181219}`:          "date must be a string",
		"{\"title\":\"\xff\"}":                   "must be valid UTF-8",
		"{\"title\":\"\xed\xa0\x80\"}":           "must be valid UTF-8",
		`{"title":"\ud800"}`:                     "must be valid UTF-8",
		`{"title":"\udc00\ud800"}`:               "must be valid UTF-8",
		`{"title":"\ud800\u0041"}`:               "must be valid UTF-8",
		`{"title":"\x41"}`:                       "must be JSON",
		`{"title":"\u00g0"}`:                     "must be JSON",
		"{\"title\":\"a\x01\"}":                  "must be JSON",
		`{"title":"a"`:                           "ends too early",
		`{"title":"a`:                            "ends too early",
		`{"title":"a\`:                           "must be JSON",
		`{"title"`:                               "ends too early",
		`{`:                                      "ends too early",
		`{"title":"a",}`:                         "must be JSON",
		`{"title":"a"}{"title":"b"}`:             "must be JSON",
		`{"title":"a"} x`:                        "must be JSON",
		`{title:"a"}`:                            "must be JSON",
		`{'title':'a'}`:                          "must be JSON",
		`["a"]`:                                  "body must be a JSON object",
		deep:                                     "title must be a string",
		`{"a":` + strings.Repeat("[", 1000_000):  `"a" is not a known field`,
		`{"` + strings.Repeat("x", 100) + `":1}`: "is not a known field",
	} {
		for _, to := range []string{"POST /v1/lists/bob/entries", "PUT /v1/lists/bob/entries/1"} {
			method, path, _ := strings.Cut(to, " ")
			w.do(method, path, body).problem(api.CodeInvalid, "not_applied", says)
		}
	}
	for _, body := range []string{"", " ", "null", "7", `"title"`, "\ufeff{}"} {
		w.do("POST", "/v1/lists/bob/entries", body, "Content-Type: application/json").problem(api.CodeInvalid, "not_applied", "body must be")
	}
	for body, says := range map[string]string{
		`{"title":null}`: "title must be a string", `{"title":""}`: "title must not be empty", `{"date":""}`: "", `{"done":"x"}`: "done must be",
		`{"rev":1}`: `"rev" is not a known field`, `[]`: "body must be a JSON object",
	} {
		if says != "" {
			w.do("PATCH", "/v1/lists/bob/entries/1", body).problem(api.CodeInvalid, "not_applied", says)
		}
	}
	if n := w.node.writes.Load(); n != 0 {
		t.Errorf("%d writes were applied", n)
	}
}

func TestBodiesThatAreNotJSONOrTooLarge(t *testing.T) {
	w := newWorld(t)
	const path, body = "/v1/lists/bob/entries", `{"title":"a"}`
	for _, kind := range []string{"text/plain", "application/x-www-form-urlencoded", "application/jsonp", "application/merge-patch+json",
		"application/json; charset=latin1", "application/json; charset", "", "*/*", "multipart/form-data; boundary=x"} {
		w.do("POST", path, body, "Content-Type: "+kind).problem(api.CodeMediaType, "not_applied", "application/json")
	}
	w.do("POST", path, body, "Content-Encoding: gzip").problem(api.CodeMediaType, "not_applied", "compressed")
	w.do("POST", path, `{"title":"`+strings.Repeat("a", maxBody)+`"}`).problem(api.CodeTooLarge, "not_applied", "1 MiB")
	w.do("POST", path, body+strings.Repeat(" ", maxBody-len(body))).want(201, "")
	w.do("POST", path, body+strings.Repeat(" ", maxBody-len(body)+1)).problem(api.CodeTooLarge, "not_applied")
}

func TestBadParameters(t *testing.T) {
	w := newWorld(t)
	w.add("bob", "a", "2018-12-19")
	before := w.node.writes.Load()
	const list = "/v1/lists/bob/entries?"
	for query, says := range map[string]string{
		"limit=0": "limit must be", "limit=-1": "limit must be", "limit=1001": "limit must be", "limit=99999999999999999999": "limit must be",
		"limit=": "limit must be", "limit=1e2": "limit must be", "limit=%2B1": "limit must be", "limit=010": "limit must be", "limit=ten": "limit must be",
		"limit=1&limit=1": "limit is given twice", "l%69mit=1&limit=1": "limit is given twice",
		"date=2018-02-29": "date must be a real date", "from=2018-13-01": "from must be", "to=yesterday": "to must be", "date=": "date must be", "date=0000-01-01": "date must be",
		"done=1": "done must be", "done=": "done must be", "done": "done must be",
		"colour=red": `"colour" is not a known parameter`, "Limit=1": `"Limit" is not a known parameter`, "=": `"" is not a known parameter`,
		"%zz=1": "not a known parameter", "limit=%zz": "limit has a %", "limit=1;done=true": "limit must be", "title=x": `"title" is not a known parameter`,
	} {
		w.do("GET", list+query, "").problem(api.CodeInvalid, "", says)
	}
	w.do("GET", list+"&&limit=1&", "").want(200, "")
	for _, path := range []string{"/v1/cluster", "/v1/registry", "/v1/hash", "/v1/registry/bob", "/v1/cluster/events"} {
		w.do("GET", path+"?consistency=stale", "").problem(api.CodeInvalid, "", "not a known parameter")
	}
	for _, path := range []string{"/v1/lists/bob/entries?title=a", "/v1/batch?x=1", "/v1/cluster/join?addr=x"} {
		w.do("POST", path, `{"title":"a"}`).problem(api.CodeInvalid, "not_applied", "not a known parameter")
	}
	for _, prefix := range []string{"%ff", "a%2Fb", "%00", strings.Repeat("a", 129)} {
		w.do("GET", "/v1/lists?prefix="+prefix, "").problem(api.CodeInvalid, "", "prefix")
	}
	for _, id := range []string{"0", "-1", "01", "+1", "1.0", "x", "18446744073709551616", "%31%30x"} {
		w.do("GET", "/v1/lists/bob/entries/"+id, "").problem(api.CodeInvalid, "", "id must be")
		w.do("DELETE", "/v1/lists/bob/entries/"+id, "").problem(api.CodeInvalid, "not_applied", "id must be")
	}
	w.do("GET", "/v1/lists/bob/entries/18446744073709551615", "").problem(api.CodeNotFound, "")
	if n := w.node.writes.Load() - before; n != 0 {
		t.Errorf("%d writes were applied", n)
	}
}

// A page of another site cannot use a visitor's browser against the node.
func TestCrossSiteWrites(t *testing.T) {
	w := newWorld(t)
	for _, h := range []string{"Sec-Fetch-Site: cross-site", "Sec-Fetch-Site: same-site", "Origin: https://evil.example", "Origin: null"} {
		w.do("POST", "/add_entry?list=bob&date=2018-12-19&title=a", "", h).line(403, "another site")
		w.do("POST", "/v1/lists/bob/entries", `{"title":"a"}`, h).problem(api.CodeForbidden, "not_applied")
		w.do("DELETE", "/v1/lists/bob", "", h).problem(api.CodeForbidden, "not_applied")
		w.do("POST", "/v1/cluster/transfer", `{}`, h).problem(api.CodeForbidden, "not_applied")
		w.do("POST", "/v1/nothing", `{}`, h).problem(api.CodeForbidden, "not_applied")
		w.do("GET", "/v1/lists", "", h).want(200, "")
	}
	if n := w.node.writes.Load(); n != 0 {
		t.Errorf("%d writes were applied", n)
	}
	w.do("POST", "/v1/lists/bob/entries", `{"title":"a"}`, "Sec-Fetch-Site: same-origin").want(201, "")
	w.do("POST", "/v1/lists/bob/entries", `{"title":"a"}`, "Sec-Fetch-Site: none").want(201, "")
	w.do("POST", "/v1/lists/bob/entries", `{"title":"a"}`, "Origin: http://"+w.addr).want(201, "")
}

func TestForeignHosts(t *testing.T) {
	w := newWorld(t)
	for _, host := range []string{"localhost", "LOCALHOST:5454", "127.0.0.1", "127.8.9.1:80", "[::1]:5454", "[::1]", "todo.example", "Todo.Example.:99", w.addr} {
		w.do("GET", "/v1/lists", "", "Host: "+host).want(200, "")
	}
	for _, host := range []string{"evil.example", "evil.example:5454", "127.0.0.1.evil.example", "192.168.1.1", "todo.example.evil", "localhost.evil", "[2001:db8::1]:80"} {
		w.do("GET", "/v1/lists", "", "Host: "+host).problem(api.CodeMisdirected, "")
		w.do("POST", "/v1/lists/bob/entries", `{"title":"a"}`, "Host: "+host).problem(api.CodeMisdirected, "not_applied")
		w.do("GET", "/entries?list=bob&date=2018-12-19", "", "Host: "+host).line(421, "Host")
		w.do("GET", "/nothing", "", "Host: "+host).line(421, "Host")
	}
}
