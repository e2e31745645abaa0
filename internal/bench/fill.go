package bench

import (
	"context"
	"errors"
	"sync"
	"time"
)

const (
	fillSenders = 8
	fillLines   = 500 // of one batch
)

// fill publishes events to topics without streams, in batches: the first to
// each topic, then the second, and so on. Each topic belongs to one sender, so
// that its events are in order.
func (b *testbed) fill(ctx context.Context, topics, events int) (took time.Duration, err error) {
	conns, err := b.dial(ctx, fillSenders)
	if err != nil {
		return 0, err
	}
	defer closeAll(conns)
	b.endpoint.Each = true
	begin := time.Now()
	errs := make([]error, len(conns))
	var wg sync.WaitGroup
	for i, conn := range conns {
		wg.Go(func() { errs[i] = b.fillShare(ctx, conn, i, topics, events) })
	}
	wg.Wait()
	return time.Since(begin), errors.Join(append(errs, context.Cause(ctx))...)
}

// fillShare publishes to the topics i, i+fillSenders, …
func (b *testbed) fillShare(ctx context.Context, conn *sender, i, topics, events int) error {
	var body []byte
	lines := 0
	flush := func() error {
		if lines == 0 {
			return nil
		}
		answer, err := conn.post(sendPath, typeNDJSON, body)
		if err == nil {
			err = allTaken(answer, lines)
		}
		body, lines = body[:0], 0
		return err
	}
	for from := 0; from < events && ctx.Err() == nil; from += topics {
		for n := i; n < topics && from+n < events; n += fillSenders {
			m := mark{seq: int64(from/topics) + 1, to: everyone, at: now()}
			body = append(appendMessage(body, topicTarget(b.endpoint.topicOf(n)), m, b.opts.Size), '\n')
			if lines++; lines < fillLines {
				continue
			}
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return flush()
}
