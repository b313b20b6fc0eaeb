package propose

import (
	"reflect"
	"testing"
	_ "time/tzdata"

	"todod/fsm/todo"
)

func TestCheckPutsFieldsIntoTheirForm(t *testing.T) {
	shared := &todo.More{Time: "09:30", TZ: "Europe/Berlin", Repeat: "byday=th,mo;freq=weekly", Remind: []string{"PT0M", "-PT90M"}}
	before := *shared
	cmd := todo.Command{Ops: []todo.Op{{Kind: todo.Add, List: "bob", Fields: todo.Fields{Title: "a", Date: "2026-11-28", More: shared}}}}
	if err := Check(&cmd); err != nil {
		t.Fatal(err)
	}
	got, want := cmd.Ops[0].Fields.More, todo.More{Time: "09:30", TZ: "Europe/Berlin", Repeat: "FREQ=WEEKLY;BYDAY=MO,TH", Remind: []string{"-PT1H30M", "PT0S"}}
	if !reflect.DeepEqual(*got, want) {
		t.Errorf("%+v", *got)
	}
	if !reflect.DeepEqual(*shared, before) {
		t.Errorf("what was given was changed: %+v", *shared)
	}
	if err := Check(&cmd); err != nil || !reflect.DeepEqual(*cmd.Ops[0].Fields.More, want) {
		t.Errorf("checked again: %+v, %v", *cmd.Ops[0].Fields.More, err)
	}
}

func TestCheckNamesTheField(t *testing.T) {
	for want, m := range map[string]todo.More{
		"time must be a time of day like 09:30":                       {Time: "25:00"},
		"tz must be the name of a time zone like Europe/Berlin":       {Time: "09:30", TZ: "Local"},
		"repeat must have a FREQ of DAILY, WEEKLY, MONTHLY or YEARLY": {Repeat: "FREQ=MINUTELY"},
		"remind must hold instants of whole seconds":                  {Remind: []string{"2026-11-28T09:00:00.5Z"}},
	} {
		op := todo.Op{Kind: todo.Patch, List: "bob", ID: 1, Fields: todo.Fields{Set: todo.FieldTime | todo.FieldTZ | todo.FieldRepeat | todo.FieldRemind, More: &m}}
		if err := Check(&todo.Command{Ops: []todo.Op{op}}); err == nil || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
		batch := todo.Command{Batch: true, Ops: []todo.Op{{Kind: todo.Delete, List: "bob", ID: 2}, op}}
		if err := Check(&batch); err == nil || err.Error() != "commands[1]."+want {
			t.Errorf("in a batch: %v, want %s", err, want)
		}
	}
}
