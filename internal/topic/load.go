package topic

import (
	"context"
	"errors"

	"tidegate/internal/stream"
	"tidegate/internal/wire"
)

// load is one read of a topic from the store, for all that wait for it.
type load struct {
	stop    context.CancelFunc // ends it early
	done    chan struct{}      // closed when it has ended
	err     error              // set before done is closed
	waiting int                // guarded by the hub's lock
}

// fetchEvents reads back all of a topic that the store has and the hub has not. Callers at
// the same time share one read, and none can cancel it for the others: it ends when it is
// done, after maxFetchTime, or when the last one leaves.
func (h *Hub) fetchEvents(ctx context.Context, topic string) error {
	at := h.joinLoad(ctx, topic)
	select {
	case <-at.done:
		return at.err
	case <-ctx.Done():
		if h.leaveLoad(topic, at) {
			at.stop()
			<-at.done // no other caller waits for it
		}
		return unavailable(ctx.Err())
	}
}

// joinLoad finds or starts the read of a topic.
func (h *Hub) joinLoad(ctx context.Context, topic string) *load {
	h.mu.Lock()
	defer h.mu.Unlock()
	at, running := h.stored.loads[topic]
	if !running {
		ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), maxFetchTime)
		at = &load{done: make(chan struct{}), stop: stop}
		h.stored.loads[topic] = at
		go func() { // ended by maxFetchTime, or by the last caller of fetchEvents, which waits for it
			defer close(at.done)
			defer stop()
			at.err = h.readBack(ctx, topic)
			h.endLoad(topic, at)
		}()
	}
	at.waiting++
	return at
}

// leaveLoad is called by a caller that stops waiting. It reports whether that was the last
// one; the next caller then starts a new read.
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
	if h.stored.loads[topic] == at {
		delete(h.stored.loads, topic)
	}
}

func (h *Hub) readBack(ctx context.Context, topic string) error {
	l, lacks := h.pin(topic)
	b := stream.NewBatch()
	defer b.Flush()
	r := reader{hub: h, keep: l.keep}
	var err error
	if lacks.cold > 0 {
		err = h.opts.Store.Read(ctx, topic, 1, lacks.cold, r.take)
	}
	r.encode()
	missing := h.opts.Store.Lost(topic)
	h.mu.Lock()
	defer h.mu.Unlock()
	l.pins--
	defer h.release(l)
	if err != nil {
		return unavailable(err)
	}
	if lacks.cold > 0 && h.lack(l) == lacks { // otherwise more was dropped, or it was deleted: the caller tries again
		h.splice(l, &r, missing)
		h.foundClosed(b, l)
	}
	return nil
}

// unavailable is the error for a caller when the store has failed with err.
func unavailable(err error) error {
	if _, ok := errors.AsType[*wire.Error](err); ok {
		return err
	}
	return ErrUnavailable
}
