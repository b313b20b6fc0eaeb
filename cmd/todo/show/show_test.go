package show

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"todod/cmd/internal/cli"
	"todod/httpapi/api"
)

// A Wednesday morning.
var now = time.Date(2018, 12, 12, 10, 0, 0, 0, time.FixedZone("CET", 3600))

// house is a list with something of everything.
func house() []api.Entry {
	return []api.Entry{
		{List: "bob", ID: 1, Title: "Dentist, bring the x-rays and the letter of the insurance", Date: "2018-12-13",
			More: api.More{Time: "09:00", Priority: 1, Tags: []string{"health", "town"}, Repeat: "FREQ=MONTHLY;INTERVAL=6"}},
		{List: "bob", ID: 2, Title: "Rent", Date: "2018-12-01", More: api.More{Priority: 3}},
		{List: "bob", ID: 3, Title: "Stand-up", Date: "2018-12-12", More: api.More{Time: "09:30"}},
		{List: "bob", ID: 4, Title: "Call with Tokyo", Date: "2018-12-12", More: api.More{Time: "23:00", TZ: "Asia/Tokyo"}}, // 15:00 here
		{List: "bob", ID: 5, Title: "Bins", Date: "2018-12-14", More: api.More{Repeat: "FREQ=WEEKLY;BYDAY=MO,FR", RepeatFrom: "done"}},
		{List: "bob", ID: 6, Title: "Walk", Date: "2018-12-16"},
		{List: "bob", ID: 7, Title: "Plan the week", Date: "2018-12-17"},
		{List: "bob", ID: 8, Title: "Passport", Date: "2021-05-04"},
		{List: "bob", ID: 9, Title: "Move house", More: api.More{Notes: "Ask Anna\nThe brothers of Łukasz have a van and could carry the dentist's chair"}},
		{List: "bob", ID: 10, Title: "Pack", More: api.More{Parent: 9, Priority: 9}},
		{List: "bob", ID: 11, Title: "Boxes", Done: true, More: api.More{Parent: 10}},
		{List: "bob", ID: 12, Title: "引っ越しのトラックを予約する、大きいもの 🚚", Date: "2018-12-12", More: api.More{Parent: 9}},
		{List: "bob", ID: 13, Title: "👩\u200d🔬 lab e\u0301 \u05e9\u05dc\u05d5\u05dd", Done: true, Date: "2018-12-11"},
		{List: "bob", ID: 14, Title: "evil \x1b[2J\u202e\u200d", Date: "2018-12-12", More: api.More{Tags: []string{"\x1b]0;x\a"}}},
		{List: "bob", ID: 15, Title: "Orphan", More: api.More{Parent: 99}},
		{List: "bob", ID: 16, Title: "Eggs", Done: true, More: api.More{Parent: 17}},
		{List: "bob", ID: 17, Title: "Hens", More: api.More{Parent: 16}},
	}
}

// What each view looks like on terminals of three widths, and in a pipe. GOLDEN=update writes the files anew, to be looked
// at before they are kept.
func TestViews(t *testing.T) {
	colour := func(sgr, text string) string { return "<" + sgr + ">" + text + "</>" }
	for _, try := range []struct {
		name string
		view func(w io.Writer, e []api.Entry, opt Options) error
		opt  Options
	}{
		{"days-40", Days, Options{Width: 40}},
		{"days-80", Days, Options{Width: 80}},
		{"days-200", Days, Options{Width: 200, Lists: true}},
		{"days-colour", Days, Options{Paint: colour}},
		{"tree-40", Tree, Options{Width: 40}},
		{"tree-80", Tree, Options{Width: 80}},
		{"tree-200", Tree, Options{Width: 200, Lists: true}},
		{"found-40", Found, Options{Width: 40, Words: []string{"dent"}}},
		{"found-80", Found, Options{Width: 80, Lists: true, Words: []string{"dent"}}},
		{"found-colour", Found, Options{Paint: colour, Words: []string{"dent", "hea", "pack", "lukasz", "カ"}}},
		{"table", Table, Options{}},
		{"table-lists", Table, Options{Lists: true}},
	} {
		t.Run(try.name, func(t *testing.T) {
			try.opt.Now = now
			var out bytes.Buffer
			if err := try.view(&out, house(), try.opt); err != nil {
				t.Fatal(err)
			}
			file := filepath.Join("testdata", try.name+".txt")
			if os.Getenv("GOLDEN") == "update" {
				if err := os.WriteFile(file, out.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if out.String() != string(want) {
				t.Errorf("got\n%s\nwant\n%s", &out, want)
			}
			for line := range strings.Lines(out.String()) {
				line = strings.TrimSuffix(line, "\n")
				if w := cli.Width(line); try.opt.Width > 0 && w > try.opt.Width {
					t.Errorf("%d columns: %s", w, line)
				}
				if cli.Safe(line) != line {
					t.Errorf("unsafe: %q", line)
				}
			}
		})
	}
}

func TestRepeat(t *testing.T) {
	for _, try := range [][3]string{
		{"FREQ=DAILY", "", "every day"},
		{"FREQ=DAILY;INTERVAL=1", "due", "every day"},
		{"FREQ=MONTHLY;INTERVAL=6", "done", "every! 6 months"},
		{"FREQ=WEEKLY;BYDAY=MO,FR;UNTIL=20190131T000000Z", "", "every week on Mon, Fri until 2019-01-31"},
		{"FREQ=MONTHLY;BYMONTHDAY=-1;COUNT=3", "", "every month on the last day, 3 times"},
		{"FREQ=MONTHLY;BYMONTHDAY=1,15", "", "every month on day 1, 15"},
		{"FREQ=MONTHLY;BYDAY=MO;BYSETPOS=2", "", "FREQ=MONTHLY;BYDAY=MO;BYSETPOS=2"},
		{"FREQ=DAILY;FREQ=WEEKLY", "", "FREQ=DAILY;FREQ=WEEKLY"},
		{"\x1b[2J", "", `\x1b[2J`},
	} {
		if got := Repeat(try[0], try[1]); got != try[2] {
			t.Errorf("%s: %q, want %q", try[0], got, try[2])
		}
	}
}

func BenchmarkDays(b *testing.B) {
	var many []api.Entry
	for i := range 10_000 {
		many = append(many, house()[i%17])
	}
	var out bytes.Buffer
	for b.Loop() {
		out.Reset()
		if err := Days(&out, many, Options{Width: 80, Now: now}); err != nil {
			b.Fatal(err)
		}
	}
	if !strings.Contains(out.String(), "Overdue") {
		b.Error("nothing is overdue")
	}
}

func TestCount(t *testing.T) {
	entries := house()
	yesterday, june := now.AddDate(0, 0, -1), now.AddDate(0, -6, 0)
	entries[10].Completed, entries[12].Completed = &yesterday, &june
	s := Count(entries, Options{Now: now})
	if s.Entries != s.Open+s.Done || s.Open != s.Overdue+s.Today+s.Tomorrow+s.ThisWeek+s.Later+s.NoDate {
		t.Errorf("does not add up: %+v", s)
	}
	var rows []string
	for _, row := range s.Rows() {
		rows = append(rows, strings.Join(row, " "))
	}
	want := "open 14|overdue 2|today 3|tomorrow 1|this week 2|later 2|no date 4|done 3|done in 7 days 1|p1 1|p3 1|p9 1|#\x1b]0;x\a 1|#health 1|#town 1"
	if got := strings.Join(rows, "|"); got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}
