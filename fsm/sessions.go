package fsm

import (
	"fmt"

	"todod/fsm/todo"
)

// A session belongs to one process of a node, which numbers every command it sends to the
// leader (Ongaro's thesis, section 6.3). The result of a number is kept until the
// number is closed: the node says with each command which is the lowest still open.
// So a command that is sent twice, or arrives late, is applied once or not at all.
//
// Most results live for milliseconds. So they are kept in memory and become rows only when a
// flush finds them; the set hash counts them as rows all the time. Nobody but the
// applier reads them.
type session struct {
	num, low   uint64
	node, boot string
	results    map[uint64]*kept // by number, all of them at or above low
	moved      bool             // low is ahead of the session's row
}

// kept is a result as a row.
type kept struct {
	row    []byte
	hash   uint64
	stored bool // the row is in the file, or on its way there
}

// loaded is told that the file is another one now.
func (r *Replica) loaded(in rows) {
	r.marks.forget()
	r.loadSessions(in)
}

// loadSessions makes the sessions anew from the rows of a file.
func (r *Replica) loadSessions(in rows) {
	r.sessions, r.oldest, r.oldestChange, r.firstTrace = map[uint64]*session{}, oldestKey{}, oldestChange{}, 0
	in.scan(string(tabSession), after(string(tabSession)), func(key string, payload []byte) bool {
		b := &reader{b: payload}
		ses := &session{num: lastNum(key), low: b.uvarint(), node: b.string(), boot: b.string(), results: map[uint64]*kept{}}
		b.must()
		r.sessions[ses.num] = ses
		return true
	})
	in.scan(string(tabResult), after(string(tabResult)), func(key string, payload []byte) bool {
		ses := r.sessions[lastNum(key[:len(key)-8])]
		if ses == nil {
			damagedRow(fmt.Errorf("a result without its session"))
		}
		row := seal(key, append(newRow(len(payload)), payload...))
		ses.results[lastNum(key)] = &kept{row: row, hash: rowHash(key, row), stored: true}
		return true
	})
}

// freezeResults makes rows of the results that outlive a flush.
func (r *Replica) freezeResults() {
	for _, ses := range r.sessions {
		for number, k := range ses.results {
			if !k.stored {
				r.store.live.Set(numKey(tabResult, ses.num, number), k.row)
				k.stored = true
			}
		}
	}
}

// replay returns the result of a number that was applied before and is not closed.
func (ses *session) replay(number uint64) (res Result, ok bool) {
	k := ses.results[number]
	if k == nil {
		return res, false
	}
	in := &reader{b: k.row[1 : len(k.row)-crcSize]}
	res = in.result()
	in.must()
	return res, true
}

// keep keeps a command's result and drops those below the lowest number still open.
func (r *Replica) keep(ses *session, c *Command, row []byte) {
	key := numKey(tabResult, ses.num, c.Number)
	row = seal(key, row)
	k := &kept{row: row, hash: rowHash(key, row)}
	ses.results[c.Number] = k
	r.store.meta.Set += k.hash
	if low := min(c.Low, c.Number); low > ses.low {
		r.dropResults(ses, low)
		ses.low = low
		if !ses.moved {
			ses.moved = true
			r.moved = append(r.moved, ses)
		}
	}
}

// dropResults drops the results of numbers below a limit.
func (r *Replica) dropResults(ses *session, below uint64) {
	if below-ses.low <= uint64(len(ses.results)) {
		for number := ses.low; number < below; number++ {
			r.dropResult(ses, number)
		}
		return
	}
	for number := range ses.results { // the order does not matter: the set hash is a sum
		if number < below {
			r.dropResult(ses, number)
		}
	}
}

func (r *Replica) dropResult(ses *session, number uint64) {
	k := ses.results[number]
	if k == nil {
		return
	}
	delete(ses.results, number)
	r.store.meta.Set -= k.hash
	if k.stored {
		r.store.bury(numKey(tabResult, ses.num, number))
	}
}

// storeMoved writes the rows of the sessions whose low moved: once for a log entry, however
// many commands it has.
func (r *Replica) storeMoved() {
	for _, ses := range r.moved {
		ses.moved = false
		if r.sessions[ses.num] == ses {
			r.storeSession(ses)
		}
	}
	clear(r.moved)
	r.moved = r.moved[:0]
}

func (r *Replica) storeSession(ses *session) {
	row := appendUvarints(newRow(16+len(ses.node)+len(ses.boot)), ses.low)
	r.store.put(numKey(tabSession, ses.num), appendBytes(appendBytes(row, ses.node), ses.boot))
}

// applySession opens a session and closes the node's older one. A node that was removed gets none.
func (r *Replica) applySession(p Session) Result {
	s, m := r.store, &r.store.meta
	if known, ok := s.rows().member(p.Node); ok && known.Status == Removed {
		return r.refuse(MemberKnown)
	}
	if old := r.nodeSession(p.Node); old != nil {
		if old.boot == p.Boot {
			return r.sessionResult(old.num)
		}
		r.closeSession(old)
	}
	ses := &session{num: m.NextSession, low: 1, node: p.Node, boot: p.Boot, results: map[uint64]*kept{}}
	m.NextSession++
	r.sessions[ses.num] = ses
	r.storeSession(ses)
	s.put(textKey(tabNode, p.Node), appendUvarints(newRow(8), ses.num))
	return r.sessionResult(ses.num)
}

// nodeSession returns the open session of a node, nil if it has none.
func (r *Replica) nodeSession(node string) *session {
	row := r.store.rows().get(textKey(tabNode, node))
	if row == nil {
		return nil
	}
	ses := r.sessions[(&reader{b: row}).uvarint()]
	if ses == nil {
		damagedRow(fmt.Errorf("a node without its session"))
	}
	return ses
}

// closeSession forgets a session with all its results: whatever of it comes later is refused.
func (r *Replica) closeSession(ses *session) {
	for number := range ses.results { // the order does not matter: the set hash is a sum
		r.dropResult(ses, number)
	}
	r.store.del(numKey(tabSession, ses.num))
	r.store.del(textKey(tabNode, ses.node))
	delete(r.sessions, ses.num)
}

func (r *Replica) sessionResult(num uint64) Result {
	res := r.refuse(todo.OK)
	res.Value = num
	return res
}
