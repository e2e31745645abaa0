package gateway

import (
	"context"
	"fmt"
	"time"

	"tidegate/internal/gateway/callback"
	"tidegate/internal/gateway/token"
	"tidegate/internal/stream"
	"tidegate/internal/wire"
)

// identity is this node's name among its peers, for a time. A gateway that was
// cut off from them goes on under another one: what was promised for its streams
// under the old name, others keep.
type identity struct {
	callback.Node
	gateway *Gateway
}

// identity is the current one.
func (g *Gateway) identity() *identity {
	now := g.node.Load()
	if g.opts.Peers == nil {
		return now
	}
	name := g.opts.Peers.Node()
	for now.Name != name {
		g.node.CompareAndSwap(now, &identity{Node: callback.Node{Name: name}, gateway: g})
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
	if g.opts.Sessions == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, ledgerPatience)
	defer cancel()
	g.opts.Sessions.Put(ctx, wire.SessionRecord{
		Node: c.node.Name, Token: c.name(), OpenedAt: c.openedAt().UnixNano(), Request: g.recorded(c),
	})
}

// release deletes what is kept of a stream that needs no disconnect callback.
func (g *Gateway) release(c *conn) {
	g.finished(&callback.Message{Token: c.token, Node: &c.node.Node, Request: c.request})
}

// finished deletes what is kept of a stream whose disconnect was delivered or given
// up.
func (g *Gateway) finished(m *callback.Message) {
	g.requests.Release(m.Request)
	if g.opts.Sessions != nil {
		g.opts.Sessions.Delete(m.Node.Name, m.Name())
	}
}

// CutOff ends all streams that were opened under a name that this node no longer
// has, because its peers could not hear of it: they will tell the backend. When it
// returns none of these streams is written to any more, and nothing more is told
// of them from here, apart from callbacks that are out at this moment.
func (g *Gateway) CutOff(name string) {
	if node := g.identity(); node.Name == name {
		g.disconnects.Disown(&node.Node) // first, so that a stream that is not found below is not let in, see welcome
	}
	conns := g.table.all(func(c *conn) bool { return c.node.Name == name })
	g.opts.Log.Error("cut off from the other nodes: ending streams, of which they tell", "node", name, "count", len(conns))
	b := stream.NewBatch()
	for _, c := range conns {
		c.stream.Abort(b, wire.Ending{Reason: wire.Failed, Detail: wire.DetailNodeLost})
	}
	b.Flush()
}

// TakeOver tells the backend of the end of a stream whose node cannot do it any
// more. It returns nil when that is done, or when the backend refuses to hear it.
func (g *Gateway) TakeOver(ctx context.Context, e wire.SessionRecord) error {
	m := &callback.Message{
		Action: wire.Disconnect, Why: wire.Ending{Reason: wire.Failed, Detail: wire.DetailNodeLost},
		Orphan: &callback.Orphan{Token: e.Token, Request: e.Request},
	}
	a := g.callbacks.Call(ctx, m)
	if !a.Retryable() {
		g.metrics.ended(m.Why)
		return nil
	}
	if a.Err != nil {
		return fmt.Errorf("disconnect callback of stream %s: %w", token.Fingerprint(e.Token), a.Err)
	}
	return fmt.Errorf("disconnect callback of stream %s: status %d", token.Fingerprint(e.Token), a.Status)
}
