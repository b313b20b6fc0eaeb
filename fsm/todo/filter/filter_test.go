package filter

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
	_ "time/tzdata"

	"todod/fsm/todo"
	"todod/fsm/todo/due"
)

func zone(tb testing.TB, name string) *time.Location {
	tb.Helper()
	z, err := due.Zone(name)
	if err != nil {
		tb.Fatal(err)
	}
	return z
}

func moment(tb testing.TB, text string) time.Time {
	tb.Helper()
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		tb.Fatal(err)
	}
	return t
}

func ms(tb testing.TB, text string) int64 { return moment(tb, text).UnixMilli() }

// home is a list on Saturday, 2026-11-28, half past three in Berlin.
func home(tb testing.TB) ([]todo.Entry, Context) {
	old := ms(tb, "2026-10-01T08:00:00Z")
	list := []todo.Entry{
		{ID: 1, Title: "Buy milk", Created: old, Updated: old},
		{ID: 2, Title: "Dentist", Date: "2026-11-27", More: &todo.More{Priority: 1, Tags: []string{"health"}}},
		{ID: 3, Title: "Pay the rent", Date: "2026-11-27", Done: true, More: &todo.More{Completed: ms(tb, "2026-11-27T23:30:00Z")}}, // 28th in Berlin
		{ID: 4, Title: "Call José", Date: "2026-11-28", More: &todo.More{Time: "15:00", Notes: "about the CAFÉ"}},
		{ID: 5, Title: "Tea", Date: "2026-11-28", More: &todo.More{Time: "16:00", Tags: []string{"home", "next week"}, Priority: 9}},
		{ID: 6, Title: "Water the plants", Date: "2026-11-28", More: &todo.More{Repeat: "FREQ=DAILY", Tags: []string{"Home"}, Parent: 1}},
		{ID: 7, Title: "Call Tokyo", Date: "2026-11-29", More: &todo.More{Time: "07:00", TZ: "Asia/Tokyo", Parent: 1}}, // 28th, 23:00 in Berlin
		{ID: 8, Title: "p1 is a \"quoted\" word", Date: "2026-12-04", More: &todo.More{UID: "u", Remind: []string{"-PT15M"}, Notes: "milk"}},
		{ID: 9, Title: "done: todo today", Date: "2026-12-05", Created: ms(tb, "2026-11-28T00:30:00+01:00"), Updated: ms(tb, "2026-11-28T10:00:00Z")},
	}
	for i := range list {
		list[i].Created, list[i].Updated = max(list[i].Created, old), max(list[i].Updated, old)
	}
	return list, Context{Now: moment(tb, "2026-11-28T14:30:00Z"), Zone: zone(tb, "Europe/Berlin"), HasSub: func(id uint64) bool { return id == 1 }}
}

func chosen(tb testing.TB, e *Expr) string {
	tb.Helper()
	list, c := home(tb)
	m := e.Bind(c)
	ids := ""
	for i := range list {
		if m.Match(&list[i]) {
			ids += fmt.Sprint(list[i].ID)
		}
	}
	return ids
}

func TestFilters(t *testing.T) {
	for _, try := range []struct{ filter, canonical, ids string }{
		{"done", "done", "3"},
		{"!done", "!done", "12456789"},
		{"open", "!done", "12456789"},
		{"done:false", "!done", "12456789"},
		{"done=true", "done", "3"},
		{"done != true", "!done", "12456789"},
		{"overdue", "overdue", "24"},
		{"today", "due=today", "4567"},
		{"tomorrow", "due=today+1", ""},
		{"Yesterday", "due=today-1", "23"},
		{"today+7", "due=today+7", "9"},
		{"date=today", "date=today", "456"},
		{"date:tomorrow", "date=today+1", "7"},
		{"due<today", "due<today", "23"},
		{"due <= TODAY", "due<=today", "234567"},
		{"due>today & due<today+7", "due>today & due<today+7", "8"},
		{"due>today due<=today+1w", "due>today & due<=today+7", "89"},
		{"due<=today + 7d !done", "due<=today+7 & !done", "2456789"},
		{"due<=today 7", "due<=today+7", "23456789"}, // a + that a URL made a space
		{"due=friday", "due=friday", "8"},
		{"due:sat", "due=saturday", "4567"},
		{"due=saturday+7", "due=saturday+7", "9"},
		{"due=saturday-1", "due=saturday-1", "23"},
		{"due=2026-12-04", "due=2026-12-04", "8"},
		{"due=2026-12-01+3", "due=2026-12-04", "8"},
		{"due!=today", "due!=today", "12389"},
		{"due>=2026-12-01", "due>=2026-12-01", "89"},
		{"due>0001-01-01", "due>0001-01-01", "23456789"},
		{"due<9999-12-31+1", "due<9999-12-31", "23456789"},
		{"created=today", "created=today", "9"},
		{"created<2026-10-02", "created<2026-10-02", "12345678"},
		{"updated>=today", "updated>=today", "9"},
		{"completed=today", "completed=today", "3"},
		{"completed<today", "completed<today", ""},
		{"completed!=today", "completed!=today", "12456789"},
		{"p1", "p1", "2"},
		{"P9", "p9", "5"},
		{"p0", "p0", "1346789"},
		{"p<=3", "p<=3", "2"},
		{"priority > 3", "p>3", "5"},
		{"p!=0", "p!=0", "25"},
		{"priority:1", "p1", "2"},
		{"#home", "#home", "56"},
		{"#HOME", "#HOME", "56"},
		{`#"next week"`, `#"next week"`, "5"},
		{"tag:home", "#home", "56"},
		{"tag!=#home", "!#home", "1234789"},
		{"!#home", "!#home", "1234789"},
		{"has:notes", "has:notes", "48"},
		{"no:date", "!has:date", "1"},
		{"has:due has:time", "has:due & has:time", "457"},
		{"has:tags", "has:tag", "256"},
		{"has:priority", "has:p", "25"},
		{"has:repeat", "has:repeat", "6"},
		{"has:remind & has:uid", "has:remind & has:uid", "8"},
		{"has:parent", "has:parent", "67"},
		{"has:sub", "has:sub", "1"},
		{"has:completed", "has:completed", "3"},
		{"has!=notes", "!has:notes", "1235679"},
		{"parent:1", "parent:1", "67"},
		{"parent=0", "parent:0", "1234589"},
		{"parent != 1", "!parent:1", "1234589"},
		{"id<=2 | id=9", "id<=2 | id=9", "129"},
		{"milk", "milk", "18"},
		{"title:milk", "title:milk", "1"},
		{"notes:milk", "notes:milk", "8"},
		{"title!=milk", "!title:milk", "23456789"},
		{"CAFE", "CAFE", "4"},
		{"jose\u0301", "jose\u0301", "4"},
		{"week", "week", "5"}, // in a tag
		{"call & tokyo", "call & tokyo", "7"},
		{"call tokyo", "call & tokyo", "7"},
		{`"call tokyo"`, `"call tokyo"`, "7"},
		{`"Call  Tokyo"`, `"Call  Tokyo"`, ""},
		{`"p1"`, `"p1"`, "8"},
		{`"done"`, `"done"`, "9"},
		{`"today"`, `"today"`, "9"},
		{`"done:"`, `"done:"`, "9"},
		{`"\"quoted\""`, `"\"quoted\""`, "8"},
		{`"a \\ b"`, `"a \\ b"`, ""},
		{"done | p1 & has:date", "done | p1 & has:date", "23"},
		{"(done | p1) has:completed", "(done | p1) & has:completed", "3"},
		{"done&&p1||p9", "done & p1 | p9", "5"},
		{"!(done | p1)", "!(done | p1)", "1456789"},
		{"!(done & p1)", "!(done & p1)", "123456789"},
		{"! !done", "!!done", "3"},
		{"(((done)))", "done", "3"},
		{"done | (p1 | p9)", "done | p1 | p9", "235"},
		{"#home & (!done & p9)", "#home & !done & p9", "5"},
		{"due<today+7 & #home & !done | p1", "due<today+7 & #home & !done | p1", "256"},
		{"  done  ", "done", "3"},
		{"due", "due", ""}, // a word as any other
	} {
		e, err := Parse(try.filter)
		if err != nil {
			t.Errorf("%s: %v", try.filter, err)
			continue
		}
		if got := e.String(); got != try.canonical {
			t.Errorf("%s is spelled %s, want %s", try.filter, got, try.canonical)
		}
		if again, err := Parse(e.String()); err != nil || !reflect.DeepEqual(again, e) {
			t.Errorf("%s is parsed to another filter than %s, %v", e, try.filter, err)
		}
		if got := chosen(t, e); got != try.ids {
			t.Errorf("%s chooses %q, want %q", try.filter, got, try.ids)
		}
	}
}

func TestErrorsPointAtTheColumn(t *testing.T) {
	for _, try := range []struct {
		filter string
		column int
		says   string
	}{
		{"", 1, "nothing to look for"},
		{"   ", 1, "nothing to look for"},
		{"due<tody", 5, `a day like 2026-11-28, today, friday or today+7 must come here, not "tody"`},
		{"due<today+7 & due>", 19, "must come here, not the end"},
		{"due<today+x", 11, `a number of days like 7, or of weeks like 1w, must come here, not "x"`},
		{"due<today + ", 13, "a number of days"},
		{"due<today+99999", 11, "a number of days"},
		{"tomorrow+36525", 10, "a number of days"},
		{"due<today+7m", 11, "a number of days"},
		{"due<todayx", 5, "a day like"},
		{"due=2026-02-29", 5, "a day like"},
		{"due=2026-11-28x", 5, "a day like"},
		{"due=0000-01-01", 5, "a day like"},
		{"due=2026", 5, "a day like"},
		{"über & due<é", 12, "a day like"},
		{"done &", 7, "a term like done, #home or due<today must come here, not the end"},
		{"done & & p1", 8, `must come here, not "&"`},
		{"| done", 1, `not "|"`},
		{"done |", 7, "not the end"},
		{"(done", 1, "this ( is never closed"},
		{"done & (p1 | (p2)", 8, "this ( is never closed"},
		{"done)", 5, "this ) closes nothing"},
		{"()", 2, `not ")"`},
		{"!", 2, "not the end"},
		{"!=done", 1, "a field like due must come before !="},
		{"<today", 1, `not "<"`},
		{"done & = 3", 8, `not "="`},
		{"colour:red", 1, `"colour:red" is no field; put quotes around what is a text`},
		{"done & colour = red", 8, `"colour" is no field`},
		{"due ! done", 0, ""}, // a text, and not done
		{"p<=10", 4, `a whole number from 0 to 9 must come here, not "10"`},
		{"p=-1", 3, "a whole number from 0 to 9"},
		{"id=x", 4, "a whole number"},
		{"parent:", 8, "a whole number"},
		{"parent<3", 8, "parent has no order: only = and != can come after it"},
		{"tag>home", 5, "tag has no order"},
		{"time<12", 6, "time cannot be compared: give has:time or no:time"},
		{"has:colour", 5, `must come here, not "colour"`},
		{"has:title", 5, "must come here"},
		{"done=maybe", 6, "true or false must come here"},
		{"#", 2, "nothing to look for here"},
		{"# home", 2, "nothing to look for here"},
		{`#""`, 2, "nothing to look for here"},
		{`""`, 1, "nothing to look for here"},
		{"milk & \u0301", 8, "nothing to look for here"},
		{`"milk`, 1, "this quote is never closed"},
		{`done & "milk\"`, 8, "this quote is never closed"},
		{`done & "milk\`, 8, "this quote is never closed"},
		{"done & a\x00b", 9, "must not contain control characters"},
		{"done\n", 5, "must not contain control characters"},
		{"done & \xff", 8, "must be valid UTF-8"},
		{strings.Repeat("a", MaxBytes+1), MaxBytes + 1, "at most 4096 bytes"},
		{strings.Repeat("a", 1<<20), MaxBytes + 1, "at most 4096 bytes"},
		{strings.Repeat("(", 1000) + "a" + strings.Repeat(")", 1000), maxNested + 1, "at most 32 operators deep"},
		{strings.Repeat("!", 1000) + "a", maxNested + 1, "at most 32 operators deep"},
		{strings.Repeat("!", MaxDepth) + "a", MaxDepth + 2, "at most 32 operators deep"},
		{strings.Repeat("(a | b ", 40) + strings.Repeat(")", 40), 297, "at most 32 operators deep"},
		{strings.Repeat("(a | b ", 15) + strings.Repeat(")", 15), 0, ""},
		{strings.Repeat("a ", MaxTerms), 0, ""},
		{strings.Repeat("a ", MaxTerms+1), 2*MaxTerms + 1, "at most 100 terms"},
		{strings.Repeat(`"\\" `, 99) + strings.Repeat("b", MaxBytes-99*5), 1, "at most 4096 bytes"},
		{"due<\u202e\x1b[2J", 6, "must not contain control characters"},
		{"due<\u202eevil", 5, `not "\u202eevil"`},
	} {
		_, err := Parse(try.filter)
		if try.says == "" {
			if err != nil {
				t.Errorf("%.60q: %v", try.filter, err)
			}
			continue
		}
		var wrong *Error
		if !errors.As(err, &wrong) {
			t.Errorf("%.60q: %v", try.filter, err)
			continue
		}
		if wrong.Column != try.column || !strings.Contains(wrong.Reason, try.says) {
			t.Errorf("%.60q: column %d, %s; want %d, %s", try.filter, wrong.Column, wrong.Reason, try.column, try.says)
		}
		inv, ok := errors.AsType[*todo.Invalid](err)
		if !ok || inv.Error() != err.Error() || !strings.HasPrefix(err.Error(), fmt.Sprintf("filter, column %d: ", try.column)) {
			t.Errorf("%.60q: %q is no *todo.Invalid of the same words: %v", try.filter, err, inv)
		}
	}
}

func TestParameters(t *testing.T) {
	for _, try := range []struct{ name, value, canonical string }{
		{"q", "oat milk", `"oat milk"`},
		{"q", `say "(hi)"`, `"say \"(hi)\""`},
		{"q", "done", `"done"`},
		{"tag", "next week", `#"next week"`},
		{"tag", "#x", `#"#x"`},
		{"overdue", "true", "overdue"},
		{"overdue", "false", "!overdue"},
		{"due", "today", "due=today"},
		{"due", "<=today+7", "due<=today+7"},
		{"due", "<=today 7", "due<=today+7"},
		{"priority", "1", "p1"},
		{"priority", "<=3", "p<=3"},
		{"parent", "7", "parent:7"},
		{"has", "notes", "has:notes"},
		{"has", "notes,date", "has:notes & has:date"},
	} {
		e, err := Param(try.name, try.value)
		if err != nil || e.String() != try.canonical {
			t.Errorf("%s=%s is %s, %v; want %s", try.name, try.value, e, err, try.canonical)
		}
	}
	for _, try := range []struct{ name, value, says string }{
		{"q", "", "q must not be empty"}, {"tag", "", "tag must not be empty"}, {"q", "a\x00", "q, column 2: it must not contain control"},
		{"q", strings.Repeat("a", MaxBytes+1), "at most 4096 bytes"}, {"overdue", "1", "overdue must be true or false"},
		{"due", "today | done", `due, column 7: "|" comes after the value`}, {"due", "", "due, column 1: a day"}, {"due", "<", "due, column 2: a day"},
		{"priority", "10", "priority, column 1: a whole number"}, {"priority", "1 p2", "priority, column 3"}, {"parent", "<3", "parent, column 2: parent has no order"},
		{"has", "", "has, column 1"}, {"has", "notes,", "has, column 7"}, {"has", "notes, date", "has, column 7"}, {"has", "notes date", "has, column 6: a comma"},
		{"has", strings.Repeat("notes,", 100), "no more than"},
	} {
		if e, err := Param(try.name, try.value); err == nil || !strings.Contains(err.Error(), try.says) {
			t.Errorf("%s=%s is %s, %v; want %s", try.name, try.value, e, err, try.says)
		}
	}
}

func TestAll(t *testing.T) {
	parse := func(text string) *Expr {
		e, err := Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	if e, err := All(nil, parse("p1 | p2"), nil, parse("done & #a")); err != nil || e.String() != "(p1 | p2) & done & #a" {
		t.Errorf("%s, %v", e, err)
	}
	if e, err := All(nil, nil); e != nil || err != nil || e.String() != "" || e.Timed() {
		t.Errorf("%s, %v", e, err)
	}
	many := parse(strings.Repeat("a ", MaxTerms))
	if e, err := All(many, parse("b")); err == nil {
		t.Errorf("%s", e)
	}
}

func TestTimed(t *testing.T) {
	for text, want := range map[string]bool{"done & p1": false, "due<2026-11-28": false, "p1 | !(done & due<friday)": true, "!overdue": true, "created>today": true} {
		e, err := Parse(text)
		if err != nil || e.Timed() != want {
			t.Errorf("%s: %v, want %v; %v", text, e.Timed(), want, err)
		}
	}
}
