// Package httpapi is the public face of a node: its routes, its JSON, and what it
// refuses. It decides nothing about lists or the group; it turns HTTP into calls of a Node
// and their outcomes into answers.
package httpapi

import (
	"context"
	"io"

	"todod/fsm"
	"todod/fsm/todo"
	"todod/server"
)

// Node is a node of a group as this package sees it. *server.Node is one; its methods say
// what they promise. All of them may be called concurrently.
type Node interface {
	Write(ctx context.Context, cmd todo.Command, opt server.WriteOptions) (fsm.Result, error)
	Read(ctx context.Context, opt server.ReadOptions) (*server.Reading, error)

	Window(ctx context.Context, from fsm.Window) (fsm.Window, error)
	Changes(list string, since uint64, limit, size int) (changes []fsm.Change, upto uint64, w fsm.Window, err error)

	Backup(ctx context.Context, opt server.ReadOptions) (*server.Backup, error)
	Restore(ctx context.Context, from io.Reader, opt server.RestoreOptions) (server.Restored, error)

	Cluster() server.Cluster
	AddMember(ctx context.Context, req server.JoinRequest) (group string, err error)
	RemoveMember(ctx context.Context, id string) error
	Transfer(ctx context.Context, to string) error
	SetSettings(ctx context.Context, s fsm.Settings) error
	JoinGroup(ctx context.Context, addr string) error

	Registry(ctx context.Context) (server.Registry, error)
	Where(list string) (node string, alive *bool)

	Events(ctx context.Context, since uint64) ([]server.Event, error)
	LastEvent() uint64

	Ready() error
	Hash() fsm.Hash
}

var _ Node = (*server.Node)(nil)
