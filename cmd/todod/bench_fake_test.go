package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"

	"todod/httpapi/api"
)

// fakeNode is as much of a node as the bench speaks with, and can be told to lie.
type fakeNode struct {
	addr string

	mu    sync.Mutex
	lists map[string][]api.Entry
	keys  map[string]api.Entry
	adds  int
	// lie is done with each new add, under mu. It returns whether to store it, and how often.
	lie func(n int, e *api.Entry) (times int)
	// before is done before each request, outside mu.
	before func(r *http.Request)
	// after is done when an add is stored and not yet answered, outside mu.
	after func(n int)
}

func newFake(t *testing.T) *fakeNode {
	t.Helper()
	f := &fakeNode{lists: map[string][]api.Entry{}, keys: map[string]api.Entry{}}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/lists/{list}/entries", f.post)
	mux.HandleFunc("GET /v1/lists/{list}/entries", f.get)
	mux.HandleFunc("GET /v1/lists", f.getLists)
	mux.HandleFunc("POST /v1/batch", f.batch)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if f.before != nil {
			f.before(r)
		}
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	f.addr = strings.TrimPrefix(s.URL, "http://")
	return f
}

func sendJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

// add stores an entry, or what the lie makes of it.
func (f *fakeNode) add(list string, in api.NewEntry, key string) (api.Entry, int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if e, ok := f.keys[key]; ok && key != "" {
		return e, 0
	}
	f.adds++
	e := api.Entry{List: list, ID: uint64(len(f.lists[list]) + 1), Title: in.Title, Date: in.Date}
	f.keys[key] = e
	stored, times := e, 1
	if f.lie != nil {
		times = f.lie(f.adds, &stored)
	}
	for range times {
		f.lists[stored.List] = append(f.lists[stored.List], stored)
		stored.ID++
	}
	return e, f.adds
}

func (f *fakeNode) post(w http.ResponseWriter, r *http.Request) {
	var in api.NewEntry
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	e, n := f.add(r.PathValue("list"), in, r.Header.Get("Idempotency-Key"))
	if f.after != nil && n > 0 {
		f.after(n)
	}
	sendJSON(w, http.StatusCreated, e)
}

func (f *fakeNode) batch(w http.ResponseWriter, r *http.Request) {
	var in api.Batch
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	var out api.BatchResult
	for _, c := range in.Commands {
		if c.Op == "delete_list" {
			f.mu.Lock()
			delete(f.lists, c.List)
			f.mu.Unlock()
			out.Results = append(out.Results, api.BatchChange{Op: c.Op, List: c.List})
			continue
		}
		e, _ := f.add(c.List, api.NewEntry{Title: *c.Title, Date: *c.Date}, "")
		out.Results = append(out.Results, api.BatchChange{Op: c.Op, List: c.List, ID: e.ID})
	}
	sendJSON(w, http.StatusOK, out)
}

// get answers in pages, as a node does.
func (f *fakeNode) get(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	list, date := r.PathValue("list"), r.URL.Query().Get("date")
	page := api.Entries{List: list}
	from, _ := strconv.Atoi(r.URL.Query().Get("cursor"))
	limit, err := strconv.Atoi(r.URL.Query().Get("limit"))
	if err != nil {
		limit = 100
	}
	for i, e := range f.lists[list] {
		if i < from || date != "" && e.Date != date {
			continue
		}
		if len(page.Entries) == limit {
			page.Next = fmt.Sprint(i)
			break
		}
		page.Entries = append(page.Entries, e)
	}
	sendJSON(w, http.StatusOK, page)
}

func (f *fakeNode) getLists(w http.ResponseWriter, r *http.Request) {
	var out api.Lists
	for _, name := range f.names(r.URL.Query().Get("prefix")) {
		out.Lists = append(out.Lists, api.List{Name: name})
	}
	sendJSON(w, http.StatusOK, out)
}

// names are the lists that there are.
func (f *fakeNode) names(prefix string) (names []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for name := range f.lists {
		if strings.HasPrefix(name, prefix) {
			names = append(names, name)
		}
	}
	return names
}

func (f *fakeNode) added() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.adds
}
