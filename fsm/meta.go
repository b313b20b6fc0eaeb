package fsm

import (
	"encoding/binary"
	"fmt"

	"github.com/cespare/xxhash/v2"
)

// meta is what the state machine knows of itself: one row, written in the same transaction
// as the rows it speaks of.
type meta struct {
	Flush uint64 // counts flushes of this file; it alone is not replicated

	Index, Term uint64 // of the last log entry applied
	ConfIndex   uint64 // of the last configuration of the group
	Conf        []byte // that configuration, as Raft encodes it

	Group      uint64 // version of the group
	Rev, Epoch uint64
	Time       int64  // the highest leader time seen, Unix ms
	Chain, Set uint64 // hash over the history; additive hash over all rows

	NextList    uint64 // internal number for the next new list
	NextSession uint64
	Garbage     uint64 // deleted lists whose rows are still to go

	FirstChange, ChangeBytes uint64 // oldest rev with a change row; bytes of all of them
	FirstKey, NextKey        uint64 // sequences of the oldest and the next idempotency key
	Keys, KeyBytes           uint64

	// What groups of version 1 do not have.
	HistoryBytes uint64 // of the changes of entries
	TrashDays    uint64 // how long trash is kept; 0: as todo.TrashDays says
	EventsMiB    uint64 // how much of the changes is kept; 0: as limits.changeBytes says
}

func newMeta() meta {
	return meta{Flush: 1, Group: 1, NextList: 1, NextSession: 1, FirstChange: 1, FirstKey: 1, NextKey: 1}
}

func (m *meta) encode() []byte {
	b := binary.BigEndian.AppendUint64(newRow(192+len(m.Conf)), m.Flush)
	b = appendUvarints(b, m.Group, m.Index, m.Term, m.ConfIndex, m.Rev, m.Epoch, uint64(m.Time), m.Chain, m.Set,
		m.NextList, m.NextSession, m.Garbage, m.FirstChange, m.ChangeBytes,
		m.FirstKey, m.NextKey, m.Keys, m.KeyBytes)
	b = appendBytes(b, m.Conf)
	if m.HistoryBytes|m.TrashDays|m.EventsMiB != 0 {
		b = appendNumber(appendNumber(b, metaHistoryBytes, m.HistoryBytes), metaTrashDays, m.TrashDays)
		b = append(appendNumber(b, metaEventsMiB, m.EventsMiB), 0)
	}
	return seal(string(metaKey), b)
}

func decodeMeta(row []byte) (m meta, err error) {
	b, err := unseal(string(metaKey), row)
	if err != nil {
		return m, err
	}
	if len(b) < 8 {
		return m, fmt.Errorf("the meta row: %w: %w", errShort, ErrCorrupt)
	}
	m.Flush = binary.BigEndian.Uint64(b)
	r := &reader{b: b[8:]}
	for _, p := range []*uint64{&m.Group, &m.Index, &m.Term, &m.ConfIndex, &m.Rev, &m.Epoch} {
		*p = r.uvarint()
	}
	m.Time = r.int()
	for _, p := range []*uint64{&m.Chain, &m.Set, &m.NextList, &m.NextSession, &m.Garbage, &m.FirstChange,
		&m.ChangeBytes, &m.FirstKey, &m.NextKey, &m.Keys, &m.KeyBytes} {
		*p = r.uvarint()
	}
	m.Conf = append([]byte(nil), r.bytes()...)
	if len(r.b) > 0 {
		r.fields(m.field)
	}
	if r.end() != nil {
		return m, fmt.Errorf("the meta row: %w: %w", errShort, ErrCorrupt)
	}
	return m, nil
}

// The fields that follow what version 1 has. They are stored: never renumber.
const (
	metaHistoryBytes = 1
	metaTrashDays    = 2
	metaEventsMiB    = 3
)

func (m *meta) field(number byte, in *reader) {
	switch number {
	case metaHistoryBytes:
		m.HistoryBytes = in.nonzero()
	case metaTrashDays:
		m.TrashDays = in.nonzero()
	case metaEventsMiB:
		m.EventsMiB = in.nonzero()
	default:
		in.unknown = true
		in.b = nil
	}
}

// rowHash is what one row adds to the set hash. It guards against defects and decay, not
// against someone who makes collisions.
func rowHash(key string, row []byte) uint64 {
	var d xxhash.Digest
	d.Reset()
	d.WriteString(key)
	d.Write(row)
	return d.Sum64()
}

// link extends the chain by one command and its result.
func (m *meta) link(payload, result []byte) {
	var head [24]byte
	binary.BigEndian.PutUint64(head[0:], m.Chain)
	binary.BigEndian.PutUint64(head[8:], m.Rev)
	binary.BigEndian.PutUint64(head[16:], uint64(len(payload)))
	var d xxhash.Digest
	d.Reset()
	d.Write(head[:])
	d.Write(payload)
	d.Write(result)
	m.Chain = d.Sum64()
}
