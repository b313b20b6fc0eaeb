package httpapi

import (
	"fmt"
	"math/bits"
	"slices"
	"strconv"
	"strings"

	"todod/fsm/todo"
)

// query is what a request gave of the parameters its route knows.
type query struct {
	known  []string
	given  uint32    // a bit for each
	values []string  // of those that were given, in the order of known
	few    [3]string // room for them: most requests give no more
}

// get returns a parameter and whether it was given.
func (q *query) get(name string) (string, bool) {
	i := slices.Index(q.known, name)
	if q.given&(1<<i) == 0 {
		return "", false
	}
	return q.values[q.place(i)], true
}

// place is where among the values that of a known parameter is.
func (q *query) place(i int) int { return bits.OnesCount32(q.given & (1<<i - 1)) }

// add reads a query string or a form body. Strictly, parameters that are not known are
// refused; else they are ignored, as the book's server does.
func (q *query) add(raw string, strict bool) error {
	for raw != "" {
		var pair string
		pair, raw, _ = strings.Cut(raw, "&")
		if pair == "" {
			continue
		}
		rawName, rawValue, _ := strings.Cut(pair, "=")
		name, ok := unescape(rawName)
		i := slices.Index(q.known, name)
		if !ok || i < 0 {
			if strict {
				return &todo.Invalid{Field: quoteName([]byte(name)), Reason: "is not a known parameter"}
			}
			continue
		}
		if q.given&(1<<i) != 0 {
			return &todo.Invalid{Field: name, Reason: "is given twice"}
		}
		value, ok := unescape(rawValue)
		if !ok {
			return &todo.Invalid{Field: name, Reason: "has a % without two hexadecimal digits after it"}
		}
		if q.values == nil {
			q.values = q.few[:0]
		}
		q.values = slices.Insert(q.values, q.place(i), value)
		q.given |= 1 << i
	}
	return nil
}

// unescape undoes the escaping of a form: + and %20 are spaces. It returns what it was given
// when that is not escaped rightly.
func unescape(s string) (string, bool) {
	if !strings.ContainsAny(s, "%+") {
		return s, true
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '+':
			b = append(b, ' ')
		case s[i] != '%':
			b = append(b, s[i])
		case i+2 < len(s) && isHex(s[i+1]) && isHex(s[i+2]):
			b = append(b, unhex(s[i+1])<<4|unhex(s[i+2]))
			i += 2
		default:
			return s, false
		}
	}
	return string(b), true
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

func unhex(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c&^0x20 - 'A' + 10
}

// date returns a parameter that is a date, "" if it was not given.
func (q *query) date(name string) (string, error) {
	text, ok := q.get(name)
	if !ok {
		return "", nil
	}
	return text, named(name, todo.Date(text))
}

// limit returns the size of the page asked for.
func (q *query) limit() (int, error) {
	text, ok := q.get("limit")
	if !ok {
		return todo.DefaultPage, nil
	}
	n, err := wholeNumber(text)
	if err != nil || n > todo.MaxPage {
		return 0, &todo.Invalid{Field: "limit", Reason: "must be a whole number from 1 to " + strconv.Itoa(todo.MaxPage)}
	}
	return int(n), nil
}

// flag returns a parameter that is true or false, nil if it was not given.
func (q *query) flag(name string) (*bool, error) {
	text, ok := q.get(name)
	if !ok {
		return nil, nil
	}
	if text != "true" && text != "false" {
		return nil, &todo.Invalid{Field: name, Reason: "must be true or false"}
	}
	v := text == "true"
	return &v, nil
}

// required returns a parameter that must be there.
func (q *query) required(name string) (string, error) {
	text, ok := q.get(name)
	if !ok {
		return "", &todo.Invalid{Field: name, Reason: "is missing: give it as a parameter"}
	}
	return text, nil
}

// named says of which parameter or field an error is, where the rule has another name for it.
func named(field string, err error) error {
	if inv, ok := err.(*todo.Invalid); ok {
		return &todo.Invalid{Field: field, Reason: inv.Reason}
	}
	if err != nil {
		return fmt.Errorf("%s: %w", field, err)
	}
	return nil
}
