package httpapi

import (
	"encoding/json"
	"strconv"
	"time"
	"unicode/utf8"

	"todod/fsm/todo"
	"todod/fsm/todo/due"
	"todod/httpapi/api"
)

// The JSON of entries, put together by hand: encoding/json takes 3 us for an entry, this
// 0.3. The bytes are those of a json.Encoder that does not escape HTML; a fuzz test
// compares them.

// appendEntry appends an api.Entry.
func appendEntry(b []byte, list string, e *todo.Entry) []byte {
	b = append(b, `{"list":`...)
	b = appendString(b, list)
	b = append(b, `,"id":`...)
	b = strconv.AppendUint(b, e.ID, 10)
	b = append(b, `,"title":`...)
	b = appendString(b, e.Title)
	if e.Date != "" {
		b = append(b, `,"date":`...)
		b = appendString(b, e.Date)
	}
	b = append(b, `,"done":`...)
	b = strconv.AppendBool(b, e.Done)
	b = append(b, `,"rev":`...)
	b = strconv.AppendUint(b, e.Rev, 10)
	b = append(b, `,"created":`...)
	from := len(b)
	b = appendTime(b, e.Created)
	created := b[from:]
	b = append(b, `,"updated":`...)
	if e.Updated == e.Created { // as of most entries: to write a time costs as much as all numbers
		b = append(b, created...)
	} else {
		b = appendTime(b, e.Updated)
	}
	if e.More != nil {
		b = appendMore(b, e.More)
	}
	if e.Date != "" {
		b = appendString(append(b, `,"due":`...), due.Text(e))
	}
	if completed := e.More.Get().Completed; completed != 0 {
		b = appendTime(append(b, `,"completed":`...), completed)
	}
	return append(b, '}')
}

// appendMore appends the fields that few entries have.
func appendMore(b []byte, m *todo.More) []byte {
	b = appendField(b, `,"time":`, m.Time)
	b = appendField(b, `,"tz":`, m.TZ)
	if m.Priority != 0 {
		b = strconv.AppendUint(append(b, `,"priority":`...), uint64(m.Priority), 10)
	}
	b = appendTexts(b, `,"tags":`, m.Tags)
	b = appendField(b, `,"notes":`, m.Notes)
	if m.Parent != 0 {
		b = strconv.AppendUint(append(b, `,"parent":`...), m.Parent, 10)
	}
	b = appendField(b, `,"repeat":`, m.Repeat)
	b = appendField(b, `,"repeat_from":`, fromNames[m.RepeatFrom])
	b = appendTexts(b, `,"remind":`, m.Remind)
	b = appendField(b, `,"uid":`, m.UID)
	if m.X != "" {
		b = append(append(b, `,"x":`...), m.X...)
	}
	return b
}

// fromNames are those of todo.From; what is usual is left out.
var fromNames = [...]string{todo.FromDue: "", todo.FromDone: "done"}

func appendField(b []byte, name, value string) []byte {
	if value == "" {
		return b
	}
	return appendString(append(b, name...), value)
}

func appendTexts(b []byte, name string, texts []string) []byte {
	if len(texts) == 0 {
		return b
	}
	b = append(append(b, name...), '[')
	for i, text := range texts {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendString(b, text)
	}
	return append(b, ']')
}

// beginEntries appends an api.Entries up to its entries, appendNext one of them, endEntries what comes after them. No
// entry ever stands in memory beside its text.
func beginEntries(b []byte, list string, rev uint64) []byte {
	b = appendString(append(b, `{"list":`...), list)
	b = strconv.AppendUint(append(b, `,"rev":`...), rev, 10)
	return append(b, `,"entries":[`...)
}

func appendNext(b []byte, list string, e *todo.Entry) []byte {
	if b[len(b)-1] != '[' {
		b = append(b, ',')
	}
	return appendEntry(b, list, e)
}

func endEntries(b []byte, next string) []byte {
	b = append(b, ']')
	if next != "" {
		b = appendString(append(b, `,"next":`...), next)
	}
	return append(b, '}')
}

func appendTime(b []byte, ms int64) []byte {
	b = append(b, '"')
	b = time.UnixMilli(ms).UTC().AppendFormat(b, time.RFC3339Nano)
	return append(b, '"')
}

const hexDigits = "0123456789abcdef"

// appendString appends a JSON string. U+2028 and U+2029 are escaped because JavaScript of
// before 2019 takes them for line ends.
func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	from := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' && c < utf8.RuneSelf {
			i++
			continue
		}
		size := 1
		if c >= utf8.RuneSelf {
			var r rune
			r, size = utf8.DecodeRuneInString(s[i:])
			if !(r == utf8.RuneError && size == 1) && r != '\u2028' && r != '\u2029' {
				i += size
				continue
			}
		}
		b = append(b, s[from:i]...)
		b = appendEscape(b, s[i:i+size])
		i += size
		from = i
	}
	return append(append(b, s[from:]...), '"')
}

// appendEscape appends one character that must not stand in a JSON string as it is.
func appendEscape(b []byte, char string) []byte {
	switch char {
	case `"`, `\`:
		return append(append(b, '\\'), char...)
	case "\b":
		return append(b, `\b`...)
	case "\f":
		return append(b, `\f`...)
	case "\n":
		return append(b, `\n`...)
	case "\r":
		return append(b, `\r`...)
	case "\t":
		return append(b, `\t`...)
	case "\u2028":
		return append(b, `\u2028`...)
	case "\u2029":
		return append(b, `\u2029`...)
	}
	if c := char[0]; c < ' ' {
		return append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
	}
	return append(b, `\ufffd`...) // not UTF-8
}

// wireEntry is an entry for encoding/json.
func wireEntry(list string, e *todo.Entry) api.Entry {
	w := api.Entry{List: list, ID: e.ID, Title: e.Title, Date: e.Date, Done: e.Done, Rev: e.Rev,
		Created: time.UnixMilli(e.Created).UTC(), Updated: time.UnixMilli(e.Updated).UTC(), Due: due.Text(e)}
	m := e.More
	if m == nil {
		return w
	}
	w.More = api.More{Time: m.Time, TZ: m.TZ, Priority: m.Priority, Tags: m.Tags, Notes: m.Notes, Parent: m.Parent,
		Repeat: m.Repeat, RepeatFrom: fromNames[m.RepeatFrom], Remind: m.Remind, UID: m.UID, X: json.RawMessage(m.X)}
	if m.Completed != 0 {
		at := time.UnixMilli(m.Completed).UTC()
		w.Completed = &at
	}
	return w
}

// fieldsOf are those of a new entry.
func fieldsOf(in *api.NewEntry) todo.Fields {
	f := todo.Fields{Title: in.Title, Date: in.Date, Done: in.Done}
	if m := moreOf(&in.More); !m.Empty() {
		more := m // most entries have none, and need no room for it
		f.More = &more
	}
	return f
}

func moreOf(m *api.More) todo.More {
	more := todo.More{Time: m.Time, TZ: m.TZ, Priority: m.Priority, Tags: m.Tags, Notes: m.Notes, Parent: m.Parent,
		Repeat: m.Repeat, Remind: m.Remind, UID: m.UID, X: string(m.X)}
	if m.RepeatFrom == "done" {
		more.RepeatFrom = todo.FromDone
	}
	return more
}

// changeOf are the fields that a patch names.
func changeOf(p *api.EntryPatch) (f todo.Fields) {
	var m todo.More
	take(&f, todo.FieldTitle, p.Title, &f.Title)
	take(&f, todo.FieldDate, p.Date, &f.Date)
	take(&f, todo.FieldDone, p.Done, &f.Done)
	take(&f, todo.FieldNotes, p.Notes, &m.Notes)
	take(&f, todo.FieldTime, p.Time, &m.Time)
	take(&f, todo.FieldTZ, p.TZ, &m.TZ)
	take(&f, todo.FieldPriority, p.Priority, &m.Priority)
	take(&f, todo.FieldTags, p.Tags, &m.Tags)
	take(&f, todo.FieldParent, p.Parent, &m.Parent)
	take(&f, todo.FieldRepeat, p.Repeat, &m.Repeat)
	take(&f, todo.FieldRemind, p.Remind, &m.Remind)
	take(&f, todo.FieldUID, p.UID, &m.UID)
	if p.RepeatFrom != nil {
		f.Set |= todo.FieldRepeatFrom
		if *p.RepeatFrom == "done" {
			m.RepeatFrom = todo.FromDone
		}
	}
	if p.X != nil {
		f.Set |= todo.FieldX
		if string(p.X) != "null" {
			m.X = string(p.X)
		}
	}
	if !m.Empty() {
		f.More = &m
	}
	return f
}

func take[T any](f *todo.Fields, field todo.FieldSet, from, to *T) {
	if from != nil {
		f.Set |= field
		*to = *from
	}
}
