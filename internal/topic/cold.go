package topic

import (
	"context"
	"errors"
	"time"

	"sluice/internal/stream"
	"sluice/internal/wire"
)

// What of a log is in the store only is read back when somebody asks for it, as
// a whole: the log is then held as if it had never been dropped, within the same
// bounds, and all who ask are served from memory. So a thousand streams that come
// back to one topic cost one read.

const (
	// coldPatience bounds how long an attach waits for the store.
	coldPatience = 3 * time.Second
	// maxColdTries is how often it starts again, because what was read back had
	// to make room before it was used.
	maxColdTries = 4
)

// load is one reading back, for all who wait for it.
type load struct {
	stop    context.CancelFunc // ends it early
	done    chan struct{}      // closed when it has ended
	err     error              // set before done is closed
	waiting int                // guarded by the hub's lock
}

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
	ctx, cancel := context.WithTimeout(ctx, coldPatience)
	defer cancel()
	if n == needState {
		return h.fetchState(ctx, topic)
	}
	return h.fetchEvents(ctx, topic)
}

// lack says what is not held of a log, and tells that from what was not some time
// ago.
type lack struct{ cold, restarts uint64 }

func (h *Hub) lack(l *log) lack { return lack{l.cold, h.past.restarts} }

// pin finds or makes the log of a topic, and has it stay until unpin.
func (h *Hub) pin(topic string) (l *log, lacks lack, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if l, err = h.open(topic); err != nil {
		return nil, lack{}, err
	}
	l.pins++
	return l, h.lack(l), nil
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
	l, lacks, err := h.pin(topic)
	if err != nil {
		return err
	}
	b := stream.NewBatch()
	defer b.Flush()
	defer h.unpin(l)
	e, found, err := h.opts.Store.Last(ctx, topic)
	if err != nil {
		return unavailable(err)
	}
	switch h.learn(b, l, lacks, e, found) {
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

// learn notes what the newest event of a topic says of it. It was asked for when
// the log lacked that.
func (h *Hub) learn(b *stream.Batch, l *log, lacks lack, e Stored, found bool) state {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case l.known() || h.lack(l) != lacks: // events came meanwhile
		return stateKnown
	case !found:
		l.cold, l.unsure, l.floor = 0, true, h.opts.Store.Discarded()
		return stateKnown
	case e.Seq > h.seq:
		return stateAhead
	case l.doubt:
		return stateDoubt
	}
	l.cold = max(l.cold, e.Seq+1) // it has passed by, and nothing is known of it
	switch {
	case e.Delete:
		l.reborn(e.Seq, e.At)
		return stateKnown
	case !e.PrevKnown:
		return stateDoubt
	}
	l.last, l.lastAt, l.closed, l.appended = e.Seq, e.At, e.Close, e.Number
	l.bornAt(e.Born)
	h.foundClosed(b, l)
	return stateKnown
}

// fetchEvents reads back all of a topic that the store has and the hub has not. All
// who ask at the same time share one reading, and none of them can spoil it for the
// others: it ends when it is done, after coldPatience, or with the last of them.
func (h *Hub) fetchEvents(ctx context.Context, topic string) error {
	at := h.joinLoad(ctx, topic)
	select {
	case <-at.done:
		return at.err
	case <-ctx.Done():
		if h.leaveLoad(topic, at) {
			at.stop()
			<-at.done // nobody else waits for it
		}
		return unavailable(ctx.Err())
	}
}

// joinLoad finds or begins the reading back of a topic.
func (h *Hub) joinLoad(ctx context.Context, topic string) *load {
	h.mu.Lock()
	defer h.mu.Unlock()
	at, running := h.past.loads[topic]
	if !running {
		ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), coldPatience)
		at = &load{done: make(chan struct{}), stop: stop}
		h.past.loads[topic] = at
		go func() { // coldPatience or the last one in fetchEvents ends it, who waits for that
			defer close(at.done)
			defer stop()
			at.err = h.readBack(ctx, topic)
			h.endLoad(topic, at)
		}()
	}
	at.waiting++
	return at
}

// leaveLoad is for who does not wait any longer. It tells whether that was the last
// one; then the next one begins anew.
func (h *Hub) leaveLoad(topic string, at *load) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if at.waiting--; at.waiting > 0 {
		return false
	}
	h.dropLoad(topic, at)
	return true
}

func (h *Hub) endLoad(topic string, at *load) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.dropLoad(topic, at)
}

func (h *Hub) dropLoad(topic string, at *load) {
	if h.past.loads[topic] == at {
		delete(h.past.loads, topic)
	}
}

func (h *Hub) readBack(ctx context.Context, topic string) error {
	l, lacks, err := h.pin(topic)
	if err != nil {
		return err
	}
	b := stream.NewBatch()
	defer b.Flush()
	r := reader{hub: h, keep: l.keep}
	if lacks.cold > 0 {
		err = h.opts.Store.Read(ctx, topic, 1, lacks.cold, r.take)
	}
	r.encode()
	h.mu.Lock()
	defer h.mu.Unlock()
	l.pins--
	defer h.release(l)
	if err != nil {
		return unavailable(err)
	}
	if lacks.cold > 0 && h.lack(l) == lacks { // else more was dropped, or it was deleted: whoever asks looks again
		h.splice(l, &r)
		h.foundClosed(b, l)
	}
	return nil
}

// unavailable is what a caller is told of an error of the store.
func unavailable(err error) error {
	if _, ok := errors.AsType[*wire.Error](err); ok {
		return err
	}
	return ErrUnavailable
}

// reader collects what is read back of a topic, within the topic's bounds.
type reader struct {
	hub    *Hub
	keep   Retention
	events []*Stored
	blocks [][]byte // of events
	bytes  int64
	lost   uint64 // the newest event that was left out
	born   uint64
	bornAt int64
	closed bool
}

func (r *reader) take(e Stored) error {
	switch {
	case e.Delete:
		*r = reader{hub: r.hub, keep: r.keep, born: e.Seq, bornAt: e.At}
		return nil
	case r.closed:
		return nil // it came after the end, and does not count
	}
	r.closed = e.Close
	r.born = max(r.born, e.Born)
	r.events = append(r.events, &e)
	r.bytes += e.size()
	for len(r.events) > max(r.keep.Events, 1) || r.keep.Bytes > 0 && r.bytes > r.keep.Bytes && len(r.events) > 1 {
		r.lost = r.events[0].Seq
		r.bytes -= r.events[0].size()
		r.events[0] = nil
		r.events = r.events[1:]
	}
	return nil
}

// encode makes the blocks of the events, which is not to be done under the lock.
func (r *reader) encode() {
	r.blocks = make([][]byte, len(r.events))
	for i, e := range r.events {
		r.blocks[i] = e.encode()
	}
}

// size is about what an event counts when it is held.
func (e *Stored) size() int64 { return int64(len(e.Data) + len(e.Name) + plainIDBytes) }

// splice puts what was read back in front of what is held. The caller holds the
// lock; the bound over all topics is applied later, when it has been used.
func (h *Hub) splice(l *log, r *reader) {
	l.cold, l.doubt = 0, false
	l.bornAt(max(l.born, r.born))
	if len(r.events) == 0 {
		if l.unsure, l.floor = true, h.opts.Store.Discarded(); l.last == 0 && r.born > 0 {
			l.last, l.lastAt = r.born, r.bornAt
		}
		return
	}
	if r.closed { // what is held came after the end, and does not count
		for l.held() > 0 {
			h.pop(l)
		}
	}
	h.judgeLoss(l, r)
	front := make([]event, 0, len(r.events)+l.held())
	for i, e := range r.events {
		ev := h.stamp(r.blocks[i], e.Seq, e.At, e.At)
		front = append(front, ev)
		h.bytes += int64(ev.frame.Len())
		l.bytes += int64(ev.frame.Len())
	}
	newest := r.events[len(r.events)-1]
	if r.closed || l.last <= newest.Seq {
		l.last, l.lastAt, l.closed = newest.Seq, newest.At, r.closed
	}
	l.appended = max(l.appended, newest.Number)
	h.events += len(front)
	l.events, l.head = append(front, l.events[l.head:]...), 0
	for why := l.over(time.Now()); why != ""; why = l.over(time.Now()) {
		h.drop(l, why)
	}
	h.expiry.remove(l) // its oldest event is older than before
	h.expiry.update(l)
	if l.held() > 0 {
		h.recent.touch(l)
	}
}

// judgeLoss finds out what there was before the oldest event that was read back.
func (h *Hub) judgeLoss(l *log, r *reader) {
	oldest := r.events[0]
	switch {
	case r.lost > 0:
		l.lost = max(l.lost, r.lost)
	case !oldest.PrevKnown: // nor is its number: there was at least one that came with it
		l.lost = max(l.lost, oldest.Seq-1)
	case oldest.Number <= 1:
		l.unsure = r.born == 0
	default:
		l.lost = max(l.lost, oldest.Prev)
	}
}

// bornAt notes up to which position the topic was deleted, when it has begun anew.
func (l *log) bornAt(seq uint64) { l.born, l.forgotten, l.lost = seq, seq, max(l.lost, seq) }

// reborn notes that the topic was deleted and nothing has come since.
func (l *log) reborn(seq uint64, at int64) {
	l.cold, l.last, l.lastAt, l.closed, l.doubt, l.appended = 0, seq, at, false, false, 0
	l.lost, l.born, l.forgotten = seq, seq, seq
}
