package quick

import (
	"strings"
	"time"
)

var weekdays = map[string]time.Weekday{
	"monday": 1, "mon": 1, "tuesday": 2, "tue": 2, "tues": 2, "wednesday": 3, "wed": 3, "thursday": 4, "thu": 4, "thur": 4, "thurs": 4,
	"friday": 5, "fri": 5, "saturday": 6, "sat": 6, "sunday": 0, "sun": 0,
}

var months = map[string]time.Month{
	"january": 1, "jan": 1, "february": 2, "feb": 2, "march": 3, "mar": 3, "april": 4, "apr": 4, "may": 5, "june": 6, "jun": 6, "july": 7, "jul": 7,
	"august": 8, "aug": 8, "september": 9, "sep": 9, "sept": 9, "october": 10, "oct": 10, "november": 11, "nov": 11, "december": 12, "dec": 12,
}

var small = map[string]int{
	"a": 1, "an": 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10,
}

// alsoWords are the short weekdays that are words of their own.
var alsoWords = set("sat sun wed")

// readDay reads a day and returns how many words that took, 0 if it is none.
func (r *reading) readDay(w []string) int {
	if r.hasDay {
		return 0
	}
	said := 0 // that this is a day: on, by, due
	switch w[0] {
	case "due":
		said = 1
		if next := at(w, 1); next == "on" || next == "by" {
			said = 2
		}
	case "on", "by", "starting":
		said = 1
	}
	if said == len(w) {
		return 0
	}
	rest := w[said:]
	for _, form := range []func(*reading, []string, bool) int{(*reading).near, (*reading).weekday, (*reading).calendar, (*reading).span} {
		next := *r
		if n := form(&next, rest, said > 0); n > 0 {
			*r = next
			return said + n
		}
	}
	return 0
}

// near reads the days that have a name of their own.
func (r *reading) near(w []string, _ bool) int {
	today := r.today()
	monday := today.AddDate(0, 0, -int(today.Weekday()+6)%7)
	for _, name := range []struct {
		text string
		day  time.Time
	}{
		{"today", today},
		{"tomorrow", today.AddDate(0, 0, 1)},
		{"the day after tomorrow", today.AddDate(0, 0, 2)},
		{"day after tomorrow", today.AddDate(0, 0, 2)},
		{"this weekend", monday.AddDate(0, 0, 5)},
		{"next week", monday.AddDate(0, 0, 7)},
		{"next month", firstOf(today, 1)},
		{"next year", time.Date(today.Year()+1, 1, 1, 0, 0, 0, 0, time.UTC)},
		{"end of month", firstOf(today, 1).AddDate(0, 0, -1)},
		{"end of the month", firstOf(today, 1).AddDate(0, 0, -1)},
		{"at the end of the month", firstOf(today, 1).AddDate(0, 0, -1)},
		{"end of next month", firstOf(today, 2).AddDate(0, 0, -1)},
		{"end of year", time.Date(today.Year(), 12, 31, 0, 0, 0, 0, time.UTC)},
		{"end of the year", time.Date(today.Year(), 12, 31, 0, 0, 0, 0, time.UTC)},
	} {
		if n := starts(w, name.text); n > 0 && r.setDay(name.day) {
			return n
		}
	}
	return 0
}

// starts is how many words text has if w begins with them, else 0.
func starts(w []string, text string) int {
	n := 0
	for want := range strings.FieldsSeq(text) {
		if at(w, n) != want {
			return 0
		}
		n++
	}
	return n
}

func firstOf(day time.Time, months int) time.Time {
	return time.Date(day.Year(), day.Month()+time.Month(months), 1, 0, 0, 0, 0, time.UTC)
}

// weekday reads "friday", "next friday" and "this friday".
func (r *reading) weekday(w []string, said bool) int {
	n := 0
	if w[0] == "next" || w[0] == "this" {
		n = 1
	}
	wd, ok := weekdays[at(w, n)]
	if !ok {
		return 0
	}
	today := r.today()
	ahead := (int(wd) - int(today.Weekday()) + 7) % 7
	switch {
	case w[0] == "next": // of next week
		ahead = 7 - int(today.Weekday()+6)%7 + int(wd+6)%7
	case w[0] != "this" && ahead == 0:
		ahead = 7 // today is called today
	}
	if n == 0 && !said {
		r.loose = true
		r.weak = r.weak || alsoWords[w[0]]
	}
	if !r.setDay(today.AddDate(0, 0, ahead)) {
		return 0
	}
	return n + 1
}

// calendar reads the days that have a number: 2018-12-19, 19.12.2018, 19 Dec, Dec 19th, the 19th of December 2018.
func (r *reading) calendar(w []string, said bool) int {
	if t, err := time.Parse("2006-01-02", w[0]); err == nil && r.setDay(t) {
		return 1
	}
	if t, err := time.Parse("2006-01-02t15:04", w[0]); err == nil && !r.hasClock && r.setDay(t.Truncate(24*time.Hour)) {
		r.clock, r.hasClock = t.Hour()*60+t.Minute(), true
		return 1
	}
	r.loose = true
	if t, err := time.Parse("2.1.2006", w[0]); err == nil && r.setDay(t) {
		return 1
	}
	if day, month, n := monthDay(w); n > 0 {
		if year, ok := number(at(w, n)); ok && len(w[n]) == 4 {
			t := time.Date(year, month, day, 0, 0, 0, 0, time.UTC)
			if t.Day() != day || !r.setDay(t) {
				return 0
			}
			return n + 1
		}
		if t, ok := nextOn(r.today(), month, day); ok && r.setDay(t) {
			return n
		}
		return 0
	}
	if day, ok := ordinal(at(w, 1)); ok && said && w[0] == "the" {
		today := r.today()
		for i := range 12 {
			t := firstOf(today, i).AddDate(0, 0, day-1)
			if t.Day() == day && !t.Before(today) && r.setDay(t) {
				return 2
			}
		}
	}
	return 0
}

// monthDay reads a month and a day of it, in either order.
func monthDay(w []string) (day int, month time.Month, n int) {
	i := 0
	if w[0] == "the" {
		i = 1
	}
	if d, ok := dayNumber(at(w, i)); ok {
		j := i + 1
		if at(w, j) == "of" {
			j++
		}
		if m, ok := months[at(w, j)]; ok {
			return d, m, j + 1
		}
	}
	if m, ok := months[w[0]]; ok {
		if d, ok := dayNumber(at(w, 1)); ok {
			return d, m, 2
		}
	}
	return 0, 0, 0
}

// dayNumber is 19 or 19th.
func dayNumber(s string) (int, bool) {
	if d, ok := ordinal(s); ok {
		return d, true
	}
	d, ok := number(s)
	return d, ok && len(s) <= 2 && 1 <= d && d <= 31
}

// ordinal is 1st to 31st.
func ordinal(s string) (int, bool) {
	if len(s) < 3 {
		return 0, false
	}
	d, ok := number(s[:len(s)-2])
	if !ok || d < 1 || d > 31 {
		return 0, false
	}
	end := "th"
	if d/10 != 1 {
		switch d % 10 {
		case 1:
			end = "st"
		case 2:
			end = "nd"
		case 3:
			end = "rd"
		}
	}
	return d, s[len(s)-2:] == end
}

// nextOn is the next such day of a year, today included.
func nextOn(today time.Time, month time.Month, day int) (time.Time, bool) {
	for year := today.Year(); year <= today.Year()+8; year++ { // 29 February may be 8 years off
		t := time.Date(year, month, day, 0, 0, 0, 0, time.UTC)
		if t.Month() == month && !t.Before(today) {
			return t, true
		}
	}
	return time.Time{}, false
}

// span reads "in 3 days" and "3 days from now".
func (r *reading) span(w []string, said bool) int {
	r.loose = true
	i, n := 0, 0
	if w[0] == "in" {
		i, n = 1, 3
	} else if at(w, 2) == "from" && at(w, 3) == "now" {
		n = 4
	}
	count, ok := small[at(w, i)]
	if !ok {
		count, ok = number(at(w, i))
	}
	if n == 0 || !ok || count == 0 || said {
		return 0
	}
	today := r.today()
	day := time.Time{}
	switch strings.TrimSuffix(at(w, i+1), "s") {
	case "day":
		day = today.AddDate(0, 0, count)
	case "week":
		day = today.AddDate(0, 0, 7*count)
	case "month":
		day = addMonths(today, count)
	case "year":
		day = addMonths(today, 12*count)
	case "hour", "hr":
		return r.later(time.Duration(count)*time.Hour, n)
	case "minute", "min":
		return r.later(time.Duration(count)*time.Minute, n)
	default:
		return 0
	}
	if !r.setDay(day) {
		return 0
	}
	return n
}

// later is a moment, so the clock of the zone counts and not the day.
func (r *reading) later(d time.Duration, n int) int {
	t := r.now.Add(d)
	y, m, day := t.Date()
	if r.hasClock || !r.setDay(time.Date(y, m, day, 0, 0, 0, 0, time.UTC)) {
		return 0
	}
	r.clock, r.hasClock = t.Hour()*60+t.Minute(), true
	return n
}

// addMonths stays in the month: one month after 31 January is the last of February.
func addMonths(day time.Time, n int) time.Time {
	last := firstOf(day, n+1).AddDate(0, 0, -1)
	return firstOf(day, n).AddDate(0, 0, min(day.Day(), last.Day())-1)
}

// readClock reads a time of day: 9am, 9:30 pm, 21:00, at 9, noon, midnight.
func (r *reading) readClock(w []string) int {
	if r.hasClock {
		return 0
	}
	i := 0
	if w[0] == "at" {
		i = 1
	}
	text := at(w, i)
	minutes, ok, n := 0, false, i+1
	switch {
	case text == "noon" || text == "midday":
		minutes, ok = 12*60, true
		r.weak = r.weak || i == 0
	case text == "midnight":
		minutes, ok = 0, true
		r.midnight, r.weak = true, r.weak || i == 0
	case strings.HasSuffix(text, "am") || strings.HasSuffix(text, "pm"):
		minutes, ok = half(text)
	case at(w, n) == "am" || at(w, n) == "pm":
		minutes, ok = half(text + at(w, n))
		n++
	default:
		minutes, ok = r.full(text, i > 0)
	}
	if !ok {
		return 0
	}
	r.clock, r.hasClock = minutes, true
	return n
}

// half reads a time of the twelve-hour clock.
func half(s string) (int, bool) {
	s, noon := strings.TrimSuffix(s, "am"), 0
	if before, ok := strings.CutSuffix(s, "pm"); ok {
		s, noon = before, 12
	}
	hour, minute, parted := strings.Cut(strings.Replace(s, ".", ":", 1), ":")
	h, ok := number(hour)
	m := 0
	if parted {
		var is bool
		m, is = number(minute)
		ok = ok && is && len(minute) == 2
	}
	return (h%12+noon)*60 + m, ok && 1 <= h && h <= 12 && m < 60
}

// full reads a time of the 24-hour clock; said that it is one, the hour will do.
func (r *reading) full(s string, said bool) (int, bool) {
	hour, minute, parted := strings.Cut(s, ":")
	h, ok := number(hour)
	if !ok || h > 23 || len(hour) > 2 || !parted && !said {
		return 0, false
	}
	if !parted {
		r.loose = true
		return h * 60, true
	}
	m, ok := number(minute)
	r.weak = r.weak || !said && len(hour) == 1 // 3:16 is many things
	return h*60 + m, ok && len(minute) == 2 && m < 60
}
