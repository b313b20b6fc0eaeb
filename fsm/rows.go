package fsm

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/cespare/xxhash/v2"

	"todod/fsm/todo"
)

// Every row of the replica has a key that begins with the letter of its table. Numbers in
// keys are 8 bytes, big endian, so that the order of keys is the order of numbers.
const (
	tabChange  = 'c' // rev -> what changed
	tabDate    = 'd' // list number, date, id -> nothing: the index by date, in the order added
	tabEntry   = 'e' // list number, id -> the entry
	tabFolder  = 'f' // data-folder ID -> node ID
	tabGarbage = 'g' // number of a deleted list whose rows are still to go -> the last of them that went
	tabKey     = 'k' // hash of principal and idempotency key -> the answer
	tabList    = 'l' // name -> list number, counters and the highest id ever used; number 0: deleted
	tabMember  = 'm' // node ID -> the member
	tabNode    = 'b' // node ID -> the number of its open session
	tabPlace   = 'p' // list number, place, id -> nothing: entries that were put somewhere, in their order
	tabUID     = 'n' // list number, uid -> id: which entry has it
	tabParent  = 'u' // list number, parent, id -> nothing: what is below an entry
	tabTrash   = 't' // list number, id -> what was deleted; list number -> how many of these there are
	tabQueue   = 'q' // 0, time, list number, id -> nothing: all trash by age; list number, time, id: that of a list
	tabHistory = 'h' // list number, id, complement of a count -> what a command changed; the newest first
	tabNames   = 'w' // list number -> what a list that was renamed is called, and was until which rev
	tabTraces  = 'i' // rev, list number, id -> that count: all history by age
	tabOrder   = 'o' // sequence -> time, key of the row: idempotency keys in the order they came
	tabResult  = 'r' // session number, number -> result
	tabSession = 's' // session number -> the session
)

// A row is: format version, payload, CRC32C over version and payload
// that begins with a hash of the key. The sum comes last in
// every version to come, so that a newer row is told from a damaged one.
const rowVersion = 1

// newRow begins a row for a payload of about size bytes.
func newRow(size int) []byte {
	return append(make([]byte, 0, 1+size+crcSize), rowVersion)
}

// seal ends a row that newRow began.
func seal(key string, row []byte) []byte {
	return binary.BigEndian.AppendUint32(row, rowSum(xxhash.Sum64String(key), row))
}

// rowSum begins with a hash of the key, so that a row under the key of another is found out.
func rowSum(key uint64, versioned []byte) uint32 {
	return crc32.Update(uint32(key), castagnoli, versioned)
}

// unseal returns the payload of a row, ErrCorrupt for a damaged or ErrUnknown for a newer one.
func unseal(key string, row []byte) ([]byte, error) {
	return unsealAs(xxhash.Sum64String(key), key, row)
}

// unsealAs is unseal with the hash of the key.
func unsealAs[K string | []byte](hash uint64, key K, row []byte) ([]byte, error) {
	if len(row) < 1+crcSize {
		return nil, fmt.Errorf("a row of table %.1q is cut short: %w", copied(key), ErrCorrupt)
	}
	body := row[:len(row)-crcSize]
	if rowSum(hash, body) != binary.BigEndian.Uint32(row[len(body):]) {
		return nil, fmt.Errorf("a row of table %.1q with a wrong sum: %w", copied(key), ErrCorrupt)
	}
	if body[0] != rowVersion {
		return nil, fmt.Errorf("a row of table %.1q has version %d: %w", copied(key), body[0], ErrUnknown)
	}
	return body[1:], nil
}

// copied is a key for an error: with the key itself in one, all keys that are looked up would have to be allocated.
func copied[K string | []byte](key K) []byte { return append([]byte(nil), key...) }

func numKey(table byte, nums ...uint64) string {
	var buf [1 + 4*8]byte
	b := append(buf[:0], table)
	for _, n := range nums {
		b = binary.BigEndian.AppendUint64(b, n)
	}
	return string(b)
}

func textKey(table byte, text string) string { return string(rune(table)) + text }

func dateKey(num uint64, date string, id uint64) string {
	var buf [1 + 8 + 10 + 8]byte
	b := binary.BigEndian.AppendUint64(append(buf[:0], tabDate), num)
	return string(binary.BigEndian.AppendUint64(append(b, date...), id))
}

func uidKey(num uint64, uid string) string { return numKey(tabUID, num) + uid }

func placeKey(num uint64, p todo.Position) string { return numKey(tabPlace, num, p.Hi, p.Lo, p.ID) }

func parentKey(num, parent, id uint64) string { return numKey(tabParent, num, parent, id) }

func lastNum(key string) uint64 {
	if len(key) < 8 {
		damagedRow(errShort)
	}
	return binary.BigEndian.Uint64([]byte(key[len(key)-8:]))
}

// after returns the first key beyond all keys with the given prefix.
func after(prefix string) string {
	b := []byte(prefix)
	for b[len(b)-1] == 0xff { // a key begins with a letter, so this ends
		b = b[:len(b)-1]
	}
	b[len(b)-1]++
	return string(b)
}
