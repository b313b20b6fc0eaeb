package httpapi

import (
	"testing"

	"todod/httpapi/api"
)

func TestMoveCopyAndPlace(t *testing.T) {
	w := newWorld(t)
	w.do("POST", "/v1/batch", `{"commands":[
		{"op":"add","list":"bob","title":"a"},
		{"op":"add","list":"bob","title":"b","parent_of":0},
		{"op":"patch","list":"bob","id_of":1,"notes":"n"},
		{"op":"add","list":"bob","title":"c"},
		{"op":"copy","list":"bob","id_of":0,"to":"eve"},
		{"op":"patch","list":"eve","id_of":4,"title":"a again"}]}`).want(200, "")
	var e api.Entry
	w.do("GET", "/v1/lists/bob/entries/2", "").want(200, "").decode(&e)
	if e.Parent != 1 || e.Notes != "n" {
		t.Errorf("%+v", e)
	}
	w.do("GET", "/v1/lists/eve/entries/1", "").want(200, "").decode(&e)
	if e.Title != "a again" {
		t.Errorf("%+v", e)
	}
	e = api.Entry{}
	w.do("POST", "/v1/lists/bob/entries/1/move", `{"to":"Zoe\u0308"}`).want(200, "").has("Location", "/v1/lists/Zo%C3%AB/entries/1").has("ETag", `"7.2"`).decode(&e)
	if e.List != "Zoë" || e.ID != 1 || e.Title != "a" {
		t.Errorf("moved: %+v", e)
	}
	w.do("GET", "/v1/lists/Zo%C3%AB/entries/2", "").want(200, "").decode(&e)
	if e.Title != "b" || e.Parent != 1 {
		t.Errorf("below it: %+v", e)
	}
	w.do("POST", "/v1/lists/bob/entries/3/copy", `{"to":"bob"}`).want(200, "").has("Location", "/v1/lists/bob/entries/4")
	w.do("POST", "/v1/lists/bob/entries/4/place", `{"before":3}`).want(200, "").has("ETag", `"7.4"`)
	w.do("POST", "/v1/lists/bob/entries/4/place", `{"first":true}`).want(200, "").has("ETag", `"7.4"`) // it is
	w.do("POST", "/v1/lists/bob/entries/4/place", `{"after":9}`).problem(api.CodeConflict, "not_applied", "place names")
	w.do("POST", "/v1/lists/bob/entries/9/place", `{"last":true}`).problem(api.CodeNotFound, "not_applied", "")
	w.do("POST", "/v1/lists/bob/entries/4/place", `{"last":true}`, `If-Match: "7.1"`).problem(api.CodePrecondition, "not_applied", "")
	w.do("PATCH", "/v1/lists/Zo%C3%AB/entries/1", `{"parent":2}`).problem(api.CodeConflict, "not_applied", "below itself")
	for path, c := range map[string][2]string{
		"/v1/lists/bob/entries/3/move":  {`{"to":"a/b"}`, "to must not contain /"},
		"/v1/lists/bob/entries/3/copy":  {`{}`, "to must not be empty"},
		"/v1/lists/bob/entries/3/place": {`{"first":true,"last":true}`, "place must be one of"},
		"/v1/lists/bob/entries/4/place": {`{"before":0}`, "before must be a whole number"},
	} {
		w.do("POST", path, c[0]).problem(api.CodeInvalid, "not_applied", c[1])
	}
	for body, says := range map[string]string{
		`{"op":"patch","list":"bob","id_of":0,"title":"x"}`:                                   "commands[0].id_of must name a command before",
		`{"op":"add","list":"bob","title":"x"},{"op":"delete","list":"eve","id_of":0}`:        "commands[1].id_of must name a command before this one that makes an entry of the same list",
		`{"op":"add","list":"bob","title":"x","parent_of":7}`:                                 "commands[0].parent_of must name",
		`{"op":"add","list":"bob","title":"x"},{"op":"delete","list":"bob","id":1,"id_of":0}`: "must not be given with an id",
		`{"op":"move","list":"bob","id":3}`:                                                   "commands[0].to must not be empty",
		`{"op":"delete","list":"bob","id":3,"to":"eve"}`:                                      "commands[0].to must not be given",
		`{"op":"place","list":"bob","id":3}`:                                                  "commands[0].place belongs",
	} {
		w.do("POST", "/v1/batch", `{"commands":[`+body+`]}`).problem(api.CodeInvalid, "not_applied", says)
	}
}
