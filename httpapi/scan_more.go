package httpapi

import (
	"encoding/json"
	"fmt"
	"strings"
)

// maxFreeDepth bounds what a client may nest in an object of its own.
const maxFreeDepth = 16

// digit reads a whole number from 0 to 9.
func (s *scanner) digit(name string) (uint8, error) {
	s.space()
	if s.at < len(s.data) && s.data[s.at] >= '0' && s.data[s.at] <= '9' && (s.at+1 == len(s.data) || !isNumeric(s.data[s.at+1])) {
		s.at++
		return s.data[s.at-1] - '0', nil
	}
	return 0, s.wrong(name, "must be a whole number from 0 to 9")
}

// orZero reads a whole number that may be 0.
func (s *scanner) orZero(name string) (uint64, error) {
	if s.space(); s.at < len(s.data) && s.data[s.at] == '0' && (s.at+1 == len(s.data) || !isNumeric(s.data[s.at+1])) {
		s.at++
		return 0, nil
	}
	return s.number(name)
}

// oneOf reads a string that is one of a few.
func (s *scanner) oneOf(name string, words ...string) (string, error) {
	text, err := s.text(name)
	if err != nil {
		return "", err
	}
	for _, w := range words {
		if text == w {
			return text, nil
		}
	}
	return "", s.wrong(name, "must be "+strings.Join(words, " or "))
}

// texts reads an array of at most most strings.
func (s *scanner) texts(name string, most int) ([]string, error) {
	texts := []string{}
	err := s.array(name, func(i int) error {
		if i == most {
			return s.wrong(name, fmt.Sprintf("must be at most %d", most))
		}
		text, err := s.text(name)
		texts = append(texts, text)
		return err
	})
	return texts, err
}

// free reads an object of which only the form is known, and returns it without spaces, its strings in one
// spelling.
func (s *scanner) free(name string, most int) (json.RawMessage, error) {
	s.space()
	if s.at >= len(s.data) || s.data[s.at] != '{' {
		return nil, s.wrong(name, "must be a JSON object")
	}
	b, err := s.freeValue(nil, name, 0)
	if err == nil && len(b) > most {
		err = s.wrong(name, fmt.Sprintf("must be at most %d bytes long", most))
	}
	return b, err
}

func (s *scanner) freeValue(b []byte, name string, depth int) ([]byte, error) {
	if depth == maxFreeDepth {
		return nil, s.wrong(name, fmt.Sprintf("must be nested at most %d deep", maxFreeDepth))
	}
	s.space()
	if s.at >= len(s.data) {
		return nil, s.syntax()
	}
	switch c := s.data[s.at]; {
	case c == '{':
		return s.freeObject(b, name, depth)
	case c == '[':
		b = append(b, '[')
		err := s.array(name, func(i int) (err error) {
			if i > 0 {
				b = append(b, ',')
			}
			b, err = s.freeValue(b, name, depth+1)
			return err
		})
		return append(b, ']'), err
	case c == '"':
		raw, err := s.raw()
		return appendString(b, string(raw)), err
	}
	for _, word := range []string{"true", "false", "null"} {
		if s.word(word) {
			return append(b, word...), nil
		}
	}
	from := s.at
	for s.at < len(s.data) && isNumeric(s.data[s.at]) {
		s.at++
	}
	number := s.data[from:s.at]
	if !json.Valid(number) {
		s.at = from
		return nil, s.syntax()
	}
	return append(b, number...), nil
}

func (s *scanner) freeObject(b []byte, name string, depth int) ([]byte, error) {
	s.at++
	b = append(b, '{')
	seen := map[string]bool{}
	for !s.take('}') {
		if len(seen) > 0 {
			if !s.take(',') {
				return nil, s.syntax()
			}
			b = append(b, ',')
		}
		s.space()
		raw, err := s.raw()
		if err != nil {
			return nil, err
		}
		key := string(raw)
		if seen[key] {
			return nil, s.wrong(name, "has "+quoteName(raw)+" twice")
		}
		seen[key] = true
		if !s.take(':') {
			return nil, s.syntax()
		}
		b = append(appendString(b, key), ':')
		if b, err = s.freeValue(b, name, depth+1); err != nil {
			return nil, err
		}
	}
	return append(b, '}'), nil
}
