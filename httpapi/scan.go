package httpapi

import (
	"fmt"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"

	"todod/fsm/todo"
)

// scanner reads a JSON body of a known shape, strictly: encoding/json matches names without
// regard to case, takes doubled keys and turns bad UTF-8 into U+FFFD. A field that the
// shape does not have is refused at its name, before its value is looked at, so nothing is
// ever read deeper than the shape goes.
//
// Errors are *todo.Invalid and name the field.
type scanner struct {
	data []byte
	at   int
	in   string // where the object being read is: "commands[3].", or "" for the body
}

// maxFields is more than the fields of any shape.
const maxFields = 32

// object reads an object, calling field for each name; field reads the value. The name is
// valid during the call.
func (s *scanner) object(field func(name []byte) error) error {
	if !s.take('{') {
		return s.wrong("", "must be a JSON object")
	}
	if s.take('}') {
		return nil
	}
	var seen [maxFields][]byte
	for n := 0; ; n++ {
		s.space()
		name, err := s.raw()
		if err != nil {
			return err
		}
		if !s.take(':') {
			return s.syntax()
		}
		if n == maxFields || contains(seen[:n], name) {
			return s.wrong(quoteName(name), "is given twice")
		}
		seen[n] = name
		if err := field(name); err != nil {
			return err
		}
		if s.take('}') {
			return nil
		}
		if !s.take(',') {
			return s.syntax()
		}
	}
}

func contains(names [][]byte, name []byte) bool {
	for _, n := range names {
		if string(n) == string(name) {
			return true
		}
	}
	return false
}

// unknown refuses a field by its name.
func (s *scanner) unknown(name []byte) error {
	return s.wrong(quoteName(name), "is not a known field")
}

// quoteName makes a name that came with a request fit for a sentence.
func quoteName(name []byte) string {
	if len(name) > 64 {
		return strconv.Quote(string(name[:64])) + "..."
	}
	return strconv.Quote(string(name))
}

// array reads an array, calling element for each place; element reads the value.
func (s *scanner) array(name string, element func(i int) error) error {
	if !s.take('[') {
		return s.wrong(name, "must be a JSON array")
	}
	if s.take(']') {
		return nil
	}
	for i := 0; ; i++ {
		if err := element(i); err != nil {
			return err
		}
		if s.take(']') {
			return nil
		}
		if !s.take(',') {
			return s.syntax()
		}
	}
}

// text reads the string value of a field.
func (s *scanner) text(name string) (string, error) {
	s.space()
	if s.at >= len(s.data) || s.data[s.at] != '"' {
		return "", s.wrong(name, "must be a string")
	}
	raw, err := s.raw()
	return string(raw), err
}

// bool reads the value of a field that is true or false.
func (s *scanner) bool(name string) (bool, error) {
	switch {
	case s.word("true"):
		return true, nil
	case s.word("false"):
		return false, nil
	}
	return false, s.wrong(name, "must be true or false")
}

// number reads the value of a field that is a whole number from 1, written plainly.
func (s *scanner) number(name string) (uint64, error) {
	s.space()
	from := s.at
	for s.at < len(s.data) && isNumeric(s.data[s.at]) {
		s.at++
	}
	v, err := wholeNumber(string(s.data[from:s.at]))
	if err != nil {
		return 0, s.wrong(name, err.Error())
	}
	return v, nil
}

func isNumeric(c byte) bool {
	return c >= '0' && c <= '9' || c == '-' || c == '+' || c == '.' || c == 'e' || c == 'E'
}

// null reports whether the next value is null, and if so takes it.
func (s *scanner) null() bool { return s.word("null") }

// end refuses whatever follows the value.
func (s *scanner) end() error {
	s.space()
	if s.at < len(s.data) {
		return s.syntax()
	}
	return nil
}

func (s *scanner) space() {
	for s.at < len(s.data) {
		switch s.data[s.at] {
		case ' ', '\t', '\r', '\n':
			s.at++
		default:
			return
		}
	}
}

func (s *scanner) take(c byte) bool {
	s.space()
	if s.at < len(s.data) && s.data[s.at] == c {
		s.at++
		return true
	}
	return false
}

func (s *scanner) word(w string) bool {
	s.space()
	end := s.at + len(w)
	if end > len(s.data) || string(s.data[s.at:end]) != w {
		return false
	}
	if end < len(s.data) && s.data[end] >= 'a' && s.data[end] <= 'z' {
		return false
	}
	s.at = end
	return true
}

// raw reads a string. What it returns is a part of the body when nothing in it is escaped.
func (s *scanner) raw() ([]byte, error) {
	if s.at >= len(s.data) || s.data[s.at] != '"' {
		return nil, s.syntax()
	}
	s.at++
	for i := s.at; i < len(s.data); {
		switch c := s.data[i]; {
		case c == '"':
			raw := s.data[s.at:i]
			s.at = i + 1
			return raw, nil
		case c == '\\':
			return s.escaped(i)
		case c < ' ':
			s.at = i
			return nil, s.syntax()
		case c < utf8.RuneSelf:
			i++
		default:
			_, size := utf8.DecodeRune(s.data[i:])
			if size == 1 {
				return nil, s.badUTF8(i)
			}
			i += size
		}
	}
	s.at = len(s.data)
	return nil, s.syntax()
}

// escaped goes on with a string from its first backslash, at i.
func (s *scanner) escaped(i int) ([]byte, error) {
	out := append(make([]byte, 0, 2*(i-s.at)+32), s.data[s.at:i]...)
	for i < len(s.data) {
		c := s.data[i]
		switch {
		case c == '"':
			s.at = i + 1
			return out, nil
		case c == '\\':
			r, size := s.escape(i)
			if size == 0 {
				s.at = i
				return nil, s.syntax()
			}
			if r == utf8.RuneError && size < 0 {
				return nil, s.badUTF8(i)
			}
			out = utf8.AppendRune(out, r)
			i += size
		case c < ' ':
			s.at = i
			return nil, s.syntax()
		default:
			_, size := utf8.DecodeRune(s.data[i:])
			if c >= utf8.RuneSelf && size == 1 {
				return nil, s.badUTF8(i)
			}
			out = append(out, s.data[i:i+size]...)
			i += size
		}
	}
	s.at = len(s.data)
	return nil, s.syntax()
}

// escape decodes the escape at i. Size is its length, 0 if it is none, and -1 with
// utf8.RuneError for half a surrogate pair, which no UTF-8 can hold.
func (s *scanner) escape(i int) (r rune, size int) {
	if i+1 >= len(s.data) {
		return 0, 0
	}
	switch c := s.data[i+1]; c {
	case '"', '\\', '/':
		return rune(c), 2
	case 'b':
		return '\b', 2
	case 'f':
		return '\f', 2
	case 'n':
		return '\n', 2
	case 'r':
		return '\r', 2
	case 't':
		return '\t', 2
	case 'u':
		return s.unicode(i)
	}
	return 0, 0
}

func (s *scanner) unicode(i int) (r rune, size int) {
	r, ok := s.hex4(i)
	if !ok {
		return 0, 0
	}
	if !utf16.IsSurrogate(r) {
		return r, 6
	}
	low, ok := s.hex4(i + 6)
	if r = utf16.DecodeRune(r, low); !ok || r == utf8.RuneError {
		return utf8.RuneError, -1
	}
	return r, 12
}

// hex4 reads \uXXXX at i.
func (s *scanner) hex4(i int) (rune, bool) {
	if i+6 > len(s.data) || s.data[i] != '\\' || s.data[i+1] != 'u' {
		return 0, false
	}
	var r rune
	for _, c := range s.data[i+2 : i+6] {
		switch {
		case c >= '0' && c <= '9':
			r = r<<4 | rune(c-'0')
		case c >= 'a' && c <= 'f':
			r = r<<4 | rune(c-'a'+10)
		case c >= 'A' && c <= 'F':
			r = r<<4 | rune(c-'A'+10)
		default:
			return 0, false
		}
	}
	return r, true
}

// wrong says what must hold of a field of the object being read, "" for the object.
func (s *scanner) wrong(name, reason string) error {
	field := s.in + name
	if name == "" {
		if field = "body"; s.in != "" {
			field = s.in[:len(s.in)-1]
		}
	}
	return &todo.Invalid{Field: field, Reason: reason}
}

func (s *scanner) syntax() error {
	s.space()
	if s.at >= len(s.data) {
		return &todo.Invalid{Field: "body", Reason: "must be JSON: it ends too early"}
	}
	c, _ := utf8.DecodeRune(s.data[s.at:])
	return &todo.Invalid{Field: "body", Reason: fmt.Sprintf("must be JSON: %q at byte %d does not belong there", c, s.at)}
}

func (s *scanner) badUTF8(i int) error {
	return &todo.Invalid{Field: "body", Reason: fmt.Sprintf("must be valid UTF-8: byte %d is not", i)}
}
