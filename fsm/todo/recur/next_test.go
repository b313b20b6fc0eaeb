package recur

import (
	"bufio"
	"os"
	"strings"
	"testing"
	"time"
	_ "time/tzdata"

	"todod/fsm/todo"
)

func repeating(date, repeat string) *todo.Entry {
	return &todo.Entry{Date: date, More: &todo.More{Repeat: repeat}}
}

// The table was made by another library; see occurrences.py beside it. Each date is worked out from the one before it
// and the rule that came with that.
func TestOccurrencesLikeDateutil(t *testing.T) {
	f, err := os.Open("testdata/occurrences.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	n := 0
	for ; lines.Scan(); n++ {
		words := strings.Fields(lines.Text())
		e := repeating(words[1], words[0])
		for _, want := range words[2:] {
			date, repeat, ok, err := Next(e, "")
			if want == "end" && (err != nil && strings.Contains(err.Error(), "must match a day") || err == nil && !ok) {
				continue
			}
			if err != nil || !ok || date != want {
				t.Errorf("%s: after %s (%s) comes %q, %v, %v, want %s", lines.Text(), e.Date, e.More.Repeat, date, ok, err, want)
				break
			}
			e = repeating(date, repeat)
		}
	}
	if err := lines.Err(); err != nil || n < 500 {
		t.Fatalf("%d lines, %v", n, err)
	}
}

func TestNext(t *testing.T) {
	for _, c := range []struct {
		name                    string
		date, clock, tz, repeat string
		done                    string // and counted from that; "": from due
		wantDate, wantRepeat    string // "": no more
	}{
		{"the next day", "2026-11-28", "", "", "FREQ=DAILY", "", "2026-11-29", "FREQ=DAILY"},
		{"from due, however late it was done", "2026-11-01", "", "", "FREQ=WEEKLY", "", "2026-11-08", "FREQ=WEEKLY"},
		{"from done", "2026-11-01", "", "", "FREQ=WEEKLY", "2026-11-28", "2026-12-05", "FREQ=WEEKLY"},
		{"from done, early", "2026-11-28", "", "", "FREQ=DAILY;INTERVAL=3", "2026-11-20", "2026-11-23", "FREQ=DAILY;INTERVAL=3"},
		{"from done, with days", "2026-11-01", "", "", "FREQ=WEEKLY;BYDAY=MO", "2026-11-28", "2026-11-30", "FREQ=WEEKLY;BYDAY=MO"},
		{"COUNT counts down", "2026-11-28", "", "", "FREQ=DAILY;COUNT=3", "", "2026-11-29", "FREQ=DAILY;COUNT=2"},
		{"COUNT comes to its end", "2026-11-28", "", "", "FREQ=DAILY;COUNT=1", "", "", ""},
		{"UNTIL holds the last one", "2026-11-28", "", "", "FREQ=DAILY;UNTIL=20261129", "", "2026-11-29", "FREQ=DAILY;UNTIL=20261129"},
		{"UNTIL comes to its end", "2026-11-29", "", "", "FREQ=DAILY;UNTIL=20261129", "", "", ""},
		{"UNTIL was over before it began", "2026-11-29", "", "", "FREQ=DAILY;UNTIL=20251129", "", "", ""},
		{"a time of UNTIL is of no matter without one of the entry", "2026-11-28", "", "", "FREQ=DAILY;UNTIL=20261129T000000Z", "",
			"2026-11-29", "FREQ=DAILY;UNTIL=20261129T000000Z"},
		{"UNTIL in UTC, in time", "2026-11-28", "20:00", "America/New_York", "FREQ=DAILY;UNTIL=20261130T010000Z", "",
			"2026-11-29", "FREQ=DAILY;UNTIL=20261130T010000Z"},
		{"UNTIL in UTC, an hour late", "2026-11-28", "21:00", "America/New_York", "FREQ=DAILY;UNTIL=20261130T010000Z", "", "", ""},
		{"UNTIL in UTC for what floats", "2026-11-28", "20:00", "", "FREQ=DAILY;UNTIL=20261129T195959Z", "", "", ""},
		{"UNTIL on the wall", "2026-11-28", "20:00", "America/New_York", "FREQ=DAILY;UNTIL=20261129T200000", "",
			"2026-11-29", "FREQ=DAILY;UNTIL=20261129T200000"},
		{"UNTIL by a date for what has a time", "2026-11-28", "20:00", "America/New_York", "FREQ=DAILY;UNTIL=20261129", "",
			"2026-11-29", "FREQ=DAILY;UNTIL=20261129"},
		{"the time stays in a gap", "2026-03-28", "02:30", "Europe/Berlin", "FREQ=DAILY", "", "2026-03-29", "FREQ=DAILY"},
		{"BYWEEKNO takes its weekday from the start", "2026-05-12", "", "", "FREQ=YEARLY;BYWEEKNO=20", "", "2027-05-18", "FREQ=YEARLY;BYWEEKNO=20"},
		{"BYSETPOS counts in whole weeks", "2026-12-02", "", "", "FREQ=WEEKLY;BYDAY=MO,WE,FR;BYSETPOS=1", "", "2026-12-07",
			"FREQ=WEEKLY;BYDAY=MO,WE,FR;BYSETPOS=1"},
		{"the week of -52 that begins in the year before", "2026-12-01", "", "", "FREQ=YEARLY;BYWEEKNO=-52;BYDAY=TH", "", "2027-01-07",
			"FREQ=YEARLY;BYWEEKNO=-52;BYDAY=TH"},
		{"only years without the day", "2023-01-01", "", "", "FREQ=YEARLY;INTERVAL=2;BYMONTH=2;BYMONTHDAY=29", "", "", ""},
		{"a day that the month never has", "2026-01-30", "", "", "FREQ=YEARLY;BYMONTH=2", "", "", ""},
		{"the end of the calendar", "9999-12-31", "", "", "FREQ=DAILY", "", "", ""},
		{"its beginning", "0001-01-01", "", "", "FREQ=WEEKLY;BYDAY=SU", "", "0001-01-07", "FREQ=WEEKLY;BYDAY=SU"},
		{"further than the calendar", "2026-11-28", "", "", "FREQ=YEARLY;INTERVAL=10000", "", "", ""},
		{"a spelling of its own", "2026-11-28", "", "", "wkst=mo;byday=sa;interval=1;freq=weekly", "", "2026-12-05", "FREQ=WEEKLY;BYDAY=SA"},
	} {
		e := repeating(c.date, c.repeat)
		e.More.Time, e.More.TZ = c.clock, c.tz
		if c.done != "" {
			e.More.RepeatFrom = todo.FromDone
		}
		date, repeat, ok, err := Next(e, c.done)
		if err != nil || date != c.wantDate || repeat != c.wantRepeat || ok != (c.wantDate != "") {
			t.Errorf("%s: %q, %q, %v, %v", c.name, date, repeat, ok, err)
		}
	}
}

func TestNextOfWhatCannotBe(t *testing.T) {
	if _, _, ok, err := Next(&todo.Entry{Date: "2026-11-28"}, ""); ok || err != nil {
		t.Errorf("no repeat: %v, %v", ok, err)
	}
	for field, e := range map[string]*todo.Entry{"date": repeating("", "FREQ=DAILY"), "repeat": repeating("2026-11-28", "FREQ=HOURLY")} {
		_, _, ok, err := Next(e, "")
		if inv, is := err.(*todo.Invalid); !is || ok || inv.Field != field {
			t.Errorf("%s: %v, %v", field, ok, err)
		}
	}
}

func day0(t testing.TB, text string) time.Time {
	t.Helper()
	d, err := time.Parse(time.DateOnly, text)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// The weeks of ISO 8601 are those of the standard library.
func TestWeeks(t *testing.T) {
	d := dayOf(int(day0(t, "1895-01-01").Unix() / secondsADay))
	for range 366 * 250 {
		at := time.Unix(int64(d.n)*secondsADay, 0).UTC()
		_, want := at.ISOWeek()
		_, last := time.Date(yearOfWeek(at), 12, 28, 0, 0, 0, 0, time.UTC).ISOWeek()
		if week, of := d.week(time.Monday); week != want || of != last {
			t.Fatalf("%s is in week %d of %d, want %d of %d", at.Format(time.DateOnly), week, of, want, last)
		}
		d.advance()
		if d != dayOf(d.n) {
			t.Fatalf("the day after %s is %+v", at.Format(time.DateOnly), d)
		}
	}
}

func yearOfWeek(t time.Time) int {
	year, _ := t.ISOWeek()
	return year
}

// The dearest rules are those that look through all 400 years.
func BenchmarkNext(b *testing.B) {
	for name, repeat := range map[string]string{
		"daily":             "FREQ=DAILY",
		"weekdays":          "FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR",
		"last friday":       "FREQ=MONTHLY;BYDAY=-1FR",
		"every fourth year": "FREQ=YEARLY;INTERVAL=4",
		"never, by years":   "FREQ=YEARLY;INTERVAL=2;BYMONTH=2;BYMONTHDAY=29",
		"never, by days":    "FREQ=DAILY;INTERVAL=7;BYDAY=MO",
	} {
		b.Run(name, func(b *testing.B) {
			e := repeating("2025-01-01", repeat) // a Wednesday of a year without a 29 February
			for b.Loop() {
				if _, _, _, err := Next(e, ""); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkParse(b *testing.B) {
	for name, text := range map[string]string{
		"weekdays":          "FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR",
		"never, by days":    "FREQ=DAILY;BYMONTH=4;BYMONTHDAY=31",
		"never, by weeks":   "FREQ=WEEKLY;BYDAY=MO,TU;BYSETPOS=3",
		"never, in long":    "FREQ=YEARLY;BYWEEKNO=" + strings.Repeat("20,", 100) + "20;BYMONTH=1,2,3,11,12",
		"never, by a place": "FREQ=YEARLY;BYDAY=MO,TU,WE,TH,FR,SA,SU;BYMONTH=2;BYSETPOS=30",
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				_, _ = Parse(text)
			}
		})
	}
}
