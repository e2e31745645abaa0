package topic

import (
	"cmp"
	"context"
	"slices"
	"time"

	"tidegate/internal/stream"
)

// A store may go back: a server lost its newest events with its power, or is an
// old backup, or another one. By the time that this is seen, others have published
// again, so the end of the store says nothing. What tells is when events were
// stored: Common finds the newest one that the hub was given and the store still
// has. Up to there nothing is different, and from there on all is given again.

// Begin tells the hub that it will be given the store's events from position
// floor on. at is when the event before that was stored; 0 if there is none any
// more. generation is the first part of the ids of the store's events: that in the
// options may have been drawn anew since. Begin comes before the first Apply. It
// comes again if the store has gone back and there is nothing in common: then all
// that was given before counts as lost, and every stream is told so.
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

// Rewind tells the hub that the store has lost what was above head, which is what
// Common has found: new events will come with numbers that were used before.
// Streams that were sent such events are told of it; if the generation is another
// one, all are: their ids are void.
func (h *Hub) Rewind(head uint64, generation string) {
	b := stream.NewBatch()
	defer b.Flush()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.stored.times.cut(head)
	at, _ := h.stored.times.find(head)
	h.restart(b, timeEntry{head, at}, generation, generation != "" && generation != h.generation)
}

// Common finds how far the store has what the hub was given: the position of the
// newest event that is where it was, and when it was stored; 0 if there is none, or
// none that is remembered. It looks up some twenty events.
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
		case n < 0: // nor is any later one
			given = given[:mid]
		default:
			common, given = given[mid+n], given[mid+n+1:]
		}
	}
	return common.seq, common.at, nil
}

// firstLeft is the index of the first of some events that the store has, if what it
// has from there on begins with it; else -1. Those before have expired.
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

// restart has the hub go on behind head. What it holds up to there is right, unless
// anew is true: then all of it is left to the store.
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
			l.cold, l.since, l.before = min(l.cold, head.seq+1), min(l.since, head.seq), 0 // what is behind is given again
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
	if m.history != nil {        // the end of a topic that is not closed any more does not count
		m.history.closedTopics = slices.DeleteFunc(m.history.closedTopics, func(l *log) bool { return anew || l.last > head })
	}
}

// sawAbove tells whether a topic of the stream, closed or not, has had events above
// a position, or may have had some.
func (m *Member) sawAbove(seq uint64) bool {
	return slices.ContainsFunc(m.subs, func(s *subscription) bool { return s.log.reaches(seq) }) ||
		m.history != nil && slices.ContainsFunc(m.history.closedTopics, func(l *log) bool { return l.reaches(seq) })
}

// reaches tells whether there are events above a position, as far as is known.
func (t *traces) reaches(seq uint64) bool { return t.last > seq || !t.known() && t.cold > seq+1 }

// rewind takes back a log. What it has held up to head is left to the store.
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

// foundClosed ends a topic for the streams that are at it, if it is found to be closed:
// by an event that the hub was not given.
func (h *Hub) foundClosed(b *stream.Batch, l *log) {
	if l.closed && len(l.subs) > 0 {
		h.finish(b, l)
	}
}
