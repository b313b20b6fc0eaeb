package httpapi

import (
	"net/http"
	"net/url"

	"todod/fsm"
	"todod/fsm/todo"
	"todod/httpapi/api"
	"todod/server"
)

func getCluster(req *request, _ *nothing) (api.Cluster, error) {
	c := req.s.node.Cluster()
	out := api.Cluster{ID: c.ID, Leader: c.Leader, Term: c.Term, Commit: c.Commit, Applied: c.Applied, Snapshot: c.Snapshot,
		State: string(c.State), Group: c.Group, Folder: c.Folder, Version: c.Version, Reads: c.Reads, GroupVersion: c.GroupVersion,
		Expect: c.Expect, Sees: c.Sees, Members: make([]api.Member, len(c.Members))}
	for i, m := range c.Members {
		out.Members[i] = api.Member{ID: m.ID, HTTP: m.HTTP, Raft: m.Raft, Voter: m.Voter, Alive: m.Alive,
			LastContactMS: millis(m.Contact), Applied: m.Applied, Version: m.Version, Reads: m.Reads, Disk: string(m.Disk), DiskFree: m.Free}
	}
	if d := c.Diverged; d != nil {
		out.Diverged = &api.Divergence{Index: d.Index, Agreed: d.Agreed, Hashes: map[string]api.Hash{}}
		for id, h := range d.Hashes {
			out.Diverged.Hashes[id] = api.Hash(h)
		}
	}
	return out, nil
}

func postMember(req *request, in *api.Join) (api.Joined, error) {
	for _, f := range []struct{ name, value string }{{"id", in.ID}, {"http", in.HTTP}, {"raft", in.Raft}, {"folder", in.Folder}} {
		if f.value == "" {
			return api.Joined{}, &todo.Invalid{Field: f.name, Reason: "must not be empty"}
		}
	}
	if err := server.CheckID(in.ID); err != nil {
		return api.Joined{}, fail(api.CodeInvalid, "%s", err.Error())
	}
	ctx, cancel := req.bounded()
	defer cancel()
	group, err := req.s.node.AddMember(ctx, server.JoinRequest{ID: in.ID, HTTP: in.HTTP, Raft: in.Raft, Folder: in.Folder, Group: in.Group, Reads: in.Reads})
	return api.Joined{Group: group}, err
}

func deleteMember(req *request, _ *nothing) (nothing, error) {
	id, err := url.PathUnescape(req.vars.id)
	if err != nil || server.CheckID(id) != nil {
		return nothing{}, &todo.Invalid{Field: "id", Reason: "must be the id of a node"}
	}
	ctx, cancel := req.bounded()
	defer cancel()
	return nothing{}, req.s.node.RemoveMember(ctx, id)
}

func postJoin(req *request, in *api.JoinAddr) (nothing, error) {
	if in.Addr == "" {
		return nothing{}, &todo.Invalid{Field: "addr", Reason: "must not be empty: give the HTTP address of a member of the group to join"}
	}
	ctx, cancel := req.bounded()
	defer cancel()
	return nothing{}, req.s.node.JoinGroup(ctx, in.Addr)
}

func postTransfer(req *request, in *api.Transfer) (nothing, error) {
	if in.To != "" && server.CheckID(in.To) != nil {
		return nothing{}, &todo.Invalid{Field: "to", Reason: "must be the id of a node, or empty for any"}
	}
	ctx, cancel := req.bounded()
	defer cancel()
	return nothing{}, req.s.node.Transfer(ctx, in.To)
}

func getSettings(req *request) error {
	r, err := req.read(server.Linearizable)
	if err != nil {
		return err
	}
	s := r.Settings()
	r.Close()
	return req.sendJSON(http.StatusOK, applicationJSON, api.Settings(s))
}

func patchSettings(req *request, in *api.Settings) (out api.Settings, err error) {
	ctx, cancel := req.bounded()
	defer cancel()
	if err := req.s.node.SetSettings(ctx, fsm.Settings(*in)); err != nil {
		return out, err
	}
	req.applied = true
	// A follower's replica may not have it yet, and settings have no rev to wait for.
	r, err := req.s.node.Read(ctx, server.ReadOptions{Level: server.Linearizable})
	if err != nil {
		return out, err
	}
	defer r.Close()
	return api.Settings(r.Settings()), nil
}

func getRegistry(req *request, _ *nothing) (api.Registry, error) {
	ctx, cancel := req.bounded()
	defer cancel()
	reg, err := req.s.node.Registry(ctx)
	if err != nil {
		return api.Registry{}, err
	}
	out := api.Registry{Leader: reg.Leader, Processes: make([]api.Process, len(reg.Processes))}
	for i, p := range reg.Processes {
		out.Processes[i] = api.Process{List: p.List, Started: p.Started.UTC(), Handled: p.Handled, Waiting: p.Waiting}
	}
	return out, nil
}

func getWhere(req *request, _ *nothing) (api.Where, error) {
	list, err := req.list()
	if err != nil {
		return api.Where{}, err
	}
	node, alive := req.s.node.Where(list)
	return api.Where{List: list, Node: node, Alive: alive}, nil
}

func getHash(req *request, _ *nothing) (api.Hash, error) {
	h := req.s.node.Hash()
	return api.Hash(h), nil
}

// live says that the process answers.
func live(req *request) error { return req.send(http.StatusOK, textPlain, bookOK) }

// ready says whether the node should be sent requests.
func ready(req *request) error {
	if err := req.s.node.Ready(); err != nil {
		f := *asFailure(err)
		if api.Statuses[f.code] != http.StatusServiceUnavailable {
			f.code = api.CodeNoLeader // whatever is missing, probes know 200 and 503
		}
		return &f
	}
	return req.send(http.StatusOK, textPlain, bookOK)
}
