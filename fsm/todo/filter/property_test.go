package filter

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"pgregory.net/rapid"

	"todod/fsm/todo"
	"todod/fsm/todo/due"
)

var someTerms = []string{"done", "open", "overdue", "today", "due<today+7", "due>=monday-1w", "date=2026-11-28", "date!=2026-11-27", "created<=yesterday",
	"updated>today-3", "completed!=today", "p1", "p<=3", "priority>2", "#home", `#"next week"`, "has:date", "no:notes", "has:sub", "parent:1", "parent!=0", "id<3",
	"milk", `"a \"b\" & c"`, "title:Café", "notes!=x", "done:false", `"p1"`}

func aFilter() *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string { return text(t, 4) })
}

// text is a filter with spaces and parentheses wherever they may be.
func text(t *rapid.T, depth int) string {
	if depth == 0 || rapid.IntRange(0, 3).Draw(t, "leaf") == 0 {
		return rapid.SampledFrom(someTerms).Draw(t, "term")
	}
	space := rapid.SampledFrom([]string{"", " ", "  "}).Draw(t, "space")
	switch rapid.IntRange(0, 3).Draw(t, "operator") {
	case 0:
		return "!" + space + "(" + text(t, depth-1) + ")"
	case 1:
		return text(t, depth-1) + space + "&" + space + text(t, depth-1)
	case 2:
		return text(t, depth-1) + space + "|" + space + text(t, depth-1)
	default:
		return "(" + space + text(t, depth-1) + ") " + text(t, depth-1)
	}
}

var someZones = []string{"", "UTC", "Europe/Berlin", "Pacific/Apia", "America/St_Johns", "No/Such"}

func anEntry() *rapid.Generator[todo.Entry] {
	dates := []string{"", "2026-11-20", "2026-11-26", "2026-11-27", "2026-11-28", "2026-11-29", "2026-12-05", "0001-01-01", "9999-12-31"}
	texts := []string{strings.Repeat("Ämilk", 50), "milk", "Buy MILK", "café", "x", `a "b" & c`, "p1"}
	return rapid.Custom(func(t *rapid.T) todo.Entry {
		near := rapid.Int64Range(1_795_000_000_000, 1_796_500_000_000)
		e := todo.Entry{ID: rapid.Uint64Range(1, 5).Draw(t, "id"), Title: rapid.SampledFrom(texts).Draw(t, "title"), Date: rapid.SampledFrom(dates).Draw(t, "date"),
			Done: rapid.Bool().Draw(t, "done"), Created: near.Draw(t, "created"), Updated: near.Draw(t, "updated")}
		if !rapid.Bool().Draw(t, "more") {
			return e
		}
		e.More = &todo.More{Priority: rapid.Uint8Range(0, 9).Draw(t, "priority"), Parent: rapid.Uint64Range(0, 2).Draw(t, "parent"),
			Notes: rapid.SampledFrom(append(texts, "")).Draw(t, "notes"), Tags: rapid.SampledFrom([][]string{nil, {"home"}, {"Home", "next week"}}).Draw(t, "tags"),
			Completed: near.Draw(t, "completed"), Place: todo.Place{Hi: rapid.Uint64Range(0, 3).Draw(t, "hi"), Lo: rapid.Uint64Range(0, 1).Draw(t, "lo")}}
		if e.Date != "" && rapid.Bool().Draw(t, "timed") {
			e.More.Time = rapid.SampledFrom([]string{"00:00", "09:30", "23:59"}).Draw(t, "time")
			e.More.TZ = rapid.SampledFrom(someZones).Draw(t, "tz")
		}
		return e
	})
}

func aContext(t *rapid.T) Context {
	z, err := due.Zone(rapid.SampledFrom(someZones[1:5]).Draw(t, "zone"))
	if err != nil {
		t.Fatal(err)
	}
	return Context{Now: time.UnixMilli(rapid.Int64Range(1_795_000_000_000, 1_796_500_000_000).Draw(t, "now")), Zone: z,
		HasSub: func(id uint64) bool { return id == 1 }}
}

// A filter and its canonical spelling are equal, and operators do what they are called.
func TestFiltersHaveOneSpellingAndObeyLogic(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		parse := func(text string) *Expr {
			e, err := Parse(text)
			if err != nil {
				t.Fatalf("%s: %v", text, err)
			}
			return e
		}
		a, b := aFilter().Draw(t, "a"), aFilter().Draw(t, "b")
		if e := parse(a); !reflect.DeepEqual(parse(e.String()), e) {
			t.Fatalf("%s is spelled %s, which is another filter", a, e)
		}
		c := aContext(t)
		for _, e := range rapid.SliceOfN(anEntry(), 1, 5).Draw(t, "entries") {
			holds := func(text string) bool { return parse(text).Bind(c).Match(&e) }
			inA, inB := holds(a), holds(b)
			for text, want := range map[string]bool{
				"!(" + a + ")": !inA, "(" + a + ") & (" + b + ")": inA && inB, "(" + a + ") (" + b + ")": inA && inB, "(" + a + ") | (" + b + ")": inA || inB,
			} {
				if holds(text) != want {
					t.Fatalf("%s is %v of %+v, %+v", text, !want, e, e.More)
				}
			}
			m := parse(a).Bind(c)
			if from, to := m.Dates(); inA && (from != "" || to != "") && (e.Date == "" || e.Date < from || to != "" && e.Date > to) {
				t.Fatalf("%s holds for %q, outside %q to %q", a, e.Date, from, to)
			}
		}
	})
}

// compare is how entries are sorted, said in another way.
func compare(s *Sorter, a, b *todo.Entry) int {
	for _, k := range s.order {
		va, vb := value(s, k.field, a), value(s, k.field, b)
		c := slices.Compare(va, vb)
		switch {
		case va == nil && vb == nil:
			c = 0
		case va == nil:
			return 1
		case vb == nil:
			return -1
		case k.down:
			c = -c
		}
		if c != 0 {
			return c
		}
	}
	return cmp.Compare(a.ID, b.ID)
}

func value(s *Sorter, f field, e *todo.Entry) []string {
	more := e.More
	if more == nil {
		more = &todo.More{}
	}
	number := func(n ...uint64) (v []string) {
		for _, n := range n {
			v = append(v, fmt.Sprintf("%020d", n))
		}
		return v
	}
	date, clock := s.due(e)
	switch {
	case f == fieldID:
		return number(e.ID)
	case (f == fieldDate || f == fieldDue) && e.Date == "" || f == fieldPriority && more.Priority == 0 || f == fieldCompleted && more.Completed == 0:
		return nil
	case f == fieldDate:
		return []string{e.Date}
	case f == fieldDue && clock == "":
		return []string{date, "x"}
	case f == fieldDue:
		return []string{date, clock}
	case f == fieldPriority:
		return number(uint64(more.Priority))
	case f == fieldTitle:
		return []string{string(appendTitle(nil, e.Title))}
	case f == fieldCreated:
		return number(uint64(e.Created))
	case f == fieldUpdated:
		return number(uint64(e.Updated))
	case f == fieldCompleted:
		return number(uint64(more.Completed))
	case more.Place == todo.Place{}:
		return number(e.ID, 0)
	}
	return number(more.Place.Hi, more.Place.Lo)
}

// The order of the keys is the order of the entries.
func TestKeysSortAsEntriesDo(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		names := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"id", "due", "date", "priority", "title", "created", "updated", "completed", "order"}), 1, 4,
			func(s string) string { return s }).Draw(t, "names")
		for i := range names {
			names[i] = rapid.SampledFrom([]string{"", "-"}).Draw(t, "down") + names[i]
		}
		o, err := ParseOrder(strings.Join(names, ","))
		if err != nil || o.String() != strings.Join(names, ",") {
			t.Fatalf("%s: %s, %v", names, o, err)
		}
		s := o.Bind(aContext(t))
		a, b := anEntry().Draw(t, "a"), anEntry().Draw(t, "b")
		if n := len(s.Append(nil, strings.Repeat("l", todo.MaxListName), &a)); n > MaxKey {
			t.Fatalf("the key of %+v %+v by %s has %d bytes", a, a.More, o, n)
		}
		if same := bytes.Equal(s.Append(nil, "bob", &a), s.Append(nil, "bo", &a)); same {
			t.Fatalf("two lists have the same key by %s", o)
		}
		if got, want := bytes.Compare(s.Append(nil, "bob", &a), s.Append(nil, "bob", &b)), compare(s, &a, &b); got != want {
			t.Fatalf("by %s %+v %+v and %+v %+v compare as %d, want %d", o, a, a.More, b, b.More, got, want)
		}
	})
}

func TestOrdersThatAreNone(t *testing.T) {
	for text, says := range map[string]string{
		"": "must be names", "colour": "must be names", "due,": "must be names", "-": "must be names", "--due": "must be names", "Due": "must be names", "due, id": "must be names",
		"due,-due": "must name due once", "id,due,date,title,created": "at most 4", strings.Repeat("id,", 100_000): "at most 4", "due\x00": "must be names",
	} {
		if _, err := ParseOrder(text); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%.40q: %v", text, err)
		}
	}
}

// Days begin at the first moment that has their date, also where no clock ever showed midnight or the date.
func TestDaysBegin(t *testing.T) {
	for _, try := range []struct{ date, zone, want string }{
		{"2026-11-28", "UTC", "2026-11-28T00:00:00Z"},
		{"2026-11-28", "Europe/Berlin", "2026-11-27T23:00:00Z"},
		{"2018-11-04", "America/Sao_Paulo", "2018-11-04T03:00:00Z"}, // 00:00 became 01:00
		{"2011-12-30", "Pacific/Apia", "2011-12-30T10:00:00Z"},      // left out: the 31st begins
		{"2011-12-31", "Pacific/Apia", "2011-12-30T10:00:00Z"},
		{"2026-11-28", "Pacific/Kiritimati", "2026-11-27T10:00:00Z"},
		{"0001-01-01", "UTC", "0001-01-01T00:00:00Z"},
	} {
		if got := begin(try.date, zone(t, try.zone)); got != ms(t, try.want) {
			t.Errorf("%s in %s begins at %s, want %s", try.date, try.zone, time.UnixMilli(got).UTC(), try.want)
		}
	}
}

// FuzzParse reads any text. An error points into the text and is one line; what is taken has a spelling that is the
// same filter, and can be asked about any entry.
func FuzzParse(f *testing.F) {
	for _, s := range someTerms {
		f.Add(s)
	}
	for _, s := range []string{"due<today+7 & #home & !done | p1", "((a)", `"\`, "!!(!a)", "due<today 7w", "p<=3|p0", "title!=\u0301e", "#a:b", "\xff", "\u202ea:b", "a&&b||c"} {
		f.Add(s)
	}
	list, c := home(f)
	f.Fuzz(func(t *testing.T, text string) {
		for _, name := range []string{"q", "tag", "due", "priority", "parent", "has"} {
			if e, err := Param(name, text); err == nil {
				e.Bind(c).Match(&list[3])
			} else if strings.ContainsAny(err.Error(), "\n\x00\x1b") {
				t.Fatalf("%s=%q: %q", name, text, err)
			}
		}
		e, err := Parse(text)
		if err != nil {
			var wrong *Error
			if !errors.As(err, &wrong) || wrong.Column < 1 || wrong.Column > utf8.RuneCountInString(text)+1 || !utf8.ValidString(err.Error()) ||
				strings.ContainsFunc(wrong.Reason, func(r rune) bool { return unicode.IsControl(r) || r == '\u202e' }) {
				t.Fatalf("%q: %+v", text, err)
			}
			return
		}
		again, err := Parse(e.String())
		if err != nil || !reflect.DeepEqual(again, e) {
			t.Fatalf("%q is spelled %q, which is %q, %v", text, e, again, err)
		}
		m := e.Bind(c)
		m.Dates()
		for i := range list {
			if m.Match(&list[i]) != again.Bind(c).Match(&list[i]) {
				t.Fatalf("%q and %q differ about %+v", text, e, list[i])
			}
		}
	})
}

// BenchmarkMatch asks a filter about 100,000 entries.
func BenchmarkMatch(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 2))
	list := make([]todo.Entry, 100_000)
	for i := range list {
		list[i] = todo.Entry{ID: uint64(i + 1), Title: fmt.Sprintf("Dentist %d, and then the shopping", i), Date: fmt.Sprintf("2026-%02d-%02d", 1+rng.IntN(12), 1+rng.IntN(28)),
			Done: rng.IntN(2) == 0}
		if rng.IntN(4) == 0 {
			list[i].More = &todo.More{Tags: []string{"home", "work"}, Priority: uint8(rng.IntN(10)), Time: "10:00", TZ: "Asia/Tokyo"}
		}
	}
	for _, text := range []string{"!done", "overdue", "due<today+7 & #home & !done | p1", "shoppings", "Zahnärztin"} {
		b.Run(strings.ReplaceAll(text, " ", ""), func(b *testing.B) {
			e, err := Parse(text)
			if err != nil {
				b.Fatal(err)
			}
			_, c := home(b)
			m := e.Bind(c)
			b.ReportAllocs()
			for b.Loop() {
				for i := range list {
					m.Match(&list[i])
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(list)), "ns/entry")
		})
	}
}
