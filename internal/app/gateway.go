package app

import (
	"cmp"
	"net/http"

	"tidegate/internal/access"
	"tidegate/internal/gateway"
	"tidegate/internal/pipenet"
)

// newGateway makes the gateway. It sends callbacks to the URL through the transport.
func (p *program) newGateway(transport http.RoundTripper, callbackURL string, secrets *access.Secrets) *gateway.Gateway {
	c := p.cfg
	p.topics = p.newTopics()
	opts := gateway.Options{
		Topics: p.topics,
		Limits: p.limits,
		From:   p.peers,
		Log:    p.log.With("component", "gateway"),

		CallbackURL:         callbackURL,
		Transport:           transport,
		CallbackSecrets:     secrets,
		CallbackHeaders:     c.KeptHeaders(),
		CallbackTimeout:     c.CallbackTimeout,
		CallbackConcurrency: c.CallbackConcurrency,
		CallbackQueue:       c.CallbackQueue,
		CallbackRetention:   c.CallbackRetention,

		Heartbeat:     c.Heartbeat,
		BareBeats:     c.HeartbeatForm == "line",
		Retry:         c.Retry,
		RetryableFail: c.RetryableRejections,
		MaxPending:    c.MaxPending,
		WriteTimeout:  c.WriteTimeout,
		MaxConns:      cmp.Or(c.MaxConnections, p.files.Public),
		MaxAge:        c.MaxAge,
		NoParking:     c.NoParking,
		NoPacing:      c.NoPacing,

		MaxBody:        c.MaxBody,
		MaxBatch:       c.MaxBatch,
		Secrets:        p.guards.secrets,
		MetricsSecrets: p.guards.metrics,
		Guard:          p.guards.internal,
	}
	if s := p.storage; s != nil {
		opts.Peers, opts.Sessions, opts.Warn, opts.Status = s.nodes, s.sessions, s.warnings, s.status
	}
	opts.Health = p.health
	if _, here := transport.(*pipenet.Transport); here { // our own backend, which checks who asks
		opts.ConnectHeaders = []string{"authorization"}
	} else { // in one process the policy is in front of all routes
		opts.CORS = p.cors
	}
	g := gateway.New(opts)
	if p.storage != nil {
		p.storage.cutOff = g.CutOff
	}
	return g
}
