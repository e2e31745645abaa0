package heap

import (
	"math/rand/v2"
	"slices"
	"testing"
)

type item struct {
	Place
	key int
}

func (i *item) Before(other *item) bool { return i.key < other.key }

// TestAgainstASlice does steps at random to a heap and to a slice that is searched.
func TestAgainstASlice(t *testing.T) {
	t.Parallel()
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 1))
		var h Heap[*item]
		var all []*item
		for range 300 {
			step(random, &h, &all)
			check(t, &h, all)
		}
		var keys []int
		for h.Len() > 0 {
			keys = append(keys, h.Pop().key)
		}
		if len(keys) != len(all) || !slices.IsSorted(keys) {
			t.Fatalf("seed %d: %d items came out as %v", seed, len(all), keys)
		}
		for _, x := range all {
			if x.InHeap() {
				t.Fatalf("seed %d: an item that came out is in the heap", seed)
			}
		}
	}
}

func step(random *rand.Rand, h *Heap[*item], all *[]*item) {
	one := func() int { return random.IntN(len(*all)) }
	switch n := random.IntN(10); {
	case n < 4 || len(*all) == 0:
		x := &item{key: random.IntN(50)}
		h.Push(x)
		*all = append(*all, x)
	case n < 6:
		x := (*all)[one()]
		x.key = random.IntN(50)
		h.Fix(x)
	case n < 8:
		i := one()
		h.Remove((*all)[i])
		h.Remove((*all)[i]) // it is gone, which is no error
		*all = slices.Delete(*all, i, i+1)
	case n < 9:
		x := h.Pop()
		*all = slices.Delete(*all, slices.Index(*all, x), slices.Index(*all, x)+1)
	default:
		h.Update(func(x *item) { x.key = random.IntN(50) })
	}
}

func check(t *testing.T, h *Heap[*item], all []*item) {
	t.Helper()
	if h.Len() != len(all) {
		t.Fatalf("Len() = %d, want %d", h.Len(), len(all))
	}
	for i, x := range h.items {
		if x.n != i+1 || !x.InHeap() {
			t.Fatalf("the item at %d believes to be at %d", i, x.n-1)
		}
	}
	if len(all) == 0 {
		return
	}
	first := slices.MinFunc(all, func(a, b *item) int { return a.key - b.key })
	if h.First().key != first.key {
		t.Fatalf("First() = %d, want %d", h.First().key, first.key)
	}
	if tail := h.items[:cap(h.items)][len(h.items):]; slices.ContainsFunc(tail, func(x *item) bool { return x != nil }) {
		t.Fatal("items that came out are held")
	}
}
