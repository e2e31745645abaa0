package callback

import (
	"strconv"
	"sync/atomic"

	"tidegate/internal/gateway/token"
	"tidegate/internal/packed"
	"tidegate/internal/wire"
)

// Message is what one callback says of one stream: a [wire.Callback] that takes
// little memory while it waits.
type Message struct {
	Action      wire.Action
	Token       token.Token
	Node        *Node // of this process when the client connected; required
	Request     packed.Request
	Extra       []packed.Header // of a connect: reported once and not kept
	Why         wire.Ending     // of a disconnect, like all below
	DurationMS  int64
	Undelivered int
	Orphan      *Orphan // the stream of a node that is gone; nil: of this process
}

// Node is a name under which this process opens streams. If the other nodes cannot
// reach it, they deliver the disconnects of its streams, and it goes on under
// another name.
type Node struct {
	Name string // "" for a gateway without peers; set once

	disowned atomic.Bool // set under Queue.mu, and never taken back
}

// Disowned reports whether other nodes deliver the disconnects of its streams.
func (n *Node) Disowned() bool { return n.disowned.Load() }

// Orphan is the record of a stream whose node is gone.
type Orphan struct {
	Token   string
	Request []byte // JSON
}

// Name is the token's text, as the backend knows it.
func (m *Message) Name() string {
	if m.Orphan != nil {
		return m.Orphan.Token
	}
	return m.Token.String() + m.Node.Name
}

// appendJSON renders a message as encoding/json renders a [wire.Callback], except
// that it keeps &, < and >, so that a URL reads as it came. What it copies between
// quotes unchanged holds nothing that JSON escapes.
func (m *Message) appendJSON(dst []byte, store *packed.Store, gateway string) []byte {
	dst = append(dst, `{"action":"`...)
	dst = append(dst, m.Action...)
	if m.Why.Reason != "" {
		dst = append(dst, `","reason":"`...)
		dst = append(dst, m.Why.Reason...)
	}
	dst = append(dst, `","token":"`...)
	if m.Orphan == nil {
		dst = append(m.Token.Append(dst), m.Node.Name...)
		dst = append(dst, `","request":`...)
		dst = store.AppendJSONWith(dst, m.Request, m.Request.URL(), m.Extra)
	} else {
		dst = append(dst, m.Orphan.Token...)
		dst = append(dst, `","request":`...)
		dst = append(dst, m.Orphan.Request...)
		dst = append(dst, `,"redelivered":true`...)
	}
	if m.Why.Detail != "" {
		dst = append(dst, `,"detail":"`...)
		dst = append(dst, m.Why.Detail...)
		dst = append(dst, '"')
	}
	if m.Action == wire.Disconnect && m.Orphan == nil {
		dst = append(dst, `,"duration_ms":`...)
		dst = strconv.AppendInt(dst, m.DurationMS, 10)
	}
	if m.Undelivered > 0 {
		dst = append(dst, `,"undelivered":`...)
		dst = strconv.AppendInt(dst, int64(m.Undelivered), 10)
	}
	dst = append(dst, `,"gateway":"`...)
	dst = append(dst, gateway...)
	return append(dst, `"}`...)
}
