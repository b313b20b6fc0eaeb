package httpapi

import (
	"strings"
	"testing"

	"todod/httpapi/api"
	"todod/server"
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

func TestBadChoices(t *testing.T) {
	w := newWorld(t)
	w.add("bob", "a", "2018-12-19")
	deep := func(open, shut string, n int) string { return strings.Repeat(open, n) + "a" + strings.Repeat(shut, n) }
	for query, says := range map[string]string{
		"filter=":                                      "filter, column 1: there is nothing to look for",
		"filter=due%3Ctody":                            `filter, column 5: a day like 2026-11-28, today, friday or today+7 must come here, not "tody"`,
		"filter=%28done":                               "filter, column 1: this ( is never closed",
		"filter=a%00":                                  "filter, column 2: it must not contain control characters",
		"filter=%ff":                                   "filter, column 1: it must be valid UTF-8",
		"filter=a%1b%5B2J":                             "filter, column 2",
		"filter=due%3C%E2%80%AEx":                      `must come here, not "\u202ex"`,
		"filter=" + strings.Repeat("a", 4097):          "filter, column 4097: it must be at most 4096 bytes long",
		"filter=" + strings.Repeat("a", 60000):         "filter, column 4097: it must be at most 4096 bytes long",
		"filter=" + deep("(", ")", 1000):               "at most 32 operators deep",
		"filter=" + deep("!", "", 1000):                "at most 32 operators deep",
		"filter=" + deep("(b%7Cc+", ")", 40):           "at most 32 operators deep",
		"filter=" + strings.Repeat("a+", 101):          "filter, column 201: a filter must have at most 100 terms",
		"filter=" + strings.Repeat("a+", 100) + "&q=b": "filter must be shorter together with the other parameters",
		"filter=a&filter=b":                            "filter is given twice",
		"overdue=1":                                    "overdue must be true or false",
		"overdue":                                      "overdue must be true or false",
		"due=someday":                                  "due, column 1: a day like",
		"due=today%7Cdone":                             "due, column 6",
		"tag=":                                         "tag must not be empty",
		"tag=%CC%81":                                   "tag must not be empty",
		"q=":                                           "q must not be empty",
		"q=%00":                                        "q, column 1: it must not contain control",
		"q=" + strings.Repeat("a", 5000):               "q, column 4097",
		"priority=10":                                  "priority, column 1: a whole number from 0 to 9",
		"priority=high":                                "priority, column 1",
		"has=everything":                               "has, column 1",
		"parent=-1":                                    "parent, column 1",
		"parent=18446744073709551616":                  "parent, column 1",
		"sort=":                                        "sort must be names of",
		"sort=colour":                                  "sort must be names of",
		"sort=due%00":                                  "sort must be names of",
		"sort=due,due":                                 "sort must name due once",
		"sort=id,due,date,title,created":               "sort must name at most 4 fields",
		"sort=" + strings.Repeat("id,", 20000):         "sort must name at most 4 fields",
		"fields=":                                      "fields must be names",
		"fields=title,colour":                          "fields must be names",
		"fields=title,title":                           "fields must name title once",
		"fields=title%00":                              "fields must be names",
		"fields=" + strings.Repeat("id,", 20000):       "fields must",
		"tz=":                                          "tz must be the name of a time zone",
		"tz=Local":                                     "tz must be the name of a time zone",
		"tz=local":                                     "tz must be the name of a time zone",
		"tz=Mars/Olympus":                              "tz must be the name of a time zone",
		"tz=..%2F..%2Fetc%2Fpasswd":                    "tz must be the name of a time zone",
		"tz=%2Fetc%2Flocaltime":                        "tz must be the name of a time zone",
		"tz=Europe%2FBerlin%00":                        "tz must be the name of a time zone",
		"tz=" + strings.Repeat("A", 60000):             "tz must be the name of a time zone",
		"limit=0&filter=a":                             "limit must be",
		"date=2018-02-30&filter=a":                     "date must be",
		"colour=red&filter=a":                          `"colour" is not a known parameter`,
	} {
		w.do("GET", "/v1/lists/bob/entries?"+query, "").problem(api.CodeInvalid, "", says)
		w.do("GET", "/v1/entries?"+query, "").problem(api.CodeInvalid, "", says)
	}
	w.do("GET", "/v1/lists/bob/entries?prefix=b", "").problem(api.CodeInvalid, "", "not a known parameter")
	w.do("GET", "/v1/entries?list=bob", "").problem(api.CodeInvalid, "", "not a known parameter")
	for _, prefix := range []string{"%ff", "a%2Fb", "%00", strings.Repeat("a", 129)} {
		w.do("GET", "/v1/entries?prefix="+prefix, "").problem(api.CodeInvalid, "", "prefix")
	}
	// What is longer than a header may be is refused by net/http, a megabyte as well.
	for _, path := range []string{"/v1/lists/bob/entries?filter=", "/v1/entries?q="} {
		if a := w.do("GET", path+strings.Repeat("a", 1<<20), ""); a.status != 431 {
			t.Errorf("a filter of a megabyte: %d %s", a.status, a.body)
		}
	}
}

// What is wrong is said as it is, to whoever reads an answer for the first time.
func TestWhatStrangersGetWrong(t *testing.T) {
	w := newWorld(t)
	w.add("bob", "x", "")
	w.add("bob", "y", "")
	const list, entry = "/v1/lists/bob/entries", "/v1/lists/bob/entries/1"
	for _, method := range []string{"PUT", "PATCH"} {
		w.do(method, entry+"?tz=Mars", `{"title":"z"}`).problem(api.CodeInvalid, "not_applied", "tz must be the name") // though nothing needs it
	}
	w.do("POST", "/v1/batch?tz=Mars", `{"commands":[{"op":"add","list":"bob","title":"x"}]}`).problem(api.CodeInvalid, "not_applied", "tz must be the name")
	for query, says := range map[string]string{
		"overdue=yes": "overdue must be true or false", "q=": "q must not be empty", "tag=": "tag must not be empty", "parent=x": "parent, column 1: a whole number must come here",
		"priority=x": "a whole number from 0 to 9 must",
	} {
		w.do("GET", list+"?"+query, "").problem(api.CodeInvalid, "", says)
	}
	for _, path := range []string{"/v1/lists/nobody/entries/1", "/v1/lists/nobody/entries/1/history"} {
		w.do("GET", path, "").problem(api.CodeNotFound, "", "no list of that name")
	}
	w.do("POST", entry+"/place", `{"before":1}`).problem(api.CodeInvalid, "not_applied", "place must name another entry")
	w.do("POST", "/v1/batch", `{"commands":[{"op":"place","list":"bob","id":2,"place":{"after":2}}]}`).problem(api.CodeInvalid, "not_applied", "commands[0].place must name another entry")
	w.do("GET", "/v1/search", "").problem(api.CodeInvalid, "", "q is missing: give it as a parameter")
	w.do("PATCH", "/v1/lists/bob", `{"colour":"#AaBb09"}`).want(200, `{"name":"bob","entries":2,"open":2,"rev":3,"colour":"#aabb09"}`)
	w.do("GET", "/v1/lists/bob/sync?cursor=x", "").problem(api.CodeInvalid, "", "cursor must be that of the answer before")

	// Only where one may read at another level that is advised.
	w.node.set(func(g *group) {
		g.readErr = &server.Error{Kind: server.KindNoLeader, Detail: "no leader was confirmed"}
	})
	w.do("GET", list, "").problem(api.CodeNoLeader, "", "no leader was confirmed, or read at consistency=stale")
	for _, a := range []*answer{
		w.do("POST", "/v1/lists/bob/bulk", `{"op":"delete","filter":"done"}`).problem(api.CodeNoLeader, "not_applied"),
		w.do("GET", "/v1/events?since=99", "").problem(api.CodeNoLeader, ""),
	} {
		if strings.Contains(a.body, "stale") {
			t.Errorf("%s: %s", a.what, a.body)
		}
	}
}
