package gateway

import (
	"context"
	"time"

	"tidegate/internal/backoff"
	"tidegate/internal/stream"
	"tidegate/internal/wire"
)

// waves is how many groups streams are ended in, over the time of a drain.
const waves = 10

// StopReady makes readiness fail, so that balancers look elsewhere; streams go
// on being opened and served.
func (g *Gateway) StopReady() { g.notReady.Store(true) }

// Streaming is how many streams are open or wait for their callback.
func (g *Gateway) Streaming() int { return int(g.table.count.Load()) }

// Undelivered is how many disconnect callbacks have not been delivered yet.
func (g *Gateway) Undelivered() int { return g.disconnects.Depth() }

// Drain ends all streams, in waves spread over d, each with a retry field of
// its own so that the clients do not come back together. From its begin on, a
// client that opens a stream is asked to come again. It returns when all
// streams have had their end, or with ctx, and then cuts those that are left.
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
		endForDrain(left) // some may have come in while the gate was closing
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
		c.stream.End(b, drained, retryFrame(comeBack))
	}
	b.Flush()
}
