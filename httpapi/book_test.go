package httpapi

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"todod/httpapi/api"
	"todod/server"
)

const bookKind = "text/plain; charset=utf-8"

func TestTheBooksLines(t *testing.T) {
	w := newWorld(t)
	w.do("POST", "/add_entry?list=bob&date=2018-12-19&title=Dentist", "").want(200, "OK").has("Content-Type", bookKind)
	if got := w.do("GET", "/entries?list=bob&date=2018-12-19", "").want(200, "").has("Content-Type", bookKind).body; got != "2018-12-19 Dentist" {
		t.Fatalf("body %q", got)
	}
	form := "Content-Type: application/x-www-form-urlencoded"
	w.do("POST", "/add_entry", "list=bob&date=2018-12-19&title=Shop+ping%20now", form).want(200, "OK")
	w.do("POST", "/add_entry?list=bob&date=2018-12-20&title=Movies;a%3Db%26", "").want(200, "OK")
	w.do("POST", "/add_entry?list=bob&title=Late&colour=red&colour=blue", "date=2018-12-19&x=%zz", form).want(200, "OK")
	w.do("PATCH", "/v1/lists/bob/entries/1", `{"done":true}`).want(200, "")

	w.do("GET", "/entries?list=bob&date=2018-12-19", "").want(200, "2018-12-19 Dentist\n2018-12-19 Shop ping now\n2018-12-19 Late").
		has("Todod-Consistency", "linearizable").has("Todod-Index", "5")
	w.do("GET", "/entries?date=2018-12-20", "list=bob", form).want(200, "2018-12-20 Movies;a=b&")
	if a := w.do("GET", "/entries?list=bob&date=2018-12-21", "").want(200, ""); a.body != "" || a.header.Get("Content-Length") != "0" {
		t.Fatalf("no entries: %q, %v", a.body, a.header)
	}
	if a := w.do("GET", "/entries?list=nobody&date=2018-12-21", "").want(200, ""); a.body != "" {
		t.Fatalf("no list: %q", a.body)
	}
	if a := w.do("HEAD", "/entries?list=bob&date=2018-12-20", "").want(200, ""); a.header.Get("Content-Length") != "22" {
		t.Fatalf("HEAD: %v", a.header)
	}
}

func TestTheBooksRoutesSayWhatIsWrong(t *testing.T) {
	w := newWorld(t)
	long := strings.Repeat("x", 1001)
	for _, c := range []struct{ path, says string }{
		{"/add_entry", "list is missing"},
		{"/add_entry?list=bob", "date is missing"},
		{"/add_entry?list=bob&date=2018-12-19", "title is missing"},
		{"/add_entry?list=&date=2018-12-19&title=a", "list must not be empty"},
		{"/add_entry?list=..%2Fescaped&date=2018-12-19&title=a", "list must not contain /"},
		{"/add_entry?list=..&date=2018-12-19&title=a", "list must not be . or .."},
		{"/add_entry?list=%ff&date=2018-12-19&title=a", "list must be valid UTF-8"},
		{"/add_entry?list=" + strings.Repeat("b", 129) + "&date=2018-12-19&title=a", "list must be at most 128 bytes"},
		{"/add_entry?list=%20bob&date=2018-12-19&title=a", "list must not begin or end with a space"},
		{"/add_entry?list=bob&date=2018-02-29&title=a", "date must be a real date"},
		{"/add_entry?list=bob&date=&title=a", "date must be a date"},
		{"/add_entry?list=bob&date=2018-12-19&title=", "title must not be empty"},
		{"/add_entry?list=bob&date=2018-12-19&title=+%20+", "title must not be blank"},
		{"/add_entry?list=bob&date=2018-12-19&title=a%0Ab", "title must not contain control characters"},
		{"/add_entry?list=bob&date=2018-12-19&title=%c3%28", "title must be valid UTF-8"},
		{"/add_entry?list=bob&date=2018-12-19&title=" + long, "title must be at most 1000"},
		{"/add_entry?list=bob&list=eve&date=2018-12-19&title=a", "list is given twice"},
		{"/add_entry?list=bob&date=2018-12-19&title=%zz", "title has a %"},
		{"/entries?list=bob", "date is missing"},
		{"/entries?date=2018-12-19", "list is missing"},
		{"/entries?list=bob&date=2018-12-19&consistency=some", "consistency must be"},
		{"/entries?list=bob&date=19.12.2018", "date must be"},
	} {
		method := http.MethodPost
		if strings.HasPrefix(c.path, "/entries") {
			method = http.MethodGet
		}
		w.do(method, c.path, "").line(400, c.says)
	}
	form := "Content-Type: application/x-www-form-urlencoded"
	w.do("POST", "/add_entry?list=bob&date=2018-12-19&title=a", "list=bob", form).line(400, "list is given twice")
	w.do("POST", "/add_entry?list=bob&date=2018-12-19", "title="+strings.Repeat("a", maxBody), form).line(413, "1 MiB")
	w.do("POST", "/add_entry?list=bob&date=2018-12-19", `{"title":"a"}`).line(400, "title is missing")
	if n := w.node.writes.Load(); n != 0 {
		t.Errorf("%d writes were applied", n)
	}
	w.node.set(func(g *group) {
		g.writeErr = &server.Error{Kind: server.KindNoLeader, Detail: "no leader is known: try again"}
		g.readErr = g.writeErr
	})
	w.do("POST", "/add_entry?list=bob&date=2018-12-19&title=a", "").line(503, "no leader").has("Retry-After", "1")
	w.do("GET", "/entries?list=bob&date=2018-12-19", "").line(503, "no leader").has("Retry-After", "1")
	w.node.set(func(g *group) {
		g.writeErr = &server.Error{Kind: server.KindTimeout, Outcome: server.UnknownOutcome, Detail: "not\nknown"}
	})
	w.do("POST", "/add_entry?list=bob&date=2018-12-19&title=a", "").line(504, "not known")
}

func TestOutsideV1WhatIsNotThereIsNotFound(t *testing.T) {
	w := newWorld(t)
	for _, c := range []string{"GET /add_entry", "POST /entries", "DELETE /entries", "GET /", "GET //entries", "GET /entries/", "GET /v1x",
		"GET /v2/lists", "POST /livez", "GET /./entries", "BREW /entries", "OPTIONS /entries", "GET /index.html", "GET /ENTRIES"} {
		method, path, _ := strings.Cut(c, " ")
		w.do(method, path, "").want(404, "not found").has("Content-Type", bookKind).lacks("Location")
	}
}

// A day with more than one page of entries comes whole and in order.
func TestTheBooksEntriesHaveNoPages(t *testing.T) {
	w := newWorld(t)
	title := strings.Repeat("é", 400)
	var want []string
	for i := range 3 {
		var cmds []string
		for j := range 700 {
			cmds = append(cmds, fmt.Sprintf(`{"op":"add","list":"bob","date":"2018-12-19","title":"%d.%d %s"}`, i, j, title))
			want = append(want, fmt.Sprintf("2018-12-19 %d.%d %s", i, j, title))
		}
		w.do("POST", "/v1/batch", `{"commands":[`+strings.Join(cmds, ",")+`]}`).want(200, "")
	}
	if got := w.do("GET", "/entries?list=bob&date=2018-12-19", "").want(200, "").body; got != strings.Join(want, "\n") {
		t.Errorf("%d bytes, want %d", len(got), len(strings.Join(want, "\n")))
	}
}

func TestAListHasOneNameHoweverItIsSpelled(t *testing.T) {
	w := newWorld(t)
	composed, decomposed := "Zo\u00eb", "Zoe\u0308"
	w.do("POST", "/add_entry?date=2018-12-19&title=a&list="+url.QueryEscape(decomposed), "").want(200, "OK")
	w.do("POST", "/v1/lists/"+url.PathEscape(decomposed)+"/entries", `{"title":"b"}`).want(201, "").
		has("Location", "/v1/lists/Zo%C3%AB/entries/2")
	w.do("GET", "/entries?date=2018-12-19&list="+url.QueryEscape(composed), "").want(200, "2018-12-19 a")
	var lists api.Lists
	w.do("GET", "/v1/lists?prefix="+url.QueryEscape(decomposed), "").want(200, "").decode(&lists)
	if len(lists.Lists) != 1 || lists.Lists[0].Name != composed {
		t.Errorf("lists %+v", lists)
	}
}
