package fsm

import (
	"cmp"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"

	"github.com/hashicorp/raft"

	"todod/fsm/todo"
)

// Apply applies one log entry; Raft calls ApplyBatch instead.
func (r *Replica) Apply(log *raft.Log) any { return r.ApplyBatch([]*raft.Log{log})[0] }

// ApplyBatch applies committed log entries in order and publishes what they came to. The
// response to an entry with commands is a []Result, one for each. When an entry cannot be
// applied the replica calls Config.Fatal; the response to it and to all later ones is
// the error.
func (r *Replica) ApplyBatch(logs []*raft.Log) []any {
	responses := make([]any, len(logs))
	for i := 0; i < len(logs); {
		n, err := r.applySome(logs[i:], responses[i:])
		i += n
		if r, ok := errors.AsType[*restoring](err); ok {
			if responses[i], err = r.run(); err == nil {
				i++
			}
		}
		if err != nil {
			for ; i < len(logs); i++ {
				responses[i] = err
			}
		}
	}
	return responses
}

// applySome applies entries until all are or the store is full, and publishes them. With an
// error, n entries before it are good. A *restoring is not one: the entry after them is a restore, which
// is not applied in the store but changes it for another.
func (r *Replica) applySome(logs []*raft.Log, responses []any) (n int, err error) {
	if r.halted != nil {
		return 0, r.halted
	}
	if err := r.store.begin(); err != nil {
		return 0, err
	}
	for n < len(logs) && (n == 0 || !r.store.full()) {
		results, err := r.applyLog(logs[n])
		if _, ok := errors.AsType[*restoring](err); ok {
			return n, cmp.Or(r.store.commit(), err)
		}
		if err != nil {
			err = fmt.Errorf("log entry %d: %w", logs[n].Index, err)
			r.store.abandon(err)
			return 0, err
		}
		responses[n] = results
		n++
	}
	return n, r.store.commit()
}

// applyLog applies one entry. It fails at one that it cannot read, and the replica with it: to
// skip the entry would be to diverge from the nodes that could.
func (r *Replica) applyLog(log *raft.Log) (results []Result, err error) {
	defer guard(&err, debug.SetPanicOnFault(true))
	m := &r.store.meta
	if log.Index <= m.Index {
		return nil, nil // replayed after a restart: the file holds it already
	}
	if log.Type == raft.LogConfiguration {
		m.Index, m.Term = log.Index, log.Term
		m.ConfIndex, m.Conf = log.Index, append([]byte(nil), log.Data...)
		return nil, nil
	}
	stamp, cmds, err := DecodeEnvelope(log.Data)
	if err != nil {
		return nil, err
	}
	if err := r.restoreIn(log, stamp, cmds); err != nil {
		return nil, err
	}
	results = make([]Result, len(cmds))
	if stamp.Term != 0 && stamp.Term != log.Term {
		// The leader lost its term and won another before it noticed: what the registry of the old
		// one gathered must not come after the new one has begun.
		for i := range results {
			results[i] = r.refuse(TermOver)
		}
		cmds = nil
	} else {
		m.Time = max(m.Time, stamp.Time)
	}
	marked := false
	for i := range cmds {
		if results[i], err = r.applyNumbered(&cmds[i]); err != nil {
			return nil, err
		}
		marked = marked || cmds[i].Type == TypeMark
	}
	r.storeMoved()
	m.Index, m.Term = log.Index, log.Term
	if marked {
		r.marks.add(m.hash())
	}
	return results, nil
}

// applyNumbered applies a command once, however often it comes: the session that
// numbered it remembers.
func (r *Replica) applyNumbered(c *Command) (Result, error) {
	if err := r.known(c); err != nil {
		return Result{}, err
	}
	ses := r.sessions[c.Session]
	if c.Session != 0 {
		if ses == nil {
			return r.refuse(SessionClosed), nil
		}
		if c.Number < ses.low {
			return r.refuse(NumberClosed), nil
		}
		if res, ok := ses.replay(c.Number); ok {
			return res, nil
		}
	}
	res, err := r.applyCommand(c)
	if err != nil {
		return Result{}, err
	}
	row := AppendResult(newRow(64+len(c.Payload)), &res)
	r.store.meta.link(c.Payload, row[1:])
	if ses != nil && r.sessions[c.Session] == ses { // unless the command closed it
		r.keep(ses, c, row)
	}
	return res, nil
}

// known fails at a command that this program cannot apply.
func (r *Replica) known(c *Command) error {
	if c.Flags != 0 || c.needs() > r.reads {
		return fmt.Errorf("command of type %d, version %d, flags %d: %w", c.Type, c.Version, c.Flags, ErrUnknown)
	}
	return nil
}

func (r *Replica) applyCommand(c *Command) (Result, error) {
	payload := &reader{b: c.Payload}
	switch c.Type {
	case TypeTodo:
		return r.applyKeyed(c)
	case TypeTerm:
		term := Term{Node: payload.string(), Epoch: payload.uvarint()}
		return r.applyTerm(term), payload.end2()
	case TypeSession:
		ses := Session{Node: payload.string(), Boot: payload.string()}
		return r.applySession(ses), payload.end2()
	case TypeSweep:
		sweep := Sweep{Rows: payload.uvarint()}
		return r.applySweep(sweep), payload.end2()
	case TypeMember:
		m := payload.member()
		if m.Status != Known && m.Status != Removed {
			return Result{}, fmt.Errorf("member of status %d: %w", m.Status, ErrUnknown)
		}
		return r.applyMember(m), payload.end2()
	case TypeVersion:
		v := Version{Group: payload.uvarint()}
		if err := payload.end2(); err != nil {
			return Result{}, err
		}
		return r.applyVersion(v)
	case TypePurge:
		purge := Purge{Rows: payload.uvarint()}
		if err := payload.end2(); err != nil {
			return Result{}, err
		}
		return r.applyPurge(purge), nil
	case TypeSettings:
		set := Settings{TrashDays: payload.uvarint(), EventsMiB: payload.uvarint()}
		if err := payload.end2(); err != nil {
			return Result{}, err
		}
		return r.applySettings(set), nil
	case TypeMark:
		return r.refuse(todo.OK), payload.end2() // applyLog keeps the hashes after the whole entry
	}
	return Result{}, fmt.Errorf("command of type %d: %w", c.Type, ErrUnknown)
}

// refuse is a result that changes nothing.
func (r *Replica) refuse(code todo.Code) Result {
	m := &r.store.meta
	return Result{Code: code, Epoch: m.Epoch, Rev: m.Rev, Time: m.Time}
}

// applyTerm begins a term of leadership. It makes the index of the term's first command
// reach the state machine, which a no-op of Raft never does.
func (r *Replica) applyTerm(t Term) Result {
	if m := &r.store.meta; m.Epoch == 0 {
		m.Epoch = t.Epoch
	}
	return r.refuse(todo.OK)
}

// applyTodo runs a command on lists and stores what it changes.
func (r *Replica) applyTodo(cmd *todo.Command, who string) Result {
	m := &r.store.meta
	rev := m.Rev + 1
	cmd.Rules = m.rules()
	out := r.stage.Do(*cmd, m.Time, rev)
	res := r.refuse(out.Code)
	res.At, res.Items = out.At, out.Items
	if out.Told != nil && cmd.Ops[0].Kind == todo.Undo {
		res.Items = out.Told
	}
	if out.Code != todo.OK || !out.Changed() {
		return res
	}
	m.Rev, res.Rev = rev, rev
	r.storeStage()
	if cmd.Rules >= todo.Rules2 {
		r.storeTraces(rev, who)
		r.storeTrash() // which takes the traces along of what is gone for good
	}
	changed := out.Items
	if out.Told != nil {
		changed = out.Told
	}
	r.storeChange(rev, changed)
	return res
}

// applyView is the state that commands are applied to, as package todo sees it.
type applyView Replica

func (v *applyView) List(name string) todo.List { return v.store.rows().list(name) }
func (v *applyView) NextNum() uint64            { return v.store.meta.NextList }
func (v *applyView) Epoch() uint64              { return v.store.meta.Epoch }

func (v *applyView) UID(num uint64, uid string) uint64 {
	if b := v.store.rows().get(uidKey(num, uid)); b != nil {
		return decodeID(b)
	}
	return 0
}

func (v *applyView) Children(num, parent uint64, limit int) (ids []uint64) {
	prefix := numKey(tabParent, num, parent)
	for _, key := range v.store.rows().keys(prefix, after(prefix), limit) {
		ids = append(ids, lastNum(key))
	}
	return ids
}

func (v *applyView) Around(num uint64, at todo.Position, back bool, limit int) ([]todo.Position, todo.Position, bool) {
	return v.store.rows().around(num, at, back, limit)
}

func (v *applyView) Entry(num, id uint64) (todo.Entry, bool) {
	return v.store.rows().entry(num, id)
}

// storeStage turns what a command changed into rows.
func (r *Replica) storeStage() {
	s, st := r.store, r.stage
	s.meta.NextList = st.NextNum()
	for i := range st.Lists {
		s.put(textKey(tabList, st.Lists[i].Name), appendList(newRow(32), &st.Lists[i]))
	}
	for i := range st.Entries {
		r.unindex(&st.Entries[i])
	}
	for i := range st.Entries {
		r.storeEntry(&st.Entries[i])
	}
	for i := range st.Renamed {
		r.storeName(&st.Renamed[i], s.meta.Rev)
	}
	for _, num := range st.Unlinked {
		s.insert(numKey(tabGarbage, num), newRow(0))
		s.meta.Garbage++
	}
}

// storeChange keeps what a rev changed, and lets the oldest changes go beyond the limits.
func (r *Replica) storeChange(rev uint64, items []todo.Item) {
	s, m := r.store, &r.store.meta
	changed := items
	if slices.ContainsFunc(items, unchanged) {
		changed = slices.DeleteFunc(slices.Clone(items), unchanged)
	}
	size := 16
	for i := range changed {
		size += 64 + len(changed[i].List) + len(changed[i].Entry.Title)
	}
	row := appendItems(appendUvarints(newRow(size), uint64(m.Time)), changed)
	s.insert(numKey(tabChange, rev), row)
	m.ChangeBytes += uint64(len(row) - 1)
	r.trimChanges(rev)
}

func unchanged(it todo.Item) bool { return !it.Changed }

// applySweep takes away rows of deleted lists, oldest first and a bounded number: a list of
// 200,000 rows would stall all others for most of a second.
func (r *Replica) applySweep(sw Sweep) Result {
	s := r.store
	left := int(min(sw.Rows, maxSweep)) // rows to go
	for left > 0 && s.meta.Garbage > 0 {
		garbage := s.rows().first(string(tabGarbage))
		keys := s.rows().garbage(garbage, left)
		for _, key := range keys {
			r.sweep(key)
		}
		if left -= len(keys); left > 0 {
			s.del(garbage)
			s.meta.Garbage--
		} else {
			last := keys[len(keys)-1]
			s.put(garbage, append(newRow(len(last)), last...))
		}
	}
	return r.refuse(todo.OK)
}

// applyMember keeps what the group knows of a node. It refuses an ID that is known with
// another folder, and whatever was removed. A node that goes takes its session along: so there are no
// more sessions than members.
func (r *Replica) applyMember(m Member) Result {
	s := r.store
	if old, ok := s.rows().member(m.ID); ok && (old.Folder != m.Folder || old.Status == Removed) {
		if m.Status == Known || old.Folder != m.Folder {
			return r.refuse(MemberKnown)
		}
	}
	if owner := s.rows().get(textKey(tabFolder, m.Folder)); owner != nil && string(owner) != m.ID {
		return r.refuse(MemberKnown)
	}
	if ses := r.nodeSession(m.ID); ses != nil && m.Status == Removed {
		r.closeSession(ses)
	}
	s.put(textKey(tabMember, m.ID), m.append(newRow(64)))
	s.put(textKey(tabFolder, m.Folder), append(newRow(len(m.ID)), m.ID...))
	return r.refuse(todo.OK)
}
