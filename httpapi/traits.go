package httpapi

import (
	"net/http"
	"slices"
	"strings"

	"todod/httpapi/api"
	"todod/httpapi/openapi"
)

// What a trait of a route means for its description.

// Why a read, a write and a question to another node may fail.
var (
	readCodes  = []api.Code{api.CodeNoLeader, api.CodeBehind, api.CodeOverloaded, api.CodeJoining, api.CodeStopping, api.CodeStalled, api.CodeTimeout}
	writeCodes = []api.Code{api.CodeNoLeader, api.CodeOverloaded, api.CodeJoining, api.CodeStopping, api.CodeStalled, api.CodeClock, api.CodeTimeout,
		api.CodeConflict, api.CodeVersion, api.CodeKeyReused, api.CodeKeysFull, api.CodeMailboxFull, api.CodeStorage}
	askCodes = []api.Code{api.CodeNoLeader, api.CodeOverloaded, api.CodeJoining, api.CodeStopping, api.CodeStalled, api.CodeTimeout}
)

// codes are the error codes that a route can answer with.
func (r *route) codes() []api.Code {
	codes := []api.Code{api.CodeInvalid, api.CodeMisdirected, api.CodeInternal}
	if r.method != http.MethodGet {
		codes = append(codes, api.CodeForbidden)
	}
	if r.body != nil {
		codes = append(codes, api.CodeTooLarge, api.CodeMediaType)
	}
	if slices.Contains(r.params, "cursor") {
		codes = append(codes, api.CodeGone)
	}
	for _, t := range []struct {
		has   trait
		codes []api.Code
	}{{reads, readCodes}, {writes, writeCodes}, {asks | follows, askCodes}, {follows, []api.Code{api.CodeGone}}, {matches | tagged, []api.Code{api.CodePrecondition}}} {
		if r.how&t.has != 0 {
			codes = append(codes, t.codes...)
		}
	}
	codes = append(codes, r.fails...)
	slices.Sort(codes)
	return slices.Compact(codes)
}

// asks are the headers that a request may have.
func (r *route) asks() (names []string) {
	if r.how&(matches|tagged) != 0 {
		names = append(names, "If-Match", "If-None-Match")
	}
	if r.how&fixed != 0 {
		names = append(names, "If-None-Match")
	}
	if r.how&writes != 0 {
		names = append(names, "Idempotency-Key")
	}
	if r.how&reads != 0 {
		names = append(names, "Todod-Min-Index")
	}
	if r.how&(reads|writes|asks|follows) != 0 {
		names = append(names, "Prefer")
	}
	if _, ok := r.gives.(stream); ok {
		names = append(names, "Last-Event-ID")
	}
	return names
}

// headers are those of the answer where all went well.
func (r *route) headers() (names []string) {
	if r.ends != nil {
		names = append(names, "Deprecation", "Sunset", "Link")
	}
	if r.how&located != 0 {
		names = append(names, "Location")
	}
	if r.how&(tagged|fixed) != 0 {
		names = append(names, "ETag")
	}
	if r.how&(reads|writes|indexed) != 0 {
		names = append(names, "Todod-Index")
	}
	if r.how&reads != 0 {
		names = append(names, "Todod-Consistency", "Todod-Last-Contact")
	}
	if r.how&writes != 0 {
		names = append(names, "Todod-Rev", "Idempotency-Replayed")
	}
	return names
}

// chapter is where a route stands in the description.
func (r *route) chapter() string {
	switch first, _, _ := strings.Cut(strings.TrimPrefix(r.path, "/v1/"), "/"); {
	case r.path == "/add_entry" || r.path == "/entries":
		return "book"
	case !isV1(r.path):
		return "node"
	case strings.Contains(r.path, "{list}/entries"), strings.Contains(r.path, "{list}/trash"), first == "batch", first == "undo", first == "entries", first == "search":
		return "entries"
	case first == "events", strings.HasSuffix(r.path, "{list}/events"), strings.HasSuffix(r.path, "{list}/sync"):
		return "changes"
	case first == "lists":
		return "lists"
	}
	return "group"
}

var chapters = []openapi.Tag{
	{Name: "entries", Description: "The entries of a list."},
	{Name: "lists", Description: "Lists. One begins with its first entry and ends when it is deleted."},
	{Name: "changes", Description: "What changed, as it changes."},
	{Name: "group", Description: "The nodes, their list processes, backups."},
	{Name: "node", Description: "For probes, monitoring and readers of this description."},
	{Name: "book", Description: "The two routes of the book, byte for byte. Errors are one line of text; parameters stand in the query or in a form."},
}

// requestHeaders are the headers of requests that have a meaning.
var requestHeaders = []openapi.Parameter{
	{Name: "If-Match", In: "header", Schema: str(), Description: "Entity tags, or `*` for any: else 412. What it is compared with is the entry or, where a list is read, added to or deleted, the list."},
	{Name: "If-None-Match", In: "header", Schema: str(), Description: "Entity tags, or `*`: what has one of them is answered with 304 where it is read, with 412 where it would change."},
	{Name: "Idempotency-Key", In: "header", Schema: &openapi.Schema{Type: openapi.Types{"string"}, MinLength: minKey, MaxLength: maxKey, Pattern: "^[!-~]*$"},
		Description: "The same key with the same request is done once, and answered alike, on any node, for 24 hours (under pressure less, never under 60 s). A client that tries again by itself is safe only with one."},
	{Name: "Todod-Min-Index", In: "header", Schema: &openapi.Schema{Type: openapi.Types{"integer"}, Format: "uint64", Minimum: openapi.Int(0)},
		Description: "Wait until the node has applied this rev, else 503 with code `behind`: with `consistency=stale`, reading one's own writes at the cost of a local read."},
	{Name: "Prefer", In: "header", Schema: &openapi.Schema{Type: openapi.Types{"string"}, Examples: []any{"wait=2"}},
		Description: "`wait=N`: answer within N seconds (RFC 7240); the node's own limit, 5 s by default, holds too."},
	{Name: "Last-Event-ID", In: "header", Schema: str(), Description: "The id of the last event that was read: the stream goes on behind it."},
}

// answerHeaders are the headers of answers that have a meaning.
var answerHeaders = []openapi.Parameter{
	{Name: "ETag", Schema: &openapi.Schema{Type: openapi.Types{"string"}, Examples: []any{`"7.42"`}}, Description: "The entity tag of what was read or written. It is opaque."},
	{Name: "Location", Schema: &openapi.Schema{Type: openapi.Types{"string"}, Examples: []any{"/v1/lists/bob/entries/1"}}, Description: "The path of what was made."},
	{Name: "Todod-Index", Schema: &openapi.Schema{Type: openapi.Types{"integer"}, Format: "uint64", Minimum: openapi.Int(0)}, Description: "The rev that the answer reflects."},
	{Name: "Todod-Rev", Schema: &openapi.Schema{Type: openapi.Types{"integer"}, Format: "uint64", Minimum: openapi.Int(1)}, Description: "The rev that the write made, which can be undone. Not sent where it changed nothing."},
	{Name: "Todod-Consistency", Schema: &openapi.Schema{Type: openapi.Types{"string"}, Enum: []any{"linearizable", "stale"}}, Description: "The level of consistency that was given."},
	{Name: "Todod-Last-Contact", Schema: &openapi.Schema{Type: openapi.Types{"integer"}, Format: "int64", Minimum: openapi.Int(-1)}, Description: "With stale: ms since the node heard from a leader, 0 on the leader, -1 for never."},
	{Name: "Idempotency-Replayed", Schema: &openapi.Schema{Type: openapi.Types{"string"}, Enum: []any{"true"}}, Description: "The request was done before under its key; this is its answer again. A large body is not kept: then there is none."},
	{Name: "Deprecation", Schema: str(), Description: "The route is deprecated, and since when (RFC 9745); Link says what to read."},
	{Name: "Sunset", Schema: str(), Description: "When a deprecated route goes, at the earliest (RFC 8594)."},
	{Name: "Link", Schema: str(), Description: "With rel=deprecation: where it says what to use instead."},
	{Name: "Retry-After", Schema: &openapi.Schema{Type: openapi.Types{"integer"}}, Description: "Seconds after which to try again."},
}

func str() *openapi.Schema { return &openapi.Schema{Type: openapi.Types{"string"}} }
