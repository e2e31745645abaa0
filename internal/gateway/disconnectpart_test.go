package gateway_test

import (
	"net/http"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"tidegate/internal/gateway"
	"tidegate/internal/peer"
	"tidegate/internal/wire"
)

// TestX16OneAddressPushesOutNobodysDisconnects: while the backend is away, an
// address whose clients come and leave gives up disconnects of its own, the oldest
// first, and those of others stay.
func TestX16OneAddressPushesOutNobodysDisconnects(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const queue, mine, others = 40, 100, 20
		r := setup(t, pipes, func(o *gateway.Options) {
			o.From, o.CallbackQueue, o.CallbackConcurrency = peer.New(peer.Options{}), queue, 1
		})
		come := func(address string) (*client, string) {
			c := r.open("/x", "X-Forwarded-For: "+address)
			token := r.backend.next(wire.Connect).Token
			c.response()
			return c, token
		}
		var honest []*client
		var flood []*client
		want := make(map[string]bool)
		for i := range others {
			c, token := come("203.0.113." + strconv.Itoa(i))
			honest = append(honest, c)
			want[token] = true
		}
		for i := range mine {
			c, token := come("2001:db8::" + strconv.Itoa(i))
			flood = append(flood, c)
			if i >= mine-queue/4 {
				want[token] = true
			}
		}
		r.backend.handle(func(http.ResponseWriter, callback) { panic(http.ErrAbortHandler) })
		for _, c := range honest {
			c.leave()
			synctest.Wait()
		}
		time.Sleep(15 * time.Second) // what is out comes back
		for _, c := range flood {
			c.leave()
			synctest.Wait()
		}
		time.Sleep(time.Minute)
		for len(r.backend.calls) > 0 {
			<-r.backend.calls
		}
		r.backend.status(http.StatusOK)
		time.Sleep(time.Minute)
		for len(r.backend.calls) > 0 {
			delete(want, r.backend.next(wire.Disconnect).Token)
		}
		if len(want) > 0 {
			t.Errorf("%d disconnects are lost that had room", len(want))
		}
		if n := r.count(`tidegate_disconnects_dropped_total{reason="address_full"}`); n != strconv.Itoa(mine-queue/4) {
			t.Errorf("%s disconnects of the address are given up, want %d", n, mine-queue/4)
		}
		if n := r.count(`tidegate_disconnects_dropped_total{reason="queue_full"}`); n != "0" {
			t.Errorf("%s disconnects of others are given up", n)
		}
	})
}
