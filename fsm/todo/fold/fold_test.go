package fold

import (
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
	"pgregory.net/rapid"
)

func TestFold(t *testing.T) {
	for text, want := range map[string]string{
		"":                      "",
		"Dentist, AT 10":        "dentist, at 10",
		"Café":                  "cafe",
		"Cafe\u0301":            "cafe",
		"ÅNGSTRÖM \u212b":       "angstrom a",
		"Straße":                "strasse",
		"Łódź, Ærø, Þór, İıI":   "lodz, aero, thor, iii",
		"Tiếng Việt":            "tieng viet",
		"ΟΔΟΣ οδός":             "οδοσ οδοσ",
		"Ёлка и чай":            "елка и чаи",
		"ＦＵＬＬ ｗｉｄｔｈ, ﬁne":       "full width, fine",
		"がか":                    norm.NFD.String("がか"),
		"हिन्दी ไทยที่":         "हिन्दी ไทยที่",
		"漢字 😀":                  "漢字 😀",
		"각":                     norm.NFD.String("각"),
		"bad \xff bytes É":      "bad \ufffd bytes e",
		strings.Repeat("É", 99): strings.Repeat("e", 99),
	} {
		if got := String(text); got != want {
			t.Errorf("%q is folded to %q, want %q", text, got, want)
		}
	}
	if got := string(Append([]byte("É: "), "É")); got != "É: e" {
		t.Errorf("what was there became %q", got)
	}
}

// Whatever form a text comes in, it is folded to the same, and stays so.
func TestFoldedOnceAndForAll(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.String().Draw(t, "text")
		f := String(s)
		for _, again := range []string{f, norm.NFC.String(s), norm.NFD.String(s), norm.NFKC.String(s)} {
			if got := String(again); got != f {
				t.Fatalf("%+q and %+q are folded to %+q and %+q", s, again, f, got)
			}
		}
		if !utf8.ValidString(f) {
			t.Fatalf("%+q is folded to %+q", s, f)
		}
	})
}

func BenchmarkFold(b *testing.B) {
	for _, text := range []string{"Dentist, and then the shopping", "Zahnärztin, danach über die Brücke"} {
		b.Run(text, func(b *testing.B) {
			var buf []byte
			b.ReportAllocs()
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				buf = Append(buf[:0], text)
			}
		})
	}
}
