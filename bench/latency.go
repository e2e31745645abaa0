package main

import (
	"context"
	"math/rand/v2"
	"time"
)

// fewStreams are open while latency is measured.
const fewStreams = 100

// measureLatency sends one event at a time, with pauses in which nothing else
// happens.
func measureLatency(ctx context.Context, b *bed) error {
	streams := min(fewStreams, b.opts.streams)
	if _, err := b.open(streams); err != nil {
		return err
	}
	tokens, err := b.backend.tokensOf(streams)
	if err != nil {
		return err
	}
	conn, err := b.api.dial(ctx)
	if err != nil {
		return err
	}
	defer conn.close()
	b.sent.byID = make([]int64, streams)
	u := unicast{size: b.opts.size, tokens: tokens, sent: b.sent.byID}
	_, err = b.timed(func() error {
		if err := u.paced(ctx, conn, b.opts.messages, b.opts.pace); err != nil {
			return err
		}
		_, err := b.clients.await(b.sent)
		return err
	})
	if err != nil {
		return err
	}
	got, err := b.clients.report(b.sent)
	if err != nil {
		return err
	}
	b.figure("POST begun to event read, p50", "ms", millis(got.Latency.quantile(0.50)))
	b.figure("POST begun to event read, p99", "ms", millis(got.Latency.quantile(0.99)))
	b.figure("POST begun to answer read, p50", "ms", millis(u.answered.quantile(0.50)))
	return nil
}

// paced sends count events to random streams, with a pause before each.
func (u *unicast) paced(ctx context.Context, conn *sender, count int, pace time.Duration) error {
	var body []byte
	for range count {
		err := pause(ctx, pace)
		if err == nil {
			body, err = u.send(conn, rand.IntN(len(u.tokens)), body, &u.answered)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
