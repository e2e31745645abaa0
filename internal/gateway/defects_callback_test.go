package gateway_test

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tidegate/internal/gateway"
	"tidegate/internal/wire"
)

func TestGW5ClientLeavesDuringCallback(t *testing.T) {
	t.Parallel()
	for status, notified := range map[int]bool{200: true, 204: true, 403: false, 500: false} {
		synctest.Test(t, func(t *testing.T) {
			r := setup(t, pipes, nil)
			r.backend.connects(status)
			r.backend.hold()
			c := r.open("/x")
			token := r.backend.next(wire.Connect).Token
			time.Sleep(200 * time.Millisecond)
			c.leave()
			synctest.Wait()
			wantError(t, "send to who has left", r.send(`{"token":"`+token+`"}`), 404, "TOKEN_NOT_FOUND")
			time.Sleep(400 * time.Millisecond)
			r.backend.silent("while the connect is not answered")
			r.backend.letGo()
			if notified {
				r.backend.wantDisconnect(token, wire.ClientClosed, wire.DetailDuringCallback)
			}
			time.Sleep(time.Hour)
			r.backend.silent(fmt.Sprint("after ", status))
		})
	}
}

// TestGW5TimedOutCallbackThatWasAccepted: the client got 504, and the backend
// believes in a stream until it is notified.
func TestGW5TimedOutCallbackThatWasAccepted(t *testing.T) {
	t.Parallel()
	for status, notified := range map[int]bool{200: true, 403: false} {
		synctest.Test(t, func(t *testing.T) {
			r := setup(t, pipes, nil)
			r.backend.connects(status)
			r.backend.hold()
			c := r.open("/x")
			token := r.backend.next(wire.Connect).Token
			if got := c.response().StatusCode; got != 504 {
				t.Errorf("client got %d, want 504", got)
			}
			wantError(t, "send after a timeout", r.send(`{"token":"`+token+`"}`), 404, "TOKEN_NOT_FOUND")
			time.Sleep(20 * time.Second)
			r.backend.letGo()
			if notified {
				r.backend.wantDisconnect(token, wire.Failed, wire.DetailCallbackTimeout)
			}
			time.Sleep(time.Hour)
			r.backend.silent(fmt.Sprint("after a late ", status))
		})
	}
}

// TestGW5CallbackThatIsNeverAnswered: it may have been accepted, so a
// disconnect follows when it is given up.
func TestGW5CallbackThatIsNeverAnswered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := setup(t, pipes, nil)
		r.backend.hold()
		r.open("/x")
		connect := r.backend.next(wire.Connect)
		time.Sleep(34 * time.Second)
		r.backend.silent("while the answer may still come")
		time.Sleep(2 * time.Second)
		r.backend.wantDisconnect(connect.Token, wire.Failed, wire.DetailCallbackTimeout)
	})
}

// TestGW7BufferDuringCallbackIsBounded: in bytes, and tiny events count too.
func TestGW7BufferDuringCallbackIsBounded(t *testing.T) {
	t.Parallel()
	for _, size := range []int{0, 100, 10_000} {
		r := setup(t, sockets, func(o *gateway.Options) { o.MaxPending, o.CallbackTimeout = 64<<10, time.Minute })
		r.backend.hold()
		c := r.open("/x")
		token := r.backend.next(wire.Connect).Token
		body := `{"token":"` + token + `","event":{"data":"` + strings.Repeat("x", size) + `"}}`
		taken := 0
		got := r.send(body)
		for ; got.Status == 200 && taken < 10_000; got = r.send(body) {
			taken++
		}
		wantError(t, "beyond the bound", got, 503, "BUFFER_FULL")
		if got.Header.Get("Retry-After") != "1" {
			t.Errorf("Retry-After %q, want 1", got.Header.Get("Retry-After"))
		}
		if most := 64 << 10 / (size + 32); taken > most || taken < most/2 {
			t.Errorf("%d events of %d bytes were taken, want at most %d", taken, size, most)
		}
		r.backend.letGo()
		r.backend.handle(func(http.ResponseWriter, callback) {})
		c.response()
		r.send(`{"token":"` + token + `","close":true}`)
		if text, _ := c.end(); strings.Count(text, "\n\n") != taken {
			t.Errorf("%d events came, want the %d that were taken", strings.Count(text, "\n\n"), taken)
		}
	}
}

// TestGW8BufferedIsNotABrokenPromise: the word differs from ok, and what was
// taken and not delivered is reported.
func TestGW8BufferedIsNotABrokenPromise(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := setup(t, pipes, nil)
		r.backend.hold()
		c := r.open("/x")
		token := r.backend.next(wire.Connect).Token
		r.mustSend(token, "1", "buffered")
		r.mustSend(token, "2", "buffered")
		c.response() // 504
		r.backend.letGo()
		if cb := r.backend.wantDisconnect(token, wire.Failed, wire.DetailCallbackTimeout); cb.Undelivered != 2 {
			t.Errorf("undelivered %d, want 2", cb.Undelivered)
		}

		c, token = r.accepted("/x")
		r.mustSend(token, "3", "ok")
		c.until("3")
		synctest.Wait() // until the stream knows that it was written
		c.leave()
		if cb := r.backend.wantDisconnect(token, wire.ClientClosed, ""); cb.Undelivered != 0 {
			t.Errorf("undelivered %d, want 0: it was written", cb.Undelivered)
		}
	})
}

// TestGW9CloseDoesNotWaitForTheBackend: neither does the sender, nor the client,
// even when the backend hangs and holds what its own callback handler needs.
func TestGW9CloseDoesNotWaitForTheBackend(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := setup(t, pipes, nil)
		var clients []*client
		var tokens []string
		for range 3 {
			c, token := r.accepted("/x")
			clients, tokens = append(clients, c), append(tokens, token)
		}
		r.backend.hold()
		begin := time.Now()
		if got := r.send(`{"token":"` + tokens[0] + `","event":{"data":"x"},"close":true}`); got.Status != 200 {
			t.Errorf("close: %d %s", got.Status, got.Body)
		}
		r.call(http.MethodDelete, "/internal/streams/"+tokens[1], "", "")
		clients[2].leave()
		clients[0].wantEnd("data: x\n\n")
		clients[1].wantEnd("")
		if took := time.Since(begin); took != 0 {
			t.Errorf("ends took %s with a backend that hangs, want no time", took)
		}
		for range tokens {
			r.backend.next(wire.Disconnect)
		}
	})
}

func TestGW14RedirectIsNoAcceptance(t *testing.T) {
	t.Parallel()
	r := setup(t, sockets, nil)
	r.backend.handle(func(w http.ResponseWriter, cb callback) {
		if !strings.HasPrefix(cb.Target, "/accepts") {
			w.Header().Set("Location", "/accepts")
			w.WriteHeader(http.StatusTemporaryRedirect)
		}
	})
	got := r.open("/x").reply()
	if want := `{"error":{"message":"Backend returned 307","code":"BACKEND_ERROR"}}`; got.Status != 502 || got.Body != want {
		t.Errorf("client got %d %s, want 502 %s", got.Status, got.Body, want)
	}
	r.backend.connects(http.StatusNotModified)
	if got := r.open("/x").reply(); got.Status != 502 || got.Body == "" {
		t.Errorf("304: client got %d %q, want 502 with a body", got.Status, got.Body)
	}
}

// TestGW17DisconnectsAreRetried: through a failing and then absent backend.
func TestGW17DisconnectsAreRetried(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := setup(t, pipes, nil)
		c, token := r.accepted("/x")
		tries := 0
		r.backend.handle(func(w http.ResponseWriter, _ callback) {
			switch tries++; {
			case tries <= 3:
				w.WriteHeader(http.StatusInternalServerError)
			case tries <= 6:
				panic(http.ErrAbortHandler)
			}
		})
		c.leave()
		time.Sleep(10 * time.Minute)
		for range 7 {
			r.backend.wantDisconnect(token, wire.ClientClosed, "")
		}
		r.backend.silent("once it was taken")
	})
}

// TestGW20SlowCallbacksDoNotPileUp: so many at once, the others wait as long as
// a client would, and the backend's slots are not held by who has given up.
func TestGW20SlowCallbacksDoNotPileUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := setup(t, pipes, func(o *gateway.Options) { o.CallbackConcurrency = 3 })
		r.backend.hold()
		var clients []*client
		for range 10 {
			clients = append(clients, r.open("/x"))
		}
		synctest.Wait()
		if n := len(r.backend.calls); n != 3 {
			t.Errorf("%d callbacks are out at once, want 3", n)
		}
		begin := time.Now()
		for _, c := range clients {
			if got := c.response().StatusCode; got != 504 {
				t.Errorf("client got %d, want 504", got)
			}
		}
		if took := time.Since(begin); took != 5*time.Second {
			t.Errorf("clients waited %s, want 5s", took)
		}
		// The three go on without anybody waiting, and hold up nobody.
		for range 3 {
			r.backend.next(wire.Connect)
		}
		c := r.open("/x")
		r.backend.next(wire.Connect)
		r.backend.letGo()
		for range 3 {
			r.backend.next(wire.Disconnect)
		}
		if got := c.response().StatusCode; got != 200 {
			t.Errorf("a client after them got %d, want a stream", got)
		}
	})
}

// TestF20WhoCannotBeAskedAboutInTimeComesAgain: where the backend answers, but not
// for so many at once, an error would end those who were not first for good.
func TestF20WhoCannotBeAskedAboutInTimeComesAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := setup(t, pipes, func(o *gateway.Options) { o.CallbackConcurrency = 1 })
		r.backend.handle(func(http.ResponseWriter, callback) { time.Sleep(1500 * time.Millisecond) })
		var clients []*client
		for range 8 {
			clients = append(clients, r.open("/x"))
			synctest.Wait() // so that they are asked about in this order
		}
		begin, got := time.Now(), make([]string, 0, len(clients))
		for _, c := range clients {
			head := c.response()
			word := strconv.Itoa(head.StatusCode)
			if time.Since(begin) >= 5*time.Second && head.StatusCode == http.StatusOK {
				text, clean := c.end()
				if word = "again"; !strings.HasPrefix(text, "retry: ") || !clean {
					t.Errorf("who is to come again is sent %q", text)
				}
			}
			got = append(got, word)
		}
		// Three are answered in 5 s, the fourth had to wait for them most of the time.
		if want := "200 200 200 again again again again again"; strings.Join(got, " ") != want {
			t.Errorf("clients got %q, want %q", got, want)
		}
	})
}

// TestWhoLeavesTheQueueCostsNoCallback: a client that is gone before there was a
// slot for its callback.
func TestWhoLeavesTheQueueCostsNoCallback(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := setup(t, pipes, func(o *gateway.Options) { o.CallbackConcurrency = 1 })
		r.backend.hold()
		r.open("/first")
		first := r.backend.next(wire.Connect)
		for range 10 {
			c := r.open("/x")
			synctest.Wait()
			c.leave()
		}
		synctest.Wait()
		r.backend.letGo()
		time.Sleep(time.Minute)
		r.backend.silent("for who has left")
		if open := page[wire.StreamPage](r, "/internal/streams").Streams; len(open) != 1 || open[0].Token != first.Token {
			t.Errorf("streams %+v, want the first alone", open)
		}
	})
}

// TestGW24NoSilentWaits: headers come as soon as the callback's status, which
// is awaited as long as was configured; and a close is not awaited at all.
func TestGW24NoSilentWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := setup(t, pipes, func(o *gateway.Options) { o.CallbackTimeout = time.Second })
		begin := time.Now()
		c, token := r.accepted("/x")
		if took := time.Since(begin); took != 0 {
			t.Errorf("headers came after %s, want at once", took)
		}
		r.backend.hold()
		r.send(`{"token":"` + token + `","close":true}`)
		c.wantEnd("")
		if took := time.Since(begin); took != 0 {
			t.Errorf("the end came after %s, want at once", took)
		}
		if got := r.open("/x").response().StatusCode; got != 504 || time.Since(begin) != time.Second {
			t.Errorf("client got %d after %s, want 504 after 1s", got, time.Since(begin))
		}
	})
}
