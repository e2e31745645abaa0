package topic

import (
	"cmp"
	"context"
	"slices"
	"time"
)

// repeat answers a publication with a key to a topic that is closed. The first one
// may be in the topic although this hub does not remember it: it came by another
// node, or its answer was lost. It may well be what closed the topic.
//
// To append it once more would tell, but if it is none, it would be stored behind
// the topic's end. So it is looked for, as far back as keys count. e is what would
// have been appended.
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

// since is a position before which nothing was stored at t or later: 1 if nothing
// is remembered that is so old.
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
