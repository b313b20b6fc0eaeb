package fsm

import (
	"bufio"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"runtime/debug"

	"todod/fsm/todo"
)

// A backup is a stream of what users have, not of how a replica keeps it:
//
//	"todod backup 1\n" | BackupInfo as a line of JSON
//	then for each list its record and those of its entries, of its trash and of its history; the keys of
//	requests in the order they came, and a last record with the counts; each is: kind, version, length (uvarint), payload
//	then SHA-256 of all before it (32 bytes)
//
// That of a group of version 1 has version 1, and neither trash nor history: an older program reads it. So a stream that broke never looks whole, and what follows a backup is noticed.
const (
	backupMagic   = "todod backup "
	backupVersion = 2 // the highest that this program reads
	// maxBackupRecord is far more than any record has: it keeps a damaged length from asking for all memory.
	maxBackupRecord = 1 << 20
	maxBackupHead   = 4 << 10
)

// The kinds of record. They are stored: never renumber.
const (
	recList  = 'l' // name, whether it was deleted, highest id ever used, entries, open ones, rev
	recEntry = 'e' // as appendEntry has it
	recTrash = 't' // as appendTrashed has it
	recTrace = 'h' // id of the entry, count, and as appendTrace has it; of each entry the newest first
	recKey   = 'k' // hash of principal and key, time, fingerprint of the request, result
	recEnd   = 'z' // backupCounts as JSON
)

// recordVersion is the version of the payload of each kind.
const recordVersion = 1

// BackupInfo is what a backup says of itself. Group, Node, Program, Made and Scheduled come from whoever
// has it made, the rest from the replica and the backup.
type BackupInfo struct {
	Group     string `json:"group"`
	Node      string `json:"node"`    // that made it
	Program   string `json:"program"` // its version
	Made      int64  `json:"made"`    // its clock then, Unix ms
	Scheduled bool   `json:"scheduled,omitempty"`

	Epoch uint64 `json:"epoch"`
	Rev   uint64 `json:"rev"`             // it holds all that the epoch had up to here
	Index uint64 `json:"index"`           // of the log entry that the hashes are of
	Time  int64  `json:"time"`            // the highest leader time by then, Unix ms
	Needs uint64 `json:"needs,omitempty"` // the version that a group must have to take it; 0: any
	Chain string `json:"chain"`           // of the replica, as GET /v1/hash shows them
	Set   string `json:"set"`

	backupCounts
	Size int64  `json:"size,omitempty"` // of the whole, in bytes
	Hash string `json:"hash,omitempty"` // SHA-256 of all but itself, hexadecimal
}

// backupCounts is what a reader must have found at the end.
type backupCounts struct {
	Lists   uint64 `json:"lists"`
	Entries uint64 `json:"entries"`
	Deleted uint64 `json:"deleted"` // names kept for their highest ids
	Keys    uint64 `json:"keys"`
	Trash   uint64 `json:"trash,omitempty"`
	Traces  uint64 `json:"traces,omitempty"` // changes in the histories of entries
}

// Backup writes a backup of all that is applied by now. It flushes first, checks each row and their set
// hash before it writes anything, and holds memory for one record. A damaged replica makes none: Config.Fatal
// is told. What to returns as an error comes back as it is.
func (r *Replica) Backup(to io.Writer, about BackupInfo) (_ BackupInfo, err error) {
	if err := r.store.flush(nil); err != nil {
		return about, err
	}
	tx, m, err := r.store.beginChecked(func() error { return nil })
	if err != nil {
		return about, err
	}
	defer tx.Rollback()
	about.Epoch, about.Rev, about.Index, about.Time = m.Epoch, m.Rev, m.Index, m.Time
	if m.Group >= 2 {
		about.Needs = 2
	}
	h := m.hash()
	about.Chain, about.Set = h.Chain, h.Set
	w := newBackupWriter(to, &about)
	if err := w.rows(rows{live: newTree(), inFile: newFiled(tx.Bucket(rowsBucket))}, &m); err != nil {
		return about, r.store.fail(fmt.Errorf("make a backup: %w", err))
	}
	return about, w.end()
}

// backupWriter writes a backup; the first error of what it writes to is told at the end.
type backupWriter struct {
	out   *bufio.Writer
	sum   hash.Hash
	about *BackupInfo
	buf   []byte
	err   error
}

func newBackupWriter(to io.Writer, about *BackupInfo) *backupWriter {
	w := &backupWriter{out: bufio.NewWriterSize(to, 64<<10), sum: sha256.New(), about: about}
	about.backupCounts, about.Size, about.Hash = backupCounts{}, 0, ""
	head, err := json.Marshal(about)
	if err != nil {
		w.err = err
	}
	w.write(fmt.Appendf(nil, "%s%d\n%s\n", backupMagic, max(1, about.Needs), head))
	return w
}

func (w *backupWriter) write(b []byte) {
	if w.err == nil {
		w.sum.Write(b)
		w.about.Size += int64(len(b))
		_, w.err = w.out.Write(b)
	}
}

func (w *backupWriter) record(kind byte, payload []byte) {
	var head [2 + binary.MaxVarintLen64]byte
	w.write(binary.AppendUvarint(append(head[:0], kind, recordVersion), uint64(len(payload))))
	w.write(payload)
}

// rows writes all records but the last. It fails at a row that cannot be used; what cannot be written
// ends it without an error.
func (w *backupWriter) rows(in rows, m *meta) (err error) {
	defer guard(&err, debug.SetPanicOnFault(true))
	in.scan(string(tabList), after(string(tabList)), func(key string, payload []byte) bool {
		w.list(in, decodeList(key[1:], payload))
		return w.err == nil
	})
	in.scan(string(tabOrder), after(string(tabOrder)), func(_ string, payload []byte) bool {
		order := &reader{b: payload}
		at, key := order.int(), string(order.b)
		w.key(key[1:], at, in.get(key))
		return w.err == nil
	})
	if w.err == nil && w.about.Keys != m.Keys {
		damagedRow(errors.New("there are not as many keys as are counted"))
	}
	return nil
}

// list writes a list and its entries.
func (w *backupWriter) list(in rows, l todo.List) {
	w.buf = appendBackupList(w.buf[:0], &l)
	w.record(recList, w.buf)
	if l.Num == 0 {
		w.about.Deleted++
		return
	}
	w.about.Lists++
	left := l.Entries
	prefix := numKey(tabEntry, l.Num)
	in.scan(prefix, after(prefix), func(_ string, payload []byte) bool {
		left--
		w.about.Entries++
		w.record(recEntry, payload)
		return w.err == nil
	})
	if left != 0 && w.err == nil {
		damagedRow(errors.New("a list has not as many entries as it counts"))
	}
	w.trash(in, l.Num)
	w.traces(in, l.Num)
}

func (w *backupWriter) trash(in rows, num uint64) {
	left := in.trashCount(num)
	in.scan(numKey(tabTrash, num, 0), after(numKey(tabTrash, num)), func(_ string, payload []byte) bool {
		left--
		w.about.Trash++
		if t := decodeTrashed(payload); t.Kind == todo.MovedAway { // numbers of lists are given anew
			t.List, t.Num = cmp.Or(in.names(t.Num).now, t.List), 0
			w.buf = appendTrashed(w.buf[:0], &t)
			payload = w.buf
		}
		w.record(recTrash, payload)
		return w.err == nil
	})
	if left != 0 && w.err == nil {
		damagedRow(errors.New("a list has not as much trash as it counts"))
	}
}

// traces writes the histories of the entries of a list, but for those that are gone and whose history is to be swept.
func (w *backupWriter) traces(in rows, num uint64) {
	last, kept := uint64(0), false
	prefix := numKey(tabHistory, num)
	in.scan(prefix, after(prefix), func(key string, payload []byte) bool {
		id := binary.BigEndian.Uint64([]byte(key[1+8:]))
		if id != last {
			last = id
			kept = in.get(numKey(tabEntry, num, id)) != nil || in.get(numKey(tabTrash, num, id)) != nil
		}
		if kept {
			w.about.Traces++
			w.buf = append(appendUvarints(w.buf[:0], id, ^lastNum(key)), payload...)
			w.record(recTrace, w.buf)
		}
		return w.err == nil
	})
}

func (w *backupWriter) key(hash string, at int64, row []byte) {
	if row == nil {
		damagedRow(errors.New("the order of keys names none"))
	}
	k := decodeKeyRow(row)
	w.about.Keys++
	w.buf = append(w.buf[:0], hash...)
	w.buf = appendUvarints(w.buf, uint64(at))
	w.buf = appendBytes(appendBytes(w.buf, k.fingerprint), k.result)
	w.record(recKey, w.buf)
}

func (w *backupWriter) end() error {
	counts, err := json.Marshal(w.about.backupCounts)
	if err != nil {
		return err
	}
	w.record(recEnd, counts)
	sum := w.sum.Sum(nil)
	w.write(sum)
	w.about.Hash = hex.EncodeToString(sum)
	return errors.Join(w.err, w.out.Flush())
}

func appendBackupList(b []byte, l *todo.List) []byte {
	b = appendBytes(b, l.Name)
	b = appendBool(b, l.Num == 0)
	b = appendUvarints(b, l.LastID, l.Entries, l.Open, l.Rev)
	more := l.More.Get()
	if more.Was = 0; more == (todo.ListMore{}) { // numbers of lists are given anew
		return b
	}
	return appendListMore(b, &more)
}
