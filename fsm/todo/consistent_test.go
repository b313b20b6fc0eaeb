package todo

import "testing"

func TestConsistent(t *testing.T) {
	for _, c := range []struct {
		name  string
		entry Entry
		field string
		lacks string
	}{
		{"nothing but a title", Entry{Title: "x"}, "", ""},
		{"a date", Entry{Date: "2026-11-28"}, "", ""},
		{"fields that need nothing", Entry{More: &More{Notes: "n", Priority: 1, Tags: []string{"a"}, UID: "u", X: "{}"}}, "", ""},
		{"all of it", Entry{Date: "2026-11-28", More: &More{Time: "09:00", TZ: "Europe/Berlin", Repeat: "FREQ=DAILY",
			RepeatFrom: FromDone, Remind: []string{"-PT15M", "2026-11-27T08:00:00Z"}}}, "", ""},
		{"a time without a date", Entry{More: &More{Time: "09:00"}}, "time", "needs a date"},
		{"a zone without a time", Entry{Date: "2026-11-28", More: &More{TZ: "Europe/Berlin"}}, "tz", "needs a time"},
		{"a zone without anything", Entry{More: &More{TZ: "Europe/Berlin"}}, "tz", "needs a time"},
		{"a zone whose time lacks its date", Entry{More: &More{Time: "09:00", TZ: "Europe/Berlin"}}, "time", "needs a date"},
		{"a repeat without a date", Entry{More: &More{Repeat: "FREQ=DAILY"}}, "repeat", "needs a date"},
		{"from done without a repeat", Entry{Date: "2026-11-28", More: &More{RepeatFrom: FromDone}}, "repeat_from", "needs a repeat"},
		{"a reminder before a due that is not there", Entry{More: &More{Remind: []string{"-PT15M"}}}, "remind", "needs a date"},
		{"a reminder after it", Entry{More: &More{Remind: []string{"2026-11-27T08:00:00Z", "PT1H"}}}, "remind", "needs a date"},
		{"a reminder at an instant", Entry{More: &More{Remind: []string{"2026-11-27T08:00:00Z"}}}, "", ""},
	} {
		field, ok := Consistent(&c.entry)
		if field != c.field || ok != (c.field == "") {
			t.Errorf("%s: %q, %v, want %q", c.name, field, ok, c.field)
		}
		if !ok && Lacks(field) != c.lacks {
			t.Errorf("%s: %s %s, want %s", c.name, field, Lacks(field), c.lacks)
		}
	}
}
