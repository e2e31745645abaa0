package topic

import (
	"context"
	"time"

	"tidegate/internal/stream"
	"tidegate/internal/wire"
	"tidegate/sse"
)

// Publication is what is appended to a topic.
type Publication struct {
	Topic    string
	HasEvent bool // if false, only Close counts
	Name     string
	Data     string
	Close    bool   // no event comes after this one
	Key      string // idempotency key: a repeat within KeyLife returns the first answer, other content is refused; "" for none
}

// Receipt answers a publication.
type Receipt struct {
	ID        string // of the event; "" if nothing was appended, or the id is not known any more, see Publish
	Receivers int    // streams at the topic, which receive the event
}

// headroom is the space for the id line of a frame: the frame is encoded before the event
// has a position, so that nothing is encoded under the lock.
const headroom = stream.Room + len("id: ") + plainIDBytes + sealBytes + len("\n")

// Publish appends an event to a topic, and queues it for the topic's streams. When it
// returns, the event is in the log. It waits for no stream; in a topic with thousands of
// streams, the queues of some may get the event later. It returns ErrClosed, ErrMismatch,
// ErrTooManyTopics, ErrUnavailable, or an error of the event's name.
//
// With a store, the event is as durable as the store makes it, and Receivers counts the
// streams of all nodes. After ErrUnavailable the event may have been stored or not: a
// repeat with the same key is safe. If the first event was dropped since, and this hub
// does not have the key, a repeat is answered without an id.
func (h *Hub) Publish(ctx context.Context, p Publication) (Receipt, error) {
	b := stream.NewBatch()
	defer b.Flush()
	return h.PublishIn(ctx, b, p)
}

// PublishIn is Publish for a caller that flushes the batch, after more than one
// publication.
func (h *Hub) PublishIn(ctx context.Context, b *stream.Batch, p Publication) (Receipt, error) {
	if h.opts.Store != nil {
		return h.store(ctx, p)
	}
	block, err := encode(p)
	if err != nil {
		return Receipt{}, err
	}
	content := contentOf(p)
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.publish(b, &p, block, content, time.Now())
}

// publish appends an event where there is no store. The caller holds the lock.
func (h *Hub) publish(b *stream.Batch, p *Publication, block []byte, content uint64, now time.Time) (Receipt, error) {
	if r, ok, err := h.answered(p, content, now); ok || err != nil {
		return r, err
	}
	l, err := h.openToPublish(p.Topic)
	if err != nil {
		return Receipt{}, err
	}
	if l.closed {
		return Receipt{}, ErrClosed
	}
	defer h.release(l) // it may have no streams and keep no events
	if !p.HasEvent && !p.Close {
		return Receipt{Receivers: l.streams()}, nil
	}
	h.seq++
	l.appended++
	e := h.stamp(block, h.seq, 0, now.UnixNano())
	r := Receipt{ID: e.id(), Receivers: h.append(b, l, e, now)}
	if p.Key != "" {
		h.keys.add(p.Topic, p.Key, dedupRecord{content: content, seq: l.last, receivers: r.Receivers}, now)
	}
	if p.Close {
		h.finish(b, l)
	}
	return r, nil
}

// answered returns the answer of a publication with the same key, or ErrMismatch if that
// had other content.
func (h *Hub) answered(p *Publication, content uint64, now time.Time) (Receipt, bool, error) {
	if p.Key == "" {
		return Receipt{}, false, nil
	}
	r, ok := h.keys.find(p.Topic, p.Key, now)
	switch {
	case !ok, r.seq <= h.forgotten(p.Topic):
		return Receipt{}, false, nil
	case r.content != content:
		return Receipt{}, false, ErrMismatch
	}
	return Receipt{ID: h.id(r.seq, r.at), Receivers: r.receivers}, true, nil
}

// forgotten is the position up to which a topic's events, and so their keys,
// count as never published: it was deleted, or gave way to others as a whole.
func (h *Hub) forgotten(topic string) uint64 {
	if l, ok := h.topics[topic]; ok {
		return l.forgotten
	}
	tomb, _, _ := h.tombstones.find(topic)
	return tomb.forgotten
}

// encode returns the block, with headroom for its id line. A close without an event is a
// block with an id, which dispatches nothing: WHATWG HTML 9.2.6.
func encode(p Publication) ([]byte, error) {
	block := make([]byte, headroom, headroom+len(p.Name)+len(p.Data)+32)
	if !p.HasEvent {
		return append(block, '\n'), nil
	}
	return sse.Append(block, sse.Event{Name: p.Name, Data: p.Data})
}

// append adds an event that has its position to the log, and queues it for the streams. It
// returns how many they are.
func (h *Hub) append(b *stream.Batch, l *log, e event, now time.Time) (receivers int) {
	h.published++
	if l.streams() > 0 {
		h.delivered.Add(1)
	}
	l.last, l.lastAt = e.seq, e.at
	if e.gap {
		h.resets += uint64(l.streams())
	}
	if l.keep.Events > 0 {
		if l.push(e); l.held() == 1 {
			h.nonEmpty++
		}
		h.bytes += int64(e.frame.Len())
		h.events++
		h.recent.touch(l, now)
		h.trim(l, now)
		h.expiry.update(l)
	} else {
		l.lose(e.seq)
	}
	if l.fanOuts > 0 || len(l.subs) >= h.fanOuts.large {
		receivers = l.streams()
		h.fanOut(b, l, e)
		return receivers
	}
	for _, s := range l.subs {
		h.deliverPending(b, s.member)
		if s.member.push(b, e) {
			receivers++
		}
	}
	return receivers
}

// stamp writes the id line into the headroom of the block. at is when the event was
// published; stored is the same if a store keeps it, else 0.
func (h *Hub) stamp(block []byte, seq uint64, stored, at int64) event {
	var line [headroom]byte
	id := append(h.appendID(append(line[:0], "id: "...), position{seq: seq, at: stored}), '\n')
	start := headroom - len(id)
	copy(block[start:], id)
	e := event{seq: seq, at: at, rest: int32(len(id)), mute: h.opts.NoIDBlocks && len(block) == headroom+1}
	e.frame = stream.NewFrame(block, start, e.order())
	return e
}

// id is the id of an event; at is when a store has stored it, 0 without one. The
// caller holds the lock.
func (h *Hub) id(seq uint64, at int64) string {
	return string(h.appendID(nil, position{seq: seq, at: at}))
}

// idOf is the id of an event that was published at at.
func (h *Hub) idOf(seq uint64, at int64) string {
	if h.opts.Store == nil {
		at = 0
	}
	return h.id(seq, at)
}

// timeOf is when the event at a position was stored; 0 if that is not known, or
// there is no store.
func (h *Hub) timeOf(seq uint64) int64 {
	if seq == h.seq {
		return h.stored.at
	}
	at, _ := h.stored.times.find(seq)
	return at
}

// finish closes a log. Its streams leave it, and those without another topic end after
// their last event.
func (h *Hub) finish(b *stream.Batch, l *log) {
	h.finishFanOut(b, l)
	l.closed = true
	subs := l.subs
	l.subs = nil
	for _, s := range subs {
		s.member.left(s)
		s.member.finish(l)
		s.member.endIfDone(b)
	}
	h.release(l) // unless it keeps events
}

// Delete deletes a topic and its events. Streams at it are treated as if it had been
// closed. A later publish starts the topic again, and new clients receive no reset. It
// returns ErrNotFound if there is no such topic, or ErrUnavailable; then a repeat
// completes it.
func (h *Hub) Delete(ctx context.Context, topic string) error {
	if h.opts.Store != nil {
		return h.storeDelete(ctx, topic)
	}
	b := stream.NewBatch()
	defer b.Flush()
	h.mu.Lock()
	defer h.mu.Unlock()
	l, ok := h.topics[topic]
	if !ok {
		return ErrNotFound
	}
	h.restartTopic(b, l, l.last, l.lastAt)
	return nil
}

// restartTopic deletes all of a topic up to a position.
func (h *Hub) restartTopic(b *stream.Batch, l *log, seq uint64, at int64) {
	h.empty(l, DropDeleted)
	l.markDeleted(seq, at)
	h.finish(b, l)
}

// ended is why a stream ends whose last topic is closed.
var ended = wire.Ending{Reason: wire.ServerClosed, Detail: wire.DetailTopicClosed}

// appendIDBlock appends a block with an id and no event: a client that disconnects before
// its first event resumes from there.
func (h *Hub) appendIDBlock(items []stream.Item, seq uint64) []stream.Item {
	if h.opts.NoIDBlocks {
		return items
	}
	block, _ := sse.AppendID(nil, h.id(seq, h.timeOf(seq))) // our own id has no CR, LF or NUL
	return append(items, stream.Item{Frame: stream.FrameOf(block, event{seq: seq}.order()+1), Kind: stream.Control})
}
