package show

import (
	"strconv"
	"strings"

	"todod/cmd/internal/cli"
)

var units = map[string]string{"DAILY": "day", "WEEKLY": "week", "MONTHLY": "month", "YEARLY": "year"}

var weekdays = strings.NewReplacer("MO", "Mon", "TU", "Tue", "WE", "Wed", "TH", "Thu", "FR", "Fri", "SA", "Sat", "SU", "Sun", ",", ", ")

// Repeat is a repeat in words where it is a simple one, else as it is.
func Repeat(rule, from string) string {
	parts := map[string]string{}
	for part := range strings.SplitSeq(rule, ";") {
		name, value, _ := strings.Cut(part, "=")
		if _, twice := parts[name]; twice {
			return cli.Safe(rule)
		}
		parts[name] = value
	}
	text := "every "
	if from == "done" {
		text = "every! "
	}
	unit, ok := units[parts["FREQ"]]
	if !ok {
		return cli.Safe(rule)
	}
	if n, err := strconv.Atoi(parts["INTERVAL"]); err == nil && n > 1 {
		text += strconv.Itoa(n) + " " + unit + "s"
	} else {
		text += unit
	}
	if days := parts["BYDAY"]; days != "" {
		text += " on " + weekdays.Replace(days)
	}
	switch day := parts["BYMONTHDAY"]; day {
	case "":
	case "-1":
		text += " on the last day"
	default:
		text += " on day " + strings.ReplaceAll(day, ",", ", ")
	}
	if until := parts["UNTIL"]; len(until) >= 8 {
		text += " until " + until[:4] + "-" + until[4:6] + "-" + until[6:8]
	}
	if count := parts["COUNT"]; count != "" {
		text += ", " + count + " times"
	}
	for name := range parts {
		switch name {
		case "FREQ", "INTERVAL", "BYDAY", "BYMONTHDAY", "UNTIL", "COUNT":
		default:
			return cli.Safe(rule)
		}
	}
	return cli.Safe(text)
}
