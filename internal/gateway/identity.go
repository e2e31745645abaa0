package gateway

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"tidegate/internal/stream"
	"tidegate/internal/wire"
)

// identity is this node's name among its peers, for a time. A gateway that was
// cut off from them goes on under another one: what was promised for its streams
// under the old name, others keep.
type identity struct {
	gateway  *Gateway
	name     string      // "" for a gateway that is alone
	disowned atomic.Bool // others tell of its streams' ends; set under disconnects.mu, and never taken back
}

// identity is the current one.
func (g *Gateway) identity() *identity {
	now := g.node.Load()
	if g.opts.Peers == nil {
		return now
	}
	name := g.opts.Peers.Node()
	for now.name != name {
		g.node.CompareAndSwap(now, &identity{gateway: g, name: name})
		now = g.node.Load()
	}
	return now
}

// ledgerPatience bounds how long a connect waits for its record: as long as it
// takes until another server leads, so that a gateway which is killed right after
// that leaves no stream untold. When storage is away for longer, streams are opened
// without, for their clients are better served by what the gateway holds in
// memory than by nothing; their records are written later.
const ledgerPatience = 10 * time.Second

// record enters a stream in the ledger, before the backend hears of it.
func (g *Gateway) record(ctx context.Context, c *conn) {
	if g.opts.Ledger == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, ledgerPatience)
	defer cancel()
	g.opts.Ledger.Enter(ctx, wire.LedgerEntry{
		Node: c.node.name, Token: c.name(), OpenedAt: c.openedAt().UnixNano(), Request: g.recorded(c),
	})
}

// release forgets a stream of which nothing is to be told.
func (g *Gateway) release(c *conn) {
	g.told(&callback{token: c.token, node: c.node, request: c.request})
}

// told forgets a stream whose disconnect was told, or given up.
func (g *Gateway) told(body *callback) {
	g.requests.Release(body.request)
	if g.opts.Ledger != nil {
		g.opts.Ledger.Strike(body.node.name, body.name())
	}
}

// CutOff ends all streams that were opened under a name that this node no longer
// has, because its peers could not hear of it: they will tell the backend. When it
// returns none of these streams is written to any more, and nothing more is told
// of them from here, apart from callbacks that are out at this moment.
func (g *Gateway) CutOff(name string) {
	if node := g.identity(); node.name == name {
		g.disconnects.disown(node) // first, so that a stream that is not found below is not let in, see welcome
	}
	conns := g.table.all(func(c *conn) bool { return c.node.name == name })
	g.opts.Log.Error("cut off from the other nodes: ending streams, of which they tell", "node", name, "count", len(conns))
	b := stream.NewBatch()
	for _, c := range conns {
		c.stream.Abort(b, wire.Ending{Reason: wire.Failed, Detail: wire.DetailNodeLost})
	}
	b.Flush()
}

// Inherit tells the backend of the end of a stream whose node cannot do it any
// more. It returns nil when that is done, or when the backend refuses to hear it.
func (g *Gateway) Inherit(ctx context.Context, e wire.LedgerEntry) error {
	body := &callback{
		action: wire.Disconnect, why: wire.Ending{Reason: wire.Failed, Detail: wire.DetailNodeLost},
		heir: &heir{token: e.Token, request: e.Request},
	}
	ctx, cancel := context.WithTimeoutCause(ctx, g.opts.CallbackTimeout, errNoAnswer)
	defer cancel()
	a, rest := g.callbacks.call(ctx, body)
	defer rest()
	if a.accepted() || !retryable(a) {
		g.metrics.ended(body.why)
		return nil
	}
	if a.err != nil {
		return fmt.Errorf("tell the backend of the end of stream %s: %w", fingerprint(e.Token), a.err)
	}
	return fmt.Errorf("tell the backend of the end of stream %s: status %d", fingerprint(e.Token), a.status)
}
