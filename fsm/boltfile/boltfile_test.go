package boltfile

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	bolt "go.etcd.io/bbolt"
)

// errSum is a row that is not as the test put it, or is in no bucket of its.
var errSum = errors.New("a row with another sum")

func value(key string, n int) []byte {
	b := bytes.Repeat([]byte{byte(n)}, n)
	return fmt.Appendf(b, "%08x", crc32.ChecksumIEEE(append([]byte(key), b...)))
}

func sound(key, value []byte) bool {
	body, sum := value[:max(len(value)-8, 0)], value[max(len(value)-8, 0):]
	return fmt.Sprintf("%08x", crc32.ChecksumIEEE(append(bytes.Clone(key), body...))) == string(sum)
}

// read returns what Walk finds, with the sums of all rows checked.
func read(b []byte, tx uint64) (map[string]string, bool, error) {
	found := map[string]string{}
	whole, err := Walk(bytes.NewReader(b), int64(len(b)), tx, func(bucket string, row []byte, keySize int) error {
		k, v := row[:keySize], row[keySize:]
		if !sound(k, v) || bucket != "small" && bucket != "large" {
			return errSum
		}
		found[bucket+"/"+string(k)] = string(v)
		return nil
	})
	return found, whole, err
}

// made is a bolt file with two buckets, a large and a small one, after many changes.
func made(t testing.TB, r *rand.Rand, rounds int, each func(tx *bolt.Tx, path string, want map[string]string)) (file []byte, want map[string]string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "bolt")
	db, err := bolt.Open(path, 0o600, &bolt.Options{NoFreelistSync: true, FreelistType: bolt.FreelistMapType, NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	want = map[string]string{}
	for round := range rounds {
		if err := db.Update(func(tx *bolt.Tx) error { return change(tx, r, round, want) }); err != nil {
			t.Fatal(err)
		}
		if each != nil {
			tx, err := db.Begin(false)
			if err != nil {
				t.Fatal(err)
			}
			each(tx, path, want)
			if err := tx.Rollback(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	file, err = os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return file, want
}

func change(tx *bolt.Tx, r *rand.Rand, round int, want map[string]string) error {
	small, err := tx.CreateBucketIfNotExists([]byte("small"))
	if err != nil {
		return err
	}
	large, err := tx.CreateBucketIfNotExists([]byte("large"))
	if err != nil {
		return err
	}
	put := func(b *bolt.Bucket, name, key string, v []byte) error {
		want[name+"/"+key] = string(v)
		return b.Put([]byte(key), v)
	}
	if err := put(small, "small", "k", value("k", round%50)); err != nil {
		return err
	}
	for range 1 + r.IntN(60) {
		key, size := fmt.Sprintf("%0*d", 1+r.IntN(20), r.IntN(3000)), r.IntN(100)
		if r.IntN(100) == 0 {
			size = r.IntN(20_000) // more than a page
		}
		if round%7 == 6 || r.IntN(3) == 0 {
			delete(want, "large/"+key)
			err = large.Delete([]byte(key))
		} else {
			err = put(large, "large", key, value(key, size))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Walk finds what bolt has, after each of many transactions, and beside those that come later.
func TestWalkFindsAll(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	made(t, r, 300, func(tx *bolt.Tx, path string, want map[string]string) {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, id := range []uint64{0, uint64(tx.ID())} {
			found, whole, err := read(b, id)
			if err != nil || !whole || !maps.Equal(found, want) {
				t.Fatalf("transaction %d: %d rows of %d, %v, %v", tx.ID(), len(found), len(want), whole, err)
			}
		}
		if _, _, err := read(b, uint64(tx.ID())+1); !errors.Is(err, ErrGone) {
			t.Errorf("a transaction to come: %v", err)
		}
	})
}

// A flipped bit is found, or is in no page that the newest transaction uses; in a meta page it leaves one
// of two.
func TestFlippedBits(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	var states []map[string]string // after each transaction
	file, want := made(t, r, 60, func(_ *bolt.Tx, _ string, want map[string]string) { states = append(states, maps.Clone(want)) })
	earlier := func(found map[string]string) bool {
		return slices.ContainsFunc(states, func(s map[string]string) bool { return maps.Equal(s, found) })
	}
	damaged, metas, flips := 0, 0, 5_000
	if testing.Short() {
		flips = 1_000
	}
	for i := range flips {
		at, bit := r.IntN(len(file)), byte(1)<<r.IntN(8)
		if i%10 == 0 { // where pages begin
			at = at/4096*4096 + r.IntN(64)
		}
		file[at] ^= bit
		found, whole, err := read(file, 0)
		switch {
		case errors.Is(err, ErrDamaged), errors.Is(err, errSum):
			damaged++
		case err != nil:
			t.Fatalf("byte %d, bit %08b: %v", at, bit, err)
		case !whole && earlier(found):
			metas++
		case !maps.Equal(found, want) && earlier(found):
			t.Logf("byte %d, bit %08b: leads to an old tree that is still whole", at, bit)
		case !maps.Equal(found, want):
			t.Fatalf("byte %d, bit %08b: not found out", at, bit)
		}
		file[at] ^= bit
	}
	t.Logf("%d of %d found in pages, %d in meta pages", damaged, flips, metas)
	if damaged < flips/20 || metas == 0 && flips == 5_000 {
		t.Error("too few were anywhere that counts")
	}
}

// A count that a flipped bit made zero is found, of a page and of a bucket that lies within one.
func TestCountOfZero(t *testing.T) {
	file, _ := made(t, rand.New(rand.NewPCG(7, 8)), 60, nil)
	m, _, err := newest(bytes.NewReader(file), 0)
	if err != nil {
		t.Fatal(err)
	}
	list := file[int64(m.root)*m.pageSize:]
	inline := bytes.Index(list, []byte("small")) + len("small") + rootSize
	for name, page := range map[string][]byte{"the list of buckets": list, "a bucket within it": list[inline:]} {
		n := count(page)
		page[10], page[11] = 0, 0
		if _, _, err := read(file, 0); n == 0 || !errors.Is(err, ErrDamaged) {
			t.Errorf("%s, %d before: %v", name, n, err)
		}
		page[10] = byte(n)
	}
	if _, _, err := read(file, 0); err != nil {
		t.Error(err)
	}
}

// Whatever a file holds, it is read without a panic, and within its bounds.
func FuzzWalk(f *testing.F) {
	file, _ := made(f, rand.New(rand.NewPCG(5, 6)), 3, nil)
	f.Add(file)
	f.Add(file[:9000])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		rows := 0
		_, err := Walk(bytes.NewReader(b), int64(len(b)), 0, func(string, []byte, int) error { rows++; return nil })
		if err == nil && rows > len(b) {
			t.Errorf("%d rows in %d bytes", rows, len(b))
		}
	})
}
