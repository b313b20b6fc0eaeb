package recur

import (
	"strings"
	"testing"

	"todod/fsm/todo"
)

func TestSpelling(t *testing.T) {
	for in, want := range map[string]string{
		"FREQ=DAILY":                             "FREQ=DAILY",
		"freq=daily":                             "FREQ=DAILY",
		"RRULE:FREQ=DAILY":                       "FREQ=DAILY",
		"rrule:Freq=Daily;Interval=01":           "FREQ=DAILY",
		"INTERVAL=2;FREQ=WEEKLY":                 "FREQ=WEEKLY;INTERVAL=2",
		"FREQ=WEEKLY;WKST=MO":                    "FREQ=WEEKLY",
		"FREQ=WEEKLY;WKST=SU":                    "FREQ=WEEKLY;WKST=SU",
		"FREQ=WEEKLY;BYDAY=FR,MO,FR,SU":          "FREQ=WEEKLY;BYDAY=SU,MO,FR",
		"FREQ=MONTHLY;BYDAY=+1MO,-1FR,WE,01MO":   "FREQ=MONTHLY;BYDAY=-1FR,WE,1MO",
		"FREQ=MONTHLY;BYMONTHDAY=+3,-1,31,3,-31": "FREQ=MONTHLY;BYMONTHDAY=-31,-1,3,31",
		"BYMONTH=12,1,06;FREQ=YEARLY":            "FREQ=YEARLY;BYMONTH=1,6,12",
		"FREQ=YEARLY;BYYEARDAY=100,-1,1":         "FREQ=YEARLY;BYYEARDAY=-1,1,100",
		"FREQ=YEARLY;BYWEEKNO=20,-1;BYDAY=MO":    "FREQ=YEARLY;BYWEEKNO=-1,20;BYDAY=MO",
		"FREQ=MONTHLY;BYSETPOS=-1;BYDAY=MO,TU":   "FREQ=MONTHLY;BYDAY=MO,TU;BYSETPOS=-1",
		"FREQ=DAILY;COUNT=007":                   "FREQ=DAILY;COUNT=7",
		"FREQ=DAILY;COUNT=1000000":               "FREQ=DAILY;COUNT=1000000",
		"FREQ=DAILY;UNTIL=20261128":              "FREQ=DAILY;UNTIL=20261128",
		"freq=daily;until=20261128t090000z":      "FREQ=DAILY;UNTIL=20261128T090000Z",
		"FREQ=DAILY;UNTIL=20261128T090000":       "FREQ=DAILY;UNTIL=20261128T090000",
		"WKST=SU;BYSETPOS=1;BYDAY=MO;BYMONTHDAY=1;BYYEARDAY=1;BYMONTH=1;UNTIL=20300101;INTERVAL=3;FREQ=YEARLY": "FREQ=YEARLY;INTERVAL=3;UNTIL=20300101;" +
			"BYMONTH=1;BYYEARDAY=1;BYMONTHDAY=1;BYDAY=MO;BYSETPOS=1;WKST=SU",
	} {
		got, err := Check(in)
		if err != nil || got != want {
			t.Errorf("%s: %q, %v", in, got, err)
		}
		if again, err := Check(got); err != nil || again != got {
			t.Errorf("%s became %q and then %q, %v", in, got, again, err)
		}
	}
}

func TestBadRules(t *testing.T) {
	const form = "must be an RRULE like FREQ=WEEKLY;BYDAY=MO,TH"
	const never = "must match a day: no year has one like that"
	for in, reason := range map[string]string{
		"":                                              form,
		"daily":                                         form,
		"FREQ=DAILY;":                                   form,
		";FREQ=DAILY":                                   form,
		"RRULE:":                                        form,
		"DTSTART:20261128\nRRULE:FREQ=DAILY":            "must not have \"DTSTART:20261128\\nRRU\": it is no part of an RRULE",
		"INTERVAL=2":                                    "must have a FREQ",
		"FREQ=":                                         "must have a FREQ of DAILY, WEEKLY, MONTHLY or YEARLY",
		"FREQ=HOURLY":                                   "must have a FREQ of DAILY, WEEKLY, MONTHLY or YEARLY",
		"FREQ=SECONDLY":                                 "must have a FREQ of DAILY, WEEKLY, MONTHLY or YEARLY",
		"FREQ=DAILY;FREQ=DAILY":                         "must have FREQ once",
		"FREQ=DAILY;BYHOUR=9":                           "must not have BYHOUR: it goes by whole days",
		"FREQ=DAILY;BYMINUTE=0":                         "must not have BYMINUTE: it goes by whole days",
		"FREQ=DAILY;BYSECOND=0":                         "must not have BYSECOND: it goes by whole days",
		"FREQ=DAILY;BYEASTER=0":                         "must not have \"BYEASTER\": it is no part of an RRULE",
		"FREQ=DAILY; COUNT=2":                           "must not have \" COUNT\": it is no part of an RRULE",
		"FREQ=DAILY;RSCALE=CHINESE":                     "must not have \"RSCALE\": it is no part of an RRULE",
		"FREQ=DAILY;COUNT=2;UNTIL=20261128":             "must not have both COUNT and UNTIL",
		"FREQ=DAILY;COUNT=0":                            "must have COUNT from 1 to 1000000",
		"FREQ=DAILY;COUNT=-1":                           "must have COUNT from 1 to 1000000",
		"FREQ=DAILY;COUNT=1000001":                      "must have COUNT from 1 to 1000000",
		"FREQ=DAILY;INTERVAL=0":                         "must have INTERVAL from 1 to 10000",
		"FREQ=DAILY;INTERVAL=10001":                     "must have INTERVAL from 1 to 10000",
		"FREQ=DAILY;INTERVAL=99999999999999":            "must have INTERVAL from 1 to 10000",
		"FREQ=DAILY;INTERVAL=1.5":                       "must have INTERVAL from 1 to 10000",
		"FREQ=DAILY;UNTIL=2026-11-28":                   "must have an UNTIL like 20181219 or 20181219T080000Z",
		"FREQ=DAILY;UNTIL=20260230":                     "must have an UNTIL like 20181219 or 20181219T080000Z",
		"FREQ=DAILY;UNTIL=00000101":                     "must have an UNTIL like 20181219 or 20181219T080000Z",
		"FREQ=DAILY;UNTIL=20261128T250000Z":             "must have an UNTIL like 20181219 or 20181219T080000Z",
		"FREQ=YEARLY;BYMONTH=13":                        "must have BYMONTH of numbers from 1 to 12",
		"FREQ=YEARLY;BYMONTH=-1":                        "must have BYMONTH of numbers from 1 to 12",
		"FREQ=YEARLY;BYMONTH=":                          "must have BYMONTH of numbers from 1 to 12",
		"FREQ=YEARLY;BYMONTH=1,,2":                      "must have BYMONTH of numbers from 1 to 12",
		"FREQ=MONTHLY;BYMONTHDAY=32":                    "must have BYMONTHDAY of numbers from 1 to 31 or -1 to -31",
		"FREQ=MONTHLY;BYMONTHDAY=0":                     "must have BYMONTHDAY of numbers from 1 to 31 or -1 to -31",
		"FREQ=YEARLY;BYWEEKNO=54":                       "must have BYWEEKNO of numbers from 1 to 53 or -1 to -53",
		"FREQ=YEARLY;BYYEARDAY=367":                     "must have BYYEARDAY of numbers from 1 to 366 or -1 to -366",
		"FREQ=YEARLY;BYMONTH=1;BYSETPOS=-400":           "must have BYSETPOS of numbers from 1 to 366 or -1 to -366",
		"FREQ=MONTHLY;BYDAY=54MO":                       "must have BYDAY of numbers from 1 to 53 or -1 to -53",
		"FREQ=MONTHLY;BYDAY=0MO":                        "must have BYDAY of numbers from 1 to 53 or -1 to -53",
		"FREQ=WEEKLY;BYDAY=XX":                          "must have a BYDAY of days like MO, 1MO or -1MO",
		"FREQ=WEEKLY;BYDAY=M":                           "must have a BYDAY of days like MO, 1MO or -1MO",
		"FREQ=WEEKLY;BYDAY=":                            "must have a BYDAY of days like MO, 1MO or -1MO",
		"FREQ=WEEKLY;WKST=1MO":                          "must have a WKST of MO, TU, WE, TH, FR, SA or SU",
		"FREQ=WEEKLY;BYDAY=1MO":                         "must not have numbers in BYDAY with FREQ=WEEKLY",
		"FREQ=DAILY;BYDAY=-1MO":                         "must not have numbers in BYDAY with FREQ=DAILY",
		"FREQ=YEARLY;BYWEEKNO=1;BYDAY=1MO":              "must not have numbers in BYDAY with BYWEEKNO",
		"FREQ=WEEKLY;BYMONTHDAY=1":                      "must not have BYMONTHDAY with FREQ=WEEKLY",
		"FREQ=MONTHLY;BYYEARDAY=1":                      "must not have BYYEARDAY with FREQ=MONTHLY",
		"FREQ=MONTHLY;BYWEEKNO=1":                       "must not have BYWEEKNO with FREQ=MONTHLY",
		"FREQ=MONTHLY;BYSETPOS=1":                       "must not have BYSETPOS without another part that begins with BY",
		"FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30":           never,
		"FREQ=MONTHLY;BYMONTH=2;BYMONTHDAY=31":          never,
		"FREQ=DAILY;BYMONTH=4;BYMONTHDAY=31":            never,
		"FREQ=MONTHLY;BYDAY=6MO":                        never,
		"FREQ=MONTHLY;BYDAY=2TU;BYSETPOS=2":             never,
		"FREQ=YEARLY;BYYEARDAY=1;BYMONTH=2":             never,
		"FREQ=YEARLY;BYMONTH=5;BYMONTHDAY=3;BYSETPOS=3": never,
		"FREQ=YEARLY;BYWEEKNO=20;BYMONTH=1":             never,
		"FREQ=DAILY;" + strings.Repeat("X", 1<<20):      "must be at most 512 bytes long",
		"FREQ=DAILY;" + strings.Repeat("X", 400) + "=1": "must not have \"XXXXXXXXXXXXXXXXXXXX\": it is no part of an RRULE",
		"FREQ=DA\u0131LY":                               "must have a FREQ of DAILY, WEEKLY, MONTHLY or YEARLY",
		"FREQ=WEEKLY;BYDAY=\u017fU":                     "must have a BYDAY of days like MO, 1MO or -1MO",
		"FREQ=DAILY;\xff=1":                             "must not have \"\\xff\": it is no part of an RRULE",
	} {
		_, err := Check(in)
		if inv, ok := err.(*todo.Invalid); !ok || inv.Field != "repeat" || inv.Reason != reason {
			t.Errorf("%.60q: %v", in, err)
		}
	}
}
