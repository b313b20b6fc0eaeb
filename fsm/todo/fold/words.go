package fold

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

const (
	// MaxWords is the most words of a query that count: more make no entry fit better.
	MaxWords = 16
	// MaxWord is the most bytes of a word that count, in a query and in an entry.
	MaxWord = 64
)

// EachWord calls visit for the words of a folded text, its letters and digits that stand together, each with where
// it begins.
func EachWord(folded []byte, visit func(word []byte, at int)) {
	begin := -1
	for i := 0; i < len(folded); {
		c, size := rune(folded[i]), 1
		if c >= utf8.RuneSelf {
			c, size = utf8.DecodeRune(folded[i:])
		}
		switch in := unicode.IsLetter(c) || unicode.IsDigit(c) || unicode.IsMark(c); {
		case in && begin < 0:
			begin = i
		case !in && begin >= 0:
			visit(cut(folded[begin:i]), begin)
			begin = -1
		}
		i += size
	}
	if begin >= 0 {
		visit(cut(folded[begin:]), begin)
	}
}

// cut shortens a word to what counts of it.
func cut(word []byte) []byte {
	if len(word) <= MaxWord {
		return word
	}
	n := MaxWord
	for n > 0 && !utf8.RuneStart(word[n]) {
		n--
	}
	return word[:n]
}

// Words returns the words of a query, folded, at most MaxWords.
func Words(query string) (words []string) {
	EachWord(Append(nil, query), func(word []byte, _ int) {
		if len(words) < MaxWords && !slices.Contains(words, string(word)) {
			words = append(words, string(word))
		}
	})
	return words
}

// Marks returns where words of a text begin as one of words does, which are folded: from and to in bytes, in order, of
// whole characters.
func Marks(text string, words []string) (marks [][2]int) {
	var folded []byte
	var of [][2]int // for each byte of folded, what of the text became it
	for i := 0; i < len(text); {
		end := i + max(1, norm.NFKD.NextBoundaryInString(text[i:], true))
		for r, size := utf8.DecodeRuneInString(text[end:]); unicode.IsMark(r); r, size = utf8.DecodeRuneInString(text[end:]) {
			end += size // vowels and accents stay with their letter
		}
		folded = Append(folded, text[i:end])
		for len(of) < len(folded) {
			of = append(of, [2]int{i, end})
		}
		i = end
	}
	EachWord(folded, func(word []byte, at int) {
		n := 0
		for _, w := range words {
			if len(w) > n && strings.HasPrefix(string(word), w) {
				n = len(w)
			}
		}
		if n == 0 {
			return
		}
		mark := [2]int{of[at][0], of[at+n-1][1]}
		if last := len(marks) - 1; last >= 0 && mark[0] < marks[last][1] { // one character that is two words
			marks[last][1] = max(marks[last][1], mark[1])
			return
		}
		marks = append(marks, mark)
	})
	return marks
}
