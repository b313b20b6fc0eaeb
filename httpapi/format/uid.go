package format

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"

	"todod/httpapi/api"
)

// A file is imported twice without harm because each of its entries has a uid by which it is found again. Entries
// without one get one here.

const ofTodod = "@todod"

// UID returns the uid of an entry of a list, or, if it has none, the one that it has in files: from its list, its id
// and when it was created, so that no entry of another list or another group has the same. It begins with the id: an
// entry can be found by it without a search.
func UID(e *api.Entry) string {
	if e.UID != "" {
		return e.UID
	}
	id := strconv.FormatUint(e.ID, 10)
	return id + "-" + digest(e.List, id, strconv.FormatInt(e.Created.UnixMilli(), 10)) + ofTodod
}

// ID returns the id in a uid that UID may have made, and 0 for others.
func ID(uid string) uint64 {
	text, ok := strings.CutSuffix(uid, ofTodod)
	if !ok {
		return 0
	}
	text, _, _ = strings.Cut(text, "-")
	id, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0
	}
	return id
}

// Namer gives the entries of one file their uids. It remembers some 40 bytes of each entry that has none of its own.
type Namer struct {
	seen map[[16]byte]int
}

// UID returns the uid of the next entry of the file. One that says neither its uid nor where it was is known by its
// title and when it is due, so that it is found again when it is done or has other tags. The second that says the
// same gets another uid, so they stay two.
func (n *Namer) UID(e *Entry) string {
	if e.UID != "" || e.ID != 0 && e.List != "" && !e.Created.IsZero() {
		return UID(&e.Entry)
	}
	sum := digest(e.Title, e.Date, e.Time, e.Above)
	if n.seen == nil {
		n.seen = map[[16]byte]int{}
	}
	key := [16]byte([]byte(sum))
	n.seen[key]++
	return "c" + strconv.Itoa(n.seen[key]) + "-" + sum + ofTodod
}

// digest is a hash of some texts, short enough to be read aloud.
func digest(texts ...string) string {
	h := sha256.New()
	for _, t := range texts {
		h.Write(strconv.AppendInt(nil, int64(len(t)), 10))
		h.Write([]byte{':'})
		h.Write([]byte(t))
	}
	return hex.EncodeToString(h.Sum(nil)[:12])
}
