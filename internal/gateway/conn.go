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

// conn is one stream, from before its connect callback until its end. Its size counts
// for each idle stream, see TestX16AStreamFitsItsSizeClass.
type conn struct {
	stream   stream.Stream
	member   topic.Member
	token    token.Token
	node     *identity // of this process when the client connected; leads to the gateway
	sequence uint64
	openedIn time.Duration // uptime when the client connected: independent of clock changes
	request  packed.Request
	open     atomic.Bool // the callback was accepted
	hold     limit.Hold  // what it counts for in the limits
}

// age is how long ago the client connected.
func (c *conn) age() time.Duration { return uptime() - c.openedIn }

// openedAt is when the client connected, by the clock as it was at the process start.
func (c *conn) openedAt() time.Time { return processBegan.Add(c.openedIn) }

var processBegan = time.Now()

// uptime is how long the process has been running, by the monotonic clock.
func uptime() time.Duration { return time.Since(processBegan) }

// name is the token's text, as the backend and clients know it.
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
