package due

import (
	"slices"
	"strings"
	"testing"
	"time"

	"todod/fsm/todo"
)

func TestTime(t *testing.T) {
	for _, ok := range []string{"00:00", "09:30", "23:59"} {
		if err := Time(ok); err != nil {
			t.Errorf("%s: %v", ok, err)
		}
	}
	for _, bad := range []string{"", "9:30", "24:00", "12:60", "12:30:00", "1230", "12.30", "-1:30", "12:3a", "\u0661\u0662:30", "+1:30"} {
		if err := Time(bad); err == nil || err.Error() != "time must be a time of day like 09:30" {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestReminds(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"", ""},
		{"-PT15M", "-PT15M"},
		{"PT0S", "PT0S"},
		{"-PT0S", "PT0S"},
		{"+P1D", "P1D"},
		{"P7D", "P1W"},
		{"-P2W", "-P2W"},
		{"-P1DT12H", "-P1DT12H"},
		{"-PT90M", "-PT1H30M"},
		{"-PT0090M", "-PT1H30M"},
		{"-PT3605S", "-PT1H0M5S"},
		{"PT1H5S", "PT1H0M5S"},
		{"-PT24H", "-PT24H"}, // no day where clocks change
		{"P0D", "PT0S"},
		{"P3660D", "P3660D"},
		{"2018-12-19T08:00:00Z", "2018-12-19T08:00:00Z"},
		{"2018-12-19T08:00:00+02:00", "2018-12-19T06:00:00Z"},
		{"PT5M -P1D 2018-12-19T08:00:00Z -PT10M", "-P1D -PT10M 2018-12-19T08:00:00Z PT5M"},
		{"-PT60M -PT1H 2018-12-19T08:00:00+00:00 2018-12-19T08:00:00Z", "-PT1H 2018-12-19T08:00:00Z"},
	} {
		got, err := Reminds(strings.Fields(c.in))
		if err != nil || strings.Join(got, " ") != c.want {
			t.Errorf("%s: %q, %v", c.in, got, err)
		}
		if again, err := Reminds(got); err != nil || !slices.Equal(again, got) {
			t.Errorf("%s became %q and then %q, %v", c.in, got, again, err)
		}
	}
}

func TestBadReminds(t *testing.T) {
	const form = "must hold durations like -PT15M or instants like 2018-12-19T08:00:00Z"
	for in, reason := range map[string]string{
		"":                                form,
		"P":                               form,
		"PT":                              form,
		"P1DT":                            form,
		"15M":                             form,
		"-PT15m":                          form,
		"--PT15M":                         form,
		"- PT15M":                         form,
		"PT1.5H":                          form,
		"PT15M1H":                         form,
		"P1W2D":                           form,
		"P1WT1H":                          form,
		"P1M":                             form,
		"P1Y":                             form,
		"P-1D":                            form,
		"P9999999999999999999D":           form,
		"PT15M ":                          form,
		"2018-12-19":                      form,
		"2018-12-19T08:00:00":             form,
		"2018-02-30T08:00:00Z":            form,
		"2018-12-19 08:00:00Z":            form,
		"2018-12-19T08:00:00,0Z":          form,
		"2018-12-19T08:00:00.5Z":          "must hold instants of whole seconds",
		"0001-01-01T00:00:00+10:00":       "must hold instants of the years 1 to 9999",
		"9999-12-31T23:00:00-10:00":       "must hold instants of the years 1 to 9999",
		"P3661D":                          "must hold durations of at most ten years",
		"-PT87865H":                       "must hold durations of at most ten years",
		"-P999999999W":                    "must hold durations of at most ten years",
		"PT999999999H999999999M999999S":   "must hold durations of at most ten years",
		"-P100000000DT24H" + "0M0S":       "must hold durations of at most ten years",
		strings.Repeat("P", 1<<20) + "1D": form,
	} {
		_, err := Reminds([]string{in})
		if inv, ok := err.(*todo.Invalid); !ok || inv.Field != "remind" || inv.Reason != reason {
			t.Errorf("%.40q: %v", in, err)
		}
	}
	if _, err := Reminds(make([]string, todo.MaxReminds+1)); err == nil || err.Error() != "remind must be at most 8" {
		t.Error(err)
	}
}

// FuzzReminds: what is taken has one spelling, and means what it says.
func FuzzReminds(f *testing.F) {
	for _, in := range []string{"-PT15M", "P1W", "-P1DT2H3M4S", "PT0S", "+P0W", "2018-12-19T08:00:00+02:00", "PT99999H", "P1DT", "PTS"} {
		f.Add(in)
	}
	f.Fuzz(func(t *testing.T, in string) {
		got, err := Reminds([]string{in})
		if err != nil {
			if inv, ok := err.(*todo.Invalid); !ok || inv.Field != "remind" {
				t.Fatalf("%q: %v", in, err)
			}
			return
		}
		again, err := Reminds(got)
		if err != nil || !slices.Equal(again, got) || len(got) != 1 || len(got[0]) > 40 {
			t.Fatalf("%q became %q and then %q, %v", in, got, again, err)
		}
		if got[0][0] >= '0' && got[0][0] <= '9' {
			a, _ := time.Parse(time.RFC3339, in)
			b, err := time.Parse(time.RFC3339, got[0])
			if err != nil || !a.Equal(b) {
				t.Fatalf("%q became %q", in, got)
			}
			return
		}
		a, _ := parseDuration(in)
		if b, ok := parseDuration(got[0]); !ok || a != b {
			t.Fatalf("%q is %+v, %q is %+v", in, a, got, b)
		}
	})
}
