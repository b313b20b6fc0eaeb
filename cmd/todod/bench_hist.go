package main

import (
	"math"
	"math/bits"
	"sync/atomic"
	"time"
)

// A histogram has 64 buckets for each power of two of nanoseconds: what it tells is at most
// 1/64 above the truth, in 9 KB however much it counts.
const (
	histBits    = 6
	histMax     = 40 // 2^40 ns are 18 minutes; what is longer counts as that
	histBuckets = (histMax - histBits + 1) << histBits
)

// histogram counts latencies, from many goroutines at once.
type histogram struct {
	counts [histBuckets]atomic.Uint32
	max    atomic.Int64
}

// bucketOf is the bucket of a latency: below 64 ns each has its own.
func bucketOf(d time.Duration) int {
	v := uint64(max(d, 0))
	v = min(v, 1<<histMax-1)
	shift := max(bits.Len64(v)-1-histBits, 0)
	return shift<<histBits + int(v>>shift)
}

// bucketTop is the highest latency of a bucket.
func bucketTop(i int) time.Duration {
	shift := max(i>>histBits-1, 0)
	return time.Duration((i-shift<<histBits+1)<<shift - 1)
}

func (h *histogram) add(d time.Duration) {
	h.counts[bucketOf(d)].Add(1)
	for {
		old := h.max.Load()
		if int64(d) <= old || h.max.CompareAndSwap(old, int64(d)) {
			return
		}
	}
}

// tally is the sum of some histograms, for whoever reads them.
type tally struct {
	counts [histBuckets]uint64
	n      uint64
	max    time.Duration
}

func (t *tally) add(h *histogram) {
	for i := range h.counts {
		c := uint64(h.counts[i].Load())
		t.counts[i] += c
		t.n += c
	}
	t.max = max(t.max, time.Duration(h.max.Load()))
}

// quantile is the latency that a share q of all is not above (nearest rank), 0 if there is none.
func (t *tally) quantile(q float64) time.Duration {
	rank := max(uint64(math.Ceil(q*float64(t.n))), 1)
	seen := uint64(0)
	for i, c := range t.counts {
		if seen += c; seen >= rank {
			return min(bucketTop(i), t.max)
		}
	}
	return t.max
}

// bin is a row of a drawn histogram.
type bin struct {
	UpTo  float64 `json:"up_to_ms"`
	Count uint64  `json:"count"`
}

// bins sums the buckets between one power of two of microseconds and the next, from the first to the
// last that holds any.
func (t *tally) bins() (all []bin) {
	edge := time.Microsecond
	for i, c := range t.counts {
		for bucketTop(i) >= 2*edge && edge < 1<<histMax {
			edge *= 2
		}
		if c == 0 {
			continue
		}
		for top := millisOf(2 * edge); len(all) == 0 || all[len(all)-1].UpTo < top; {
			if len(all) == 0 {
				all = append(all, bin{UpTo: top})
				continue
			}
			all = append(all, bin{UpTo: 2 * all[len(all)-1].UpTo})
		}
		all[len(all)-1].Count += c
	}
	return all
}

func millisOf(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// join adds another tally.
func (t *tally) join(other *tally) {
	for i, c := range other.counts {
		t.counts[i] += c
	}
	t.n += other.n
	t.max = max(t.max, other.max)
}
