// Package heap is a priority queue whose items know their place in it. So an item in the
// middle can be moved or removed without a search.
package heap

// Place is where an item is in its heap. Items embed it; its zero value is in none.
type Place struct{ n int } // the index plus 1

func (p *Place) place() *Place { return p }

// InHeap reports whether the item is in a heap.
func (p *Place) InHeap() bool { return p.n > 0 }

// Item is what a [Heap] holds: a pointer to a struct that embeds [Place]. An item is in
// one heap at a time.
type Item[T any] interface {
	// Before reports whether the item comes before another. Two of which neither does
	// come in any order.
	Before(other T) bool
	place() *Place
}

// Heap holds items, the first of them within reach. The zero value is empty. It is not
// safe for concurrent use. Push, Pop, Fix and Remove take time in the logarithm of Len,
// and Push alone allocates, now and then.
type Heap[T Item[T]] struct{ items []T }

// Len returns how many items there are.
func (h *Heap[T]) Len() int { return len(h.items) }

// First returns the item that comes before all others. There must be one.
func (h *Heap[T]) First() T { return h.items[0] }

// Push adds an item, which must be in no heap.
func (h *Heap[T]) Push(x T) {
	h.items = append(h.items, x)
	h.up(x, len(h.items)-1)
}

// Pop removes the first item and returns it. There must be one.
func (h *Heap[T]) Pop() T {
	x := h.items[0]
	h.Remove(x)
	return x
}

// Remove removes an item. One that is in no heap is left alone.
func (h *Heap[T]) Remove(x T) {
	place := x.place()
	at, end := place.n-1, len(h.items)-1
	if at < 0 {
		return
	}
	place.n = 0
	last := h.items[end]
	var none T
	h.items[end] = none // for the garbage collector
	h.items = h.items[:end]
	if at < end {
		h.move(last, at)
	}
}

// Fix moves an item to where it belongs, after a change of its order. It must be in the
// heap.
func (h *Heap[T]) Fix(x T) { h.move(x, x.place().n-1) }

// Update calls change for each item, in any order, and then moves all of them to where
// they belong.
func (h *Heap[T]) Update(change func(T)) {
	for _, x := range h.items {
		change(x)
	}
	for at := len(h.items)/2 - 1; at >= 0; at-- {
		h.down(h.items[at], at)
	}
}

// move puts x at a place that is free, or up or down from there.
func (h *Heap[T]) move(x T, at int) {
	if at > 0 && x.Before(h.items[(at-1)/2]) {
		h.up(x, at)
	} else {
		h.down(x, at)
	}
}

// up puts x at a place that is free, or nearer to the front.
func (h *Heap[T]) up(x T, at int) {
	for at > 0 {
		parent := (at - 1) / 2
		if !x.Before(h.items[parent]) {
			break
		}
		h.put(h.items[parent], at)
		at = parent
	}
	h.put(x, at)
}

// down puts x at a place that is free, or further from the front.
func (h *Heap[T]) down(x T, at int) {
	for {
		child := 2*at + 1
		if child >= len(h.items) {
			break
		}
		if right := child + 1; right < len(h.items) && h.items[right].Before(h.items[child]) {
			child = right
		}
		if !h.items[child].Before(x) {
			break
		}
		h.put(h.items[child], at)
		at = child
	}
	h.put(x, at)
}

func (h *Heap[T]) put(x T, at int) {
	h.items[at] = x
	x.place().n = at + 1
}
