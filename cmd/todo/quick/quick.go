// Package quick reads an entry that a person typed as one line: "Dentist tomorrow 9am #health p1
// every 6 months". It has no clock and no zone of its own.
//
// A title must not lose a word that only looks like a date, so it takes little, and by rules that
// can be remembered:
//
//   - What is between double quotes is title.
//   - "#word" is a tag wherever it stands, if it has a letter: "#12" is title.
//   - Dates, times, repeats and a priority (p1 to p9) are read at the end, in any order, one of
//     each: "Dentist 19 Dec 9am p1". At the beginning only the plain ones are ("tomorrow 9am
//     Dentist"), and between other words only where a preposition follows ("call Bob tomorrow about the car").
//   - After an article, a possessive or a preposition they are title: "enjoy the sun", "open
//     from 9am". What is due on a day says so with on, by, due or nothing.
//   - sat, sun and wed, noon and 9:30 are words and numbers of other kinds too: they need "on",
//     "next", "at" or another date or time beside them.
//   - Months are never dates without a day, numbers never without a month, nor 5/6/2019, which is
//     read differently in different countries.
//   - If nothing would be left as a title, all of it is the title.
//
// Days without a year, and weekdays, are the next ones; "next friday" is the one of next week, a week
// begins on Monday. A bare hour is one of 24.
package quick

import (
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Entry is what was understood. What was not said is "" or 0.
type Entry struct {
	Title      string
	Date       string // 2006-01-02
	Time       string // 15:04
	Priority   uint8
	Tags       []string // in byte order, each once
	Repeat     string   // an RRULE of RFC 5545
	RepeatFrom string   // "done": from when it was done, "every!"
}

const (
	maxRun  = 24 // words that all phrases at one end may have
	maxTags = 32
	maxTag  = 64 // code points
	// maxLine is more than the longest title with all that can stand beside it. What is longer is
	// not looked at: a node will refuse it anyhow.
	maxLine = 16 << 10
)

// word is a word of the line as typed, and as it is compared.
type word struct {
	text, plain string
	quoted      bool
	next        bool // words after it were taken: a comma at its end goes too
}

// Parse reads a line. The days and times in it are those of now's zone.
func Parse(line string, now time.Time) Entry {
	if len(line) > maxLine {
		return Entry{Title: line}
	}
	words := split(line)
	words, tags := takeTags(words)
	r := reading{now: now}
	words, r = fromEnd(words, r)
	words, r = fromStart(words, r)
	if !r.hasDay && r.rule == "" {
		words, r = fromMiddle(words, r)
	}
	title := join(words)
	if title == "" {
		return Entry{Title: line}
	}
	e := r.resolve()
	e.Title, e.Tags = title, tags
	if len(tags) == 0 && r.phrases == 0 && e.Priority == 0 {
		e.Title = line // as it was typed, spaces and all
	}
	return e
}

// split takes a line apart at its spaces and notes what is quoted.
func split(line string) []word {
	var words []word
	open := -1
	for _, text := range strings.Fields(line) {
		w := word{text: text, plain: strings.ToLower(strings.TrimRight(text, ",;."))}
		words = append(words, w)
		if open < 0 && strings.HasPrefix(text, `"`) {
			open = len(words) - 1
		}
		if open >= 0 && strings.HasSuffix(strings.TrimRight(text, ",;."), `"`) && (open < len(words)-1 || len(text) > 1) {
			for i := open; i < len(words); i++ {
				words[i].quoted = true
			}
			open = -1
		}
	}
	for i := range words {
		if words[i].quoted {
			words[i].plain = "\x00" // no phrase has it
		}
	}
	return words
}

// join puts what is left together again. A comma goes with what it parted.
func join(words []word) string {
	texts := make([]string, len(words))
	for i, w := range words {
		texts[i] = w.text
		if w.next && !w.quoted {
			texts[i] = strings.TrimRight(w.text, ",;")
		}
	}
	return strings.TrimSpace(strings.Join(slices.DeleteFunc(texts, func(s string) bool { return s == "" }), " "))
}

func takeTags(words []word) (rest []word, tags []string) {
	for _, w := range words {
		tag, ok := tagOf(w)
		switch {
		case !ok, len(tags) == maxTags && !slices.Contains(tags, tag):
			rest = append(rest, w)
			continue
		case !slices.Contains(tags, tag):
			tags = append(tags, tag)
		}
		if len(rest) > 0 {
			rest[len(rest)-1].next = true
		}
	}
	slices.Sort(tags)
	return rest, tags
}

func tagOf(w word) (string, bool) {
	tag, ok := strings.CutPrefix(w.text, "#")
	tag = strings.TrimRight(tag, ",;.!?:")
	if !ok || w.quoted || !utf8.ValidString(tag) || utf8.RuneCountInString(tag) > maxTag || !strings.ContainsFunc(tag, unicode.IsLetter) {
		return "", false
	}
	odd := func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsMark(r) && !unicode.IsDigit(r) && !strings.ContainsRune("-_/.:", r)
	}
	return tag, !strings.ContainsFunc(tag, odd)
}

func plain(words []word) []string {
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = w.plain
	}
	return out
}

// fromEnd takes the longest run of phrases that the line ends with.
func fromEnd(words []word, r reading) ([]word, reading) {
	w := plain(words)
	for i := max(0, len(w)-maxRun); i < len(w); i++ {
		got, ok := r.run(w[i:])
		switch {
		case !ok || got.weak && got.phrases == 1:
			continue
		case i > 0 && keeps[w[i-1]]:
			return words, r // a shorter one would tear apart what belongs together
		}
		if i > 0 {
			words[i-1].next = true
		}
		return words[:i], got
	}
	return words, r
}

// fromStart takes the longest run of plain phrases that the line begins with.
func fromStart(words []word, r reading) ([]word, reading) {
	w := plain(words)
	for i := min(len(w)-1, maxRun); i > 0; i-- {
		if got, ok := r.run(w[:i]); ok && !got.loose && !got.weak {
			return words[i:], got
		}
	}
	return words, r
}

// fromMiddle takes the first run of plain phrases before a preposition.
func fromMiddle(words []word, r reading) ([]word, reading) {
	w := plain(words)
	for i := 1; i < len(w)-1; i++ {
		if keeps[w[i-1]] {
			continue
		}
		for j := min(len(w)-1, i+maxRun); j > i; j-- {
			if !follows[w[j]] {
				continue
			}
			if got, ok := r.run(w[i:j]); ok && got.hasDay && !got.loose && !got.weak {
				return append(slices.Clone(words[:i]), words[j:]...), got
			}
		}
	}
	return words, r
}

func set(words string) map[string]bool {
	m := map[string]bool{}
	for _, w := range strings.Fields(words) {
		m[w] = true
	}
	return m
}

var (
	// keeps are the words that make what follows them a part of the title.
	keeps = set(`the a an my your our his her its their this that these those of for with without to from
		until till before after since about than and or & + between through during per each all no not vs like via is are was in`)
	// follows are the words after which, in the middle of a title, a new part of it begins.
	follows = set("about at because by for from if in into near of on over regarding to via when where while with without")
)

// Day reads a text that is a day and nothing else, or a day and a time: "tomorrow", "19 Dec 9am".
func Day(text string, now time.Time) (date, clock string, ok bool) {
	r, ok := whole(text, now)
	if !ok || !r.hasDay || r.rule != "" {
		return "", "", false
	}
	e := r.resolve()
	return e.Date, e.Time, true
}

// Clock reads a text that is a time of day and nothing else: "9am", "9".
func Clock(text string, now time.Time) (clock string, ok bool) {
	r, ok := whole(text, now)
	if !ok {
		r, ok = whole("at "+text, now)
	}
	if !ok || r.hasDay || r.rule != "" {
		return "", false
	}
	return r.resolve().Time, true
}

// Repeat reads a text that says how something repeats and nothing else: "every 2 weeks". From is "done" for "every! 2 weeks".
func Repeat(text string, now time.Time) (rule, from string, ok bool) {
	r, ok := whole(text, now)
	if !ok || r.hasDay || r.hasClock || r.rule == "" {
		return "", "", false
	}
	e := r.resolve()
	return e.Repeat, e.RepeatFrom, true
}

func whole(text string, now time.Time) (reading, bool) {
	words := split(text)
	if len(words) == 0 || len(words) > maxRun {
		return reading{}, false
	}
	r, ok := reading{now: now}.run(plain(words))
	return r, ok && !r.hasPrio
}
