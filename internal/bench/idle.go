package bench

import (
	"context"
	"time"

	"tidegate/internal/backoff"
)

// measureIdle opens streams that receive nothing. The cost of a stream is the difference between few
// and many, divided by the number of additional streams: this excludes the base of the process.
func measureIdle(ctx context.Context, b *testbed) error {
	few, err := b.grow(ctx, b.opts.First)
	if err != nil {
		return err
	}
	more := b.opts.Streams - b.opts.First
	many, err := b.grow(ctx, more)
	if err != nil {
		return err
	}
	n := float64(more)
	if len(b.gateway.pids) > 0 {
		b.figure("memory per stream", "bytes", float64(many.settled.rss-few.settled.rss)/n)
		b.figure("memory per stream, just connected", "bytes", float64(many.fresh.rss-few.fresh.rss)/n)
		b.figure("memory of the process", "MiB", mebi(many.settled.rss))
		b.figure("memory of the process, peak", "MiB", mebi(many.settled.peak))
		b.figure("threads", "", float64(many.settled.threads))
	}
	if few.goroutines >= 0 && many.goroutines >= 0 {
		b.figure("goroutines per stream", "", (many.goroutines-few.goroutines)/n)
		b.figure("goroutines", "", many.goroutines)
	}
	b.figure("connects", "/s", n/many.took.Seconds())
	b.cpuFigures("connect", many.used, int64(more))
	return b.stillThere(ctx)
}

// growth is what opening streams took and left.
type growth struct {
	took    time.Duration
	used    usage
	fresh   memory // right after the last connect
	settled memory // a while later

	goroutines float64 // -1: not known
}

func (b *testbed) grow(ctx context.Context, count int) (g growth, err error) {
	g.used, err = b.timed(func() error {
		g.took, err = b.open(count)
		return err
	})
	if err != nil {
		return g, err
	}
	if g.fresh, err = memoryOf(b.gateway.pids); err != nil {
		return g, err
	}
	if err = backoff.Wait(ctx, b.opts.Settle); err != nil {
		return g, err
	}
	g.goroutines = b.gateway.goroutines(ctx)
	g.settled, err = memoryOf(b.gateway.pids)
	return g, err
}

// stillThere sends every stream an event: a dead stream costs nothing and must not count.
func (b *testbed) stillThere(ctx context.Context) error {
	out, err := b.newBroadcaster(ctx)
	if err != nil {
		return err
	}
	defer out.close()
	_, err = b.deliver(out, 1)
	return err
}

func mebi(bytes int64) float64 { return float64(bytes) / (1 << 20) }
