package format

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestICalKeepsAllButIDs(t *testing.T) {
	roundTrip(t, Find(ICal), func(e *Entry) {
		e.UID = UID(&e.Entry)
		e.List, e.ID, e.Rev, e.Parent = "", 0, 0, 0
		e.Notes = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(e.Notes)
		e.Created, e.Updated = e.Created.Truncate(time.Second), e.Updated.Truncate(time.Second)
		if e.Completed != nil {
			at := e.Completed.Truncate(time.Second)
			e.Completed = &at
		}
	})
}

// Lines have at most 75 octets and end with CRLF; no character is cut.
func TestICalFolds(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		file := encode(t, Find(ICal), genList().Draw(rt, "entries"))
		lines := strings.Split(file, "\r\n")
		for _, line := range lines[:len(lines)-1] {
			if len(line) > 75 || !utf8.ValidString(line) || strings.ContainsAny(line, "\r\n") {
				rt.Fatalf("%q", line)
			}
		}
		if lines[len(lines)-1] != "" {
			rt.Fatalf("the file ends with %q", lines[len(lines)-1])
		}
	})
}

// The same to-do as an export writes it.
func TestICalLooksAsOthersDo(t *testing.T) {
	at := time.Date(2026, 11, 28, 9, 0, 0, 0, time.UTC)
	e := &Entry{Above: "u0"}
	e.Title, e.Notes, e.UID, e.Created, e.Updated, e.Priority = "Dentist, upstairs", "bring card;\nring twice", "u1", at, at, 1
	e.Date, e.Time, e.TZ, e.Repeat, e.Remind, e.Tags = "2026-12-19", "09:30", "UTC", "FREQ=YEARLY;UNTIL=20301231", []string{"-PT15M", "2026-12-18T18:00:00Z"}, []string{"health", "home"}
	e.X = []byte(`{"ical":["LOCATION:Here"],"n":1}`)
	want := `BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//todod//todod//EN
X-WR-CALNAME:bob
BEGIN:VTODO
UID:u1
DTSTAMP:20261128T090000Z
CREATED:20261128T090000Z
LAST-MODIFIED:20261128T090000Z
SUMMARY:Dentist\, upstairs
DESCRIPTION:bring card\;\nring twice
DUE:20261219T093000Z
DTSTART:20261219T093000Z
RRULE:FREQ=YEARLY;UNTIL=20301231T235959Z
X-TODOD-REPEAT:FREQ=YEARLY\;UNTIL=20301231
STATUS:NEEDS-ACTION
PRIORITY:1
CATEGORIES:health,home
RELATED-TO:u0
LOCATION:Here
X-TODOD-X:{"n":1}
BEGIN:VALARM
ACTION:DISPLAY
DESCRIPTION:Dentist\, upstairs
TRIGGER;RELATED=END:-PT15M
END:VALARM
BEGIN:VALARM
ACTION:DISPLAY
DESCRIPTION:Dentist\, upstairs
TRIGGER;VALUE=DATE-TIME:20261218T180000Z
END:VALARM
END:VTODO
END:VCALENDAR
`
	if got := strings.ReplaceAll(encode(t, Find(ICal), []*Entry{e}), "\r\n", "\n"); got != want {
		t.Errorf("got\n%s", got)
	}
}

// calendar puts lines into a to-do.
func calendar(lines ...string) string {
	return "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nBEGIN:VTODO\r\nSUMMARY:a\r\n" + strings.Join(lines, "\r\n") + "\r\nEND:VTODO\r\nBEGIN:VTODO\r\nSUMMARY:b\r\nEND:VTODO\r\nEND:VCALENDAR\r\n"
}

// What other programs write.
func TestICalOfOtherPrograms(t *testing.T) {
	for _, c := range []struct {
		name  string
		lines []string
		want  string // date time tz repeat done | x | remarks
	}{
		{"a date", []string{"DUE;VALUE=DATE:20261219"}, "2026-12-19"},
		{"a time in UTC", []string{"DUE:20261219T093000Z"}, "2026-12-19 09:30 UTC"},
		{"a floating time", []string{"DUE:20261219T093000"}, "2026-12-19 09:30"},
		{"seconds", []string{"DUE:20261219T093015"}, "2026-12-19 09:30 | the seconds of DUE were left out"},
		{"a zone", []string{"DUE;TZID=Europe/Berlin:20261219T093000"}, "2026-12-19 09:30 Europe/Berlin"},
		{"a zone in quotes", []string{`due;tzid="Europe/Berlin":20261219T093000`}, "2026-12-19 09:30 Europe/Berlin"},
		{"a zone with a prefix", []string{"DUE;TZID=/freeassociation.sourceforge.net/Europe/Berlin:20261219T093000"}, "2026-12-19 09:30 Europe/Berlin"},
		{"a zone that is not known", []string{"DUE;TZID=Middle Earth:20261219T093000"}, `2026-12-19 09:30 | the time zone "Middle Earth" is not known: the time was kept without it`},
		{"a start alone", []string{"DTSTART;VALUE=DATE:20261219"}, "2026-12-19"},
		{"a start before it is due", []string{"DTSTART;VALUE=DATE:20261201", "DUE;VALUE=DATE:20261219"}, `2026-12-19 x {"ical":["DTSTART;VALUE=DATE:20261201"]}`},
		{"a repeat", []string{"DTSTART:20261219T093000", "DUE:20261219T093000", "RRULE:FREQ=DAILY"}, "2026-12-19 09:30 FREQ=DAILY"},
		{"a repeat without a date", []string{"RRULE:FREQ=DAILY"}, "| the repeat was left out: there is no date that it counts from"},
		{"two rules", []string{"DUE:20261219T093000", "RRULE:FREQ=DAILY", "RRULE:FREQ=YEARLY"}, "2026-12-19 09:30 FREQ=DAILY | a second RRULE was left out"},
		{"done", []string{"STATUS:COMPLETED", "PERCENT-COMPLETE:100"}, "done"},
		{"done without a status", []string{"COMPLETED:20261128T090000Z"}, "done"},
		{"given up", []string{"STATUS:CANCELLED"}, "done | the status CANCELLED became done"},
		{"begun", []string{"STATUS:IN-PROCESS", "PERCENT-COMPLETE:40"}, `x {"ical":["PERCENT-COMPLETE:40"]} | the status IN-PROCESS became open`},
		{"categories", []string{"CATEGORIES:Home improvement,a\\,b", "CATEGORIES:x"}, `#Home-improvement #a-b #x | the tag "Home improvement" became "Home-improvement" | the tag "a,b" became "a-b"`},
		{"other properties", []string{"GEO:1;2", "X-FOO;A=\"b:c\",d:e,f", "SEQUENCE:3"}, `x {"ical":["GEO:1;2","X-FOO;A=\"b:c\",d:e,f"]}`},
		{"other relations", []string{"RELATED-TO;RELTYPE=CHILD:c", "RELATED-TO:p", "RELATED-TO:q"}, `^p x {"ical":["RELATED-TO;RELTYPE=CHILD:c"]} | it has one parent only: "q" was left out`},
		{"alarms", []string{"DUE:20261219T093000", "BEGIN:VALARM", "ACTION:AUDIO", "SUMMARY:not the title", "TRIGGER:-PT0H15M", "END:VALARM", "BEGIN:VALARM", "TRIGGER;VALUE=DATE-TIME:20261218T180000Z", "END:VALARM",
			"BEGIN:VALARM", "TRIGGER:never", "END:VALARM"}, `2026-12-19 09:30 !-PT15M !2026-12-18T18:00:00Z | the reminder "never" was left out`},
		{"a property too long to keep", []string{"ATTACH;ENCODING=BASE64:" + strings.Repeat("a", 9000), "GEO:1;2"}, `x {"ical":["GEO:1;2"]} | ATTACH could not be kept`},
		{"a rule that another program changed", []string{"DUE;VALUE=DATE:20261219", "RRULE:FREQ=DAILY", "X-TODOD-REPEAT:FREQ=YEARLY"}, "2026-12-19 FREQ=DAILY"},
	} {
		t.Run(c.name, func(t *testing.T) {
			entries, faults := decode(t, Find(ICal), calendar(c.lines...))
			if len(entries) != 2 || len(faults) > 0 || entries[0].Title != "a" || entries[1].Title != "b" {
				t.Fatalf("%v %v", entries, faults)
			}
			if got := describe(entries[0]); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func describe(e *Entry) string {
	words := []string{e.Date, e.Time, e.TZ, e.Repeat}
	if e.Done {
		words = append(words, "done")
	}
	if e.Above != "" {
		words = append(words, "^"+e.Above)
	}
	for _, tag := range e.Tags {
		words = append(words, "#"+tag)
	}
	for _, r := range e.Remind {
		words = append(words, "!"+r)
	}
	if e.X != nil {
		words = append(words, "x "+string(e.X))
	}
	for _, r := range e.Remarks {
		words = append(words, "| "+r)
	}
	return strings.Join(strings.Fields(strings.Join(words, " ")), " ")
}

// Old programs fold in the middle of a character; zones have names of their own; other things lie beside to-dos.
func TestICalWholeFiles(t *testing.T) {
	file := "BEGIN:VCALENDAR\nBEGIN:VTIMEZONE\nTZID:Custom\nX-LIC-LOCATION:Europe/Berlin\nBEGIN:STANDARD\nTZID:no\nEND:STANDARD\nEND:VTIMEZONE\n" +
		"BEGIN:VEVENT\nSUMMARY:lunch\nno colon\nBEGIN:VALARM\nEND:VALARM\nEND:VEVENT\n\nBEGIN:VTODO\nSUMMARY:Zahn\xc3\n \xa4rzt\n\tin\\nhere\nDUE;TZID=Custom:20261219T093000\nEND:VTODO\nEND:VCALENDAR\n" +
		"BEGIN:VCALENDAR\nBEGIN:VTODO\nRECURRENCE-ID:20261219\nEND:VTODO\nBEGIN:VTODO\nUID:u\nEND:VTODO\nEND:VCALENDAR"
	entries, faults := decode(t, Find(ICal), file)
	if len(entries) != 2 || entries[0].Title != "Zahnärztin here" || entries[0].TZ != "Europe/Berlin" || entries[0].Line != 16 || entries[1].UID != "u" {
		t.Errorf("%+v", entries)
	}
	if len(faults) != 2 || !faults[0].Extra || !faults[1].Extra || faults[0].Error() != `line 9: the component "VEVENT" is no entry and was left out` {
		t.Errorf("%v", faults)
	}
}

func TestICalRefuses(t *testing.T) {
	nested := strings.Repeat("BEGIN:VTODO\n", 10000)
	checkRefusals(t, Find(ICal), []refusal{
		{"nothing", "", 0, "line 1: the file must begin with BEGIN:VCALENDAR"},
		{"text", "hello\n", 0, "line 1: a line must be of the form NAME:value"},
		{"a to-do alone", "BEGIN:VTODO\nEND:VTODO\n", 0, "line 1: the file must begin with BEGIN:VCALENDAR"},
		{"a property alone", "SUMMARY:a\n", 0, "line 1: the file must begin with BEGIN:VCALENDAR"},
		{"cut in a to-do", "BEGIN:VCALENDAR\nBEGIN:VTODO\nSUMMARY:a\n", 0, `line 4: the file ends too early: "VTODO" is still open`},
		{"cut between", "BEGIN:VCALENDAR\nBEGIN:VTODO\nEND:VTODO\n", 1, `line 4: the file ends too early: "VCALENDAR" is still open`},
		{"the wrong end", "BEGIN:VCALENDAR\nBEGIN:VTODO\nEND:VEVENT\n", 0, `line 3: "END:VEVENT" ends nothing that is open`},
		{"an end too many", "BEGIN:VCALENDAR\nEND:VCALENDAR\nEND:VCALENDAR\n", 0, `line 3: "END:VCALENDAR" ends nothing that is open`},
		{"nested 10,000 deep", "BEGIN:VCALENDAR\n" + nested, 0, "line 9: components are nested deeper than 8"},
		{"a bad date", calendar("DUE:tomorrow"), 1, "line 5: DUE must be a date or a time"},
		{"a date that there is not", calendar("DUE:20260230"), 1, "line 5: DUE must be a date or a time"},
		{"a bad priority", calendar("PRIORITY:10"), 1, "line 5: PRIORITY must be a whole number from 0 to 9"},
		{"a bad stamp", calendar("CREATED:x"), 1, "line 5: CREATED must be a time like 20261128T090000Z"},
		{"a line without a colon", calendar("hello"), 1, "line 5: a line must be of the form NAME:value"},
		{"a quote that is not closed", calendar(`DUE;TZID="a:20261219T093000`), 1, "line 5: a line must be of the form NAME:value"},
		{"a NUL", calendar("DESCRIPTION:a\x00"), 1, "line 5: it has a NUL character"},
		{"no UTF-8", calendar("DESCRIPTION:a\xff"), 1, "line 5: it is not in UTF-8"},
		{"10 MB in a line", calendar("DESCRIPTION:" + strings.Repeat("a", 10<<20)), 1, "line 5: it is longer than 512 KiB"},
		{"1 MB in a folded line", calendar("DESCRIPTION:" + strings.Repeat("a\r\n ", 1<<18)), 1, "line 5: it is longer than 512 KiB"},
		{"10,000 properties", calendar(strings.Repeat("X-A:b\r\n", 10000)), 1, "line 3: a to-do must have at most 2000 lines"},
		{"our own JSON, broken", calendar(`X-TODOD-X:{"a":`), 1, "line 3: X-TODOD-X must be JSON"},
	})
}

// x comes from clients: nothing in it can end a to-do, begin another one or stand for a line of ours.
func TestICalLinesOfXAreHarmless(t *testing.T) {
	for _, line := range []string{"END:VTODO", "begin:VEVENT", "SUMMARY:no", "LOCATION:a\r\nEND:VTODO", "no colon", "X-TODOD-X:{}", "LOCATION:\x1b[31m", "UID;A=b:c"} {
		if foreign(line) {
			t.Errorf("%q would be written", line)
		}
		e := &Entry{}
		e.Title = "a"
		e.X, _ = marshal(map[string][]string{"ical": {"LOCATION:Here", line}})
		got, faults := decode(t, Find(ICal), encode(t, Find(ICal), []*Entry{e}))
		if len(got) != 1 || len(faults) > 0 || got[0].Title != "a" || string(got[0].X) != string(e.X) {
			t.Errorf("%q: %+v %v", line, got, faults)
		}
	}
}

func FuzzICal(f *testing.F) {
	fuzz(f, Find(ICal), calendar("DUE;TZID=Europe/Berlin:20261219T093000", "RRULE:FREQ=DAILY", "CATEGORIES:a\\,b,c", "X-FOO;A=\"b\":c\r\n d"),
		calendar("BEGIN:VALARM", "TRIGGER:-PT15M", "END:VALARM"), "BEGIN:VCALENDAR\nBEGIN:VEVENT\nEND:VEVENT\nEND:VCALENDAR\n")
}
