package httpapi

import (
	"strings"
	"testing"

	"todod/httpapi/api"
)

// All the fields of an entry, from a request into an answer and taken away again.
func TestTheWholeEntry(t *testing.T) {
	w := newWorld(t)
	const path = "/v1/lists/bob/entries/1"
	const fields = `"time":"09:30","tz":"Europe/Berlin","priority":1,"tags":["family","health"],"notes":"upper left\nbring the card",` +
		`"repeat":"FREQ=MONTHLY;INTERVAL=6","repeat_from":"done","remind":["-PT15M"],"uid":"a@example","x":{"X-A":["1",{"b":null}]}`
	const sent = `"time":"09:30","tz":"Europe/Berlin","priority":1,"tags":["health","family","family"],"notes":"upper left\nbring the card",` +
		`"repeat":"FREQ=MONTHLY;INTERVAL=6","repeat_from":"done","remind":["-PT15M"],"uid":"a@example","x": { "X-\u0041" : ["1",{"b":null}] }`
	answer := w.do("POST", "/v1/lists/bob/entries", `{"title":"Dentist","date":"2018-12-19",`+sent+`}`).want(201, "").body
	if !strings.Contains(answer, fields) {
		t.Fatalf("answered %s\nwithout %s", answer, fields)
	}
	if got := w.do("GET", path, "").want(200, "").body; got != answer {
		t.Errorf("read %s\nwant %s", got, answer)
	}
	w.do("PATCH", path, `{"tags":["health","family"],"x":{"X-A":["1",{"b":null}]}}`).want(200, "").has("ETag", `"7.1"`) // as it was
	var e api.Entry
	w.do("PATCH", path, `{"done":true,"priority":0,"tags":null,"x":null}`).want(200, "").decode(&e)
	if e.Completed == nil || !e.Completed.Equal(e.Updated) || e.Priority != 0 || e.Tags != nil || e.X != nil || e.Time != "09:30" {
		t.Errorf("after a patch: %+v", e)
	}
	if e.Done || e.Date == "2018-12-19" {
		t.Errorf("it repeats, and was done: %+v", e)
	}
	w.do("PATCH", path, `{"date":null}`).problem(api.CodeConflict, "not_applied", "a time needs a date")
	w.do("PUT", path, `{"title":"Dentist"}`).want(200, `{"list":"bob","id":1,"title":"Dentist","done":false,"rev":3,"created":"2018-12-19T11:00:00.002Z","updated":"2018-12-19T11:00:00.006Z"}`)

	// A uid is one entry's.
	w.do("POST", "/v1/lists/bob/entries", `{"title":"b","uid":"u"}`).want(201, "")
	w.do("POST", "/v1/lists/eve/entries", `{"title":"b","uid":"u"}`).want(201, "")
	w.do("PATCH", path, `{"uid":"u"}`).problem(api.CodeConflict, "not_applied", "uid")
	w.do("POST", "/v1/batch", `{"commands":[{"op":"patch","list":"bob","id":1,"uid":"u"},{"op":"patch","list":"bob","id":2,"uid":""}]}`).
		problem(api.CodeConflict, "not_applied", "commands[0]")
	w.do("POST", "/v1/batch", `{"commands":[{"op":"patch","list":"bob","id":1,"title":"x"},{"op":"patch","list":"bob","id":2,"uid":""},{"op":"patch","list":"bob","id":1,"uid":"u"}]}`).want(200, "")
	w.do("POST", "/v1/lists/bob/entries", `{"title":"c","uid":"u"}`).problem(api.CodeConflict, "not_applied", "uid")
	w.do("DELETE", path, "").want(204, "")
	w.do("POST", "/v1/lists/bob/entries", `{"title":"c","uid":"u"}`).want(201, "")
}

// What stands in the way is shown.
func TestConflictsCarryTheState(t *testing.T) {
	w := newWorld(t)
	w.do("POST", "/v1/lists/bob/entries", `{"title":"a"}`).want(201, "")
	var p api.Problem
	w.do("PATCH", "/v1/lists/bob/entries/1", `{"title":"b"}`, `If-Match: "7.9"`).want(412, "").decode(&p)
	if p.Current == nil || p.Current.Title != "a" || p.Current.List != "bob" || p.Current.ID != 1 || p.Current.Rev != 1 {
		t.Errorf("412 carries %+v", p.Current)
	}
}

func TestBadFields(t *testing.T) {
	w := newWorld(t)
	for body, says := range map[string]string{
		`"notes":"` + strings.Repeat("a", 16<<10+1) + `"`: "notes must be at most 16384 bytes",
		`"notes":"a\u0007"`: "notes must not contain control",
		`"priority":10`:     "priority must be a whole number from 0 to 9",
		`"priority":"high"`: "priority must be a whole number",
		`"tags":"a"`:        "tags must be a JSON array",
		`"tags":["` + strings.Repeat(`\u200b`, 20) + `"]`: "tags must have a character that can be seen",
		`"tags":["a b"]`: "tags must not contain spaces",
		`"tags":["#a"]`:  "without the #",
		`"tags":["` + strings.Repeat("é", 65) + `"]`:                           "at most 64 characters",
		`"tags":[` + strings.TrimSuffix(strings.Repeat(`"a",`, 33), ",") + `]`: "tags must be at most 32",
		`"parent":-1`:         "parent must be a whole number",
		`"repeat_from":"now"`: "repeat_from must be due or done",
		`"uid":"` + strings.Repeat("a", 256) + `"`: "uid must be at most 255",
		`"x":[]`:                 "x must be a JSON object",
		`"x":{"a":1,"\u0061":2}`: `x has "a" twice`,
		`"x":` + strings.Repeat(`{"a":`, 10_000) + `1` + strings.Repeat(`}`, 10_000): "x must be nested at most 16 deep",
		`"x":{"a":"` + strings.Repeat("a", 16<<10) + `"}`:                            "x must be at most 16384 bytes",
		`"x":{"a":01}`:                      "does not belong there",
		`"time":"09:00"`:                    "time needs a date",
		`"date":"2018-12-19","time":"9:00"`: "time must be a time of day like 09:30",
		`"date":"2018-12-19","time":"09:00","tz":"Mars/Olympus"`:             "tz must be the name of a time zone",
		`"date":"2018-12-19","time":"09:00","tz":"../../etc/passwd"`:         "tz must be the name of a time zone",
		`"date":"2018-12-19","tz":"Europe/Berlin"`:                           "tz needs a time",
		`"repeat":"FREQ=DAILY"`:                                              "repeat needs a date",
		`"date":"2018-12-19","repeat":"FREQ=HOURLY"`:                         "repeat must have a FREQ of",
		`"date":"2018-12-19","repeat":"FREQ=DAILY;BYHOUR=9"`:                 "repeat must not have BYHOUR",
		`"date":"2018-12-19","repeat":"FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30"`: "repeat must match a day",
		`"date":"2018-12-19","repeat_from":"done"`:                           "repeat_from needs a repeat",
		`"remind":["-PT15M"]`:                                                "remind needs a date",
		`"date":"2018-12-19","remind":["soon"]`:                              "remind must hold durations",
		`"remind":["a","a"]`:                                                 "remind",
		`"completed":"2018-12-19T11:00:00Z"`:                                 `"completed" is not a known field`,
	} {
		w.do("POST", "/v1/lists/bob/entries", `{"title":"a",`+body+`}`).problem(api.CodeInvalid, "not_applied", says)
	}
}
