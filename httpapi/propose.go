package httpapi

import (
	"context"
	"slices"
	"time"

	"todod/fsm"
	"todod/fsm/todo"
	"todod/fsm/todo/due"
	"todod/fsm/todo/propose"
	"todod/server"
)

// maxWorkings is how often a command is worked out before it is given up. Whoever overtakes it got on itself, so
// that many writers of one entry all come to an end.
const maxWorkings = 10

// propose has the group apply a command, with what becomes of entries that repeat worked out. That is done here since a
// request says in which zone it is read, and since it takes no more of a node than any client has: its replica as it is, behind
// or not, for Apply refuses what was worked out from another rev. Then it is worked out anew, from a replica that has
// seen what the refusal has.
func (req *request) propose(ctx context.Context, cmd todo.Command, opt server.WriteOptions) (fsm.Result, error) {
	reader, err := req.zone()
	if err != nil {
		return fsm.Result{}, err
	}
	if !propose.Does(&cmd) && req.choose == nil {
		return req.s.node.Write(ctx, cmd, opt)
	}
	if err := propose.Check(&cmd); err != nil { // lists are looked up by their names in NFC
		return fsm.Result{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, req.s.cfg.RequestTimeout) // a read that waits for a rev has no limit of its own
	defer cancel()
	seen := uint64(0)
	for try := 1; ; try++ {
		worked := cmd
		worked.Ops = slices.Clone(cmd.Ops)
		if err := req.repeats(ctx, &worked, seen, reader); err != nil {
			return fsm.Result{}, err
		}
		res, err := req.s.node.Write(ctx, worked, opt)
		if err != nil || res.Code != todo.Outdated || try == maxWorkings || req.choose == nil && cmd.Ops[res.At].At != 0 {
			return res, err
		}
		seen = res.Rev
	}
}

// repeats works a command out from this node's replica once that has a rev. What a request chooses from must not be
// behind: entries that were acknowledged before it would be left out.
func (req *request) repeats(ctx context.Context, cmd *todo.Command, rev uint64, reader *time.Location) error {
	level := server.Stale
	if req.choose != nil {
		level = server.Linearizable
	}
	r, err := req.s.node.Read(ctx, server.ReadOptions{Level: level, MinRev: rev})
	if err != nil {
		return err
	}
	defer r.Close()
	if req.choose != nil {
		if err := req.choose(ctx, r, cmd); err != nil {
			return err
		}
	}
	return propose.Repeats(cmd, r.Entry, req.s.cfg.Now(), reader)
}

// zone is that of the reader, by the parameter tz: it decides which day is today.
func (req *request) zone() (*time.Location, error) {
	if slices.Contains(req.query.known, "tz") {
		if text, ok := req.query.get("tz"); ok {
			return due.Zone(text)
		}
	}
	return time.UTC, nil
}
