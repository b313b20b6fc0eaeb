package httpapi

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"todod/fsm"
	"todod/fsm/todo"
	"todod/httpapi/api"
	"todod/server"
)

// allChanges is a stream of the changes of all lists.
func allChanges(req *request) error { return req.follow("") }

// listChanges is a stream of the changes of a list.
func listChanges(req *request) error {
	list, err := req.list()
	if err != nil {
		return err
	}
	return req.follow(list)
}

// follow sends the changes after a rev, and those to come, as server-sent events. An id is EPOCH.REV, the same at
// every node: so a client goes on at any of them.
func (req *request) follow(list string) error {
	leave, err := req.s.enterStream()
	if err != nil {
		return err
	}
	defer leave()
	at, w, err := req.startOfStream()
	if err != nil {
		return err
	}
	var names fsm.Names
	if _, given := req.lastEvent(); given && list != "" {
		if names, err = req.namesSince(list, at); err != nil {
			return err
		}
	}
	req.w.Header()["Todod-Index"] = []string{strconv.FormatUint(w.Rev, 10)}
	if req.beginStream(); req.r.Method == http.MethodHead {
		return nil
	}
	fl := follower{req: req, list: list, names: names, epoch: w.Epoch, at: at, done: req.r.Context().Done()}
	fl.feed = req.s.joinFeed()
	defer fl.feed.leave()
	fl.run()
	return nil
}

// enterStream counts an event stream, or refuses it.
func (s *Server) enterStream() (leave func(), err error) {
	if s.streams.Add(1) > maxStreams {
		s.streams.Add(-1)
		return nil, fail(api.CodeOverloaded, "too many event streams are open at this node: try again or at another")
	}
	return func() { s.streams.Add(-1) }, nil
}

// beginStream sends the header of an event stream.
func (req *request) beginStream() {
	h := req.w.Header()
	h["Content-Type"] = eventStream
	h["Cache-Control"] = noCache
	h["X-Content-Type-Options"] = noSniff
	req.w.WriteHeader(http.StatusOK)
}

// lastEvent returns the id after which a client wants the changes, if it gave one. Last-Event-ID goes before since: a
// browser that comes back sends both.
func (req *request) lastEvent() (text string, given bool) {
	if text = req.r.Header.Get("Last-Event-ID"); text != "" {
		return text, true
	}
	return req.query.get("since")
}

// startOfStream returns the rev after which a client wants the changes.
func (req *request) startOfStream() (at uint64, w fsm.Window, err error) {
	field, epoch := "since", uint64(0)
	if req.r.Header.Get("Last-Event-ID") != "" {
		field = "Last-Event-ID"
	}
	text, given := req.lastEvent()
	if given {
		if epoch, at, err = parseSince(field, text); err != nil {
			return 0, w, err
		}
	}
	if w, err = req.s.node.Window(req.r.Context(), fsm.Window{}); err != nil || !given {
		return w.Rev, w, err
	}
	if at > w.Rev || epoch != 0 && epoch != w.Epoch {
		if w, err = req.confirmedWindow(); err != nil { // this node may be behind the one that the client had it from
			return 0, w, err
		}
	}
	switch {
	case epoch != 0 && epoch != w.Epoch:
		err = fail(api.CodeGone, "the id is from before a restore: read the lists anew, then follow from the Todod-Index of that answer")
	case at > w.Rev:
		err = &todo.Invalid{Field: field, Reason: "must not be above " + strconv.FormatUint(w.Rev, 10) + ", the newest rev of the group"}
	case !w.Has(at):
		err = fail(api.CodeGone, "the changes after rev %d are no longer kept: read the lists anew, then follow from the Todod-Index of that answer", at)
	}
	return at, w, err
}

// namesSince returns what a list was called after a rev. Of one that is not here it asks further: it may have got its name
// only now, and its changes are those under the name before.
func (req *request) namesSince(list string, at uint64) (fsm.Names, error) {
	ctx, cancel := req.bounded()
	defer cancel()
	for level := server.Stale; ; level = server.Linearizable {
		r, err := req.s.node.Read(ctx, server.ReadOptions{Level: level})
		if err != nil {
			return fsm.Names{}, err
		}
		_, here := r.List(list)
		names, ok := r.Names(list, at)
		r.Close()
		switch {
		case !here && level == server.Stale:
		case !ok:
			return names, fail(api.CodeGone, "what the list was called after rev %d is no longer known: read it anew, then follow from the Todod-Index of that answer", at)
		default:
			return names, nil
		}
	}
}

// confirmedWindow waits until this node has applied all that was acknowledged before.
func (req *request) confirmedWindow() (w fsm.Window, err error) {
	ctx, cancel := req.bounded()
	defer cancel()
	r, err := req.s.node.Read(ctx, server.ReadOptions{Level: server.Linearizable})
	if err != nil {
		return w, err
	}
	defer r.Close()
	return r.Window(), nil
}

// parseSince reads EPOCH.REV, or REV alone with epoch 0.
func parseSince(field, text string) (epoch, rev uint64, err error) {
	first, last, both := strings.Cut(text, ".")
	if !both {
		first, last = "", first
	}
	rev, err = strconv.ParseUint(last, 10, 64)
	if err == nil && both {
		epoch, err = wholeNumber(first)
	}
	if err != nil || len(last) > 1 && last[0] == '0' {
		return 0, 0, &todo.Invalid{Field: field, Reason: "must be the id of an event, or a rev"}
	}
	return epoch, rev, nil
}

// follower writes a stream to its client.
type follower struct {
	req   *request
	feed  *feed
	list  string    // "" for all
	names fsm.Names // of the list
	epoch uint64
	at    uint64 // the client has been sent all up to this rev
	live  bool   // it had caught up
	done  <-chan struct{}
}

// run writes until the client or the node is gone, the client is too slow, or there is no next change
// after what it has.
func (f *follower) run() {
	select {
	case <-f.feed.ready:
	case <-f.done:
		return
	}
	ok := f.write(func(b []byte) []byte { return f.appendID(append(b, "retry: 1000\n"...)) })
	beat := time.NewTimer(f.req.s.cfg.Heartbeat)
	defer beat.Stop()
	for ok {
		l := f.feed.after(f.at, f.list)
		switch {
		case l.ended || f.feed.epoch != f.epoch:
			return
		case l.behind && f.live: // it reads more slowly than changes come: it may come back for what it has missed
			f.req.s.log.Info("a follower of changes was too slow and is cut off", "client", f.req.r.RemoteAddr)
			f.req.cut = true
			return
		case l.behind, !f.names.Same(f.at + 1): // the feed knows of each change by the names in it alone
			ok = f.catchUp()
		case l.wake == nil:
			f.live = true
			ok = f.send(l.events)
		default:
			f.live = true
			beat.Reset(f.req.s.cfg.Heartbeat)
			ok = f.wait(l.wake, beat)
		}
	}
}

// wait waits for a change, or says that the stream is alive: with an id, so that who follows a quiet list does
// not come back from so far ago that nobody remembers.
func (f *follower) wait(w *wake, beat *time.Timer) bool {
	select {
	case <-w.fired:
		f.at = f.feed.waited(w, f.list, f.at)
		return true
	case <-beat.C:
		f.at = f.feed.waited(w, f.list, f.at)
		return f.write(func(b []byte) []byte { return f.appendID(append(b, ": still here\n"...)) })
	case <-f.done:
	case <-f.req.s.ctx.Done():
	}
	f.feed.waited(w, f.list, f.at)
	return false
}

func (f *follower) appendID(b []byte) []byte {
	return append(appendEventID(b, f.epoch, f.at), "\n\n"...)
}

func (f *follower) write(text func([]byte) []byte) bool {
	buf := f.req.s.buffer()
	defer f.req.s.release(buf)
	f.deadline()
	_, err := f.req.w.Write(text(buf.AvailableBuffer()))
	return err == nil && f.req.control().Flush() == nil
}

// deadline is how long the client has for what is written next, at most sendChunk and an event.
func (f *follower) deadline() {
	_ = f.req.control().SetWriteDeadline(time.Now().Add(f.req.s.cfg.StreamTimeout))
}

// send writes events, some at a time. What is left is asked for again, for by then there may be too much.
func (f *follower) send(events []*changeEvent) bool {
	f.deadline()
	sent := 0
	for _, e := range events {
		if sent >= sendChunk {
			break
		}
		f.at = e.rev
		text := e.of(f.list)
		if len(text) == 0 {
			continue
		}
		if _, err := f.req.w.Write(text); err != nil {
			return false
		}
		sent += len(text)
	}
	return sent == 0 || f.req.control().Flush() == nil
}

// catchUp sends changes that the feed no longer has, or never had, from the replica. Few may do so at a time: it
// is read and encoded for each of them.
func (f *follower) catchUp() bool {
	s := f.req.s
	select {
	case s.catchUps <- struct{}{}:
	case <-f.done:
		return false
	case <-s.ctx.Done():
		return false
	}
	events, upto, ok := f.read()
	<-s.catchUps
	if !ok || !f.send(events) {
		return false
	}
	f.at = upto
	return true
}

// event is a change as this follower gets it.
func (f *follower) event(c *fsm.Change) *changeEvent {
	if f.names.Same(c.Rev) {
		return newChangeEvent(f.epoch, c)
	}
	var items []todo.Item
	for i := range c.Items {
		if it := &c.Items[i]; f.names.Has(c.Rev, it.List) || f.names.Has(c.Rev, it.Left().List) {
			items = append(items, *it)
		}
	}
	return &changeEvent{rev: c.Rev, list: f.list, text: appendChange(nil, f.epoch, c, items)}
}

func (f *follower) read() (events []*changeEvent, upto uint64, ok bool) {
	changes, upto, w, err := f.req.s.node.Changes(f.list, f.at, catchUpChanges, catchUpRead)
	if err != nil || w.Epoch != f.epoch || !w.Has(f.at) {
		return nil, 0, false
	}
	events = make([]*changeEvent, len(changes))
	size := 0
	for i := range changes {
		events[i] = f.event(&changes[i])
		if size += len(events[i].of(f.list)); size >= sendChunk { // as much as send sends
			return events[:i+1], changes[i].Rev, true
		}
	}
	return events, upto, true
}
