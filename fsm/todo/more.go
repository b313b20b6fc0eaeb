package todo

import (
	"reflect"
	"slices"
	"strings"
)

// none is what an entry without More has.
var none = More{}

// Get returns what is set, all zero for nil. It must not be changed.
func (m *More) Get() *More {
	if m == nil {
		return &none
	}
	return m
}

// Tidy returns m, or nil if nothing in it is set. Empty sets become nil, so that what is equal has one form.
func (m *More) Tidy() *More {
	if m == nil {
		return nil
	}
	if len(m.Tags) == 0 {
		m.Tags = nil
	}
	if len(m.Remind) == 0 {
		m.Remind = nil
	}
	if m.Empty() {
		return nil
	}
	return m
}

// Empty reports whether nothing is set. It looks at each field itself: every plain add asks.
func (m *More) Empty() bool {
	return m.Notes == "" && m.Time == "" && m.TZ == "" && m.Priority == 0 && len(m.Tags) == 0 && m.Parent == 0 &&
		m.Repeat == "" && m.RepeatFrom == 0 && len(m.Remind) == 0 && m.UID == "" && m.X == "" && m.Completed == 0 && m.Place == Place{}
}

// same compares field by field. It is not on the way of an entry that has no More.
func (m *More) same(o *More) bool { return reflect.DeepEqual(m, o) }

// Clone returns a copy that shares nothing with the entry, whose texts may be lent.
func (e *Entry) Clone() Entry {
	c := *e
	var b strings.Builder // most have no other texts than these: one copy of both
	b.Grow(len(e.Date) + len(e.Title))
	b.WriteString(e.Date)
	b.WriteString(e.Title)
	c.Date, c.Title = b.String()[:len(e.Date)], b.String()[len(e.Date):]
	if e.More != nil {
		c.More = e.More.clone()
	}
	return c
}

func (m *More) clone() *More {
	c := *m
	for _, text := range []*string{&c.Notes, &c.Time, &c.TZ, &c.Repeat, &c.UID, &c.X} {
		*text = strings.Clone(*text)
	}
	c.Tags, c.Remind = slices.Clone(m.Tags), slices.Clone(m.Remind)
	for _, texts := range [][]string{c.Tags, c.Remind} {
		for i := range texts {
			texts[i] = strings.Clone(texts[i])
		}
	}
	return &c
}

// Same reports whether two entries are alike in all that is kept of them.
func (e *Entry) Same(o *Entry) bool {
	a, b := *e, *o
	a.More, b.More = nil, nil
	return a == b && (e.More == o.More || e.More.Get().same(o.More.Get()))
}

// With returns the entry with those fields set that a Patch names. What follows from them, such as when it was done, stays.
func (e *Entry) With(f *Fields) Entry {
	with := *e
	if f.Set&FieldTitle != 0 {
		with.Title = f.Title
	}
	if f.Set&FieldDate != 0 {
		with.Date = f.Date
	}
	if f.Set&FieldDone != 0 {
		with.Done = f.Done
	}
	if f.Set > firstFields {
		with.More = e.More.set(f.Set, f.More)
	}
	return with
}

// set returns what old becomes when the named fields are set as in f. What is not settable stays; what only says more of a
// field goes with it.
func (old *More) set(names FieldSet, f *More) *More {
	m, f := *old.Get(), f.Get()
	if names&FieldNotes != 0 {
		m.Notes = f.Notes
	}
	if names&FieldTime != 0 {
		m.Time = f.Time
	}
	if names&FieldTZ != 0 {
		m.TZ = f.TZ
	}
	if names&FieldPriority != 0 {
		m.Priority = f.Priority
	}
	if names&FieldTags != 0 {
		m.Tags = f.Tags
	}
	if names&FieldParent != 0 {
		m.Parent = f.Parent
	}
	if names&FieldRepeat != 0 {
		m.Repeat = f.Repeat
	}
	if names&FieldRepeatFrom != 0 {
		m.RepeatFrom = f.RepeatFrom
	}
	if names&FieldRemind != 0 {
		m.Remind = f.Remind
	}
	if names&FieldUID != 0 {
		m.UID = f.UID
	}
	if names&FieldX != 0 {
		m.X = f.X
	}
	if m.Time == "" && names&FieldTime != 0 && names&FieldTZ == 0 {
		m.TZ = ""
	}
	if m.Repeat == "" && names&FieldRepeat != 0 && names&FieldRepeatFrom == 0 {
		m.RepeatFrom = FromDue
	}
	return m.Tidy()
}

// at returns m with the time at which its entry was done; 0 for not.
func (m *More) at(completed int64) *More {
	if m.Get().Completed == completed {
		return m
	}
	c := *m.Get()
	c.Completed = completed
	return c.Tidy()
}
