package propose

import (
	"reflect"
	"testing"
	"time"

	"todod/fsm/todo"
)

func patch(id uint64, f todo.Fields) todo.Op {
	return todo.Op{Kind: todo.Patch, List: "bob", ID: id, Fields: f}
}

func doing(id uint64) todo.Op { return patch(id, todo.Fields{Set: todo.FieldDone, Done: true}) }

// worked works out a command on entries that are of rev 10 and their id.
func worked(t *testing.T, entries []todo.Entry, now string, zone *time.Location, ops ...todo.Op) []todo.Op {
	t.Helper()
	at, err := time.Parse(time.RFC3339, now)
	if err != nil {
		t.Fatal(err)
	}
	c := todo.Command{Batch: len(ops) > 1, Ops: ops}
	if err := Repeats(&c, look(entries), at, zone); err != nil {
		t.Fatal(err)
	}
	return c.Ops
}

func look(entries []todo.Entry) Look {
	return func(list string, id uint64) (todo.Entry, bool) {
		if list != "bob" || id == 0 || id > uint64(len(entries)) {
			return todo.Entry{}, false
		}
		e := entries[id-1]
		e.ID, e.Rev = id, 10+id
		return e, true
	}
}

func weekly() todo.Entry {
	return todo.Entry{Title: "Bins", Date: "2026-11-28", More: &todo.More{Repeat: "FREQ=WEEKLY;COUNT=9"}}
}

func TestRepeatsOfOne(t *testing.T) {
	fromDone := func(tz string) todo.Entry {
		e := todo.Entry{Title: "Water", Date: "2026-11-20", More: &todo.More{Repeat: "FREQ=DAILY", RepeatFrom: todo.FromDone, TZ: tz}}
		if tz != "" {
			e.More.Time = "09:00"
		}
		return e
	}
	done := weekly()
	done.Done = true
	plain := todo.Entry{Title: "Dentist", Date: "2026-11-28"}
	noDate := patch(1, todo.Fields{Set: todo.FieldDone | todo.FieldDate, Done: true})
	elsewhere := doing(1)
	elsewhere.List = "eve"
	stale := doing(1)
	stale.At = 7
	fresh := doing(1)
	fresh.At = 11
	tokyo := time.FixedZone("Tokyo", 9*3600)
	for _, c := range []struct {
		name  string
		entry todo.Entry
		op    todo.Op
		zone  *time.Location
		at    uint64
		next  *todo.Next
	}{
		{"a week on", weekly(), doing(1), time.UTC, 11, &todo.Next{Date: "2026-12-05", Repeat: "FREQ=WEEKLY;COUNT=8"}},
		{"from the date that comes with it", weekly(), patch(1, todo.Fields{Set: todo.FieldDone | todo.FieldDate, Done: true, Date: "2026-12-01"}),
			time.UTC, 11, &todo.Next{Date: "2026-12-08", Repeat: "FREQ=WEEKLY;COUNT=8"}},
		{"by the repeat that comes with it", weekly(), patch(1, todo.Fields{Set: todo.FieldDone | todo.FieldRepeat, Done: true,
			More: &todo.More{Repeat: "FREQ=DAILY"}}), time.UTC, 11, &todo.Next{Date: "2026-11-29", Repeat: "FREQ=DAILY"}},
		{"by a put", plain, todo.Op{Kind: todo.Put, List: "bob", ID: 1, Fields: todo.Fields{Title: "x", Date: "2026-11-28", Done: true,
			More: &todo.More{Repeat: "FREQ=DAILY"}}}, time.UTC, 11, &todo.Next{Date: "2026-11-29", Repeat: "FREQ=DAILY"}},
		{"the last time", todo.Entry{Date: "2026-11-28", More: &todo.More{Repeat: "FREQ=DAILY;UNTIL=20261128"}}, doing(1), time.UTC, 11, &todo.Next{}},
		{"from today in UTC", fromDone(""), doing(1), time.UTC, 11, &todo.Next{Date: "2026-11-29", Repeat: "FREQ=DAILY"}},
		{"from today where the reader is", fromDone(""), doing(1), tokyo, 11, &todo.Next{Date: "2026-11-30", Repeat: "FREQ=DAILY"}},
		{"from today where the entry is", fromDone("Pacific/Honolulu"), doing(1), tokyo, 11, &todo.Next{Date: "2026-11-29", Repeat: "FREQ=DAILY"}},
		{"from the rev that was named", weekly(), fresh, time.UTC, 11, &todo.Next{Date: "2026-12-05", Repeat: "FREQ=WEEKLY;COUNT=8"}},
		{"not from another", weekly(), stale, time.UTC, 7, nil},
		{"it does not repeat", plain, doing(1), time.UTC, 0, nil},
		{"it is done", done, doing(1), time.UTC, 0, nil},
		{"it repeats no longer", weekly(), patch(1, todo.Fields{Set: todo.FieldDone | todo.FieldRepeat, Done: true}), time.UTC, 0, nil},
		{"nothing to count from", weekly(), noDate, time.UTC, 0, nil},
		{"it is not done by this", weekly(), patch(1, todo.Fields{Set: todo.FieldTitle, Title: "x", Done: true}), time.UTC, 0, nil},
		{"it is not there", weekly(), doing(2), time.UTC, 0, nil},
		{"nor is the list", weekly(), elsewhere, time.UTC, 0, nil},
		{"an add of what was done", weekly(), todo.Op{Kind: todo.Add, List: "bob", Fields: todo.Fields{Title: "x", Date: "2026-11-28", Done: true,
			More: &todo.More{Repeat: "FREQ=DAILY"}}}, time.UTC, 0, nil},
	} {
		got := worked(t, []todo.Entry{c.entry}, "2026-11-28T20:00:00Z", c.zone, c.op)[0]
		if got.At != c.at || !reflect.DeepEqual(got.Next, c.next) {
			t.Errorf("%s: at %d, %+v", c.name, got.At, got.Next)
		}
	}
}

func TestRepeatsInABatch(t *testing.T) {
	entries := []todo.Entry{weekly(), weekly()}
	ops := worked(t, entries, "2026-11-28T20:00:00Z", time.UTC,
		patch(1, todo.Fields{Set: todo.FieldDate, Date: "2026-12-01"}), doing(1), doing(2), doing(1),
		patch(2, todo.Fields{Set: todo.FieldRepeat}), doing(2))
	want := []*todo.Next{nil, {Date: "2026-12-08", Repeat: "FREQ=WEEKLY;COUNT=8"}, {Date: "2026-12-05", Repeat: "FREQ=WEEKLY;COUNT=8"},
		{Date: "2026-12-15", Repeat: "FREQ=WEEKLY;COUNT=7"}, nil, nil}
	for i, rev := range []uint64{0, 11, 12, 11, 0, 0} {
		if ops[i].At != rev || !reflect.DeepEqual(ops[i].Next, want[i]) {
			t.Errorf("command %d: at %d, %+v", i, ops[i].At, ops[i].Next)
		}
	}
}

// What a batch makes has no rev before it: what it was made of has.
func TestRepeatsOfWhatABatchMakes(t *testing.T) {
	add := todo.Op{Kind: todo.Add, List: "bob", Fields: todo.Fields{Title: "Bins", Date: "2026-11-28", More: &todo.More{Repeat: "FREQ=WEEKLY"}}}
	move := todo.Op{Kind: todo.Move, List: "bob", ID: 1, To: "eve"}
	of := func(i uint64, list string) todo.Op {
		return todo.Op{Kind: todo.Patch, List: list, IDOf: i, Fields: doing(0).Fields}
	}
	ops := worked(t, []todo.Entry{weekly()}, "2026-11-28T20:00:00Z", time.UTC, add, of(1, "bob"), move, of(3, "eve"), of(3, "eve"))
	want := []*todo.Next{nil, {Date: "2026-12-05", Repeat: "FREQ=WEEKLY"}, nil, {Date: "2026-12-05", Repeat: "FREQ=WEEKLY;COUNT=8"},
		{Date: "2026-12-12", Repeat: "FREQ=WEEKLY;COUNT=7"}}
	for i, rev := range []uint64{0, 0, 11, 0, 0} {
		if ops[i].At != rev || !reflect.DeepEqual(ops[i].Next, want[i]) {
			t.Errorf("command %d: at %d, %+v", i, ops[i].At, ops[i].Next)
		}
	}
	ops = worked(t, nil, "2026-11-28T20:00:00Z", time.UTC, move, of(1, "eve"))
	if ops[0].At != 0 || ops[1].Next != nil {
		t.Errorf("of an entry that is not there: %+v", ops)
	}
}

func TestRepeatsThatCannotBeRead(t *testing.T) {
	newer := []todo.Entry{{Date: "2026-11-28", More: &todo.More{Repeat: "FREQ=DECADELY"}}}
	c := todo.Command{Batch: true, Ops: []todo.Op{patch(1, todo.Fields{Set: todo.FieldTitle, Title: "x"}), doing(1)}}
	if err := Repeats(&c, look(newer), time.Unix(0, 0), time.UTC); err == nil || err.(*todo.Invalid).Field != "commands[1].repeat" {
		t.Error(err)
	}
	if !Does(&c) || Does(&todo.Command{Ops: c.Ops[:1]}) {
		t.Error("Does is wrong")
	}
}
