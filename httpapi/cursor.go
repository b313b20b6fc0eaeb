package httpapi

import (
	"encoding/base64"
	"encoding/binary"
	"hash/fnv"

	"todod/fsm/todo"
	"todod/fsm/todo/filter"
	"todod/httpapi/api"
)

// cursor is the place in a result at which the next page begins, bound to the epoch, to
// the query it came from and to the list, whatever that is called meanwhile. Clients see it as an opaque text: version, epoch,
// hash of the query, internal number of the list, id, and the text, in base64.
type cursor struct {
	epoch uint64
	query uint64
	list  uint64 // 0 for those of no single list
	id    uint64
	text  string // a date, the name of a list, or a place in an order
}

// A cursor of another version was given by another release, as there may be in a group that is upgraded: that is
// no fault of the client, which is told to begin anew.
const (
	cursorVersion  = 2
	cursorVersions = 15 // so many there may ever be: what is above is no cursor at all
)

// maxCursorText is more than a key of an order has, with a moment before it.
const maxCursorText = filter.MaxKey + 16

func (c cursor) String() string {
	b := append(make([]byte, 0, 64), cursorVersion)
	b = binary.AppendUvarint(b, c.epoch)
	b = binary.BigEndian.AppendUint64(b, c.query)
	b = binary.AppendUvarint(binary.AppendUvarint(b, c.list), c.id)
	b = append(b, c.text...)
	return base64.RawURLEncoding.EncodeToString(b)
}

var errCursor = &todo.Invalid{Field: "cursor", Reason: "must be one that this query returned as next"}
var errRelease = fail(api.CodeGone, "the cursor is of another release of todod: begin again without a cursor")

// stale reports whether a cursor that a client sent is of another epoch than this, or of another list. Epochs of
// cursors are never 0, which stands for the first page.
func (c cursor) stale(epoch, list uint64) bool {
	return c.epoch != 0 && (c.epoch != epoch || c.list != list)
}

// parseCursor reads the cursor of a query, given the query's hash.
func parseCursor(text string, query uint64) (c cursor, err error) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err == nil && len(b) > 1 && b[0] != cursorVersion && b[0] > 0 && b[0] <= cursorVersions {
		return c, errRelease
	}
	if err != nil || len(b) == 0 || b[0] != cursorVersion || len(b) > 1+10+8+10+10+maxCursorText {
		return c, errCursor
	}
	b = b[1:]
	var n int
	if c.epoch, n = binary.Uvarint(b); n <= 0 || c.epoch == 0 || len(b) < n+8 {
		return c, errCursor
	}
	c.query = binary.BigEndian.Uint64(b[n:])
	b = b[n+8:]
	if c.list, n = binary.Uvarint(b); n <= 0 || c.query != query {
		return c, errCursor
	}
	b = b[n:]
	if c.id, n = binary.Uvarint(b); n <= 0 {
		return c, errCursor
	}
	c.text = string(b[n:])
	return c, nil
}

// hashQuery is a hash of what a query asks for; the parts keep their places.
func hashQuery(parts ...string) uint64 {
	h := fnv.New64a()
	for _, p := range parts {
		h.Write(binary.AppendUvarint(nil, uint64(len(p))))
		h.Write([]byte(p))
	}
	return h.Sum64()
}
