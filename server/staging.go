package server

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"todod/fsm"
)

// staging is the backups that are on their way to this node, and how long those that are here are kept: until no
// entry of any log can need them.
//
// A restore of a backup that was not applied here can only come in the term in which this node said last that
// it has it: entries of a log come in the order of their terms, so once one of a later term was applied it
// will not come. One that was applied is needed while its entry is in a log: in this node's, since it
// may send it to others, and in that of a member that has not said that it applied it.
type staging struct {
	e     *engine
	mu    sync.Mutex
	under map[string]*pull   // by hash
	kept  map[string]keeping // by hash
}

// pull is a backup on its way.
type pull struct {
	done chan struct{}
	err  error
}

// keeping is until when a backup is kept: while the log begins at index or before, a member is not there
// yet, and, if it was not applied, an entry of a later term was not either.
type keeping struct {
	term, index uint64
	asked       bool      // a leader was told that it is here, or an earlier process may have said so
	since       time.Time // it came
}

// vow is a leader's question whether a backup is staged.
type vow struct {
	Term uint64 `json:"term"`
	Hash string `json:"hash"`
}

// stageRequest asks a node to get a backup from another.
type stageRequest struct {
	What fsm.Restore `json:"what"`
	From string      `json:"from"` // node ID
}

// chunkRequest asks for a part of a backup.
type chunkRequest struct {
	Hash string `json:"hash"`
	At   int64  `json:"at"`
}

func newStaging(e *engine) *staging {
	return &staging{e: e, under: map[string]*pull{}, kept: map[string]keeping{}}
}

// recall takes what an earlier process left for asked for: in a term up to this one, in a log up to this end.
func (s *staging) recall() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.e.replica.Staged() {
		s.kept[f.Hash] = keeping{term: s.e.raft.CurrentTerm(), index: s.e.raft.LastIndex(), asked: true}
	}
}

// vow says whether a backup is here, and keeps it for an entry of the leader's term. A node that does not know
// that term could not tell later whether the entry may still come.
func (s *staging) vow(v vow) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.e.raft.CurrentTerm() != v.Term || !s.e.replica.HasStaged(v.Hash) {
		return false
	}
	k := s.kept[v.Hash]
	s.kept[v.Hash] = keeping{term: v.Term, index: max(k.index, s.e.raft.LastIndex()), asked: true}
	return true
}

// watch drops what nobody needs any more.
func (s *staging) watch() {
	s.recall()
	for wait(s.e.ctx, time.Second) {
		s.tidy()
	}
}

func (s *staging) tidy() {
	s.mu.Lock() // so that no vow comes between the look and the drop
	defer s.mu.Unlock()
	for _, f := range s.e.replica.Staged() {
		if s.over(f) {
			s.e.node.log.Info("drops a backup that no log needs any more", "sha256", f.Hash)
			s.e.replica.DropStaged(f.Hash)
			delete(s.kept, f.Hash)
		}
	}
}

// over reports whether a backup is needed no more. The caller holds mu.
func (s *staging) over(f fsm.Staged) bool {
	k, known := s.kept[f.Hash]
	if !known {
		s.kept[f.Hash] = keeping{since: time.Now()}
		return false
	}
	if !k.asked && f.Applied == 0 {
		return time.Since(k.since) > stagedFor && s.under[f.Hash] == nil
	}
	index := max(k.index, f.Applied)
	_, term, err1 := s.e.replica.Durable()
	first, err2 := s.e.logs.FirstIndex()
	return err1 == nil && err2 == nil && first > index && s.e.monitor.allApplied(index) && (f.Applied != 0 || term > k.term)
}

// allApplied reports whether every other member said once that it has applied up to an index.
func (m *monitor) allApplied(index uint64) bool {
	conf := m.e.configuration()
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range conf.Servers {
		if id := string(s.ID); id != m.e.node.id && (m.peers[id] == nil || m.peers[id].last.Applied < index) {
			return false
		}
	}
	return true
}

// stage gets a backup from a node, for one that is about to restore it.
func (s *staging) stage(ctx context.Context, req stageRequest) error {
	if ok, err := s.e.replica.Prepare(req.What.Hash); ok || err != nil {
		return err
	}
	from, in := find(s.e.configuration(), req.From)
	if !in {
		return failure(KindNotFound, NotApplied, "node %s is not a member as this node knows the group", req.From)
	}
	return s.pull(ctx, from, req.What)
}

// fetch gets a backup whose restore is to be applied, from whoever has it. It goes on until it succeeds.
func (s *staging) fetch(ctx context.Context, what fsm.Restore) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.e.ctx, cancel)()
	told := time.Time{}
	for {
		var last error
		for _, from := range s.e.configuration().Servers {
			if string(from.ID) == s.e.node.id {
				continue
			}
			if last = s.pull(ctx, from, what); last == nil {
				return nil
			}
		}
		if time.Since(told) > fetchTell && ctx.Err() == nil {
			told = time.Now()
			s.e.node.log.Warn("a backup is to be restored that this node has not: it asks the others until it gets it", "sha256", what.Hash, "reason", last)
		}
		if !wait(ctx, fetchPause) {
			return ctx.Err()
		}
	}
}

// pull gets a backup from a node, unless it is on its way already: then it waits for that.
func (s *staging) pull(ctx context.Context, from raft.Server, what fsm.Restore) error {
	s.mu.Lock()
	p := s.under[what.Hash]
	mine := p == nil
	if mine {
		p = &pull{done: make(chan struct{})}
		s.under[what.Hash] = p
	}
	s.mu.Unlock()
	if !mine {
		select {
		case <-p.done:
			return p.err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	p.err = s.get(ctx, from, what)
	s.mu.Lock()
	delete(s.under, what.Hash)
	s.mu.Unlock()
	close(p.done)
	return p.err
}

func (s *staging) get(ctx context.Context, from raft.Server, what fsm.Restore) error {
	if err := s.e.storage.roomFor(restoreRoom * what.Size); err != nil {
		return err
	}
	c := &chunks{ctx: ctx, e: s.e, from: from, what: what}
	about, err := s.e.replica.Stage(c, false)
	if err == nil && about.Hash != what.Hash {
		s.e.replica.DropStaged(about.Hash) // it is whole, and not what was asked for
		err = failure(KindInternal, NotApplied, "node %s sent another backup", from.ID)
	}
	return err
}

// chunks reads a backup at another node, part by part.
type chunks struct {
	ctx  context.Context
	e    *engine
	from raft.Server
	what fsm.Restore
	at   int64
	buf  []byte
}

func (c *chunks) Read(b []byte) (int, error) {
	if len(c.buf) == 0 {
		if c.at >= c.what.Size {
			return 0, io.EOF
		}
		ctx, cancel := context.WithTimeout(c.ctx, transportTimeout)
		defer cancel()
		client := c.e.node.port.Client(string(c.from.ID), string(c.from.Address))
		reply, err := client.Call(ctx, callChunk, mustJSON(chunkRequest{c.what.Hash, c.at}))
		switch {
		case err != nil:
			return 0, err
		case len(reply) == 0:
			return 0, failure(KindNotFound, NotApplied, "node %s has not the backup", c.from.ID)
		}
		c.buf = reply
		c.at += int64(len(reply))
	}
	n := copy(b, c.buf)
	c.buf = c.buf[n:]
	return n, nil
}

// chunk is a part of a backup that is staged here, empty if it is not.
func (s *staging) chunk(body []byte) []byte {
	var req chunkRequest
	if json.Unmarshal(body, &req) != nil || req.At < 0 {
		return nil
	}
	f, err := s.e.replica.OpenStaged(req.Hash)
	if err != nil {
		return nil
	}
	defer f.Close()
	b := make([]byte, chunkBytes)
	n, err := f.ReadAt(b, req.At)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil
	}
	return b[:n]
}

// handleStaged answers the calls about backups. Those that take time have a goroutine of their own.
func (e *engine) handleStaged(kind uint8, body []byte, reply func([]byte)) {
	if !e.crew.spawn(func() {
		switch kind {
		case callChunk:
			reply(e.staging.chunk(body))
		case callVow:
			var v vow
			if json.Unmarshal(body, &v) == nil && e.staging.vow(v) {
				reply([]byte(yes))
			} else {
				reply(nil)
			}
		case callStage:
			var req stageRequest
			err := json.Unmarshal(body, &req)
			if err == nil {
				err = e.staging.stage(e.ctx, req)
			}
			if err != nil {
				reply(mustJSON(said{Failure: failure(AsError(err).Kind, NotApplied, "%v", err)}))
			} else {
				reply(mustJSON(said{}))
			}
		case callRestore:
			reply(mustJSON(e.handleRestore(body)))
		}
	}) {
		reply(nil)
	}
}

// handleRestore is another node's order to restore.
func (e *engine) handleRestore(body []byte) said {
	ctx, cancel := context.WithTimeout(e.ctx, restoreTimeout)
	defer cancel()
	var what fsm.Restore
	if err := json.Unmarshal(body, &what); err != nil {
		return said{Failure: failure(KindInvalid, NotApplied, "malformed message from a peer")}
	}
	t := e.usableTerm(ctx)
	if t == nil {
		return said{Failure: failure(KindNoLeader, NotApplied, "the node that was asked does not lead")}
	}
	res, err := t.restore(ctx, what)
	if err != nil {
		return said{Failure: AsError(err)}
	}
	return said{Value: mustJSON(res)}
}

// removeStaged takes the staged backups of a folder away, with the log that could name them.
func removeStaged(dir string) error {
	files, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	files = slices.DeleteFunc(files, func(f os.DirEntry) bool { return !fsm.IsStagedName(f.Name()) })
	for _, f := range files {
		err = errors.Join(err, os.Remove(dir+string(os.PathSeparator)+f.Name()))
	}
	return err
}
