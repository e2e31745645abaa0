package bench

import (
	"context"
	"slices"
	"time"

	"tidegate/internal/backoff"
)

// measureFanout sends events to all streams: first spaced, each when the one
// before has arrived everywhere, and then many at once.
func measureFanout(ctx context.Context, b *testbed) error {
	if _, err := b.open(b.opts.Streams); err != nil {
		return err
	}
	out, err := b.newBroadcaster(ctx)
	if err != nil {
		return err
	}
	defer out.close()
	// The first event pays for what is only needed once.
	if _, err := b.deliver(out, 1); err != nil {
		return err
	}
	rate, err := b.spaced(ctx, out)
	if err != nil {
		return err
	}
	return b.burst(out, rate)
}

// deliver sends events to all streams at once and returns how long it took from
// the beginning of the request until the last stream had the last of them.
func (b *testbed) deliver(out *broadcaster, count int) (time.Duration, error) {
	at := now()
	first := b.sent.each + 1
	b.sent.each += int64(count)
	if err := out.send(first, count, at); err != nil {
		return 0, err
	}
	last, err := b.clients.await(b.sent)
	return time.Duration(last - at), err
}

// spaced returns the deliveries per second: the streams, by the time in which the
// last of them has an event.
func (b *testbed) spaced(ctx context.Context, out *broadcaster) (rate float64, err error) {
	if err := b.clients.resetLatencies(); err != nil {
		return 0, err
	}
	var took []float64
	used, err := b.timed(func() error {
		for range b.opts.Events {
			last, err := b.deliver(out, 1)
			if err != nil {
				return err
			}
			took = append(took, millis(last))
			if err := backoff.Wait(ctx, b.opts.Gap); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	got, err := b.clients.report(b.sent)
	if err != nil {
		return 0, err
	}
	b.cpuFigures("delivery", used, int64(b.opts.Events)*int64(b.opts.Streams))
	b.figure("last stream has it, median", "ms", median(took))
	b.figure("last stream has it, worst", "ms", slices.Max(took))
	b.figure("delivery p50", "ms", millis(got.Latency.quantile(0.50)))
	b.figure("delivery p99", "ms", millis(got.Latency.quantile(0.99)))
	return float64(b.opts.Streams) / (median(took) / 1000), nil
}

// burst sends many events in one request. That they leave in fewer writes shows
// in how much faster they arrive.
func (b *testbed) burst(out *broadcaster, spaced float64) error {
	var took time.Duration
	used, err := b.timed(func() (err error) {
		took, err = b.deliver(out, b.opts.Burst)
		return err
	})
	if err != nil {
		return err
	}
	count := int64(b.opts.Burst) * int64(b.opts.Streams)
	rate := float64(count) / took.Seconds()
	b.figure("burst: deliveries", "/s", rate)
	b.figure("burst: times the spaced deliveries", "×", rate/spaced)
	b.cpuFigures("delivery in a burst", used, count)
	return nil
}
