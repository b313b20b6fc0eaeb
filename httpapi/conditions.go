package httpapi

import (
	"net/http"
	"strconv"
	"strings"

	"todod/fsm/todo"
)

// An entity tag of ours is "EPOCH.REV". To clients it is opaque, so one that is not of this
// form is a valid tag that matches nothing.

// foreignTag matches nothing: no state is of epoch 0, and todo.AnyTag is rev 0 of it.
var foreignTag = todo.Tag{Epoch: 0, Rev: 1}

func appendTag(b []byte, epoch, rev uint64) []byte {
	b = append(b, '"')
	b = strconv.AppendUint(b, epoch, 10)
	b = append(b, '.')
	b = strconv.AppendUint(b, rev, 10)
	return append(b, '"')
}

// conditions reads If-Match and If-None-Match (RFC 9110, section 13.1).
func conditions(h http.Header) (c todo.Condition, err error) {
	if values := h["If-Match"]; values != nil {
		if c.Match, err = parseTags("If-Match", strings.Join(values, ","), false); err != nil {
			return c, err
		}
	}
	if values := h["If-None-Match"]; values != nil {
		c.NoneMatch, err = parseTags("If-None-Match", strings.Join(values, ","), true)
	}
	return c, err
}

// parseTags reads a list of entity tags or a *. A weak tag counts only in a weak comparison.
func parseTags(field, text string, weak bool) (tags []todo.Tag, err error) {
	if trim(text) == "*" {
		return []todo.Tag{todo.AnyTag}, nil
	}
	err = eachTag(field, text, func(opaque string, isWeak bool) {
		tag := parseTag(opaque)
		if isWeak && !weak {
			tag = foreignTag
		}
		tags = append(tags, tag)
	})
	return tags, err
}

// eachTag calls do with what stands between the quotes of each tag of a list.
func eachTag(field, text string, do func(opaque string, weak bool)) error {
	bad := &todo.Invalid{Field: field, Reason: `must be * or a list of entity tags such as "1.42"`}
	n := 0
	for text = trim(text); text != ""; {
		if text[0] == ',' { // RFC 9110, section 5.6.1: empty elements are allowed
			text = trim(text[1:])
			continue
		}
		isWeak := strings.HasPrefix(text, `W/`)
		if isWeak {
			text = text[2:]
		}
		end := quoted(text)
		if end < 0 {
			return bad
		}
		do(text[1:end], isWeak)
		if n++; n > todo.MaxTags {
			return &todo.Invalid{Field: field, Reason: "must name at most " + strconv.Itoa(todo.MaxTags) + " tags"}
		}
		if text = trim(text[end+1:]); text != "" && text[0] != ',' {
			return bad
		}
	}
	if n == 0 {
		return bad
	}
	return nil
}

func trim(s string) string { return strings.Trim(s, " \t") }

// quoted returns where the quoted tag at the beginning of text ends, -1 if there is none.
func quoted(text string) int {
	if text == "" || text[0] != '"' {
		return -1
	}
	for i := 1; i < len(text); i++ {
		switch c := text[i]; {
		case c == '"':
			return i
		case c < 0x21 || c == 0x7f:
			return -1
		}
	}
	return -1
}

// parseTag reads what stands between the quotes. Only the spelling that we send is ours.
func parseTag(text string) todo.Tag {
	text = strings.TrimSuffix(text, gzipSuffix)
	left, right, _ := strings.Cut(text, ".")
	epoch, err1 := strconv.ParseUint(left, 10, 64)
	rev, err2 := strconv.ParseUint(right, 10, 64)
	var buf [48]byte
	if err1 != nil || err2 != nil || epoch == 0 || string(appendTag(buf[:0], epoch, rev)) != `"`+text+`"` {
		return foreignTag
	}
	return todo.Tag{Epoch: epoch, Rev: rev}
}
