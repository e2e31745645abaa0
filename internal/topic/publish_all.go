package topic

import (
	"context"
	"time"

	"tidegate/internal/stream"
)

// Published answers one publication of PublishAll.
type Published struct {
	Receipt
	Err error // if not nil, the rest is invalid
}

// PublishAll is Publish for many: the answer at i is that of ps[i]. Those for one topic
// are appended in their order. With a store, those that do not depend on each other are
// one call of it. If one fails with an error that is [Retryable], the later ones for its
// topic fail with the same error: a retry must not change the order. The caller bounds
// their number.
func (h *Hub) PublishAll(ctx context.Context, ps []Publication) []Published {
	b := stream.NewBatch()
	defer b.Flush()
	return h.PublishAllIn(ctx, b, ps)
}

// PublishAllIn is PublishAll for a caller that flushes the batch.
func (h *Hub) PublishAllIn(ctx context.Context, b *stream.Batch, ps []Publication) []Published {
	if h.opts.Store != nil {
		return h.storeAll(ctx, ps)
	}
	answers := make([]Published, len(ps))
	refused := refusals{}
	var blocks [applyStep][]byte
	var contents [applyStep]uint64
	for from := 0; from < len(ps); from += applyStep {
		step := ps[from:min(from+applyStep, len(ps))]
		for i := range step {
			blocks[i], answers[from+i].Err = encode(step[i])
			contents[i] = contentOf(step[i])
		}
		h.publishStep(b, step, blocks[:], contents[:], answers[from:], refused)
	}
	return answers
}

// publishStep appends some events under one hold of the lock.
func (h *Hub) publishStep(
	b *stream.Batch, ps []Publication, blocks [][]byte, contents []uint64, answers []Published, refused refusals,
) {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := time.Now()
	for i := range ps {
		a := &answers[i]
		if a.Err != nil {
			continue
		}
		if a.Err = refused.of(ps[i].Topic); a.Err == nil {
			a.Receipt, a.Err = h.publish(b, &ps[i], blocks[i], contents[i], now)
			refused.note(ps[i].Topic, a.Err)
		}
	}
}

// refusals holds the topics for which a publication has failed with a retryable error, and
// that error.
type refusals map[string]error

func (r refusals) of(topic string) error {
	if len(r) == 0 {
		return nil
	}
	return r[topic]
}

func (r refusals) note(topic string, err error) {
	if Retryable(err) {
		r[topic] = err
	}
}
