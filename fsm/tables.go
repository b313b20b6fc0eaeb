package fsm

import (
	"encoding/binary"

	"todod/fsm/todo"
)

// must panics with a storage error unless a row was read wholly.
func (r *reader) must() {
	if err := r.end(); err != nil {
		damagedRow(err)
	}
}

// end2 is end for payloads of the log.
func (r *reader) end2() error {
	if r.end() != nil {
		return ErrDamaged
	}
	return nil
}

// list returns what is kept under a name.
func (r rows) list(name string) todo.List {
	b := r.get(textKey(tabList, name))
	if b == nil {
		return todo.List{Name: name}
	}
	return decodeList(name, b)
}

func (r rows) entry(num, id uint64) (todo.Entry, bool) {
	b := r.get(numKey(tabEntry, num, id))
	if b == nil {
		return todo.Entry{}, false
	}
	return decodeEntry(b), true
}

func decodeEntry(b []byte) todo.Entry {
	in := &reader{b: b}
	e := in.entry()
	in.must()
	return e
}

func (r rows) member(id string) (m Member, ok bool) {
	b := r.get(textKey(tabMember, id))
	if b == nil {
		return m, false
	}
	in := &reader{b: b}
	m = in.member()
	in.must()
	return m, true
}

func (r rows) members() (members []Member) {
	prefix := string(tabMember)
	r.scan(prefix, after(prefix), func(_ string, payload []byte) bool {
		in := &reader{b: payload}
		members = append(members, in.member())
		in.must()
		return true
	})
	return members
}

// garbage returns the first keys of a deleted list's rows, at most most. It goes on where the
// sweep before ended: from the start it would walk over all the rows deleted since the last flush.
func (r rows) garbage(key string, most int) (keys []string) {
	num, from := lastNum(key), string(r.get(key))
	tables, of := []byte{tabDate, tabEntry, tabHistory, tabUID, tabPlace, tabTrash, tabParent, tabNames}, []uint64{num} // all that a list's number is in, in order
	if len(key) > listGarbage {
		num = binary.BigEndian.Uint64([]byte(key[1:]))
		tables, of = []byte{tabHistory}, []uint64{num, lastNum(key)}
	}
	for _, table := range tables {
		prefix := numKey(table, of...)
		first := prefix
		if table == tabTrash {
			first = numKey(table, num, 0) // above the count, which goes with the last that it counts
		}
		keys = append(keys, r.keys(max(from, first), after(prefix), most-len(keys))...)
	}
	return keys
}

// first returns the first key with a prefix, "" if there is none.
func (r rows) first(prefix string) string {
	if keys := r.keys(prefix, after(prefix), 1); len(keys) > 0 {
		return keys[0]
	}
	return ""
}

// keys returns the first keys from one on, below a limit, at most most.
func (r rows) keys(from, below string, most int) (keys []string) {
	if most == 0 {
		return nil
	}
	r.scan(from, below, func(key string, _ []byte) bool {
		keys = append(keys, key)
		return len(keys) < most
	})
	return keys
}
