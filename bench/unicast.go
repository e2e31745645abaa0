package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"
)

// measureUnicast has several senders post to random tokens as fast as they are
// answered.
func measureUnicast(ctx context.Context, b *bed) error {
	if _, err := b.open(b.opts.streams); err != nil {
		return err
	}
	tokens, err := b.backend.tokensOf(b.opts.streams)
	if err != nil {
		return err
	}
	conns, err := b.dial(ctx, min(b.opts.senders, b.opts.streams))
	if err != nil {
		return err
	}
	defer closeAll(conns)
	b.sent.byID = make([]int64, b.opts.streams)
	u := unicast{size: b.opts.size, tokens: tokens, sent: b.sent.byID}
	var took time.Duration
	used, err := b.timed(func() error {
		took, err = u.run(ctx, conns, b.opts.duration)
		if err == nil {
			_, err = b.clients.await(b.sent)
		}
		return err
	})
	if err != nil {
		return err
	}
	got, err := b.clients.report(b.sent)
	if err != nil {
		return err
	}
	b.figure("sends", "/s", float64(u.answered.count())/took.Seconds())
	b.cpuFigures("send", used, u.answered.count())
	b.figure("send answered p50", "ms", millis(u.answered.quantile(0.50)))
	b.figure("send answered p99", "ms", millis(u.answered.quantile(0.99)))
	b.figure("delivery p50", "ms", millis(got.Latency.quantile(0.50)))
	b.figure("delivery p99", "ms", millis(got.Latency.quantile(0.99)))
	return nil
}

// unicast is the work of several senders. Each owns a share of the streams, so
// that the order of a stream's events is known.
type unicast struct {
	size     int
	tokens   []string
	sent     []int64 // events to each stream; sender i owns i, i+n, …
	answered histogram
}

// run sends for a while over all connections.
func (u *unicast) run(ctx context.Context, conns []*sender, long time.Duration) (time.Duration, error) {
	begin := time.Now()
	errs := make([]error, len(conns))
	answered := make([]histogram, len(conns))
	var wg sync.WaitGroup
	for i, conn := range conns {
		wg.Go(func() {
			var body []byte
			for ctx.Err() == nil && errs[i] == nil && time.Since(begin) < long {
				id := i + len(conns)*rand.IntN((len(u.tokens)-i+len(conns)-1)/len(conns))
				body, errs[i] = u.send(conn, id, body, &answered[i])
			}
		})
	}
	wg.Wait()
	took := time.Since(begin)
	for _, h := range answered {
		u.answered.merge(h)
	}
	return took, errors.Join(append(errs, context.Cause(ctx))...)
}

// send sends the next event of one stream. It returns body to be used again.
func (u *unicast) send(conn *sender, id int, body []byte, answered *histogram) ([]byte, error) {
	u.sent[id]++
	at := time.Now()
	body = appendMessage(body[:0], tokenTarget(u.tokens[id]), mark{seq: u.sent[id], to: int64(id), at: at.UnixNano()}, u.size)
	_, err := conn.post(sendPath, typeJSON, body)
	answered.add(time.Since(at))
	return body, err
}
