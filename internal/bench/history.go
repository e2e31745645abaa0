package bench

import (
	"context"
	"time"

	"tidegate/internal/backoff"
)

// historyTopics are published to if --topics does not say otherwise.
const historyTopics = 100_000

// startSettle bounds the wait until the memory of an empty gateway is stable.
const startSettle = 5 * time.Second

// measureHistory publishes one event to each of many topics without streams. It measures the memory
// and the disk that a topic with its history takes.
func measureHistory(ctx context.Context, b *testbed) error {
	topics := b.opts.topicsOr(historyTopics)
	if err := backoff.Wait(ctx, min(b.opts.Settle, startSettle)); err != nil {
		return err
	}
	idle, err := memoryOf(b.gateway.pids)
	if err != nil {
		return err
	}
	emptyDisk, err := b.storeSize(ctx)
	if err != nil {
		return err
	}
	used, err := b.timed(func() error {
		took, err := b.fill(ctx, topics, topics)
		if err == nil {
			b.figure("events", "/s", float64(topics)/took.Seconds())
		}
		return err
	})
	if err != nil {
		return err
	}
	b.cpuFigures("event", used, int64(topics))
	fresh, err := memoryOf(b.gateway.pids)
	if err != nil {
		return err
	}
	if err := backoff.Wait(ctx, b.opts.Settle); err != nil {
		return err
	}
	settled, err := memoryOf(b.gateway.pids)
	if err != nil {
		return err
	}
	if len(b.gateway.pids) > 0 {
		b.figure("memory of the process, before", "MiB", mebi(idle.rss))
		b.figure("memory of the process, all published", "MiB", mebi(fresh.rss))
		b.figure("memory of the process, settled", "MiB", mebi(settled.rss))
		b.figure("memory of the process, peak", "MiB", mebi(settled.peak))
		b.figure("memory per topic, settled", "bytes", float64(settled.rss-idle.rss)/float64(topics))
	}
	disk, err := b.storeSize(ctx)
	if err == nil && b.store.dir != "" {
		b.figure("on disk per event", "bytes", float64(disk-emptyDisk)/float64(topics))
	}
	return err
}

// storeSize returns the bytes that stored events take, 0 without storage. A gateway with a log
// of its own says so itself: with --durability power its files are as large at the start as later.
func (b *testbed) storeSize(ctx context.Context) (int64, error) {
	if b.store.dir == "" {
		return 0, nil
	}
	if size, err := b.api.logSize(ctx); err != nil || size >= 0 {
		return size, err
	}
	return b.store.size()
}
