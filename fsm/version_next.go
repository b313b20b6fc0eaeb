//go:build next

package fsm

import (
	"strings"

	"todod/fsm/todo"
)

// This file stands for the next release, in builds with -tags next, which tests make to have two
// releases in one group. It knows one format more: a command that adds a title which begins
// with "next:" is of version 3, which has a byte behind that of version 2.

// Reads is the highest version of a group that this program can be a member of.
const Reads = 3

var testTodo = []uint64{3}

// TodoCommand returns a command on lists, without session or key, in the lowest version that can say it.
func TodoCommand(cmd *todo.Command) Command {
	c := Command{Type: TypeTodo, Version: 1, Payload: EncodeTodo(cmd)}
	if !cmd.First() {
		c.Version = 2
	}
	for i := range cmd.Ops {
		if strings.HasPrefix(cmd.Ops[i].Fields.Title, "next:") {
			c.Version, c.Payload = 3, append(EncodeTodo(cmd), 'n')
			break
		}
	}
	return c
}

func (c *Command) decodeTodo() (todo.Command, error) {
	payload := c.Payload
	if c.Version == 3 {
		if len(payload) == 0 || payload[len(payload)-1] != 'n' {
			return todo.Command{}, ErrDamaged
		}
		return decodeTodo(2, payload[:len(payload)-1])
	}
	return decodeTodo(c.Version, payload)
}
