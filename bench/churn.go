package main

import (
	"context"
	"time"
)

// measureChurn has clients open a stream and leave as soon as they have the
// headers. It is over when the backend was told of the last that left.
func measureChurn(ctx context.Context, b *bed) error {
	var begin, gone, told time.Time
	used, err := b.timed(func() error {
		begin = time.Now()
		if _, err := b.clients.churn(b.door, b.opts.leaves, b.opts.window); err != nil {
			return err
		}
		gone = time.Now()
		told = b.backend.waitLeft(ctx, b.opts.patience)
		return nil
	})
	if err != nil {
		return err
	}
	b.figure("clients come and gone", "/s", float64(b.opts.leaves)/told.Sub(begin).Seconds())
	b.cpuFigures("client, both callbacks included", used, int64(b.opts.leaves))
	b.figure("last disconnect callback after the last client left", "ms", max(0, millis(told.Sub(gone))))
	return nil
}
