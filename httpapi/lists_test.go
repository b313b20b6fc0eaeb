package httpapi

import (
	"encoding/base64"
	"net/http"
	"testing"

	"todod/httpapi/api"
)

func TestListsHaveFields(t *testing.T) {
	w := newWorld(t)
	w.do("POST", "/v1/lists/bob/entries", `{"title":"a","uid":"u"}`).want(201, "")
	w.do("PATCH", "/v1/lists/bob", `{"title":"Bob's","colour":"#3366cc","archived":true,"sort":"-priority,due"}`).
		want(200, `{"name":"bob","entries":1,"open":1,"rev":2,"title":"Bob's","colour":"#3366cc","archived":true,"sort":"-priority,due"}`).has("ETag", `"7.2"`)
	w.do("PATCH", "/v1/lists/bob", `{"archived":true}`).want(200, "").has("ETag", `"7.2"`) // as it was
	w.do("PATCH", "/v1/lists/bob", `{"title":"x"}`, `If-Match: "7.1"`).problem(api.CodePrecondition, "not_applied", "")
	w.do("PATCH", "/v1/lists/bob", `{"title":null,"archived":false,"colour":"","sort":null}`).want(200, `{"name":"bob","entries":1,"open":1,"rev":3}`)
	w.do("PATCH", "/v1/lists/none", `{"title":"x"}`).problem(api.CodeNotFound, "not_applied", "no list")
	for body, says := range map[string]string{
		`{"colour":"red"}`: "colour must be like", `{"sort":"size"}`: "sort must be names", `{"name":""}`: "name must not be empty",
		`{"name":null}`: "name must be a string", `{"name":"a/b"}`: "name must not contain /", `{"title":"a\u0000"}`: "title must not contain", `{"open":1}`: "not a known field",
	} {
		w.do("PATCH", "/v1/lists/bob", body).problem(api.CodeInvalid, "not_applied", says)
	}
}

// A list keeps its entries, their ids and what they are found by under another name, and has its old name for itself until
// a new list has it.
func TestAListGetsAnotherName(t *testing.T) {
	w := newWorld(t)
	w.do("POST", "/v1/lists/bob/entries", `{"title":"a","uid":"u","date":"2018-12-19"}`).want(201, "")
	w.do("POST", "/v1/lists/eve/entries", `{"title":"b"}`).want(201, "")
	w.do("DELETE", "/v1/lists/eve", "").want(204, "")
	w.do("PATCH", "/v1/lists/bob", `{"name":"eve"}`).problem(api.CodeConflict, "not_applied", "another list has or had that name")
	w.do("PATCH", "/v1/lists/bob", `{"name":"robert"}`).want(200, `{"name":"robert","entries":1,"open":1,"rev":4}`)
	w.do("GET", "/v1/lists/bob", "").problem(api.CodeNotFound, "", "")
	w.do("GET", "/v1/lists/robert/entries?date=2018-12-19", "").want(200, "")
	w.do("POST", "/v1/lists/robert/entries", `{"title":"x","uid":"u"}`).problem(api.CodeConflict, "not_applied", "uid")
	w.do("PATCH", "/v1/lists/robert", `{"name":"bob"}`).want(200, "")
	w.do("PATCH", "/v1/lists/bob", `{"name":"robert"}`).want(200, "") // and back
	var e api.Entry
	w.do("POST", "/v1/lists/bob/entries", `{"title":"c"}`).want(201, "").decode(&e)
	if e.ID != 2 {
		t.Errorf("a new list of the old name begins with id %d", e.ID)
	}
	w.do("PATCH", "/v1/lists/robert", `{"name":"bob"}`).problem(api.CodeConflict, "not_applied", "")
	w.do("POST", "/v1/lists/robert/entries", `{"title":"d"}`).want(201, "").decode(&e)
	if e.ID != 2 {
		t.Errorf("the list goes on with id %d", e.ID)
	}
}

// In a group that is upgraded a cursor may come from a node of another release: its client begins anew, as after a restore.
func TestCursorsOfOtherReleases(t *testing.T) {
	w := newWorld(t)
	for _, list := range []string{"ann", "bob"} {
		for range 3 {
			w.add(list, "x", "2018-12-19")
		}
	}
	for _, path := range []string{
		"/v1/lists?limit=1", "/v1/lists/bob/entries?limit=1", "/v1/lists/bob/entries?limit=1&filter=open", "/v1/lists/bob/entries?limit=1&sort=due",
		"/v1/entries?limit=1", "/v1/lists/bob/sync?limit=1",
	} {
		var page struct{ Next, Cursor string }
		w.do("GET", path, "").want(http.StatusOK, "").decode(&page)
		given, err := base64.RawURLEncoding.DecodeString(page.Next + page.Cursor)
		if err != nil || len(given) == 0 {
			t.Fatal(path, page, err)
		}
		ask := func(version byte) *answer {
			of := append([]byte{version}, given[1:]...)
			return w.do("GET", path+"&cursor="+base64.RawURLEncoding.EncodeToString(of), "")
		}
		ask(cursorVersion).want(http.StatusOK, "")
		ask(cursorVersion-1).problem(api.CodeGone, "", "of another release")
		ask(cursorVersion+1).problem(api.CodeGone, "", "of another release")
		ask(0).problem(api.CodeInvalid, "", "cursor must be")
		ask(cursorVersions+1).problem(api.CodeInvalid, "", "cursor must be")
	}
}
