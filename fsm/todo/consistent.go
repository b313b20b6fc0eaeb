package todo

// Consistent checks what the fields of an entry ask of each other, and returns the name of the first field
// that lacks another one. A patch may set some fields only, so this is for the entry that it comes to: it
// needs no table of zones or characters, and may run in Apply.
func Consistent(e *Entry) (field string, ok bool) {
	m := e.More
	if m == nil {
		return "", true
	}
	switch {
	case m.Time != "" && e.Date == "":
		return "time", false
	case m.TZ != "" && m.Time == "":
		return "tz", false
	case m.Repeat != "" && e.Date == "":
		return "repeat", false
	case m.RepeatFrom != FromDue && m.Repeat == "":
		return "repeat_from", false
	case e.Date == "" && anyRelative(m.Remind):
		return "remind", false
	}
	return "", true
}

// Lacks says of a field that Consistent named what it needs, as the rest of a sentence.
func Lacks(field string) string {
	switch field {
	case "tz":
		return "needs a time"
	case "repeat_from":
		return "needs a repeat"
	}
	return "needs a date"
}

// anyRelative reports whether a reminder counts from when the entry is due. An instant begins with its year.
func anyRelative(remind []string) bool {
	for _, r := range remind {
		if r == "" || r[0] < '0' || r[0] > '9' {
			return true
		}
	}
	return false
}
