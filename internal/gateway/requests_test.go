package gateway_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"tidegate/internal/gateway"
	"tidegate/internal/peer"
	"tidegate/internal/wire"
)

func TestX16LargeHeadersAreCountedInBytes(t *testing.T) {
	t.Parallel()
	r := setup(t, sockets, func(o *gateway.Options) {
		o.From, o.MaxHeaders = peer.New(peer.Options{}), 40<<10
	})
	fat := "X-Fat: " + strings.Repeat("f", 12<<10)
	from := func(address string, headers ...string) *client {
		return r.open("/a", append(headers, "X-Forwarded-For: "+address)...)
	}
	accept := func(c *client) string {
		t.Helper()
		token := r.backend.next(wire.Connect).Token
		if head := c.response(); head.StatusCode != http.StatusOK {
			t.Fatalf("answered %d", head.StatusCode)
		}
		return token
	}
	first := from("203.0.113.1", fat)
	token := accept(first)
	second := from("203.0.113.1", fat).reply()
	if second.Status != http.StatusOK || !strings.HasPrefix(second.Body, "retry: ") {
		t.Errorf("the second large request of one address: %d %q, want retry: and the end", second.Status, second.Body)
	}
	accept(from("203.0.113.1")) // a usual one
	accept(from("203.0.113.2", fat))
	accept(from("203.0.113.3", fat))
	if got := from("203.0.113.4", fat).reply(); !strings.HasPrefix(got.Body, "retry: ") {
		t.Errorf("a large request beyond all: %d %q, want retry: and the end", got.Status, got.Body)
	}
	accept(from("203.0.113.4"))
	if n := r.count(`tidegate_streams_refused_total{code="HEADERS_FULL"}`); n != "2" {
		t.Errorf("%s refusals are counted, want 2", n)
	}
	full := r.count("tidegate_large_header_bytes")
	first.leave()
	r.backend.wantDisconnect(token, wire.ClientClosed, "")
	for end := time.Now().Add(patience); r.count("tidegate_large_header_bytes") == full; {
		if time.Now().After(end) {
			t.Fatal("nothing is given back")
		}
	}
	accept(from("203.0.113.1", fat))
}
