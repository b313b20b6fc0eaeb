package format

import (
	"bufio"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"unicode"
	"unicode/utf8"
)

func newReader(text string) *bufio.Reader { return bufio.NewReader(strings.NewReader(text)) }

// fuzz reads files of one format. Whatever they are, what is read is text, can be written again in each format, and
// comes back from its own.
func fuzz(f *testing.F, format *Format, seeds ...string) {
	for _, seed := range seeds {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, file string) {
		entries, _ := decode(t, format, file)
		for _, e := range entries {
			if !utf8.ValidString(e.Title) || !utf8.ValidString(e.Notes) || !utf8.ValidString(e.UID) || !utf8.Valid(e.X) || e.Line < 1 {
				t.Fatalf("%q made %+v", file, e)
			}
			if strings.ContainsFunc(strings.Join(e.Remarks, ""), unicode.IsControl) {
				t.Fatalf("%q made the remarks %q", file, e.Remarks)
			}
		}
		if len(file) < 4096 {
			again, faults := decode(t, Find(JSON), encode(t, Find(JSON), entries))
			if len(again) != len(entries) || len(faults) > 0 {
				t.Fatalf("%d of %d entries came back from JSON: %v", len(again), len(entries), faults)
			}
		}
	})
}

// A reader that fails is no end of the file.
func TestBrokenReaders(t *testing.T) {
	broken := errors.New("the line is cut")
	for _, f := range formats {
		file := encode(t, f, []*Entry{{}})
		for n := 0; n < len(file); n += 1 + len(file)/50 {
			dec := f.Decoder(iotest.OneByteReader(io.MultiReader(strings.NewReader(file[:n]), iotest.ErrReader(broken))), nil)
			for {
				_, err := dec.Next()
				if err == nil {
					continue
				}
				if !errors.Is(err, broken) {
					t.Fatalf("%s: cut after %d bytes it ends with %v", f.Name, n, err)
				}
				break
			}
		}
	}
}

// What a file holds does not depend on how it arrives.
func TestReadersInPieces(t *testing.T) {
	for _, f := range formats {
		e := &Entry{}
		e.ID, e.Title, e.Notes, e.Date = 1, "Zahnärztin 😀", "two\nlines", "2026-11-28"
		file := encode(t, f, []*Entry{e, e})
		whole, _ := decode(t, f, file)
		pieces, faults := read(t, f, iotest.OneByteReader(strings.NewReader(file)))
		if len(whole) != 2 || len(pieces) != 2 || len(faults) > 0 || whole[1].Title != pieces[1].Title || whole[1].Line != pieces[1].Line {
			t.Errorf("%s: %v %v %v", f.Name, whole, pieces, faults)
		}
	}
}
