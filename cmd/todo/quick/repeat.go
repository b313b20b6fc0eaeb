package quick

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The weekdays as RFC 5545 names them, by time.Weekday.
var byDay = [...]string{"SU", "MO", "TU", "WE", "TH", "FR", "SA"}

var units = map[string]string{"day": "DAILY", "week": "WEEKLY", "month": "MONTHLY", "year": "YEARLY"}

var adverbs = map[string]string{"daily": "DAILY", "weekly": "WEEKLY", "monthly": "MONTHLY", "yearly": "YEARLY", "annually": "YEARLY"}

var places = map[string]int{"first": 1, "second": 2, "third": 3, "fourth": 4, "last": -1, "1st": 1, "2nd": 2, "3rd": 3, "4th": 4}

// readRepeat reads how an entry repeats: "every" and what follows, or an adverb.
func (r *reading) readRepeat(w []string) int {
	if r.rule != "" {
		return 0
	}
	r.loose = true
	if freq, ok := adverbs[w[0]]; ok {
		r.rule = "FREQ=" + freq
		return 1
	}
	if w[0] != "every" && w[0] != "every!" || len(w) < 2 {
		return 0
	}
	r.done = w[0] == "every!"
	for _, form := range []func(*reading, []string) (string, int){
		(*reading).nthWeekday, (*reading).interval, (*reading).listed, (*reading).monthDays, (*reading).yearDay,
	} {
		next := *r
		if rule, n := form(&next, w[1:]); n > 0 {
			next.rule = rule
			*r = next
			return n + 1
		}
	}
	return 0
}

// readEnd reads when a repeat that was read before ends: "until 31 Jan", "10 times".
func (r *reading) readEnd(w []string) int {
	switch {
	case r.rule == "" || r.ends:
		return 0
	case len(w) > 1 && (w[0] == "until" || w[0] == "till"):
		end := reading{now: r.now}
		n := end.readDay(w[1:])
		if n == 0 || end.hasClock {
			return 0
		}
		r.rule, r.ends = r.rule+";UNTIL="+end.day.Format("20060102"), true
		return n + 1
	case at(w, 1) == "times":
		if count, ok := number(w[0]); ok && count > 0 {
			r.rule, r.ends = r.rule+";COUNT="+strconv.Itoa(count), true
			return 2
		}
	}
	return 0
}

// interval reads "day", "2 weeks", "2nd week", "other month", and the days that follow.
func (r *reading) interval(w []string) (string, int) {
	count, n := 1, 0
	if w[0] == "other" {
		count, n = 2, 1
	} else if c, ok := number(w[0]); ok {
		count, n = c, 1
	} else if c, ok := small[w[0]]; ok && w[0] != "a" && w[0] != "an" {
		count, n = c, 1
	} else if c, ok := ordinal(w[0]); ok && c > 1 {
		count, n = c, 1
	} else if c := places[w[0]]; c > 1 {
		count, n = c, 1
	}
	unit := at(w, n)
	if unit == "quarter" && n == 0 {
		unit, count = "month", 3
	}
	freq, ok := units[strings.TrimSuffix(unit, "s")]
	if !ok || count == 0 {
		return "", 0
	}
	n++
	rule := "FREQ=" + freq
	if count > 1 {
		rule += ";INTERVAL=" + strconv.Itoa(count)
	}
	if at(w, n) != "on" {
		return rule, n
	}
	if freq == "WEEKLY" {
		if days, more := weekdayList(w[n+1:]); more > 0 {
			return rule + r.onWeekdays(days), n + 1 + more
		}
	}
	if freq == "MONTHLY" {
		if by, more := r.daysOfMonth(w[n+1:]); more > 0 {
			return rule + by, n + 1 + more
		}
	}
	return rule, n // "on" begins the day of the first
}

// listed reads weekdays: "weekday", "weekend", "monday and friday".
func (r *reading) listed(w []string) (string, int) {
	var days []time.Weekday
	n := 1
	switch w[0] {
	case "weekday", "weekdays", "workday":
		days = []time.Weekday{1, 2, 3, 4, 5}
	case "weekend":
		days = []time.Weekday{6, 0}
	default:
		if days, n = weekdayList(w); n == 0 {
			return "", 0
		}
	}
	return "FREQ=WEEKLY" + r.onWeekdays(days), n
}

// weekdayList reads weekdays with commas, "and" or "&" between them.
func weekdayList(w []string) (days []time.Weekday, n int) {
	for i := 0; i < len(w); i++ {
		if (w[i] == "and" || w[i] == "&") && n > 0 {
			continue
		}
		var got []time.Weekday
		for name := range strings.SplitSeq(w[i], ",") {
			wd, ok := weekdays[name]
			if !ok {
				return days, n
			}
			got = append(got, wd)
		}
		days, n = append(days, got...), i+1
	}
	return days, n
}

func (r *reading) onWeekdays(days []time.Weekday) string {
	slices.SortFunc(days, func(a, b time.Weekday) int { return int(a+6)%7 - int(b+6)%7 })
	days = slices.Compact(days)
	names := make([]string, len(days))
	for i, d := range days {
		names[i] = byDay[d]
	}
	r.fits = func(day time.Time) bool { return slices.Contains(days, day.Weekday()) }
	return ";BYDAY=" + strings.Join(names, ",")
}

// monthDays reads "15th", "1st and 15th", "last day of the month".
func (r *reading) monthDays(w []string) (string, int) {
	by, n := r.daysOfMonth(w)
	if n == 0 || months[at(w, n)] != 0 || at(w, n) == "of" {
		return "", 0
	}
	return "FREQ=MONTHLY" + by, n
}

// daysOfMonth reads the days of a month that something is done on.
func (r *reading) daysOfMonth(w []string) (string, int) {
	n := 0
	if at(w, 0) == "the" {
		n = 1
	}
	if at(w, n) == "last" && at(w, n+1) == "day" {
		r.fits = func(day time.Time) bool { return day.AddDate(0, 0, 1).Day() == 1 }
		return ";BYMONTHDAY=-1", n + 2 + ofTheMonth(w[n+2:])
	}
	var days []int
	end := 0
	for ; n < len(w); n++ {
		if end > 0 && (w[n] == "and" || w[n] == "&" || w[n] == "the") {
			continue
		}
		d, ok := ordinal(w[n])
		if !ok {
			break
		}
		days, end = append(days, d), n+1
	}
	if end == 0 {
		return "", 0
	}
	slices.Sort(days)
	days = slices.Compact(days)
	texts := make([]string, len(days))
	for i, d := range days {
		texts[i] = strconv.Itoa(d)
	}
	r.fits = func(day time.Time) bool { return slices.Contains(days, day.Day()) }
	return ";BYMONTHDAY=" + strings.Join(texts, ","), end + ofTheMonth(w[end:])
}

func ofTheMonth(w []string) int {
	return max(starts(w, "of the month"), starts(w, "of every month"), starts(w, "of each month"))
}

// nthWeekday reads "first monday of the month".
func (r *reading) nthWeekday(w []string) (string, int) {
	n := 0
	if w[0] == "the" {
		n = 1
	}
	place, ok := places[at(w, n)]
	wd, is := weekdays[at(w, n+1)]
	if !ok || !is {
		return "", 0
	}
	r.fits = func(day time.Time) bool {
		if place < 0 {
			return day.Weekday() == wd && day.AddDate(0, 0, 7).Month() != day.Month()
		}
		return day.Weekday() == wd && (day.Day()-1)/7+1 == place
	}
	return fmt.Sprintf("FREQ=MONTHLY;BYDAY=%d%s", place, byDay[wd]), n + 2 + ofTheMonth(w[n+2:])
}

// yearDay reads "19 Dec".
func (r *reading) yearDay(w []string) (string, int) {
	day, month, n := monthDay(w)
	if n == 0 {
		return "", 0
	}
	if _, ok := nextOn(r.today(), month, day); !ok {
		return "", 0
	}
	r.fits = func(t time.Time) bool { return t.Month() == month && t.Day() == day }
	return fmt.Sprintf("FREQ=YEARLY;BYMONTH=%d;BYMONTHDAY=%d", int(month), day), n
}
