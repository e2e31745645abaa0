package gateway_test

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tidegate/internal/gateway"
	"tidegate/internal/topic"
	"tidegate/internal/wire"
)

// lookStore is a store that takes a second to tell when an event was stored.
type lookStore struct{ slowStore }

func (s *lookStore) Time(ctx context.Context, seq uint64) (at int64, exact bool, err error) {
	time.Sleep(time.Second)
	return s.slowStore.Time(ctx, seq)
}

// idOfTheFuture is an id that a client has which saw more than is in the backup that
// was restored.
func idOfTheFuture(t *testing.T) (id string) {
	s := &lookStore{}
	s.hub = topic.New(topic.Options{Default: topic.Retention{Events: 10}, Store: s, Generation: "slowstor"})
	s.hub.Key("secret")
	s.hub.Begin(1, 0, "")
	for range 50 {
		r, err := s.hub.Publish(t.Context(), topic.Publication{Topic: "t", HasEvent: true, Data: "x"})
		if err != nil {
			t.Fatal(err)
		}
		id = r.ID
	}
	return id
}

// TestX15ForgedIDsHoldNobodyUp: 300 clients that come with ids of a future do not
// keep callback slots, be the ids made up or of before a backup was restored.
func TestX15ForgedIDsHoldNobodyUp(t *testing.T) {
	t.Parallel()
	for _, honest := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			s := &lookStore{}
			r := setup(t, pipes, func(o *gateway.Options) {
				s.hub = topic.New(topic.Options{Default: topic.Retention{Events: 10, Replay: topic.ReplayHeld}, Store: s, Generation: "slowstor"})
				s.hub.Key("secret")
				s.hub.Begin(1, 0, "")
				o.Topics, o.CallbackConcurrency = s.hub, 4
			})
			r.publish("t", "1")
			r.backend.handle(func(_ http.ResponseWriter, cb callback) {
				if cb.Action == wire.Connect {
					if got := r.subscribe(cb.Token, `["t"]`); got.Status != 200 {
						t.Errorf("subscribe: %d %s", got.Status, got.Body)
					}
				}
			})
			id := "slowstor-zz-1_aaaaaaa"
			if honest {
				id = idOfTheFuture(t)
			}
			begin := time.Now()
			var all sync.WaitGroup
			for i := range 300 {
				c := r.open(fmt.Sprint("/", i), "Last-Event-ID: "+id)
				all.Go(func() { c.until("history_lost") })
			}
			r.open("/another").until("data: 1")
			if took := time.Since(begin); took > 100*time.Millisecond {
				t.Errorf("honest ids: %v: another client waited for %v", honest, took)
			}
			all.Wait()
		})
	}
}
