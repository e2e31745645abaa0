package topic

// What the tests outside of the package need to see of its inside.
const (
	MaxTombstones = maxTombstones
	MaxLate       = maxLate
	MaxOver       = maxOver
)

// Place says how far in a topic a client with this last event id is; ok is false
// for an id that is not of this hub.
func (h *Hub) Place(id, topic string) (seq uint64, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	p, ok := h.place(id)
	return p.of(topic), ok
}

// Tombstones is how many removed topics are remembered one by one.
func (h *Hub) Tombstones() int { return h.tombs.order.Len() }

// ID is the plain id of a position.
func (h *Hub) ID(seq uint64) string { return h.id(seq) }
