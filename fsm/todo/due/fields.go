package due

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"todod/fsm/todo"
)

func invalid(field, format string, args ...any) error {
	return &todo.Invalid{Field: field, Reason: fmt.Sprintf(format, args...)}
}

// Time checks a time of day of the form 15:04.
func Time(text string) error {
	if len(text) == len("15:04") {
		if _, err := time.Parse("15:04", text); err == nil {
			return nil
		}
	}
	return invalid("time", "must be a time of day like 09:30")
}

// Reminds checks the reminders of an entry and returns them as they are kept: each in its one spelling, sorted,
// each once. One is a duration of RFC 5545, section 3.3.6, before or after due, or an instant of RFC 3339.
func Reminds(in []string) ([]string, error) {
	if len(in) > todo.MaxReminds {
		return nil, invalid("remind", "must be at most %d", todo.MaxReminds)
	}
	if len(in) == 0 {
		return nil, nil
	}
	out := make([]string, len(in))
	for i, text := range in {
		var err error
		if out[i], err = remind(text); err != nil {
			return nil, err
		}
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

// maxAhead is the most days that a reminder may be away from due: ten years.
const maxAhead = 3660

func badRemind() error {
	return invalid("remind", "must hold durations like -PT15M or instants like 2018-12-19T08:00:00Z")
}

func remind(text string) (string, error) {
	if text != "" && text[0] >= '0' && text[0] <= '9' {
		t, err := time.Parse(time.RFC3339, text)
		t = t.UTC()
		switch {
		case err != nil || strings.Contains(text, ","): // which Parse takes before a fraction, and RFC 3339 does not
			return "", badRemind()
		case t.Nanosecond() != 0:
			return "", invalid("remind", "must hold instants of whole seconds")
		case t.Year() < 1 || t.Year() > 9999:
			return "", invalid("remind", "must hold instants of the years 1 to 9999")
		}
		return t.Format(time.RFC3339), nil
	}
	d, ok := parseDuration(text)
	if !ok {
		return "", badRemind()
	}
	if d.days+d.seconds/86400 > maxAhead {
		return "", invalid("remind", "must hold durations of at most ten years")
	}
	return d.String(), nil
}

// duration is one of RFC 5545: days follow the calendar, so that a day is not 24 hours where clocks change.
type duration struct {
	before        bool
	days, seconds int
}

// parseDuration is a little wider than the RFC, which wants minutes between hours and seconds.
func parseDuration(text string) (d duration, ok bool) {
	rest, minus := strings.CutPrefix(text, "-")
	if !minus {
		rest = strings.TrimPrefix(rest, "+")
	}
	rest, ok = strings.CutPrefix(rest, "P")
	if !ok {
		return d, false
	}
	date, clock, timed := strings.Cut(rest, "T")
	if weeks, ok := strings.CutSuffix(date, "W"); ok {
		n, ok := number(weeks)
		return duration{minus, 7 * n, 0}.signed(), ok && !timed
	}
	if date != "" {
		n, fits := strings.CutSuffix(date, "D")
		if d.days, ok = number(n); !ok || !fits {
			return d, false
		}
	}
	if timed && clock == "" || date == "" && !timed {
		return d, false
	}
	for _, unit := range []struct {
		name    string
		seconds int
	}{{"H", 3600}, {"M", 60}, {"S", 1}} {
		text, after, found := strings.Cut(clock, unit.name)
		if !found {
			continue
		}
		n, ok := number(text)
		if !ok {
			return d, false
		}
		d.seconds += n * unit.seconds
		clock = after
	}
	d.before = minus
	return d.signed(), clock == ""
}

// signed is d without the sign of nothing.
func (d duration) signed() duration {
	d.before = d.before && d.days+d.seconds > 0
	return d
}

func number(text string) (int, bool) {
	if text == "" || len(text) > 9 || strings.Trim(text, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.Atoi(text)
	return n, err == nil
}

// String is the one spelling of a duration.
func (d duration) String() string {
	var b strings.Builder
	if d.before {
		b.WriteByte('-')
	}
	b.WriteByte('P')
	switch {
	case d.days > 0 && d.days%7 == 0 && d.seconds == 0:
		fmt.Fprintf(&b, "%dW", d.days/7)
		return b.String()
	case d.days > 0:
		fmt.Fprintf(&b, "%dD", d.days)
		if d.seconds == 0 {
			return b.String()
		}
	}
	b.WriteByte('T')
	hours, minutes, seconds := d.seconds/3600, d.seconds/60%60, d.seconds%60
	if hours > 0 {
		fmt.Fprintf(&b, "%dH", hours)
	}
	if minutes > 0 || hours > 0 && seconds > 0 {
		fmt.Fprintf(&b, "%dM", minutes)
	}
	if seconds > 0 || d.seconds == 0 {
		fmt.Fprintf(&b, "%dS", seconds)
	}
	return b.String()
}
