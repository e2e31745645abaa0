package gateway

import (
	"net/http"

	"tidegate/internal/topic"
	"tidegate/internal/wire"
)

// subscribe answers POST /internal/subscribe: it attaches a stream to topics, also
// while its connect callback is pending.
func (g *Gateway) subscribe(w http.ResponseWriter, r *http.Request) {
	request, c, ok := g.subscription(w, r)
	if !ok {
		return
	}
	topics, absent, err := g.opts.Topics.AttachTo(r.Context(), &c.member, topic.Request{
		Topics: request.Topics, From: request.From, Override: request.Override, Absent: request.Absent,
	})
	if err != nil {
		wire.WriteError(w, err)
		return
	}
	answer := wire.SubscribeAnswer{Status: wire.StatusBuffered, Topics: topics, Absent: absent}
	if c.open.Load() {
		answer.Status = wire.StatusOK
	}
	wire.WriteJSON(w, http.StatusOK, answer)
}

// unsubscribe answers POST /internal/unsubscribe.
func (g *Gateway) unsubscribe(w http.ResponseWriter, r *http.Request) {
	request, c, ok := g.subscription(w, r)
	if !ok {
		return
	}
	g.opts.Topics.Detach(&c.member, request.Topics)
	wire.WriteJSON(w, http.StatusOK, wire.SendAnswer{Status: wire.StatusOK})
}

// subscription reads the request and finds the stream. If ok is false, it has answered
// already.
func (g *Gateway) subscription(w http.ResponseWriter, r *http.Request) (request wire.SubscribeRequest, c *conn, ok bool) {
	in := requestBuffers.Get().(*requestBuffer)
	defer in.putBack()
	body, err := g.readBody(w, r, in)
	if err == nil {
		request, err = wire.ParseSubscribe(body)
	}
	if err != nil {
		wire.WriteError(w, err)
		return request, nil, false
	}
	if node := g.holder(r.Context(), request.Token); node != "" {
		g.relay(w, r, node, body)
		return request, nil, false
	}
	if c = g.living(request.Token); c == nil {
		wire.WriteError(w, errNoToken)
	}
	return request, c, c != nil
}
