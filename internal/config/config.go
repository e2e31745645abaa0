// Package config is the settings of the servers: `tidegate serve`, `tidegate gateway` and `tidegate backend`.
//
// One struct, [Config], and one table over it (bind.go, a line for each setting) are the source of the
// flags, the environment variables, the keys of the file given by --config, the --help text and the page
// docs/reference/configuration.md. A flag beats the environment, the environment beats the file, the file beats the
// default. [Load] reports everything that is wrong with a configuration at once, as an [*Error].
//
// Commands with a few flags of their own (`tidegate listen`, `tidegate send`, …) use [Parse], which gives any
// [pflag.FlagSet] the same environment variables and the same errors.
package config

import (
	"io/fs"
	"log/slog"
	"time"
)

// Config is the effective configuration of one command, as [Load] returns it. Settings of other commands
// have their defaults. It does not change after Load, so any number of goroutines may read it.
//
// Sizes are bytes. A duration, a size or a count of 0 means what its comment says, never "the default".
type Config struct {
	// Common to all commands.

	File      string     // --config: the YAML file that was read, "" for none
	LogLevel  slog.Level // --log-level
	LogFormat string     // --log-format: "text" or "json"
	LogFile   string     // --log-file: appended to, "" for standard error

	// Listeners.

	Listen         string      // --listen: host:port, unix:PATH or fd:NAME; an empty host is all interfaces, port 0 any free port
	InternalListen string      // --internal-listen: as Listen, or [Shared]
	SocketMode     fs.FileMode // --socket-mode: of the files of Unix sockets
	TLSCert        string      // --tls-cert: PEM file for the public listener, "" for plain HTTP
	TLSKey         string      // --tls-key: PEM file, set whenever TLSCert is

	HSTS time.Duration // --hsts: how long browsers are to come by TLS only, 0 for no such header

	MaxPerAddress  int      // --max-per-address: connections, and as many streams, of one address; 0 is a quarter of what the process can have
	ConnectRate    int      // --connect-rate: connects a second of one address, 0 for no bound
	MaxHeader      int64    // --max-header: bytes of a request line and its headers
	MaxInflight    int64    // --max-inflight: bytes of bodies and answers under way
	TrustedProxies []string // --trusted-proxy: networks, addresses and [UnixPeers]; see [Config.TrustedNetworks]

	// Who may call. Secrets are as given: the secret itself, or file:PATH.

	InternalSecrets []string // --internal-secret: bearer tokens of the internal API
	InternalOpen    bool     // --internal-open: it is meant to have none off loopback
	AllowedHosts    []string // --allowed-host: names such as app.example.org or *.example.org, in lower case
	APITokens       []string // --api-token: of /api/, the page and the streams of serve
	APIOpen         bool     // --api-open: they are meant to have none off loopback
	AuthHeader      string   // --auth-header: in canonical form, "" for none
	MetricsTokens   []string // --metrics-token: of /metrics alone

	// Callbacks, from the gateway to the backend.

	CallbackURL           string        // --callback-url: http, https or unix, without user or password; "" refuses every stream with 503
	CallbackCA            string        // --callback-ca: PEM file, "" for the system's authorities
	CallbackCert          string        // --callback-cert: PEM file, "" for none
	CallbackKey           string        // --callback-key: PEM file, set whenever CallbackCert is
	CallbackConnectionAge time.Duration // --callback-connection-age: how long a connection to the backend is used
	CallbackSecrets       []string      // --callback-secret: the gateway signs with the first, the backend accepts each; as given, like all secrets
	CallbackHeaders       []string      // --callback-headers: [AllHeaders] or [NoHeaders] alone, or names; empty is none
	CallbackTimeout       time.Duration // --callback-timeout: for the status of a connect callback
	CallbackConcurrency   int           // --callback-concurrency: callbacks that are out at once
	CallbackRetention     time.Duration // --callback-retention: how long a disconnect callback is retried
	CallbackQueue         int           // --callback-queue: disconnect callbacks that may wait

	// Who may read tasks.

	TaskAccess    string   // --task-access: [AutoAccess], [OpenAccess] or [TokenAccess]; see [Config.AccessRequired]
	AccessSecrets []string // --access-secret: keys of access tokens, as given: the key itself, or file:PATH

	// Streams.

	Heartbeat           time.Duration // --heartbeat: silence after which a comment is sent
	HeartbeatForm       string        // --heartbeat-form: "block" or "line"
	IDBlocks            bool          // --id-blocks: blocks with an id alone are sent
	Retry               time.Duration // --retry: reconnect time that clients receive when a stream opens, 0 for none
	RetryableRejections bool          // --retryable-rejections: 429 and 5xx become 200 + retry: + end
	MaxPending          int64         // --max-pending: bytes that may wait for one stream
	WriteTimeout        time.Duration // --write-timeout: without a byte taken, until a stream is ended
	MaxConnections      int           // --max-connections: open streams; 0 is as many as the limit of open files allows
	MaxAge              time.Duration // --max-age: streams are ended at about this age, 0 for never
	NoParking           bool          // --no-parking: streams keep the goroutine of their request
	NoExpress           bool          // --no-express: net/http reads all requests
	NoPacing            bool          // --no-pacing: connects of a storm do not wait
	NoMemoryTuning      bool          // --no-memory-tuning: Go's defaults for garbage collection
	CORSOrigins         []string      // --cors-origin: "*" or origins such as https://example.org; empty is no CORS
	CORSHeaders         []string      // --cors-header: names that pages of these may send; "*" for all but those of proxies

	// Topics.

	MaxBody    int64                // --max-body: bytes of one message to the internal API
	MaxBatch   int64                // --max-batch: bytes of one NDJSON batch to the internal API
	MaxHistory int64                // --max-history: bytes of events kept, over all topics
	MaxTopics  int                  // --max-topics: topics that exist at once
	Namespaces map[string]Namespace // --namespace: by name; always has "*" (all others), "task" and "version"

	// Storage.

	Data         string   // --data: folder of the embedded storage, "" for memory only
	Durability   string   // --durability: [ProcessDurability] or [PowerDurability]
	StoreSize    int64    // --store-size: bytes that stored events may take; 0 is the smaller of 1 GiB and a quarter of the free disk
	NATSURLs     []string // --nats-url: of an external cluster; empty is embedded
	NATSListen   string   // --nats-listen: where the embedded storage serves other machines, "" for nowhere
	NATSPrefix   string   // --nats-prefix: of all subjects and streams
	NATSReplicas int      // --nats-replicas: copies in an external cluster; 0 is 3 if it has 3 servers, else 1
	NATSToken    string   // --nats-token: required by --nats-listen, or sent to --nats-url
	NATSUser     string   // --nats-user
	NATSPassword string   // --nats-password
	NATSCreds    string   // --nats-creds: credentials file
	NATSNKey     string   // --nats-nkey: seed file
	NATSCA       string   // --nats-ca: PEM file with the authorities that the other side's certificate is checked with
	NATSCert     string   // --nats-cert: PEM file
	NATSKey      string   // --nats-key: PEM file, set whenever NATSCert is

	// The backend.

	GatewayURL              string        // --gateway-url: base of the internal API, http, https or unix, without a trailing slash
	Mode                    string        // --mode: [Production], [Development] or [Testing]
	TaskWorkers             int           // --task-workers: tasks that run at once
	TaskTimeout             time.Duration // --task-timeout: after which a running task fails
	TaskRetention           time.Duration // --task-retention: how long a finished task is kept
	TaskQueue               int           // --task-queue: tasks that may wait
	Replace                 bool          // --replace: only the newest stream of each identifier is kept
	FrontendVersionURL      string        // --frontend-version-url: polled for the current version, "" for off
	FrontendVersionInterval time.Duration // --frontend-version-interval: between polls
	TaskTypes               []string      // --task-types: built-in kinds of task, see [Config.BuiltInTasks]
	ChecksumRoots           []string      // --checksum-root: directories that checksum tasks may read; empty is no checksum tasks

	// Stopping.

	DrainTime time.Duration // --drain-time: over which a stop ends the streams; 0 ends all at once
	Grace     time.Duration // --grace: what running tasks get at a stop; 0 cancels them at once

	command command           // the command that it was loaded for
	origins map[string]string // where each setting that is not a default comes from, by name
	unused  []string          // settings given for other commands, as warnings
}

// Values of [Config.InternalListen] and [Config.Mode] that have a meaning of their own.
const (
	Shared = "shared" // the internal routes are on the public listener

	AllHeaders = "all"  // callbacks carry every header
	NoHeaders  = "none" // callbacks carry host and last-event-id only

	Production  = "production"  // callbacks need the secret
	Development = "development" // callbacks need no secret
	Testing     = "testing"     // as development, with the testing endpoints

	ProcessDurability = "process" // answered events survive the end of the process
	PowerDurability   = "power"   // and a loss of power
)

// Namespace is how much history the topics of one namespace keep, and what a stream receives that
// attaches without a position.
type Namespace struct {
	Events int           // kept for each topic, at least 1
	Bytes  int64         // kept for each topic, at least 1 KiB
	Age    time.Duration // after which an event is dropped, 0 for never
	Replay string        // "all", "held", "last" or "none"
}
