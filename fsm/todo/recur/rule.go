// Package recur works out when an entry that repeats is due next. It reads the RRULE of RFC 5545, section 3.3.10, as
// far as that goes by whole days. It is for before a command is proposed, and never part of Apply: a defect that is
// put right here must not make nodes differ.
//
// There are libraries for this. github.com/teambition/rrule-go, the one most used, is a translation of Python's
// dateutil and has not moved since 2023; it takes what the RFC forbids, goes on to the year 9999 with a rule that never
// matches, and has instants where an entry has dates. Days alone take less code than it would take to fence it in. What
// this package says is compared with dateutil in a test.
package recur

import (
	"fmt"
	"math/bits"
	"slices"
	"strconv"
	"strings"
	"time"
)

// freq is the length of the periods that a rule counts.
type freq uint8

const (
	daily freq = iota
	weekly
	monthly
	yearly
)

var freqNames = [...]string{daily: "DAILY", weekly: "WEEKLY", monthly: "MONTHLY", yearly: "YEARLY"}

// dayNames are BYDAY's, in the order of time.Weekday.
var dayNames = [...]string{"SU", "MO", "TU", "WE", "TH", "FR", "SA"}

// Rule is a repeat that was read. The zero value is none.
type Rule struct {
	freq      freq
	interval  int
	count     int // occurrences left, the present one among them; 0: no such end
	until     until
	months    uint16    // BYMONTH: bit n for month n
	weeks     []int     // BYWEEKNO
	yearDays  []int     // BYYEARDAY
	monthDays [2]uint32 // BYMONTHDAY: bit n for day n; [1] from the end of the month
	days      []nthDay  // BYDAY
	places    []int     // BYSETPOS
	weekStart time.Weekday
}

// nthDay is a weekday; n other than 0 says which of the month or year, below 0 from its end.
type nthDay struct {
	n   int
	day time.Weekday
}

// until is the last moment of a rule.
type until struct {
	at   time.Time // on the wall of the entry's zone, or UTC
	form string    // of untilForms; "" for none
}

// untilForms are a date, a time on the wall of the entry's zone, and one of UTC.
const (
	untilDate = "20060102"
	untilWall = "20060102T150405"
	untilUTC  = "20060102T150405Z"
)

// String is the one spelling of the rule: FREQ, INTERVAL unless it is 1, COUNT or UNTIL, the BY parts from long to short
// with their numbers in order, and WKST unless it is Monday.
func (r Rule) String() string {
	var b strings.Builder
	b.WriteString("FREQ=" + freqNames[r.freq])
	if r.interval > 1 {
		fmt.Fprintf(&b, ";INTERVAL=%d", r.interval)
	}
	if r.count > 0 {
		fmt.Fprintf(&b, ";COUNT=%d", r.count)
	}
	if r.until.form != "" {
		b.WriteString(";UNTIL=" + r.until.at.Format(r.until.form))
	}
	list(&b, "BYMONTH", set(uint32(r.months)))
	list(&b, "BYWEEKNO", r.weeks)
	list(&b, "BYYEARDAY", r.yearDays)
	fromEnd := set(r.monthDays[1])
	slices.Reverse(fromEnd)
	for i := range fromEnd {
		fromEnd[i] = -fromEnd[i]
	}
	list(&b, "BYMONTHDAY", append(fromEnd, set(r.monthDays[0])...))
	list(&b, "BYDAY", r.days)
	list(&b, "BYSETPOS", r.places)
	if r.weekStart != time.Monday {
		b.WriteString(";WKST=" + dayNames[r.weekStart])
	}
	return b.String()
}

func (d nthDay) String() string {
	if d.n == 0 {
		return dayNames[d.day]
	}
	return strconv.Itoa(d.n) + dayNames[d.day]
}

// set are the bits that are set.
func set(bitSet uint32) []int {
	out := make([]int, 0, bits.OnesCount32(bitSet))
	for ; bitSet != 0; bitSet &= bitSet - 1 {
		out = append(out, bits.TrailingZeros32(bitSet))
	}
	return out
}

func list[T any](b *strings.Builder, name string, values []T) {
	for i, v := range values {
		if i == 0 {
			b.WriteString(";" + name + "=")
		} else {
			b.WriteByte(',')
		}
		fmt.Fprint(b, v)
	}
}

// countDown is the rule for the occurrence after the present one, and whether there may be one by COUNT.
func (r Rule) countDown() (Rule, bool) {
	if r.count == 1 {
		return r, false
	}
	if r.count > 1 {
		r.count--
	}
	return r, true
}
