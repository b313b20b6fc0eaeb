package fsm

import "todod/fsm/todo"

// The refusals that package fsm adds to those of package todo. They are stored and
// cross the wire: a number never changes its meaning.
const (
	KeyReused     todo.Code = 64 // the idempotency key came before with another request
	KeysFull      todo.Code = 65 // the table of idempotency keys is full of young ones
	SessionClosed todo.Code = 66 // the node session of the command is not open
	NumberClosed  todo.Code = 67 // the command's number is below the lowest one still open
	NotEmpty      todo.Code = 68 // what needs an empty store found entries
	TermOver      todo.Code = 70 // the command was gathered in another term than it was logged in
	MemberKnown   todo.Code = 69 // the node ID or the data folder is known already
)

// Result is what a command came to when it was applied: equal on every node.
type Result struct {
	Code     todo.Code
	At       int         // of a batch: the operation that was refused, counted from 0
	Epoch    uint64      // the epoch that Rev belongs to
	Rev      uint64      // the rev the command took; the store's rev if it changed nothing
	Time     int64       // the leader's time in the command, Unix ms
	Items    []todo.Item // one for each operation, when Code is OK
	Replayed bool        // the answer to an earlier request with the same idempotency key
	Elided   bool        // a replay whose items were too large to keep: only their ids and revs are left
	Value    uint64      // of a session: its number
}
