package format

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	_ "time/tzdata"

	"todod/fsm/todo/due"
)

// What a VTIMEZONE says is read here as RFC 5545, section 3.6.5, has it, with no zone data, and compared with those of Go.
func TestZonesSayWhatClocksShow(t *testing.T) {
	for _, name := range []string{"Europe/Berlin", "Europe/Dublin", "Europe/London", "Europe/Moscow", "Europe/Istanbul", "America/New_York", "America/Sao_Paulo",
		"America/Santiago", "America/Caracas", "America/St_Johns", "Africa/Casablanca", "Africa/Cairo", "Africa/Monrovia", "Asia/Kolkata", "Asia/Tehran", "Asia/Jerusalem",
		"Asia/Gaza", "Asia/Kathmandu", "Asia/Tokyo", "Asia/Pyongyang", "Australia/Lord_Howe", "Australia/Sydney", "Pacific/Apia", "Pacific/Kiritimati", "Antarctica/Troll", "Etc/GMT+5", "Etc/UTC"} {
		zone, err := due.Zone(name)
		if err != nil {
			t.Fatal(err)
		}
		text := string(appendZone(nil, name, zone))
		clock := parseZone(t, text)
		to := zoneTo
		if strings.Contains(text, "RRULE") {
			to = 2060 // as far as its rule goes
		}
		for at := time.Date(zoneFrom, 1, 1, 0, 0, 0, 0, time.UTC); at.Year() <= to; at = at.Add(101*time.Hour + 7*time.Minute) {
			_, want := at.In(zone).Zone()
			if got := clock.offset(at); got != want {
				t.Errorf("%s: at %s it is %d, want %d, by\n%s", name, at, got, want, text)
				break
			}
		}
	}
}

// A zone with one rule is a few lines, not two for each year.
func TestZonesAreShort(t *testing.T) {
	zone, err := due.Zone("America/New_York")
	if err != nil {
		t.Fatal(err)
	}
	text := string(appendZone(nil, "America/New_York", zone))
	if !strings.Contains(text, "RRULE:FREQ=YEARLY;BYMONTH=3;BYDAY=2SU") || !strings.Contains(text, "DTSTART:20070311T020000") {
		t.Errorf("%s", text)
	}
}

type onset struct {
	at time.Time // UTC
	to int
}

type clock []onset

func (c clock) offset(at time.Time) int {
	i, found := slices.BinarySearchFunc(c, at, func(o onset, at time.Time) int { return o.at.Compare(at) })
	if !found {
		i--
	}
	return c[max(i, 0)].to
}

func parseZone(t *testing.T, text string) clock {
	t.Helper()
	var all clock
	var from, to int
	var walls []time.Time
	for line := range strings.SplitSeq(text, "\r\n") {
		name, value, _ := strings.Cut(line, ":")
		switch name {
		case "BEGIN":
			walls = nil
		case "DTSTART", "RDATE":
			at, err := time.Parse(icalTime, value)
			if err != nil {
				t.Fatal(err)
			}
			walls = append(walls, at)
		case "TZOFFSETFROM":
			from = parseOffset(t, value)
		case "TZOFFSETTO":
			to = parseOffset(t, value)
		case "RRULE":
			walls = append(walls, expand(t, walls[0], value)...)
		case "END":
			for _, w := range walls {
				all = append(all, onset{w.Add(-time.Duration(from) * time.Second), to})
			}
			walls = nil
		}
	}
	slices.SortStableFunc(all, func(a, b onset) int { return a.at.Compare(b.at) })
	return all
}

func parseOffset(t *testing.T, s string) int {
	var h, m, sec int
	if n, _ := fmt.Sscanf(s[1:], "%2d%2d%2d", &h, &m, &sec); n < 2 {
		t.Fatalf("offset %q", s)
	}
	seconds := h*3600 + m*60 + sec
	if s[0] == '-' {
		return -seconds
	}
	return seconds
}

// expand gives the times of a yearly rule after its first.
func expand(t *testing.T, first time.Time, rule string) (walls []time.Time) {
	var month, n int
	var weekday string
	if _, err := fmt.Sscanf(rule, "FREQ=YEARLY;BYMONTH=%d;BYDAY=%d%s", &month, &n, &weekday); err != nil {
		t.Fatal(err)
	}
	for year := first.Year(); year <= 2061; year++ {
		var days []time.Time
		for d := 1; d <= 31; d++ {
			day := time.Date(year, time.Month(month), d, first.Hour(), first.Minute(), first.Second(), 0, time.UTC)
			if int(day.Month()) == month && strings.EqualFold(day.Weekday().String()[:2], weekday) {
				days = append(days, day)
			}
		}
		day := days[len(days)-1]
		if n > 0 {
			day = days[n-1]
		}
		if year == first.Year() && !day.Equal(first) {
			t.Fatalf("%s does not begin at %s", rule, first)
		}
		if year > first.Year() {
			walls = append(walls, day)
		}
	}
	return walls
}
