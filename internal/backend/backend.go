package backend

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tidegate/client"
	"tidegate/internal/access"
	"tidegate/internal/limit"
	"tidegate/task"
)

// gatewayTimeout bounds one call to the gateway.
const gatewayTimeout = 5 * time.Second

// Mode decides whom the callback endpoint serves, and whether endpoints for tests exist.
type Mode string

// The modes. Any other value counts as Production.
const (
	Production  Mode = "production"  // callbacks must carry the secret or a signature
	Development Mode = "development" // callbacks need neither
	Testing     Mode = "testing"     // like Development, with the endpoints for tests
)

// Options configure a [Backend]. Client is required, and CallbackSecrets in
// production mode.
type Options struct {
	Mode            Mode            // default Production
	CallbackSecrets *access.Secrets // callbacks carry one of them as ?secret=, or are signed with it

	Client client.Options // where the gateway is

	// Shared means that other backends use the same logs, which outlive the gateway. The
	// backend then asks the gateway for what it would else know from its own sends.
	Shared bool

	// Access decides who may read tasks. The zero value admits everybody who knows an id.
	Access AccessOptions

	// Replace keeps only the newest stream of an identifier: a new one ends the others.
	Replace bool

	// Tasks configures the task service. Its Publisher, Observer and OnDelete
	// are the backend's and must be nil; its Log is Log if nil.
	Tasks task.Options
	Types []task.Type // kinds of task

	// VersionURL is polled for the version to announce; "" for none.
	VersionURL          string
	VersionPollInterval time.Duration // default 30s

	SweepInterval time.Duration // between sweeps for lost tasks; default 1m

	Log        *slog.Logger          // default: discarded
	Registerer prometheus.Registerer // default: metrics are not exposed
}

// Backend answers callbacks and runs tasks. Make it with [New], and serve its two
// handlers while Run runs. All its methods may be called concurrently.
type Backend struct {
	// Set once.
	opts     Options
	gateway  *client.Client
	service  *task.Service
	logs     *taskLogs
	versions *versions
	poller   *poller // nil without a URL
	rights   *rights
	expiries *expiries
	callback *callbackHandler
	rest     http.Handler
	log      *slog.Logger

	mu    sync.Mutex
	phase phase
}

// New makes a backend. It makes no request. Its error names all that is wrong with the
// options, not only the first.
func New(opts Options) (*Backend, error) {
	opts.Mode = cmp.Or(opts.Mode, Production)
	opts.Log = cmp.Or(opts.Log, slog.New(slog.DiscardHandler))
	opts.VersionPollInterval = cmp.Or(opts.VersionPollInterval, 30*time.Second)
	opts.SweepInterval = cmp.Or(opts.SweepInterval, time.Minute)
	b := &Backend{opts: opts, log: opts.Log.With("component", "backend")}
	m := newMetrics()
	opts.Client.Timeout = cmp.Or(opts.Client.Timeout, gatewayTimeout)
	opts.Client.Retries = -1 // each caller here has its own way to try again
	gateway, gatewayErr := client.New(opts.Client)
	b.gateway = gateway
	b.versions = newVersions(gateway, m, b.log)
	b.versions.shared = opts.Shared
	if err := errors.Join(opts.check(), gatewayErr, b.addTasks(m), b.addPoller(m)); err != nil {
		return nil, err
	}
	m.know(b.service.Types())
	if opts.Registerer != nil {
		if err := m.register(opts.Registerer, b.service, gateway); err != nil {
			return nil, fmt.Errorf("backend: register metrics: %w", err)
		}
	}
	b.addHandlers(m)
	return b, nil
}

func (o Options) check() error {
	var errs []error
	if o.authenticates() && !o.CallbackSecrets.Any() {
		errs = append(errs, fmt.Errorf("backend: mode %s needs a callback secret: set it here and at the gateway, or choose mode development", o.Mode))
	}
	if o.Access.Required && o.Access.Keys == nil {
		errs = append(errs, errors.New("backend: access tokens are required and there is no key for them"))
	}
	if o.VersionPollInterval < 0 || o.SweepInterval < 0 {
		errs = append(errs, errors.New("backend: intervals must not be negative"))
	}
	if o.Tasks.Publisher != nil || o.Tasks.Observer != nil || o.Tasks.OnDelete != nil {
		errs = append(errs, errors.New("backend: Publisher, Observer and OnDelete of the tasks are set by the backend"))
	}
	return errors.Join(errs...)
}

// authenticates is true for every mode but two, so that an unknown mode is a safe one.
func (o Options) authenticates() bool { return o.Mode != Development && o.Mode != Testing }

// addTasks makes the task service and the keeper of its logs.
func (b *Backend) addTasks(m *metrics) error {
	b.logs = &taskLogs{gateway: b.gateway, lost: newRetrySet(), unused: newRetrySet(), metrics: m, log: b.log}
	opts := b.opts.Tasks
	if b.gateway != nil { // nil: its options are wrong, and New goes on only to find what else is
		opts.Publisher = newPublisher(b.gateway, m)
	}
	opts.Observer = observer{m}
	opts.OnDelete = func(id string) { b.logs.unused.add(id) }
	opts.Log = cmp.Or(opts.Log, b.opts.Log)
	service, err := task.New(opts)
	if err != nil {
		return err
	}
	b.service, b.logs.service = service, service
	var errs []error
	for _, t := range b.opts.Types {
		errs = append(errs, service.Register(t))
	}
	return errors.Join(errs...)
}

func (b *Backend) addPoller(m *metrics) (err error) {
	if b.opts.VersionURL != "" {
		b.poller, err = newPoller(b.opts.VersionURL, b.opts.VersionPollInterval, b.versions, m, b.log)
	}
	return err
}

func (b *Backend) addHandlers(m *metrics) {
	b.rights = &rights{AccessOptions: b.opts.Access, service: b.service}
	b.expiries = newExpiries(b.gateway, m, b.log)
	b.callback = &callbackHandler{
		manager: &manager{
			gateway: b.gateway, tasks: b.logs, versions: b.versions, replace: b.opts.Replace,
			ended: newRecentTokens(maxRecentTokens), rights: b.rights, expiries: b.expiries, metrics: m, log: b.log,
		},
		secrets: b.opts.CallbackSecrets, auth: b.opts.authenticates(), metrics: m, log: b.log,
		refusals: limit.NewTally(b.log, "callbacks refused"),
	}
	rest := &restHandlers{rights: b.rights, service: b.service, versions: b.versions, testing: b.opts.Mode == Testing, log: b.log}
	b.rest = rest.mux()
}

// Callback serves POST /api/sse/callback, at whatever path it is mounted. It is for the
// gateway alone: do not mount it where browsers can reach it.
func (b *Backend) Callback() http.Handler { return b.callback }

// REST serves the public endpoints, all below /api/.
func (b *Backend) REST() http.Handler { return b.rest }

// Tasks is the task service, for a program that starts tasks itself.
func (b *Backend) Tasks() *task.Service { return b.service }
