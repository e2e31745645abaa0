package gateway_test

import (
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tidegate/internal/gateway"
	"tidegate/internal/peer"
	"tidegate/internal/wire"
)

// TestX15AddressesTakeTurnsAtTheBackend: a client from another address than a flood is
// asked about next, not after all of the flood.
func TestX15AddressesTakeTurnsAtTheBackend(t *testing.T) {
	t.Parallel()
	for name, of := range map[string]struct{ flood, other string }{
		"IPv4": {"192.0.2.1", "192.0.2.2"},
		"IPv6": {"2001:db8:1:1::%x", "2001:db8:1:2::1"}, // a network is one address
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := setup(t, pipes, func(o *gateway.Options) {
					o.CallbackConcurrency, o.From = 1, peer.New(peer.Options{})
				})
				var asked []string
				var mu sync.Mutex
				r.backend.handle(func(_ http.ResponseWriter, cb callback) {
					if cb.Action == wire.Connect {
						mu.Lock()
						asked = append(asked, cb.Request.URL)
						mu.Unlock()
					}
					time.Sleep(100 * time.Millisecond)
				})
				flood := make([]*client, 40)
				for i := range flood {
					address := of.flood
					if name == "IPv6" {
						address = fmt.Sprintf(address, i+1)
					}
					flood[i] = r.open(fmt.Sprint("/flood/", i), "X-Forwarded-For: "+address)
					synctest.Wait() // so that they come in this order
				}
				honest := r.open("/honest", "X-Forwarded-For: "+of.other)
				if got := honest.response().StatusCode; got != 200 {
					t.Errorf("the client from another address got %d", got)
				}
				for _, c := range flood {
					c.response()
				}
				if at := slices.Index(asked, "/honest"); at < 0 || at > 2 { // one is out, and one of the flood may be next
					t.Errorf("it was asked about after %d of the flood: %q", at, asked)
				}
				asked = slices.DeleteFunc(asked, func(url string) bool { return url == "/honest" })
				for i, url := range asked {
					if url != fmt.Sprint("/flood/", i) {
						t.Errorf("the flood was asked about in another order than it came: %q", asked)
						break
					}
				}
			})
		})
	}
}
