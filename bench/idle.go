package main

import (
	"context"
	"time"
)

// measureIdle opens streams that nothing is sent to. What one costs is the
// difference between few and many, divided by how many more they are: that
// leaves out what the process needs anyway.
func measureIdle(ctx context.Context, b *bed) error {
	empty, err := memoryOf(b.gateway.pids)
	if err != nil {
		return err
	}
	few := b.opts.streams / 4
	small, err := b.grow(ctx, few)
	if err != nil {
		return err
	}
	large, err := b.grow(ctx, b.opts.streams-few)
	if err != nil {
		return err
	}
	more := float64(b.opts.streams - few)
	if len(b.gateway.pids) > 0 {
		b.figure("memory per stream", "bytes", float64(large.settled.rss-small.settled.rss)/more)
		b.figure("memory per stream, just connected", "bytes", float64(large.fresh.rss-empty.rss)/float64(b.opts.streams))
		b.figure("memory of the process", "MiB", mebi(large.settled.rss))
		b.figure("memory of the process, peak", "MiB", mebi(large.settled.peak))
		b.figure("threads", "", float64(large.settled.threads))
	}
	if n, ok := b.gateway.goroutines(ctx); ok {
		b.figure("goroutines", "", n)
	}
	b.figure("connects", "/s", more/large.took.Seconds())
	b.cpuFigures("connect", large.used, int64(more))
	return b.stillThere(ctx)
}

// growth is what opening streams took and left.
type growth struct {
	took    time.Duration
	used    usage
	fresh   memory // right after the last connect
	settled memory // a while later
}

func (b *bed) grow(ctx context.Context, count int) (g growth, err error) {
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
	if err = pause(ctx, b.opts.settle); err != nil {
		return g, err
	}
	g.settled, err = memoryOf(b.gateway.pids)
	return g, err
}

// stillThere sends every stream an event: one that is cheap because it is dead
// does not count.
func (b *bed) stillThere(ctx context.Context) error {
	out, err := b.newBroadcaster(ctx)
	if err != nil {
		return err
	}
	defer out.close()
	_, err = b.deliver(out, 1)
	return err
}

func mebi(bytes int64) float64 { return float64(bytes) / (1 << 20) }
