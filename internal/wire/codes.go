package wire

// CodeInfo describes an error code for callers. The page of errors and the metrics are made from it.
type CodeInfo struct {
	Code    Code
	Status  string // the HTTP status, or how it is chosen
	Where   string // which requests it answers
	Meaning string // what is wrong: a sentence
	Do      string // what the caller or the operator does: a sentence
}

// Codes returns every code. Metrics have a series for each.
func Codes() []Code {
	codes := make([]Code, len(codeTable))
	for i, info := range codeTable {
		codes[i] = info.Code
	}
	return codes
}

// CodeTable returns the description of every code.
func CodeTable() []CodeInfo { return codeTable }

// asRetry is for codes that clients of streams never see: they get 200, a retry: field and the end,
// so that EventSource comes back. The code is in the log and in metrics.
const asRetry = "503, sent as 200 with `retry:`"

// Where codes occur.
const (
	anywhere   = "every route"
	onStreams  = "streams"
	onSend     = "`POST /internal/send`"
	onSends    = "`POST /internal/send`, `…/subscribe`, `…/unsubscribe`"
	onAttach   = "`POST /internal/subscribe`, `…/unsubscribe`"
	onInternal = "the internal API"
)

// codeTable is in the order of the page: what the caller wrote, what is missing, what is full, who
// may call, the backend, storage.
var codeTable = []CodeInfo{
	{CodeJSON, "400", onInternal, "The body is not JSON, or it ended early.",
		"Send one JSON object, in UTF-8."},
	{CodeTokenMissing, "400", onSends, "The message has no token, or one that is no string.",
		"Send `token` or `topic`."},
	{CodeTarget, "400", onSend, "The message has a token and a topic.",
		"Send one of them."},
	{CodeTopic, "400", onSends, "A name of a topic is not allowed.",
		"Use 1 to 256 bytes without control characters, other than `.`, `..` and `/`."},
	{CodeTopics, "400", onAttach, "A stream would follow more than 10,000 topics.",
		"Unsubscribe from topics that have ended, or open another stream."},
	{CodeEventType, "400", onSend, "`event` is not an object.",
		"Send `\"event\":{\"data\":\"…\"}`."},
	{CodeEventDataMissing, "400", onSend, "The event has no `data`, or one that is no string.",
		"Send `data` as a string; encode JSON into it."},
	{CodeEventNameType, "400", onSend, "The event's `name` is no string.",
		"Send a string, or leave it out."},
	{CodeEventName, "400", onSend, "The event's `name` has a CR, LF or NUL.",
		"Use a name without them: the event format cannot carry them."},
	{CodeCloseType, "400", onSend, "`close` is neither true nor false.",
		"Send a boolean, or leave it out."},
	{CodeTransient, "400", onSend, "`transient` is no boolean, or the message has a token, `close` or a key too.",
		"Send transient events to topics, with nothing else."},
	{CodeEventMissing, "400", onSend, "A message for a topic has neither `event` nor `close`.",
		"Look for a misspelt field: unknown fields are ignored."},
	{CodeIdempotencyKey, "400", onSend, "The idempotency key is not allowed, or the message is for a token.",
		"Use 1 to 256 bytes, for topics only; header and field must be equal."},
	{CodeAbsent, "400", "`POST /internal/subscribe`", "`absent` is not a list of topics with 1 to 100 events each.",
		"Send `[{\"topic\":\"…\",\"events\":[{\"data\":\"…\"}]}]`."},
	{CodeFrom, "400", "`POST /internal/subscribe`", "`from` is not `earliest`, `latest` or an event id.",
		"Use one of the three, or leave it out."},
	{CodeOverride, "400", "`POST /internal/subscribe`", "`override` is no boolean, or `from` is missing.",
		"Send `override` with `from` only."},
	{CodeParameter, "400", "listings, `DELETE /internal/streams/{token}`", "A parameter of the query is not allowed.",
		"The message names the parameter and its values."},
	{CodeRouteNotAvailable, "400", "`/api/testing/`", "The backend does not run in testing mode.",
		"Start it with `--mode testing`, for tests only."},
	{CodeMediaType, "415", onInternal, "The body has another media type, charset or encoding.",
		"Send `application/json` or, to `/internal/send`, `application/x-ndjson`: UTF-8, plain or gzip."},
	{CodeBodyTooLarge, "413", anywhere, "A body, a message, a batch or an event is too large.",
		"Send less, or raise `--max-body` or `--max-batch`."},
	{CodeBodyTooSlow, "408", anywhere, "The body came at less than 1 KiB a second or, under `/api/`, took over 30 s.",
		"Send the body at once."},
	{CodeHeaderTooLarge, "431", anywhere, "Request line and headers are larger than `--max-header`.",
		"Delete cookies, or raise `--max-header`."},
	{CodeIdempotency, "422", onSend, "The key was used with other content within two minutes.",
		"Nothing was stored. Use a new key for a new message."},

	{CodeTokenNotFound, "404", onInternal, "No stream has this token: it has ended, or never existed.",
		"Stop sending to it. Its disconnect callback says why it ended."},
	{CodeTopicNotFound, "404", "`/internal/topics/{topic}`", "No topic has this name.",
		"Publish first: the first event makes the topic."},
	{CodeTopicClosed, "409", onSend, "The topic has had its last event.",
		"Use another topic, or delete this one first."},
	{CodeNotFound, "404", anywhere, "No route has this path on this listener.",
		"Compare the path and the port with the page of the protocol."},
	{CodeMethodNotAllowed, "405", anywhere, "The route does not take this method.",
		"Use one of those in the header `Allow`."},

	{CodeBufferFull, "503", onSend, "Too much waits for this stream or, for a topic, for storage. Nothing was taken.",
		"Send it again after `Retry-After`."},
	{CodeTooManyTopics, "503", onSend, "There are `--max-topics` topics.",
		"Wait until unused topics expire, or raise the setting."},
	{CodeTooManyConnections, "503", "every route; streams", "There are too many connections, streams, or connects at once.",
		"Come back after `Retry-After`; raise `--max-connections` or the limit of open files. Streams in a reconnect storm get 200 and `retry:` instead."},
	{CodeAddressLimit, "429", anywhere, "One address has `--max-per-address` connections or streams.",
		"Close some; behind a proxy, give `--trusted-proxy`. Streams get 200 and `retry:` instead."},
	{CodeConnectRate, "429", anywhere, "One address connects more often than `--connect-rate`.",
		"Come back after `Retry-After`. Streams get 200 and `retry:` instead."},
	{CodeInflight, "503", anywhere, "Request bodies and answers under way take `--max-inflight` bytes.",
		"Send it again after `Retry-After`, or raise the setting."},
	{CodeHeadersFull, asRetry, onStreams, "Large request headers of all streams take all the memory that they may.",
		"Send smaller headers (cookies), or set `--callback-headers`."},
	{CodeDraining, asRetry, onStreams, "The gateway is stopping.",
		"Come back after the time in `retry:`: to another gateway, or to the next process."},

	{CodeUnauthorized, "401", anywhere, "The request shows no secret, token or login that is valid here.",
		"The message says what to give, and where."},
	{CodeForbidden, "403", "`/api/tasks`, streams of tasks", "The access token does not name this task.",
		"Ask the backend for a token that does."},
	{CodeUnknownHost, "421", "routes that ask for no secret", "The header `Host` has a name that the program does not know.",
		"Call it by address or `localhost`, or give the name with `--allowed-host`."},
	{CodeCrossSite, "403", "changes and listings", "A page of another site sent the request.",
		"Allow its origin with `--cors-origin` if it is yours."},

	{CodeNotConfigured, "503", onStreams, "The gateway has no callback URL.",
		"Give `--callback-url`."},
	{CodeBackendAuthFailed, "401", onStreams, "The backend answered the connect callback with 401.",
		"Log in. If nobody can: compare both sides' `--callback-secret`."},
	{CodeBackendForbidden, "403", onStreams, "The backend answered the connect callback with 403.",
		"This client may not have this stream."},
	{CodeBackendError, "backend's, or 502", onStreams, "The backend refused the connect callback, or answered 1xx or 3xx (502).",
		"Look into the backend's log. A redirect is not followed: correct `--callback-url`."},
	{CodeBackendUnavailable, "503", onStreams, "The backend cannot be reached.",
		"Start it, or correct `--callback-url`. The log has the cause."},
	{CodeGatewayTimeout, "504", onStreams, "The backend did not answer within `--callback-timeout`.",
		"Make its connect handler faster: it must answer before it works."},

	{CodeEngineUnavailable, "503", onInternal, "Storage, or another node, does not answer. An event may be stored or not.",
		"Send it again with the same idempotency key. `/readyz` has the cause."},
	{CodeEngineFull, "503", onSend, "Storage is full. Nothing was stored.",
		"Free disk space, or raise `--store-size`."},
	{CodeNodeBusy, "503", onInternal, "Another node that has the stream gets too many requests.",
		"Send it again after `Retry-After`."},
	{CodeInternal, "500", anywhere, "The program has a defect.",
		"The log has the cause: report it."},
}
