package format

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"pgregory.net/rapid"
)

// What entries are made of in property tests: what is hard for a format more often than chance would have it.

var hardTexts = []string{"=1+1", "+49 30 1234", "-5", "@home", "'tis", "''", "a,b", `"quoted"`, `back\slash`, "semi;colon", "x done", "(A) first",
	"2026-11-28 dated", "due:2026-11-28", "%40home", "+project in it", "call @mom about +dinner", "end with @home", "é漢😀\u202e", "  spaces  ", "a:b",
	"http://example.com/?a=b;c,d", "x", "(B)", "%", "%25", "\u2028", strings.Repeat("漢", 40), strings.Repeat("a", 74) + "é", "DATE:", "[x]", "uid:1", "p1"}

func genTitle() *rapid.Generator[string] {
	text := rapid.OneOf(rapid.SampledFrom(hardTexts), rapid.StringOfN(rapid.RuneFrom(nil, unicode.L, unicode.P, unicode.S, unicode.Zs), 1, 60, -1),
		rapid.Map(rapid.SliceOfN(rapid.SampledFrom(hardTexts), 2, 4), func(words []string) string { return strings.Join(words, " ") }))
	return text.Filter(func(s string) bool { return strings.TrimSpace(s) != "" })
}

func genNotes() *rapid.Generator[string] {
	return rapid.OneOf(rapid.Just(""), rapid.SampledFrom(hardTexts), rapid.SampledFrom([]string{"two\nlines", "\n", "\ttab\n\nend\n", `\n is no line end`, "a\\\nb"}),
		rapid.StringOfN(rapid.RuneFrom([]rune("\n\t\r"), unicode.L, unicode.P), 0, 200, -1))
}

func genTags() *rapid.Generator[[]string] {
	tag := rapid.OneOf(rapid.SampledFrom([]string{"home", "health", "+project", "@phone", `a\b`, "%20", "%41", "é", "a;b", "x:y", "-1", "=a"}), rapid.StringMatching(`[a-z]{1,8}`))
	return rapid.Map(rapid.SliceOfN(tag, 0, 4), func(tags []string) []string {
		if len(tags) == 0 {
			return nil
		}
		e := &Entry{}
		e.Tags = tags
		e.sortTags()
		return e.Tags
	})
}

func genTime() *rapid.Generator[time.Time] {
	return rapid.Map(rapid.Int64Range(0, 4102444800000), func(ms int64) time.Time { return time.UnixMilli(ms).UTC() })
}

// genEntry makes entries of one list with one id each.
func genEntry(id uint64) *rapid.Generator[*Entry] {
	return rapid.Custom(func(t *rapid.T) *Entry {
		e := &Entry{}
		e.List, e.ID, e.Rev = "bob", id, rapid.Uint64Range(1, 1<<40).Draw(t, "rev")
		e.Title, e.Notes, e.Tags = genTitle().Draw(t, "title"), genNotes().Draw(t, "notes"), genTags().Draw(t, "tags")
		e.Created, e.Updated = genTime().Draw(t, "created"), genTime().Draw(t, "updated")
		e.Priority = uint8(rapid.IntRange(0, 9).Draw(t, "priority"))
		if e.Done = rapid.Bool().Draw(t, "done"); e.Done {
			at := genTime().Draw(t, "completed")
			e.Completed = &at
		}
		if rapid.Bool().Draw(t, "has uid") {
			e.UID = rapid.SampledFrom([]string{"a1b2c3", "123e4567-e89b-12d3-a456-426614174000", "x@example.com", "AB:CD;EF,GH"}).Draw(t, "uid") + "." + number(id)
		}
		if id > 1 && rapid.Bool().Draw(t, "has parent") {
			e.Parent = rapid.Uint64Range(1, id-1).Draw(t, "parent")
		}
		genWhen(t, e)
		e.X = json.RawMessage(rapid.SampledFrom([]string{"", "", `{"a":1,"b":[true,null,"=x"]}`, `{"é":{"n":"line\nend"}}`,
			`{"ical":["LOCATION:Here, there","X-APPLE-SORT-ORDER;VALUE=INTEGER:5"]}`, `{"ical":["END:VTODO"]}`, `{"ical":["SUMMARY:no"],"b":2}`}).Draw(t, "x"))
		if len(e.X) == 0 {
			e.X = nil
		}
		return e
	})
}

// genWhen adds what has to do with dates.
func genWhen(t *rapid.T, e *Entry) {
	if !rapid.Bool().Draw(t, "has date") {
		return
	}
	day := genTime().Draw(t, "date")
	e.Date = day.Format(time.DateOnly)
	if rapid.Bool().Draw(t, "has time") {
		e.Time = day.Format("15:04")
		e.TZ = rapid.SampledFrom([]string{"", "UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Africa/Casablanca", "Australia/Lord_Howe"}).Draw(t, "tz")
	}
	e.Repeat = rapid.SampledFrom([]string{"", "FREQ=DAILY", "FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,FR", "FREQ=MONTHLY;BYMONTHDAY=-1;COUNT=7", "FREQ=YEARLY;UNTIL=20990101"}).Draw(t, "repeat")
	if e.Repeat != "" && rapid.Bool().Draw(t, "from done") {
		e.RepeatFrom = "done"
	}
	e.Remind = rapid.SampledFrom([][]string{nil, {"-PT15M"}, {"-P1D", "2026-11-28T09:00:00Z"}, {"PT0S"}}).Draw(t, "remind")
}

// genList makes a list of entries with ids from 1.
func genList() *rapid.Generator[[]*Entry] {
	return rapid.Custom(func(t *rapid.T) []*Entry {
		entries := make([]*Entry, rapid.IntRange(0, 5).Draw(t, "entries"))
		for i := range entries {
			entries[i] = genEntry(uint64(i+1)).Draw(t, "entry")
			if p := entries[i].Parent; p > 0 {
				entries[i].Above = UID(&entries[p-1].Entry)
			}
		}
		return entries
	})
}

// encode makes a file.
func encode(t testing.TB, f *Format, entries []*Entry) string {
	t.Helper()
	var buf bytes.Buffer
	enc, err := f.Encoder(&buf, Head{List: "bob", Rev: 7})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if err := enc.Encode(e); err != nil {
			t.Fatal(err)
		}
	}
	if err := enc.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.String()
}

// decode reads a file to its end.
func decode(t testing.TB, f *Format, file string) (entries []*Entry, faults []*Fault) {
	t.Helper()
	return read(t, f, strings.NewReader(file))
}

func read(t testing.TB, f *Format, r io.Reader) (entries []*Entry, faults []*Fault) {
	t.Helper()
	dec := f.Decoder(r, nil)
	for {
		e, err := dec.Next()
		fault := (*Fault)(nil)
		switch {
		case err == io.EOF:
			return entries, faults
		case errors.As(err, &fault):
			if fault.Line < 1 || fault.Reason == "" || strings.ContainsFunc(fault.Reason, unicode.IsControl) {
				t.Fatalf("%s: a fault must be a sentence with its line: %+v", f.Name, fault)
			}
			faults = append(faults, fault)
			if fault.End {
				return entries, faults
			}
		case err != nil:
			t.Fatal(err)
		default:
			entries = append(entries, e)
		}
	}
}

// roundTrip checks that what a file says of entries is what was written, as far as keep leaves it.
func roundTrip(t *testing.T, f *Format, keep func(e *Entry), prepare ...func(e *Entry)) {
	rapid.Check(t, func(rt *rapid.T) {
		entries := genList().Draw(rt, "entries")
		for _, do := range prepare {
			for _, e := range entries {
				do(e)
			}
		}
		file := encode(t, f, entries)
		got, faults := decode(t, f, file)
		if len(faults) > 0 {
			rt.Fatalf("%v\n%s", faults[0], file)
		}
		if len(got) != len(entries) {
			rt.Fatalf("%d entries came back of %d\n%s", len(got), len(entries), file)
		}
		for i, e := range entries {
			want := *e
			want.Tags, want.Remind = slices.Clone(e.Tags), slices.Clone(e.Remind)
			keep(&want)
			got[i].Line = 0
			if f.Name == ICal || f.Name == Task { // which take x apart
				want.X, got[i].X = sorted(t, want.X), sorted(t, got[i].X)
			}
			if !reflect.DeepEqual(&want, got[i]) {
				rt.Fatalf("wrote\n%+v, read\n%+v, from\n%s", want, *got[i], file)
			}
		}
		if again := encode(t, f, got); f.Name == JSON && again != file {
			rt.Fatalf("a second export differs:\n%s\n%s", file, again)
		}
	})
}

// sorted is x with its names in order.
func sorted(t testing.TB, x json.RawMessage) json.RawMessage {
	t.Helper()
	if x == nil {
		return nil
	}
	var v map[string]any
	if err := json.Unmarshal(x, &v); err != nil {
		t.Fatal(err)
	}
	x, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// refusal is a file and the one thing that is wrong with it.
type refusal struct {
	name, file string
	entries    int // that are read all the same
	want       string
}

func checkRefusals(t *testing.T, f *Format, table []refusal) {
	t.Helper()
	for _, row := range table {
		t.Run(row.name, func(t *testing.T) {
			entries, faults := decode(t, f, row.file)
			if len(faults) != 1 || faults[0].Error() != row.want || len(entries) != row.entries {
				t.Errorf("%d entries and %v; want %d and %s", len(entries), faults, row.entries, row.want)
			}
		})
	}
}
