package gateway_test

import (
	"testing"

	"tidegate/internal/gateway"
	"tidegate/internal/peer"
	"tidegate/internal/wire"
)

func TestCallbacksTellTheAddressThatAProxyForwards(t *testing.T) {
	t.Parallel()
	r := setup(t, sockets, func(o *gateway.Options) { o.From = peer.New(peer.Options{}) })
	c := r.open("/a", "X-Forwarded-For: 1.1.1.1, 203.0.113.7")
	cb := r.backend.next(wire.Connect)
	if got := cb.Request.RemoteAddr; got != "203.0.113.7" {
		t.Errorf("remote_addr of the connect is %q, want 203.0.113.7", got)
	}
	c.response()
	if got := fieldOf(t, r.get("/internal/streams/"+cb.Token).Body, "remote_addr"); got != "203.0.113.7" {
		t.Errorf("remote_addr in the listing is %q, want 203.0.113.7", got)
	}
	c.leave()
	if got := r.backend.next(wire.Disconnect).Request.RemoteAddr; got != "203.0.113.7" {
		t.Errorf("remote_addr of the disconnect is %q, want 203.0.113.7", got)
	}
}
