package bench

import (
	"math"
	"math/bits"
	"slices"
	"time"
)

// median of values, which must not be empty; between the two in the middle if
// their number is even.
func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}

// histogram counts durations in buckets that are at most 1.6 % wide, so that
// millions of them cost a few kilobytes and those of several processes can be
// added. The zero value is empty. Not for concurrent use.
type histogram struct {
	Counts []int64 `json:"counts,omitempty"` // by bucketOf, up to the last that is not 0
}

// subBits is how many bits of a value are kept behind its first.
const subBits = 6

// bucketOf keeps the first 7 significant bits of v: exact up to 127, and then
// 64 buckets for each doubling.
func bucketOf(v uint64) int {
	shift := max(0, bits.Len64(v)-subBits-1)
	return shift<<subBits + int(v>>shift)
}

// valueOf is the middle of a bucket.
func valueOf(bucket int) uint64 {
	shift := max(0, bucket>>subBits-1)
	low := uint64(bucket-shift<<subBits) << shift
	return low + uint64(1)<<shift/2
}

// add counts d; less than nothing, which two clocks can make, is nothing.
func (h *histogram) add(d time.Duration) {
	b := bucketOf(uint64(max(0, d)))
	if more := b + 1 - len(h.Counts); more > 0 {
		h.Counts = append(h.Counts, make([]int64, more)...)
	}
	h.Counts[b]++
}

// merge adds what o has counted.
func (h *histogram) merge(o histogram) {
	if more := len(o.Counts) - len(h.Counts); more > 0 {
		h.Counts = append(h.Counts, make([]int64, more)...)
	}
	for b, n := range o.Counts {
		h.Counts[b] += n
	}
}

// count is how many were added.
func (h *histogram) count() int64 {
	var n int64
	for _, c := range h.Counts {
		n += c
	}
	return n
}

// quantile is the value that the share q of all does not exceed; 0 if there is
// none.
func (h *histogram) quantile(q float64) time.Duration {
	rank := max(1, int64(math.Ceil(q*float64(h.count()))))
	for b, n := range h.Counts {
		if rank -= n; rank <= 0 {
			return time.Duration(valueOf(b))
		}
	}
	return 0
}
