package topic

import (
	"context"
	"time"

	"tidegate/internal/stream"
)

// What of a log is in the store only is read back when somebody asks for it, as
// a whole: the log is then held as if it had never been dropped, within the same
// bounds, and all who ask are served from memory. So a thousand streams that come
// back to one topic cost one read.

const (
	// maxFetchTime bounds how long an attach waits for the store.
	maxFetchTime = 3 * time.Second
	// maxFetchTries is how often it starts again, because what was read back had
	// to make room before it was used.
	maxFetchTries = 4
)

// need says how much of a log somebody asks for.
type need int

const (
	needNothing need = iota
	needState        // whether it is closed, and where it ends
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

// lack says what is not held of a log, and tells that from what was not some time
// ago.
type lack struct{ cold, restarts uint64 }

func (h *Hub) lack(l *log) lack { return lack{l.cold, h.stored.restarts} }

// pin finds or makes the log of a topic, and has it stay until unpin.
//
// It is there for the time of a look only, so it does not count against the bound.
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

// fetchState looks up a topic's newest event. One that this hub has not been given
// yet is waited for: to look again before would find it again.
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
			return ErrUnavailable // this node lags behind
		}
	case stateDoubt:
		return h.fetchEvents(ctx, topic)
	}
	return nil
}

// state says what became of a topic's newest event that was looked up.
type state int

const (
	stateKnown state = iota
	stateAhead       // it is on its way to this hub
	stateDoubt       // it may have come after the topic's end: all of the topic tells
)

// learn notes what the newest event of a topic says of it, and up to where events may
// be missing. It was asked for when the log lacked that.
func (h *Hub) learn(b *stream.Batch, l *log, lacks lack, e Stored, found bool, missing uint64) state {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case l.known() || h.lack(l) != lacks: // events came meanwhile
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
	l.cold = max(l.cold, e.Seq+1) // it has passed by, and nothing is known of it
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
