package fold

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestWords(t *testing.T) {
	for query, want := range map[string][]string{
		"": nil, "  -- !": nil, "Oat-Milk, oat": {"oat", "milk"}, strings.Repeat("é", 100): {strings.Repeat("e", MaxWord)},
	} {
		if got := Words(query); !slices.Equal(got, want) {
			t.Errorf("%q: %q", query, got)
		}
	}
}

func TestMarks(t *testing.T) {
	for _, try := range []struct{ text, query, want string }{
		{"Oat milk", "mi", "Oat [mi]lk"},
		{"Oat milk, MILKY", "oat milk", "[Oat] [milk], [MILK]Y"},
		{"Oat milk", "at ilk", "Oat milk"}, // only beginnings are found
		{"milk", "m milk mi", "[milk]"},
		{"Cafe\u0301 Café", "cafe", "[Cafe\u0301] [Café]"},
		{"Straße", "stras", "[Straß]e"},
		{"ﬁne", "f", "[ﬁ]ne"}, // of a ligature there is no half
		{"ｆｕｌｌ", "full", "[ｆｕｌｌ]"},
		{"हिन्दी", "ह", "[हि]न्दी"},
		{"각도", "각", "[각]도"},
		{"牛奶 milk", "牛", "[牛]奶 milk"},
		{"½", "1 2", "[½]"},
		{"👩\u200d🔬 lab", "lab", "👩\u200d🔬 [lab]"},
		{"bad \xff bytes", "by", "bad \xff [by]tes"},
		{"anything", "", "anything"},
		{"", "x", ""},
	} {
		if got := marked(try.text, Marks(try.text, Words(try.query))); got != try.want {
			t.Errorf("%q in %q: %q", try.query, try.text, got)
		}
	}
}

func marked(text string, marks [][2]int) string {
	var b strings.Builder
	at := 0
	for _, m := range marks {
		b.WriteString(text[at:m[0]] + "[" + text[m[0]:m[1]] + "]")
		at = m[1]
	}
	return b.String() + text[at:]
}

// FuzzWords: whatever is asked for, words are few, short, whole characters and folded; and what is marked is there, in
// order, and begins as a word does.
func FuzzWords(f *testing.F) {
	f.Add("Oat-Milk é漢字 \xff", "MILK e 漢")
	f.Add("½ ﬁ 각 हि", "2 i")
	f.Fuzz(func(t *testing.T, text, query string) {
		words := Words(query)
		if len(words) > MaxWords {
			t.Fatal(len(words))
		}
		for _, w := range words {
			if w == "" || len(w) > MaxWord {
				t.Fatalf("%q", w)
			}
		}
		at := 0
		for _, m := range Marks(text, words) {
			if m[0] < at || m[1] <= m[0] || m[1] > len(text) {
				t.Fatalf("%v behind %d of %q", m, at, text)
			}
			at = m[1]
			if part := String(text[m[0]:m[1]]); utf8.ValidString(text) && !slices.ContainsFunc(words, func(w string) bool { return strings.Contains(part, w) }) {
				t.Fatalf("%q of %q has none of %q", part, text, words)
			}
		}
	})
}
