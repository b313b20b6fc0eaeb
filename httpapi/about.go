package httpapi

import (
	"todod/httpapi/api"
	"todod/httpapi/openapi"
)

// about is what a route says of itself to clients, at /openapi.json and /docs. A name of a parameter or a field
// is explained in the glossary, once for all routes.
type about struct {
	id   string // the operation's name in generated clients: addEntry
	does string // what it does, in one line
	more string // what else is to be known; an empty line parts paragraphs
	how  trait  // what it has in common with others

	// A body and an answer are given as examples: what is true of all of them is made from their Go type.
	// text, formats, stream and patch below stand for what is not JSON of a type.
	body   any // nil: it takes none
	gives  any // nil: it answers 204
	status int // of the answer, where it is neither 200 nor 204

	ends  *ending       // nil: it stays
	fails []api.Code    // beside those that come with how it works
	needs []string      // the parameters of the query that must be given
	words openapi.Words // what names mean here, where the glossary says otherwise
}

// trait is what many routes have in common: headers, parameters and ways to fail.
type trait uint16

const (
	reads   trait = 1 << iota // from a replica, as fresh as asked for
	writes                    // through the log, so with a key and an outcome
	asks                      // another node, and so may wait or find nobody
	matches                   // If-Match and If-None-Match are heeded
	tagged                    // matches, and the answer has an ETag
	located                   // the answer has a Location
	indexed                   // the answer has a Todod-Index, as those of all reads and writes have
	fixed                     // the same as long as the program is: it has an ETag, and If-None-Match is heeded
	follows                   // a stream of changes, which begins behind an id
)

// text is a body of plain text.
type text string

// formats is a body in one of several formats that are not JSON: examples by media type.
type formats map[string]string

// stream is a stream of server-sent events, whose data is like this.
type stream struct{ of any }

// patch is a JSON merge patch (RFC 7396) of what is like of, under a name of its own.
type patch struct {
	name string
	of   any
	like any // the example
}

// form is a body of a form, with parameters that may as well stand in the query.
type form []string
