package httpapi

import (
	"context"
	"errors"
	"net/http"

	"todod/fsm/todo"
	"todod/fsm/todo/fold"
	"todod/httpapi/api"
	"todod/httpapi/search"
	"todod/server"
)

var searchParams = []string{"q", "list", "done", "limit", "consistency"}

// searchEntries finds entries by words. It reads at the level that is asked for, and what it reads decides: the index
// only says where to look.
func searchEntries(req *request) error {
	text, err := req.query.required("q")
	if err != nil {
		return err
	}
	q := search.Query{Words: fold.Words(text)}
	if len(q.Words) == 0 {
		return &todo.Invalid{Field: "q", Reason: "must have a word: letters or digits"}
	}
	if name, ok := req.query.get("list"); ok {
		if q.List, err = todo.ListName(name); err != nil {
			return err
		}
	}
	if q.Done, err = req.query.flag("done"); err != nil {
		return err
	}
	if q.Limit, err = req.query.limit(); err != nil {
		return err
	}
	ctx, cancel := req.bounded()
	defer cancel()
	r, err := req.read(server.Linearizable)
	if err != nil {
		return err
	}
	page, more, err := req.s.search.Search(ctx, r.View, q)
	out := api.Search{Rev: r.Rev(), Entries: make([]api.Entry, len(page)), More: more}
	r.Close()
	if errors.Is(err, search.ErrBuilding) {
		return fail(api.CodeBehind, "%s", err)
	}
	if err != nil {
		return err
	}
	for i := range page {
		out.Entries[i] = wireEntry(page[i].List, &page[i].Entry)
	}
	return req.sendJSON(http.StatusOK, applicationJSON, out)
}

// newSearcher returns one over this node's replica.
func (s *Server) newSearcher() *search.Searcher {
	x := search.New(func(ctx context.Context) (search.View, func(), error) {
		r, err := s.node.Read(ctx, server.ReadOptions{Level: server.Stale})
		if err != nil {
			return nil, nil, err
		}
		return r.View, r.Close, nil
	})
	context.AfterFunc(s.ctx, x.Close)
	return x
}
