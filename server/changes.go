package server

import (
	"context"

	"todod/fsm"
)

// Window returns the window of changes that this node has applied once it is another than from: it waits for
// that, but not for a zero Window. The error is the context's, or an *Error when the node stops or its replica is
// of another group. It may be called concurrently.
func (n *Node) Window(ctx context.Context, from fsm.Window) (fsm.Window, error) {
	e, err := n.inGroup()
	if err != nil {
		return fsm.Window{}, err
	}
	for {
		w, next := e.replica.Window()
		if w != from {
			return w, nil
		}
		select {
		case <-next:
		case <-ctx.Done():
			return w, ctx.Err()
		case <-e.ctx.Done():
			return w, stopping()
		}
	}
}

// Changes returns what this node has applied after a rev, as fsm's View.Changes does, and the window it is from; when that
// has not all of it there are no changes. Whatever a node has applied is committed, so any node may be asked.
// The error is an *Error. It may be called concurrently.
func (n *Node) Changes(list string, since uint64, limit, size int) (changes []fsm.Change, upto uint64, w fsm.Window, err error) {
	e, err := n.inGroup()
	if err != nil {
		return nil, since, w, err
	}
	if err := e.replica.Look(func(v *fsm.View) {
		changes, upto, _ = v.Changes(list, since, limit, size)
		w = v.Window()
	}); err != nil {
		return nil, since, w, stopping()
	}
	return changes, upto, w, nil
}
