// Package fold makes texts comparable as people read them: without case and without accents. It uses
// Unicode tables, which differ between Go releases, so what it makes is never stored in the replica
// and never decides what Apply does.
package fold

import (
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// String returns s folded. What is folded stays as it is when it is folded again.
func String(s string) string { return string(Append(nil, s)) }

// Append appends s, folded. An ASCII character costs about 1 ns, another of a European script 15.
//
// Characters are taken apart first: that makes one form of the many in which the same text can be written, full-width
// and ligatures too, and leaves accents as characters of their own, which go.
func Append(dst []byte, s string) []byte {
	begin := len(dst)
	s = known(s)
	for i := 0; i < len(s); {
		if c := s[i]; c < utf8.RuneSelf {
			if 'A' <= c && c <= 'Z' {
				c += 'a' - 'A'
			}
			dst = append(dst, c)
			i++
			continue
		}
		p := norm.NFKD.PropertiesString(s[i:])
		size := max(p.Size(), 1) // 0 where it is not UTF-8
		apart := p.Decomposition()
		if apart == nil {
			r, _ := utf8.DecodeRuneInString(s[i:])
			if p.CCC() != 0 && !isAccent(r) || isHangul(r) {
				return appendOrdered(dst[:begin], s)
			}
			dst = appendRune(dst, r)
		}
		for len(apart) > 0 {
			r, n := utf8.DecodeRune(apart)
			if norm.NFKD.Properties(apart).CCC() != 0 && !isAccent(r) {
				return appendOrdered(dst[:begin], s)
			}
			dst = appendRune(dst, r)
			apart = apart[n:]
		}
		i += size
	}
	return dst
}

// appendOrdered is Append for texts with marks whose order has to be made one and the same, and for Hangul, which
// is taken apart by a rule and not by a table. It costs three times as much.
func appendOrdered(dst []byte, s string) []byte {
	var in norm.Iter
	in.InitString(norm.NFKD, s)
	for !in.Done() {
		for part := in.Next(); len(part) > 0; {
			r, size := utf8.DecodeRune(part)
			part = part[size:]
			dst = appendRune(dst, r)
		}
	}
	return dst
}

func appendRune(dst []byte, r rune) []byte {
	if isAccent(r) {
		return dst
	}
	r = unicode.ToLower(r)
	if plain, ok := letters[r]; ok {
		return append(dst, plain...)
	}
	return utf8.AppendRune(dst, r)
}

func isHangul(r rune) bool { return r >= 0xac00 && r <= 0xd7a3 }

// isAccent is true of the marks on letters of European scripts, and false of the vowels and voice marks
// of others, without which a word is another word.
func isAccent(r rune) bool {
	return r >= 0x0300 && r <= 0x036f || r >= 0x1ab0 && r <= 0x1aff || r >= 0x1dc0 && r <= 0x1dff || r >= 0x20d0 && r <= 0x20ff
}

// letters are those that Unicode does not take apart though people do.
var letters = map[rune]string{
	'ß': "ss", 'æ': "ae", 'œ': "oe", 'ø': "o", 'ł': "l", 'đ': "d", 'ð': "d", 'þ': "th", 'ħ': "h", 'ı': "i", 'ŋ': "n", 'ŧ': "t", 'ς': "σ",
}
