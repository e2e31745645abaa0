package wire

import (
	"encoding/json"
	"errors"
)

// PeerRequest is a request of the internal API that one node has another answer.
type PeerRequest struct {
	Method      string
	Target      string // path and query
	ContentType string
	Body        []byte
}

// PeerAnswer is the answer to a PeerRequest.
type PeerAnswer struct {
	Status     int
	RetryAfter string // of the header; "" for none
	Body       []byte // JSON
}

// ErrNoNode says that no node has the name. It is never returned for a node that exists and does not
// answer.
var ErrNoNode = errors.New("no such node")

// SessionRecord is what is stored of an open stream, so that another node can send its
// disconnect callback if its own node is gone.
type SessionRecord struct {
	Node     string          `json:"node"`
	Token    string          `json:"token"`
	OpenedAt int64           `json:"opened_at"` // unix nanoseconds
	Request  json.RawMessage `json:"request"`   // as in callbacks
}
