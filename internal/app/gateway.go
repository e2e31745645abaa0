package app

import (
	"cmp"
	"crypto/rand"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"tidegate/client"
	"tidegate/internal/access"
	"tidegate/internal/backend"
	"tidegate/internal/certs"
	"tidegate/internal/config"
	"tidegate/internal/gateway"
	"tidegate/internal/outbound"
	"tidegate/internal/pipenet"
	"tidegate/internal/socket"
	"tidegate/internal/topic"
	"tidegate/internal/version"
	"tidegate/task"
	"tidegate/task/checksum"
)

// newGateway makes the gateway, which calls its backend by the transport.
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
		Secrets:        p.doors.secrets,
		MetricsSecrets: p.doors.metrics,
		Guard:          p.doors.internal,
	}
	if s := p.storage; s != nil {
		opts.Peers, opts.Sessions, opts.Warn, opts.Status = s.nodes, s.sessions, s.warnings, s.status
	}
	opts.Health = p.health
	if _, here := transport.(*pipenet.Transport); here { // our own backend, in this process: it may see who asks
		opts.ConnectHeaders = []string{"authorization"}
	} else { // in one process the policy stands in front of all routes
		opts.CORS = p.cors
	}
	g := gateway.New(opts)
	if p.storage != nil {
		p.storage.cutOff = g.CutOff
	}
	return g
}

func (p *program) newTopics() *topic.Hub {
	opts := topic.Options{
		Namespaces: make(map[string]topic.Retention),
		MaxTopics:  p.cfg.MaxTopics,
		MaxBytes:   p.cfg.MaxHistory,
		MaxKeys:    keysOf(p.cfg.MaxHistory),
		NoIDBlocks: !p.cfg.IDBlocks,
	}
	for name, n := range p.cfg.Namespaces {
		keep := topic.Retention{Events: n.Events, Bytes: n.Bytes, Age: n.Age, Replay: topic.Replay(n.Replay)}
		if name == "*" {
			opts.Default = keep
		} else {
			opts.Namespaces[name] = keep
		}
	}
	if p.storage != nil {
		opts.Store, opts.Generation = p.storage.log, p.storage.generation()
		if p.storage.own != nil {
			opts.Idle = idleTopics
			opts.Unsealed = p.storage.engine.Adopted()
		}
	}
	return topic.New(opts)
}

// idleTopics is after what time topics that nobody uses are left to the log of the
// process, where they are read in less than a millisecond. From NATS that takes longer:
// there they stay within the bound of memory.
const idleTopics = time.Minute

// newBackend makes the backend.
func (p *program) newBackend(gateway client.Options, secrets *access.Secrets, registry *prometheus.Registry) (*backend.Backend, error) {
	types, err := p.types()
	if err != nil {
		return nil, err
	}
	rights, err := p.accessOptions()
	if err != nil {
		return nil, fmt.Errorf("access tokens: %w", err)
	}
	var store task.Store // in memory
	if p.storage != nil {
		store = p.storage.tasks
	}
	return backend.New(backend.Options{
		Mode:            backend.Mode(p.cfg.Mode),
		CallbackSecrets: secrets,
		Access:          rights,
		Client:          gateway,
		Shared:          p.gateway != nil && p.storage != nil || len(p.cfg.NATSURLs) > 0,
		Replace:         p.cfg.Replace,
		Tasks: task.Options{
			Store:      store,
			Workers:    p.cfg.TaskWorkers,
			Timeout:    p.cfg.TaskTimeout,
			Retention:  p.cfg.TaskRetention,
			QueueLimit: p.cfg.TaskQueue,
			Log:        p.log.With("component", "tasks"),
		},
		Types:               types,
		VersionURL:          p.cfg.FrontendVersionURL,
		VersionPollInterval: p.cfg.FrontendVersionInterval,
		Log:                 p.log,
		Registerer:          registry,
	})
}

// newRegistry is where the metrics of a backend alone are.
func newRegistry() *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return r
}

// types are the kinds of task that the program comes with, as far as they are on.
func (p *program) types() ([]task.Type, error) {
	kinds := p.cfg.BuiltInTasks()
	p.log.Info("built-in kinds of task", "on", kinds)
	var types []task.Type
	for _, kind := range kinds {
		switch kind {
		case config.DemoTask:
			types = append(types, task.Demo())
		case config.FailingTask:
			types = append(types, task.Failing())
		case config.ChecksumTask:
			t, err := p.checksums()
			if err != nil {
				return nil, err
			}
			types = append(types, t)
		}
	}
	return types, nil
}

func (p *program) checksums() (task.Type, error) {
	opts := checksum.Options{Roots: p.cfg.ChecksumRoots}
	if p.cfg.Data != "" {
		opts.Exclude = []string{p.cfg.Data} // it changes all the time, and is nobody's business
	}
	t, err := checksum.New(opts)
	if err != nil {
		return task.Type{}, fmt.Errorf("--checksum-root: %w", err)
	}
	return t, nil
}

// remote is a gateway in another process.
func (p *program) remote() client.Options {
	target, _ := socket.ParseTarget(p.cfg.GatewayURL) // config has looked at it
	return client.Options{
		URL: target.URL, SecretFunc: p.doors.secrets.First, UserAgent: version.UserAgent(),
		Transport: outbound.New(outbound.Options{Most: p.files.Callbacks, Socket: target.Path, Proxy: proxyOf(target)}),
	}
}

// proxyOf is the proxy of the environment. There is none to a Unix socket.
func proxyOf(target socket.Target) func(*http.Request) (*url.URL, error) {
	if target.Path != "" {
		return nil
	}
	return http.ProxyFromEnvironment
}

// toBackend is how callbacks get to a backend in another process.
func (p *program) toBackend() (callbackURL string, transport http.RoundTripper, err error) {
	c := p.cfg
	target, err := socket.ParseTarget(c.CallbackURL)
	if err != nil {
		return "", nil, fmt.Errorf("--callback-url: %w", err)
	}
	opts := outbound.Options{Conns: c.CallbackConcurrency, Most: p.files.Callbacks, MaxAge: c.CallbackConnectionAge, Socket: target.Path}
	if c.CallbackCA != "" {
		if opts.CA, err = certs.LoadPool("--callback-ca", c.CallbackCA); err != nil {
			return "", nil, err
		}
		p.certificates = append(p.certificates, opts.CA)
	}
	if c.CallbackCert != "" {
		if opts.Cert, err = certs.LoadPair("--callback-cert", c.CallbackCert, c.CallbackKey); err != nil {
			return "", nil, err
		}
		p.certificates = append(p.certificates, opts.Cert)
	}
	return target.URL, outbound.New(opts), nil
}

// newSecret is what the halves of one process know each other by.
func newSecret() string { return rand.Text() }
