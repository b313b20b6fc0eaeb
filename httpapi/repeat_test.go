package httpapi

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"todod/fsm"
	"todod/fsm/todo"
	"todod/httpapi/api"
	"todod/server"
)

// saturday is one in the evening of UTC, when it is Sunday in Tokyo.
func saturday(c *Config) {
	c.Now = func() time.Time { return time.Date(2026, 11, 28, 20, 0, 0, 0, time.UTC) }
}

func (w *world) entry(path string) (e api.Entry) {
	w.t.Helper()
	w.do("GET", path, "").want(200, "").decode(&e)
	return e
}

// An entry that repeats is done, and goes on, and comes to its end.
func TestDoingWhatRepeats(t *testing.T) {
	w := newWorld(t, saturday)
	const path, did = "/v1/lists/bob/entries/1", `{"done":true}`
	w.do("POST", "/v1/lists/bob/entries", `{"title":"Bins","date":"2026-01-31","time":"07:00","tz":"Europe/Berlin","repeat":"COUNT=3;FREQ=MONTHLY"}`).want(201, "")
	var e api.Entry
	for _, want := range []struct{ due, repeat string }{
		{"2026-03-31T07:00:00+02:00", "FREQ=MONTHLY;COUNT=2"}, // there is no 31 February
		{"2026-05-31T07:00:00+02:00", "FREQ=MONTHLY;COUNT=1"},
	} {
		w.do("PATCH", path, did).want(200, "").decode(&e)
		if e.Done || e.Due != want.due || e.Repeat != want.repeat || e.Completed == nil || !e.Completed.Equal(e.Updated) {
			t.Fatalf("%+v, want %+v", e, want)
		}
		if got := w.entry(path); got.Due != e.Due || got.Rev != e.Rev {
			t.Fatalf("read %+v", got)
		}
	}
	w.do("GET", "/v1/lists/bob", "").want(200, `{"name":"bob","entries":1,"open":1,"rev":3}`)
	w.do("GET", "/v1/lists/bob/entries?date=2026-01-31", "").want(200, `{"list":"bob","rev":3,"entries":[]}`)
	w.do("PATCH", path, did).want(200, "").decode(&e)
	if !e.Done || e.Date != "2026-05-31" || !e.Completed.Equal(e.Updated) {
		t.Errorf("the last time: %+v", e)
	}
	w.do("PATCH", path, did).want(200, "").has("ETag", `"7.4"`) // it is done

	// To take the repeat away with it is to do it for good.
	w.do("POST", "/v1/lists/bob/entries", `{"title":"Water","date":"2026-11-28","repeat":"FREQ=DAILY"}`).want(201, "")
	w.do("PATCH", "/v1/lists/bob/entries/2", `{"done":true,"repeat":null}`).want(200, "").decode(&e)
	if !e.Done || e.Date != "2026-11-28" {
		t.Errorf("done for good: %+v", e)
	}
}

func TestWhatDayItIsDoneOn(t *testing.T) {
	w := newWorld(t, saturday)
	for i, c := range []struct{ fields, query, want string }{
		{`"repeat_from":"due"`, "", "2026-11-02"},
		{`"repeat_from":"done"`, "", "2026-11-29"},
		{`"repeat_from":"done"`, "?tz=Asia/Tokyo", "2026-11-30"},
		{`"repeat_from":"done","time":"09:00","tz":"Pacific/Honolulu"`, "?tz=Asia/Tokyo", "2026-11-29"}, // its own zone comes first
	} {
		w.do("POST", "/v1/lists/bob/entries", `{"title":"Water","date":"2026-11-01","repeat":"FREQ=DAILY",`+c.fields+`}`).want(201, "")
		var e api.Entry
		w.do("PATCH", fmt.Sprintf("/v1/lists/bob/entries/%d%s", i+1, c.query), `{"done":true}`).want(200, "").decode(&e)
		if e.Date != c.want {
			t.Errorf("%s%s: %s, want %s", c.fields, c.query, e.Date, c.want)
		}
	}
	w.do("PATCH", "/v1/lists/bob/entries/1?tz=Mars", `{"done":true}`).problem(api.CodeInvalid, "not_applied", "tz must be the name of a time zone")
}

func TestDoingWhatRepeatsInABatchAndByPut(t *testing.T) {
	w := newWorld(t, saturday)
	w.do("POST", "/v1/lists/caf%C3%A9/entries", `{"title":"Bins","date":"2026-11-28","repeat":"FREQ=WEEKLY"}`).want(201, "")
	const list = "cafe\u0301" // the same name in another form
	w.do("POST", "/v1/batch", `{"commands":[{"op":"patch","list":"`+list+`","id":1,"done":true},{"op":"patch","list":"`+list+`","id":1,"title":"Bin"},`+
		`{"op":"patch","list":"`+list+`","id":1,"done":true},{"op":"add","list":"`+list+`","title":"Water","date":"2026-11-28","repeat":"FREQ=DAILY"},`+
		`{"op":"patch","list":"`+list+`","id_of":3,"done":true}]}`).want(200, "")
	if e := w.entry("/v1/lists/caf%C3%A9/entries/1"); e.Done || e.Date != "2026-12-12" || e.Title != "Bin" || e.Rev != 2 {
		t.Errorf("%+v", e)
	}
	if e := w.entry("/v1/lists/caf%C3%A9/entries/2"); e.Done || e.Date != "2026-11-29" {
		t.Errorf("%+v", e)
	}
	w.do("PUT", "/v1/lists/caf%C3%A9/entries/1", `{"title":"Bins","date":"2026-12-12","repeat":"FREQ=WEEKLY;COUNT=2","done":true}`).want(200, "")
	if e := w.entry("/v1/lists/caf%C3%A9/entries/1"); e.Done || e.Date != "2026-12-19" || e.Repeat != "FREQ=WEEKLY;COUNT=1" {
		t.Errorf("by a put: %+v", e)
	}
	w.do("POST", "/v1/batch", `{"commands":[{"op":"patch","list":"x","id":1,"done":true}]}`).problem(api.CodeNotFound, "not_applied")
}

// The same request under a key moves the entry once, though it would be worked out otherwise the second time.
func TestDoingWhatRepeatsOnce(t *testing.T) {
	w := newWorld(t, saturday)
	const path, key = "/v1/lists/bob/entries/1", "Idempotency-Key: 0123456789abcdef"
	w.do("POST", "/v1/lists/bob/entries", `{"title":"Bins","date":"2026-11-28","repeat":"FREQ=WEEKLY"}`).want(201, "")
	first := w.do("PATCH", path, `{"done":true}`, key).want(200, "").lacks("Idempotency-Replayed")
	w.do("PATCH", path, `{"done":true}`, key).want(200, strings.TrimSuffix(first.body, "\n")).has("Idempotency-Replayed", "true")
	w.do("PATCH", path, `{"done":true,"title":"x"}`, key).problem(api.CodeKeyReused, "not_applied")
	if e := w.entry(path); e.Date != "2026-12-05" {
		t.Errorf("%+v", e)
	}
}

// overtaken has other writers change an entry right before each of the first writes that come.
type overtaken struct {
	*testNode
	mu    sync.Mutex
	times int
	tries int
}

func (n *overtaken) Write(ctx context.Context, cmd todo.Command, opt server.WriteOptions) (fsm.Result, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if cmd.Ops[0].Does() {
		if n.tries++; n.tries <= n.times {
			other := todo.Op{Kind: todo.Patch, List: "bob", ID: 1, Fields: todo.Fields{Set: todo.FieldTitle, Title: fmt.Sprint("v", n.tries)}}
			if _, err := n.testNode.Write(ctx, one(other), server.WriteOptions{}); err != nil {
				return fsm.Result{}, err
			}
		}
	}
	return n.testNode.Write(ctx, cmd, opt)
}

func TestDoingIsWorkedOutAnew(t *testing.T) {
	for times, want := range map[int]api.Code{0: "", 1: "", maxWorkings - 1: "", maxWorkings: api.CodeOverloaded} {
		n := &overtaken{times: times}
		w := newWorld(t, saturday, func(c *Config) {
			n.testNode = c.Node.(*testNode)
			c.Node = n
		})
		w.do("POST", "/v1/lists/bob/entries", `{"title":"Bins","date":"2026-11-28","repeat":"FREQ=WEEKLY"}`).want(201, "")
		a := w.do("PATCH", "/v1/lists/bob/entries/1", `{"done":true}`, "Idempotency-Key: 0123456789abcdef")
		date := "2026-12-05"
		if want == "" {
			a.want(200, "")
		} else {
			date = "2026-11-28"
			a.problem(want, "not_applied", "others changed it")
		}
		if e := w.entry("/v1/lists/bob/entries/1"); e.Date != date || times > 0 && e.Title != fmt.Sprint("v", times) {
			t.Errorf("overtaken %d times: %+v", times, e)
		}
		if n.tries != min(times+1, maxWorkings) {
			t.Errorf("overtaken %d times it was tried %d times", times, n.tries)
		}
	}
}

// A repeat that comes between the read and the write is found by Apply, not overlooked.
func TestARepeatThatComesMeanwhile(t *testing.T) {
	n := &overtaken{times: 1}
	w := newWorld(t, saturday, func(c *Config) {
		n.testNode = c.Node.(*testNode)
		c.Node = &repeater{n}
	})
	w.do("POST", "/v1/lists/bob/entries", `{"title":"Bins","date":"2026-11-28"}`).want(201, "")
	w.do("PATCH", "/v1/lists/bob/entries/1", `{"done":true}`).want(200, "")
	if e := w.entry("/v1/lists/bob/entries/1"); e.Done || e.Date != "2026-11-29" {
		t.Errorf("%+v", e)
	}
}

// repeater lets what is done repeat daily, right before the first write that does it.
type repeater struct{ *overtaken }

func (n *repeater) Write(ctx context.Context, cmd todo.Command, opt server.WriteOptions) (fsm.Result, error) {
	if cmd.Ops[0].Does() && n.tries == 0 {
		n.tries++
		other := todo.Op{Kind: todo.Patch, List: "bob", ID: 1, Fields: todo.Fields{Set: todo.FieldRepeat, More: &todo.More{Repeat: "FREQ=DAILY"}}}
		if _, err := n.testNode.Write(ctx, one(other), server.WriteOptions{}); err != nil {
			return fsm.Result{}, err
		}
	}
	return n.testNode.Write(ctx, cmd, opt)
}

// Two clients do the same entry again and again: each time counts once, and none is lost.
func TestTwoDoTheSame(t *testing.T) {
	w := newWorld(t, saturday)
	const times = 20
	w.do("POST", "/v1/lists/bob/entries", `{"title":"Bins","date":"2026-11-28","repeat":"FREQ=DAILY;COUNT=1000"}`).want(201, "")
	var both sync.WaitGroup
	var mu sync.Mutex
	seen := map[string]bool{}
	for range 2 {
		both.Go(func() {
			for range times {
				var e api.Entry
				w.do("PATCH", "/v1/lists/bob/entries/1", `{"done":true}`).want(200, "").decode(&e)
				mu.Lock()
				if seen[e.Date] {
					t.Errorf("two were told of %s", e.Date)
				}
				seen[e.Date] = true
				mu.Unlock()
			}
		})
	}
	both.Wait()
	want := time.Date(2026, 11, 28, 0, 0, 0, 0, time.UTC).AddDate(0, 0, 2*times).Format(time.DateOnly)
	if e := w.entry("/v1/lists/bob/entries/1"); e.Date != want || e.Repeat != fmt.Sprintf("FREQ=DAILY;COUNT=%d", 1000-2*times) {
		t.Errorf("%+v, want %s", e, want)
	}
}

// A file says what an entry is, and not that somebody did it: what it has as done is done.
func TestAFileThatHasARepeatDone(t *testing.T) {
	w := newWorld(t, saturday)
	const list = "/v1/lists/bob"
	w.do("POST", list+"/entries", `{"title":"Bins","date":"2026-11-28","repeat":"FREQ=DAILY","uid":"a@example"}`).want(201, "")
	file := w.do("GET", list+"/export?format=json", "").want(200, "").body
	file = strings.ReplaceAll(file, `"done":false`, `"done":true`)
	for _, want := range []string{`"changed":1`, `"left":1`} { // the second time it is as it is
		if got := w.do("POST", list+"/import?format=json", file).want(200, ""); !strings.Contains(got.body, want) {
			t.Errorf("answered %s, want %s", got.body, want)
		}
		if e := w.entry(list + "/entries/1"); !e.Done || e.Date != "2026-11-28" || e.Repeat != "FREQ=DAILY" || e.Rev != 2 {
			t.Errorf("%+v", e)
		}
	}
}

func TestDoingAllThatAFilterChooses(t *testing.T) {
	w := newWorld(t, saturday)
	for _, fields := range []string{`"date":"2026-11-20","repeat":"FREQ=WEEKLY;COUNT=3"`, `"date":"2026-11-21"`, `"date":"2026-11-22","repeat":"FREQ=DAILY;COUNT=1"`} {
		w.do("POST", "/v1/lists/bob/entries", `{"title":"a","tags":["x"],`+fields+`}`).want(201, "")
	}
	w.do("POST", "/v1/lists/bob/bulk", `{"filter":"#x & overdue","op":"patch","done":true}`).want(200, `{"rev":4,"ids":[1,2,3]}`)
	w.do("GET", "/v1/lists/bob", "").want(200, `{"name":"bob","entries":3,"open":1,"rev":4}`)
	if e := w.entry("/v1/lists/bob/entries/1"); e.Done || e.Date != "2026-11-27" || e.Repeat != "FREQ=WEEKLY;COUNT=2" {
		t.Errorf("%+v", e)
	}
}

// A mistake is undone as any other change: it is due again when it was, as often as before.
func TestUndoingWhatRepeats(t *testing.T) {
	w := newWorld(t, saturday)
	const path = "/v1/lists/bob/entries/1"
	w.do("POST", "/v1/lists/bob/entries", `{"title":"Bins","date":"2026-11-28","repeat":"FREQ=WEEKLY;COUNT=2"}`).want(201, "")
	w.do("PATCH", path, `{"done":true}`).want(200, "")
	w.do("POST", "/v1/undo", `{"rev":2}`).want(200, "")
	if e := w.entry(path); e.Done || e.Date != "2026-11-28" || e.Repeat != "FREQ=WEEKLY;COUNT=2" || e.Completed != nil || e.Rev != 3 {
		t.Errorf("%+v", e)
	}
	w.do("PATCH", path, `{"done":true}`).want(200, "")
	w.do("PATCH", path, `{"done":true}`).want(200, "") // for good
	w.do("POST", "/v1/undo", `{"rev":5}`).want(200, "")
	if e := w.entry(path); e.Done || e.Date != "2026-12-05" || e.Repeat != "FREQ=WEEKLY;COUNT=1" || e.Completed == nil {
		t.Errorf("%+v", e)
	}
}
