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
	size := 0
	for {
		part, err := l.r.ReadSlice('\n')
		if size += len(part); size <= maxRecord {
			l.buf = append(l.buf, part...)
		}
		if err == bufio.ErrBufferFull || err == io.EOF && size == 0 {
			if err == io.EOF {
				return nil, io.EOF
			}
			continue
		}
		if err != nil && err != io.EOF {
			return nil, err
		}
		break
	}
	text := bytes.TrimSuffix(bytes.TrimSuffix(l.buf, []byte{'\n'}), []byte{'\r'})
	switch {
	case size > maxRecord:
		return nil, fault(l.line, "it is longer than 512 KiB")
	case !utf8.Valid(text):
		return nil, fault(l.line, "it is not in UTF-8")
	case bytes.IndexByte(text, 0) >= 0:
		return nil, fault(l.line, "it has a NUL character")
	}
	return text, nil
}
