package bench

import "context"

// fewStreams are open while latency is measured.
const fewStreams = 100

// measureLatency sends one event at a time, with pauses in which nothing else
// happens.
func measureLatency(ctx context.Context, b *testbed) error {
	streams := min(fewStreams, b.opts.Streams)
	tokens, err := b.openTokens(streams)
	if err != nil {
		return err
	}
	conn, err := b.api.dial(ctx)
	if err != nil {
		return err
	}
	defer conn.close()
	b.sent.byID = make([]int64, streams)
	g := senderGroup{size: b.opts.Size, targets: tokens, sent: b.sent.byID, batch: 1}
	used, err := b.timed(func() error {
		if err := g.evenly(ctx, conn, b.opts.Messages, b.opts.Pace); err != nil {
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
	b.figure("POST begun to answer read, p50", "ms", millis(g.answered.quantile(0.50)))
	b.cpuFigures("event", used, int64(b.opts.Messages))
	return nil
}
