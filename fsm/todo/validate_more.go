package todo

import (
	"cmp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Check validates the fields that can be judged without zones and rules of repeats, and returns them in the form in which
// they are stored: tags in NFC and order, nil if nothing is set. For use before proposing only.
func (m *More) Check() (*More, error) { return m.check(Label) }

// Stored validates fields that were checked already, perhaps by a todod whose Unicode tables know more characters than this one's.
func (m *More) Stored() error {
	_, err := m.check(word)
	return err
}

func (m *More) check(label func(string) (string, error)) (*More, error) {
	c := *m
	var err error
	if c.Tags, err = labels(m.Tags, label); err != nil {
		return nil, err
	}
	c.Remind = slices.Clone(m.Remind)
	slices.Sort(c.Remind)
	err = cmp.Or(Notes(m.Notes), UID(m.UID))
	switch {
	case err != nil:
		return nil, err
	case m.Priority > 9:
		return nil, invalid("priority", "must be 0 for none or 1 (highest) to 9")
	case m.RepeatFrom > FromDone:
		return nil, invalid("repeat_from", "must be due or done")
	case len(m.X) > MaxX:
		return nil, invalid("x", "must be at most %d bytes long", MaxX)
	case len(m.Repeat) > MaxRepeat:
		return nil, invalid("repeat", "must be at most %d bytes long", MaxRepeat)
	case len(m.Remind) > MaxReminds:
		return nil, invalid("remind", "must be at most %d", MaxReminds)
	case len(slices.Compact(slices.Clone(c.Remind))) != len(c.Remind):
		return nil, invalid("remind", "must not name a time twice")
	}
	return c.Tidy(), nil
}

// Notes checks a text that may be of several lines; it is kept as sent. For use before proposing only.
func Notes(notes string) error {
	switch {
	case len(notes) > MaxNotes:
		return invalid("notes", "must be at most %d bytes long", MaxNotes)
	case !utf8.ValidString(notes):
		return invalid("notes", "must be valid UTF-8")
	case strings.ContainsFunc(notes, func(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\t' && r != '\r' }):
		return invalid("notes", "must not contain control characters other than tabs and line ends")
	}
	return nil
}

// Tags checks a set of tags and returns it in byte order and NFC. For use before proposing only.
func Tags(tags []string) ([]string, error) { return labels(tags, Label) }

func labels(tags []string, label func(string) (string, error)) ([]string, error) {
	if len(tags) > MaxEntryTags {
		return nil, invalid("tags", "must be at most %d", MaxEntryTags)
	}
	var set []string
	for _, tag := range tags {
		tag, err := label(tag)
		if err != nil {
			return nil, err
		}
		set = append(set, tag)
	}
	slices.Sort(set)
	return slices.Compact(set), nil
}

// Label checks one tag and returns it in NFC. It is one word, so that it can be written #tag, and
// has something to see. For use before proposing only.
func Label(tag string) (string, error) {
	tag, err := word(tag)
	if err == nil && !strings.ContainsFunc(tag, visible) {
		return "", invalid("tags", "must have a character that can be seen")
	}
	return tag, err
}

func word(tag string) (string, error) {
	if len(tag) > 8*MaxTag*utf8.UTFMax { // do not normalise what cannot fit
		return "", invalid("tags", "must be at most %d characters long each", MaxTag)
	}
	if !utf8.ValidString(tag) {
		return "", invalid("tags", "must be valid UTF-8")
	}
	tag = NFC(tag)
	switch {
	case utf8.RuneCountInString(tag) > MaxTag:
		return "", invalid("tags", "must be at most %d characters long each", MaxTag)
	case strings.HasPrefix(tag, "#"):
		return "", invalid("tags", "must be given without the #")
	case strings.ContainsFunc(tag, func(r rune) bool { return unicode.IsControl(r) || unicode.IsSpace(r) || r == ',' }):
		return "", invalid("tags", "must not contain spaces, commas or control characters")
	case tag == "":
		return "", invalid("tags", "must not be empty")
	}
	return tag, nil
}

// visible is a character that leaves ink: not a space, and none of those that only change others.
func visible(r rune) bool {
	return unicode.IsOneOf([]*unicode.RangeTable{unicode.L, unicode.N, unicode.P, unicode.S}, r) &&
		!unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r)
}

// UID checks what a calendar knows an entry by; it is kept as sent. For use before proposing only.
func UID(uid string) error {
	switch {
	case len(uid) > MaxUID:
		return invalid("uid", "must be at most %d bytes long", MaxUID)
	case !utf8.ValidString(uid):
		return invalid("uid", "must be valid UTF-8")
	case strings.ContainsFunc(uid, unicode.IsControl):
		return invalid("uid", "must not contain control characters")
	case strings.TrimSpace(uid) != uid:
		return invalid("uid", "must not begin or end with a space")
	}
	return nil
}
