package bench

import (
	"encoding/json"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestMedian(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		values []float64
		want   float64
	}{
		{[]float64{3}, 3},
		{[]float64{3, 1}, 2},
		{[]float64{9, 1, 2}, 2},
		{[]float64{4, 1, 3, 2}, 2.5},
	} {
		before := append([]float64(nil), tt.values...)
		if got := median(tt.values); got != tt.want {
			t.Errorf("median(%v) = %v, want %v", tt.values, got, tt.want)
		}
		if !cmp.Equal(tt.values, before) {
			t.Errorf("median changed its argument: %v, was %v", tt.values, before)
		}
	}
}

// Each value is in a bucket whose middle is at most 0.8 % away, and buckets
// follow one another without a gap.
func TestBucketsAreNarrowAndComplete(t *testing.T) {
	t.Parallel()
	last := -1
	for v := uint64(0); v < 1<<62; v += 1 + v/300 {
		b := bucketOf(v)
		if b != last && b != last+1 {
			t.Fatalf("bucketOf(%d) = %d, after bucket %d", v, b, last)
		}
		last = b
		middle := valueOf(b)
		if bucketOf(middle) != b {
			t.Fatalf("valueOf(%d) = %d, which is in bucket %d", b, middle, bucketOf(middle))
		}
		if diff := max(v, middle) - min(v, middle); float64(diff) > 0.008*float64(v) {
			t.Fatalf("%d counts as %d", v, middle)
		}
	}
}

func TestQuantiles(t *testing.T) {
	t.Parallel()
	var empty histogram
	if got := empty.quantile(0.5); got != 0 {
		t.Errorf("quantile of nothing = %v, want 0", got)
	}
	var h histogram
	for _, i := range rand.Perm(1000) {
		h.add(time.Duration(i+1) * time.Millisecond)
	}
	h.add(-time.Second) // counts as 0
	for _, tt := range []struct {
		q    float64
		want time.Duration
	}{
		{0, 0}, {0.5, 500 * time.Millisecond}, {0.99, 990 * time.Millisecond}, {1, time.Second},
	} {
		got := h.quantile(tt.q)
		if diff := (got - tt.want).Abs(); diff > tt.want/60 {
			t.Errorf("quantile(%v) = %v, want %v within 1.6 %%", tt.q, got, tt.want)
		}
	}
}

func TestHistogramsAddUp(t *testing.T) {
	t.Parallel()
	var all, sum histogram
	var parts [3]histogram
	for i := range 3000 {
		d := time.Duration(rand.Int64N(int64(time.Second)))
		all.add(d)
		parts[i%3].add(d)
	}
	for _, p := range parts {
		text, err := json.Marshal(p) // as they come from the clients
		if err != nil {
			t.Fatal(err)
		}
		var got histogram
		if err := json.Unmarshal(text, &got); err != nil {
			t.Fatal(err)
		}
		sum.merge(got)
	}
	if diff := cmp.Diff(all, sum); diff != "" {
		t.Errorf("the sum of the parts differs from the whole (-whole +sum):\n%s", diff)
	}
	if sum.count() != 3000 {
		t.Errorf("count = %d, want 3000", sum.count())
	}
}
