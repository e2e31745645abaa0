package config

import (
	"log/slog"
	"time"
)

// setting is a line of the table. Its name is the flag, the key in the file and, in capitals, the
// environment variable.
type setting struct {
	name  string
	cmds  commands
	value value
	usage string // what it sets; default and allowed values are added from value
}

// group is the settings under one heading of help.
type group struct {
	title    string
	settings []setting
}

const (
	kib = 1 << 10
	mib = 1 << 20
	gib = 1 << 30
	tib = 1 << 40

	day  = 24 * time.Hour
	year = 365 * day
)

// bind sets every field of c to its default for the command and returns the table that sets them.
func (c *Config) bind(command string) []group {
	return []group{
		{"Common", c.common()},
		{"Listeners", c.listeners(command)},
		{"Callers", c.callers()},
		{"Callbacks", c.callbacks(command)},
		{"Reading", c.rights()},
		{"Streams", c.streams(command)},
		{"Topics", c.topics()},
		{"Storage", c.storage(command)},
		{"Backend", c.backend()},
		{"Stopping", c.stopping()},
	}
}

func (c *Config) common() []setting {
	return []setting{
		{"config", all, path(&c.File), "YAML file with settings; its keys are the names of the flags without dashes"},
		{"log-level", all, level(&c.LogLevel, slog.LevelInfo), "least important level that is logged"},
		{"log-format", all, choice(&c.LogFormat, "text", "text", "json"), "form of log lines"},
		{"log-file", all, path(&c.LogFile), "file that log lines are appended to. SIGHUP reopens it. Without it they go to standard error"},
	}
}

func (c *Config) listeners(command string) []setting {
	listen, internal := "127.0.0.1:8080", "127.0.0.1:8081"
	switch command {
	case "gateway":
		listen = ":8080"
	case "backend":
		listen, internal = "127.0.0.1:8082", "127.0.0.1:8083"
	}
	return []setting{
		{"listen", all, listener(&c.Listen, listen), "address of the public listener. `tidegate gateway` listens on :8080 by default, `tidegate backend` on 127.0.0.1:8082. Off loopback, `tidegate serve` and `tidegate backend` need --api-token, --auth-header or --api-open"},
		{"internal-listen", all, listener(&c.InternalListen, internal, Shared), "address of the internal API and of metrics. `tidegate backend` has metrics only, on 127.0.0.1:8083 by default. Off loopback it needs --internal-secret or --internal-open. `shared` puts these routes on the public listener"},
		{"socket-mode", all, fileMode(&c.SocketMode, 0o660), "permissions of the files of Unix sockets (unix:PATH) that the program listens on"},
		{"tls-cert", all, file(&c.TLSCert), "PEM file with the certificate of the public listener. Needs --tls-key"},
		{"tls-key", all, file(&c.TLSKey), "PEM file with the private key of --tls-cert"},
		{"hsts", all, duration(&c.HSTS, 0, time.Second, 2*year, "no such header"), "time for which browsers call this host by TLS only (Strict-Transport-Security), also at its other ports. Needs --tls-cert"},
		{"max-per-address", all, count(&c.MaxPerAddress, 0, 0, 10_000_000), "connections, and as many streams, that one client address can have. Beyond it streams get 200 and a `retry:`, other requests 429. 0 is a quarter of all connections that the process can have. Loopback is not limited"},
		{"connect-rate", all, count(&c.ConnectRate, 0, 0, 1_000_000), "connects a second that one client address can make. Beyond it streams get 200 and a `retry:`, other requests 429. 0 is no limit"},
		{"max-header", all, size(&c.MaxHeader, 16*kib, kib, mib), "bytes of a request line and its headers. A larger request gets 431. The Node gateway took 64KiB"},
		{"max-inflight", all, sizeOrZero(&c.MaxInflight, mib, tib, "the smaller of 128MiB and an eighth of the memory that the process may use"), "bytes of request bodies and answers that can be under way at once. Beyond it requests get 503. One address can have a quarter"},
		{"trusted-proxy", all, proxies(&c.TrustedProxies), "proxy in front of the public listener whose Forwarded, X-Forwarded-For and PROXY headers count. Give a network, an address, or `unix` for peers on a Unix socket. Proxies on loopback may forward addresses without it"},
	}
}

func (c *Config) callbacks(command string) []setting {
	return []setting{
		{"callback-url", gateway, webURL(&c.CallbackURL, "http://127.0.0.1:8082/api/sse/callback", "use --callback-secret, which signs each callback"), "URL that receives connect and disconnect callbacks. Without it the gateway refuses every stream with 503. unix:/run/app.sock:/callback is the path /callback behind a Unix socket"},
		{"callback-ca", gateway, file(&c.CallbackCA), "PEM file with the authorities that check the backend's certificate, in place of the system's"},
		{"callback-cert", gateway, file(&c.CallbackCert), "PEM file with the certificate that the gateway shows to the backend. Needs --callback-key"},
		{"callback-key", gateway, file(&c.CallbackKey), "PEM file with the private key of --callback-cert"},
		{"callback-connection-age", gateway, duration(&c.CallbackConnectionAge, time.Minute, 100*time.Millisecond, day, ""), "time after which a connection to the backend is replaced, so that the gateway follows a name to its new address"},
		{"callback-secret", gateway | backend, secrets(&c.CallbackSecrets), "secret that signs callbacks. The gateway signs with the first; the backend accepts each, as signature key or as ?secret=, and needs one in production mode. To rotate it, add the new one at the backend, then make it the first at the gateway, then delete the old one"},
		{"callback-headers", streams, keptHeaders(&c.CallbackHeaders, command), "client headers that callbacks carry and session records keep: `all`, `none` (host and last-event-id only), or names. `tidegate serve` keeps none by default. It shows authorization to its own backend, in the connect callback only"},
		{"callback-timeout", streams, duration(&c.CallbackTimeout, 5*time.Second, 10*time.Millisecond, 5*time.Minute, ""), "time that the backend has to answer a connect callback. After it the client gets 504"},
		{"callback-concurrency", streams, count(&c.CallbackConcurrency, 64, 1, 65536), "callbacks that can be under way at once. Others wait"},
		{"callback-retention", streams, duration(&c.CallbackRetention, time.Hour, time.Second, 30*day, ""), "time for which a disconnect callback is retried while the backend is away"},
		{"callback-queue", streams, count(&c.CallbackQueue, 65536, 1, 1<<24), "disconnect callbacks that can wait. Beyond it the oldest is dropped and counted"},
	}
}

func (c *Config) streams(command string) []setting {
	c.RetryableRejections = command == "serve"
	c.IDBlocks = true
	return []setting{
		{"heartbeat", streams, duration(&c.Heartbeat, 15*time.Second, 100*time.Millisecond, day, ""), "silence after which a stream gets a comment"},
		{"heartbeat-form", streams, choice(&c.HeartbeatForm, "block", "block", "line"), "form of heartbeats. `block` is a comment and a blank line. `line` omits the blank line, for clients that deliver an empty message for it"},
		{"id-blocks", streams, toggle(&c.IDBlocks), "send blocks that have an id alone, so that a client can resume before its first event. Turn it off for clients that deliver an empty message for them"},
		{"retry", streams, duration(&c.Retry, 0, time.Millisecond, day, "none"), "reconnect time that a stream gets when it opens, jittered"},
		{"retryable-rejections", streams, toggle(&c.RetryableRejections), "answer 429 and 5xx of the backend with 200, `retry:` and the end, because EventSource never comes back after another status. On for `tidegate serve`, off for `tidegate gateway`"},
		{"max-pending", streams, size(&c.MaxPending, mib, 4*kib, gib), "bytes that can wait for one stream. Beyond it the stream ends as a slow consumer"},
		{"write-timeout", streams, duration(&c.WriteTimeout, 30*time.Second, 100*time.Millisecond, time.Hour, ""), "time for which a client can take no byte. After it the stream ends as a slow consumer"},
		{"max-connections", streams, count(&c.MaxConnections, 0, 0, 10_000_000), "streams that can be open. Beyond it connects get 503. 0 is as many as the limit of open files allows"},
		{"max-age", streams, duration(&c.MaxAge, 0, time.Second, year, "never"), "age at which streams end, jittered"},
		{"no-parking", streams, toggle(&c.NoParking), "keep a goroutine for each stream, as for HTTP/2, at 50 times the memory. Use it to find out whether parking causes a problem"},
		{"no-express", streams, toggle(&c.NoExpress), "let net/http read all requests of the internal API, at twice the CPU for a send. Use it to find out whether the shortcut for plain sends causes a problem"},
		{"no-pacing", streams, toggle(&c.NoPacing), "start all connects of a reconnect storm at once, which delays live events. Use it to find out whether pacing causes a problem"},
		{"no-memory-tuning", all, toggle(&c.NoMemoryTuning), "leave garbage collection to the runtime: GOGC and GOMEMLIMIT decide, and memory is returned to the system late. Use it to find out whether tuning causes a problem"},
		{"cors-origin", all, origins(&c.CORSOrigins), "origin whose pages may open streams and, under serve and backend, use /api/. * is every page, without cookies. Without any, no page of another origin may"},
		{"cors-header", all, headerNames(&c.CORSHeaders), "header that pages of --cors-origin may send. * is whatever they ask for, except headers of proxies such as X-Forwarded-For"},
	}
}

func (c *Config) topics() []setting {
	return []setting{
		{"max-body", all, size(&c.MaxBody, mib, kib, gib), "bytes of one message to the internal API, or of one request to the backend. A larger one gets 413"},
		{"max-batch", all, size(&c.MaxBatch, 16*mib, kib, 4*gib), "bytes of one NDJSON batch to the internal API. At least --max-body"},
		{"max-history", streams, sizeOrZero(&c.MaxHistory, 64*kib, tib, "the smaller of 256MiB and a quarter of the memory that the process may use"), "bytes of memory for events that topics keep, over all topics"},
		{"max-topics", streams, count(&c.MaxTopics, 1_000_000, 1, 100_000_000), "topics that can exist at once. Beyond it new topics get 503"},
		{"namespace", streams, newNamespaces(&c.Namespaces), "history of the topics whose names begin with NAME: and what a new stream gets of it. `*` is all other names. An entry changes only the fields that it names: events, bytes, age, replay (all, held, last or none)"},
	}
}

func (c *Config) backend() []setting {
	return []setting{
		{"gateway-url", backend, baseURL(&c.GatewayURL, "http://127.0.0.1:8081"), "base URL of the gateway's internal API"},
		{"mode", tasks, choice(&c.Mode, Production, Production, Development, Testing), "mode of the backend. `production` checks the secret of callbacks. `development` does not. `testing` does not either, and has the testing endpoints"},
		{"task-workers", tasks, count(&c.TaskWorkers, 4, 1, 10_000), "tasks that can run at once"},
		{"task-timeout", tasks, duration(&c.TaskTimeout, 5*time.Minute, time.Millisecond, year, ""), "time after which a running task fails"},
		{"task-retention", tasks, duration(&c.TaskRetention, day, time.Millisecond, year, ""), "time for which a finished task is kept"},
		{"task-queue", tasks, count(&c.TaskQueue, 10_000, 1, 10_000_000), "tasks that can wait for a worker. Beyond it a start gets 503"},
		{"replace", tasks, toggle(&c.Replace), "keep only the newest stream of each identifier, and end the older ones"},
		{"frontend-version-url", tasks, webURL(&c.FrontendVersionURL, "http://127.0.0.1:3000/version.json", "leave it out"), "URL of a JSON document with the frontend's current version. The backend polls it"},
		{"frontend-version-interval", tasks, duration(&c.FrontendVersionInterval, 30*time.Second, 100*time.Millisecond, day, ""), "time between two polls of --frontend-version-url"},
		{"task-types", tasks, taskTypes(&c.TaskTypes), "built-in kinds of task that are on. Without it, all are on if --listen is on loopback. Elsewhere none is, except the demos in testing mode and checksum with --checksum-root"},
		{"checksum-root", tasks, directories(&c.ChecksumRoots), "directory whose files checksum tasks may read. The root directory of the machine is not allowed. An empty value turns checksum tasks off"},
	}
}

func (c *Config) stopping() []setting {
	return []setting{
		{"drain-time", streams, duration(&c.DrainTime, 5*time.Second, time.Millisecond, time.Hour, "at once"), "time over which a stop ends all streams, one after the other"},
		{"grace", all, duration(&c.Grace, 30*time.Second, time.Millisecond, day, "at once"), "time that running tasks get at a stop before they are cancelled. Unsent callbacks have 10s of their own"},
	}
}
