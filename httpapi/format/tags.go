package format

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// addTag adds what another program calls a category, a label or a project. A tag is one word: spaces within it
// become hyphens, and the entry says so.
func (e *Entry) addTag(text string) {
	text = strings.TrimSpace(text)
	tag := strings.TrimLeft(strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || r == ',' {
			return '-'
		}
		return r
	}, text), "#")
	if tag == "" {
		return
	}
	if tag != text {
		e.remark("the tag %.64q became %.64q", text, tag)
	}
	e.Tags = append(e.Tags, tag)
}

// sortTags puts the tags into the form they have in an entry.
func (e *Entry) sortTags() {
	slices.Sort(e.Tags)
	e.Tags = slices.Compact(e.Tags)
}

// maxRemarks is the most remarks of an entry: what is wrong more often is wrong as a whole.
const maxRemarks = 8

func (e *Entry) remark(format string, args ...any) {
	if len(e.Remarks) < maxRemarks {
		e.Remarks = append(e.Remarks, fmt.Sprintf(format, args...))
	}
}
