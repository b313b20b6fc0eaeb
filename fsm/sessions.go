package fsm

import (
	"todod/fsm/todo"
)

// A session belongs to one process of a node, which numbers every command it sends to the
// leader (Ongaro's thesis, section 6.3). The result of a number is kept until the
// number is closed: the node says with each command which is the lowest still open.
// So a command that is sent twice, or arrives late, is applied once or not at all.
type session struct {
	num, low   uint64
	node, boot string
}

func (r *Replica) session(num uint64) (session, bool) {
	row := r.store.rows().get(numKey(tabSession, num))
	if row == nil {
		return session{}, false
	}
	in := &reader{b: row}
	ses := session{num: num, low: in.uvarint(), node: in.string(), boot: in.string()}
	in.must()
	return ses, true
}

func (r *Replica) storeSession(ses session) {
	r.store.put(numKey(tabSession, ses.num), appendBytes(appendBytes(appendUvarints(nil, ses.low), ses.node), ses.boot))
}

// kept returns the result of a number that was applied before and is not closed.
func (r *Replica) kept(num, number uint64) (Result, bool) {
	row := r.store.rows().get(numKey(tabResult, num, number))
	if row == nil {
		return Result{}, false
	}
	in := &reader{b: row}
	res := in.result()
	in.must()
	return res, true
}

// keep stores a command's result and drops those below the lowest number still open.
func (r *Replica) keep(ses session, c *Command, encoded []byte) {
	s := r.store
	s.insert(numKey(tabResult, ses.num, c.Number), encoded)
	low := min(c.Low, c.Number)
	if low <= ses.low {
		return
	}
	r.dropResults(ses.num, low)
	ses.low = low
	r.storeSession(ses)
}

func (r *Replica) dropResults(num, below uint64) {
	from, limit := numKey(tabResult, num, 0), numKey(tabResult, num, below)
	for _, key := range r.store.rows().keysBetween(from, limit) {
		r.store.del(key)
	}
}

// applySession opens a session and closes the node's older one.
func (r *Replica) applySession(p Session) Result {
	s, m := r.store, &r.store.meta
	byNode := textKey(tabNode, p.Node)
	if row := s.rows().get(byNode); row != nil {
		old, ok := r.session((&reader{b: row}).uvarint())
		if ok && old.boot == p.Boot {
			return r.sessionResult(old.num)
		}
		if ok {
			r.dropResults(old.num, ^uint64(0))
			s.del(numKey(tabSession, old.num))
			m.SessionCount--
		}
	}
	ses := session{num: m.NextSession, low: 1, node: p.Node, boot: p.Boot}
	m.NextSession++
	m.SessionCount++
	r.storeSession(ses)
	s.put(byNode, appendUvarints(nil, ses.num))
	return r.sessionResult(ses.num)
}

func (r *Replica) sessionResult(num uint64) Result {
	res := r.refuse(todo.OK)
	res.Value = num
	return res
}
