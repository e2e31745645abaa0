package wire

import "strconv"

// Status words of answers.
const (
	StatusOK       = "ok"
	StatusBuffered = "buffered"
)

// SendAnswer answers POST /internal/send: one object for a single message, one
// a line for a batch, where Code and Error are set too.
type SendAnswer struct {
	Status string `json:"status,omitempty"`
	// ID and Receivers are set for topics only.
	ID        string `json:"id,omitempty"`
	Receivers *int   `json:"receivers,omitempty"`
	// Code is the HTTP status that this message would have had alone. Batches only.
	Code  int    `json:"code,omitempty"`
	Error *Error `json:"error,omitempty"`
}

// AppendJSON appends a as encoding/json writes it, which is without a line feed.
func (a SendAnswer) AppendJSON(dst []byte) []byte {
	start := len(dst) // each field begins with a comma; the brace replaces the first one
	if a.Status != "" {
		dst = appendQuoted(append(dst, `,"status":`...), a.Status)
	}
	if a.ID != "" {
		dst = appendQuoted(append(dst, `,"id":`...), a.ID)
	}
	if a.Receivers != nil {
		dst = strconv.AppendInt(append(dst, `,"receivers":`...), int64(*a.Receivers), 10)
	}
	if a.Code != 0 {
		dst = strconv.AppendInt(append(dst, `,"code":`...), int64(a.Code), 10)
	}
	if a.Error != nil {
		dst = a.Error.appendJSON(append(dst, `,"error":`...))
	}
	if len(dst) == start {
		return append(dst, "{}"...)
	}
	dst[start] = '{'
	return append(dst, '}')
}

// SubscribeRequest is the body of POST /internal/subscribe and, with Token and
// Topics alone, of POST /internal/unsubscribe.
type SubscribeRequest struct {
	Token  string   `json:"token"`
	Topics []string `json:"topics,omitempty"`
	// From is "earliest", "latest", an event id, or "" for the default. It is for clients without a
	// last event id; with Override it is for all clients.
	From     string        `json:"from,omitempty"`
	Override bool          `json:"override,omitempty"`
	Absent   []AbsentTopic `json:"absent,omitempty"` // topics to attach to if they exist
}

// AbsentTopic has the events that a stream receives if the topic does not exist.
type AbsentTopic struct {
	Topic  string  `json:"topic"`
	Events []Event `json:"events"`
}

// Event is an event as a client receives it.
type Event struct {
	Name string `json:"name,omitempty"`
	Data string `json:"data"`
}

// SubscribeAnswer answers POST /internal/subscribe.
type SubscribeAnswer struct {
	Status string               `json:"status"` // "ok", or "buffered" while the callback is pending
	Topics map[string]TopicInfo `json:"topics"` // as they were when the stream was attached
	Absent []string             `json:"absent,omitempty"`
}

// TopicInfo is a topic as the listings and SubscribeAnswer show it.
type TopicInfo struct {
	Topic    string `json:"topic"`
	Events   int    `json:"events"`           // events held in memory now
	Bytes    int64  `json:"bytes"`            // bytes held in memory now, as encoded
	Stored   int    `json:"stored,omitempty"` // events in the log of this process, if it has one
	Appended uint64 `json:"appended"`         // events appended since the topic was made
	Streams  int    `json:"streams"`          // streams attached now
	FirstID  string `json:"first_id,omitempty"`
	LastID   string `json:"last_id,omitempty"` // of the last event ever appended
	LastAt   string `json:"last_at,omitempty"` // RFC 3339, of the last event
	Closed   bool   `json:"closed"`
	// Unsure says that storage did not answer: the topic may have had more events
	// than this says, and may be closed. Listings only.
	Unsure bool `json:"unsure,omitempty"`
}

// StreamInfo is a stream as the listings show it.
type StreamInfo struct {
	Token        string   `json:"token"`
	State        string   `json:"state"` // "pending" while the callback is under way, else "open"
	URL          string   `json:"url"`
	RemoteAddr   string   `json:"remote_addr"`
	OpenedAt     string   `json:"opened_at"` // RFC 3339
	Sequence     uint64   `json:"sequence"`  // increases with each stream of this gateway
	Topics       []string `json:"topics"`
	PendingBytes int64    `json:"pending_bytes"`
	LastEventID  string   `json:"last_event_id,omitempty"` // as the client sent it
}

// EventInfo is an event of a topic as the listing shows it.
type EventInfo struct {
	ID    string `json:"id"`
	Name  string `json:"name,omitempty"`
	Data  string `json:"data"`
	At    string `json:"at"` // RFC 3339
	Final bool   `json:"final,omitempty"`
}

// StreamPage is a page of GET /internal/streams. Pass Next as ?after= for the following page; it is
// absent on the last one.
type StreamPage struct {
	Streams []StreamInfo `json:"streams"`
	Next    string       `json:"next,omitempty"`
	Missing []string     `json:"missing_nodes,omitempty"` // nodes that did not answer
}

// TopicPage is a page of GET /internal/topics.
type TopicPage struct {
	Topics  []TopicInfo `json:"topics"`
	Next    string      `json:"next,omitempty"`
	Missing []string    `json:"missing_nodes,omitempty"` // nodes that did not answer
}

// EventPage is a page of GET /internal/topics/{topic}/events.
type EventPage struct {
	Events []EventInfo `json:"events"`
	Next   string      `json:"next,omitempty"`
}
