package api

import "net/http"

// Code names a kind of error: stable, for programs to act on.
type Code string

// The codes. Statuses has the HTTP status of each.
const (
	CodeInvalid      Code = "invalid"      // bad input, named by field
	CodeForbidden    Code = "forbidden"    // a cross-site browser request that changes something
	CodeNotFound     Code = "not_found"    // no such list, entry, member or route
	CodeMethod       Code = "method"       // the route has other methods
	CodeConflict     Code = "conflict"     // a change that cannot be made as things are
	CodeGone         Code = "gone"         // a cursor or event id of another epoch
	CodeMoved        Code = "moved"        // the entry is in another list now
	CodePrecondition Code = "precondition" // If-Match or If-None-Match does not hold
	CodeTooLarge     Code = "too_large"    // the body
	CodeMediaType    Code = "media_type"   // the body is not application/json
	CodeMisdirected  Code = "misdirected"  // the Host header is not this node's
	CodeKeyReused    Code = "key_reused"   // the idempotency key came before with another request
	CodeKeysFull     Code = "keys_full"    // too many young idempotency keys
	CodeMailboxFull  Code = "mailbox_full" // too many commands wait at this list
	CodeNoLeader     Code = "no_leader"    // no leader known or confirmed
	CodeOverloaded   Code = "overloaded"   // too much waits at this node or the leader
	CodeBehind       Code = "behind"       // the replica did not reach Todod-Min-Index in time
	CodeClock        Code = "clock"        // the leader's clock is too far off
	CodeJoining      Code = "joining"      // the node is on its way into another group
	CodeStopping     Code = "stopping"     // the node is stopping
	CodeTimeout      Code = "timeout"      // the outcome is not known
	CodeStorage      Code = "storage"      // the disks are full: fewer than a majority of the voters has room
	CodeStalled      Code = "stalled"      // the disk of the node or the leader does not answer
	CodeVersion      Code = "version"      // a change that not every member of the group can read yet
	CodeInternal     Code = "internal"     // a defect
)

// Statuses maps each code to its HTTP status; the server answers by it and the client reads by it.
var Statuses = map[Code]int{
	CodeInvalid:      http.StatusBadRequest,
	CodeForbidden:    http.StatusForbidden,
	CodeNotFound:     http.StatusNotFound,
	CodeMethod:       http.StatusMethodNotAllowed,
	CodeConflict:     http.StatusConflict,
	CodeGone:         http.StatusGone,
	CodeMoved:        http.StatusGone,
	CodePrecondition: http.StatusPreconditionFailed,
	CodeTooLarge:     http.StatusRequestEntityTooLarge,
	CodeMediaType:    http.StatusUnsupportedMediaType,
	CodeMisdirected:  http.StatusMisdirectedRequest,
	CodeKeyReused:    http.StatusUnprocessableEntity,
	CodeKeysFull:     http.StatusTooManyRequests,
	CodeMailboxFull:  http.StatusTooManyRequests,
	CodeNoLeader:     http.StatusServiceUnavailable,
	CodeOverloaded:   http.StatusServiceUnavailable,
	CodeBehind:       http.StatusServiceUnavailable,
	CodeClock:        http.StatusServiceUnavailable,
	CodeJoining:      http.StatusServiceUnavailable,
	CodeStopping:     http.StatusServiceUnavailable,
	CodeStalled:      http.StatusServiceUnavailable,
	CodeTimeout:      http.StatusGatewayTimeout,
	CodeStorage:      http.StatusInsufficientStorage,
	CodeVersion:      http.StatusConflict,
	CodeInternal:     http.StatusInternalServerError,
}
