package fsm

import (
	"errors"
	"fmt"
	"math"

	"todod/fsm/todo"
)

// A group has a version: the highest that all its members can read, so that a rolling upgrade
// never logs what a node of the older release cannot apply. It is part of the replicated state,
// begins at 1 and is raised by the leader, by a command. What needs a higher one is
// refused before it is proposed, never when it is applied.

// formats is the one table of what this program can apply: for each type of command, which version
// of a group its first, second, ... version needs. A new type or version of a command needs a
// version of the group above that of all releases before it; Reads is then raised to it.
var formats = [...][]uint64{
	TypeTerm:    {1},
	TypeSession: {1},
	TypeTodo:    append([]uint64{1, 2}, testTodo...),
	TypeSweep:   {1},
	TypeMember:  {1},
	TypeMark:    {1},
	TypeRestore: {1},
	TypeVersion: {1},
	TypePurge:   {2},

	TypeSettings: {2},
}

// needs returns the version that a group must have for a command to be proposed; one that no
// group has if this program does not know the command.
func (c *Command) needs() uint64 {
	if int(c.Type) >= len(formats) || c.Version == 0 || int(c.Version) > len(formats[c.Type]) {
		return math.MaxUint64
	}
	return formats[c.Type][c.Version-1]
}

// rules are those by which the group does commands on lists. They follow from the state alone: a node that is behind
// makes commands of version 1 in a group of version 2, and these must not delete without the trash.
func (m *meta) rules() todo.Rules { return todo.Rules(min(m.Group, uint64(todo.Rules2))) }

// decodeTodo returns what a payload of TypeTodo of version 1 or 2 says.
func decodeTodo(version uint8, payload []byte) (todo.Command, error) {
	cmd, err := DecodeTodo(payload)
	if err == nil && version == 1 && !cmd.First() {
		return todo.Command{}, fmt.Errorf("command on lists of version 1 with what that does not have: %w", ErrUnknown)
	}
	return cmd, err
}

// Readable returns nil for a command that every member of the group can apply, else what keeps it
// from being proposed.
func (r *Replica) Readable(c *Command) error {
	group, needs := r.GroupVersion(), c.needs()
	switch {
	case needs <= group:
		return nil
	case needs > r.reads:
		return errors.New("the leader's todod does not know this change")
	}
	return fmt.Errorf("this change needs version %d of the group, which is at %d", needs, group)
}

// GroupVersion returns the version of the group, from 1.
func (r *Replica) GroupVersion() uint64 { return r.store.image.Load().meta.Group }

// Reads returns the highest version of a group that this replica can be of.
func (r *Replica) Reads() uint64 { return r.reads }

// TooNew is a group whose version is above what this program reads: its replica or its log is of
// no use here. It is an ErrUnknown.
type TooNew struct{ Group, Reads uint64 }

func (e *TooNew) Error() string {
	return fmt.Sprintf("the group is at version %d and this todod reads up to %d", e.Group, e.Reads)
}

// Is makes it an ErrUnknown.
func (e *TooNew) Is(target error) bool { return target == ErrUnknown }

func tooNew(group, reads uint64) error {
	if group <= reads {
		return nil
	}
	return &TooNew{Group: group, Reads: reads}
}

// applyVersion raises the version of the group. A program that cannot read it has no business in
// the group any longer: some entry to come would halt it, and this one says why.
func (r *Replica) applyVersion(v Version) (Result, error) {
	if err := tooNew(v.Group, r.reads); err != nil {
		return Result{}, err
	}
	m := &r.store.meta
	if v.Group > m.Group {
		m.Group = v.Group
		r.store.urgent = true // an older program that is started on this folder is to be told at once
	}
	res := r.refuse(0)
	res.Value = m.Group
	return res, nil
}
