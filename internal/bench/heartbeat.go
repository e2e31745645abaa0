package bench

import (
	"context"
	"time"

	"tidegate/internal/backoff"
)

// restDefault is how long the streams are idle.
const restDefault = time.Minute

// measureHeartbeat leaves all streams idle: the gateway only keeps them alive.
func measureHeartbeat(ctx context.Context, b *testbed) error {
	if _, err := b.open(b.opts.Streams); err != nil {
		return err
	}
	if err := backoff.Wait(ctx, linger); err != nil { // what connecting leaves to be done
		return err
	}
	before, err := b.clients.report(b.sent)
	if err != nil {
		return err
	}
	used, err := b.timed(func() error { return backoff.Wait(ctx, b.opts.lasting(restDefault)) })
	if err != nil {
		return err
	}
	after, err := b.clients.report(b.sent)
	if err != nil {
		return err
	}
	beats := after.Beats - before.Beats
	if len(b.gateway.pids) > 0 {
		b.figure("CPU of the gateway", "% of a core", 100*used.gateway.Seconds()/used.elapsed.Seconds())
	}
	b.figure("heartbeats", "/s", float64(beats)/used.elapsed.Seconds())
	if beats > 0 {
		b.cpuFigures("heartbeat", used, beats)
	}
	return b.stillThere(ctx)
}
