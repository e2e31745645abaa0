package topic

import (
	"cmp"
	"context"
	"slices"
	"time"

	"tidegate/internal/stream"
)

// A store may go back: a server has lost its newest events with a power failure, or it is an
// old backup, or another server. When this is noticed, others may have published again, so
// the end of the store proves nothing. The times of events do: Common finds the newest event
// that was applied and that the store still has. Up to there nothing differs, and from
// there on everything is applied again.

// Begin implements Follower: the store's events will be applied from position floor on. at
// is when the event before that was stored; 0 if the store does not have it any more.
// generation is the first part of the ids of the store's events; the one of the options may
// be outdated. Begin is called before the first Apply, and again if the store has gone back
// and has nothing in common: then everything that was applied counts as lost, and every
// stream receives a reset.
func (h *Hub) Begin(floor uint64, at int64, generation string) {
	b := stream.NewBatch()
	defer b.Flush()
	h.mu.Lock()
	defer h.mu.Unlock()
	head := timeEntry{seq: max(floor, 1) - 1}
	if head.seq > 0 {
		head.at = cmp.Or(at, time.Now().UnixNano())
	}
	h.stored.floor = floor
	h.stored.times = timeIndex{}
	h.restart(b, head, generation, true)
}

// Rewind implements Follower: the store has lost what was above head, which Common has
// found, and new events will have positions that were used before. Streams that have
// received lost events receive a reset. If the generation differs, all do: their ids are
// void.
func (h *Hub) Rewind(head uint64, generation string) {
	b := stream.NewBatch()
	defer b.Flush()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.stored.times.cut(head)
	at, _ := h.stored.times.find(head)
	h.restart(b, timeEntry{head, at}, generation, generation != "" && generation != h.generation)
}

// Common implements Follower: it returns the position of the newest event that was applied
// and that the store still has there, and when it was stored; 0 if there is none in the
// time index. It looks up some twenty events.
func (h *Hub) Common(ctx context.Context) (position uint64, at int64, err error) {
	h.mu.Lock()
	given := slices.Clone(h.stored.times.held())
	h.mu.Unlock()
	var common timeEntry
	for len(given) > 0 {
		mid := len(given) / 2
		n, err := h.firstLeft(ctx, given[mid:])
		switch {
		case err != nil:
			return 0, 0, err
		case n < 0: // then later ones are gone as well
			given = given[:mid]
		default:
			common, given = given[mid+n], given[mid+n+1:]
		}
	}
	return common.seq, common.at, nil
}

// firstLeft is the index of the first event in given that the store still has; those before
// have expired. It is -1 if the store has another event there.
func (h *Hub) firstLeft(ctx context.Context, given []timeEntry) (int, error) {
	at, exact, err := h.opts.Store.Time(ctx, given[0].seq)
	switch {
	case err != nil:
		return 0, err
	case exact && at != given[0].at: // another event has the number
		return -1, nil
	}
	return slices.IndexFunc(given, func(m timeEntry) bool { return m.at == at }), nil
}

// restart continues after head. What is held up to there is valid, unless anew is true:
// then all of it is dropped, and the store has the rest.
func (h *Hub) restart(b *stream.Batch, head timeEntry, generation string, anew bool) {
	for len(h.fanOuts.events) > 0 {
		h.advance(b)
	}
	if generation != "" && generation != h.generation {
		h.generation = generation
		h.seal = newSealer(h.secret, generation)
	}
	h.seq, h.stored.at = head.seq, head.at
	h.stored.floor = min(h.stored.floor, head.seq+1)
	h.stored.lacks = min(h.stored.lacks, head.seq)
	h.stored.restarts++
	h.keys.init(h.opts.MaxKeys)
	h.tombstones.mergeAll(head.seq)
	h.knownEmpty.init(maxEmpty)
	h.eachMember(func(m *Member) { h.goBack(b, m, head.seq, anew) })
	for _, l := range h.topics {
		if anew || l.last > head.seq {
			h.rewind(l, head.seq)
		} else {
			l.cold, l.since, l.before = min(l.cold, head.seq+1), min(l.since, head.seq), 0 // later events are applied again
		}
	}
}

// eachMember calls do for all streams that are at a topic, once for each.
func (h *Hub) eachMember(do func(*Member)) {
	seen := make(map[*Member]bool)
	for _, l := range h.topics {
		for _, s := range l.subs { // without gaps: nothing is being fanned out
			if !seen[s.member] {
				seen[s.member] = true
				do(s.member)
			}
		}
	}
}

// goBack moves a stream's cursor back to head, so that new events are not taken for ones
// that it has received. The stream receives a reset if it has received lost events, or may
// have; if not, its cursor was the position of an event of another topic.
func (h *Hub) goBack(b *stream.Batch, m *Member, head uint64, anew bool) {
	if !anew && m.cursor <= head {
		return
	}
	m.cursor = head
	var items []stream.Item
	if anew || m.sawAbove(head) {
		h.resets++
		items = append(items, stream.Item{Frame: resetFrame, Kind: stream.Replay})
	}
	items = h.appendIDBlock(items, head)
	_ = m.sink.PushAll(b, items) // a stream that has ended needs nothing
	if m.history != nil {        // a topic that is not closed any more does not count
		m.history.closedTopics = slices.DeleteFunc(m.history.closedTopics, func(l *log) bool { return anew || l.last > head })
	}
}

// sawAbove reports whether a topic of the stream, closed or not, had events above a position,
// or may have had some.
func (m *Member) sawAbove(seq uint64) bool {
	return slices.ContainsFunc(m.subs, func(s *subscription) bool { return s.log.reaches(seq) }) ||
		m.history != nil && slices.ContainsFunc(m.history.closedTopics, func(l *log) bool { return l.reaches(seq) })
}

// reaches reports whether there were events above a position, as far as is known.
func (t *traces) reaches(seq uint64) bool { return t.last > seq || !t.known() && t.cold > seq+1 }

// rewind drops what a log holds. The store has what is up to head.
func (h *Hub) rewind(l *log, head uint64) {
	h.empty(l, DropMemory)
	l.traces = traces{
		lost: min(l.lost, head), deletedTo: min(l.deletedTo, head), forgotten: min(l.forgotten, head),
		since: min(l.since, head), hole: min(l.hole, head), missing: min(l.missing, head),
	}
	if head > 0 {
		l.cold = head + 1
	}
	h.expiry.update(l)
	h.release(l)
}

// foundClosed ends a topic for its streams if an event that was not applied here has closed
// it.
func (h *Hub) foundClosed(b *stream.Batch, l *log) {
	if l.closed && len(l.subs) > 0 {
		h.finish(b, l)
	}
}
