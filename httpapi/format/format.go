// Package format has the formats in which lists leave todod and come in: its own JSON, CSV, todo.txt, iCalendar,
// Taskwarrior's JSON and Todoist's CSV.
//
// All of them are streams: an encoder holds one entry, a decoder one entry and what it must know of the file, however
// long that is. What a decoder returns has the form of an entry; whether it keeps the rules of one (package todo) is
// for whoever stores it to check.
package format

import (
	"bufio"
	"fmt"
	"io"
	"time"

	"todod/fsm/todo"
	"todod/httpapi/api"
)

// The names of the formats, as in the query of an export and an import.
const (
	JSON    = "json"
	CSV     = "csv"
	Todo    = "todotxt"
	ICal    = "ical"
	Task    = "taskwarrior"
	Todoist = "todoist"
)

// Entry is an entry on its way in or out.
type Entry struct {
	api.Entry
	Above   string        // the uid of its parent, in formats that name parents so
	Depth   int           // how many entries are above it, where Format.Tree asks for it
	Line    int           // where it began in the file, from 1
	Remarks []string      // what of it could not be kept, a sentence each
	Lacks   todo.FieldSet // the fields that the file has no place for: of them it says nothing, not even that they are empty
}

// Head is what a file says of its list. Only Encode* uses it all.
type Head struct {
	List string
	Rev  uint64         // of the list, when the export began
	Zone *time.Location // whose midnight a date begins with, for formats that know instants only; nil is UTC
}

// Encoder writes entries. An error is one of the writer; the file is of no use then.
type Encoder interface {
	Encode(e *Entry) error
	// Close writes what comes last. It does not close the writer.
	Close() error
}

// Decoder reads entries.
type Decoder interface {
	// Next returns the next entry; io.EOF after the last. After a *Fault that is not its end, the file can be read on.
	// Any other error is one of the reader. The entry is the caller's.
	Next() (*Entry, error)
}

// Fault is what is wrong in a file.
type Fault struct {
	Line   int
	Reason string // the sentence without its line
	End    bool   // nothing after it can be read
	Extra  bool   // nothing is wrong: it is something that is no entry, and was left out
}

func (f *Fault) Error() string { return fmt.Sprintf("line %d: %s", f.Line, f.Reason) }

func fault(line int, format string, args ...any) error {
	return &Fault{Line: line, Reason: fmt.Sprintf(format, args...)}
}

// end is a fault after which nothing can be read.
func end(line int, format string, args ...any) error {
	return &Fault{Line: line, Reason: fmt.Sprintf(format, args...), End: true}
}

// fatal makes a fault one after which nothing can be read.
func fatal(err error) error {
	if f, ok := err.(*Fault); ok {
		f.End = true
	}
	return err
}

// Format is one of the formats.
type Format struct {
	Name    string
	Type    string // its media type, with the charset
	Suffix  string // of a file's name, with the dot
	Tree    bool   // its entries must come with each parent before what is below it, which follows at once
	encoder func(w io.Writer, h Head) (Encoder, error)
	decoder func(r *bufio.Reader, zone *time.Location) Decoder
}

// Encoder begins a file.
func (f *Format) Encoder(w io.Writer, h Head) (Encoder, error) { return f.encoder(w, h) }

// Decoder reads a file. A byte order mark before it is skipped. The zone is that of whoever made the file, for formats
// that know instants only: midnight there is a date. Nil is UTC.
func (f *Format) Decoder(r io.Reader, zone *time.Location) Decoder {
	if zone == nil {
		zone = time.UTC
	}
	return &counted{dec: f.decoder(bufio.NewReaderSize(skipMark(r), 32<<10), zone)}
}

// formats is the table of all formats.
var formats = []*Format{
	{Name: JSON, Type: "application/json", Suffix: ".json", encoder: newJSONEncoder, decoder: newJSONDecoder},
	{Name: CSV, Type: "text/csv; charset=utf-8", Suffix: ".csv", encoder: newCSVEncoder, decoder: newCSVDecoder},
	{Name: Todo, Type: "text/plain; charset=utf-8", Suffix: ".txt", encoder: newTodoEncoder, decoder: newTodoDecoder},
	{Name: ICal, Type: "text/calendar; charset=utf-8", Suffix: ".ics", encoder: newICalEncoder, decoder: newICalDecoder},
	{Name: Task, Type: "application/json", Suffix: ".json", encoder: newTaskEncoder, decoder: newTaskDecoder},
	{Name: Todoist, Type: "text/csv; charset=utf-8", Suffix: ".csv", Tree: true, encoder: newTodoistEncoder, decoder: newTodoistDecoder},
}

// Find returns the format of that name, nil if there is none.
func Find(name string) *Format {
	for _, f := range formats {
		if f.Name == name {
			return f
		}
	}
	return nil
}

// Names are the names of all formats.
func Names() []string {
	names := make([]string, len(formats))
	for i, f := range formats {
		names[i] = f.Name
	}
	return names
}

// counted ends a file with more entries than a list can hold: what remembers something of each is bounded by it.
type counted struct {
	dec Decoder
	n   int
}

func (c *counted) Next() (*Entry, error) {
	e, err := c.dec.Next()
	if err == nil || isFault(err) {
		c.n++
	}
	if err == nil && c.n > maxEntries {
		return nil, end(e.Line, "the file has more than %d entries, the most that a list can hold", maxEntries)
	}
	return e, err
}

func isFault(err error) bool {
	_, ok := err.(*Fault)
	return ok
}

const byteOrderMark = "\ufeff"

// skipMark skips the byte order mark that Windows programs put before UTF-8.
func skipMark(r io.Reader) io.Reader {
	return &marked{r: r}
}

type marked struct {
	r       io.Reader
	skipped bool
	rest    []byte
}

func (m *marked) Read(b []byte) (int, error) {
	if !m.skipped {
		m.skipped = true
		first := make([]byte, len(byteOrderMark))
		n, err := io.ReadFull(m.r, first)
		if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
			return 0, err
		}
		if m.rest = first[:n]; string(m.rest) == byteOrderMark {
			m.rest = nil
		}
	}
	if len(m.rest) > 0 {
		n := copy(b, m.rest)
		m.rest = m.rest[n:]
		return n, nil
	}
	return m.r.Read(b)
}
