package topic

import (
	"slices"

	"sluice/internal/stream"
)

// Rewind tells the hub that the store has lost what was above position head:
// new events will come with numbers that were used before. Streams that were
// sent such events are told of it.
func (h *Hub) Rewind(head uint64, generation string) {
	b := stream.NewBatch()
	defer b.Flush()
	h.mu.Lock()
	defer h.mu.Unlock()
	for len(h.onTheWay.events) > 0 {
		h.advance(b)
	}
	if generation != "" {
		h.generation = generation
	}
	h.seq = head
	h.past.marks.cut(head)
	h.past.at, _ = h.past.marks.find(head)
	h.past.floor = min(h.past.floor, head+1)
	h.keys.init(h.opts.MaxKeys)
	h.tombs.forget(head)
	h.eachMember(func(m *Member) { h.goBack(b, m, head) })
	for _, l := range h.topics {
		if l.last > head {
			h.rewind(l, head)
		}
	}
}

// eachMember calls do for all streams that are at a topic, once for each.
func (h *Hub) eachMember(do func(*Member)) {
	seen := make(map[*Member]bool)
	for _, l := range h.topics {
		for _, s := range l.subs { // without gaps: nothing is spread
			if !seen[s.member] {
				seen[s.member] = true
				do(s.member)
			}
		}
	}
}

// goBack has a stream stand at head if it stood behind it: what comes is not taken
// for what it has had. It is told of a loss if it was sent something of it, or may
// have been; if not, its position was that of an event of other topics.
func (h *Hub) goBack(b *stream.Batch, m *Member, head uint64) {
	if m.cursor <= head {
		return
	}
	m.cursor = head
	items := []stream.Item{h.idBlock(head)}
	if m.sawAbove(head) {
		h.resets++
		items = []stream.Item{{Frame: resetFrame, Kind: stream.Replay}, items[0]}
	}
	_ = m.sink.PushAll(b, items) // a stream that has ended needs nothing
	if m.past != nil {           // the end of a topic that is not closed any more does not count
		m.past.over = slices.DeleteFunc(m.past.over, func(l *log) bool { return l.last > head })
	}
}

// sawAbove tells whether a topic of the stream, closed or not, has had events above
// a position.
func (m *Member) sawAbove(seq uint64) bool {
	return slices.ContainsFunc(m.subs, func(s *subscription) bool { return s.log.last > seq }) ||
		m.past != nil && slices.ContainsFunc(m.past.over, func(l *log) bool { return l.last > seq })
}

// rewind takes back a log. What it has held up to head is left to the store.
func (h *Hub) rewind(l *log, head uint64) {
	h.empty(l, DropMemory)
	l.traces = traces{lost: min(l.lost, head), born: min(l.born, head), forgotten: min(l.forgotten, head)}
	if head > 0 {
		l.cold = head + 1
	}
	h.expiry.update(l)
	h.release(l)
}
