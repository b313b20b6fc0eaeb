// Package boltfile reads bolt's files page by page and trusts nothing in them. bolt itself checks
// its two meta pages alone: what is wrong in another shows as a row that is missing, as a panic, some of
// them in a goroutine of bolt's own where nobody can catch it, or as a page that is given away twice.
package boltfile

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"os"
)

// ErrDamaged is a file that is not as bolt wrote it.
var ErrDamaged = errors.New("a page of the file is wrong")

// ErrGone is a transaction whose meta page was overwritten before it was read.
var ErrGone = errors.New("the transaction is gone from the file")

// Visit is called for each row in the order of buckets and keys: keySize bytes of key, and its value right behind it. The row
// is valid until it returns; an error ends the walk.
type Visit func(bucket string, row []byte, keySize int) error

// The format of bolt's files, version 2. Numbers are little endian: bolt writes those of the machine,
// and all that todod runs on are so.
const (
	headSize = 16 // id 8, flags 2, count 2, overflow 4
	elemSize = 16 // branch: pos 4, ksize 4, page 8; leaf: flags 4, pos 4, ksize 4, vsize 4
	rootSize = 16 // of a bucket: page 8, sequence 8
	metaSize = 64 // magic 4, version 4, page size 4, flags 4, root 16, freelist 8, pages 8, txid 8, checksum 8

	branchPage = 0x01
	leafPage   = 0x02
	bucketElem = 0x01

	metaMagic   = 0xED0CDAED
	metaVersion = 2

	maxDepth = 64 // a tree of pages that is deeper leads in a circle
)

// meta is one of the two meta pages.
type meta struct {
	pageSize  int64
	root      uint64
	pages     uint64 // no page has this number or a higher one
	tx        uint64
	validates bool
}

// Walk reads all that a file holds as the transaction tx sees it, 0 for the newest: each page once, its
// rows in order and where a search would find them. The transaction must be open, or the file
// not in use. whole tells that both meta pages are well: with one of them gone the newest
// transaction may be the one before the last. The error is ErrDamaged, ErrGone, the reader's or visit's.
func Walk(r io.ReaderAt, size int64, tx uint64, visit Visit) (whole bool, err error) {
	m, whole, err := newest(r, tx)
	if err != nil {
		return whole, err
	}
	if m.pages > uint64(size/m.pageSize) {
		return whole, fmt.Errorf("the file is cut short: %w", ErrDamaged)
	}
	w := &walker{r: r, meta: m, used: make([]uint64, m.pages/64+1), visit: visit}
	return whole, w.page(m.root, 0, nil, nil, nil)
}

// newest returns the meta page of a transaction.
func newest(r io.ReaderAt, tx uint64) (m meta, whole bool, err error) {
	first, err := readMeta(r, 0)
	if err != nil {
		return m, false, err
	}
	pageSize := first.pageSize
	if !first.validates {
		pageSize = int64(os.Getpagesize())
	}
	second, err := readMeta(r, pageSize)
	if err != nil {
		return m, false, err
	}
	for _, c := range []meta{first, second} {
		if c.validates && (tx == 0 && c.tx >= m.tx || tx != 0 && c.tx == tx) {
			m = c
		}
	}
	whole = first.validates && second.validates
	switch {
	case m.validates:
		return m, whole, nil
	case tx != 0:
		return m, whole, ErrGone
	}
	return m, whole, fmt.Errorf("both meta pages: %w", ErrDamaged)
}

func readMeta(r io.ReaderAt, at int64) (m meta, err error) {
	var b [headSize + metaSize]byte
	if _, err := r.ReadAt(b[:], at); err != nil {
		if errors.Is(err, io.EOF) {
			err = nil // shorter than that
		}
		return m, err
	}
	body := b[headSize:]
	sum := fnv.New64a()
	sum.Write(body[:metaSize-8])
	m = meta{pageSize: int64(u32(body, 8)), root: u64(body, 16), pages: u64(body, 40), tx: u64(body, 48)}
	m.validates = u32(body, 0) == metaMagic && u32(body, 4) == metaVersion && u64(body, 56) == sum.Sum64() &&
		m.pageSize >= 512 && m.pageSize <= 1<<16
	return m, nil
}

type walker struct {
	r io.ReaderAt
	meta
	used  []uint64 // a bit for each page that was come to
	bufs  [][]byte // one for each depth: a page's keys bound those of the pages below it
	visit Visit
}

// page reads a page and all below it. Its first key must be first, unless that is nil, and
// all be below a limit, unless that is nil. bucket is nil for the pages that list the buckets.
func (w *walker) page(id uint64, depth int, bucket *string, first, below []byte) error {
	b, err := w.load(id, depth)
	if err != nil {
		return err
	}
	switch flags := binary.LittleEndian.Uint16(b[8:]); {
	case flags == leafPage:
		return w.leaf(b, depth, bucket, first, below)
	case flags == branchPage:
		return w.branch(b, depth, bucket, first, below)
	}
	return damaged("page %d is neither branch nor leaf", id)
}

// load reads a page that nothing else points at.
func (w *walker) load(id uint64, depth int) ([]byte, error) {
	if id < 2 || id >= w.pages || depth > maxDepth {
		return nil, damaged("page %d is none of the file's", id)
	}
	b, err := w.read(id, 1, 0, depth)
	if err != nil {
		return nil, err
	}
	last := id + uint64(u32(b, 12))
	if u64(b, 0) != id || last >= w.pages {
		return nil, damaged("page %d calls itself %d and ends at %d of %d", id, u64(b, 0), last, w.pages)
	}
	for at := id; at <= last; at++ {
		if w.used[at/64]&(1<<(at%64)) != 0 {
			return nil, damaged("page %d is used twice", at)
		}
		w.used[at/64] |= 1 << (at % 64)
	}
	if last > id {
		return w.read(id, last-id+1, 1, depth)
	}
	return b, nil
}

// read returns n pages of the file, in the buffer of a depth, whose first kept of them were read before.
func (w *walker) read(id, n, kept uint64, depth int) ([]byte, error) {
	for len(w.bufs) <= depth {
		w.bufs = append(w.bufs, make([]byte, w.pageSize))
	}
	size, from := int64(n)*w.pageSize, int64(kept)*w.pageSize
	if int64(cap(w.bufs[depth])) < size {
		w.bufs[depth] = append(make([]byte, 0, size), w.bufs[depth][:from]...)
	}
	b := w.bufs[depth][:size]
	if _, err := w.r.ReadAt(b[from:], int64(id)*w.pageSize+from); err != nil {
		return nil, fmt.Errorf("read page %d: %w", id, err)
	}
	return b, nil
}

func (w *walker) branch(b []byte, depth int, bucket *string, first, below []byte) error {
	e := elements{page: b, n: count(b)}
	e.end = headSize + e.n*elemSize
	if e.n == 0 {
		return damaged("a branch page without branches")
	}
	key, ok := e.take(0, u32(b, headSize), u32(b, headSize+4), 0)
	if !ok || first != nil && !bytes.Equal(key, first) {
		return damaged("a branch page begins with another key")
	}
	for i := range e.n {
		next := below
		if to := headSize + (i+1)*elemSize; i+1 < e.n {
			if next, ok = e.take(i+1, u32(b, to), u32(b, to+4), 0); !ok {
				return damaged("a key is not where it belongs")
			}
		}
		if next != nil && bytes.Compare(key, next) >= 0 {
			return damaged("keys out of order")
		}
		if err := w.page(u64(b, headSize+i*elemSize+8), depth+1, bucket, key, next); err != nil {
			return err
		}
		key = next
	}
	return nil
}

func (w *walker) leaf(b []byte, depth int, bucket *string, first, below []byte) error {
	e := elements{page: b, n: count(b)}
	e.end = headSize + e.n*elemSize
	// One that holds nothing is all zeros behind its head: a count that lost its only bit shows.
	if e.n == 0 && (first != nil || len(bytes.Trim(b[headSize:], "\x00")) != 0) {
		return damaged("a leaf page without rows")
	}
	var last []byte
	for i := range e.n {
		at := headSize + i*elemSize
		if at+elemSize > len(b) {
			return damaged("a page with more elements than it has room for")
		}
		ksize := u32(b, at+8)
		row, ok := e.take(i, u32(b, at+4), ksize, u32(b, at+12))
		if !ok {
			return damaged("a row is not where it belongs")
		}
		key := row[:ksize:ksize]
		switch {
		case i == 0 && first != nil && !bytes.Equal(key, first):
			return damaged("a leaf page begins with another key")
		case i > 0 && bytes.Compare(last, key) >= 0, below != nil && bytes.Compare(key, below) >= 0:
			return damaged("keys out of order")
		}
		last = key
		if err := w.element(u32(b, at), row, int(ksize), depth, bucket); err != nil {
			return err
		}
	}
	return nil
}

// element is a row, or among the buckets one of them: with pages of its own, or with a small one within.
func (w *walker) element(flags uint32, row []byte, keySize, depth int, bucket *string) error {
	value := row[keySize:]
	switch {
	case bucket != nil && flags == 0:
		return w.visit(*bucket, row, keySize)
	case bucket != nil || flags != bucketElem || len(value) < rootSize:
		return damaged("a row of a kind that is not there")
	}
	name := string(row[:keySize])
	if root := u64(value, 0); root != 0 {
		return w.page(root, depth+1, &name, nil, nil)
	}
	inline := value[rootSize:]
	if len(inline) < headSize || binary.LittleEndian.Uint16(inline[8:]) != leafPage {
		return damaged("a bucket without a page")
	}
	return w.leaf(inline, depth, &name, nil, nil)
}

func count(page []byte) int { return int(binary.LittleEndian.Uint16(page[10:])) }

// elements are those of a page. bolt writes what they hold in their order, without gaps, right behind their
// table: so a count that is wrong shows.
type elements struct {
	page []byte
	n    int
	end  int // of what was taken
}

// take returns what element i holds; its place is counted from the element.
func (e *elements) take(i int, pos, ksize, vsize uint32) ([]byte, bool) {
	from := headSize + i*elemSize + int(pos)
	to := from + int(ksize) + int(vsize)
	if from != e.end || to > len(e.page) {
		return nil, false
	}
	e.end = to
	return e.page[from:to:to], true
}

func u32(b []byte, at int) uint32 { return binary.LittleEndian.Uint32(b[at:]) }
func u64(b []byte, at int) uint64 { return binary.LittleEndian.Uint64(b[at:]) }

func damaged(format string, args ...any) error {
	return fmt.Errorf(format+": %w", append(args, ErrDamaged)...)
}
