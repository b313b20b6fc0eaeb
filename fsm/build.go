package fsm

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	bolt "go.etcd.io/bbolt"

	"todod/fsm/todo"
)

const (
	// buildRows go into the file in one transaction, which bolt holds in memory.
	buildRows = 20_000
	// buildIndex is how many rows of indexes are put in order before they go in.
	buildIndex = 50_000
)

// builder makes the file of a replica out of a backup: the same rows from the same backup, whatever node
// it is on. Lists get numbers from 1 in the order in which they are
// met.
type builder struct {
	db   *bolt.DB
	path string
	sync bool

	tx    *bolt.Tx
	rows  *bolt.Bucket
	count int // of rows in the transaction
	index []indexRow
	num   uint64 // of the list whose entries come
	m     meta

	trashed uint64            // in the trash of that list
	given   map[string]uint64 // numbers of lists that are to come
}

func newBuilder(dir string, noSync bool) (*builder, error) {
	file, err := os.CreateTemp(dir, fmt.Sprintf(tempFormat, "built-*"))
	if err != nil {
		return nil, fmt.Errorf("make a replica of a backup: %w", err)
	}
	b := &builder{path: file.Name(), sync: !noSync, m: newMeta()}
	if err := file.Close(); err != nil {
		return nil, errors.Join(err, os.Remove(b.path))
	}
	// Nothing relies on the file before finish has synced it as a whole.
	if b.db, err = openFile(b.path, &bolt.Options{NoSync: true}); err != nil {
		return nil, errors.Join(err, os.Remove(b.path))
	}
	return b, nil
}

// drop takes the file away, unless keep was called.
func (b *builder) drop() {
	if b.path == "" {
		return
	}
	b.close()
	os.Remove(b.path)
}

func (b *builder) close() {
	if b.tx != nil {
		b.tx.Rollback()
		b.tx = nil
	}
	b.db.Close()
}

// keep gives the file away.
func (b *builder) keep() (path string, m meta) {
	path, b.path = b.path, ""
	return path, b.m
}

func (b *builder) begin() (err error) {
	if b.tx, err = b.db.Begin(true); err != nil {
		return fmt.Errorf("make a replica of a backup: %w", err)
	}
	if b.rows, err = b.tx.CreateBucketIfNotExists(rowsBucket); err != nil {
		return fmt.Errorf("make a replica of a backup: %w", err)
	}
	b.rows.FillPercent = fill
	return nil
}

func (b *builder) commit() error {
	if b.tx == nil {
		return nil
	}
	err := b.tx.Commit()
	b.tx, b.count = nil, 0
	if err != nil {
		return fmt.Errorf("make a replica of a backup: %w", err)
	}
	return nil
}

// put puts a row, begun with newRow, that was not there.
func (b *builder) put(key string, row []byte) error {
	row = seal(key, row)
	b.m.Set += rowHash(key, row)
	return b.set(key, row)
}

func (b *builder) set(key string, row []byte) error {
	if b.tx == nil {
		if err := b.begin(); err != nil {
			return err
		}
	}
	if err := b.rows.Put([]byte(key), row); err != nil {
		return fmt.Errorf("make a replica of a backup: %w", err)
	}
	if b.count++; b.count == buildRows {
		return b.commit()
	}
	return nil
}

func (b *builder) list(l todo.List, deleted bool) error {
	b.endList()
	if l.Num = 0; !deleted {
		b.num = b.numberOf(l.Name)
		l.Num = b.num
		delete(b.given, l.Name)
	}
	return b.put(textKey(tabList, l.Name), appendList(newRow(32), &l))
}

// numberOf gives a list that is not there yet its number.
func (b *builder) numberOf(name string) uint64 {
	num, ok := b.given[name]
	if !ok {
		num = b.m.NextList
		b.m.NextList++
	}
	return num
}

// numberNow returns the number of a list that is there or may still come.
func (b *builder) numberNow(name string) uint64 {
	key := textKey(tabList, name)
	if row := b.rows.Get([]byte(key)); row != nil {
		return decodeList(name, mustUnseal(key, row)).Num
	}
	num := b.numberOf(name)
	if b.given == nil {
		b.given = map[string]uint64{}
	}
	b.given[name] = num
	return num
}

func (b *builder) entry(e todo.Entry) error {
	b.index = indexRows(b.index, b.num, &e)
	if err := b.mayPutIndex(); err != nil {
		return err
	}
	return b.put(numKey(tabEntry, b.num, e.ID), appendEntry(newRow(48+len(e.Title)), &e))
}

func (b *builder) trash(t todo.Trashed) error {
	own, all, list := trashKeys(b.num, t.Entry.ID, t.At)
	if b.tx == nil {
		if err := b.begin(); err != nil {
			return err
		}
	}
	if b.rows.Get([]byte(numKey(tabEntry, b.num, t.Entry.ID))) != nil {
		return damagedBackup("an entry is in the trash too")
	}
	if t.Kind == todo.MovedAway {
		t.Num = b.numberNow(t.List)
	}
	b.trashed++
	b.index = append(b.index, indexRow{key: all}, indexRow{key: list})
	return b.put(own, appendTrashed(newRow(80+len(t.Entry.Title)), &t))
}

func (b *builder) trace(id uint64, t Trace) error {
	b.index = append(b.index, indexRow{numKey(tabTraces, t.Rev, b.num, id), t.Count})
	row := appendTrace(newRow(64), &t.Trace)
	b.m.HistoryBytes += traceSize(row[1:])
	return cmp.Or(b.put(numKey(tabHistory, b.num, id, ^t.Count), row), b.mayPutIndex())
}

// endList puts what a list counts.
func (b *builder) endList() {
	if b.trashed > 0 {
		b.index = append(b.index, indexRow{numKey(tabTrash, b.num), b.trashed})
		b.trashed = 0
	}
}

// mayPutIndex puts the rows of indexes once there are many.
func (b *builder) mayPutIndex() error {
	if len(b.index) < buildIndex {
		return nil
	}
	return b.putIndex()
}

func (b *builder) putIndex() error {
	slices.SortFunc(b.index, func(x, y indexRow) int { return strings.Compare(x.key, y.key) })
	for i := range b.index {
		if err := b.put(b.index[i].key, b.index[i].row()); err != nil {
			return err
		}
	}
	b.index = b.index[:0]
	return nil
}

func (b *builder) key(k backupKey) error {
	m := &b.m
	key := string(tabKey) + k.hash
	row := appendKeyRow(newRow(48+len(k.result)), &keyRow{m.NextKey, k.time, k.fingerprint, k.result})
	if err := b.put(key, row); err != nil {
		return err
	}
	if err := b.put(numKey(tabOrder, m.NextKey), appendOrderRow(newRow(8+len(key)), k.time, key)); err != nil {
		return err
	}
	m.NextKey++
	m.Keys++
	m.KeyBytes += uint64(len(k.result))
	return nil
}

// finish closes the file once all of the backup is in it. Only the meta row is missing then, and what the
// group has that a backup has not.
func (b *builder) finish(about *BackupInfo) error {
	b.m.Rev, b.m.Epoch, b.m.Time = about.Rev, about.Epoch, about.Time
	b.endList()
	if err := b.putIndex(); err != nil {
		return err
	}
	if b.tx == nil { // an empty backup needs its bucket too
		if err := b.begin(); err != nil {
			return err
		}
	}
	if err := b.commit(); err != nil {
		return err
	}
	return b.shut()
}

// shut makes the file durable and closes it.
func (b *builder) shut() (err error) {
	if b.sync {
		err = b.db.Sync()
	}
	if err = errors.Join(err, b.db.Close()); err != nil {
		return fmt.Errorf("make a replica of a backup: %w", err)
	}
	return nil
}

// both hands what a backup holds to two visitors.
type both [2]backupVisitor

func (v both) list(l todo.List, deleted bool) error {
	return errors.Join(v[0].list(l, deleted), v[1].list(l, deleted))
}
func (v both) entry(e todo.Entry) error   { return errors.Join(v[0].entry(e), v[1].entry(e)) }
func (v both) trash(t todo.Trashed) error { return errors.Join(v[0].trash(t), v[1].trash(t)) }
func (v both) trace(id uint64, t Trace) error {
	return errors.Join(v[0].trace(id, t), v[1].trace(id, t))
}
func (v both) key(k backupKey) error { return errors.Join(v[0].key(k), v[1].key(k)) }
