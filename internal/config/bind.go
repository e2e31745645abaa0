package config

import (
	"log/slog"
	"time"
)

// setting is one line of the table: a name that is flag, file key and (in capitals) environment variable.
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
		{"config", all, path(&c.File), "YAML file with settings; its keys are the names of the flags"},
		{"log-level", all, level(&c.LogLevel, slog.LevelInfo), "least important level that is logged"},
		{"log-format", all, choice(&c.LogFormat, "text", "text", "json"), "form of log lines"},
		{"log-file", all, path(&c.LogFile), "file that log lines are appended to, opened anew on SIGHUP; without it they go to standard error"},
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
		{"listen", all, listener(&c.Listen, listen), "public listener; `tidegate gateway` listens on :8080 by default, `tidegate backend` on 127.0.0.1:8082; off loopback `tidegate serve` and `tidegate backend` need --api-token, --auth-header or --api-open"},
		{"internal-listen", all, listener(&c.InternalListen, internal, Shared), "internal API and metrics; `tidegate backend`, which has metrics only, listens on 127.0.0.1:8083 by default; off loopback it needs --internal-secret or --internal-open; `shared` puts them on the public listener"},
		{"socket-mode", all, fileMode(&c.SocketMode, 0o660), "mode of the files of Unix sockets (unix:PATH) that are listened on"},
		{"tls-cert", all, file(&c.TLSCert), "PEM file with the certificate of the public listener; needs --tls-key"},
		{"tls-key", all, file(&c.TLSKey), "PEM file with the private key of --tls-cert"},
		{"hsts", all, duration(&c.HSTS, 0, time.Second, 2*year, "no such header"), "time for which browsers are told to call this host by TLS only, also at its other ports (Strict-Transport-Security); needs --tls-cert"},
		{"max-per-address", all, count(&c.MaxPerAddress, 0, 0, 10_000_000), "connections, and as many streams, of one client address; beyond it streams are told to come again and others get 429; 0 is a quarter of what the limit of open files and --max-connections allow; this machine is not limited"},
		{"connect-rate", all, count(&c.ConnectRate, 0, 0, 1_000_000), "connects a second of one client address; beyond it as for --max-per-address; 0 is no bound"},
		{"max-header", all, size(&c.MaxHeader, 16*kib, kib, mib), "bytes of a request line and its headers, beyond it 431; replaced gateways took 64KiB"},
		{"max-inflight", all, sizeOrZero(&c.MaxInflight, mib, tib, "the smaller of 128MiB and an eighth of the memory that the process may use"), "bytes of requests' bodies and of answers that are under way at once; beyond it 503; one address may have a quarter"},
		{"trusted-proxy", all, proxies(&c.TrustedProxies), "proxy in front of the public listener whose Forwarded, X-Forwarded-For and PROXY headers are believed; a network, an address, or `unix` for peers on a Unix socket; proxies on loopback may forward addresses without it"},
	}
}

func (c *Config) callbacks(command string) []setting {
	return []setting{
		{"callback-url", gateway, webURL(&c.CallbackURL, "http://127.0.0.1:8082/api/sse/callback", "use --callback-secret, which signs each callback"), "where connects and disconnects are announced; without it every stream is refused with 503; unix:/run/app.sock:/callback is the path /callback behind a Unix socket"},
		{"callback-ca", gateway, file(&c.CallbackCA), "PEM file with the authorities that the backend's certificate is checked with, in place of the system's"},
		{"callback-cert", gateway, file(&c.CallbackCert), "PEM file with the certificate to show to the backend; needs --callback-key"},
		{"callback-key", gateway, file(&c.CallbackKey), "PEM file with the private key of --callback-cert"},
		{"callback-connection-age", gateway, duration(&c.CallbackConnectionAge, time.Minute, 100*time.Millisecond, day, ""), "how long a connection to the backend is used; a name that resolves to another address by then is followed"},
		{"callback-secret", gateway | backend, secrets(&c.CallbackSecrets), "the gateway signs callbacks with the first; the backend accepts each as signature key or as ?secret=, and needs one in production mode; to exchange it, add the new one at the backend, make it the first at the gateway, then drop the old one"},
		{"callback-headers", streams, keptHeaders(&c.CallbackHeaders, command), "headers of clients that callbacks tell and session records keep: `all`, `none` (only host and last-event-id), or names; `tidegate serve` keeps none by default, and shows its own backend in the process authorization at the connect"},
		{"callback-timeout", streams, duration(&c.CallbackTimeout, 5*time.Second, 10*time.Millisecond, 5*time.Minute, ""), "how long the status of a connect callback is awaited, then 504"},
		{"callback-concurrency", streams, count(&c.CallbackConcurrency, 64, 1, 65536), "callbacks that are out at once; others wait"},
		{"callback-retention", streams, duration(&c.CallbackRetention, time.Hour, time.Second, 30*day, ""), "how long a disconnect callback is retried while the backend is away"},
		{"callback-queue", streams, count(&c.CallbackQueue, 65536, 1, 1<<24), "disconnect callbacks that may wait; beyond it the oldest is dropped and counted"},
	}
}

func (c *Config) streams(command string) []setting {
	c.RetryableRejections = command == "serve"
	c.IDBlocks = true
	return []setting{
		{"heartbeat", streams, duration(&c.Heartbeat, 15*time.Second, 100*time.Millisecond, day, ""), "silence after which a stream is sent a comment"},
		{"heartbeat-form", streams, choice(&c.HeartbeatForm, "block", "block", "line"), "`block` is the comment and a blank line; `line` leaves the blank line away, for clients that deliver an empty message for it"},
		{"id-blocks", streams, toggle(&c.IDBlocks), "send blocks with an id alone, from which a client resumes that has had no event yet; off for clients that deliver an empty message for them"},
		{"retry", streams, duration(&c.Retry, 0, time.Millisecond, day, "none"), "reconnect time that a stream is told when it opens, jittered"},
		{"retryable-rejections", streams, toggle(&c.RetryableRejections), "answer 429 and 5xx of the backend with 200, retry: and an end, since EventSource never comes back after another status; on for `tidegate serve`, off for `tidegate gateway`"},
		{"max-pending", streams, size(&c.MaxPending, mib, 4*kib, gib), "bytes that may wait for one stream; beyond it the stream is ended as a slow consumer"},
		{"write-timeout", streams, duration(&c.WriteTimeout, 30*time.Second, 100*time.Millisecond, time.Hour, ""), "how long a client may take no byte before its stream is ended as a slow consumer"},
		{"max-connections", streams, count(&c.MaxConnections, 0, 0, 10_000_000), "open streams, beyond it 503; 0 is as many as the process's limit of open files allows"},
		{"max-age", streams, duration(&c.MaxAge, 0, time.Second, year, "never"), "age at which streams are ended, jittered"},
		{"no-parking", streams, toggle(&c.NoParking), "leave each stream to the goroutine of its request, at 50 times the memory, as it is done for HTTP/2; to find out whether parking is to blame for something"},
		{"cors-origin", all, origins(&c.CORSOrigins), "origin whose pages may open streams, and use /api/ of serve and backend; * is every page, without cookies; without any there is no CORS"},
		{"cors-header", all, headerNames(&c.CORSHeaders), "header that pages of --cors-origin may send; * is whatever they ask for, except for headers of proxies such as X-Forwarded-For"},
	}
}

func (c *Config) topics() []setting {
	return []setting{
		{"max-body", all, size(&c.MaxBody, mib, kib, gib), "bytes of one message to the internal API, or of a request to the backend; beyond it 413"},
		{"max-batch", all, size(&c.MaxBatch, 16*mib, kib, 4*gib), "bytes of one NDJSON batch to the internal API; not less than --max-body"},
		{"max-history", streams, sizeOrZero(&c.MaxHistory, 64*kib, tib, "the smaller of 256MiB and a quarter of the memory that the process may use"), "bytes of memory for events that are kept, over all topics"},
		{"max-topics", streams, count(&c.MaxTopics, 1_000_000, 1, 100_000_000), "topics that exist at once"},
		{"namespace", streams, newNamespaces(&c.Namespaces), "history of the topics whose names begin with NAME: and what a new stream is sent of it; `*` is all other names; an entry changes only the fields that it names, of events, bytes, age and replay (all, held, last or none)"},
	}
}

func (c *Config) backend() []setting {
	return []setting{
		{"gateway-url", backend, baseURL(&c.GatewayURL, "http://127.0.0.1:8081"), "base of the gateway's internal API"},
		{"mode", tasks, choice(&c.Mode, Production, Production, Development, Testing), "production checks the secret of callbacks; the others do not; testing has the testing endpoints besides"},
		{"task-workers", tasks, count(&c.TaskWorkers, 4, 1, 10_000), "tasks that run at once"},
		{"task-timeout", tasks, duration(&c.TaskTimeout, 5*time.Minute, time.Millisecond, year, ""), "time after which a running task fails"},
		{"task-retention", tasks, duration(&c.TaskRetention, day, time.Millisecond, year, ""), "how long a finished task is remembered"},
		{"task-queue", tasks, count(&c.TaskQueue, 10_000, 1, 10_000_000), "tasks that may wait for a worker; beyond it 503"},
		{"replace", tasks, toggle(&c.Replace), "keep only the newest stream of each identifier, and end the older ones"},
		{"frontend-version-url", tasks, webURL(&c.FrontendVersionURL, "http://127.0.0.1:3000/version.json", "leave it out"), "JSON document that is polled for the frontend's current version"},
		{"frontend-version-interval", tasks, duration(&c.FrontendVersionInterval, 30*time.Second, 100*time.Millisecond, day, ""), "pause between two polls of --frontend-version-url"},
		{"task-types", tasks, taskTypes(&c.TaskTypes), "built-in kinds of task that are on; when it is not given, all are on where --listen is a loopback address; elsewhere none, but for the demos in testing mode and checksum with --checksum-root"},
		{"checksum-root", tasks, directories(&c.ChecksumRoots), "directory whose files checksum tasks may read, never the machine's root directory; an empty value turns checksum tasks off"},
	}
}

func (c *Config) stopping() []setting {
	return []setting{
		{"drain-time", streams, duration(&c.DrainTime, 5*time.Second, time.Millisecond, time.Hour, "at once"), "time over which the ends of all streams are spread at a stop"},
		{"grace", all, duration(&c.Grace, 30*time.Second, time.Millisecond, day, "at once"), "what running tasks get at a stop before they are cancelled; unsent callbacks have 10s of their own"},
	}
}
