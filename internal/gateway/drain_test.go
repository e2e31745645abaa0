package gateway_test

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"tidegate/internal/gateway"
	"tidegate/internal/wire"
)

// TestDrainEndsStreamsInWaves: each with a retry field of its own.
func TestDrainEndsStreamsInWaves(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const streams = 100
		r := setup(t, pipes, nil)
		var clients []*client
		for range streams {
			c, _ := r.accepted("/x")
			clients = append(clients, c)
		}
		begin := time.Now()
		r.gateway.Drain(t.Context(), 10*time.Second)
		if took := time.Since(begin); took < 9*time.Second || took > 10*time.Second {
			t.Errorf("the drain took %s, want nearly 10s", took)
		}
		retries := map[string]bool{}
		for _, c := range clients {
			text, clean := c.end()
			if !clean {
				t.Error("a stream was cut, want an end")
			}
			wantRetry(t, "drain", text, 1500, 4500)
			retries[text] = true
		}
		if len(retries) < streams/2 {
			t.Errorf("%d streams got %d different retry fields, want them spread", streams, len(retries))
		}
		waves := map[time.Duration]int{}
		for range streams {
			cb := r.backend.next(wire.Disconnect)
			if cb.Reason != wire.ServerClosed || cb.Detail != wire.DetailDrain {
				t.Errorf("disconnect says %s/%s", cb.Reason, cb.Detail)
			}
			waves[cb.At.Sub(begin).Round(time.Second)]++
		}
		if len(waves) != 10 || waves[0] != 10 || waves[9*time.Second] != 10 {
			t.Errorf("ends by second: %v, want ten each in ten waves", waves)
		}
	})
}

// TestStreamsWhileDraining: who comes is asked to come again, for no callback;
// the internal API goes on.
func TestStreamsWhileDraining(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := setup(t, pipes, nil)
		r.accepted("/1")
		_, token := r.accepted("/2")
		done := make(chan struct{})
		go func() {
			defer close(done)
			r.gateway.Drain(t.Context(), 10*time.Second)
		}()
		time.Sleep(500 * time.Millisecond)
		late := r.open("/x").reply()
		if late.Status != 200 || late.Header.Get("Content-Type") != "text/event-stream" {
			t.Errorf("client during a drain got %d %s, want an empty stream", late.Status, late.Body)
		}
		wantRetry(t, "during a drain", late.Body, 1500, 4500)
		r.mustSend(token, "x", "ok")
		if got := r.get("/readyz"); got.Status != 503 {
			t.Errorf("readyz during a drain: %d, want 503", got.Status)
		}
		<-done
		for range 2 {
			r.backend.next(wire.Disconnect)
		}
		r.backend.silent("during a drain")
	})
}

// TestDrainMeetsARequestThatIsStillComing: it came in before the drain and is
// complete after it.
func TestDrainMeetsARequestThatIsStillComing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := setup(t, pipes, nil)
		c := r.connect("POST /x HTTP/1.1\r\nHost: tidegate.test\r\nContent-Length: 2\r\n\r\nh")
		synctest.Wait()
		r.gateway.Drain(t.Context(), 0)
		if _, err := c.conn.Write([]byte("i")); err != nil {
			t.Fatal(err)
		}
		got := c.reply()
		wantRetry(t, "after a drain", got.Body, 1500, 4500)
		r.backend.silent("after a drain")
	})
}

// TestDrainCutsWhoDoesNotRead: at the end of its time, and the backend is notified.
func TestDrainCutsWhoDoesNotRead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := setup(t, pipes, nil)
		r.mute(getRequest("/x"))
		token := r.backend.next(wire.Connect).Token
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		begin := time.Now()
		r.gateway.Drain(ctx, 0)
		if took := time.Since(begin); took != 3*time.Second {
			t.Errorf("the drain took %s, want the 3s that it had", took)
		}
		r.halt()
		r.backend.wantDisconnect(token, wire.ServerClosed, wire.DetailDrain)
	})
}

// TestStopDeliversWhatStreamsAndCallbacksStillBring: Run returns when the last
// disconnect has been delivered.
func TestStopDeliversWhatStreamsAndCallbacksStillBring(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := setup(t, pipes, nil)
		slow := make(chan struct{})
		r.backend.handle(func(_ http.ResponseWriter, cb callback) {
			if cb.Action == wire.Connect && cb.Request.URL == "/slow" {
				<-slow
			}
		})
		_, open := r.accepted("/open")
		gone := r.open("/slow")
		pending := r.backend.next(wire.Connect).Token
		gone.leave()
		time.AfterFunc(4*time.Second, func() { close(slow) })
		r.halt()
		endings := map[string]wire.Detail{}
		for range 2 {
			cb := r.backend.next(wire.Disconnect)
			endings[cb.Token] = cb.Detail
		}
		if endings[open] != wire.DetailDrain || endings[pending] != wire.DetailDuringCallback {
			t.Errorf("endings %v, want the open stream's drain and the pending one's end", endings)
		}
	})
}

// TestStopHurries: a disconnect that has failed for long waits for its next try
// no longer than a stop can.
func TestStopHurries(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := setup(t, pipes, nil)
		c, _ := r.accepted("/x")
		r.backend.status(http.StatusServiceUnavailable)
		c.leave()
		time.Sleep(10 * time.Minute) // until the pauses are the longest
		begin := time.Now()
		time.AfterFunc(2*time.Second, func() { r.backend.status(http.StatusOK) })
		r.halt()
		if took := time.Since(begin); took < 2*time.Second || took > 3*time.Second {
			t.Errorf("the stop took %s, want half a second more than the backend's 2s", took)
		}
		if n := r.count("tidegate_disconnects_queued"); n != "0" {
			t.Errorf("%s disconnects were left, want none", n)
		}
	})
}

// TestStopIsBounded: a backend that never answers costs ten seconds, no more.
func TestStopIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := setup(t, pipes, func(o *gateway.Options) { o.CallbackTimeout = time.Second })
		c, _ := r.accepted("/x")
		r.backend.hold()
		c.leave()
		begin := time.Now()
		r.halt()
		if took := time.Since(begin); took > 11*time.Second {
			t.Errorf("the stop took %s, want 10s at most", took)
		}
	})
}
