package format

import (
	"bufio"
	"io"
	"unicode/utf8"
)

// csvReader reads the records of RFC 4180. encoding/csv keeps a record whole in memory, however long it is, and makes one
// line end of another within a cell.
//
// Lines may end with LF or with CR alone too, as old programs have it.
type csvReader struct {
	r     *bufio.Reader
	line  int
	comma byte

	cells []string
	cell  []byte
	size  int
	wrong string // what is wrong with the record, which is read to its end all the same
}

// record returns the cells of the next record and the line it begins at; io.EOF after the last. An empty line is none.
func (c *csvReader) record() (cells []string, line int, err error) {
	for {
		line = c.line
		c.cells, c.size, c.wrong = c.cells[:0], 0, ""
		last, err := c.cellsOfLine()
		switch {
		case err != nil:
			return nil, line, err
		case c.wrong != "":
			return nil, line, fault(line, "%s", c.wrong)
		case len(c.cells) > 1 || c.cells[0] != "":
			return c.cells, line, nil
		case last:
			return nil, line, io.EOF
		}
	}
}

// cellsOfLine reads a record; last reports that nothing follows it.
func (c *csvReader) cellsOfLine() (last bool, err error) {
	for {
		end, err := c.oneCell()
		if err != nil {
			return false, err
		}
		if !utf8.Valid(c.cell) {
			c.fail("it is not in UTF-8: save the file as CSV UTF-8")
		}
		if len(c.cells) == maxCells {
			c.fail("it has more than 256 cells")
		} else {
			c.cells = append(c.cells, string(c.cell))
		}
		switch end {
		case endOfRecord:
			return false, nil
		case endOfFile:
			return true, nil
		}
	}
}

func (c *csvReader) fail(reason string) {
	if c.wrong == "" {
		c.wrong = reason
	}
}

// What a cell ends with.
type cellEnd int

const (
	endOfCell cellEnd = iota
	endOfRecord
	endOfFile
)

// oneCell reads a cell into c.cell.
func (c *csvReader) oneCell() (cellEnd, error) {
	c.cell = c.cell[:0]
	b, err := c.byte()
	if b == '"' && err == nil {
		if err := c.quoted(); err != nil {
			return 0, err
		}
		b, err = c.byte()
		if err == nil && b != c.comma && b != '\n' && b != '\r' {
			c.fail("something stands after the closing quote of a cell")
		}
	}
	for ; err == nil; b, err = c.byte() {
		switch b {
		case c.comma:
			return endOfCell, nil
		case '\n':
			c.line++
			return endOfRecord, nil
		case '\r':
			c.line++
			return endOfRecord, c.skipLF()
		case '"':
			c.fail("a quote stands in the middle of a cell that does not begin with one")
		}
		c.keep(b)
	}
	if err == io.EOF {
		return endOfFile, nil
	}
	return 0, err
}

// quoted reads a cell up to its closing quote.
func (c *csvReader) quoted() error {
	from := c.line
	for {
		b, err := c.byte()
		if err == io.EOF {
			return end(from, "the quote that begins a cell is never closed")
		}
		if err != nil {
			return err
		}
		switch b {
		case '"':
			if next, err := c.r.Peek(1); err != nil || next[0] != '"' {
				return nil
			}
			_, _ = c.byte()
		case '\n':
			c.line++
		}
		c.keep(b)
	}
}

// keep adds a byte to the cell, unless the record is too long already.
func (c *csvReader) keep(b byte) {
	if c.size++; c.size > maxRecord {
		c.fail("it is longer than 512 KiB")
		return
	}
	c.cell = append(c.cell, b)
}

func (c *csvReader) byte() (byte, error) {
	b, err := c.r.ReadByte()
	if b == 0 && err == nil {
		c.fail("it has a NUL character")
	}
	return b, err
}

// skipLF skips the second half of a line end.
func (c *csvReader) skipLF() error {
	next, err := c.r.Peek(1)
	if err == nil && next[0] == '\n' {
		_, _ = c.r.ReadByte()
	}
	if err == io.EOF {
		err = nil
	}
	return err
}
