package fsm

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"strconv"
	"strings"

	"todod/fsm/todo"
)

// recKinds are the kinds of record: the first four are all that version 1 has.
const recKinds = "lekzth"

// ErrNotBackup is a file that is no backup of todod.
var ErrNotBackup = errors.New("this is not a backup of todod")

// backupKey is an idempotency key in a backup.
type backupKey struct {
	hash, fingerprint string
	time              int64
	result            []byte
}

// backupVisitor takes what a backup holds, in its order.
type backupVisitor interface {
	list(l todo.List, deleted bool) error
	entry(e todo.Entry) error
	trash(t todo.Trashed) error
	trace(id uint64, t Trace) error
	key(k backupKey) error
}

// CheckBackup reads a whole backup and returns what it says of itself. It fails with ErrNotBackup, with
// ErrDamaged for one that is damaged or cut short, with ErrUnknown for one of a newer todod, or as from does. It
// is for use before proposing only: the texts in it are checked as those of a request.
func CheckBackup(from io.Reader) (BackupInfo, error) {
	return readBackup(from, &backupChecker{})
}

// BackupHead reads what a backup says of itself in its first lines, and nothing else of it: no counts, no hash.
func BackupHead(from io.Reader) (BackupInfo, error) {
	r := &backupReader{in: bufio.NewReader(from), sum: sha256.New()}
	err := r.head()
	return r.about, err
}

// readBackup hands all of a backup to a visitor. Only once it has returned without an error is any
// of it to be believed.
func readBackup(from io.Reader, to backupVisitor) (BackupInfo, error) {
	r := &backupReader{in: bufio.NewReaderSize(from, 64<<10), sum: sha256.New()}
	about, err := r.all(to)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, errShort) {
		err = errCutBackup
	}
	return about, err
}

var errCutBackup = fmt.Errorf("the backup is cut short or %w", ErrDamaged)

func damagedBackup(what string) error { return fmt.Errorf("the backup: %s: %w", what, ErrDamaged) }

// backupReader takes a backup apart.
type backupReader struct {
	in    *bufio.Reader
	sum   hash.Hash
	about BackupInfo
	buf   []byte

	left, open uint64 // entries of the list that are to come, open ones among them
	last       uint64 // id of the last entry
	list       todo.List
	named      string // the last list, deleted ones too

	version uint64
	trashed uint64    // id of the last of the trash of the list
	traced  [2]uint64 // id and count of the last change of an entry of it
}

func (r *backupReader) all(to backupVisitor) (BackupInfo, error) {
	if err := r.head(); err != nil {
		return r.about, err
	}
	for {
		kind, payload, err := r.record()
		if err != nil {
			return r.about, err
		}
		if kind == recEnd {
			return r.about, r.end(payload)
		}
		if err := r.take(kind, &reader{b: payload}, to); err != nil {
			return r.about, err
		}
	}
}

func (r *backupReader) read(b []byte) error {
	_, err := io.ReadFull(r.in, b)
	r.sum.Write(b)
	r.about.Size += int64(len(b))
	return err
}

// head reads the two lines that a backup begins with.
func (r *backupReader) head() error {
	magic := make([]byte, len(backupMagic))
	if _, err := io.ReadFull(r.in, magic); err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return err
	}
	if string(magic) != backupMagic {
		return ErrNotBackup
	}
	r.sum.Write(magic)
	version, err := r.line()
	if err != nil {
		return err
	}
	switch v, err := strconv.ParseUint(version, 10, 32); {
	case err != nil:
		return damagedBackup("its version cannot be read")
	case v == 0 || v > backupVersion:
		return fmt.Errorf("the backup has version %d, this todod reads up to %d: it is %w", v, backupVersion, ErrUnknown)
	default:
		r.version = v
	}
	about, err := r.line()
	if err != nil {
		return err
	}
	if err := json.Unmarshal([]byte(about), &r.about); err != nil {
		return damagedBackup("what it says of itself cannot be read")
	}
	if r.about.Needs > backupVersion || max(1, r.about.Needs) != r.version {
		return damagedBackup("it says that it needs another version of the group than it has")
	}
	r.about.backupCounts = backupCounts{}
	r.about.Size = int64(len(magic) + len(version) + len(about) + 2)
	return nil
}

func (r *backupReader) line() (string, error) {
	var line []byte
	for {
		c, err := r.in.ReadByte()
		if err != nil {
			return "", err
		}
		r.sum.Write([]byte{c})
		if c == '\n' {
			return string(line), nil
		}
		if line = append(line, c); len(line) > maxBackupHead {
			return "", damagedBackup("its first lines have no end")
		}
	}
}

// record reads one record. The payload holds until the next.
func (r *backupReader) record() (kind byte, payload []byte, err error) {
	var head [2]byte
	if err := r.read(head[:]); err != nil {
		return 0, nil, err
	}
	size, err := binary.ReadUvarint(countedByte{r})
	switch {
	case err != nil:
		return 0, nil, err
	case !strings.ContainsRune(recKinds[:2+2*r.version], rune(head[0])), head[1] == 0, size > maxBackupRecord:
		return 0, nil, damagedBackup("a record cannot be read")
	case head[1] != recordVersion:
		return 0, nil, fmt.Errorf("the backup has a record %q of version %d: it is %w", head[0], head[1], ErrUnknown)
	}
	if uint64(cap(r.buf)) < size {
		r.buf = make([]byte, size)
	}
	r.buf = r.buf[:size]
	return head[0], r.buf, r.read(r.buf)
}

// countedByte reads single bytes of what is summed up.
type countedByte struct{ r *backupReader }

func (c countedByte) ReadByte() (byte, error) {
	var b [1]byte
	err := c.r.read(b[:])
	return b[0], err
}

// take hands a record on, once it fits to those before it.
func (r *backupReader) take(kind byte, in *reader, to backupVisitor) error {
	switch {
	case kind == recEntry:
		return r.takeEntry(in, to)
	case r.left != 0 || r.open != 0:
		return damagedBackup("a list has not as many entries as it counts")
	case kind == recList:
		return r.takeList(in, to)
	case kind == recTrash:
		return r.takeTrash(in, to)
	case kind == recTrace:
		return r.takeTrace(in, to)
	}
	k := backupKey{}
	if len(in.b) > keyHashSize {
		k.hash, in.b = string(in.b[:keyHashSize]), in.b[keyHashSize:]
	}
	k.time, k.fingerprint, k.result = in.int(), in.string(), bytes.Clone(in.bytes())
	if err := in.end(); err != nil || k.hash == "" {
		return damagedBackup("a key cannot be read")
	}
	r.about.Keys++
	return to.key(k)
}

func (r *backupReader) takeList(in *reader, to backupVisitor) error {
	l := todo.List{Name: in.string()}
	deleted := in.bool()
	l.LastID, l.Entries, l.Open, l.Rev = in.uvarint(), in.uvarint(), in.uvarint(), in.uvarint()
	if len(in.b) > 0 {
		more := in.listMore()
		l.More = &more
		in.bad = in.bad || more == todo.ListMore{}
	}
	switch {
	case in.end() != nil, l.Name <= r.named, l.Open > l.Entries, l.Entries > l.LastID, l.Rev > r.about.Rev,
		deleted && l.Entries != 0, r.about.Keys != 0:
		return damagedBackup("a list cannot be read")
	case deleted:
		r.about.Deleted++
	default:
		r.about.Lists++
	}
	r.list, r.named, r.left, r.open, r.last, r.trashed, r.traced = l, l.Name, l.Entries, l.Open, 0, 0, [2]uint64{}
	if deleted {
		r.list.LastID = 0 // nothing of it is to come
	}
	return to.list(l, deleted)
}

func (r *backupReader) takeEntry(in *reader, to backupVisitor) error {
	e := in.entry()
	if in.end() != nil || r.left == 0 || e.ID <= r.last || e.ID > r.list.LastID || e.Rev > r.about.Rev || !e.Done && r.open == 0 {
		return damagedBackup("an entry cannot be read")
	}
	r.left, r.last = r.left-1, e.ID
	if !e.Done {
		r.open--
	}
	r.about.Entries++
	return to.entry(e)
}

func (r *backupReader) takeTrash(in *reader, to backupVisitor) error {
	t := in.trashed()
	id := t.Entry.ID
	if in.end() != nil || id <= r.trashed || id > r.list.LastID || t.Rev > r.about.Rev || r.traced[0] != 0 || r.about.Keys != 0 {
		return damagedBackup("something in the trash cannot be read")
	}
	r.trashed = id
	r.about.Trash++
	return to.trash(t)
}

func (r *backupReader) takeTrace(in *reader, to backupVisitor) error {
	id, count := in.uvarint(), in.uvarint()
	t := in.trace()
	if in.end() != nil || id < r.traced[0] || id == r.traced[0] && count >= r.traced[1] || id == 0 || id > r.list.LastID || count == 0 ||
		t.Rev > r.about.Rev || r.about.Keys != 0 {
		return damagedBackup("a change of an entry cannot be read")
	}
	r.traced = [2]uint64{id, count}
	r.about.Traces++
	return to.trace(id, Trace{count, t})
}

// end compares the counts, and the hash of all with what was read.
func (r *backupReader) end(payload []byte) error {
	var counts backupCounts
	if err := json.Unmarshal(payload, &counts); err != nil || r.left != 0 || r.open != 0 || counts != r.about.backupCounts {
		return damagedBackup("it does not hold what it counts")
	}
	sum := r.sum.Sum(nil)
	var want [sha256.Size]byte
	if err := r.read(want[:]); err != nil {
		return err
	}
	if !bytes.Equal(sum, want[:]) {
		return fmt.Errorf("the backup does not have the hash it says: it is %w", ErrDamaged)
	}
	switch _, err := r.in.ReadByte(); {
	case err == nil:
		return damagedBackup("something follows its end")
	case !errors.Is(err, io.EOF):
		return err
	}
	r.about.Hash = hex.EncodeToString(sum)
	return nil
}

// backupChecker holds the texts of a backup against the rules for those of a request.
type backupChecker struct{ name string }

func (c *backupChecker) list(l todo.List, _ bool) error {
	c.name = l.Name
	if name, err := todo.ListName(l.Name); err != nil || name != l.Name {
		return damagedBackup("a list has a name that none can have")
	}
	return nil
}

func (c *backupChecker) entry(e todo.Entry) error {
	if todo.Title(e.Title) != nil || !mayHold(e.Date, e.More) {
		return damagedBackup("an entry holds what none can hold")
	}
	return nil
}

func (c *backupChecker) trash(t todo.Trashed) error {
	if name, err := todo.ListName(t.List); t.Kind == todo.MovedAway && (err != nil || name != t.List) {
		return damagedBackup("an entry moved to where none can be")
	}
	return c.entry(t.Entry)
}

func (c *backupChecker) trace(_ uint64, t Trace) error {
	for _, f := range []*todo.Fields{&t.From, &t.To} {
		if f.Title != "" && todo.Title(f.Title) != nil || !mayHold(f.Date, f.More) {
			return damagedBackup("an entry held what none can hold")
		}
	}
	return nil
}

// mayHold judges what can be judged without zones and rules of repeats.
func mayHold(date string, more *todo.More) bool {
	if date != "" && todo.Date(date) != nil {
		return false
	}
	return more == nil || more.Stored() == nil
}

func (c *backupChecker) key(k backupKey) error {
	if _, err := DecodeResult(k.result); err != nil {
		return damagedBackup("a key cannot be read")
	}
	return nil
}
