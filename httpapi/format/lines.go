package format

import (
	"bufio"
	"bytes"
	"io"
	"unicode/utf8"
)

// lineReader reads lines of text that end with LF or CRLF. bufio.Scanner ends for good at a line that is too long.
type lineReader struct {
	r    *bufio.Reader
	line int // of what was read last
	buf  []byte
}

// next returns a line without its end, valid until the next one; io.EOF after the last. A line that is too long or no
// text is a fault, and the one after it can be read.
func (l *lineReader) next() ([]byte, error) {
	l.line++
	l.buf = l.buf[:0]
	size, err := l.read(0)
	if err != nil {
		return nil, err
	}
	return l.check(l.line, size)
}

// read appends a line to l.buf, up to maxRecord bytes in all, and returns how many there would be.
func (l *lineReader) read(size int) (int, error) {
	for before := size; ; {
		part, err := l.r.ReadSlice('\n')
		if size += len(part); size <= maxRecord {
			l.buf = append(l.buf, part...)
		}
		switch {
		case err == bufio.ErrBufferFull:
			continue
		case err == io.EOF && size > before:
			return size, nil
		}
		return size, err
	}
}

// check is what was read, if it is text.
func (l *lineReader) check(line, size int) ([]byte, error) {
	text := trimEnd(l.buf)
	switch {
	case size > maxRecord:
		return nil, fault(line, "it is longer than 512 KiB")
	case !utf8.Valid(text):
		return nil, fault(line, "it is not in UTF-8")
	case bytes.IndexByte(text, 0) >= 0:
		return nil, fault(line, "it has a NUL character")
	}
	return text, nil
}

func trimEnd(line []byte) []byte {
	return bytes.TrimSuffix(bytes.TrimSuffix(line, []byte{'\n'}), []byte{'\r'})
}

// unfolded returns a content line of RFC 5545, section 3.1, and the line it begins at: a line that begins with a blank
// goes on with the one before it, perhaps in the middle of a character.
func (l *lineReader) unfolded() (text []byte, line int, err error) {
	l.line++
	line = l.line
	l.buf = l.buf[:0]
	size, err := l.read(0)
	if err != nil {
		return nil, line, err
	}
	for {
		next, err := l.r.Peek(1)
		if err == io.EOF || err == nil && next[0] != ' ' && next[0] != '\t' {
			break
		}
		if err != nil {
			return nil, line, err
		}
		_, _ = l.r.ReadByte()
		l.line++
		l.buf = trimEnd(l.buf)
		if size, err = l.read(size); err != nil {
			return nil, line, err
		}
	}
	text, err = l.check(line, size)
	return text, line, err
}
