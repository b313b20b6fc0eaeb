package format

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"todod/fsm/todo"
)

func TestTodoTxtKeepsWhatALineCanHold(t *testing.T) {
	roundTrip(t, Find(Todo), func(e *Entry) {
		e.UID = UID(&e.Entry)
		e.Created = e.Created.Truncate(24 * time.Hour)
		if e.Completed != nil {
			at := e.Completed.Truncate(24 * time.Hour)
			e.Completed = &at
		}
		e.List, e.ID, e.Rev, e.Updated, e.Parent = "", 0, 0, time.Time{}, 0
		e.Notes, e.X, e.Lacks = "", nil, todo.FieldNotes|todo.FieldX
	})
}

func TestTodoTxtLines(t *testing.T) {
	for line, want := range map[string]string{
		"(A) Thank Mom for the meatballs @phone":                                  "Thank Mom for the meatballs|1|phone||",
		"(B) 2011-03-02 Schedule Goodwill pickup +GarageSale @phone":              "Schedule Goodwill pickup|2|+GarageSale phone||",
		"@GroceryStore Eskimo pies":                                               "@GroceryStore Eskimo pies||GroceryStore||",
		"Ask @ann about the garden":                                               "Ask @ann about the garden||ann||",
		"x 2011-03-02 2011-03-01 Review Tim's pull request +TodoTxtTouch @github": "Review Tim's pull request||+TodoTxtTouch github||x",
		"x Really old":                      "Really old||||x",
		"xylophone lesson":                  "xylophone lesson||||",
		"X 2012-01-01 Make resolutions":     "X 2012-01-01 Make resolutions||||",
		"(b) Get back to the boss":          "(b) Get back to the boss||||",
		"(B)->Submit TPS report":            "(B)->Submit TPS report||||",
		"Email SoAndSo at soandso@x.com":    "Email SoAndSo at soandso@x.com||||",
		"Learn how to add 2+2":              "Learn how to add 2+2||||",
		"Pay rent due:2026-12-01 rec:+1m":   "Pay rent|||2026-12-01 FREQ=MONTHLY|",
		"Water plants rec:3d @home":         "Water plants||home|FREQ=DAILY;INTERVAL=3 done|",
		"See http://x.com/?due:2026-12-01 ": "See http://x.com/?due:2026-12-01||||",
		"Pay due:tomorrow":                  "Pay due:tomorrow||||",
		"(Z) Last of all":                   "Last of all|9|||",
		"x 2026-01-01 Old one pri:B":        "Old one|2|||x",
		"@home":                             "@home||home||",
		"x":                                 "x||||",
		"100%25 sure of 50% at %2":          "100%25 sure of 50% at %2||||",
	} {
		entries, faults := decode(t, Find(Todo), "\n"+line+"\r\n\n  \n")
		if len(entries) != 1 || len(faults) > 0 || entries[0].Line != 2 {
			t.Errorf("%s: %v %v", line, entries, faults)
			continue
		}
		e := entries[0]
		done := ""
		if e.Done {
			done = "x"
		}
		got := strings.Join([]string{e.Title, number(uint64(e.Priority)), strings.Join(e.Tags, " "), strings.TrimSpace(strings.Join([]string{e.Date, e.Repeat, e.RepeatFrom}, " ")), done}, "|")
		got = strings.ReplaceAll(got, "  ", " ")
		if got != want {
			t.Errorf("%s\n is %s\nnot %s", line, got, want)
		}
	}
}

// An export is what other programs expect, not only what we read again.
func TestTodoTxtLooksAsOthersDo(t *testing.T) {
	done := time.Date(2026, 11, 28, 9, 0, 0, 0, time.UTC)
	a, b, c := &Entry{}, &Entry{}, &Entry{}
	a.Title, a.Tags, a.Priority, a.UID, a.Created, a.Date, a.Time = "Call @mom about dinner", []string{"home", "mom"}, 1, "u1", done, "2026-12-01", "18:30"
	b.Title, b.Done, b.Completed, b.Created, b.UID, b.Priority, b.Tags = "Dentist", true, &done, done.AddDate(0, 0, -1), "u 2", 2, []string{"+health"}
	c.Title, c.UID = "x marks due:2026-12-01 @here", "u3"
	want := "(A) 2026-11-28 Call @mom about dinner @home due:2026-12-01 time:18:30 uid:u1\n" +
		"x 2026-11-28 2026-11-27 Dentist +health pri:B uid:u%202\n" +
		"%78 marks %64ue:2026-12-01 %40here uid:u3\n"
	if got := encode(t, Find(Todo), []*Entry{a, b, c}); got != want {
		t.Errorf("got\n%s, want\n%s", got, want)
	}
}

func TestTodoTxtRefuses(t *testing.T) {
	checkRefusals(t, Find(Todo), []refusal{
		{"a NUL", "a\nb\x00\nc\n", 2, "line 2: it has a NUL character"},
		{"no UTF-8", "a\n\xff\nc", 2, "line 2: it is not in UTF-8"},
		{"10 MB in a line", "a\n" + strings.Repeat("b ", 5<<20) + "\nc\n", 2, "line 2: it is longer than 512 KiB"},
		{"1 MB at the end", "a\n" + strings.Repeat("b", 1<<20), 1, "line 2: it is longer than 512 KiB"},
	})
}

// A file that todo.sh made, and one of ours that it goes on with.
func TestTodoTxtAndTheProgram(t *testing.T) {
	program, err := exec.LookPath("todo-txt")
	if err != nil {
		t.Skip("todo-txt is not here: apt-get install todotxt-cli")
	}
	dir := t.TempDir()
	config := filepath.Join(dir, "config")
	if err := os.WriteFile(config, []byte("export TODO_DIR="+dir+"\nexport TODO_FILE=$TODO_DIR/todo.txt\nexport DONE_FILE=$TODO_DIR/done.txt\nexport REPORT_FILE=$TODO_DIR/report.txt\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) string {
		t.Helper()
		cmd := exec.Command(program, append([]string{"-d", config, "-p", "-f", "-a"}, args...)...)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("todo-txt %v: %v\n%s", args, err, out)
		}
		return string(out)
	}
	run("-t", "add", "Dentist @health due:2026-12-19")
	run("-t", "add", "Ask Ann about the +garden")
	run("add", "Bread")
	run("pri", "2", "B")
	run("do", "3")
	file := filepath.Join(dir, "todo.txt")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	entries, faults := decode(t, Find(Todo), string(text))
	if len(entries) != 3 || len(faults) > 0 {
		t.Fatalf("%v %v from\n%s", entries, faults, text)
	}
	a, b, c := entries[0], entries[1], entries[2]
	if a.Title != "Dentist" || a.Date != "2026-12-19" || a.Created.IsZero() || b.Priority != 2 || b.Title != "Ask Ann about the" || !slices.Equal(b.Tags, []string{"+garden"}) ||
		c.Title != "Bread" || !c.Done || c.Completed == nil {
		t.Errorf("%+v\n%+v\n%+v\nfrom\n%s", *a, *b, *c, text)
	}
	if err := os.WriteFile(file, []byte(encode(t, Find(Todo), entries)), 0o600); err != nil {
		t.Fatal(err)
	}
	if out := run("ls", "@health"); !strings.Contains(out, "Dentist @health due:2026-12-19") || !strings.Contains(out, "TODO: 1 of 3") {
		t.Errorf("%s", out)
	}
	run("do", "1")
	text, _ = os.ReadFile(file)
	if entries, _ := decode(t, Find(Todo), string(text)); len(entries) != 3 || !entries[0].Done || entries[0].UID == "" {
		t.Errorf("%s", text)
	}
}

func FuzzTodoTxt(f *testing.F) {
	fuzz(f, Find(Todo), "x 2026-11-28 2026-11-01 a @b uid:%20\n", "(A) 2026-11-01 %41 +c d\n", "x x x\nrec:+1m rec:1d\n", "@ + @+ pri:Z\r\n")
}
