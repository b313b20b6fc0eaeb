// Package due says when entries are due: as they were meant, a date and perhaps a time on the wall of a
// zone, and as an instant. It is for reading and for before a command is proposed. Zone data differ between
// machines, so nothing of it may run in Apply.
package due

import (
	"time"

	"todod/fsm/todo"
)

// The forms of a due: a date, a time of no zone, and one with an offset (RFC 3339).
const (
	floating = "2006-01-02T15:04:05"
	offset   = time.RFC3339
)

// Text is when an entry is due, as it was meant: its date; with a time, that on the wall, and with a zone, also the
// offset there. It is "" if the entry has no date. What names a zone that this program does not know floats.
func Text(e *todo.Entry) string {
	if e.More == nil {
		return e.Date
	}
	return string(Append(make([]byte, 0, 32), e))
}

// Append appends the Text of an entry to b.
func Append(b []byte, e *todo.Entry) []byte {
	b = append(b, e.Date...)
	if e.Date == "" || e.More == nil || e.More.Time == "" {
		return b
	}
	if e.More.TZ != "" {
		wall, err := time.Parse("2006-01-02 15:04", e.Date+" "+e.More.Time)
		zone, zoneErr := Zone(e.More.TZ)
		if err == nil && zoneErr == nil {
			at := Instant(wall, zone)
			if _, off := at.Zone(); off%60 != 0 { // local mean time of long ago, which RFC 3339 cannot write
				at = at.UTC()
			}
			return at.AppendFormat(b[:len(b)-len(e.Date)], offset)
		}
	}
	b = append(b, 'T')
	b = append(b, e.More.Time...)
	return append(b, ":00"...)
}

// At is the instant up to which an entry can be done in time, as a reader in zone sees it, and whether there is
// one. With a date only it is the last nanosecond of that day there, so that At sorts such an entry behind those
// of the day that have a time. What floats is due at its time in the reader's zone.
func At(e *todo.Entry, reader *time.Location) (time.Time, bool) {
	day, err := time.Parse(time.DateOnly, e.Date)
	if err != nil {
		return time.Time{}, false
	}
	if e.More == nil || e.More.Time == "" {
		return Instant(day.AddDate(0, 0, 1), reader).Add(-1), true
	}
	clock, err := time.Parse("15:04", e.More.Time)
	if err != nil {
		return time.Time{}, false
	}
	wall := day.Add(time.Duration(clock.Hour())*time.Hour + time.Duration(clock.Minute())*time.Minute)
	if e.More.TZ != "" {
		if zone, err := Zone(e.More.TZ); err == nil {
			return Instant(wall, zone), true
		}
	}
	return Instant(wall, reader), true
}

// Day is the date on which an entry is due for a reader in zone, "" if it has none: its own date, unless it has a zone
// in which it is another day.
func Day(e *todo.Entry, reader *time.Location) string {
	if e.Date == "" || e.More == nil || e.More.TZ == "" {
		return e.Date
	}
	at, ok := At(e, reader)
	if !ok {
		return e.Date
	}
	return at.In(reader).Format(time.DateOnly)
}

// Instant is when the clocks on the walls of a zone show what wall does; the zone of wall itself is of no
// meaning. As RFC 5545, section 3.3.5, has it: what they show twice is the first of the two, and what they never show, since
// they are put forward, is counted with the offset from before that, and so is as much later as they are put
// forward. time.Date promises neither.
func Instant(wall time.Time, zone *time.Location) time.Time {
	year, month, day := wall.Date()
	hour, minute, second := wall.Clock()
	near := time.Date(year, month, day, hour, minute, second, wall.Nanosecond(), zone)
	as := time.Date(year, month, day, hour, minute, second, wall.Nanosecond(), time.UTC)

	// The time with the offset of each of three periods around: the one that time.Date took, and its neighbours.
	periods := make([]period, 0, 3)
	from, to := near.ZoneBounds()
	if !from.IsZero() {
		periods = append(periods, periodOf(from.Add(-1)))
	}
	periods = append(periods, periodOf(near))
	if !to.IsZero() {
		periods = append(periods, periodOf(to))
	}
	for _, p := range periods {
		if at := as.Add(-p.offset); p.has(at) {
			return at.In(zone)
		}
	}
	for i, p := range periods[:len(periods)-1] {
		next := periods[i+1]
		if at := as.Add(-p.offset); !at.Before(p.to) && as.Add(-next.offset).Before(next.from) {
			return at.In(zone)
		}
	}
	return near
}

// period is a time through which a zone has one offset; from and to are zero where it has no end.
type period struct {
	from, to time.Time
	offset   time.Duration
}

func periodOf(t time.Time) period {
	_, seconds := t.Zone()
	p := period{offset: time.Duration(seconds) * time.Second}
	p.from, p.to = t.ZoneBounds()
	return p
}

func (p period) has(t time.Time) bool {
	return (p.from.IsZero() || !t.Before(p.from)) && (p.to.IsZero() || t.Before(p.to))
}
