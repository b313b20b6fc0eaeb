package format

import (
	"encoding/csv"
	"os/exec"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestCSVLosesNothing(t *testing.T) {
	roundTrip(t, Find(CSV), func(e *Entry) {
		e.UID = UID(&e.Entry)
		e.List, e.Rev, e.Above = "", 0, "" // columns that would say the same in each line
	})
}

// No cell of an export begins like a formula, whatever an entry says, and import takes exactly the guard off.
func TestCSVCellsAreNoFormulas(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		entries := genList().Draw(rt, "entries")
		file := encode(t, Find(CSV), entries)
		r := csv.NewReader(strings.NewReader(strings.TrimPrefix(file, byteOrderMark)))
		records, err := r.ReadAll()
		if err != nil {
			rt.Fatalf("another reader says %v of\n%s", err, file)
		}
		for _, cells := range records[1:] {
			for _, cell := range cells {
				if cell != "" && strings.IndexByte("=+-@\t\r", cell[0]) >= 0 {
					rt.Fatalf("a formula: %q", cell)
				}
			}
		}
	})
	for in, want := range map[string]string{"'=1": "=1", "''=1": "'=1", "'": "'", "''": "'", "'tis": "'tis", "=1": "=1", "'@": "@", "'\t": "\t"} {
		if got := unguard(in); got != want {
			t.Errorf("%q is read as %q, want %q", in, got, want)
		}
	}
}

// What encoding/csv reads, this reads in the same way.
func TestCSVReadsAsOthersDo(t *testing.T) {
	cell := rapid.OneOf(rapid.SampledFrom([]string{"", "a", "a,b", "say \"hi\"", "two\nlines", " ", "é", ";"}), rapid.StringMatching(`[a-z"\n ,]{0,6}`))
	rapid.Check(t, func(rt *rapid.T) {
		want := rapid.SliceOfN(rapid.SliceOfN(cell, 2, 4), 1, 5).Draw(rt, "records")
		var file strings.Builder
		w := csv.NewWriter(&file)
		w.UseCRLF = rapid.Bool().Draw(rt, "crlf")
		for _, cells := range want {
			_ = w.Write(cells)
		}
		w.Flush()
		text := file.String()
		if w.UseCRLF { // the writer makes CRLF of a line end in a cell, the reader LF of it
			text = strings.ReplaceAll(text, "\r\n", "\n")
		}
		r := csvReader{r: newReader(text), line: 1, comma: ','}
		for _, cells := range want {
			got, _, err := r.record()
			if err != nil || !slices.Equal(got, cells) {
				rt.Fatalf("%q %v, want %q, from\n%s", got, err, cells, text)
			}
		}
	})
}

// Files as people have them: columns in any order, some missing, others too, semicolons, old line ends.
func TestCSVOfOtherPrograms(t *testing.T) {
	for name, file := range map[string]string{
		"commas":      "Title,Done,Tags,Date\r\nDentist,,\"health, home\",2018-12-19\r\nBread,TRUE,,\r\n",
		"semicolons":  "\ufefftitle;done;tags;date\n\"Dentist\";FALSE;home,health;2018-12-19\n\n;;;\nBread;1;;\n",
		"tabs":        "title\tdone\ttags\tdate\nDentist\tno\t health ,home,home\t2018-12-19\nBread\tyes",
		"bare CRs":    "title,date,tags,done\rDentist,2018-12-19,\"health,home\"\r\rBread,,,x\r",
		"empty cells": "title,date,tags,done\nDentist,2018-12-19,\"health,home\",,,\nBread,,,x,,,,\n",
	} {
		entries, faults := decode(t, Find(CSV), file)
		if name == "semicolons" && len(entries) == 3 { // a line of nothing is an entry without a title, which is refused later
			entries = slices.Delete(entries, 1, 2)
		}
		if len(faults) > 0 || len(entries) != 2 {
			t.Errorf("%s: %v %v", name, entries, faults)
			continue
		}
		a, b := entries[0], entries[1]
		if a.Title != "Dentist" || a.Done || !reflect.DeepEqual(a.Tags, []string{"health", "home"}) || a.Date != "2018-12-19" || b.Title != "Bread" || !b.Done {
			t.Errorf("%s: %+v\n%+v", name, *a, *b)
		}
	}
}

func TestCSVRefuses(t *testing.T) {
	const head = "title,done,priority\n"
	checkRefusals(t, Find(CSV), []refusal{
		{"nothing", "", 0, "line 1: the file is empty: its first line must name the columns"},
		{"a mark alone", byteOrderMark, 0, "line 1: the file is empty: its first line must name the columns"},
		{"no title", "a;b\n1;2\n", 0, "line 1: the first line must name the columns, and one of them must be title"},
		{"a column twice", "title,Title\na,b\n", 0, "line 1: the column title is named twice"},
		{"a column that is not known", "title,project\na,b\n", 1, `line 1: the column "project" is not known and was left out`},
		{"UTF-16", "\xff\xfet\x00i\x00", 0, "line 1: the file is UTF-16: save it as CSV UTF-8"},
		{"the code page of a machine", head + "Caf\xe9,,\nb\n", 1, "line 2: it is not in UTF-8: save the file as CSV UTF-8"},
		{"a NUL", head + "a\x00b,,\nb\n", 1, "line 2: it has a NUL character"},
		{"a NUL in quotes", head + "\"a\x00\nb\",,\nb\n", 1, "line 2: it has a NUL character"},
		{"too many cells", head + "a,,,1\nb\n", 1, "line 2: it has more cells than the first line has names"},
		{"10,000 cells", head + strings.Repeat("a,", 10000) + "\nb\n", 1, "line 2: it has more than 256 cells"},
		{"a bad truth", head + "b\n\"a\n\",perhaps,\n", 1, "line 3: done must be true or false"},
		{"a bad number", head + "a,,high\nb\n", 1, "line 2: priority must be a whole number from 0 to 9"},
		{"a quote in the middle", head + "a\"b,,\nb\n", 1, "line 2: a quote stands in the middle of a cell that does not begin with one"},
		{"something after a quote", head + "\"a\"b,,\nb\n", 1, "line 2: something stands after the closing quote of a cell"},
		{"a quote that is never closed", head + "b\n\"a,,\nc\nd\n", 1, "line 3: the quote that begins a cell is never closed"},
		{"1 MB in a line", head + strings.Repeat("a", 1<<20) + "\nb\n", 1, "line 2: it is longer than 512 KiB"},
		{"1 MB in quotes", head + "\"" + strings.Repeat("\n", 1<<20) + "\"\nb\n", 1, "line 2: it is longer than 512 KiB"},
		{"1 MB in a quote that is never closed", head + "b\n\"" + strings.Repeat("a\n", 1<<19), 1, "line 3: the quote that begins a cell is never closed"},
		{"x that is nested", "title,x\na,\"{\"\"a\"\":" + strings.Repeat("[", 900) + strings.Repeat("]", 900) + "}\"\nb\n", 1, "line 2: x must not be nested deeper than 64"},
	})
}

// Python's csv, which many scripts are written with, reads an export and writes what an import takes.
func TestCSVAndPython(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("python3 is not here")
	}
	e := &Entry{}
	e.ID, e.Title, e.Notes, e.Tags = 1, `=HYPERLINK("x")`, "two\nlines, \"quoted\"", []string{"a", "é"}
	const script = `
import csv, sys
rows = list(csv.DictReader(open(sys.stdin.fileno(), encoding="utf-8-sig", newline="")))
w = csv.DictWriter(open(sys.stdout.fileno(), "w", encoding="utf-8", newline=""), ["notes", "title", "tags", "done"], extrasaction="ignore")
w.writeheader()
w.writerows(rows + [{"title": rows[0]["title"][1:5]}])
`
	cmd := exec.Command(python, "-c", script)
	cmd.Stdin = strings.NewReader(encode(t, Find(CSV), []*Entry{e}))
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	got, faults := decode(t, Find(CSV), string(out))
	if len(faults) > 0 || len(got) != 2 || got[0].Title != e.Title || got[0].Notes != e.Notes || !slices.Equal(got[0].Tags, e.Tags) || got[1].Title != "=HYP" {
		t.Errorf("%+v %v from\n%s", got, faults, out)
	}
}

func FuzzCSV(f *testing.F) {
	fuzz(f, Find(CSV), "title\na\n", "title;x\r\n\"a\"\"b\";{}\r\n", "title,id,done,created\ra,1,x,2026-11-28T09:00:00Z\r", "\"title\"\n'=1\n\"'\n")
}
