package server

import (
	"context"
	"errors"
	"fmt"
	"time"

	"todod/fsm"
)

// Level is how fresh a read must be.
type Level string

// The levels.
const (
	Linearizable Level = "linearizable" // sees every write acknowledged before the read began
	Stale        Level = "stale"        // this node's replica as it is
	Auto         Level = "auto"         // linearizable while a leader is confirmed, else stale
)

// Kind says why a request failed in a node; httpapi has a status for each.
type Kind uint8

// The kinds of failure.
const (
	KindNoLeader    Kind = iota + 1 // no leader known or confirmed: try again
	KindOverloaded                  // the node or the leader has too much waiting
	KindMailboxFull                 // the list's process has too much waiting
	KindBehind                      // the replica did not reach the rev asked for in time
	KindTimeout                     // the deadline passed
	KindClock                       // the leader's clock is too far off to stamp commands
	KindConflict                    // a change of the group that cannot be done as things are
	KindNotFound                    // no such member
	KindJoining                     // the node is on its way into another group
	KindStorage                     // the disks are full
	KindShutdown                    // the node is stopping
	KindInvalid                     // a request that is wrong in itself
	KindInternal                    // a defect
	KindStalled                     // the disk does not answer
	KindVersion                     // the change needs a newer version of the group
)

// Outcome says what is known of a write that failed. It is always true.
type Outcome uint8

// The outcomes.
const (
	NotApplied     Outcome = iota // it was not applied and never will be
	Applied                       // it was applied
	UnknownOutcome                // it may have been applied, or be applied later
)

func (o Outcome) String() string {
	return [...]string{"not_applied", "applied", "unknown"}[o]
}

// Error is a failure of a node to answer. Detail is one sentence for a person.
type Error struct {
	Kind    Kind
	Outcome Outcome
	Leader  string // the leader as the node believes, "" if it knows none
	Detail  string
}

func (e *Error) Error() string { return e.Detail }

func failure(kind Kind, outcome Outcome, format string, args ...any) *Error {
	return &Error{Kind: kind, Outcome: outcome, Detail: fmt.Sprintf(format, args...)}
}

// toldBy is a copy of the error with the leader as this node believes: one error may be the answer to
// many.
func (e *Error) toldBy(leader string) *Error {
	told := *e
	told.Leader = leader
	return &told
}

func stopping() *Error {
	return failure(KindShutdown, NotApplied, "this node is stopping: ask another one")
}

// AsError returns the *Error in err's chain, or one of KindInternal or KindTimeout around it.
func AsError(err error) *Error {
	var e *Error
	switch {
	case errors.As(err, &e):
		return e
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return failure(KindTimeout, UnknownOutcome, "the request was not finished in time")
	}
	return failure(KindInternal, UnknownOutcome, "%v", err)
}

// WriteOptions go with a write.
type WriteOptions struct {
	Key       string // Idempotency-Key, "" for none
	Principal string // who asks; empty until accounts exist
}

// ReadOptions say how fresh a read must be.
type ReadOptions struct {
	Level  Level
	MinRev uint64 // wait until this node has applied at least this rev; 0: do not
}

// Reading is a consistent view of the replica, given at a level. It must be closed.
type Reading struct {
	*fsm.View
	Level       Level         // the level that was given: never Auto
	LastContact time.Duration // since this node heard from a leader: 0 on the leader, -1 if never
}

// Member is a node of the group as another node sees it.
type Member struct {
	ID      string
	HTTP    string // advertised address
	Raft    string // advertised address
	Voter   bool
	Alive   *bool         // nil where it is not known: only the leader knows
	Contact time.Duration // since the leader heard from it; -1 if not known
	Applied uint64        // the last log index it said it had applied
	Version string        // of its todod
	Reads   uint64        // the highest version of a group that it said it can read, 0 if not known
	Disk    DiskState     // as it said last, "" if not known
	Free    int64         // bytes on its disk, as it said last
}

// State is how far a node is in belonging to a group.
type State string

// The states of a node.
const (
	StateEmpty   State = "empty"   // belongs to no group yet
	StateJoining State = "joining" // its request may have arrived
	StateMember  State = "member"
	// StateRepairing is a member that gets another replica, for its own is damaged.
	StateRepairing State = "repairing"
	StateRemoved   State = "removed" // taken out for good
)

// Cluster is the group as this node sees it.
type Cluster struct {
	ID      string
	State   State
	Group   string // the group's ID, "" if none yet
	Leader  string // node ID, "" if none known
	Term    uint64
	Commit  uint64
	Applied uint64

	Snapshot     uint64 // up to which log entry this node's last snapshot goes
	Version      string
	Reads        uint64   // the highest version of a group that this node can read
	GroupVersion uint64   // 0 if there is no group yet
	Expect       int      // --bootstrap-expect, while StateEmpty
	Sees         []string // the IDs it has found for --bootstrap-expect, sorted, its own among them
	Folder       string   // data-folder ID
	Members      []Member // sorted by ID

	Diverged *Divergence // nil unless nodes differ and no majority says which are right
}

// JoinRequest is what a node that wants to join says of itself.
type JoinRequest struct {
	ID, HTTP, Raft string // node ID and advertised addresses
	Folder         string // data-folder ID
	Group          string // the group its folder holds, "" for none
	Reads          uint64 // the highest version of a group that it can read; 0: 1
	Boot           string // of a member that tells its addresses: the run of its process
}

// Contacts is how a node that belongs to no group yet speaks with the nodes that
// --join names: by their HTTP addresses. An error that is an *Error of KindConflict
// is a refusal for good; any other means try again.
type Contacts interface {
	// Cluster asks the node at addr for its view.
	Cluster(ctx context.Context, addr string) (Cluster, error)
	// Join asks the node at addr to take this one into its group, and returns the group's ID.
	Join(ctx context.Context, addr string, req JoinRequest) (group string, err error)
}

// Process is a live list process.
type Process struct {
	List    string
	Started time.Time
	Handled uint64
	Waiting int
}

// Registry is the leader's registry of list processes.
type Registry struct {
	Leader    string
	Processes []Process // sorted by list
}

// Event is something that happened to the group, as this node saw it.
type Event struct {
	Seq  uint64 // counts up from 1 on this node since it started
	Type string // node_down, node_up, leader_changed, member_added, member_removed, node_dead, disk_ok, disk_low, disk_stalled, diverged, agreed, backup_made, backup_failed
	Node string // the node it is about; of leader_changed the new leader, "" for none
	Term uint64
	Time time.Time
}
