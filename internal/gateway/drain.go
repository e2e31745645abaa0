package gateway

import (
	"context"
	"time"

	"tidegate/internal/backoff"
	"tidegate/internal/stream"
	"tidegate/internal/wire"
)

// waves is how many groups of streams a drain ends, one after another.
const waves = 10

// StopReady makes /readyz fail, so that load balancers choose other nodes. Streams are
// still opened and served.
func (g *Gateway) StopReady() { g.notReady.Store(true) }

// Streaming is how many streams are open, or wait for their callback.
func (g *Gateway) Streaming() int { return int(g.table.count.Load()) }

// Undelivered is how many disconnect callbacks have not been delivered yet.
func (g *Gateway) Undelivered() int { return g.disconnects.Depth() }

// Drain ends all streams, in waves spread over d. Each stream gets a retry field with
// jitter, so that the clients do not reconnect together. From the start of the drain,
// clients that connect are asked to try again later. Drain returns when all streams
// have ended. If ctx ends before, it cuts those that are left.
func (g *Gateway) Drain(ctx context.Context, d time.Duration) {
	g.StopReady()
	g.gate.Close()
	all := func(*conn) bool { return true }
	conns := g.table.all(all)
	g.opts.Log.Info("ending streams", "count", len(conns), "over", d)
	size := max(1, (len(conns)+waves-1)/waves)
	for len(conns) > 0 {
		wave := conns[:min(size, len(conns))]
		conns = conns[len(wave):]
		endForDrain(wave)
		if len(conns) > 0 && backoff.Wait(ctx, d/waves) != nil {
			break
		}
	}
	for {
		left := g.table.all(all)
		if len(left) == 0 {
			return
		}
		endForDrain(left) // some may have entered while the gate was closing
		if backoff.Wait(ctx, 20*time.Millisecond) != nil {
			b := stream.NewBatch()
			for _, c := range left {
				c.stream.Abort(b, drained)
			}
			b.Flush()
			g.opts.Log.Warn("cut streams that did not take their end in time", "count", len(left))
			return
		}
	}
}

var drained = wire.Ending{Reason: wire.ServerClosed, Detail: wire.DetailDrain}

func endForDrain(conns []*conn) {
	b := stream.NewBatch()
	for _, c := range conns {
		c.stream.End(b, drained, retryFrame(retryDelay))
	}
	b.Flush()
}
