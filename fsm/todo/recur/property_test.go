package recur

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"todod/fsm/todo"
)

// rules are any that the RFC has, and dates any of two centuries.
func rules(t *rapid.T) string {
	freq := rapid.SampledFrom(freqNames[:]).Draw(t, "freq")
	parts := []string{"FREQ=" + freq}
	some := func(name string, least, most, odds int, suffix ...string) {
		if rapid.IntRange(0, odds).Draw(t, name+" or not") > 0 {
			return
		}
		values := rapid.SliceOfN(rapid.IntRange(least, most).Filter(func(n int) bool { return n != 0 }), 1, 5).Draw(t, name)
		texts := make([]string, len(values))
		for i, v := range values {
			texts[i] = fmt.Sprint(v)
			if suffix != nil {
				texts[i] += rapid.SampledFrom(suffix).Draw(t, name+" day")
			}
		}
		parts = append(parts, name+"="+strings.Join(texts, ","))
	}
	some("INTERVAL", 1, 12, 1)
	if i := len(parts) - 1; strings.HasPrefix(parts[i], "INTERVAL") {
		parts[i], _, _ = strings.Cut(parts[i], ",")
	}
	some("BYMONTH", 1, 12, 2)
	switch freq {
	case "YEARLY":
		some("BYYEARDAY", -366, 366, 4)
		some("BYMONTHDAY", -31, 31, 3)
		some("BYDAY", -6, 6, 3, dayNames[:]...)
	case "MONTHLY":
		some("BYMONTHDAY", -31, 31, 2)
		some("BYDAY", -5, 5, 2, dayNames[:]...)
	case "WEEKLY":
		days := rapid.SliceOfN(rapid.SampledFrom(dayNames[:]), 1, 4).Draw(t, "days")
		parts = append(parts, "BYDAY="+strings.Join(days, ","), "WKST="+rapid.SampledFrom(dayNames[:]).Draw(t, "week start"))
	}
	if strings.Contains(strings.Join(parts, ";"), ";BY") {
		some("BYSETPOS", -3, 3, 3)
	}
	return strings.Join(parts, ";")
}

func dates(t *rapid.T, name string) time.Time {
	return time.Unix(int64(rapid.IntRange(-30_000, 50_000).Draw(t, name))*secondsADay, 0).UTC()
}

// The next date is after the one before; without INTERVAL and BYSETPOS it is the first that the rule matches, and with
// them one that it matches; and the way there by the days that are skipped is the same.
func TestNextIsTheFirstMatch(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r, err := Parse(rules(t))
		if err != nil {
			t.SkipNow() // it never matches
		}
		from := dates(t, "from")
		next, ok := r.next(from)
		if !ok {
			t.SkipNow()
		}
		if !next.After(from) {
			t.Fatalf("%s: %s comes after %s", r, next, from)
		}
		whole := r.implied(dayOf(int(from.Unix() / secondsADay)))
		d := dayOf(int(next.Unix() / secondsADay))
		if !whole.match(&d) {
			t.Fatalf("%s: %s does not match", r, next)
		}
		if r.interval > 1 || r.places != nil {
			return
		}
		for n := int(from.Unix()/secondsADay) + 1; n < d.n; n++ {
			if between := dayOf(n); whole.match(&between) {
				t.Fatalf("%s from %s: %s was left out", r, from.Format(time.DateOnly), time.Unix(int64(n)*secondsADay, 0).UTC())
			}
		}
	})
}

// Of two days the later one has no earlier next date, as long as the rule takes nothing from the day it begins at and
// counts every period.
func TestNextIsMonotone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r, err := Parse(rules(t))
		if err != nil {
			t.SkipNow()
		}
		r.interval = 1
		r = r.implied(dayOf(rapid.IntRange(-30_000, 50_000).Draw(t, "start")))
		a, b := dates(t, "a"), dates(t, "b")
		if a.After(b) {
			a, b = b, a
		}
		first, ok := r.next(a)
		second, okSecond := r.next(b)
		if ok && okSecond && first.After(second) || okSecond && !ok && b.Sub(a) < time.Hour {
			t.Fatalf("%s: after %s comes %s, after %s %s", r, a, first, b, second)
		}
	})
}

// A rule with COUNT is done that often, whatever lies between.
func TestCountIsExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		count := rapid.IntRange(1, 20).Draw(t, "count")
		every := rapid.SampledFrom(freqNames[:3]).Draw(t, "freq")
		e := repeating(dates(t, "start").Format(time.DateOnly), fmt.Sprintf("FREQ=%s;COUNT=%d", every, count))
		for done := 1; ; done++ {
			date, repeat, ok, err := Next(e, "")
			if err != nil {
				t.Fatal(err)
			}
			if !ok {
				if done != count {
					t.Fatalf("it was done %d times, want %d", done, count)
				}
				return
			}
			e = repeating(date, repeat)
		}
	})
}

// FuzzRule takes any text for a rule and any date: both in bounded time, whatever they are.
func FuzzRule(f *testing.F) {
	for _, text := range []string{"FREQ=DAILY", "FREQ=WEEKLY;INTERVAL=2;BYDAY=TU,SU;WKST=SU", "FREQ=MONTHLY;BYDAY=-1FR,+2MO;BYSETPOS=1,-1",
		"FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29,-1;COUNT=3", "FREQ=YEARLY;BYWEEKNO=53,-1;BYDAY=MO;UNTIL=20301231T235959Z", "FREQ=YEARLY;BYYEARDAY=366,-366",
		"FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", "RRULE:freq=daily;interval=10000;count=1000000", "FREQ=DAILY;BYHOUR=1", ";;==", "FREQ=YEARLY;INTERVAL=4;BYMONTH=2;BYMONTHDAY=29"} {
		f.Add(text, "2024-02-29", true)
		f.Add(text, "9999-12-31", false)
	}
	f.Fuzz(func(t *testing.T, text, date string, fromDone bool) {
		spelling, err := Check(text)
		if err != nil {
			if inv, ok := err.(*todo.Invalid); !ok || inv.Field != "repeat" {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		if again, err := Check(spelling); err != nil || again != spelling || len(spelling) > todo.MaxRepeat {
			t.Fatalf("%q became %q and then %q, %v", text, spelling, again, err)
		}
		e := repeating(date, spelling)
		if fromDone {
			e.More.RepeatFrom = todo.FromDone
		}
		next, repeat, ok, err := Next(e, date)
		if err != nil || !ok {
			return
		}
		if next <= date || todo.Date(next) != nil {
			t.Fatalf("%q: after %s comes %s", spelling, date, next)
		}
		if again, err := Check(repeat); err != nil || again != repeat {
			t.Fatalf("%q goes on as %q, %v", spelling, repeat, err)
		}
	})
}
