package topic

import "tidegate/internal/stream"

// What the tests outside of the package need to see of its inside.
const (
	MaxTombstones   = maxTombstones
	MaxLate         = maxLate
	MaxClosedTopics = maxClosedTopics
)

// Place says how far in a topic a client with this last event id is; ok is false
// for an id that is not of this hub.
func (h *Hub) Place(id, topic string) (seq uint64, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	p, ok, _ := h.judge(id)
	return p.of(topic), ok
}

// Tombstones is how many removed topics are remembered one by one.
func (h *Hub) Tombstones() int { return h.tombstones.order.Len() }

// FanOutOver has events spread already to so many streams, in steps of one, and
// lets at most most be on their way.
func (h *Hub) FanOutOver(wide, most int) {
	h.fanOuts.large, h.fanOuts.step, h.fanOuts.most = wide, 1, most
}

// Advance takes the oldest event on its way to one stream more.
func (h *Hub) Advance() {
	b := stream.NewBatch()
	defer b.Flush()
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.fanOuts.events) > 0 {
		h.advance(b)
	}
}

// Spreading is how many events are on their way.
func (h *Hub) FanningOut() int { return int(h.pendingFanOuts.Load()) }

// ID is the plain id of a position; at is when a store has stored it, or 0.
func (h *Hub) ID(seq uint64, at int64) string { return h.id(seq, at) }

// Cold is how many logs are not held as a whole.
func (h *Hub) Cold() (n int) {
	for _, l := range h.topics {
		if l.cold > 0 {
			n++
		}
	}
	return n
}
