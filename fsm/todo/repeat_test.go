package todo

import (
	"reflect"
	"testing"
)

// chore is a list with an entry that repeats, of rev 1.
func chore(t *testing.T) *memory {
	t.Helper()
	m := newMemory()
	op := add("bob", "Bins", "2026-11-28")
	op.Fields.More = &More{Time: "07:00", Repeat: "FREQ=WEEKLY;COUNT=2"}
	if out := m.do(Command{Ops: []Op{op}, Rules: Rules2}); out.Code != OK {
		t.Fatal(out.Code)
	}
	return m
}

func doIt(at uint64, next *Next) Op {
	op := patch("bob", 1, Fields{Set: FieldDone, Done: true})
	op.At, op.Next = at, next
	return op
}

func TestDoingWhatRepeats(t *testing.T) {
	m := chore(t)
	out := m.do(Command{Ops: []Op{doIt(1, &Next{"2026-12-05", "FREQ=WEEKLY;COUNT=1"})}, Rules: Rules2})
	want := Entry{ID: 1, Title: "Bins", Date: "2026-12-05", Rev: 2, Created: 1000, Updated: 1001,
		More: &More{Time: "07:00", Repeat: "FREQ=WEEKLY;COUNT=1", Completed: 1001}}
	if out.Code != OK || !reflect.DeepEqual(out.Items[0].Entry, want) {
		t.Fatalf("done once: %d, %+v, %+v", out.Code, out.Items, out.Items[0].Entry.More)
	}
	if l := m.List("bob"); l.Open != 1 || l.Entries != 1 || l.Rev != 2 {
		t.Errorf("it stays open: %+v", l)
	}

	out = m.do(Command{Ops: []Op{doIt(2, &Next{})}, Rules: Rules2})
	want.Done, want.Rev, want.Updated = true, 3, 1002
	want.More = &More{Time: "07:00", Repeat: "FREQ=WEEKLY;COUNT=1", Completed: 1002}
	if out.Code != OK || !reflect.DeepEqual(out.Items[0].Entry, want) {
		t.Fatalf("done for good: %d, %+v, %+v", out.Code, out.Items, out.Items[0].Entry.More)
	}
	if l := m.List("bob"); l.Open != 0 {
		t.Errorf("it is open: %+v", l)
	}

	out = m.do(Command{Ops: []Op{doIt(0, nil)}, Rules: Rules2})
	if out.Code != OK || out.Changed() {
		t.Errorf("done already: %+v", out)
	}
}

// What was worked out from another state of the entry, or not at all, is refused with the state there is.
func TestOutdated(t *testing.T) {
	next := &Next{"2026-12-05", "FREQ=WEEKLY;COUNT=1"}
	for name, op := range map[string]Op{
		"not worked out":           doIt(0, nil),
		"from a rev, but not what": doIt(1, nil),
		"from another rev":         doIt(7, next),
		"from none":                doIt(0, next),
	} {
		m := chore(t)
		out := m.do(Command{Ops: []Op{op}, Rules: Rules2})
		if out.Code != Outdated || len(out.Items) != 1 || out.Items[0].Entry.Rev != 1 || out.Items[0].Changed {
			t.Errorf("%s: %d, %+v", name, out.Code, out.Items)
		}
		put := op
		put.Kind, put.Fields = Put, Fields{Title: "Bins", Date: "2026-11-28", Done: true, More: &More{Repeat: "FREQ=DAILY"}}
		if out := m.do(Command{Ops: []Op{put}, Rules: Rules2}); out.Code != Outdated {
			t.Errorf("%s, by a put: %d", name, out.Code)
		}
	}
}

// What only says more of a field goes with it, unless the patch says otherwise.
func TestFieldsThatGoTogether(t *testing.T) {
	for name, c := range map[string]struct {
		set  FieldSet
		f    More
		code Code
		want More
	}{
		"a time takes its zone along":           {FieldTime, More{}, OK, More{Repeat: "FREQ=DAILY", RepeatFrom: FromDone}},
		"a repeat takes along from when":        {FieldRepeat, More{}, OK, More{Time: "07:00", TZ: "UTC"}},
		"another time leaves the zone":          {FieldTime, More{Time: "08:00"}, OK, More{Time: "08:00", TZ: "UTC", Repeat: "FREQ=DAILY", RepeatFrom: FromDone}},
		"a zone that is named needs its time":   {FieldTime | FieldTZ, More{TZ: "Europe/Berlin"}, Unfit, More{}},
		"from when, if named, needs its repeat": {FieldRepeat | FieldRepeatFrom, More{RepeatFrom: FromDone}, Unfit, More{}},
	} {
		m := newMemory()
		op := add("bob", "Bins", "2026-11-28")
		op.Fields.More = &More{Time: "07:00", TZ: "UTC", Repeat: "FREQ=DAILY", RepeatFrom: FromDone}
		m.do(Command{Ops: []Op{op}, Rules: Rules2})
		out := m.do(Command{Ops: []Op{patch("bob", 1, Fields{Set: c.set, More: &c.f})}, Rules: Rules2})
		if out.Code != c.code || c.code == OK && !reflect.DeepEqual(*out.Items[0].Entry.More, c.want) {
			t.Errorf("%s: %d, %+v", name, out.Code, out.Items[0].Entry.More)
		}
	}
}

// Doing it once and for all is to take the repeat away with it.
func TestDoneForAll(t *testing.T) {
	m := chore(t)
	out := m.do(Command{Ops: []Op{patch("bob", 1, Fields{Set: FieldDone | FieldRepeat, Done: true})}, Rules: Rules2})
	if e := out.Items[0].Entry; out.Code != OK || !e.Done || e.Date != "2026-11-28" || e.More.Repeat != "" {
		t.Errorf("%d, %+v, %+v", out.Code, e, e.More)
	}
}

// The last time that an open entry was done goes with its repeat.
func TestARepeatThatIsTakenAway(t *testing.T) {
	m := chore(t)
	m.do(Command{Ops: []Op{doIt(1, &Next{"2026-12-05", "FREQ=WEEKLY;COUNT=1"})}, Rules: Rules2})
	out := m.do(Command{Ops: []Op{patch("bob", 1, Fields{Set: FieldTitle, Title: "Bin"})}, Rules: Rules2})
	if e := out.Items[0].Entry; e.More.Completed != 1001 {
		t.Errorf("%+v", e.More)
	}
	out = m.do(Command{Ops: []Op{patch("bob", 1, Fields{Set: FieldRepeat})}, Rules: Rules2})
	if e := out.Items[0].Entry; e.Done || e.More.Completed != 0 {
		t.Errorf("%+v, %+v", e, e.More)
	}
}

// A batch counts from what its earlier operations made of the entry, and names the rev from before it.
func TestDoingWhatRepeatsInABatch(t *testing.T) {
	m := chore(t)
	out := m.do(Command{Batch: true, Rules: Rules2, Ops: []Op{
		patch("bob", 1, Fields{Set: FieldDate, Date: "2026-12-01"}),
		doIt(1, &Next{"2026-12-08", "FREQ=WEEKLY;COUNT=1"}),
		doIt(1, &Next{}),
		patch("bob", 1, Fields{Set: FieldDone}),
	}})
	if out.Code != OK {
		t.Fatalf("refused at %d with %d", out.At, out.Code)
	}
	if e := out.Items[3].Entry; e.Done || e.Date != "2026-12-08" || e.More.Repeat != "FREQ=WEEKLY;COUNT=1" || e.More.Completed != 0 {
		t.Errorf("%+v, %+v", e, e.More)
	}
	out = m.do(Command{Batch: true, Rules: Rules2, Ops: []Op{patch("bob", 1, Fields{Set: FieldTitle, Title: "x"}), doIt(1, &Next{})}})
	if out.Code != Outdated || out.At != 1 {
		t.Errorf("from an older rev: %d at %d", out.Code, out.At)
	}
}

func TestAsked(t *testing.T) {
	asked := Command{Batch: true, Ops: []Op{doIt(0, nil), patch("bob", 2, Fields{Set: FieldTitle, Title: "x"})}}
	worked := Command{Batch: true, Ops: []Op{doIt(1, &Next{"2026-12-05", ""}), patch("bob", 2, Fields{Set: FieldTitle, Title: "x"})}}
	worked.Ops[1].At = 3
	if got, less := worked.Asked(); !less || !reflect.DeepEqual(got, asked) {
		t.Errorf("%+v, %v", got, less)
	}
	if worked.Ops[0].Next == nil {
		t.Error("the command itself was changed")
	}
	if got, less := asked.Asked(); less || !reflect.DeepEqual(got, asked) {
		t.Errorf("%+v, %v", got, less)
	}
}
