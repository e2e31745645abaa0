package topic

import (
	"slices"
	"sync"

	"tidegate/internal/stream"
)

// A topic with thousands of streams would hold the lock, and its publisher, until an event
// is in the queue of each. So an event of a large topic is fanned out in steps: it is in
// its log, and answered, at once, and enters the queues in steps. Between two steps
// others use the lock.
//
// Nothing overtakes such an event. Before anything newer is queued for a stream, and
// before anything is decided about it, deliverPending queues the events that are being
// fanned out to it. So a member's cursor says whether it has an event: all older ones
// were queued before.

const (
	// largeTopic is the number of streams from which events are fanned out in steps.
	largeTopic = 2048
	// fanOutStep bounds the streams of one step, under one hold of the lock.
	fanOutStep = 512
	// maxFanOuts bounds the events that are being fanned out. A publisher of more
	// first works on the oldest.
	maxFanOuts = 256
)

// fanOut is an event that is being fanned out.
type fanOut struct {
	log   *log
	event event
	next  int // index in log.subs
}

// fanOuts are the events that are being fanned out, oldest first. Only the first one
// proceeds.
type fanOuts struct {
	events []*fanOut
	large  int // the constants above, except in tests
	step   int
	most   int
	some   *sync.Cond // on the hub's lock
}

func (s *fanOuts) init(lock sync.Locker) {
	s.large, s.step, s.most, s.some = largeTopic, fanOutStep, maxFanOuts, sync.NewCond(lock)
}

// fanOut starts to fan an event out.
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

// StartFanOut starts the fan-outs of a publisher that has held its batch.
func (h *Hub) StartFanOut() {
	if h.pendingFanOuts.Load() > 0 {
		h.fanOuts.some.Signal()
	}
}

// deliverPending queues for m the events that are being fanned out to it.
func (h *Hub) deliverPending(b *stream.Batch, m *Member) {
	for _, s := range h.fanOuts.events {
		if m.cursor < s.event.seq && m.follows(s.log) {
			m.push(b, s.event)
		}
	}
}

// DeliverPending queues for a stream what was published to its topics before, so that
// nothing that is sent to it afterwards overtakes that.
func (h *Hub) DeliverPending(b *stream.Batch, m *Member) {
	if h.pendingFanOuts.Load() == 0 {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.deliverPending(b, m)
}

// advance makes one step with the oldest event. The streams of the step get the younger
// events as well, so that all leave in one write.
func (h *Hub) advance(b *stream.Batch) {
	s := h.fanOuts.events[0]
	end := min(s.next+h.fanOuts.step, len(s.log.subs))
	for _, sub := range s.log.subs[s.next:end] {
		// Without the check of the cursor the outcome is the same: deliverPending skips
		// what a stream has. The check saves its loop for streams that have everything.
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

// finishFanOut makes all steps that are left for a log.
func (h *Hub) finishFanOut(b *stream.Batch, l *log) {
	for l.fanOuts > 0 {
		h.advance(b)
	}
}

// runFanOuts makes steps until none is left and done reports true.
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
