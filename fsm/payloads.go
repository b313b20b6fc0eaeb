package fsm

import (
	"fmt"

	"todod/fsm/todo"
)

// Payloads of the commands that are not about lists.

// Term is the payload of TypeTerm.
type Term struct {
	Node  string // the leader
	Epoch uint64 // becomes the epoch of a group that has none yet; never 0
}

// Session is the payload of TypeSession: a process of a node, which numbers what it
// forwards. Opening closes the node's older sessions; to open the same again gives the same.
type Session struct {
	Node, Boot string
}

// Sweep is the payload of TypeSweep.
type Sweep struct {
	Rows uint64 // how many rows to take away at most
}

// Purge is the payload of TypePurge.
type Purge struct {
	Rows uint64 // how many rows of trash and of history to take away at most
}

// Settings is the payload of TypeSettings: what a group decides for itself. What is 0 stays as it is.
type Settings struct {
	TrashDays uint64 // how long trash is kept, up to todo.MaxTrashDays
	EventsMiB uint64 // how much of the changes is kept, up to todo.MaxEventsMiB
}

// Check fails with a *todo.Invalid for what cannot be set.
func (p Settings) Check() error {
	for _, s := range []struct {
		field       string
		value, most uint64
	}{{"trash_days", p.TrashDays, todo.MaxTrashDays}, {"events_mib", p.EventsMiB, todo.MaxEventsMiB}} {
		if s.value > s.most {
			return &todo.Invalid{Field: s.field, Reason: fmt.Sprintf("must be a whole number from 1 to %d", s.most)}
		}
	}
	return nil
}

// Status is how far a node is in belonging to the group. Stored: never renumber.
type Status uint8

// The statuses of a member.
const (
	Known   Status = 1 // on its way in, or in
	Removed Status = 2 // taken out for good: its folder may never join again
)

// Member is the payload of TypeMember and what is kept of it: a node, its data folder and
// its advertised addresses.
type Member struct {
	ID, Folder, HTTP, Raft string
	Status                 Status
}

// Version is the payload of TypeVersion.
type Version struct {
	Group uint64 // becomes the version of the group if that is lower
}

// Restore is the payload of TypeRestore, which stands alone in its log entry: each node has the backup staged, or
// fetches it, before it applies the entry.
type Restore struct {
	Hash  string // of the backup, as BackupInfo has it
	Size  int64  // of the backup, in bytes
	Epoch uint64 // that begins with it; never 0
}

// Encode returns the payload.
func (p Term) Encode() []byte { return appendUvarints(appendBytes(nil, p.Node), p.Epoch) }

// Encode returns the payload.
func (p Session) Encode() []byte { return appendBytes(appendBytes(nil, p.Node), p.Boot) }

// Encode returns the payload.
func (p Sweep) Encode() []byte { return appendUvarints(nil, p.Rows) }

// Encode returns the payload.
func (p Purge) Encode() []byte { return appendUvarints(nil, p.Rows) }

// Encode returns the payload.
func (p Settings) Encode() []byte { return appendUvarints(nil, p.TrashDays, p.EventsMiB) }

// Encode returns the payload.
func (p Restore) Encode() []byte {
	return appendUvarints(appendBytes(nil, p.Hash), uint64(p.Size), p.Epoch)
}

// Encode returns the payload.
func (p Version) Encode() []byte { return appendUvarints(nil, p.Group) }

// Encode returns the payload.
func (m Member) Encode() []byte { return m.append(nil) }

func (m Member) append(b []byte) []byte {
	b = append(b, byte(m.Status))
	b = appendBytes(appendBytes(b, m.ID), m.Folder)
	return appendBytes(appendBytes(b, m.HTTP), m.Raft)
}

func (r *reader) member() (m Member) {
	m.Status = Status(r.byte())
	m.ID, m.Folder, m.HTTP, m.Raft = r.string(), r.string(), r.string(), r.string()
	return m
}
