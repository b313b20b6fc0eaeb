package recur

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"todod/fsm/todo"
)

const (
	// maxInterval is the most periods from one occurrence to the next: 27 years of days.
	maxInterval = 10_000
	// maxCount is the most occurrences of a rule. To count does not cost anything; it is what a number may look like.
	maxCount = 1_000_000
)

func invalid(format string, args ...any) error {
	return &todo.Invalid{Field: "repeat", Reason: fmt.Sprintf(format, args...)}
}

// Check reads a repeat and returns it in its one spelling.
func Check(text string) (string, error) {
	r, err := Parse(text)
	if err != nil {
		return "", err
	}
	return r.String(), nil
}

// Parse reads the value of an RRULE; its name before it, as calendars write it, does no harm. What is wrong with it is a
// *todo.Invalid of the field repeat. A rule that matches no day at all is refused.
func Parse(text string) (Rule, error) {
	if len(text) > todo.MaxRepeat {
		return Rule{}, invalid("must be at most %d bytes long", todo.MaxRepeat)
	}
	text = upper(text)
	text = strings.TrimPrefix(text, "RRULE:")
	p := parser{rule: Rule{interval: 1, weekStart: time.Monday}, seen: map[string]bool{}}
	for part := range strings.SplitSeq(text, ";") {
		name, value, ok := strings.Cut(part, "=")
		if !ok {
			return Rule{}, invalid("must be an RRULE like FREQ=WEEKLY;BYDAY=MO,TH")
		}
		if err := p.part(name, value); err != nil {
			return Rule{}, err
		}
	}
	if err := p.whole(); err != nil {
		return Rule{}, err
	}
	if !p.rule.everMatches() {
		return Rule{}, invalid("must match a day: no year has one like that")
	}
	return p.rule, nil
}

// upper is strings.ToUpper for ASCII: names are of any case, and no other letter becomes one of them.
func upper(text string) string {
	b := []byte(text)
	for i, c := range b {
		if c >= 'a' && c <= 'z' {
			b[i] = c - 'a' + 'A'
		}
	}
	return string(b)
}

type parser struct {
	rule Rule
	seen map[string]bool
}

func (p *parser) part(name, value string) (err error) {
	if p.seen[name] {
		return invalid("must have %.20s once", name)
	}
	p.seen[name] = true
	r := &p.rule
	switch name {
	case "FREQ":
		i := slices.Index(freqNames[:], value)
		if i < 0 {
			return invalid("must have a FREQ of DAILY, WEEKLY, MONTHLY or YEARLY")
		}
		r.freq = freq(i)
	case "INTERVAL":
		r.interval, err = one(name, value, maxInterval)
	case "COUNT":
		r.count, err = one(name, value, maxCount)
	case "UNTIL":
		r.until, err = parseUntil(value)
	case "BYMONTH":
		var months []int
		if months, err = numbers(name, value, 1, 12); err == nil {
			for _, m := range months {
				r.months |= 1 << m
			}
		}
	case "BYWEEKNO":
		r.weeks, err = numbers(name, value, -53, 53)
	case "BYYEARDAY":
		r.yearDays, err = numbers(name, value, -366, 366)
	case "BYSETPOS":
		r.places, err = numbers(name, value, -366, 366)
	case "BYMONTHDAY":
		err = p.monthDays(value)
	case "BYDAY":
		r.days, err = weekdays(value)
	case "WKST":
		i := slices.Index(dayNames[:], value)
		if i < 0 {
			return invalid("must have a WKST of MO, TU, WE, TH, FR, SA or SU")
		}
		r.weekStart = time.Weekday(i)
	case "BYHOUR", "BYMINUTE", "BYSECOND":
		err = invalid("must not have %s: it goes by whole days", name)
	default:
		err = invalid("must not have %.20q: it is no part of an RRULE", name)
	}
	return err
}

func (p *parser) monthDays(value string) error {
	days, err := numbers("BYMONTHDAY", value, -31, 31)
	for _, d := range days {
		if d < 0 {
			p.rule.monthDays[1] |= 1 << -d
		} else {
			p.rule.monthDays[0] |= 1 << d
		}
	}
	return err
}

// whole checks what the parts ask of each other: the table of RFC 5545 and the rules around it.
func (p *parser) whole() error {
	r := &p.rule
	name := freqNames[r.freq]
	ordinal := slices.ContainsFunc(r.days, func(d nthDay) bool { return d.n != 0 })
	switch {
	case !p.seen["FREQ"]:
		return invalid("must have a FREQ")
	case p.seen["COUNT"] && p.seen["UNTIL"]:
		return invalid("must not have both COUNT and UNTIL")
	case p.seen["BYWEEKNO"] && r.freq != yearly:
		return invalid("must not have BYWEEKNO with FREQ=%s", name)
	case p.seen["BYYEARDAY"] && r.freq != yearly:
		return invalid("must not have BYYEARDAY with FREQ=%s", name)
	case p.seen["BYMONTHDAY"] && r.freq == weekly:
		return invalid("must not have BYMONTHDAY with FREQ=%s", name)
	case ordinal && r.freq != monthly && r.freq != yearly:
		return invalid("must not have numbers in BYDAY with FREQ=%s", name)
	case ordinal && p.seen["BYWEEKNO"]:
		return invalid("must not have numbers in BYDAY with BYWEEKNO")
	case p.seen["BYSETPOS"] && r.months == 0 && r.weeks == nil && r.yearDays == nil && r.monthDays == [2]uint32{} && r.days == nil:
		return invalid("must not have BYSETPOS without another part that begins with BY")
	}
	return nil
}

// one reads a number from 1 to most.
func one(name, value string, most int) (int, error) {
	n, err := strconv.ParseUint(value, 10, 31)
	if err != nil || n < 1 || n > uint64(most) {
		return 0, invalid("must have %s from 1 to %d", name, most)
	}
	return int(n), nil
}

// numbers reads a list of numbers other than 0, and returns them in order, each once.
func numbers(name, value string, least, most int) ([]int, error) {
	var out []int
	for text := range strings.SplitSeq(value, ",") {
		n, err := strconv.ParseInt(text, 10, 16)
		if err != nil || n == 0 || int(n) < least || int(n) > most {
			if least > 0 {
				return nil, invalid("must have %s of numbers from %d to %d", name, least, most)
			}
			return nil, invalid("must have %s of numbers from 1 to %d or -1 to %d", name, most, least)
		}
		out = append(out, int(n))
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

// weekdays reads BYDAY.
func weekdays(value string) ([]nthDay, error) {
	var out []nthDay
	for text := range strings.SplitSeq(value, ",") {
		number, name := text[:max(0, len(text)-2)], text[max(0, len(text)-2):]
		i := slices.Index(dayNames[:], name)
		if i < 0 {
			return nil, invalid("must have a BYDAY of days like MO, 1MO or -1MO")
		}
		d := nthDay{day: time.Weekday(i)}
		if number != "" {
			n, err := numbers("BYDAY", number, -53, 53)
			if err != nil {
				return nil, err
			}
			d.n = n[0]
		}
		out = append(out, d)
	}
	slices.SortFunc(out, func(a, b nthDay) int { return cmp.Or(cmp.Compare(a.n, b.n), cmp.Compare(a.day, b.day)) })
	return slices.Compact(out), nil
}

func parseUntil(value string) (until, error) {
	for _, form := range []string{untilDate, untilWall, untilUTC} {
		if len(value) == len(form) {
			if t, err := time.Parse(form, value); err == nil && t.Year() >= 1 {
				return until{t, form}, nil
			}
		}
	}
	return until{}, invalid("must have an UNTIL like 20181219 or 20181219T080000Z")
}
