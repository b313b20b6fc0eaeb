package quick

import (
	"strconv"
	"time"
)

// reading is what has been read of a line so far. It is copied to try a way of reading on.
type reading struct {
	now     time.Time
	phrases int // of days, times and repeats
	weak    bool
	loose   bool

	hasDay   bool
	day      time.Time // midnight, in UTC: days are counted without a zone
	hasClock bool
	clock    int // minutes of the day
	midnight bool
	priority uint8
	hasPrio  bool

	rule string
	ends bool // rule says when
	done bool
	fits func(day time.Time) bool // which days a repeat may begin on; nil: any
}

// run reads all of w as phrases, one of a kind. Weak is one that does not do alone, loose one that is read at the end of a
// line only.
func (r reading) run(w []string) (reading, bool) {
	if len(w) == 0 {
		return r, r.phrases > 0 || r.hasPrio
	}
	for _, phrase := range []func(*reading, []string) int{(*reading).readRepeat, (*reading).readEnd, (*reading).readDay, (*reading).readClock} {
		next := r
		if n := phrase(&next, w); n > 0 {
			next.phrases++
			if out, ok := next.run(w[n:]); ok {
				return out, true
			}
		}
	}
	if p := w[0]; !r.hasPrio && len(p) == 2 && p[0] == 'p' && '1' <= p[1] && p[1] <= '9' {
		r.priority, r.hasPrio = p[1]-'0', true
		return r.run(w[1:])
	}
	return r, false
}

// resolve works out the day and time that were meant.
func (r reading) resolve() Entry {
	e := Entry{Priority: r.priority, Repeat: r.rule}
	if r.done {
		e.RepeatFrom = "done"
	}
	if !r.hasDay && !r.hasClock && r.rule == "" {
		return e
	}
	if !r.hasDay {
		r.day = r.today()
		if r.hasClock && !r.midnight && r.clock <= r.now.Hour()*60+r.now.Minute() {
			r.day = r.day.AddDate(0, 0, 1)
		}
	}
	if r.fits != nil {
		// The rarest are 29 February and the months with a 31st day.
		for i := 0; i < 9*366 && !r.fits(r.day); i++ {
			r.day = r.day.AddDate(0, 0, 1)
		}
	}
	if r.midnight {
		r.day = r.day.AddDate(0, 0, 1) // the one that ends the day
	}
	e.Date = r.day.Format(time.DateOnly)
	if r.hasClock {
		e.Time = time.Date(2000, 1, 1, 0, r.clock, 0, 0, time.UTC).Format("15:04")
	}
	return e
}

func (r *reading) today() time.Time {
	y, m, d := r.now.Date()
	return time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
}

func (r *reading) setDay(day time.Time) bool {
	if r.hasDay || day.Year() < 1 || day.Year() > 9999 {
		return false
	}
	r.day, r.hasDay = day, true
	return true
}

// number is a whole number of at most 4 digits.
func number(s string) (int, bool) {
	if s == "" || len(s) > 4 || s[0] < '0' || s[0] > '9' {
		return 0, false
	}
	n, err := strconv.Atoi(s)
	return n, err == nil
}

// at is a word of w, "" behind its end.
func at(w []string, i int) string {
	if i < len(w) {
		return w[i]
	}
	return ""
}
