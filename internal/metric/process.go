package metric

import "tidegate/internal/wire"

const listenerMeaning = "which listener"

var limits = section("Limits and refusals", "All commands have these metrics.")

// What clients may cost, and who may call.
var (
	Connections = limits.gauge("tidegate_connections",
		"Open connections, including those of streams, by listener.").
		by("listener", listenerMeaning, "public", "internal").
		alert("it comes within 10 % of `tidegate_connections_limit`")
	ConnectionsLimit = limits.gauge("tidegate_connections_limit",
		"Most connections that are served at once, by listener.").
		by("listener", listenerMeaning, "public", "internal")
	ConnectionsClosed = limits.counter("tidegate_connections_closed_total",
		"Connections that were closed to make room for others, by listener and reason.").
		by("listener", listenerMeaning, "public", "internal").
		by("reason", "`unasked`: it had sent no request; `idle`: between requests; `new`: no room was left", "unasked", "idle", "new").
		alert("`reason=\"new\"` rises: clients cannot connect")
	LimitRefused = limits.counter("tidegate_limit_refused_total",
		"Requests that were refused by a limit on what clients may cost, by error code.").
		by("code", codeMeaning, string(wire.CodeAddressLimit), string(wire.CodeConnectRate), string(wire.CodeTooManyConnections),
			string(wire.CodeInflight), string(wire.CodeBodyTooSlow), string(wire.CodeHeaderTooLarge)).
		alert("it rises in normal operation: a limit is too small, or somebody attacks")
	LimitAddresses = limits.gauge("tidegate_limit_addresses",
		"Client addresses that have connections or streams; an IPv6 /64 counts as one.")
	InflightBytes = limits.gauge("tidegate_inflight_bytes",
		"Bytes of request bodies and answers that are being read or written.")
	InflightLimit = limits.gauge("tidegate_inflight_limit_bytes",
		"Most bytes of request bodies and answers that can be under way; 0 means no limit.")
	AccessRefused = limits.counter("tidegate_access_refused_total",
		"Requests that were refused because of who sent them, by listener and error code.").
		by("listener", listenerMeaning, "public", "internal").
		by("code", codeMeaning, string(wire.CodeUnauthorized), string(wire.CodeUnknownHost), string(wire.CodeCrossSite)).
		alert("it rises: a secret is wrong, or a name is missing from `--allowed-host`")
	CORSRefused = limits.counter("tidegate_cors_refused_total",
		"Answers that CORS hid from a page of another origin, and headers that it refused from one.").
		alert("it rises after a release: an origin is missing from `--cors-origin`")
)

var process = section("Process",
	"All commands have these metrics, and those of the Go runtime (`go_…`) and of the process (`process_…`).")

// The process itself.
var (
	BuildInfo = process.gauge("tidegate_build_info",
		"Always 1; the labels say what the program was built from.").
		byOpen("version", "the version, or `devel` with the commit for a build that is no release").
		byOpen("revision", "the commit").
		byOpen("goversion", "the version of Go")
	Reloads = process.counter("tidegate_reloads_total",
		"Parts of the program that were reloaded after SIGHUP or a change of a certificate file.")
	ReloadFailures = process.counter("tidegate_reload_failures_total",
		"Parts of the program that could not be reloaded and stayed as they were.").
		alert("it rises: the log names the file")
	LogLinesDropped = process.counter("tidegate_logging_lines_dropped_total",
		"Log lines that were dropped because their reader was gone or the disk was full.").
		alert("it rises")
	CertificateExpiry = process.gauge("tidegate_certificate_expiry_timestamp_seconds",
		"Unix time at which a certificate in use expires, by the setting that names its file.").
		byOpen("setting", "the setting that names the file, such as `--tls-cert`").
		alert("it is less than two weeks away")
)
