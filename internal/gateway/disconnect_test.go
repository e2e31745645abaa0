package gateway_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tidegate/internal/gateway"
	"tidegate/internal/wire"
)

// TestDisconnectIsRetriedWithBackoff: while the backend fails, until it takes it.
func TestDisconnectIsRetriedWithBackoff(t *testing.T) {
	t.Parallel()
	for _, status := range []int{500, 503, 599, 401, 403, 408, 425, 429, 302, 304} {
		synctest.Test(t, func(t *testing.T) {
			r := setup(t, pipes, nil)
			c, token := r.accepted("/x")
			r.backend.status(status)
			c.leave()
			var at []time.Time
			for range 10 {
				at = append(at, r.backend.wantDisconnect(token, wire.ClientClosed, "").At)
			}
			r.backend.status(http.StatusOK)
			r.backend.wantDisconnect(token, wire.ClientClosed, "")
			for i := range 9 {
				low := min(10*time.Second, 100*time.Millisecond<<i) / 2
				if pause := at[i+1].Sub(at[i]); pause < low || pause > 2*low+time.Millisecond {
					t.Errorf("%d: pause %d was %s, want %s to %s", status, i+1, pause, low, 2*low)
				}
			}
			time.Sleep(time.Hour)
			r.backend.silent("once it was taken")
		})
	}
}

// TestRefusedDisconnectIsGivenUp: a backend that says that it is wrong has
// decided; asking again would change nothing.
func TestRefusedDisconnectIsGivenUp(t *testing.T) {
	t.Parallel()
	for _, status := range []int{400, 404, 405, 409, 410, 413, 422} {
		synctest.Test(t, func(t *testing.T) {
			r := setup(t, pipes, nil)
			c, token := r.accepted("/x")
			r.backend.status(status)
			c.leave()
			r.backend.wantDisconnect(token, wire.ClientClosed, "")
			time.Sleep(time.Hour)
			r.backend.silent(fmt.Sprint("after ", status))
			if n := r.count(`tidegate_disconnects_dropped_total{reason="refused"}`); n != "1" {
				t.Errorf("%d: dropped %s, want 1", status, n)
			}
		})
	}
}

func TestOldDisconnectIsGivenUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := setup(t, pipes, func(o *gateway.Options) { o.CallbackRetention = time.Minute })
		c, token := r.accepted("/x")
		r.backend.status(http.StatusServiceUnavailable)
		begin := time.Now()
		c.leave()
		var last time.Time
		time.Sleep(10 * time.Minute)
		for len(r.backend.calls) > 0 {
			last = r.backend.wantDisconnect(token, wire.ClientClosed, "").At
		}
		if age := last.Sub(begin); age < time.Minute || age > 71*time.Second {
			t.Errorf("given up at %s, want soon after a minute", age)
		}
		if n := r.count(`tidegate_disconnects_dropped_total{reason="too_old"}`); n != "1" {
			t.Errorf("dropped %s, want 1", n)
		}
		if n := r.count("tidegate_disconnects_queued"); n != "0" {
			t.Errorf("queued %s, want 0", n)
		}
	})
}

// TestFullQueueGivesUpTheOldest: and says so in a metric.
func TestFullQueueGivesUpTheOldest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const queue, streams = 5, 50
		r := setup(t, pipes, func(o *gateway.Options) { o.CallbackQueue, o.CallbackConcurrency = queue, 16 })
		var clients []*client
		for range streams {
			c, _ := r.accepted("/x")
			clients = append(clients, c)
		}
		r.backend.hold()
		for _, c := range clients {
			c.leave()
			synctest.Wait()
		}
		// What is being delivered is not in the queue any more, nor is the next.
		out := len(r.backend.calls) + 1
		if n, want := r.count(`tidegate_disconnects_dropped_total{reason="queue_full"}`), fmt.Sprint(streams-queue-out); n != want || out == 1 {
			t.Errorf("dropped %s with %d being delivered, want %s", n, out, want)
		}
		if n := r.count("tidegate_disconnects_queued"); n != fmt.Sprint(queue+out) {
			t.Errorf("queued %s, want %d", n, queue+out)
		}
		r.backend.letGo()
		time.Sleep(time.Minute)
		if got := len(r.backend.calls); got != queue+out {
			t.Errorf("%d disconnects came, want %d", got, queue+out)
		}
	})
}

// TestDisconnectsAreDeliveredOldestFirst: when the backend is back, in the order in
// which the streams ended.
func TestDisconnectsAreDeliveredOldestFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := setup(t, pipes, func(o *gateway.Options) { o.CallbackConcurrency = 16 })
		var clients []*client
		var want []string
		for range 100 {
			c, token := r.accepted("/x")
			clients, want = append(clients, c), append(want, token)
		}
		r.backend.handle(func(http.ResponseWriter, callback) { time.Sleep(10 * time.Millisecond) })
		r.backend.hold() // so that deliverers are busy and the others queue
		for _, c := range clients {
			c.leave()
			synctest.Wait()
		}
		r.backend.letGo()
		time.Sleep(time.Minute)
		var got []string
		for len(r.backend.calls) > 0 {
			got = append(got, r.backend.next(wire.Disconnect).Token)
		}
		if len(got) != len(want) {
			t.Fatalf("%d disconnects, want %d", len(got), len(want))
		}
		// Deliverers run side by side, so neighbours may change places.
		place := map[string]int{}
		for i, token := range want {
			place[token] = i
		}
		for i, token := range got {
			if distance := place[token] - i; distance > 16 || distance < -16 {
				t.Errorf("disconnect %d came as number %d", place[token], i)
			}
		}
	})
}

// TestAwayBackendIsLeftAlone: while it cannot be reached, a few tries tell
// whether it is back, however many disconnects wait.
func TestAwayBackendIsLeftAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const streams = 500
		r := setup(t, pipes, nil)
		var clients []*client
		for range streams {
			c, _ := r.accepted("/x")
			clients = append(clients, c)
		}
		r.backend.handle(func(http.ResponseWriter, callback) { panic(http.ErrAbortHandler) })
		for _, c := range clients {
			c.leave()
		}
		time.Sleep(time.Minute)
		tries := len(r.backend.calls)
		if tries > 300 {
			t.Errorf("%d tries in a minute of absence, want few", tries)
		}
		for range tries {
			r.backend.next(wire.Disconnect)
		}
		r.backend.status(http.StatusOK)
		time.Sleep(20 * time.Second)
		if got := len(r.backend.calls); got != streams {
			t.Errorf("%d disconnects within 20s of the return, want all %d", got, streams)
		}
	})
}

// TestShortAbsenceIsAShortPause: many disconnects that fail together count once.
func TestShortAbsenceIsAShortPause(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const streams = 100
		r := setup(t, pipes, nil)
		var clients []*client
		for range streams {
			c, _ := r.accepted("/x")
			clients = append(clients, c)
		}
		r.backend.handle(func(http.ResponseWriter, callback) {
			time.Sleep(10 * time.Millisecond)
			panic(http.ErrAbortHandler)
		})
		for _, c := range clients {
			c.leave()
		}
		time.Sleep(time.Second)
		r.backend.status(http.StatusOK)
		for len(r.backend.calls) > 0 {
			r.backend.next(wire.Disconnect)
		}
		time.Sleep(3 * time.Second)
		if got := len(r.backend.calls); got != streams {
			t.Errorf("%d of %d disconnects within 3s of an absence of 1s", got, streams)
		}
	})
}

// TestDisconnectComesWithinASecond: with an idle stream, in all ways to leave.
func TestDisconnectComesWithinASecond(t *testing.T) {
	t.Parallel()
	r := setup(t, sockets, nil)
	for name, leave := range map[string]func(*client){"FIN": (*client).leave, "RST": (*client).reset, "half-close": (*client).finish} {
		c, token := r.accepted("/x")
		begin := time.Now()
		leave(c)
		cb := r.backend.wantDisconnect(token, wire.ClientClosed, "")
		if took := cb.At.Sub(begin); took > time.Second {
			t.Errorf("%s: delivered after %s, want within 1s", name, took)
		}
	}
}

// TestDisconnectFollowsItsConnect: it is not delivered before the connect has been
// answered, however soon the client leaves, and it is delivered once.
func TestDisconnectFollowsItsConnect(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := setup(t, pipes, nil)
		var mu sync.Mutex
		answered := map[string]bool{}
		r.backend.handle(func(_ http.ResponseWriter, cb callback) {
			time.Sleep(rand.N(100 * time.Millisecond))
			mu.Lock()
			defer mu.Unlock()
			if cb.Action == wire.Disconnect && !answered[cb.Token] {
				t.Errorf("disconnect of %s overtook its connect, or came twice", cb.Token)
			}
			answered[cb.Token] = cb.Action == wire.Connect
		})
		const streams = 200
		for range streams {
			c := r.open("/x")
			time.Sleep(rand.N(10 * time.Millisecond))
			c.leave()
		}
		time.Sleep(time.Minute)
		if n := len(r.backend.calls); n != 2*streams {
			t.Errorf("%d callbacks of %d streams, want two of each", n, streams)
		}
	})
}

// TestUndeliveredEventsAreReported: what was taken for a stream and did not
// reach its socket is counted in the disconnect.
func TestUndeliveredEventsAreReported(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := setup(t, pipes, nil)
		r.backend.hold()
		c := r.open("/x")
		token := r.backend.next(wire.Connect).Token
		for range 3 {
			r.mustSend(token, "lost", "buffered")
		}
		c.leave()
		synctest.Wait()
		r.backend.letGo()
		cb := r.backend.wantDisconnect(token, wire.ClientClosed, wire.DetailDuringCallback)
		if cb.Undelivered != 3 {
			t.Errorf("undelivered %d, want 3", cb.Undelivered)
		}
	})
}
