package quick

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"todod/fsm/todo/recur"
)

// A Wednesday morning.
var now = time.Date(2018, 12, 12, 10, 0, 0, 0, time.FixedZone("CET", 3600))

// brief is an entry as testdata/phrases.txt has it.
func brief(e Entry) string {
	parts := []string{e.Title}
	add := func(s string) {
		if s = strings.TrimSpace(s); s != "" {
			parts = append(parts, s)
		}
	}
	add(e.Date + " " + e.Time)
	if e.Priority > 0 {
		add("p" + string(rune('0'+e.Priority)))
	}
	if len(e.Tags) > 0 {
		add("#" + strings.Join(e.Tags, " #"))
	}
	if e.Repeat != "" {
		add(e.Repeat + " " + strings.Replace(e.RepeatFrom, "done", "from done", 1))
	}
	return strings.Join(parts, " | ")
}

// Each line of the file is followed by what is read of it. QUICK=update writes it anew, to be read before it is kept.
func TestPhrases(t *testing.T) {
	const file = "testdata/phrases.txt"
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var fresh strings.Builder
	phrases := 0
	lines := strings.Split(strings.TrimSuffix(string(content), "\n"), "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, "\t") {
			continue
		}
		fresh.WriteString(line + "\n")
		if line == "" || strings.HasPrefix(line, "//") {
			continue
		}
		phrases++
		e := Parse(line, now)
		got := brief(e)
		if e.Repeat != "" {
			if _, err := recur.Check(e.Repeat); err != nil {
				t.Errorf("%s: a node refuses %s: %v", line, e.Repeat, err)
			}
		}
		fresh.WriteString("\t" + got + "\n")
		if want := strings.TrimPrefix(at(lines, i+1), "\t"); got != want && os.Getenv("QUICK") != "update" {
			t.Errorf("%s\n got %s\nwant %s", line, got, want)
		}
	}
	if phrases < 150 {
		t.Errorf("only %d phrases", phrases)
	}
	if os.Getenv("QUICK") == "update" {
		if err := os.WriteFile(file, []byte(fresh.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// What is the same day for a person is the same day here, whatever the clock of the zone does.
func TestDaysOfAZone(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Skip("no zone data here")
	}
	for _, try := range []struct {
		now        time.Time
		line, want string
	}{
		{time.Date(2018, 3, 24, 23, 30, 0, 0, berlin), "Sleep tomorrow 2:30am", "Sleep | 2018-03-25 02:30"}, // a time that does not exist is kept as meant
		{time.Date(2018, 3, 25, 1, 30, 0, 0, berlin), "Sleep in 1 hour", "Sleep | 2018-03-25 03:30"},
		{time.Date(2018, 10, 28, 0, 30, 0, 0, berlin), "Sleep in 1 day", "Sleep | 2018-10-29"},
		{time.Date(2018, 12, 31, 23, 59, 0, 0, berlin), "Toast tomorrow", "Toast | 2019-01-01"},
		{time.Date(2018, 12, 31, 23, 59, 0, 0, berlin), "Toast at noon", "Toast | 2019-01-01 12:00"},
		{time.Date(2018, 1, 31, 9, 0, 0, 0, berlin), "Pay in 1 month", "Pay | 2018-02-28"},
		{time.Date(2018, 3, 1, 9, 0, 0, 0, berlin), "Leap 29 Feb", "Leap | 2020-02-29"},
		{time.Date(2018, 12, 16, 9, 0, 0, 0, berlin), "Walk next sunday", "Walk | 2018-12-23"}, // the week of a Sunday is the one it ends
		{time.Date(2018, 12, 16, 9, 0, 0, 0, berlin), "Walk on sunday", "Walk | 2018-12-23"},
		{time.Date(2018, 12, 16, 9, 0, 0, 0, berlin), "Walk this sunday", "Walk | 2018-12-16"},
		{time.Date(2018, 12, 16, 9, 0, 0, 0, berlin), "Walk next week", "Walk | 2018-12-17"},
	} {
		if got := brief(Parse(try.line, try.now)); got != try.want {
			t.Errorf("%s at %s: %s, want %s", try.line, try.now, got, try.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, line := range []string{
		"Dentist tomorrow 9am #health p1 every 6 months", `"USA Today" today`, "every! 31st until 29 Feb at 24:00", "in 9999 years", "#a #b , ; x",
		"on the 31st midnight", "every last day of the month 3 times", "p1 p2 p3", "2018-12-19T09:00 2018-12-20",
	} {
		f.Add(line, int64(1544605200))
	}
	f.Fuzz(func(t *testing.T, line string, at int64) {
		// 1970 to 2100, the clocks of real machines.
		e := Parse(line, time.Unix(int64(uint64(at)%4102444800), 0).UTC())
		if strings.TrimFunc(line, unicode.IsSpace) != "" && strings.TrimSpace(e.Title) == "" {
			t.Errorf("%q left no title", line)
		}
		if e.Date != "" {
			if _, err := time.Parse(time.DateOnly, e.Date); err != nil {
				t.Errorf("%q: %v", line, err)
			}
		}
		if e.Time != "" {
			if _, err := time.Parse("15:04", e.Time); err != nil || e.Date == "" {
				t.Errorf("%q: time %q with date %q: %v", line, e.Time, e.Date, err)
			}
		}
		if _, err := recur.Check(e.Repeat); e.Repeat != "" && err != nil {
			t.Errorf("%q: a node refuses %s: %v", line, e.Repeat, err)
		}
		if e.Repeat != "" && e.Date == "" || e.RepeatFrom != "" && e.Repeat == "" || !slices.IsSorted(e.Tags) || len(e.Tags) > maxTags {
			t.Errorf("%q: %+v", line, e)
		}
		// Nothing is in the title that was not typed, in its order.
		rest := strings.Fields(line)
		for w := range strings.FieldsSeq(e.Title) {
			i := slices.IndexFunc(rest, func(r string) bool { return r == w || strings.TrimRight(r, ",;") == w })
			if i < 0 {
				t.Errorf("%q became the title %q", line, e.Title)
				break
			}
			rest = rest[i+1:]
		}
	})
}

func BenchmarkParse(b *testing.B) {
	long := strings.Repeat("on the about ", maxLine/13)
	for name, line := range map[string]string{"short": "Dentist tomorrow 9am #health p1 every 6 months", "longest": long} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				Parse(line, now)
			}
		})
	}
}

// What a flag may be given.
func TestParts(t *testing.T) {
	for _, try := range []struct{ text, day, clock, repeat string }{
		{"tomorrow", "2018-12-13 ", "", ""},
		{"2018-12-19", "2018-12-19 ", "", ""},
		{"mon", "2018-12-17 ", "", ""},
		{"19 Dec 9am", "2018-12-19 09:00", "", ""},
		{"9am", "", "09:00", ""},
		{"9", "", "09:00", ""},
		{"21:15", "", "21:15", ""},
		{"noon", "", "12:00", ""},
		{"every 2 weeks", "", "", "FREQ=WEEKLY;INTERVAL=2 "},
		{"every! day", "", "", "FREQ=DAILY done"},
		{"tomorrow p1", "", "", ""},
		{"soon", "", "", ""},
		{"", "", "", ""},
		{"every day tomorrow", "", "", ""},
	} {
		date, at, ok := Day(try.text, now)
		if got := date + " " + at; ok != (try.day != "") || ok && got != try.day {
			t.Errorf("the day %q: %q, %v", try.text, got, ok)
		}
		if got, ok := Clock(try.text, now); got != try.clock || ok != (try.clock != "") {
			t.Errorf("the time %q: %q, %v", try.text, got, ok)
		}
		rule, from, ok := Repeat(try.text, now)
		if got := rule + " " + from; ok != (try.repeat != "") || ok && got != try.repeat {
			t.Errorf("the repeat %q: %q, %v", try.text, got, ok)
		}
	}
}
