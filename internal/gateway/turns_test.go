package gateway_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tidegate/internal/gateway"
	"tidegate/internal/peer"
	"tidegate/internal/wire"
)

// TestX15AddressesTakeTurnsAtTheBackend: who comes from another address than a
// flood is asked about next, not after all of it.
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
					t.Errorf("who comes from elsewhere got %d", got)
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

// TestACrowdHoldsUpNobodyElsewhere is the same for who waits for a processor.
func TestACrowdHoldsUpNobodyElsewhere(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := gateway.NewPace()
		p.Delivered.Store(1)
		p.Ready.Store(1) // so that a turn takes as long as one may
		var all sync.WaitGroup
		for range 300 {
			all.Go(func() {
				if err := p.BeginAt(t.Context(), "192.0.2.1:1"); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		for i := range 3 {
			begin := time.Now()
			if err := p.BeginAt(t.Context(), fmt.Sprintf("192.0.2.%d:1", i+2)); err != nil {
				t.Error(err)
			}
			if took := time.Since(begin); took > 3*gateway.MaxTurn { // one is at it, one of the crowd is next
				t.Errorf("who comes from elsewhere waits for %v", took)
			}
		}
		all.Wait()
	})
}

// TestAPlaceIsNeitherLostNorDoubled: clients come and go from some addresses, some
// of them at the very moment at which it is their turn.
func TestAPlaceIsNeitherLostNorDoubled(t *testing.T) {
	t.Parallel()
	const places, clients = 3, 2000
	turns := gateway.NewTurns(places)
	var inside, had atomic.Int64
	var all sync.WaitGroup
	for i := range clients {
		all.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), rand.N(3*time.Millisecond))
			defer cancel()
			late := time.After(rand.N(5 * time.Millisecond))
			if i%4 == 0 {
				ctx, late = t.Context(), nil // this one stays
			}
			if err := turns.Take(ctx, fmt.Sprintf("192.0.2.%d:1", i%7), late); err != nil {
				return
			}
			had.Add(1)
			if n := inside.Add(1); n > places {
				t.Errorf("%d have one of %d places", n, places)
			}
			time.Sleep(rand.N(50 * time.Microsecond))
			inside.Add(-1)
			turns.Give()
		})
	}
	all.Wait()
	if taken, lines := turns.Taken(), turns.Lines(); taken != 0 || lines != 0 || had.Load() < clients/4 {
		t.Errorf("%d places are taken and %d addresses wait when all are gone; %d had one", taken, lines, had.Load())
	}
}
