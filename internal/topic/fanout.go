package topic

import (
	"slices"
	"sync"

	"tidegate/internal/stream"
)

// A topic with very many streams would keep the lock, and the publisher, until
// an event is in the queue of each. So an event of a wide topic is spread: it is
// in its log, and answered, at once, and gets into the queues in steps, between
// which others have their turn.
//
// What makes this safe is that nothing overtakes. Before anything newer is
// queued for a stream, and before anything is decided about it, the stream is
// settled: it gets what is still on its way to it. A member's cursor then tells
// whether it has an event, because all that is older was queued before.

const (
	// largeTopic is from how many streams on an event is spread.
	largeTopic = 2048
	// fanOutStep is how many streams get it under one hold of the lock.
	fanOutStep = 512
	// maxFanOuts is how many events may be on their way; who publishes more
	// helps with the oldest first.
	maxFanOuts = 256
)

// spread is an event on its way into queues.
type fanOut struct {
	log   *log
	event event
	next  int // index in log.subs
}

// spreading is the events on their way, oldest first. Only the first moves.
type fanOuts struct {
	events []*fanOut
	large  int // these are as above, except in tests
	step   int
	most   int
	some   *sync.Cond // on the hub's lock
}

func (s *fanOuts) init(lock sync.Locker) {
	s.large, s.step, s.most, s.some = largeTopic, fanOutStep, maxFanOuts, sync.NewCond(lock)
}

func (h *Hub) fanOut(b *stream.Batch, l *log, e event) {
	for len(h.fanOuts.events) >= h.fanOuts.most {
		h.advance(b)
	}
	l.fanOuts++
	h.fanOuts.events = append(h.fanOuts.events, &fanOut{log: l, event: e})
	h.pendingFanOuts.Add(1)
	if !b.Held() {
		h.fanOuts.some.Signal()
	}
}

// StartFanOut has events begin their way whose publisher held its batch.
func (h *Hub) StartFanOut() {
	if h.pendingFanOuts.Load() > 0 {
		h.fanOuts.some.Signal()
	}
}

// settle queues for m what is on its way to it.
func (h *Hub) deliverPending(b *stream.Batch, m *Member) {
	for _, s := range h.fanOuts.events {
		if m.cursor < s.event.seq && m.follows(s.log) {
			m.push(b, s.event)
		}
	}
}

// DeliverPending queues for a stream what was published before to its topics: nothing
// that is sent to it then comes in front of that.
func (h *Hub) DeliverPending(b *stream.Batch, m *Member) {
	if h.pendingFanOuts.Load() == 0 {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.deliverPending(b, m)
}

// advance takes the oldest event on its way a step further. The streams of the
// step get the younger ones at once, so that they leave in one write.
func (h *Hub) advance(b *stream.Batch) {
	s := h.fanOuts.events[0]
	end := min(s.next+h.fanOuts.step, len(s.log.subs))
	for _, sub := range s.log.subs[s.next:end] {
		// Without the check of the cursor the outcome is the same: settle skips what a
		// stream has. It saves settle's walk for streams that were settled before.
		if sub != nil && sub.member.cursor < s.event.seq {
			h.deliverPending(b, sub.member)
		}
	}
	if s.next = end; end < len(s.log.subs) {
		return
	}
	h.fanOuts.events = slices.Delete(h.fanOuts.events, 0, 1)
	h.pendingFanOuts.Add(-1)
	if s.log.fanOuts--; s.log.fanOuts == 0 {
		s.log.compact()
	}
}

// arrive takes all events on their way to a log's streams to their end.
func (h *Hub) finishFanOut(b *stream.Batch, l *log) {
	for l.fanOuts > 0 {
		h.advance(b)
	}
}

// runFanOuts advances until nothing is on its way and done says so.
func (h *Hub) runFanOuts(done func() bool) {
	for {
		h.mu.Lock()
		for len(h.fanOuts.events) == 0 && !done() {
			h.fanOuts.some.Wait()
		}
		if len(h.fanOuts.events) == 0 {
			h.mu.Unlock()
			return
		}
		b := stream.NewBatch()
		h.advance(b)
		h.mu.Unlock()
		b.Flush()
	}
}
