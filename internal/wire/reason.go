package wire

// Reason says who or what ended a stream. It is the closed list that the
// disconnect callback, the log, the metrics and the tests share.
type Reason string

// The reasons.
const (
	ClientClosed Reason = "client_closed"
	ServerClosed Reason = "server_closed"
	Failed       Reason = "error"
)

// Detail says more than a Reason. It is a closed list too.
type Detail string

// The details, each with its reason. [EndingTable] describes them.
const (
	DetailNone            Detail = ""
	DetailClosed          Detail = "closed"           // server_closed: a send with close, or DELETE of the stream
	DetailTopicClosed     Detail = "topic_closed"     // server_closed: the last of its topics ended
	DetailTopicFinished   Detail = "topic_finished"   // server_closed: came back for a finished topic, got 204
	DetailReplaced        Detail = "replaced"         // server_closed: a newer stream took its place
	DetailDrain           Detail = "drain"            // server_closed: the gateway stops
	DetailMaxAge          Detail = "max_age"          // server_closed: --max-age
	DetailDuringCallback  Detail = "during_callback"  // client_closed: before the callback was answered
	DetailCallbackTimeout Detail = "callback_timeout" // error: the client got 504, the backend may have accepted
	DetailCallbackFailed  Detail = "callback_failed"  // error: the connection broke, the backend may have accepted
	DetailSlowConsumer    Detail = "slow_consumer"    // error: --max-pending or --write-timeout
	DetailWriteFailed     Detail = "write_failed"     // error: a write to the socket failed
	DetailNodeLost        Detail = "node_lost"        // error: the gateway that held it died, or was cut off
	DetailClientSends     Detail = "client_sends"     // error: the client sent more than 32 KiB on an open stream
)

// Ending is why a stream ended.
type Ending struct {
	Reason Reason
	Detail Detail
}

// EndingInfo describes an [Ending] for backends. The page of errors and the metrics are made from it.
type EndingInfo struct {
	Ending
	When string // a sentence
	Next string // what the client does, and what can be done about it: a sentence
}

// Endings returns every pair that can occur. Metrics have a series for each.
func Endings() []Ending {
	all := make([]Ending, len(endingTable))
	for i, info := range endingTable {
		all[i] = info.Ending
	}
	return all
}

// EndingTable returns the description of every pair that can occur.
func EndingTable() []EndingInfo { return endingTable }

var endingTable = []EndingInfo{
	{Ending{ClientClosed, DetailNone}, "The client left.",
		"It may come back; nothing is wrong."},
	{Ending{ClientClosed, DetailDuringCallback}, "The client left before its connect callback was answered.",
		"It may come back. Many of them: the connect handler is slow."},
	{Ending{ServerClosed, DetailClosed}, "A message with `close`, or `DELETE` of the stream, ended it.",
		"EventSource comes back with a new connect: refuse that with a 4xx, or let the page close it."},
	{Ending{ServerClosed, DetailTopicClosed}, "The stream has had the last event of its last topic.",
		"EventSource comes back once and gets 204, which ends it for good."},
	{Ending{ServerClosed, DetailTopicFinished}, "The client came back for topics that are all closed, and got 204.",
		"EventSource does not come back."},
	{Ending{ServerClosed, DetailReplaced}, "A newer stream of the same identifier took its place.",
		"EventSource comes back and replaces the newer one: see `--replace`."},
	{Ending{ServerClosed, DetailDrain}, "The gateway is stopping.",
		"The client comes back to another gateway or the next process, and resumes."},
	{Ending{ServerClosed, DetailMaxAge}, "The stream reached `--max-age`.",
		"The client comes back and resumes."},
	{Ending{Failed, DetailCallbackTimeout}, "The client got 504, and the backend accepted later, or may have.",
		"Make the connect handler faster, or raise `--callback-timeout`."},
	{Ending{Failed, DetailCallbackFailed}, "The connection to the backend broke after the connect callback was sent.",
		"Look into the backend's log: it may have died."},
	{Ending{Failed, DetailSlowConsumer}, "The client read too slowly: `--max-pending` or `--write-timeout`.",
		"The client comes back and resumes. Many of them: send less, or raise the settings."},
	{Ending{Failed, DetailWriteFailed}, "The connection broke while something was written.",
		"The client comes back and resumes."},
	{Ending{Failed, DetailClientSends}, "The client sent more than 32 KiB on an open stream.",
		"Correct the client: nothing is expected from it there."},
	{Ending{Failed, DetailNodeLost}, "The gateway that had the stream died or was cut off; another one reports it.",
		"The client has come back elsewhere, or will."},
}
