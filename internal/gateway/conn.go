package gateway

import (
	"sync/atomic"
	"time"

	"tidegate/internal/gateway/token"
	"tidegate/internal/limit"
	"tidegate/internal/packed"
	"tidegate/internal/stream"
	"tidegate/internal/topic"
	"tidegate/internal/wire"
)

// conn is one stream as the gateway knows it: from before its connect callback
// until its end.
type conn struct {
	stream   stream.Stream
	member   topic.Member
	token    token.Token
	node     *identity // of this node when the client came, and so its gateway
	sequence uint64
	openedIn time.Duration // since the process began: no change of the clock counts
	request  packed.Request
	open     atomic.Bool // the callback has been accepted
	hold     limit.Hold  // what it counts for
}

// age is how long ago the client came.
func (c *conn) age() time.Duration { return uptime() - c.openedIn }

// openedAt is when the client came, by the clock as it was when the process began.
func (c *conn) openedAt() time.Time { return processBegan.Add(c.openedIn) }

var processBegan = time.Now()

// uptime is how long the process has been running, by a clock that nobody sets.
func uptime() time.Duration { return time.Since(processBegan) }

// name is the token as it is told.
func (c *conn) name() string { return c.token.String() + c.node.Name }

func (c *conn) info(h *topic.Hub) wire.StreamInfo {
	state := "pending"
	if c.open.Load() {
		state = "open"
	}
	return wire.StreamInfo{
		Token:        c.name(),
		State:        state,
		URL:          wire.MaskAccess(c.request.URL()),
		RemoteAddr:   c.request.RemoteAddr(),
		OpenedAt:     c.openedAt().UTC().Format(time.RFC3339Nano),
		Sequence:     c.sequence,
		Topics:       h.Topics(&c.member),
		PendingBytes: c.stream.Pending(),
		LastEventID:  c.request.LastEventID(),
	}
}
