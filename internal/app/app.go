// Package app builds the program from its parts and stops it in order. The
// three servers are three lists of parts: serve has all of them in one process,
// gateway and backend one half each. Where both halves are in one process they
// meet over the same HTTP handlers as over a network, called directly.
package app

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"tidegate/client"
	"tidegate/internal/access"
	"tidegate/internal/backend"
	"tidegate/internal/certs"
	"tidegate/internal/config"
	"tidegate/internal/cors"
	"tidegate/internal/gateway"
	"tidegate/internal/limit"
	"tidegate/internal/logging"
	"tidegate/internal/peer"
	"tidegate/internal/pipenet"
	"tidegate/internal/topic"
)

// Addresses is where a started program can be reached from this machine.
type Addresses struct {
	Public   string
	Internal string // "" where there is no internal listener
}

// Options are what Run needs beside the configuration.
type Options struct {
	Command string // "serve", "gateway" or "backend"
	Config  *config.Config
	Log     *slog.Logger
	Ready   func(Addresses) // called once, when requests are answered; may be nil

	// Output is where Log goes, to be reopened and to be counted; may be nil.
	Output *logging.Output
	// Reload has everything that can change outside read anew at each value;
	// nil for never.
	Reload <-chan os.Signal
}

// Run builds the program, runs it until ctx ends, and stops it in order. It
// returns nil after a clean stop.
func Run(ctx context.Context, opts Options) error {
	p := &program{
		cfg: opts.Config, log: opts.Log,
		cors: newCORS(opts.Config, opts.Log), peers: newPeers(opts.Config, opts.Log),
	}
	if opts.Output != nil {
		p.reloads.add("log file", opts.Output)
	}
	p.divideMemory()
	if err := p.setLimits(opts.Command); err != nil {
		return err
	}
	if err := p.openDoors(); err != nil {
		return err
	}
	p.reloads.add("secrets", &p.doors)
	defer func() { p.storage.close(p.log) }()
	// First what fails at once if it fails: a port in use is no reason to make a
	// store. Whoever connects from now on waits until requests are answered.
	err := p.bind()
	if err == nil {
		err = whileStarting(p.notify, func() error { return p.openStorage(ctx, opts.Command) })
	}
	if err == nil {
		err = p.build(opts.Command)
	}
	if err != nil {
		p.closeListeners()
		if ctx.Err() != nil { // whoever stops it while it starts gets a clean stop
			p.log.Info("stopped before it was ready", "cause", context.Cause(ctx), "err", err)
			return nil
		}
		return err
	}
	p.watch(opts.Output)
	return p.run(ctx, opts)
}

func newPeers(c *config.Config, log *slog.Logger) *peer.Rules {
	networks, unix := c.TrustedNetworks()
	return peer.New(peer.Options{Trusted: networks, TrustUnix: unix, Log: log})
}

// program is the parts of one process. Those that its command does not have are
// nil.
type program struct {
	cfg *config.Config
	log *slog.Logger

	cors     *cors.Policy
	files    limit.Files // how descriptors are divided
	limits   *limit.Limits
	peers    *peer.Rules // who is at the other end of a request
	doors    doors
	storage  *storage // nil: everything is in memory
	topics   *topic.Hub
	gateway  *gateway.Gateway
	backend  *backend.Backend
	public   *server
	internal *server
	metrics  *prometheus.Registry
	reloads  reloads

	certificates []certs.Source // that are read again when they change
}

// bind takes the listeners, and reads what they need, before anything is made.
func (p *program) bind() (err error) {
	if p.public, err = newServer("public", p.cfg.Listen, p.cfg.SocketMode, p.log); err != nil {
		return err
	}
	if p.cfg.TLSCert != "" {
		pair, err := certs.LoadPair("--tls-cert", p.cfg.TLSCert, p.cfg.TLSKey)
		if err != nil {
			return err
		}
		p.public.useTLS(pair)
		p.certificates = append(p.certificates, pair)
	}
	if p.cfg.InternalListen != config.Shared {
		p.internal, err = newServer("internal", p.cfg.InternalListen, p.cfg.SocketMode, p.log)
	}
	return err
}

// build makes the parts, which answer on the listeners.
func (p *program) build(command string) error {
	public, internal, err := p.handlers(command)
	if err != nil {
		return err
	}
	p.register()
	p.public.http.Handler = harden(public, p.cfg.HSTS)
	if p.internal != nil {
		p.internal.http.Handler = harden(internal, 0)
		if p.gateway != nil && !p.cfg.NoExpress {
			p.internal.express(p.gateway, p.cfg.MaxBody)
		}
		p.internal.bound(p.limits, p.internalPool(), p.cfg.MaxHeader, nil)
	}
	p.public.bound(p.limits, p.publicPool(), p.cfg.MaxHeader, opensStream(command))
	return nil
}

// handlers makes the parts of a command and gives what answers on the public
// and on the internal listener; a nil internal needs no listener.
func (p *program) handlers(command string) (public, internal http.Handler, err error) {
	switch command {
	case "gateway":
		target, transport, err := p.toBackend()
		if err != nil {
			return nil, nil, err
		}
		p.gateway = p.newGateway(transport, target, p.doors.callbacks)
		public, internal = p.gateway.Public(), p.gateway.Internal()
	case "backend":
		p.metrics = newRegistry()
		if p.backend, err = p.newBackend(p.remote(), p.doors.callbacks, p.metrics); err != nil {
			return nil, nil, err
		}
		public, internal = p.cors.Handler(p.backendRoutes(), apiMethods), p.backendInternal()
	default:
		if err := p.buildServe(); err != nil {
			return nil, nil, err
		}
		public, internal = p.cors.Handler(p.serveRoutes(), apiMethods), p.gateway.Internal()
	}
	if p.cfg.InternalListen == config.Shared {
		return shared(public, internal), nil, nil
	}
	return public, internal, nil
}

// buildServe makes both halves and joins them without a network: the callbacks
// of one are handled by the other, with a secret that nobody else knows.
func (p *program) buildServe() error {
	secret, err := access.NewSecrets(newSecret())
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

func (p *program) inProcess() *pipenet.Transport {
	return &pipenet.Transport{Panicked: func(value any, stack []byte) {
		p.log.Error("handler panicked", "value", value, "stack", string(stack))
	}}
}

// run starts everything, waits for ctx or for a part that fails, and stops.
func (p *program) run(ctx context.Context, opts Options) error {
	servers, failed := errgroup.WithContext(context.WithoutCancel(ctx))
	storageLife, endStorage := context.WithCancel(context.WithoutCancel(ctx))
	defer endStorage()
	if p.storage != nil {
		servers.Go(func() error { return p.storage.run(storageLife, p.gateway, p.topics) })
	}
	if err := p.storage.caught(ctx); err != nil {
		p.closeListeners()
		endStorage()
		return errors.Join(err, servers.Wait())
	}
	gatewayLife, endGateway := context.WithCancel(context.WithoutCancel(ctx))
	backendLife, endBackend := context.WithCancel(context.WithoutCancel(ctx))
	defer endGateway()
	var tended sync.WaitGroup
	if !p.cfg.NoMemoryTuning {
		tended.Go(func() { tuneMemory(backendLife) })
	}
	tended.Go(func() { p.reloadOn(opts.Reload, backendLife.Done()) })
	tended.Go(func() { certs.Watch(backendLife, p.log, p.reloads.fail, p.certificates...) })
	defer tended.Wait()
	defer endBackend()
	var halves [2]errgroup.Group
	ended, end := context.WithCancel(context.WithoutCancel(ctx)) // one of them, by itself
	defer end()
	if p.gateway != nil {
		halves[0].Go(func() error { defer end(); return p.gateway.Run(gatewayLife) })
	}
	if p.backend != nil {
		halves[1].Go(func() error { defer end(); return p.backend.Run(backendLife) })
	}
	for _, s := range []*server{p.public, p.internal} {
		if s != nil {
			servers.Go(s.serve)
		}
	}
	p.announce(opts.Ready)
	select {
	case <-ctx.Done():
		p.log.Info("stopping", "cause", context.Cause(ctx))
	case <-failed.Done():
	case <-ended.Done():
		p.log.Error("stopping: a part of the program has ended")
	}
	p.notifyStopping()
	p.drain()
	// The gateway's last callbacks need the backend, so it ends first.
	endGateway()
	var gatewayErr, backendErr error
	p.waitFor("disconnect callbacks", p.disconnectsLeft, func() { gatewayErr = halves[0].Wait() })
	endBackend()
	p.waitFor("what tasks have still to say", p.tasksLeft, func() { backendErr = halves[1].Wait() })
	p.waitFor("requests", nil, p.closeServers)
	endStorage()
	err := errors.Join(servers.Wait(), gatewayErr, backendErr)
	p.storage.close(p.log)
	if err == nil {
		p.log.Info("stopped")
	}
	return err
}

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

const (
	// drainPatience is what streams get beyond the time that their ends are
	// spread over, to take what is queued for them.
	drainPatience = 5 * time.Second
	// closePatience is what requests in flight get at the very end.
	closePatience = 5 * time.Second
)

// drain is the ordered stop: not ready; tasks get their time; nobody new comes
// in; streams end in waves.
func (p *program) drain() {
	if p.gateway != nil {
		p.gateway.StopReady()
	}
	if p.backend != nil {
		grace, cancel := context.WithTimeout(context.Background(), p.cfg.Grace)
		p.waitFor("tasks", p.tasksLeft, func() { p.backend.Drain(grace) })
		cancel()
	}
	if p.gateway == nil {
		return
	}
	patience, cancel := context.WithTimeout(context.Background(), p.cfg.DrainTime+drainPatience)
	defer cancel()
	// A client that finds the door closed comes back; one that is told an
	// error does not.
	closed := p.public.closing(patience)
	p.waitFor("streams", p.streamsLeft, func() {
		p.gateway.Drain(patience, p.cfg.DrainTime)
		closed()
	})
}

func (p *program) closeServers() {
	patience, cancel := context.WithTimeout(context.Background(), closePatience)
	defer cancel()
	for _, s := range []*server{p.public, p.internal} {
		if s != nil {
			s.close(patience)
		}
	}
}

// closeListeners gives back what a failed build had bound.
func (p *program) closeListeners() {
	for _, s := range []*server{p.public, p.internal} {
		if s != nil {
			_ = s.listener.Close()
		}
	}
}
