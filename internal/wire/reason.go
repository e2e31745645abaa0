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

// Detail says more than a Reason does. Like Reason it is a closed list.
type Detail string

// The details, each with the reason it goes with.
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
	DetailWriteFailed     Detail = "write_failed"     // error: the socket refused
	DetailNodeLost        Detail = "node_lost"        // error: the gateway that held it died, or was cut off
	DetailClientSends     Detail = "client_sends"     // error: a client sent data on an open stream, more than a little
)

// Ending is why a stream ended.
type Ending struct {
	Reason Reason
	Detail Detail
}

// Endings lists every pair that can occur, for tests and for the reference pages.
func Endings() []Ending {
	return []Ending{
		{ClientClosed, DetailNone},
		{ClientClosed, DetailDuringCallback},
		{ServerClosed, DetailClosed},
		{ServerClosed, DetailTopicClosed},
		{ServerClosed, DetailTopicFinished},
		{ServerClosed, DetailReplaced},
		{ServerClosed, DetailDrain},
		{ServerClosed, DetailMaxAge},
		{Failed, DetailCallbackTimeout},
		{Failed, DetailCallbackFailed},
		{Failed, DetailSlowConsumer},
		{Failed, DetailWriteFailed},
		{Failed, DetailClientSends},
		{Failed, DetailNodeLost},
	}
}
