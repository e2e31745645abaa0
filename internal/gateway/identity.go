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

// identity is this node's name among its peers. A gateway that was cut off from them
// goes on under another name: other nodes send the disconnects of the streams that it
// had opened under the old one.
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

// maxRecordTime bounds how long a connect waits for its record. It is as long as
// storage takes to elect another leader, so that no stream of a gateway that is killed
// then is left without a disconnect. When storage is away for longer, streams are
// opened without a record, and their records are written later: what the gateway holds
// in memory serves a client better than an error.
const maxRecordTime = 10 * time.Second

// record stores a stream's record before the backend receives its connect.
func (g *Gateway) record(ctx context.Context, c *conn) {
	if g.opts.Sessions == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, maxRecordTime)
	defer cancel()
	g.opts.Sessions.Put(ctx, wire.SessionRecord{
		Node: c.node.Name, Token: c.name(), OpenedAt: c.openedAt().UnixNano(), Request: g.recordedRequest(c),
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

// CutOff ends all streams that were opened under a name that this node has lost,
// because its peers could not reach it: they send the disconnects. When it returns,
// none of these streams is written to any more, and this node posts no more callbacks
// about them. Callbacks in progress are not cancelled.
func (g *Gateway) CutOff(name string) {
	if node := g.identity(); node.Name == name {
		g.disconnects.Disown(&node.Node) // first, so that accept rejects a stream that is not found below
	}
	conns := g.table.all(func(c *conn) bool { return c.node.Name == name })
	g.opts.Log.Error("cut off from the other nodes: ending streams, the others send their disconnects", "node", name, "count", len(conns))
	b := stream.NewBatch()
	for _, c := range conns {
		c.stream.Abort(b, wire.Ending{Reason: wire.Failed, Detail: wire.DetailNodeLost})
	}
	b.Flush()
}

// TakeOver sends the disconnect of a stream whose node is gone. It returns nil when
// the backend has accepted it, or has refused it for good.
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
