package due

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
	_ "time/tzdata"

	"todod/fsm/todo"
)

func entry(date, clock, tz string) *todo.Entry {
	e := &todo.Entry{Date: date}
	if clock != "" || tz != "" {
		e.More = &todo.More{Time: clock, TZ: tz}
	}
	return e
}

func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	z, err := Zone(name)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return z
}

func TestText(t *testing.T) {
	for _, c := range []struct{ date, clock, tz, want string }{
		{"", "", "", ""},
		{"2026-11-28", "", "", "2026-11-28"},
		{"2026-11-28", "09:30", "", "2026-11-28T09:30:00"},
		{"2026-11-28", "09:30", "Europe/Berlin", "2026-11-28T09:30:00+01:00"},
		{"2026-07-28", "09:30", "Europe/Berlin", "2026-07-28T09:30:00+02:00"},
		{"2026-11-28", "09:30", "UTC", "2026-11-28T09:30:00Z"},
		{"2026-11-28", "09:30", "Asia/Kathmandu", "2026-11-28T09:30:00+05:45"},
		{"2026-03-29", "02:30", "Europe/Berlin", "2026-03-29T03:30:00+02:00"}, // in the gap
		{"2026-10-25", "02:30", "Europe/Berlin", "2026-10-25T02:30:00+02:00"}, // the first of two
		{"2011-12-30", "12:00", "Pacific/Apia", "2011-12-31T12:00:00+14:00"},  // a day that was left out
		{"1850-01-01", "12:00", "Europe/Berlin", "1850-01-01T11:06:32Z"},      // +00:53:28
		{"9999-12-31", "23:59", "America/New_York", "9999-12-31T23:59:00-05:00"},
		{"2026-11-28", "09:30", "Mars/Olympus", "2026-11-28T09:30:00"}, // of a newer program
	} {
		e := entry(c.date, c.clock, c.tz)
		if got := Text(e); got != c.want {
			t.Errorf("%+v: %q", c, got)
		}
		if got := string(Append([]byte("before "), e)); got != "before "+c.want {
			t.Errorf("%+v: appended %q", c, got)
		}
	}
}

func TestAtAndDay(t *testing.T) {
	for _, c := range []struct{ date, clock, tz, reader, at, day string }{
		{"2026-11-28", "", "", "UTC", "2026-11-28T23:59:59.999999999Z", "2026-11-28"},
		{"2026-11-28", "", "", "America/New_York", "2026-11-29T04:59:59.999999999Z", "2026-11-28"},
		{"2026-11-28", "09:30", "", "America/New_York", "2026-11-28T14:30:00Z", "2026-11-28"},
		{"2026-11-28", "09:30", "Europe/Berlin", "America/New_York", "2026-11-28T08:30:00Z", "2026-11-28"},
		{"2026-11-28", "09:30", "Asia/Tokyo", "America/New_York", "2026-11-28T00:30:00Z", "2026-11-27"},
		{"2026-11-28", "09:30", "Mars/Olympus", "UTC", "2026-11-28T09:30:00Z", "2026-11-28"},
		// The day ends where the next would begin at midnight, had the clocks not been put forward then, or back.
		{"2018-11-03", "", "", "America/Sao_Paulo", "2018-11-04T02:59:59.999999999Z", "2018-11-03"},
		{"2018-02-17", "", "", "America/Sao_Paulo", "2018-02-18T02:59:59.999999999Z", "2018-02-17"},
		{"9999-12-31", "", "", "UTC", "9999-12-31T23:59:59.999999999Z", "9999-12-31"},
	} {
		e, reader := entry(c.date, c.clock, c.tz), zone(t, c.reader)
		at, ok := At(e, reader)
		if !ok || at.UTC().Format(time.RFC3339Nano) != c.at {
			t.Errorf("%+v: at %s, %v", c, at.UTC(), ok)
		}
		if got := Day(e, reader); got != c.day {
			t.Errorf("%+v: day %s", c, got)
		}
	}
	if at, ok := At(entry("", "", ""), time.UTC); ok {
		t.Errorf("without a date: %s", at)
	}
	if day := Day(entry("", "", ""), time.UTC); day != "" {
		t.Errorf("without a date: %s", day)
	}
}

// The table was made by another library; see instants.py beside it.
func TestInstantsLikePython(t *testing.T) {
	f, err := os.Open("testdata/instants.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	n := 0
	for ; lines.Scan(); n++ {
		var name, wall, want string
		if _, err := fmt.Sscan(lines.Text(), &name, &wall, &want); err != nil {
			t.Fatal(err)
		}
		at, err := time.Parse("2006-01-02T15:04", wall)
		if err != nil {
			t.Fatal(err)
		}
		if got := Instant(at, zone(t, name)).UTC().Format(time.RFC3339); got != want {
			t.Errorf("%s in %s: %s, want %s", wall, name, got, want)
		}
	}
	if err := lines.Err(); err != nil || n < 400 {
		t.Fatalf("%d lines, %v", n, err)
	}
}

func TestZoneNames(t *testing.T) {
	for _, name := range []string{"UTC", "Europe/Berlin", "America/Argentina/ComodRivadavia", "Etc/GMT+5", "Etc/GMT-14",
		"America/Port-au-Prince", "EST5EDT", "GMT0"} {
		if z := zone(t, name); z.String() != name {
			t.Errorf("%s became %s", name, z)
		}
	}
	for _, name := range []string{"", "Local", "localtime", "/etc/localtime", "../Europe/Berlin", "Europe/../Europe/Berlin", "Europe/./Berlin",
		"Europe//Berlin", "Europe/Berlin/", "Europe", "posix/Europe/Berlin", "right/Europe/Berlin", "posixrules", "leapseconds",
		"tzdata.zi", "zone.tab", "Factory", "CEST", "+01:00", "UTC+1", "Mars/Olympus", "Europe/Berlin\x00", "Europe/B\u00e9rlin", "Europe\\Berlin",
		strings.Repeat("A", 65), strings.Repeat("A/", 1<<20)} {
		_, err := Zone(name)
		if inv, ok := err.(*todo.Invalid); !ok || inv.Field != "tz" {
			t.Errorf("%.70q: %v", name, err)
		}
	}
}

// An error is the caller's: a batch puts the place of its command into it.
func TestErrorsAreNotShared(t *testing.T) {
	_, first := Zone("Mars")
	first.(*todo.Invalid).Field = "commands[3].tz"
	if _, second := Zone("Mars"); second.Error() != "tz must be the name of a time zone like Europe/Berlin" {
		t.Error(second)
	}
}

func TestZonesByMany(t *testing.T) {
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for _, name := range []string{"Asia/Tokyo", "Asia/Seoul", "Mars", "Europe/Oslo"} {
				if z, err := Zone(name); (err != nil) != (name == "Mars") || err == nil && z.String() != name {
					t.Errorf("%s: %v, %v", name, z, err)
				}
			}
		})
	}
	all.Wait()
}

func BenchmarkAppend(b *testing.B) {
	for name, e := range map[string]*todo.Entry{"date": entry("2026-11-28", "", ""), "floating": entry("2026-11-28", "09:30", ""),
		"zone": entry("2026-11-28", "09:30", "Europe/Berlin")} {
		b.Run(name, func(b *testing.B) {
			buf := make([]byte, 0, 64)
			b.ReportAllocs()
			for b.Loop() {
				buf = Append(buf[:0], e)
			}
		})
	}
}

// FuzzZone takes any text for the name of a zone: what is taken is a zone of that name, wherever the data come from.
func FuzzZone(f *testing.F) {
	for _, name := range []string{"UTC", "Europe/Berlin", "Etc/GMT+5", "", "Local", "../UTC", "right/UTC", "Europe", "a//b", "zone.tab", "leapseconds", "posix/UTC"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		z, err := Zone(name)
		if err != nil {
			if inv, ok := err.(*todo.Invalid); !ok || inv.Field != "tz" {
				t.Fatalf("%q: %v", name, err)
			}
			return
		}
		if z.String() != name || strings.Contains(name, ".") || strings.HasPrefix(name, "/") || name == "Local" {
			t.Fatalf("%q is taken as %s", name, z)
		}
		if _, offset := time.Unix(1_800_000_000, 0).In(z).Zone(); offset < -15*3600 || offset > 15*3600 {
			t.Fatalf("%q is %d s off", name, offset)
		}
	})
}
