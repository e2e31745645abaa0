// Package app builds the program from its parts, runs them, and stops them in order. The three
// servers are three lists of parts: serve has all of them in one process, gateway and backend have
// one half each. In one process the halves call each other's HTTP handlers directly, so that there
// is one path to test.
package app

import (
	"context"
	"log/slog"
	"os"

	"github.com/prometheus/client_golang/prometheus"

	"tidegate/internal/backend"
	"tidegate/internal/certs"
	"tidegate/internal/config"
	"tidegate/internal/cors"
	"tidegate/internal/gateway"
	"tidegate/internal/limit"
	"tidegate/internal/logging"
	"tidegate/internal/peer"
	"tidegate/internal/topic"
)

// Addresses are the URLs of a started program, as this machine reaches it.
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

	// Output is where Log writes. Reload reopens it, and a metric counts its lost lines; may be nil.
	Output *logging.Output
	// Reload makes the program reload its files, once for each value; nil is never.
	Reload <-chan os.Signal
}

// Run builds the program, runs it until ctx ends, and stops it in order. It returns nil after a
// clean stop, also if ctx ends while the program starts.
func Run(ctx context.Context, opts Options) error {
	p := &program{command: opts.Command, cfg: opts.Config, log: opts.Log}
	defer func() { p.storage.close(p.log) }()
	if err := p.construct(ctx, opts); err != nil {
		p.closeListeners()
		if ctx.Err() != nil {
			p.log.Info("stopped before it was ready", "cause", context.Cause(ctx), "err", err)
			return nil
		}
		return err
	}
	return p.run(ctx, opts)
}

// program is the parts of one process. Those that its command does not have are nil. All fields are
// set by construct.
type program struct {
	command string
	cfg     *config.Config
	log     *slog.Logger

	cors     *cors.Policy
	peers    *peer.Rules // who is at the other end of a request
	files    limit.Files // how descriptors are divided
	limits   *limit.Limits
	guards   guards
	public   *server
	internal *server
	storage  *storage // nil: everything is in memory
	topics   *topic.Hub
	gateway  *gateway.Gateway
	backend  *backend.Backend
	metrics  *prometheus.Registry // of a backend alone; a gateway has its own
	reloads  reloads

	certificates []certs.Source // in use; they are reloaded when their files change
}

// construct makes the parts, one after the other: each needs those before it. What can fail at
// once comes early, so a port in use does not leave a new data folder behind. From listeners on,
// clients can connect; they wait until requests are answered.
func (p *program) construct(ctx context.Context, opts Options) error {
	if opts.Output != nil {
		p.reloads.add("log file", opts.Output)
	}
	for _, step := range []func(context.Context) error{
		p.divideMemory,
		p.makePolicies,
		p.makeLimits,
		p.makeGuards,
		p.openListeners,
		p.openStorage,
		p.makeServices,
		p.registerMetrics,
	} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	p.watchFiles(opts.Output)
	return nil
}

// makePolicies makes the rules about origins and proxies.
func (p *program) makePolicies(context.Context) error {
	p.cors = newCORS(p.cfg, p.log)
	networks, unix := p.cfg.TrustedNetworks()
	p.peers = peer.New(peer.Options{Trusted: networks, TrustUnix: unix, Log: p.log})
	return nil
}
