package recur

import (
	"slices"
	"time"

	"todod/fsm/todo"
	"todod/fsm/todo/due"
)

// horizon is how many days ahead the next occurrence is looked for: 400 years, after which the calendar
// begins anew. So a rule that matches no more is found out within milliseconds.
const horizon = 146_097

// lastYear is that of the last date that an entry can have.
const lastYear = 9999

// Next is the date of an entry after it was done on a day, and the repeat that it has then: COUNT counts down, so
// that no history is needed. ok is false if that was the last time, or it does not repeat. It fails for an entry without a
// date or with a repeat that cannot be read.
func Next(e *todo.Entry, done string) (date, repeat string, ok bool, err error) {
	if e.More == nil || e.More.Repeat == "" {
		return "", "", false, nil
	}
	r, err := Parse(e.More.Repeat)
	if err != nil {
		return "", "", false, err
	}
	base := e.Date
	if e.More.RepeatFrom == todo.FromDone {
		base = done
	}
	if err := todo.Date(base); err != nil {
		return "", "", false, err
	}
	from, _ := time.Parse(time.DateOnly, base)
	after, ok := r.countDown()
	if !ok {
		return "", "", false, nil
	}
	next, ok := r.next(from)
	if !ok || !r.until.allows(next, e.More) {
		return "", "", false, nil
	}
	return next.Format(time.DateOnly), after.String(), true, nil
}

// allows reports whether an occurrence on a date is not after the end of the rule. Where the entry has no time,
// or UNTIL none, the dates alone count.
func (u until) allows(date time.Time, m *todo.More) bool {
	if u.form == "" {
		return true
	}
	clock, err := time.Parse("15:04", m.Time)
	if u.form == untilDate || m.Time == "" || err != nil {
		return date.Format(time.DateOnly) <= u.at.Format(time.DateOnly)
	}
	wall := date.Add(time.Duration(clock.Hour())*time.Hour + time.Duration(clock.Minute())*time.Minute)
	if u.form == untilUTC && m.TZ != "" {
		if zone, err := due.Zone(m.TZ); err == nil {
			return !due.Instant(wall, zone).After(u.at)
		}
	}
	return !wall.After(u.at)
}

// next is the first date after from that the rule matches, if it begins at from. Whether from itself matches is of no matter.
func (r Rule) next(from time.Time) (time.Time, bool) {
	start := dayOf(int(from.Unix() / secondsADay))
	r = r.implied(start)
	var found []int
	for first := r.periodOf(start); first.n <= start.n+horizon && first.year <= lastYear; first = r.later(first) {
		found = r.matches(found[:0], first)
		for _, n := range found {
			if n > start.n && n <= lastDay {
				return time.Unix(int64(n)*secondsADay, 0).UTC(), true
			}
		}
	}
	return time.Time{}, false
}

const (
	secondsADay = 86400
	lastDay     = 2_932_896 // 9999-12-31, in days since 1970
)

// everMatches reports whether any day of the calendar matches, whatever the rule begins at.
func (r Rule) everMatches() bool {
	r.interval = 1
	if r.places == nil && r.freq < monthly {
		r.freq = yearly // days and weeks without a number mean the same in a year, and are faster gone through
	}
	start := dayOf(10957) // 2000-01-01: the 400 years from any day have all there is
	var found []int
	for first := r.periodOf(start); first.n <= start.n+horizon; first = r.later(first) {
		if found = r.matches(found[:0], first); len(found) > 0 {
			return true
		}
	}
	return false
}

// implied is the rule with what it leaves to the day it begins at.
func (r Rule) implied(start day) Rule {
	if r.yearDays != nil || r.monthDays != [2]uint32{} || r.days != nil {
		return r
	}
	switch {
	case r.freq == weekly || r.weeks != nil:
		r.days = []nthDay{{day: start.weekday}}
	case r.freq == yearly && r.months == 0:
		r.months = 1 << start.month
		r.monthDays[0] = 1 << start.monthDay
	case r.freq == yearly || r.freq == monthly:
		r.monthDays[0] = 1 << start.monthDay
	}
	return r
}

// periodOf is the first day of the period that a day is in.
func (r *Rule) periodOf(d day) day {
	switch r.freq {
	case weekly:
		return dayOf(d.n - int(d.weekday-r.weekStart+7)%7)
	case monthly:
		return dayOf(d.n - d.monthDay + 1)
	case yearly:
		return dayOf(d.n - d.yearDay + 1)
	}
	return d
}

// later is the first day of the next period that counts, INTERVAL after the one that begins at first.
func (r *Rule) later(first day) day {
	switch r.freq {
	case weekly:
		return dayOf(first.n + 7*r.interval)
	case monthly:
		return dayOf(number(first.year, first.month+r.interval))
	case yearly:
		return dayOf(number(first.year+r.interval, 1))
	}
	if r.interval > 31 {
		return dayOf(first.n + r.interval)
	}
	for range r.interval {
		first.advance()
	}
	return first
}

// matches appends the days of the period that begins at first that the rule takes.
func (r *Rule) matches(found []int, first day) []int {
	length := 1
	switch r.freq {
	case weekly:
		length = 7
	case monthly:
		length = first.monthLen
	case yearly:
		length = first.yearLen
	}
	d := first
	for range length {
		if r.match(&d) {
			found = append(found, d.n)
		}
		d.advance()
	}
	if r.places == nil {
		return found
	}
	var taken []int
	for _, place := range r.places {
		if place < 0 {
			place += len(found) + 1
		}
		if place >= 1 && place <= len(found) {
			taken = append(taken, found[place-1])
		}
	}
	slices.Sort(taken)
	return taken
}

// match reports whether each BY part has the day.
func (r *Rule) match(d *day) bool {
	if r.months != 0 && r.months&(1<<d.month) == 0 {
		return false
	}
	if r.monthDays != [2]uint32{} && r.monthDays[0]&(1<<d.monthDay) == 0 && r.monthDays[1]&(1<<(d.monthLen-d.monthDay+1)) == 0 {
		return false
	}
	if r.yearDays != nil && !slices.Contains(r.yearDays, d.yearDay) && !slices.Contains(r.yearDays, d.yearDay-d.yearLen-1) {
		return false
	}
	if r.days != nil && !slices.ContainsFunc(r.days, func(want nthDay) bool { return r.matchDay(d, want) }) {
		return false
	}
	if r.weeks != nil {
		week, weeks := d.week(r.weekStart)
		return slices.Contains(r.weeks, week) || slices.Contains(r.weeks, week-weeks-1)
	}
	return true
}

// matchDay: a number counts within the month, or within the year if the rule counts years and names no month.
func (r *Rule) matchDay(d *day, want nthDay) bool {
	at, length := d.monthDay, d.monthLen
	if r.freq == yearly && r.months == 0 {
		at, length = d.yearDay, d.yearLen
	}
	return d.weekday == want.day && (want.n == 0 || want.n == (at-1)/7+1 || want.n == -((length-at)/7+1))
}
