package bench

import (
	"context"
	"time"

	"tidegate/internal/backoff"
)

// measureChurn makes clients open a stream and leave as soon as they have the headers. It ends when the
// backend has received the last disconnect, and then measures what the gateway still holds.
func measureChurn(ctx context.Context, b *testbed) error {
	// The first round makes the gateway allocate what it needs for so many clients at once.
	warm := min(4*b.opts.Window, b.opts.Leaves)
	if _, err := b.clients.churn(b.endpoint, 0, warm, b.opts.Window); err != nil {
		return err
	}
	b.backend.waitLeft(ctx, b.opts.Patience)
	before, err := b.holdings(ctx)
	if err != nil {
		return err
	}
	var begin, gone, reported time.Time
	used, err := b.timed(func() error {
		begin = time.Now()
		if _, err := b.clients.churn(b.endpoint, warm, b.opts.Leaves, b.opts.Window); err != nil {
			return err
		}
		gone = time.Now()
		reported = b.backend.waitLeft(ctx, b.opts.Patience)
		return nil
	})
	if err != nil {
		return err
	}
	after, err := b.holdings(ctx)
	if err != nil {
		return err
	}
	b.figure("clients come and gone", "/s", float64(b.opts.Leaves)/reported.Sub(begin).Seconds())
	b.cpuFigures("client, both callbacks included", used, int64(b.opts.Leaves))
	b.figure("last disconnect callback after the last client left", "ms", max(0, millis(reported.Sub(gone))))
	b.kept(before, after)
	return nil
}

// holdings are the resources of a gateway without clients.
type holdings struct {
	memory     int64 // bytes
	files      int
	goroutines float64 // -1: not known
}

// holdings waits until the memory of the gateway is stable, and returns its resources.
func (b *testbed) holdings(ctx context.Context) (h holdings, err error) {
	if err := backoff.Wait(ctx, b.opts.Settle); err != nil {
		return h, err
	}
	m, err := memoryOf(b.gateway.pids)
	if err != nil {
		return h, err
	}
	h.memory = m.rss
	if h.files, err = filesOf(b.gateway.pids); err != nil {
		return h, err
	}
	h.goroutines = b.gateway.goroutines(ctx)
	return h, nil
}

func (b *testbed) kept(before, after holdings) {
	if len(b.gateway.pids) > 0 {
		b.figure("memory before", "MiB", mebi(before.memory))
		b.figure("memory after", "MiB", mebi(after.memory))
		b.figure("descriptors more than before", "", float64(after.files-before.files))
	}
	if before.goroutines >= 0 && after.goroutines >= 0 {
		b.figure("goroutines more than before", "", after.goroutines-before.goroutines)
	}
}
