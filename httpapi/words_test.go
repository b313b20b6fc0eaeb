package httpapi

import (
	"testing"

	"todod/httpapi/api"
)

func TestSearch(t *testing.T) {
	w := newWorld(t)
	w.do("POST", "/v1/lists/bob/entries", `{"title":"Buy oat milk","tags":["shop"]}`).want(201, "")
	w.do("POST", "/v1/lists/eve/entries", `{"title":"Milch","notes":"or MILK","done":true}`).want(201, "")
	for path, want := range map[string]int{"?q=milk": 2, "?q=m%C3%ADl+OAT": 1, "?q=milk&list=eve": 1, "?q=milk&done=false": 1, "?q=milk&limit=1": 1, "?q=milk&list=none": 0, "?q=bread": 0} {
		var got api.Search
		w.do("GET", "/v1/search"+path, "").want(200, "").has("Todod-Index", "2").decode(&got)
		if len(got.Entries) != want || got.More != (path == "?q=milk&limit=1") || got.Rev != 2 {
			t.Errorf("%s: %+v", path, got)
		}
	}
	w.do("PATCH", "/v1/lists/bob/entries/1", `{"title":"Buy bread"}`).want(200, "")
	var got api.Search
	w.do("GET", "/v1/search?q=bread", "").want(200, "").decode(&got)
	if len(got.Entries) != 1 || got.Entries[0].Title != "Buy bread" {
		t.Errorf("what was just written: %+v", got)
	}
	for path, says := range map[string]string{"": "q is missing", "?q=": "q must have a word", "?q=%2B-!": "q must have a word", "?q=a&list=a%2Fb": "list must not contain", "?q=a&limit=0": "limit", "?q=a&done=1": "done"} {
		w.do("GET", "/v1/search"+path, "").problem(api.CodeInvalid, "", says)
	}
}
