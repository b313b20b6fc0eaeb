package format

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// BenchmarkFormats writes and reads 1,000 entries as people have them.
func BenchmarkFormats(b *testing.B) {
	var entries []*Entry
	for i := range 1000 {
		e := &Entry{}
		e.List, e.ID, e.Title, e.Created, e.Updated = "bob", uint64(i+1), fmt.Sprintf("Entry %d of a list", i), time.Unix(1700000000, 0), time.Unix(1700000000, 0)
		if i%2 == 0 {
			e.Date, e.Time, e.TZ, e.Tags, e.Notes = "2026-12-19", "09:30", "Europe/Berlin", []string{"health", "home"}, "bring the card\nring twice"
		}
		entries = append(entries, e)
	}
	for _, f := range formats {
		file := encode(b, f, entries)
		b.Run(f.Name+"/out", func(b *testing.B) {
			b.SetBytes(int64(len(file)))
			for b.Loop() {
				encode(b, f, entries)
			}
		})
		b.Run(f.Name+"/in", func(b *testing.B) {
			b.SetBytes(int64(len(file)))
			for b.Loop() {
				if got, faults := read(b, f, strings.NewReader(file)); len(got) != len(entries) || len(faults) > 0 {
					b.Fatal(len(got), faults)
				}
			}
		})
	}
}
