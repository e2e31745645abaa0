package app

import (
	"context"
	"crypto/rand"
	"net/http"

	"tidegate/client"
	"tidegate/internal/access"
	"tidegate/internal/config"
	"tidegate/internal/pipenet"
)

// makeServices makes gateway and backend, as far as the command has them, and puts their handlers
// on the listeners.
func (p *program) makeServices(context.Context) error {
	public, internal, err := p.handlers()
	if err != nil {
		return err
	}
	p.public.http.Handler = withSecurityHeaders(public, p.cfg.HSTS)
	if p.internal != nil {
		p.internal.http.Handler = withSecurityHeaders(internal, 0)
		if p.gateway != nil && !p.cfg.NoExpress {
			p.internal.express(p.gateway, p.cfg.MaxBody)
		}
		p.internal.bound(p.limits, p.internalPool(), p.cfg.MaxHeader, nil)
	}
	p.public.bound(p.limits, p.publicPool(), p.cfg.MaxHeader, opensStream(p.command))
	return nil
}

// handlers makes the services of the command and returns the handlers of the public and of the
// internal listener. internal is nil if there is no internal listener.
func (p *program) handlers() (public, internal http.Handler, err error) {
	switch p.command {
	case "gateway":
		target, transport, err := p.toBackend()
		if err != nil {
			return nil, nil, err
		}
		p.gateway = p.newGateway(transport, target, p.guards.callbacks)
		public, internal = p.gateway.Public(), p.gateway.Internal()
	case "backend":
		p.metrics = newRegistry()
		if p.backend, err = p.newBackend(p.remote(), p.guards.callbacks, p.metrics); err != nil {
			return nil, nil, err
		}
		public, internal = p.cors.Handler(p.backendRoutes(), apiMethods), p.backendInternal()
	default:
		if err := p.makeBoth(); err != nil {
			return nil, nil, err
		}
		public, internal = p.cors.Handler(p.serveRoutes(), apiMethods), p.gateway.Internal()
	}
	if p.cfg.InternalListen == config.Shared {
		return shared(public, internal), nil, nil
	}
	return public, internal, nil
}

// makeBoth makes both halves and joins them without a network: the backend's handler receives the
// gateway's callbacks, with a secret that nobody else knows.
func (p *program) makeBoth() error {
	secret, err := access.NewSecrets(rand.Text())
	if err != nil {
		return err
	}
	toBackend, toGateway := p.inProcess(), p.inProcess()
	p.gateway = p.newGateway(toBackend, "http://backend.internal"+callbackPath, secret)
	toGateway.Handler = p.gateway.InProcess()
	p.backend, err = p.newBackend(client.Options{
		URL: "http://gateway.internal", Transport: toGateway,
	}, secret, p.gateway.Registry())
	if err != nil {
		return err
	}
	toBackend.Handler = p.backend.Callback()
	return nil
}

// inProcess is an HTTP connection to a handler in this process.
func (p *program) inProcess() *pipenet.Transport {
	return &pipenet.Transport{Panicked: func(value any, stack []byte) {
		p.log.Error("handler panicked", "value", value, "stack", string(stack))
	}}
}
