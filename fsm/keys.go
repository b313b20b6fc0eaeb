package fsm

import (
	"crypto/sha256"
	"errors"

	"todod/fsm/todo"
)

// limits bound what the state machine keeps. They decide what Apply does, so every node of
// a group has the same; tests of this package alone make them smaller.
type limits struct {
	changeBytes uint64 // of change rows
	changeMost  uint64 // bytes of them, even where they are fewer than changeFew
	changeFew   uint64 // as many of the newest stay, however old or large
	changeLife  int64  // ms after which a change may go
	keys        uint64 // idempotency keys
	keyBytes    uint64 // of the bodies kept with them
	keyLife     int64  // ms after which a key may go
	keyMinLife  int64  // ms before which no key goes, however many come
	keyBody     int    // bytes of a result kept with a key; beyond it items lose their texts

	trash        uint64 // rows in the trash of a list
	traces       uint64 // changes kept of an entry
	historyBytes uint64 // of all changes of entries
	historyLife  int64  // ms after which such a change may go
}

var defaultLimits = limits{
	changeBytes: 128 << 20,
	changeMost:  1 << 30,
	changeFew:   1000,
	changeLife:  24 * 60 * 60 * 1000,
	keys:        1_000_000,
	keyBytes:    128 << 20,
	keyLife:     24 * 60 * 60 * 1000,
	keyMinLife:  60 * 1000,
	keyBody:     4 << 10,

	trash:        todo.MaxTrash,
	traces:       todo.MaxTraces,
	historyBytes: 128 << 20,
	historyLife:  todo.HistoryDays * dayMS,
}

// maxSweep bounds the rows that one TypeSweep command takes away.
const maxSweep = 10_000

// keyRow is the answer kept under an idempotency key.
type keyRow struct {
	seq         uint64 // its place in the order keys came in
	time        int64
	fingerprint string
	result      []byte
}

// applyKeyed applies a command on lists once for each idempotency key: the same request
// again gets the same answer, another request under the key is refused.
func (r *Replica) applyKeyed(c *Command) (Result, error) {
	cmd, err := c.decodeTodo()
	if err != nil {
		return Result{}, err
	}
	if c.Key == "" {
		return r.applyTodo(&cmd, c.Principal), nil
	}
	m := &r.store.meta
	key := keyHash(c.Principal, c.Key)
	print := fingerprint(asked(c.Payload, &cmd))
	if row, ok := r.keyRow(key); ok {
		if m.Time-row.time < r.limits.keyLife {
			return r.replay(&row, print, &cmd), nil
		}
		r.dropKey(row.seq, key, &row)
	}
	if !r.makeRoom() {
		return r.refuse(KeysFull), nil
	}
	res := r.applyTodo(&cmd, c.Principal)
	if res.Code != todo.Outdated { // which is no answer: the command comes again under the key, worked out anew
		r.storeKey(key, print, &res)
	}
	return res, nil
}

// asked is the payload of the command that a client asked for.
func asked(payload []byte, cmd *todo.Command) []byte {
	if was, less := cmd.Asked(); less {
		return EncodeTodo(&was)
	}
	return payload
}

func keyHash(principal, key string) string {
	sum := sha256.Sum256(append(appendBytes(nil, principal), key...))
	return string(tabKey) + string(sum[:keyHashSize])
}

// keyHashSize is how many bytes of the hash name a key: nobody makes a second request with it by chance.
const keyHashSize = 16

func fingerprint(payload []byte) string {
	sum := sha256.Sum256(payload)
	return string(sum[:16])
}

func (r *Replica) keyRow(key string) (row keyRow, ok bool) {
	b := r.store.rows().get(key)
	if b == nil {
		return row, false
	}
	return decodeKeyRow(b), true
}

func decodeKeyRow(b []byte) keyRow {
	in := &reader{b: b}
	row := keyRow{seq: in.uvarint(), time: in.int(), fingerprint: in.string(), result: in.bytes()}
	in.must()
	return row
}

func (r *Replica) storeKey(key, print string, res *Result) {
	s, m := r.store, &r.store.meta
	body := AppendResult(nil, shorten(res, r.limits.keyBody))
	s.insert(key, appendKeyRow(newRow(48+len(body)), &keyRow{m.NextKey, m.Time, print, body}))
	s.insert(numKey(tabOrder, m.NextKey), appendOrderRow(newRow(8+len(key)), m.Time, key))
	m.NextKey++
	m.Keys++
	m.KeyBytes += uint64(len(body))
}

func appendKeyRow(b []byte, k *keyRow) []byte {
	return appendBytes(appendBytes(appendUvarints(b, k.seq, uint64(k.time)), k.fingerprint), k.result)
}

func appendOrderRow(b []byte, at int64, key string) []byte {
	return append(appendUvarints(b, uint64(at)), key...)
}

// shorten returns the result as it is kept with a key. The texts of a single add are in the
// request that comes again; other results lose theirs only when they are too large.
func shorten(res *Result, most int) *Result {
	short := *res
	if isSingleAdd(res) {
		item := res.Items[0]
		item.Entry.Title, item.Entry.Date, item.Entry.More = "", "", nil
		short.Items = []todo.Item{item}
		return &short
	}
	if len(AppendResult(nil, res)) <= most {
		return &short
	}
	short.Elided = true
	short.Items = nil
	if len(res.Items) == 1 {
		item := res.Items[0]
		item.Entry.Title, item.Entry.More, item.ListChange = "", nil, nil
		short.Items = []todo.Item{item}
	}
	return &short
}

func isSingleAdd(res *Result) bool {
	return len(res.Items) == 1 && res.Items[0].Kind == todo.Add
}

// replay is the answer to a request whose key came before.
func (r *Replica) replay(row *keyRow, print string, cmd *todo.Command) Result {
	if row.fingerprint != print {
		return r.refuse(KeyReused)
	}
	in := &reader{b: row.result}
	res := in.result()
	in.must()
	res.Replayed = true
	if isSingleAdd(&res) {
		res.Items[0].Entry = todo.Added(res.Items[0].Entry, &cmd.Ops[0].Fields, cmd.Rules)
	}
	return res
}

// oldestKey spares looking for the oldest key with each new one, while it is young.
type oldestKey struct {
	seq  uint64
	time int64
}

// makeRoom lets at most two of the oldest keys go: those past their life and, when the
// table is full, those past the least a key is promised. It reports whether there is room.
func (r *Replica) makeRoom() bool {
	m := &r.store.meta
	for range 2 {
		if m.Keys == 0 {
			break
		}
		if !r.keysFull() && r.oldest.seq == m.FirstKey && m.Time-r.oldest.time < r.limits.keyLife {
			break
		}
		in := &reader{b: r.store.rows().get(numKey(tabOrder, m.FirstKey))}
		if in.b == nil { // dropped out of order, when its request came again past its life
			m.FirstKey++
			continue
		}
		r.oldest = oldestKey{seq: m.FirstKey, time: in.int()}
		age := m.Time - r.oldest.time
		if age < r.limits.keyLife && (!r.keysFull() || age < r.limits.keyMinLife) {
			break
		}
		key := string(in.b)
		row, ok := r.keyRow(key)
		if !ok {
			damagedRow(errors.New("the order of keys names none"))
		}
		r.dropKey(m.FirstKey, key, &row)
		m.FirstKey++
	}
	return !r.keysFull()
}

func (r *Replica) keysFull() bool {
	m := &r.store.meta
	return m.Keys >= r.limits.keys || m.KeyBytes >= r.limits.keyBytes
}

func (r *Replica) dropKey(seq uint64, key string, row *keyRow) {
	m := &r.store.meta
	r.store.del(key)
	r.store.del(numKey(tabOrder, seq))
	m.Keys--
	m.KeyBytes -= uint64(len(row.result))
}
