package topic

import (
	"cmp"
	"context"
	"slices"
	"time"
)

// repeat answers a publication with a key to a closed topic. Its first attempt may be in the
// topic although this hub does not have the key: another node took it, or its answer was
// lost. It may be what closed the topic.
//
// Appending it would show that, but if it is no repeat, it would be stored after the
// topic's end. So the store looks for it, as far back as keys are valid. e is the entry
// that would be appended.
func (h *Hub) repeat(ctx context.Context, p Publication, e Entry) (Receipt, error) {
	ctx, cancel := context.WithTimeout(ctx, maxFetchTime)
	defer cancel()
	got, ok, err := h.opts.Store.Find(ctx, e, h.since(time.Now().Add(-2*KeyLife)), e.Prev+1)
	switch {
	case err != nil:
		return Receipt{}, unavailable(err)
	case !ok:
		return Receipt{}, ErrClosed
	}
	return h.recordAnswer(p, got)
}

// since is a position before which nothing was stored at t or later: 1 if the time index
// does not go back that far.
func (h *Hub) since(t time.Time) uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	held := h.stored.times.list[h.stored.times.head:]
	i, _ := slices.BinarySearchFunc(held, t.UnixNano(), func(k timeEntry, at int64) int { return cmp.Compare(k.at, at) })
	if i == 0 {
		return 1
	}
	return held[i-1].seq + 1
}
