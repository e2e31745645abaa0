package topic

import (
	"context"
	"time"

	"tidegate/internal/stream"
)

// stored is what a hub with a Store knows of it.
type storedState struct {
	floor uint64 // the first position that the hub is given; what is before, only the store knows
	at    int64  // when the event at Hub.seq was stored
	times timeIndex
	loads map[string]*load
	moved chan struct{} // closed at the next event, for those who wait for one; nil if nobody does

	// lacks is up to where topics that there are may lack events, see Hub.MayMiss.
	lacks uint64

	restarts uint64 // times that some of what was known of the store did not hold any more
}

// applyStep bounds the events that are applied under one hold of the lock.
const applyStep = 64

// Apply gives the hub the next events of its store, and says for each what
// became of it. It is called by one goroutine at a time, with each event once, in
// the order of their positions.
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
		// The name was checked before it was stored. What cannot be shown is
		// still a position.
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
	ev.gap = h.missed(l, e) && l.keep.Replay != ReplayLast // of a value only the newest counts
	l.appended = max(l.appended+1, e.Number)
	receivers := h.append(b, l, ev, now)
	if e.Close {
		h.finish(b, l)
	}
	h.evict()
	return Applied{Receivers: receivers}
}

// tear notes that an event of a log cannot be read, and tells the streams at it.
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
		_ = m.sink.PushAll(b, h.appendIDBlock([]stream.Item{{Frame: resetFrame, Kind: stream.Live}}, e.Seq)) // a stream that has ended needs nothing
	}
}

// MayMiss tells the hub that its store has lost events up to a position by damage, and
// cannot tell of which topics. Whoever has seen less of a topic of which nothing newer
// is known gets a reset when it comes back.
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

// unknownBelow is the position below which it is not known whether there were events
// in a topic of which the store has none.
func (h *Hub) unknownBelow() uint64 { return max(h.opts.Store.Discarded(), h.stored.lacks) }

// missed notes what the store has dropped of a topic in front of e, which the hub
// was not given, and reports whether streams at the topic should have had it. This
// node may have been cut off, or be behind, while others published more than the
// topic keeps.
//
// What tells is the position of an event that came before e, as its publisher knew
// it; numbers do not, for not all hubs count the same. A publisher that has not
// seen yet that the store went back names one that was lost: there is nothing
// there, or an event of another topic, which the hub was given.
func (h *Hub) missed(l *log, e *Stored) bool {
	before, ok := e.Prev, e.Prev > 0 && e.Prev < e.Seq
	if ok && e.Prev > l.last {
		_, given := h.stored.times.find(e.Prev)
		ok = !given
	}
	lost := before
	if !ok || !e.PrevKnown {
		lost = e.Seq - 1 // there may have been more
	}
	switch {
	case ok && before > l.last && (l.known() || before >= l.cold):
		l.lose(lost)
		l.damaged(lost) // what is held from before is not all that there was
		return before > l.since
	case l.last == 0 && l.cold == 0 && e.Number > 1: // all before it have expired
		l.lose(lost)
	case ok && before < l.cold && h.stored.restarts <= 1: // it may be in the store; splice finds out
		// After the store went back publishers may name positions that are others' now.
		l.before = max(l.before, before)
	}
	return false
}

// mayEvict tells whether a topic can be left to the store: one that nobody is at, the
// first of those that were appended to longest ago. It is in front then.
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

// maxEvictTries bounds the topics with streams that are passed over in one go.
const maxEvictTries = 16

// evict keeps the topics within their bound, as far as they can be left to the store.
func (h *Hub) evict() {
	for h.nonEmpty > h.opts.MaxTopics && h.events > 1 && h.mayEvict() {
		oldest := h.recent.front()
		for oldest.held() > 0 {
			h.drop(oldest, DropMemory)
		}
		h.release(oldest)
	}
}

// await waits until the hub has been given the event at a position, and reports
// false if ctx ends first.
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
