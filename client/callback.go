package client

import (
	"fmt"
	"time"
)

// Action is what a callback reports.
type Action string

// The two actions.
const (
	Connect    Action = "connect"    // a client asks for a stream
	Disconnect Action = "disconnect" // a stream that was accepted has ended
)

// Reason says who or what ended a stream.
type Reason string

// The reasons.
const (
	ClientClosed Reason = "client_closed"
	ServerClosed Reason = "server_closed"
	Failed       Reason = "error"
)

// Callback is what the gateway asks or reports about one stream. Each connect that was
// answered with a 2xx status is followed by exactly one disconnect, which may be
// delivered more than once.
type Callback struct {
	Action  Action
	Token   string // of the stream: for Send, Subscribe and EndStream
	Request Request
	Gateway string // id of the gateway process, for logs

	// Of a disconnect only.
	Reason      Reason
	Detail      string        // more than Reason says, such as "slow_consumer"; may be ""
	Duration    time.Duration // since the connect began; 0 if it is not known
	Undelivered int           // events that were accepted for the token and never written to its socket
	Redelivered bool          // it may have been delivered before, by a gateway that is gone
}

// Request is the client's request as the gateway received it.
type Request struct {
	URL        string            // the request target, byte for byte: path and query
	Headers    map[string]string // names in lower case; repeats are joined
	Method     string
	RemoteAddr string
}

// CallbackError is why a callback was not accepted, and how that is answered.
type CallbackError struct {
	Status  int          // HTTP status of the answer
	Message string       // safe to send; repeats no header of the client
	Details []FieldError // what is wrong with the fields of the callback
	Err     error        // for the log alone; may be nil
}

func (e *CallbackError) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("client: callback refused: %s: %v", e.Message, e.Err)
	}
	return "client: callback refused: " + e.Message
}

// Unwrap returns Err.
func (e *CallbackError) Unwrap() error { return e.Err }

// FieldError says what is wrong with one field, never what was in it.
type FieldError struct {
	Field   string `json:"field"`
	Message string `json:"message"`
}
