package todo

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// FuzzListName takes any bytes for the name of a list. A name that is taken has one form only, is safe in a path, and
// fits; the same name in another form of Unicode is the same list.
func FuzzListName(f *testing.F) {
	for _, name := range []string{"bob", "", ".", "..", "a/b", " a", "a ", "a b", "\u00fc", "u\u0308", "\xff", "a\x00", "\u0085", "\u00a0a", "...",
		strings.Repeat("x", MaxListName), strings.Repeat("\u0344", 64), strings.Repeat("e\u0301", 40), "\u2126", "\U0001d15e", "%2F", "\u202ebob"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		got, err := ListName(name)
		if err != nil {
			var inv *Invalid
			if e, ok := err.(*Invalid); !ok {
				t.Fatalf("%q: %v", name, err)
			} else if inv = e; inv.Field != "list" || inv.Reason == "" || !utf8.ValidString(inv.Error()) {
				t.Fatalf("%q: %+v", name, inv)
			}
			return
		}
		if got == "" || got == "." || got == ".." || len(got) > MaxListName || !utf8.ValidString(got) ||
			strings.Contains(got, "/") || strings.ContainsFunc(got, unicode.IsControl) || strings.TrimSpace(got) != got {
			t.Fatalf("%q became %q", name, got)
		}
		if again, err := ListName(got); err != nil || again != got {
			t.Fatalf("%q became %q and then %q, %v", name, got, again, err)
		}
	})
}
