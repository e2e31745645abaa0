package bench

import (
	"context"
	"fmt"
	"time"
)

const (
	// slowEvery is which part of the streams stops reading.
	slowEvery = 10
	// slowEvent is the least size of an event: the buffers that have to fill up
	// count bytes, and the time is in the number of events.
	slowEvent = 8 << 10
	// slowSegment is what Ethernet takes. A kernel gives a socket a buffer for some
	// segments, and those of the loopback network have 64 KB: megabytes would be
	// gone before the gateway noticed anything.
	slowSegment = 1448
	// slowPatience is longer than a gateway lets a client take no byte, which is
	// 30 s by default.
	slowPatience = 40 * time.Second
)

// measureSlow sends events to all streams at full speed, each as soon as all that
// read have the one before. Then a tenth of the streams stops reading, and the
// same is done again: the others must not notice.
func measureSlow(ctx context.Context, b *testbed) error {
	b.endpoint.Segment = slowSegment
	if _, err := b.open(b.opts.Streams); err != nil {
		return err
	}
	out, err := b.newBroadcaster(ctx)
	if err != nil {
		return err
	}
	defer out.close()
	out.size = max(slowEvent, b.opts.Size)
	events := (b.opts.Pressure<<10 + out.size - 1) / out.size
	if _, err := b.deliver(out, 1); err != nil { // pays for what is only needed once
		return err
	}
	without, err := b.rush(ctx, out, max(1, events/4))
	if err != nil {
		return err
	}
	before, err := memoryOf(b.gateway.pids)
	if err != nil {
		return err
	}
	stalled, err := b.stallSome()
	if err != nil {
		return err
	}
	resetPeaks(b.gateway.pids)
	with, err := b.rush(ctx, out, events)
	if err != nil {
		return err
	}
	b.rushFigures(without, with)
	return b.endings(ctx, len(stalled), before)
}

// stallSome has a tenth of the streams not read, and expects no more of them.
func (b *testbed) stallSome() ([]int, error) {
	ids, err := b.clients.stall(slowEvery)
	if err != nil {
		return nil, err
	}
	b.sent.stalled = make(map[int]int64, len(ids))
	for _, id := range ids {
		b.sent.stalled[id] = b.sent.each
	}
	return ids, nil
}

// rushed is what readers noticed.
type rushed struct {
	p50, p99 float64 // of delivery, in milliseconds
	rate     float64 // deliveries to readers per second
}

// rush sends events one after the other, without a pause.
func (b *testbed) rush(ctx context.Context, out *broadcaster, events int) (r rushed, err error) {
	if err := b.clients.resetLatencies(); err != nil {
		return r, err
	}
	begin := time.Now()
	_, err = b.timed(func() error {
		for range events {
			if _, err := b.deliver(out, 1); err != nil {
				return err
			}
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
		}
		return nil
	})
	if err != nil {
		return r, err
	}
	took := time.Since(begin)
	got, err := b.clients.report(b.sent)
	return rushed{
		p50:  millis(got.Latency.quantile(0.50)),
		p99:  millis(got.Latency.quantile(0.99)),
		rate: float64(events*(b.clients.opened-len(b.sent.stalled))) / took.Seconds(),
	}, err
}

func (b *testbed) rushFigures(without, with rushed) {
	b.figure("delivery p50, all read", "ms", without.p50)
	b.figure("delivery p99, all read", "ms", without.p99)
	b.figure("delivery p50 to readers, a tenth does not read", "ms", with.p50)
	b.figure("delivery p99 to readers, a tenth does not read", "ms", with.p99)
	b.figure("p50, times that when all read", "×", with.p50/without.p50)
	b.figure("p99, times that when all read", "×", with.p99/without.p99)
	b.figure("deliveries, all read", "/s", without.rate)
	b.figure("deliveries to readers, a tenth does not read", "/s", with.rate)
}

// endings waits for the ends of those that did not read. Another reason than
// that is a fault, and so is the end of any other stream, which the check of the
// run finds.
func (b *testbed) endings(ctx context.Context, stalled int, before memory) error {
	slow, others := b.backend.waitSlow(ctx, stalled, max(slowPatience, b.opts.Patience))
	if others > 0 {
		b.fault(fmt.Sprintf("%d streams were ended, but not as slow consumers", others))
	}
	b.figure("streams that did not read", "", float64(stalled))
	b.figure("ended as slow consumers", "", float64(slow))
	if len(b.gateway.pids) == 0 {
		return nil
	}
	after, err := memoryOf(b.gateway.pids)
	if err != nil {
		return err
	}
	b.figure("memory before", "MiB", mebi(before.rss))
	b.figure("memory, peak", "MiB", mebi(after.peak))
	b.figure("memory after", "MiB", mebi(after.rss))
	return nil
}
