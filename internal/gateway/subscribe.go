package gateway

import (
	"net/http"

	"sluice/internal/wire"
)

// subscribe is POST /internal/subscribe: it attaches a stream to topics, also
// while its callback is pending.
func (g *Gateway) subscribe(w http.ResponseWriter, r *http.Request) {
	request, c, err := g.subscription(w, r)
	if err != nil {
		wire.WriteError(w, err)
		return
	}
	topics, err := g.opts.Topics.Attach(&c.member, request.Topics, request.From)
	if err != nil {
		wire.WriteError(w, err)
		return
	}
	answer := wire.SubscribeAnswer{Status: wire.StatusBuffered, Topics: topics}
	if c.open.Load() {
		answer.Status = wire.StatusOK
	}
	wire.WriteJSON(w, http.StatusOK, answer)
}

// unsubscribe is POST /internal/unsubscribe.
func (g *Gateway) unsubscribe(w http.ResponseWriter, r *http.Request) {
	request, c, err := g.subscription(w, r)
	if err != nil {
		wire.WriteError(w, err)
		return
	}
	g.opts.Topics.Detach(&c.member, request.Topics)
	wire.WriteJSON(w, http.StatusOK, wire.SendAnswer{Status: wire.StatusOK})
}

func (g *Gateway) subscription(w http.ResponseWriter, r *http.Request) (wire.SubscribeRequest, *conn, error) {
	in := inboxes.Get().(*inbox)
	defer in.putBack()
	body, err := g.readBody(w, r, in)
	if err != nil {
		return wire.SubscribeRequest{}, nil, err
	}
	request, err := wire.ParseSubscribe(body)
	if err != nil {
		return wire.SubscribeRequest{}, nil, err
	}
	c := g.living(request.Token)
	if c == nil {
		return wire.SubscribeRequest{}, nil, errNoToken
	}
	return request, c, nil
}
