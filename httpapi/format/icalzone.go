package format

import (
	"fmt"
	"slices"
	"time"
)

// A VTIMEZONE says what the clocks of a zone show, for programs that do not know its name. It holds each change from
// 1970 to 2037, those of a zone that goes on with the same rule as that rule, so beyond 2037 too.

const zoneFrom, zoneTo = 1970, 2037

// certain is how many years in a row must fit a rule: each date is on each weekday within 12, so a rule that means
// another one, such as the first Sunday from the 2nd on, shows by then.
const certain = 12

// change is one of a zone's clocks.
type change struct {
	at       time.Time // on the wall, as it was before
	from, to int       // seconds east of UTC
	name     string
	dst      bool
}

func (c change) same(o change) bool {
	return c.from == o.from && c.to == o.to && c.name == o.name && c.dst == o.dst
}

// changes are those of a zone, the first of them what it had at the beginning.
func changes(zone *time.Location) []change {
	t := time.Date(zoneFrom, 1, 1, 0, 0, 0, 0, time.UTC).In(zone)
	name, offset := t.Zone()
	all := []change{{time.Date(zoneFrom, 1, 1, 0, 0, 0, 0, time.UTC), offset, offset, name, t.IsDST()}}
	for {
		_, end := t.ZoneBounds()
		if end.IsZero() || end.Year() > zoneTo {
			return all
		}
		before := offset
		name, offset = end.Zone()
		at := end.UTC().Add(time.Duration(before) * time.Second)
		if last := all[len(all)-1]; offset != before || name != last.name || end.IsDST() != last.dst { // Go's data have bounds where nothing changes
			all = append(all, change{at, before, offset, name, end.IsDST()})
		}
		t = end
	}
}

func appendZone(b []byte, name string, zone *time.Location) []byte {
	b = appendLine(b, "BEGIN:VTIMEZONE")
	b = appendLine(b, "TZID:"+escapeText(name))
	groups := grouped(changes(zone))
	// With a rule for one half of the year alone, the clocks would stand still after the last change that is listed.
	ruled := !slices.ContainsFunc(groups, func(g []change) bool { return g[len(g)-1].at.Year() == zoneTo && ruleFrom(g) == len(g) })
	for _, g := range groups {
		n := len(g)
		if ruled {
			n = ruleFrom(g)
		}
		if n > 0 {
			b = appendObservance(b, g[:n], "")
		}
		if n < len(g) {
			b = appendObservance(b, g[n:n+1], rule(g[n], lastOf(g[n:])))
		}
	}
	return appendLine(b, "END:VTIMEZONE")
}

// grouped puts those together that differ in their time alone.
func grouped(all []change) (groups [][]change) {
	for _, c := range all {
		i := slices.IndexFunc(groups, func(g []change) bool { return g[0].same(c) })
		if i < 0 {
			i = len(groups)
			groups = append(groups, nil)
		}
		groups[i] = append(groups[i], c)
	}
	return groups
}

func appendObservance(b []byte, group []change, rule string) []byte {
	c := group[0]
	kind := "STANDARD"
	if c.dst {
		kind = "DAYLIGHT"
	}
	b = appendLine(b, "BEGIN:"+kind)
	b = appendLine(b, "DTSTART:"+c.at.Format(icalTime))
	b = appendLine(b, "TZOFFSETFROM:"+zoneOffset(c.from))
	b = appendLine(b, "TZOFFSETTO:"+zoneOffset(c.to))
	b = appendLine(b, "TZNAME:"+escapeText(c.name))
	if rule != "" {
		b = appendLine(b, "RRULE:"+rule)
	}
	for _, c := range group[1:] {
		b = appendLine(b, "RDATE:"+c.at.Format(icalTime))
	}
	return appendLine(b, "END:"+kind)
}

func zoneOffset(seconds int) string {
	sign := '+'
	if seconds < 0 {
		sign, seconds = '-', -seconds
	}
	s := fmt.Sprintf("%c%02d%02d", sign, seconds/3600, seconds/60%60)
	if seconds%60 != 0 {
		s += fmt.Sprintf("%02d", seconds%60)
	}
	return s
}

// ruleFrom is where in a group those begin that one rule gives, up to the last year: the length of the group if
// there are none.
func ruleFrom(group []change) int {
	n := len(group)
	if group[n-1].at.Year() != zoneTo {
		return n
	}
	from := n - 1
	for from > 0 && group[from-1].at.Year() == group[from].at.Year()-1 && oneRule(group[from-1:]) {
		from--
	}
	if n-from < certain {
		return n
	}
	return from
}

// oneRule reports whether all are at the same time of the same weekday of a month: all the last, or all the same of
// those from the first.
func oneRule(group []change) bool {
	c := group[0]
	same := !slices.ContainsFunc(group, func(o change) bool {
		return o.at.Month() != c.at.Month() || o.at.Weekday() != c.at.Weekday() || o.at.Format("150405") != c.at.Format("150405")
	})
	return same && (lastOf(group) || !slices.ContainsFunc(group, func(o change) bool { return nth(o) != nth(c) }))
}

func lastOf(group []change) bool {
	return !slices.ContainsFunc(group, func(c change) bool { return c.at.AddDate(0, 0, 7).Month() == c.at.Month() })
}

func nth(c change) int { return (c.at.Day()-1)/7 + 1 }

func rule(c change, last bool) string {
	n := nth(c)
	if last {
		n = -1
	}
	day := []string{"SU", "MO", "TU", "WE", "TH", "FR", "SA"}[c.at.Weekday()]
	return fmt.Sprintf("FREQ=YEARLY;BYMONTH=%d;BYDAY=%d%s", c.at.Month(), n, day)
}
