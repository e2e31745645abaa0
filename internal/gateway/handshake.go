package gateway

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"tidegate/internal/packed"
	"tidegate/internal/wire"
)

// handshake joins the two that end a connect callback: its answer, and a client
// that no longer waits for it.
type handshake struct {
	mu        sync.Mutex
	answer    answer
	done      bool
	abandoned *wire.Ending
}

// abandon says that the client is not there for the answer any more. It is too
// late for that if the answer is there.
func (h *handshake) abandon(why wire.Ending) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.done {
		h.abandoned = &why
	}
	return !h.done
}

// connect does the connect callback. The callback is let finish even if the
// client leaves or is told that it took too long: if the backend accepts, or
// may have, a disconnect follows it. waited is false if the client has left.
func (g *Gateway) connect(ctx context.Context, c *conn, more []packed.Header) (a answer, waited bool) {
	var h handshake
	var early atomic.Bool
	answered, before := make(chan struct{}), g.callbacks.answered.Load()
	g.gate.Go(func() {
		a, rest := g.callbacks.connect(ctx, &callback{action: wire.Connect, token: c.token, node: c.node, request: c.request, more: more}, &early)
		defer rest()
		defer close(answered)
		h.mu.Lock()
		h.answer, h.done = a, true
		abandoned := h.abandoned
		h.mu.Unlock()
		switch {
		case abandoned == nil:
		case a.accepted() || a.maybe():
			g.tellDisconnect(c, *abandoned)
		default:
			g.release(c)
		}
	})
	timeout := time.NewTimer(g.opts.CallbackTimeout)
	defer timeout.Stop()
	late := answer{err: errNoAnswer, abandoned: true}
	select {
	case <-answered:
		return g.crowded(h.answer, &early, before), true
	case <-timeout.C:
		if h.abandon(wire.Ending{Reason: wire.Failed, Detail: wire.DetailCallbackTimeout}) {
			g.unregister(c)
			return g.crowded(late, &early, before), true
		}
	case <-ctx.Done():
		why := wire.Ending{Reason: wire.ClientClosed, Detail: wire.DetailDuringCallback}
		if h.abandon(why) {
			g.unregister(c)
			g.metrics.ended(why)
			return late, false
		}
	}
	<-answered
	return g.crowded(h.answer, &early, before), true
}

// crowded tells a connect that others were in front of from one that the backend
// does not answer. before is how many it had answered when the client came.
func (g *Gateway) crowded(a answer, early *atomic.Bool, before uint64) answer {
	if a.status == 0 && isTimeout(a.err) && !early.Load() && g.callbacks.answered.Load() != before {
		a.err = errCrowd
	}
	return a
}
