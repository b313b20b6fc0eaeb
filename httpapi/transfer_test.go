package httpapi

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"todod/httpapi/api"
	"todod/httpapi/format"
)

const imports = "/v1/lists/bob/import?format="

// take sends a file in and returns the report.
func (w *world) take(format, file string, header ...string) api.ImportReport {
	w.t.Helper()
	return w.do("POST", imports+format, file, header...).want(http.StatusOK, "").report()
}

func (a *answer) report() (r api.ImportReport) {
	a.t.Helper()
	if err := json.Unmarshal([]byte(a.body), &r); err != nil {
		a.t.Fatal(err)
	}
	return r
}

// counts is a report in short: added changed left refused skipped.
func tally(r api.ImportReport) string {
	return fmt.Sprintf("%d %d %d %d %d", r.Added, r.Changed, r.Left, r.Refused, r.Skipped)
}

func TestImportAndExport(t *testing.T) {
	w := newWorld(t)
	const file = "title,date,tags,parent,id\nDentist,2018-12-19,health,,7\n=ring,,,7,8\nSon of a later one,,,10,9\nLater,,,,10\n"
	dry := w.take("csv&dry_run=true", file)
	if tally(dry) != "4 0 0 0 0" || !dry.DryRun || dry.Rev != 0 || len(dry.Lines) != 4 {
		t.Errorf("%+v", dry)
	}
	w.do("GET", "/v1/lists/bob", "").problem(api.CodeNotFound, "")
	first := w.take("csv", file)
	if tally(first) != "4 0 0 0 0" || first.Lines[1].Line != 3 || first.Lines[1].ID != 2 || first.Rev == 0 {
		t.Errorf("%+v", first)
	}
	for id, parent := range map[int]uint64{1: 0, 2: 1, 3: 4, 4: 0} {
		var e api.Entry
		w.do("GET", "/v1/lists/bob/entries/"+strconv.Itoa(id), "").want(http.StatusOK, "").decode(&e)
		if e.Parent != parent {
			t.Errorf("the parent of %d is %d, want %d", id, e.Parent, parent)
		}
	}
	again := w.take("csv", file)
	if tally(again) != "0 0 4 0 0" || again.Rev != 0 {
		t.Errorf("the same file again: %+v", again)
	}
	changed := w.take("csv", strings.Replace(file, ",7\n", ",7\nNew,,,,\n", 1)+"Dentist,2018-12-20,,,\n")
	if tally(changed) != "2 0 4 0 0" {
		t.Errorf("a file with two lines more: %+v", changed)
	}
}

// An export depends on its list and on nothing else: the same rev is the same file, to the byte, as its strong tag says.
func TestAnExportIsOfItsRev(t *testing.T) {
	w := newWorld(t)
	w.take("csv", "title,date\nDentist,2018-12-19\nBread,\n")
	for _, f := range format.Names() {
		path := "/v1/lists/bob/export?format=" + f
		first := w.do("GET", path, "").want(http.StatusOK, "")
		tag := first.header.Get("ETag")
		w.add("ann", "another list", "")
		w.do("GET", path, "").want(http.StatusOK, first.body[:len(first.body)-1]).has("ETag", tag)
		w.do("GET", path, "", "If-None-Match: "+tag).want(http.StatusNotModified, "")
		w.do("GET", path, "", "If-Match: "+tag).want(http.StatusOK, "")
		w.add("bob", f, "")
		w.do("GET", path, "", "If-Match: "+tag).problem(api.CodePrecondition, "")
	}
}

// Whatever the format, an export of a list changes nothing where it came from, makes the same list elsewhere, and
// changes nothing there the second time.
func TestExportsComeIn(t *testing.T) {
	w := newWorld(t)
	w.take("json", `[{"id":1,"title":"Dentist, \"upstairs\"","date":"2026-12-19","time":"09:30","tz":"Europe/Berlin","priority":1,"tags":["health","home"],
		"notes":"bring\ncard","repeat":"FREQ=YEARLY;UNTIL=20301231","remind":["-PT15M"],"x":{"b":1,"a":{"ical":[]}}},
		{"id":2,"title":"=1+1 @home due:2026-01-01","parent":3},{"id":3,"title":"x","done":true,"uid":"u 3"},{"id":4,"title":"over","parent":2}]`)
	w.add("bob", "added by hand", "2018-12-19")
	for _, f := range []string{"json", "csv", "todotxt", "ical", "taskwarrior"} {
		file := w.do("GET", "/v1/lists/bob/export?format="+f, "").want(http.StatusOK, "").has("Content-Type", format.Find(f).Type).
			has("Content-Disposition", `attachment; filename="list`+format.Find(f).Suffix+`"; filename*=UTF-8''bob`+format.Find(f).Suffix).body
		if r := w.take(f, file); tally(r) != "0 0 5 0 0" {
			t.Errorf("%s into its own list: %+v\n%s", f, r, file)
		}
		into := "/v1/lists/" + f + "/import?format=" + f
		if r := w.do("POST", into, file).want(http.StatusOK, "").report(); tally(r) != "5 0 0 0 0" {
			t.Errorf("%s into a new list: %+v\n%s", f, r, file)
		}
		if r := w.do("POST", into, file).want(http.StatusOK, "").report(); tally(r) != "0 0 5 0 0" {
			t.Errorf("%s again: %+v", f, r)
		}
		if f != "todotxt" {
			w.sameEntries("bob", f)
		}
	}
}

// Todoist knows those below another one by what stands before them.
func TestTodoistComesAsATree(t *testing.T) {
	w := newWorld(t)
	w.take("json", `[{"id":1,"title":"a"},{"id":2,"title":"c"},{"id":3,"title":"b","parent":1},{"id":4,"title":"d","parent":2}]`)
	file := w.do("GET", "/v1/lists/bob/export?format=todoist", "").want(http.StatusOK, "").body
	if r := w.do("POST", "/v1/lists/t/import?format=todoist", file).want(http.StatusOK, "").report(); tally(r) != "4 0 0 0 0" {
		t.Errorf("%+v", r)
	}
	var page api.Entries
	w.do("GET", "/v1/lists/t/entries", "").want(http.StatusOK, "").decode(&page)
	for i, want := range []string{"a 0", "b 1", "c 0", "d 3"} {
		if e := page.Entries[i]; fmt.Sprint(e.Title, " ", e.Parent) != want {
			t.Errorf("%d is %+v, want %s", i, e, want)
		}
	}
	if r := w.do("POST", "/v1/lists/t/import?format=todoist", file).want(http.StatusOK, "").report(); tally(r) != "0 0 4 0 0" {
		t.Errorf("again: %+v", r)
	}
	// Midnight where a file of Taskwarrior was made is a date.
	w.do("POST", "/v1/lists/w/import?format=taskwarrior&tz=Europe/Berlin", `[{"uuid":"u","description":"a","due":"20261218T230000Z"}]`).want(http.StatusOK, "")
	w.do("GET", "/v1/lists/w/entries", "").want(http.StatusOK, "").decode(&page)
	if e := page.Entries[0]; e.Date != "2026-12-19" || e.Time != "" {
		t.Errorf("%+v", e)
	}
	if out := w.do("GET", "/v1/lists/w/export?format=taskwarrior&tz=Europe/Berlin", "").want(http.StatusOK, "").body; !strings.Contains(out, `"due":"20261218T230000Z"`) {
		t.Errorf("%s", out)
	}
	w.do("POST", "/v1/lists/w/import?format=taskwarrior&tz=Mars", "[]").problem(api.CodeInvalid, "not_applied", "tz")
}

// sameEntries checks that two lists are alike in all that can be set but the ids.
func (w *world) sameEntries(a, b string) {
	w.t.Helper()
	var lists [2]api.Entries
	for i, list := range []string{a, b} {
		w.do("GET", "/v1/lists/"+list+"/entries", "").want(http.StatusOK, "").decode(&lists[i])
	}
	if len(lists[0].Entries) != len(lists[1].Entries) {
		w.t.Fatalf("%d and %d entries", len(lists[0].Entries), len(lists[1].Entries))
	}
	for i := range lists[0].Entries {
		x, y := &lists[0].Entries[i], &lists[1].Entries[i]
		same := x.Title == y.Title && x.Date == y.Date && x.Done == y.Done && x.Parent == y.Parent && x.Notes == y.Notes && x.Repeat == y.Repeat &&
			x.Due == y.Due && fmt.Sprint(x.Tags, x.Remind, x.Priority) == fmt.Sprint(y.Tags, y.Remind, y.Priority) && sameJSON(string(x.X), string(y.X)) && y.UID == format.UID(x)
		if !same {
			w.t.Errorf("%s has\n%+v, %s\n%+v", a, *x, b, *y)
		}
	}
}

// What is wrong is told by line; all else is taken.
func TestImportReports(t *testing.T) {
	w := newWorld(t)
	r := w.take("csv", "title,date,time,uid,project,parent\nGood,,,a,p,\n,,,b,,\nBad date,2026-02-30,,c,,\nNo date,,09:30,d,,\nTwice,,,a,,\nOrphan,,,e,,99\nNUL\x00,,,f,,\n")
	if tally(r) != "2 0 0 5 1" {
		t.Errorf("%+v", r)
	}
	want := []string{`1 skipped the column "project" is not known and was left out`, "2 added", "3 refused title must not be empty", "4 refused date must be a real date like 2018-12-19",
		"5 refused time needs a date", "6 refused the file has this entry twice: line 2 has the same uid", "7 added " + noParent, "8 refused it has a NUL character"}
	for i, l := range r.Lines {
		got := strings.TrimSpace(fmt.Sprint(l.Line, " ", l.Did, " ", strings.Join(l.Remarks, "; ")))
		if i >= len(want) || got != want[i] {
			t.Errorf("line %d: %s", i, got)
		}
	}
	// A file says nothing of what it has no place for.
	w.do("PATCH", "/v1/lists/bob/entries/1", `{"notes":"mine","date":"2026-12-19"}`).want(http.StatusOK, "")
	if r := w.take("csv", "uid,title\na,Better\n"); tally(r) != "0 1 0 0 0" {
		t.Errorf("%+v", r)
	}
	var e api.Entry
	w.do("GET", "/v1/lists/bob/entries/1", "").want(http.StatusOK, "").decode(&e)
	if e.Title != "Better" || e.Notes != "mine" || e.Date != "2026-12-19" {
		t.Errorf("%+v", e)
	}
	// Depth and circles are for the list to refuse.
	w.take("json", `[{"id":1,"uid":"1","title":"1"},{"id":2,"uid":"2","title":"2","parent":1},{"id":3,"uid":"3","title":"3","parent":2},{"id":4,"uid":"4","title":"4","parent":3},
		{"id":5,"uid":"5","title":"5","parent":4}]`)
	if r := w.take("json", `[{"id":1,"uid":"1","title":"1","parent":3},{"id":3,"uid":"3","title":"3","parent":1},{"id":6,"uid":"6","title":"6","parent":7},{"id":7,"uid":"7","title":"7"}]`); r.Refused+r.Added+r.Changed+r.Left != 4 || len(r.Lines) != 4 {
		t.Errorf("%+v", r)
	}
}

// A file that cannot be read any further: what stands before is taken, and the answer says so.
func TestImportBreaksOff(t *testing.T) {
	w := newWorld(t)
	a := w.do("POST", imports+"json", `[{"title":"a"},{"title":"b"} {`).problem(api.CodeInvalid, "applied", "line 1")
	var p api.Problem
	a.decode(&p)
	if p.Import == nil || tally(*p.Import) != "2 0 0 0 0" || !strings.Contains(p.Detail, "2 entries were added") {
		t.Errorf("%+v", p)
	}
	w.do("POST", imports+"json", "hello").problem(api.CodeInvalid, "not_applied", "line 1: the file must be JSON")
	w.do("POST", "/v1/lists/bob/import", "[]").problem(api.CodeInvalid, "not_applied", "format must be json, csv")
	w.do("POST", imports+"xml", "").problem(api.CodeInvalid, "not_applied", "format must be")
	w.do("POST", imports+"csv&dry_run=1", "").problem(api.CodeInvalid, "not_applied", "dry_run")
	w.do("POST", imports+"json", "[]", "Content-Encoding: gzip").problem(api.CodeMediaType, "not_applied")
	w.do("GET", "/v1/lists/none/export?format=csv", "").problem(api.CodeNotFound, "")
	w.do("GET", "/v1/lists/bob/export", "").problem(api.CodeInvalid, "", "format")
	w.do("HEAD", "/v1/lists/bob/export?format=ical", "").want(http.StatusOK, "").has("Content-Type", "text/calendar; charset=utf-8")
}

// 2,500 entries are three parts and three revs. Interrupted in the second, an import with the same key goes on.
func TestImportInParts(t *testing.T) {
	w := newWorld(t)
	var file strings.Builder
	for i := range 2500 {
		fmt.Fprintf(&file, "entry %d\n", i)
	}
	w.node.set(func(g *group) { g.failAfter = 1 })
	const key = "Idempotency-Key: 0123456789abcdef"
	var p api.Problem
	w.do("POST", imports+"todotxt", file.String(), key).problem(api.CodeNoLeader, "applied").decode(&p)
	if p.Import == nil || p.Import.Added != 1000 {
		t.Errorf("%+v", p.Import)
	}
	w.node.set(func(g *group) { g.failAfter = 0 })
	if r := w.take("todotxt", file.String(), key); tally(r) != "1500 0 1000 0 0" || r.Rev != 3 || len(r.Lines) != 2500 {
		t.Errorf("%s, rev %d", tally(r), r.Rev)
	}
	out := w.do("GET", "/v1/lists/bob/export?format=todotxt", "").want(http.StatusOK, "").body
	if n := strings.Count(out, "\n"); n != 2500 {
		t.Errorf("%d lines", n)
	}
}

// Others change the list between the look at it and the write: the part is worked out anew, nothing is doubled, and what the
// file does not speak of is not lost.
func TestImportAmongOthers(t *testing.T) {
	w := newWorld(t)
	w.take("csv", "uid,title\na,A\n")
	w.node.set(func(g *group) {
		g.before = func() {
			w.do("PATCH", "/v1/lists/bob/entries/1", `{"notes":"theirs","title":"Theirs"}`).want(http.StatusOK, "")
			w.do("POST", "/v1/lists/bob/entries", `{"title":"B","uid":"b"}`).want(http.StatusCreated, "")
		}
	})
	if r := w.take("csv", "uid,title\na,Mine\nb,B\nc,C\n"); tally(r) != "1 1 1 0 0" {
		t.Errorf("%+v", r)
	}
	var page api.Entries
	w.do("GET", "/v1/lists/bob/entries", "").want(http.StatusOK, "").decode(&page)
	if len(page.Entries) != 3 || page.Entries[0].Title != "Mine" || page.Entries[0].Notes != "theirs" {
		t.Errorf("%+v", page.Entries)
	}
	w.node.set(func(g *group) {
		g.before = func() { w.do("DELETE", "/v1/lists/bob", "").want(http.StatusNoContent, "") }
	})
	if r := w.take("csv", "uid,title\na,Again\nb,B\nc,C\n"); tally(r) != "3 0 0 0 0" {
		t.Errorf("into a list that was taken away: %+v", r)
	}
}

// The lines of a long report that matter are in it.
func TestImportReportsAreBounded(t *testing.T) {
	r := report{}
	for i := range 2 * maxReported {
		r.add(api.ImportLine{Line: i + 1, Did: api.DidLeave})
	}
	r.add(api.ImportLine{Line: 2*maxReported + 1, Did: api.DidRefuse, Remarks: []string{"no"}})
	out := r.api()
	if len(out.Lines) != maxReported || out.Omitted != maxReported+1 || out.Lines[maxReported-1].Did != api.DidRefuse || out.Left != 2*maxReported {
		t.Errorf("%d lines, %d omitted", len(out.Lines), out.Omitted)
	}
}

func TestTransfersAreBounded(t *testing.T) {
	w := newWorld(t)
	for range maxTransfers {
		w.srv.transfers <- struct{}{}
	}
	w.do("POST", imports+"json", "[]").problem(api.CodeOverloaded, "not_applied")
	w.do("GET", "/v1/lists/bob/export?format=json", "").problem(api.CodeOverloaded, "")
	for range maxTransfers {
		<-w.srv.transfers
	}
	w.do("POST", imports+"json", "[]").want(http.StatusOK, "")
}
