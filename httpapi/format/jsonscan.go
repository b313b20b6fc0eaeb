package format

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf16"
	"unicode/utf8"
)

// jsonReader cuts values out of a stream of JSON: json.Decoder keeps a value whole in memory, however long it is. What
// it cuts out has balanced brackets and whole strings; strict says whether it is JSON.
type jsonReader struct {
	r    *bufio.Reader
	line int
	buf  []byte
}

// space skips white space and returns the byte after it.
func (j *jsonReader) space() (byte, error) {
	for {
		c, err := j.r.ReadByte()
		switch {
		case err == io.EOF:
			return 0, end(j.line, "must be JSON: it ends too early")
		case err != nil:
			return 0, err
		case c == '\n':
			j.line++
		case c != ' ' && c != '\t' && c != '\r':
			return c, nil
		}
	}
}

func (j *jsonReader) expect(want byte) error {
	c, err := j.space()
	if err == nil && c != want {
		err = end(j.line, "must be JSON: %q stands where %q belongs", c, want)
	}
	return err
}

// name reads the name of a field and its colon.
func (j *jsonReader) name() (string, error) {
	line, raw, err := j.value(256)
	if err != nil {
		return "", fatal(err)
	}
	var name string
	if strict(raw) != nil || json.Unmarshal(raw, &name) != nil {
		return "", end(line, "must be JSON: a name belongs there")
	}
	return name, j.expect(':')
}

// value reads the next value, at most so many bytes: a longer one is read to its end and refused. What is returned is
// valid until the next one is read.
func (j *jsonReader) value(most int) (line int, raw []byte, err error) {
	c, err := j.space()
	if err != nil {
		return j.line, nil, err
	}
	if isEnd(c) {
		return j.line, nil, end(j.line, "must be JSON: %q stands where a value belongs", c)
	}
	line, j.buf = j.line, j.buf[:0]
	size, depth := 0, 0
	var before byte // the last byte of a string if it was a backslash that counts
	inString := false
	for {
		if size++; size <= most {
			j.buf = append(j.buf, c)
		}
		switch {
		case inString && before == '\\':
			before = 0
		case inString:
			before, inString = c, c != '"'
		case c == '"':
			before, inString = 0, true
		case c == '{' || c == '[':
			if depth++; depth > maxNesting {
				return line, nil, end(j.line, "it is nested deeper than %d", maxNesting)
			}
		case c == '}' || c == ']':
			depth--
		}
		next, err := j.next(depth, inString)
		if err != nil {
			return line, nil, err
		}
		if next == 0 && !inString {
			break
		}
		c = next
	}
	if size > most {
		return line, nil, fault(line, "it is longer than %d bytes", most)
	}
	return line, j.buf, nil
}

// next reads the next byte of a value; 0 if the value has ended before it.
func (j *jsonReader) next(depth int, inString bool) (byte, error) {
	if depth == 0 && !inString {
		if b, err := j.r.Peek(1); err == io.EOF || err == nil && isEnd(b[0]) {
			return 0, nil
		}
	}
	c, err := j.r.ReadByte()
	if err == io.EOF {
		return 0, end(j.line, "must be JSON: it ends too early")
	}
	if c == '\n' {
		j.line++
	}
	if err == nil && c == 0 {
		err = end(j.line, "must be JSON: it has a NUL character")
	}
	return c, err
}

// isEnd reports whether a byte ends a value that no bracket or quote does.
func isEnd(c byte) bool { return bytes.IndexByte([]byte(" \t\r\n,:]}"), c) >= 0 }

// strict refuses what is not JSON in UTF-8, and a name that an object has twice.
func strict(raw []byte) error {
	if !utf8.Valid(raw) {
		return errors.New("must be valid UTF-8")
	}
	if !json.Valid(raw) {
		return errors.New("must be JSON")
	}
	if halfSurrogate(raw) {
		return errors.New("must be valid UTF-8: half a surrogate pair is none")
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber() // no number is too large to be a name's value
	return unique(dec, 0)
}

// unique reads one value.
func unique(dec *json.Decoder, depth int) error {
	if depth > maxNesting {
		return fmt.Errorf("must not be nested deeper than %d", maxNesting)
	}
	t, err := dec.Token()
	if err != nil {
		return err
	}
	kind, nested := t.(json.Delim)
	if !nested {
		return nil
	}
	seen := map[string]bool{}
	for dec.More() {
		if kind == '{' {
			t, err := dec.Token()
			if err != nil {
				return err
			}
			name := t.(string)
			if seen[name] {
				return fmt.Errorf("%.64q is given twice", name)
			}
			seen[name] = true
		}
		if err := unique(dec, depth+1); err != nil {
			return err
		}
	}
	_, err = dec.Token()
	return err
}

// halfSurrogate reports whether valid JSON has the escape of half a surrogate pair, of which encoding/json makes U+FFFD.
func halfSurrogate(raw []byte) bool {
	for {
		i := bytes.IndexByte(raw, '\\')
		if i < 0 {
			return false
		}
		raw = raw[i:]
		r, ok := escapedRune(raw)
		if !ok {
			raw = raw[2:]
			continue
		}
		raw = raw[6:]
		if !utf16.IsSurrogate(r) {
			continue
		}
		low, _ := escapedRune(raw)
		if utf16.DecodeRune(r, low) == utf8.RuneError {
			return true
		}
		raw = raw[6:]
	}
}

// escapedRune reads \uXXXX at the beginning of a text.
func escapedRune(raw []byte) (rune, bool) {
	if len(raw) < 6 || raw[1] != 'u' || raw[0] != '\\' {
		return 0, false
	}
	var r rune
	for _, c := range raw[2:6] {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		default:
			c -= 'A' - 10
		}
		r = r<<4 | rune(c)
	}
	return r, true
}
