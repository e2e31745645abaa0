// Package gateway holds SSE streams for a backend.
//
// A client opens a stream. The gateway gives it a token, and asks the backend with a
// callback whether the client may stay. From then on it writes to the stream what is
// sent to its token or to the topics it is subscribed to. When the stream ends, the
// backend receives one disconnect callback. Of a callback's answer the gateway reads
// the status only: data goes one way.
//
// The package keeps streams, sends and the drain. When a connect may start is decided
// in gateway/admission, callbacks are in gateway/callback, and the bytes of streams are
// written by internal/stream.
package gateway

import (
	"cmp"
	"context"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"tidegate/internal/access"
	"tidegate/internal/cors"
	"tidegate/internal/gateway/admission"
	"tidegate/internal/gateway/callback"
	"tidegate/internal/gateway/token"
	"tidegate/internal/limit"
	"tidegate/internal/outbound"
	"tidegate/internal/packed"
	"tidegate/internal/peer"
	"tidegate/internal/stream"
	"tidegate/internal/topic"
	"tidegate/internal/wire"
)

// Options configure a Gateway. The zero value of a field stands for its default.
type Options struct {
	Topics   *topic.Hub                               // required
	Limits   *limit.Limits                            // counts streams by address; nil: not counted
	From     *peer.Rules                              // finds the client behind proxies; nil: who connected
	Peers    Peers                                    // the other gateways; nil: there are none
	Sessions SessionStore                             // records of open streams; nil: if the process dies, nobody sends their disconnects
	Status   func(context.Context) wire.ClusterStatus // of the storage; nil: there is none
	Health   func() []string                          // more reasons why the gateway is not ready; may be nil
	Warn     func() []string                          // reported beside them; the gateway stays ready; may be nil
	Log      *slog.Logger                             // default: none

	CallbackURL         string            // receives connects and disconnects; "": streams are refused with 503
	Transport           http.RoundTripper // for callbacks; default: pooled HTTP connections
	CallbackSecrets     *access.Secrets   // the first signs callbacks; nil: none does
	CallbackHeaders     []string          // names of the clients' headers that are reported and kept; nil: all
	ConnectHeaders      []string          // reported in connect callbacks as well, and not kept
	CallbackTimeout     time.Duration     // default 5s: until the status of a connect callback
	CallbackConcurrency int               // default 64 callbacks of each kind at once
	CallbackQueue       int               // default 65536 disconnects waiting for the backend
	CallbackRetention   time.Duration     // default 1h: how long a disconnect is retried

	Heartbeat     time.Duration // default 15s
	BareBeats     bool          // heartbeats end without a blank line
	Retry         time.Duration // of the retry field at open; 0 sends none
	RetryableFail bool          // 5xx and 429 of the backend are answered with an empty stream and a retry field
	MaxPending    int64         // default 1 MiB of frames waiting for one stream
	WriteTimeout  time.Duration // default 30s
	NoParking     bool          // every stream keeps the goroutine of its request
	NoPacing      bool          // connects of a reconnect storm do not wait for each other
	MaxConns      int           // default 15000 streams
	MaxAge        time.Duration // of a stream; 0: no bound
	MaxHeaders    int64         // default 128 MiB: of requests beyond 2 KiB of each, which are kept
	CORS          *cors.Policy  // pages of other origins that may read streams; nil: none

	MaxBody  int64 // default 1 MiB: one message
	MaxBatch int64 // default 16 MiB: all messages of one request

	Secrets        *access.Secrets // bearer tokens of the internal routes; nil leaves them open
	MetricsSecrets *access.Secrets // more bearer tokens, for /metrics alone
	Guard          *access.Guard   // of the internal listener; default: one with no further host names
}

func (o Options) withDefaults() Options {
	o.Log = cmp.Or(o.Log, slog.New(slog.DiscardHandler))
	o.CallbackTimeout = cmp.Or(o.CallbackTimeout, 5*time.Second)
	o.CallbackConcurrency = cmp.Or(o.CallbackConcurrency, 64)
	o.CallbackQueue = cmp.Or(o.CallbackQueue, 65536)
	o.CallbackRetention = cmp.Or(o.CallbackRetention, time.Hour)
	o.Heartbeat = cmp.Or(o.Heartbeat, 15*time.Second)
	o.MaxPending = cmp.Or(o.MaxPending, 1<<20)
	o.WriteTimeout = cmp.Or(o.WriteTimeout, 30*time.Second)
	o.MaxConns = cmp.Or(o.MaxConns, 15000)
	o.MaxHeaders = cmp.Or(o.MaxHeaders, maxLarge)
	o.MaxBody = cmp.Or(o.MaxBody, 1<<20)
	o.MaxBatch = cmp.Or(o.MaxBatch, 16<<20)
	if o.Transport == nil {
		o.Transport = outbound.New(outbound.Options{Conns: o.CallbackConcurrency})
	}
	if o.Guard == nil {
		o.Guard = &access.Guard{Log: o.Log, NoPages: true}
	}
	return o
}

// Gateway holds the streams of one process. Make it with New, mount Public and
// Internal, and call Run; all methods may be called concurrently.
type Gateway struct {
	opts        Options         // set once
	id          string          // set once: identifies this process in callbacks
	callers     *access.Callers // set once: of the internal routes
	scrapers    *access.Callers // set once: of /metrics
	engine      *stream.Engine
	requests    *requests // of streams, each until its disconnect was delivered
	limiter     *admission.Limiter
	callbacks   *callback.Caller
	disconnects *callback.Queue
	refusals    *limit.Tally
	table       table
	metrics     *metrics

	gate     admission.Gate
	notReady atomic.Bool
	node     atomic.Pointer[identity]

	internalMux func() *http.ServeMux // the internal routes; set once
}

// New makes a gateway.
func New(opts Options) *Gateway {
	opts = opts.withDefaults()
	g := &Gateway{
		opts: opts, id: token.New().String()[:8], metrics: newMetrics(),
	}
	g.callers, g.scrapers = newCallers(opts)
	g.engine = stream.NewEngine(g.engineOptions())
	g.requests = &requests{packed.New(packed.Options{Headers: opts.CallbackHeaders}), limit.NewShare(opts.MaxHeaders)}
	g.limiter = admission.NewLimiter(admission.LimiterOptions{Off: opts.NoPacing, Delivered: g.delivered, Stopping: g.gate.Closed})
	g.refusals = limit.NewTally(opts.Log, "streams refused")
	g.callbacks = callback.NewCaller(callback.Options{
		URL: opts.CallbackURL, Transport: opts.Transport, Secrets: opts.CallbackSecrets, Gateway: g.id,
		Timeout: opts.CallbackTimeout, Concurrency: opts.CallbackConcurrency,
		Requests: g.requests.Store, Metrics: g.metrics,
	})
	g.disconnects = callback.NewQueue(g.callbacks, g.queueOptions())
	g.node.Store(&identity{gateway: g})
	g.internalMux = sync.OnceValue(g.newInternalMux)
	g.metrics.watch(g)
	return g
}

func (g *Gateway) queueOptions() callback.QueueOptions {
	o := callback.QueueOptions{
		Size: g.opts.CallbackQueue, Retention: g.opts.CallbackRetention, Log: g.opts.Log,
		Finished: g.finished,
		Disowned: func(m *callback.Message) { g.requests.Release(m.Request) },
	}
	if g.opts.Sessions != nil {
		o.Ready = g.opts.Sessions.Ready
	}
	return o
}

// delivered is how many events were written to streams that were open already.
func (g *Gateway) delivered() uint64 { return g.opts.Topics.Delivered() + g.metrics.direct.Load() }

func (g *Gateway) engineOptions() stream.Options {
	return stream.Options{
		MaxPending:   g.opts.MaxPending,
		WriteTimeout: g.opts.WriteTimeout,
		Heartbeat:    g.opts.Heartbeat,
		BareBeats:    g.opts.BareBeats,
		MaxAge:       g.opts.MaxAge,
		NoParking:    g.opts.NoParking,
		Observer:     g.metrics,
		Log:          g.opts.Log,
	}
}

// Run writes streams, delivers disconnect callbacks and expires topics until ctx
// ends. Then it cuts the streams that are left, waits for connect callbacks, and
// delivers the disconnects that follow, for 10 s at most. To end streams in order,
// call Drain before.
func (g *Gateway) Run(ctx context.Context) error {
	engineLife, stopEngine := context.WithCancel(context.WithoutCancel(ctx))
	defer stopEngine()
	run, ctx := errgroup.WithContext(ctx) // the first failure ends the others
	run.Go(func() error { return g.engine.Run(engineLife) })
	run.Go(func() error { return g.opts.Topics.Run(ctx) })
	run.Go(func() error {
		defer stopEngine()
		return g.disconnects.Run(ctx, func() {
			g.gate.Close()
			g.engine.CutAll()
			g.gate.Wait()
			g.callbacks.Wait()
		})
	})
	return run.Wait()
}
