package topic

import (
	"context"
	"time"

	"tidegate/internal/stream"
)

// Events of a log that only the store has are read back on demand, all of them: the log is
// then held as if it had never been dropped, within the same bounds, and all streams are
// served from memory. So a thousand streams that resume one topic cost one read.

const (
	// maxFetchTime bounds the wait of an attach for the store.
	maxFetchTime = 3 * time.Second
	// maxFetchTries bounds its attempts: what was read back may be dropped for other
	// topics before it is used.
	maxFetchTries = 4
)

// need is how much of a log is required.
type need int

const (
	needNothing need = iota
	needState        // its newest event, and whether it is closed
	needEvents
)

// missing is what must be read back before an ask can be answered from l.
func (a ask) missing(l *log) need {
	if l.cold == 0 {
		return needNothing
	}
	state := needNothing
	if !l.known() {
		state = needState
	}
	switch {
	case a.from == FromEarliest:
		return needEvents
	case a.from == FromLatest:
		return state
	case l.keep.Replay == ReplayLast && l.held() > 0:
		return state
	case a.at != nil && a.at.of(l.name)+1 < l.cold:
		return needEvents
	case a.at != nil, l.keep.Replay == ReplayNone && !a.unknown:
		return state
	default:
		return needEvents
	}
}

// fetch reads back what is needed of a topic.
func (h *Hub) fetch(ctx context.Context, topic string, n need) error {
	ctx, cancel := context.WithTimeout(ctx, maxFetchTime)
	defer cancel()
	if n == needState {
		return h.fetchState(ctx, topic)
	}
	return h.fetchEvents(ctx, topic)
}

// lack is what is not held of a log. Two values that differ mean that this has changed.
type lack struct{ cold, restarts uint64 }

func (h *Hub) lack(l *log) lack { return lack{l.cold, h.stored.restarts} }

// pin finds or creates the log of a topic, and keeps it until unpin. It is held for a short
// time, so it does not count against the bound.
func (h *Hub) pin(topic string) (l *log, lacks lack) {
	h.mu.Lock()
	defer h.mu.Unlock()
	l, ok := h.topics[topic]
	if !ok {
		l = h.create(topic)
	}
	l.pins++
	return l, h.lack(l)
}

func (h *Hub) unpin(l *log) {
	h.mu.Lock()
	defer h.mu.Unlock()
	l.pins--
	h.release(l)
}

// fetchState looks up a topic's newest event. If that was not applied here yet, it waits
// for it: another look-up would find the same.
func (h *Hub) fetchState(ctx context.Context, topic string) error {
	l, lacks := h.pin(topic)
	b := stream.NewBatch()
	defer b.Flush()
	defer h.unpin(l)
	e, found, err := h.opts.Store.Last(ctx, topic)
	if err != nil {
		return unavailable(err)
	}
	switch h.learn(b, l, lacks, e, found, h.opts.Store.Lost(topic)) {
	case stateAhead:
		if !h.await(ctx, e.Seq) {
			return ErrUnavailable // this node is behind
		}
	case stateDoubt:
		return h.fetchEvents(ctx, topic)
	}
	return nil
}

// state is the result of looking up a topic's newest event.
type state int

const (
	stateKnown state = iota
	stateAhead       // it was not applied here yet
	stateDoubt       // it may have come after the topic's end: all of the topic must be read
)

// learn updates a log with its newest event in the store, and with the position up to which
// events may be missing. lacks is what the log lacked when the store was asked.
func (h *Hub) learn(b *stream.Batch, l *log, lacks lack, e Stored, found bool, missing uint64) state {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case l.known() || h.lack(l) != lacks: // events were applied meanwhile
		return stateKnown
	case !found:
		l.cold, l.unsure, l.floor = 0, true, h.unknownBelow()
		l.mayMiss(missing)
		return stateKnown
	case e.Seq > h.seq:
		return stateAhead
	case l.doubt, e.Unreadable:
		return stateDoubt
	}
	l.cold = max(l.cold, e.Seq+1) // it was applied before, when the log did not exist
	switch {
	case e.Delete:
		l.markDeleted(e.Seq, e.At)
		return stateKnown
	case !e.PrevKnown:
		return stateDoubt
	}
	l.last, l.lastAt, l.closed, l.appended, l.before = e.Seq, e.At, e.Close, e.Number, e.Seq
	l.setDeletedTo(e.DeletedTo)
	l.mayMiss(max(missing, h.stored.lacks))
	h.foundClosed(b, l)
	return stateKnown
}
