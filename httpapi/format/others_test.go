package format

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"todod/fsm/todo"
)

func TestTaskwarriorKeepsAllButIDs(t *testing.T) {
	roundTrip(t, Find(Task), func(e *Entry) {
		e.UID = UID(&e.Entry)
		e.List, e.ID, e.Rev, e.Parent = "", 0, 0, 0
		e.Created, e.Updated = e.Created.Truncate(time.Second), e.Updated.Truncate(time.Second)
		if e.Completed != nil {
			at := e.Completed.Truncate(time.Second)
			e.Completed = &at
		}
	})
}

func TestTodoistKeepsWhatARowCanHold(t *testing.T) {
	roundTrip(t, Find(Todoist), func(e *Entry) {
		e.List, e.Rev, e.UID, e.Above, e.Parent, e.Depth = "", 0, "", "", 0, 0
		e.Created, e.Updated, e.Remind, e.X = time.Time{}, time.Time{}, nil, nil
		e.Priority = map[int]uint8{1: 1, 2: 5, 3: 9, 4: 0}[todoistPriority(e.Priority)]
		if strings.Contains(e.Repeat, "BY") || strings.Contains(e.Repeat, "UNTIL") {
			e.Repeat, e.RepeatFrom = "", ""
		}
		e.Lacks = todo.FieldDone | todo.FieldRemind | todo.FieldX
	}, func(e *Entry) { e.Done, e.Completed = false, nil })
}

// What Todoist exports: sections, notes, labels, indents, dates in words.
func TestTodoistOfTodoist(t *testing.T) {
	file := "\ufeffTYPE,CONTENT,DESCRIPTION,PRIORITY,INDENT,AUTHOR,RESPONSIBLE,DATE,DATE_LANG,TIMEZONE\r\n" +
		"task,Plan @home \\@work,\"two\nlines\",1,1,Ann (1),,2026-12-19 09:30,en,Europe/Berlin\r\n" +
		"note,a note,,,,Ann (1),,,,\r\n,,,,,,,,,\r\n" +
		"task,Below,,4,2,,,every day,en,\r\ntask,Deeper,,3,9,,,every! 2 weeks starting 2026-12-19,en,\r\n" +
		"section,House work,,,,,,,,\r\ntask,Sweep,,2,1,,,19 Dec 2026,en,Mars\r\ntask,Bad,,9,1,,,,,\r\n"
	entries, faults := decode(t, Find(Todoist), file)
	if len(entries) != 4 || len(faults) != 1 || faults[0].Error() != "line 10: PRIORITY must be a number from 1 to 4" {
		t.Fatalf("%v %v", entries, faults)
	}
	for i, want := range []string{"2026-12-19 09:30 Europe/Berlin #home", `| the date "every day" was not understood and was left out`, "2026-12-19 FREQ=WEEKLY;INTERVAL=2",
		`2026-12-19 #+House-work | the tag "+House work" became "+House-work"`} {
		if got := describe(entries[i]); got != want {
			t.Errorf("%d is %s\nnot  %s", i, got, want)
		}
	}
	a, b, c, d := entries[0], entries[1], entries[2], entries[3]
	if a.Title != "Plan @work" || a.Notes != "two\nlines\na note" || a.Priority != 1 || b.Parent != a.ID || c.Parent != b.ID || c.RepeatFrom != "done" || d.Parent != 0 || d.Priority != 5 {
		t.Errorf("%+v\n%+v\n%+v\n%+v", *a, *b, *c, *d)
	}
}

// What is done is left out, and what is below it moves up.
func TestTodoistLeavesOutWhatIsDone(t *testing.T) {
	var entries []*Entry
	for i, e := range []struct {
		title string
		depth int
		done  bool
	}{{"a", 0, false}, {"b", 1, true}, {"c", 2, false}, {"d", 0, true}, {"e", 1, false}} {
		entry := &Entry{Depth: e.depth}
		entry.ID, entry.Title, entry.Done = uint64(i+1), e.title, e.done
		entries = append(entries, entry)
	}
	got, _ := decode(t, Find(Todoist), encode(t, Find(Todoist), entries))
	if len(got) != 3 || got[1].Title != "c" || got[1].Parent != got[0].ID || got[2].Parent != 0 {
		t.Errorf("%+v", got)
	}
}

func TestOthersRefuse(t *testing.T) {
	checkRefusals(t, Find(Task), []refusal{
		{"nothing", "", 0, "line 1: must be JSON: it ends too early"},
		{"an object", `{"format":"todod"}`, 0, "line 1: the file must be a JSON array"},
		{"no task", `[7,{"description":"a"}]`, 1, "line 1: a task must be a JSON object"},
		{"a bad due", `[{"description":"a","due":"soon"},{"description":"a"}]`, 1, "line 1: due must be a time like 20261128T090000Z"},
		{"a number for a text", `[{"description":7},{"description":"a"}]`, 1, "line 1: description is not as Taskwarrior has it"},
		{"a doubled name", `[{"description":"a","description":"b"}]`, 0, `line 1: "description" is given twice`},
		{"a deleted task", "[\n{\"status\":\"deleted\"},{\"description\":\"a\"}]", 1, "line 2: a deleted task was left out"},
	})
	checkRefusals(t, Find(Todoist), []refusal{
		{"nothing", "", 0, "line 1: the file is empty: its first line must name the columns"},
		{"another table", "title,date\n", 0, "line 1: the first line must name the columns of Todoist, and TYPE is not among them"},
		{"a bad indent", "TYPE,CONTENT,INDENT\ntask,a,x\ntask,b,1\n", 1, "line 2: INDENT must be a number from 1"},
		{"a note alone", "TYPE,CONTENT\nnote,a\ntask,b\n", 1, "line 2: a note that belongs to no task was left out"},
		{"another type", "TYPE,CONTENT\ntask,a\nevent,b\n", 1, `line 3: a row of type "event" is no task and was left out`},
		{"a quote that is never closed", "TYPE,CONTENT\ntask,a\ntask,\"b\n", 1, "line 3: the quote that begins a cell is never closed"},
	})
}

// A day in the life of Taskwarrior: midnight where its user lives is a date, and of the tasks that recur one repeats.
func TestTaskwarriorOfItsUsers(t *testing.T) {
	zone, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	file := `[{"uuid":"a","description":"Dentist","due":"20261218T230000Z","priority":"H","project":"health.teeth","tags":["home"],"annotations":[{"entry":"20261128T164218Z","description":"one"},
		{"entry":"20261128T164219Z","description":"two"}],"wait":"20261201T000000Z","status":"pending","urgency":8.3},
		{"uuid":"b","description":"Rent","status":"recurring","recur":"monthly","due":"20261201T083000Z"},
		{"uuid":"c","description":"Rent","status":"pending","recur":"monthly","parent":"b","due":"20261201T083000Z"},
		{"uuid":"d","description":"Rent","status":"pending","recur":"monthly","parent":"b","due":"20270101T083000Z"},
		{"uuid":"e","description":"Done","status":"completed","end":"20261128T164218Z","tags":"x,y"}]`
	dec := Find(Task).Decoder(strings.NewReader(file), zone)
	for _, want := range []string{`2026-12-19 #+health.teeth #home x {"taskwarrior":{"wait":"20261201T000000Z"}}`, "line 3: the template of a recurring task was left out: the tasks that it made are taken",
		"2026-12-01 09:30 Europe/Berlin FREQ=MONTHLY", "2027-01-01 09:30 Europe/Berlin", "done #x #y"} {
		e, err := dec.Next()
		got := ""
		if err != nil {
			got = err.Error()
		} else {
			got = describe(e)
		}
		if got != want {
			t.Errorf("%s\nnot %s", got, want)
		}
	}
	for text, want := range map[string]string{"2w": "FREQ=WEEKLY;INTERVAL=2", "P1M": "FREQ=MONTHLY", "3mo": "FREQ=MONTHLY;INTERVAL=3", "weekdays": "FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR", "1d": "FREQ=DAILY", "5min": "", "x": ""} {
		if got := recurrence(text); got != want {
			t.Errorf("%s is %q, want %q", text, got, want)
		}
	}
}

// The program itself takes an export, changes it, and its own export comes in again.
func TestTaskwarriorItself(t *testing.T) {
	program, err := exec.LookPath("task")
	if err != nil {
		t.Skip("task is not here: apt-get install taskwarrior")
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "rc"), []byte("confirmation=no\nverbose=nothing\nrecurrence=yes\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	run := func(stdin string, args ...string) string {
		t.Helper()
		cmd := exec.Command(program, args...)
		cmd.Env = append(os.Environ(), "TASKRC="+filepath.Join(dir, "rc"), "TASKDATA="+dir, "TZ=UTC", "HOME="+dir)
		cmd.Stdin = strings.NewReader(stdin)
		var errors strings.Builder
		cmd.Stderr = &errors
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("task %v: %v\n%s%s", args, err, out, &errors)
		}
		return string(out)
	}
	a, b := &Entry{}, &Entry{Above: "list of ann"}
	a.List, a.ID, a.Title, a.Notes, a.Tags, a.Priority, a.Date, a.Time, a.TZ = "bob", 1, `Dentist "upstairs" [2]`, "bring\n\ncard \\ é", []string{"+health", "home"}, 3, "2026-12-19", "09:30", "Europe/Berlin"
	a.Created, a.Repeat, a.X = time.Unix(1700000000, 0).UTC(), "FREQ=YEARLY", json.RawMessage(`{"n":1}`)
	b.List, b.ID, b.Title, b.UID, b.Created = "bob", 2, "Bread", "123e4567-e89b-12d3-a456-426614174000", time.Unix(1700000001, 0).UTC()
	file := filepath.Join(dir, "in.json")
	if err := os.WriteFile(file, []byte(encode(t, Find(Task), []*Entry{a, b})), 0o600); err != nil {
		t.Fatal(err)
	}
	run("", "import", file)
	run("", "+home", "modify", "due:2026-12-24", "project:teeth")
	run("", "description:Bread", "done")
	run("", "add", "Own", "due:2027-01-01", "priority:M", "+x")
	entries, faults := decode(t, Find(Task), run("", "export"))
	if len(entries) != 3 || len(faults) > 0 {
		t.Fatalf("%v %v", entries, faults)
	}
	by := map[string]*Entry{}
	for _, e := range entries {
		by[e.UID] = e
	}
	got := by[UID(&a.Entry)]
	if got == nil || describe(got) != `2026-12-24 FREQ=YEARLY #+teeth #home x {"n":1}` || got.Title != a.Title || got.Notes != a.Notes || got.Priority != 3 {
		t.Errorf("%+v", got)
	}
	if got := by[b.UID]; got == nil || !got.Done || got.Completed == nil || got.Above != b.Above {
		t.Errorf("%+v", got)
	}
}

func FuzzTaskwarrior(f *testing.F) {
	fuzz(f, Find(Task), `[{"uuid":"a","description":"b","due":"20261218T230000Z","tags":["x"],"annotations":[{"entry":"","description":"n"}],"recur":"2w","wait":"x"}]`,
		`[{"description":"a","todod":"{\"title\":\"a\",\"above\":\"b\",\"x\":{\"c\":1}}"}]`, `[{"status":"deleted"},{"status":"recurring"}]`)
}

func FuzzTodoist(f *testing.F) {
	fuzz(f, Find(Todoist), "TYPE,CONTENT,DESCRIPTION,PRIORITY,INDENT,DATE,TIMEZONE\ntask,a @b,n,1,1,2026-12-19 09:30,UTC\nnote,c\ntask,d,,,2,every 2 weeks starting 2026-12-19,\nsection,e\n")
}
