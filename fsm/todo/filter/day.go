package filter

import (
	"strconv"
	"strings"
	"time"
)

// maxPlus bounds the days that can be added: a hundred years.
const maxPlus = 36_525

// day is a day in a filter, which is known only when the filter is used. Equal days have one spelling.
type day struct {
	base dayBase
	date string // of aDate
	plus int    // days
}

// dayBase is what a day counts from: today or the next of a weekday, or a date.
type dayBase uint8

const (
	sunday   dayBase = iota // and so on, as package time counts
	saturday         = sunday + 6
	today            = saturday + 1
	aDate            = today + 1
)

var dayNames = [...]string{"sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "today"}

// dayNamed knows weekdays by three letters too. The names of tomorrow and yesterday are days from today.
func dayNamed(name string) (day, bool) {
	name = strings.ToLower(name)
	switch name {
	case "tomorrow":
		return day{base: today, plus: 1}, true
	case "yesterday":
		return day{base: today, plus: -1}, true
	}
	for i, n := range dayNames {
		if name == n || dayBase(i) <= saturday && name == n[:3] {
			return day{base: dayBase(i)}, true
		}
	}
	return day{}, false
}

// relative reports whether the day depends on the clock.
func (d day) relative() bool { return d.base != aDate }

func (d day) append(b []byte) []byte {
	if d.base == aDate {
		return append(b, d.date...)
	}
	b = append(b, dayNames[d.base]...)
	if d.plus > 0 {
		b = append(b, '+')
	}
	if d.plus != 0 {
		b = strconv.AppendInt(b, int64(d.plus), 10)
	}
	return b
}

// day reads a day. A + or - after it always belongs to it, spaces or not: today +7 is no day and a text. Nor is
// today 7, which a + in a URL is read as.
func (p *parser) day() (day, error) {
	at := p.pos
	d, ok := day{}, false
	if n := len(time.DateOnly); len(p.text)-at >= n && p.text[at] >= '0' && p.text[at] <= '9' {
		if _, ok = parseDate(p.text[at : at+n]); ok {
			d = day{base: aDate, date: p.text[at : at+n]}
			p.pos += n
		}
	} else {
		d, ok = dayNamed(p.run(func(r rune) bool { return isName(string(r)) }))
	}
	after := p.pos
	p.space()
	sign := 0
	switch {
	case p.takes("+"), p.pos > after && !p.end() && p.text[p.pos] >= '0' && p.text[p.pos] <= '9':
		sign = 1
	case p.takes("-"):
		sign = -1
	default:
		p.pos = after
	}
	if !ok || sign == 0 && p.run(isWord) != "" {
		return d, p.fail(at, "a day like 2026-11-28, today, friday or today+7 must come here, not %s", p.found(at))
	}
	if sign == 0 {
		return d, nil
	}
	return p.days(d, sign)
}

// days reads how many days or weeks are added to a day.
func (p *parser) days(d day, sign int) (day, error) {
	p.space()
	at := p.pos
	word := p.run(isWord)
	digits, unit := strings.TrimRight(word, "dwDW"), 1
	switch strings.ToLower(word[len(digits):]) {
	case "", "d":
	case "w":
		unit = 7
	default:
		digits = ""
	}
	n, err := strconv.ParseUint(digits, 10, 32)
	if d.plus += sign * int(n) * unit; err != nil || d.plus > maxPlus || d.plus < -maxPlus {
		return d, p.fail(at, "a number of days like 7, or of weeks like 1w, must come here, not %s", p.found(at))
	}
	if d.base == aDate {
		from, _ := parseDate(d.date)
		d.date, d.plus = dateOf(from.AddDate(0, 0, d.plus)), 0
	}
	return d, nil
}

func parseDate(s string) (time.Time, bool) {
	t, err := time.Parse(time.DateOnly, s)
	return t, err == nil && t.Year() >= 1
}

// dateOf is the date of a time, within those that an entry can have.
func dateOf(t time.Time) string {
	switch {
	case t.Year() < 1:
		return "0001-01-01"
	case t.Year() > 9999:
		return "9999-12-31"
	}
	return t.Format(time.DateOnly)
}

// on is the date that the day is when it is now in the zone of now.
func (d day) on(now time.Time) string {
	if d.base == aDate {
		return d.date
	}
	plus := d.plus
	if d.base <= saturday {
		plus += (int(d.base) - int(now.Weekday()) + 7) % 7
	}
	y, m, dd := now.Date()
	return dateOf(time.Date(y, m, dd+plus, 0, 0, 0, 0, time.UTC))
}

// begin is the first moment of a date in a zone, in Unix ms. It is looked for: midnight may not be there on the day a
// clock is put forward, and on some days whole dates are not.
func begin(date string, zone *time.Location) int64 {
	t, _ := parseDate(date)
	before, from := t.Unix()-26*60*60, t.Unix()+26*60*60
	for from-before > 1 {
		middle := before + (from-before)/2
		y, m, d := time.Unix(middle, 0).In(zone).Date()
		if time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Before(t) {
			before = middle
		} else {
			from = middle
		}
	}
	return from * 1000
}
