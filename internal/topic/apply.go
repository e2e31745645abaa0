package topic

import (
	"context"
	"time"

	"tidegate/internal/stream"
)

// storedState is what a hub knows of its Store.
type storedState struct {
	floor uint64 // the first position that is applied; older events are in the store only
	at    int64  // when the event at Hub.seq was stored
	times timeIndex
	loads map[string]*load
	moved chan struct{} // closed at the next event; nil if nobody waits for one

	// lacks is the position up to which any topic may lack events, see Hub.MayMiss.
	lacks uint64

	restarts uint64 // how often the store has gone back
}

// applyStep bounds the events that are applied under one hold of the lock.
const applyStep = 64

// Apply implements Follower: it adds the next events of the store, and returns the result
// of each. One goroutine at a time calls it, with each event once, in the order of their
// positions.
func (h *Hub) Apply(events []Stored) []Applied {
	applied := make([]Applied, 0, len(events))
	b := stream.NewBatch()
	if len(events) > 1 {
		b.Hold() // so that events for one stream leave in one write
	}
	var room [applyStep][]byte
	for len(events) > 0 {
		n := min(len(events), applyStep)
		blocks := room[:n]
		for i, e := range events[:n] {
			blocks[i] = e.encode()
		}
		applied = h.applySome(b, events[:n], blocks, applied)
		events = events[n:]
	}
	b.Flush()
	h.StartFanOut()
	return applied
}

func (e *Entry) encode() []byte {
	block, err := encode(Publication{HasEvent: e.HasEvent, Name: e.Name, Data: e.Data})
	if err != nil {
		// Names are checked before they are stored. An event that cannot be encoded
		// still has its position.
		block, _ = encode(Publication{})
	}
	return block
}

func (h *Hub) applySome(b *stream.Batch, events []Stored, blocks [][]byte, applied []Applied) []Applied {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := time.Now()
	for i := range events {
		applied = append(applied, h.apply(b, &events[i], blocks[i], now))
	}
	if h.stored.moved != nil {
		close(h.stored.moved)
		h.stored.moved = nil
	}
	return applied
}

func (h *Hub) apply(b *stream.Batch, e *Stored, block []byte, now time.Time) Applied {
	if e.Seq <= h.seq {
		return Applied{}
	}
	h.seq, h.stored.at = e.Seq, e.At
	h.stored.times.add(e.Seq, e.At)
	l, ok := h.topics[e.Topic]
	if !ok {
		l = h.create(e.Topic)
		l.mayMiss(h.stored.lacks)
	}
	switch {
	case e.Delete:
		h.restartTopic(b, l, e.Seq, e.At)
		return Applied{}
	case l.closed:
		return Applied{Err: ErrClosed}
	}
	defer h.release(l)
	if e.Unreadable {
		h.applyUnreadable(b, l, e)
		return Applied{}
	}
	l.doubt = !e.PrevKnown && !l.known()
	l.setDeletedTo(max(l.deletedTo, e.DeletedTo))
	ev := h.stamp(block, e.Seq, e.At, e.At)
	l.resolve(e)
	ev.gap = h.missed(l, e) && l.keep.Replay != ReplayLast // for a value only the newest event counts
	l.appended = max(l.appended+1, e.Number)
	receivers := h.append(b, l, ev, now)
	if e.Close {
		h.finish(b, l)
	}
	h.evict()
	return Applied{Receivers: receivers}
}

// applyUnreadable applies an event that cannot be read: the streams receive a reset.
func (h *Hub) applyUnreadable(b *stream.Batch, l *log, e *Stored) {
	h.finishFanOut(b, l)
	if l.last, l.lastAt = e.Seq, e.At; l.cold > 0 {
		l.before = e.Seq
	}
	l.appended++
	l.damaged(e.Seq)
	for _, s := range l.subs {
		m := s.member
		h.resets++
		h.deliverPending(b, m)
		m.cursor, m.hasID = e.Seq, true
		_ = m.sink.PushAll(b, h.appendIDBlock([]stream.Item{{Frame: resetFrame, Kind: stream.Live}}, e.Seq)) // if the stream has ended, nothing is needed
	}
}

// MayMiss reports to the hub that damage has cost the store events up to a position, of
// unknown topics. A client that resumes from before it receives a reset, unless the topic
// is known to have newer events.
func (h *Hub) MayMiss(seq uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.stored.lacks = max(h.stored.lacks, seq)
	for _, l := range h.topics {
		if l.last > 0 {
			l.mayMiss(seq)
		} else {
			l.floor = max(l.floor, seq)
		}
	}
}

// unknownBelow is the position below which a topic may have had events, although the store
// has none of it.
func (h *Hub) unknownBelow() uint64 { return max(h.opts.Store.Discarded(), h.stored.lacks) }

// missed detects events before e that the store has dropped and that this hub never
// received, and reports whether streams at the topic should have received them. This node
// may have been cut off, or behind, while others published more than the topic keeps.
//
// It compares the position of the previous event, as e's publisher knew it, with the last
// one of the log. Numbers are not compared: not all hubs count the same. A publisher that
// does not know yet that the store went back names a lost event: the position has no
// event, or one of another topic that this hub received.
func (h *Hub) missed(l *log, e *Stored) bool {
	before, ok := e.Prev, e.Prev > 0 && e.Prev < e.Seq
	if ok && e.Prev > l.last {
		_, given := h.stored.times.find(e.Prev)
		ok = !given
	}
	lost := before
	if !ok || !e.PrevKnown {
		lost = e.Seq - 1 // there may have been more events
	}
	switch {
	case ok && before > l.last && (l.known() || before >= l.cold):
		l.lose(lost)
		l.damaged(lost) // what is held from before is incomplete
		return before > l.since
	case l.last == 0 && l.cold == 0 && e.Number > 1: // all events before it have expired
		l.lose(lost)
	case ok && before < l.cold && h.stored.restarts <= 1: // it may be in the store; splice finds out
		// After the store went back publishers may name positions that are others' now.
		l.before = max(l.before, before)
	}
	return false
}

// mayEvict reports whether a topic without streams can be left to the store, and moves the
// least recently used one to the front.
func (h *Hub) mayEvict() bool {
	if h.opts.Store == nil || h.events == 0 {
		return false
	}
	for range maxEvictTries {
		oldest := h.recent.front()
		if oldest.streams() == 0 && oldest.pins == 0 {
			return true
		}
		h.recent.touch(oldest, time.Now())
	}
	return false
}

// maxEvictTries bounds the topics with streams that one call passes over.
const maxEvictTries = 16

// evict leaves topics to the store while there are more than the bound.
func (h *Hub) evict() {
	for h.nonEmpty > h.opts.MaxTopics && h.events > 1 && h.mayEvict() {
		oldest := h.recent.front()
		for oldest.held() > 0 {
			h.drop(oldest, DropMemory)
		}
		h.release(oldest)
	}
}

// await waits until the event at a position was applied. It reports false if ctx ends
// first.
func (h *Hub) await(ctx context.Context, seq uint64) bool {
	for {
		h.mu.Lock()
		if h.seq >= seq {
			h.mu.Unlock()
			return true
		}
		if h.stored.moved == nil {
			h.stored.moved = make(chan struct{})
		}
		moved := h.stored.moved
		h.mu.Unlock()
		select {
		case <-moved:
		case <-ctx.Done():
			return false
		}
	}
}
