//go:build !next

package fsm

import "todod/fsm/todo"

// Reads is the highest version of a group that this program can be a member of.
const Reads = 2

// testTodo are versions of TypeTodo that only test builds know: see version_next.go.
var testTodo []uint64

// TodoCommand returns a command on lists, without session or key, in the lowest version that can say it.
func TodoCommand(cmd *todo.Command) Command {
	c := Command{Type: TypeTodo, Version: 1, Payload: EncodeTodo(cmd)}
	if !cmd.First() {
		c.Version = 2
	}
	return c
}

// decodeTodo returns what a command of TypeTodo says.
func (c *Command) decodeTodo() (todo.Command, error) { return decodeTodo(c.Version, c.Payload) }
