package httpapi

import (
	"net/http"
	"strconv"
	"time"
)

// ending is the end of a route that clients are told of long before: README, "The API", has the rules.
type ending struct {
	since   time.Time // when it was deprecated
	until   time.Time // when it goes, at the earliest: notice or more after since
	instead string    // the id of the operation to use in its place
}

// notice is how long a deprecated route goes on at least: clients are updated once a year where nobody looks.
const notice = 365 * 24 * time.Hour

// say tells a client in the header of each answer: Deprecation (RFC 9745), Sunset (RFC 8594), and where to read on.
func (e *ending) say(h http.Header) {
	h["Deprecation"] = []string{"@" + strconv.FormatInt(e.since.Unix(), 10)}
	h["Sunset"] = []string{e.until.UTC().Format(http.TimeFormat)}
	h["Link"] = []string{"</docs#" + e.instead + `>; rel="deprecation"; type="text/html"`}
}

// text says the same in the description.
func (e *ending) text() string {
	return "Deprecated since " + e.since.Format(time.DateOnly) + ", and gone after " + e.until.Format(time.DateOnly) + " at the earliest: use `" + e.instead + "` instead."
}
