package gateway

import (
	"strconv"

	"tidegate/internal/packed"
	"tidegate/internal/wire"
)

// callback is what is told to the backend of one stream: a [wire.Callback] that
// takes little memory while it waits.
type callback struct {
	action      wire.Action
	why         wire.Ending // of a disconnect, like all below
	token       token
	node        *identity // see conn
	request     packed.Request
	more        []packed.Header // of a connect: told and kept nowhere
	durationMS  int64
	undelivered int
	heir        *heir // of a stream of another node; nil for those of this one
}

// name is the token as it is told.
func (c *callback) name() string {
	if c.heir != nil {
		return c.heir.token
	}
	return c.token.String() + c.node.name
}

// heir is what is told of a stream whose node cannot do it any more.
type heir struct {
	token   string
	request []byte // JSON
}

// appendJSON renders a callback as encoding/json does a [wire.Callback], except
// that it leaves &, < and > as they are, so that a URL reads as it came. What is
// put between quotes as it is holds nothing that JSON escapes.
func (c *callback) appendJSON(dst []byte, store *packed.Store, gateway string) []byte {
	dst = append(dst, `{"action":"`...)
	dst = append(dst, c.action...)
	if c.why.Reason != "" {
		dst = append(dst, `","reason":"`...)
		dst = append(dst, c.why.Reason...)
	}
	dst = append(dst, `","token":"`...)
	if c.heir == nil {
		dst = append(c.token.append(dst), c.node.name...)
		dst = append(dst, `","request":`...)
		dst = store.AppendJSONWith(dst, c.request, c.request.URL(), c.more)
	} else {
		dst = append(dst, c.heir.token...)
		dst = append(dst, `","request":`...)
		dst = append(dst, c.heir.request...)
		dst = append(dst, `,"redelivered":true`...)
	}
	if c.why.Detail != "" {
		dst = append(dst, `,"detail":"`...)
		dst = append(dst, c.why.Detail...)
		dst = append(dst, '"')
	}
	if c.action == wire.Disconnect && c.heir == nil {
		dst = append(dst, `,"duration_ms":`...)
		dst = strconv.AppendInt(dst, c.durationMS, 10)
	}
	if c.undelivered > 0 {
		dst = append(dst, `,"undelivered":`...)
		dst = strconv.AppendInt(dst, int64(c.undelivered), 10)
	}
	dst = append(dst, `,"gateway":"`...)
	dst = append(dst, gateway...)
	return append(dst, `"}`...)
}
