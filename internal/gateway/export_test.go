package gateway

import (
	"context"
	"net/http"

	"tidegate/internal/stream"
)

// What tests from outside the package look at.
var (
	InternalRoutes = (*Gateway).internalRoutes
	OpenAPI        = openapi
)

// Bounds that tests reach.
const (
	MaxBatchLines = maxBatchLines
	MaxStreamBody = maxStreamBody
	RetryDelay    = retryDelay
)

// Simulate has the gateway write to sockets in memory. It is called before Run.
func (g *Gateway) Simulate(k *stream.Simulation) {
	opts := g.engineOptions()
	opts.Simulation = k
	g.engine = stream.NewEngine(opts)
}

// OpenSimulated opens a stream as a client's request does whose callback is
// accepted, subscribed to a topic, and gives its token.
func (g *Gateway) OpenSimulated(k *stream.Simulation, r *http.Request, topics ...string) (string, error) {
	g.gate.Enter()
	g.table.reserve(g.opts.MaxConns)
	c := &conn{request: g.requests.Pack(r)}
	g.register(c)
	if _, err := g.opts.Topics.Attach(context.Background(), &c.member, topics, ""); err != nil {
		return "", err
	}
	c.open.Store(true)
	g.opts.Topics.Open(&c.member)
	c.stream.ServeSimulated(k, g.firstFrame(), g.age())
	return c.token.String(), nil
}
