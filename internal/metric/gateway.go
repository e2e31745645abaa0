package metric

import (
	"github.com/prometheus/client_golang/prometheus"

	"tidegate/internal/wire"
)

const (
	reasonMeaning = "who or what ended the stream, see [why a stream ends](errors.md#why-a-stream-ends)"
	detailMeaning = "more about the reason, or empty"
	codeMeaning   = "an [error code](errors.md#error-codes)"
)

var streams = section("Streams", "`serve` and `gateway` have these metrics.")

// Streams and the connects that open them.
var (
	Streams = streams.gauge("tidegate_streams",
		"Streams that are open or wait for the answer to their connect callback.").
		alert("it comes within 10 % of `tidegate_streams_limit`")
	StreamsLimit = streams.gauge("tidegate_streams_limit",
		"Most streams that can be open; the gateway refuses connects beyond it.")
	StreamsParked = streams.gauge("tidegate_streams_parked",
		"Open streams that hold no goroutine because epoll watches their socket.")
	ConnectsPending = streams.gauge("tidegate_connects_pending",
		"Clients whose connect waits for admission or for the backend's answer.")
	StreamsEnded = streams.counter("tidegate_streams_ended_total",
		"Streams that have ended, by reason and detail.").
		by("reason", reasonMeaning).by("detail", detailMeaning).only(endings()).
		alert("`detail=\"slow_consumer\"` or `detail=\"node_lost\"` rises")
	StreamsRefused = streams.counter("tidegate_streams_refused_total",
		"Connects that were answered with an error instead of a stream, by error code.").
		by("code", codeMeaning, codes()...).
		alert("`code=\"BACKEND_UNAVAILABLE\"`, `\"GATEWAY_TIMEOUT\"` or `\"TOO_MANY_CONNECTIONS\"` rises")
	Heartbeats = streams.counter("tidegate_heartbeats_total",
		"Heartbeats that were written to streams.")
	HeaderLines = streams.gauge("tidegate_header_lines",
		"Request header lines that several streams share and that are held in memory once.")
	HeaderBytes = streams.gauge("tidegate_header_bytes",
		"Bytes of the request header lines that several streams share.")
	HeaderLinesUnshared = streams.counter("tidegate_header_lines_unshared_total",
		"Request header lines held with their stream because the table of shared lines was full.")
	LargeHeaderBytes = streams.gauge("tidegate_large_header_bytes",
		"Bytes of streams' requests beyond the first 2 KiB of each.").
		alert("it comes within 10 % of `tidegate_large_header_limit_bytes`")
	LargeHeaderLimit = streams.gauge("tidegate_large_header_limit_bytes",
		"Most bytes that requests can take beyond 2 KiB each; the gateway refuses connects beyond it.")
)

var callbacks = section("Callbacks", "`serve` and `gateway` have these metrics.")

// Callbacks to the backend, as the gateway sees them.
var (
	Callbacks = callbacks.counter("tidegate_callbacks_total",
		"Callbacks that have ended, by action and by the status that the backend answered.").
		by("action", "what the callback reports", string(wire.Connect), string(wire.Disconnect)).
		byOpen("status", "the HTTP status; `none` if no answer came", "none", "200", "401", "403", "500", "502", "503", "504").
		alert("`status=\"none\"` or a status of 500 and above rises")
	CallbackDuration = callbacks.histogram("tidegate_callback_duration_seconds",
		"Time from sending a callback to its status, in seconds.", prometheus.ExponentialBuckets(0.001, 2.5, 10)).
		by("action", "what the callback reports", string(wire.Connect), string(wire.Disconnect))
	CallbackRetries = callbacks.counter("tidegate_callback_retries_total",
		"Callbacks sent again at once because the backend had closed the idle connection they used.")
	CallbacksWaiting = callbacks.gauge("tidegate_callbacks_waiting",
		"Connect callbacks under way whose client waits for the answer.")
	CallbacksLate = callbacks.gauge("tidegate_callbacks_late",
		"Connect callbacks under way whose client has left or has received 504.")
	DisconnectsQueued = callbacks.gauge("tidegate_disconnects_queued",
		"Disconnect callbacks that the backend has not acknowledged yet.").
		alert("it grows for minutes: the backend is away")
	DisconnectsDropped = callbacks.counter("tidegate_disconnects_dropped_total",
		"Disconnect callbacks that were given up, by reason.").
		by("reason", "why the gateway stopped trying", "queue_full", "address_full", "too_old", "refused", "stopped").
		alert("it rises: the backend does not learn of these ends")
)

var events = section("Events and topics", "`serve` and `gateway` have these metrics.")

// Events from the internal API to streams, and the topics that hold them.
var (
	Sends = events.counter("tidegate_sends_total",
		"Messages to POST /internal/send, by target and outcome.").
		by("target", "`token`, `topic`, or empty for a message that names neither", "token", "topic", "").
		by("code", "`200`, or "+codeMeaning).only(sends()).
		alert("`code=\"BUFFER_FULL\"`, `\"ENGINE_UNAVAILABLE\"` or `\"ENGINE_FULL\"` rises")
	EventsPublished = events.counter("tidegate_events_published_total",
		"Events that were appended to topics.")
	EventsDelivered = events.counter("tidegate_events_delivered_total",
		"Events that were written to streams, each counted once for each stream.")
	DeliveredBytes = events.counter("tidegate_delivered_bytes_total",
		"Bytes of events that were written to streams.")
	FanoutsPending = events.gauge("tidegate_fanouts_pending",
		"Events of large topics that have not reached the queues of all their streams yet.")
	Topics = events.gauge("tidegate_topics",
		"Topics that have events or streams.")
	HistoryEvents = events.gauge("tidegate_history_events",
		"Events that topics hold for replay.")
	HistoryBytes = events.gauge("tidegate_history_bytes",
		"Bytes of the events that topics hold for replay.")
	HistoryDropped = events.counter("tidegate_history_dropped_total",
		"Events that left the history in memory of their topic, by the bound that removed them.").
		by("reason", "the bound; `memory`: of all topics; `idle`: the event log still has them", "events", "bytes", "age", "memory", "idle", "deleted").
		alert("`reason=\"memory\"` rises: `--max-history` is too small for all topics together")
	Resets = events.counter("tidegate_resets_total",
		"Streams that received a reset event because the history they asked for was gone.").
		alert("it rises: the history is too short, or events were lost")
	IdempotencyKeys = events.gauge("tidegate_idempotency_keys",
		"Idempotency keys that are held in memory.")
	IdempotencyKeysEvicted = events.counter("tidegate_idempotency_keys_evicted_total",
		"Idempotency keys that were deleted before two minutes had passed, because there were too many.").
		alert("it rises: repeated messages can be published twice")
)

func endings() (all [][]string) {
	for _, e := range wire.Endings() {
		all = append(all, []string{string(e.Reason), string(e.Detail)})
	}
	return all
}

func codes() (all []string) {
	for _, code := range wire.Codes() {
		all = append(all, string(code))
	}
	return all
}

// sends are all targets with all codes. A message without a target always fails.
func sends() [][]string {
	all := [][]string{{"token", "200"}, {"topic", "200"}}
	for _, target := range []string{"token", "topic", ""} {
		for _, code := range codes() {
			all = append(all, []string{target, code})
		}
	}
	return all
}
