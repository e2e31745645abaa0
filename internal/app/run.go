package app

import (
	"context"
	"errors"

	"golang.org/x/sync/errgroup"

	"tidegate/internal/certs"
)

// lifetime is a context of its own, and the goroutines that run under it.
type lifetime struct {
	ctx   context.Context
	end   context.CancelFunc
	group errgroup.Group
}

// newLifetime does not end with ctx: parts end in an order, not at once.
func newLifetime(ctx context.Context) *lifetime {
	l := &lifetime{}
	l.ctx, l.end = context.WithCancel(context.WithoutCancel(ctx))
	return l
}

// start runs a part until the lifetime ends. The next wait waits for it.
func (l *lifetime) start(part func(context.Context) error) {
	l.group.Go(func() error { return part(l.ctx) })
}

// stop ends the lifetime and waits for its parts.
func (l *lifetime) stop() error {
	l.end()
	return l.group.Wait()
}

// running is a program whose parts run. Each group has a lifetime, so that stop can end them one
// after the other.
type running struct {
	*program
	storageLife, gatewayLife, backendLife, upkeepLife, serverLife *lifetime

	failed context.Context // ends when a part fails, or ends unasked
	fail   context.CancelFunc
}

// run starts all parts, waits until ctx ends or a part fails, and stops them.
func (p *program) run(ctx context.Context, opts Options) error {
	r := &running{
		program: p, storageLife: newLifetime(ctx), gatewayLife: newLifetime(ctx), backendLife: newLifetime(ctx),
		upkeepLife: newLifetime(ctx), serverLife: newLifetime(ctx),
	}
	r.failed, r.fail = context.WithCancel(context.WithoutCancel(ctx))
	defer r.fail()
	r.startStorage()
	if err := p.storage.caught(ctx); err != nil {
		p.closeListeners()
		return errors.Join(err, r.storageLife.stop())
	}
	r.startUpkeep(opts)
	r.startServices()
	r.startServers()
	p.announce(opts.Ready)
	select {
	case <-ctx.Done():
		p.log.Info("stopping", "cause", context.Cause(ctx))
	case <-r.failed.Done():
		p.log.Error("stopping: a part of the program has ended")
	}
	return r.stop()
}

func (r *running) startStorage() {
	if r.storage == nil {
		return
	}
	r.storageLife.start(r.orFail(func(ctx context.Context) error { return r.storage.run(ctx, r.gateway, r.topics) }))
}

// startUpkeep starts the jobs that nobody waits for: memory, reloads and certificates.
func (r *running) startUpkeep(opts Options) {
	if !r.cfg.NoMemoryTuning {
		r.upkeepLife.start(func(ctx context.Context) error { tuneMemory(ctx); return nil })
	}
	r.upkeepLife.start(func(ctx context.Context) error { r.reloadOn(opts.Reload, ctx.Done()); return nil })
	r.upkeepLife.start(func(ctx context.Context) error {
		certs.Watch(ctx, r.log, r.reloads.fail, r.certificates...)
		return nil
	})
}

// startServices starts gateway and backend. Neither ends unasked in normal operation.
func (r *running) startServices() {
	if r.gateway != nil {
		r.gatewayLife.start(func(ctx context.Context) error { defer r.fail(); return r.gateway.Run(ctx) })
	}
	if r.backend != nil {
		r.backendLife.start(func(ctx context.Context) error { defer r.fail(); return r.backend.Run(ctx) })
	}
}

func (r *running) startServers() {
	for _, s := range r.servers() {
		r.serverLife.start(r.orFail(func(context.Context) error { return s.serve() }))
	}
}

// orFail reports the error of a part to run.
func (r *running) orFail(part func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		err := part(ctx)
		if err != nil {
			r.fail()
		}
		return err
	}
}

// announce says that requests are answered: to the log, to the caller of Run and to the service
// manager.
func (p *program) announce(ready func(Addresses)) {
	a := Addresses{Public: p.public.url()}
	if p.internal != nil {
		a.Internal = p.internal.url()
	}
	p.log.Info("ready", "public", a.Public, "internal", a.Internal)
	if ready != nil {
		ready(a)
	}
	p.notifyReady()
}

// servers are the listeners that the command has.
func (p *program) servers() (all []*server) {
	for _, s := range []*server{p.public, p.internal} {
		if s != nil {
			all = append(all, s)
		}
	}
	return all
}

// closeListeners closes the listeners of a program that does not start.
func (p *program) closeListeners() {
	for _, s := range p.servers() {
		_ = s.listener.Close()
	}
}
