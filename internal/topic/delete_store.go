package topic

import (
	"context"
	"errors"
	"time"

	"tidegate/internal/backoff"
)

const (
	// tombstoneAge is how long a store keeps the record of a deletion at least.
	tombstoneAge = 24 * time.Hour

	// A purge is tried purgeTries times, with purgePause in between, within maxPurgeTime.
	purgeTries   = 3
	purgePause   = 300 * time.Millisecond
	maxPurgeTime = 10 * time.Second
)

// storeDelete deletes a topic on all nodes: it appends an event that says so, and then the
// store drops older events. Reads of the topic start after that event, so nothing waits for
// the second step. If that fails, a repeat must complete it, for which the topic is deleted
// already.
func (h *Hub) storeDelete(ctx context.Context, topic string) error {
	exists, err := h.exists(ctx, topic)
	if err != nil {
		return err
	}
	if !exists {
		return h.deleteRest(ctx, topic)
	}
	got, err := h.appendOne(ctx, Entry{Topic: topic, Delete: true, Age: h.retention(topic).tombstone()})
	if err != nil {
		return unavailable(err)
	}
	return h.purge(ctx, topic, got.Seq)
}

// exists reports whether a topic has events or streams on any node.
func (h *Hub) exists(ctx context.Context, topic string) (bool, error) {
	info, err := h.Info(ctx, topic)
	if err == ErrNotFound {
		return false, nil
	}
	return err == nil && (info.Events > 0 || info.Streams > 0 || info.LastID != ""), err
}

var errSome = errors.New("topic: there are some")

// deleteRest drops what a deletion has left in the store. It returns ErrNotFound if nothing
// is left.
func (h *Hub) deleteRest(ctx context.Context, topic string) error {
	h.mu.Lock()
	born := h.forgotten(topic)
	h.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, maxFetchTime)
	defer cancel()
	switch err := h.opts.Store.Read(ctx, topic, 1, born, func(Stored) error { return errSome }); {
	case errors.Is(err, errSome):
		return h.purge(ctx, topic, born)
	case err != nil:
		return unavailable(err)
	}
	return ErrNotFound
}

// purge drops events before a position, even if the caller has gone.
func (h *Hub) purge(ctx context.Context, topic string, before uint64) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), maxPurgeTime)
	defer cancel()
	err := h.opts.Store.Purge(ctx, topic, before)
	for try := 1; err != nil && try < purgeTries && ctx.Err() == nil; try++ {
		if backoff.Wait(ctx, purgePause) == nil {
			err = h.opts.Store.Purge(ctx, topic, before)
		}
	}
	if err != nil {
		return unavailable(err)
	}
	return nil
}

// life is the time after which a store drops an event; 0 for never.
func (r Retention) life() time.Duration {
	if r.Events <= 0 {
		return time.Second // it is for streams that are attached now
	}
	return r.Age
}

// tombstone is how long a store keeps the record of a deletion. No earlier event may outlive
// it: if a purge has failed, that event would reappear.
func (r Retention) tombstone() time.Duration {
	life := r.life()
	if life == 0 {
		return 0
	}
	return max(life, tombstoneAge)
}
