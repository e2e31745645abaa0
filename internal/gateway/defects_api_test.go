package gateway_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tidegate/internal/cors"
	"tidegate/internal/gateway"
	"tidegate/internal/wire"
)

// TestGW10ClientThatDoesNotReadIsEnded: within its bound, and nobody else waits
// for it. On a pipe nothing is buffered by a kernel.
func TestGW10ClientThatDoesNotReadIsEnded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const most = 64 << 10
		r := setup(t, pipes, func(o *gateway.Options) { o.MaxPending = most })
		reader, readerToken := r.accepted("/reader")
		token := r.stalled("/stalled")
		r.subscribe(token, `["chat:1"]`)
		r.subscribe(readerToken, `["chat:1"]`)
		peak := int64(0)
		published := 0
		for len(page[wire.StreamPage](r, "/internal/streams").Streams) == 2 && published < 1000 {
			r.publish("chat:1", strings.Repeat("x", 1000))
			published++
			time.Sleep(10 * time.Millisecond)
			for _, s := range page[wire.StreamPage](r, "/internal/streams").Streams {
				peak = max(peak, s.PendingBytes)
			}
		}
		if peak > most || peak < most/2 {
			t.Errorf("at most %d bytes were waiting, want up to %d", peak, most)
		}
		r.backend.wantDisconnect(token, wire.Failed, wire.DetailSlowConsumer)
		wantError(t, "send to who was ended", r.send(`{"token":"`+token+`"}`), 404, "TOKEN_NOT_FOUND")
		r.mustSend(readerToken, "the end", "ok")
		reader.until("the end\n\n")
		if n := len(reader.events()); n != published+1 {
			t.Errorf("the other stream got %d events, want %d", n, published+1)
		}
	})
}

// TestGW11EveryFailureIsJSONWithACode: and the bound of a body is a setting.
func TestGW11EveryFailureIsJSONWithACode(t *testing.T) {
	t.Parallel()
	for _, most := range []int64{1 << 10, 102_401, 200 << 10} {
		r := setup(t, sockets, func(o *gateway.Options) { o.MaxBody, o.MaxBatch = most, most })
		_, token := r.accepted("/x")
		frame := `{"token":"` + token + `","event":{"data":""}}`
		exact := strings.Replace(frame, `""`, `"`+strings.Repeat("x", int(most)-len(frame))+`"`, 1)
		if got := r.send(exact); got.Status != 200 {
			t.Errorf("a body of %d bytes: %d %s, want 200", len(exact), got.Status, got.Body)
		}
		wantError(t, "one byte more", r.send(exact+" "), 413, "BODY_TOO_LARGE")
		wantError(t, "text", r.call("POST", "/internal/send", "text/plain", frame), 415, "UNSUPPORTED_MEDIA_TYPE")
		wantError(t, "no type", r.call("POST", "/internal/send", "", frame), 415, "UNSUPPORTED_MEDIA_TYPE")
		wantError(t, "malformed", r.send("{"), 400, "INVALID_JSON")
		wantError(t, "null", r.send("null"), 400, "INVALID_JSON")
		wantError(t, "no route", r.get("/nowhere"), 404, "NOT_FOUND")
	}
}

// TestGW12InternalRoutesAreInternal: not on the public listener, not for pages
// of any origin, not without the secret if there is one.
func TestGW12InternalRoutesAreInternal(t *testing.T) {
	t.Parallel()
	r := setup(t, sockets, func(o *gateway.Options) {
		o.Secrets, o.CORS = secrets(t), cors.New(cors.Options{Origins: []string{"*"}})
	})
	c, token := r.accepted("/x")
	body := `{"token":"` + token + `","event":{"data":"x"}}`
	page := []string{"Origin", "https://evil.test", "Content-Type", "application/json"}
	wantError(t, "public", r.public("POST", "/internal/send", body, page...), 404, "NOT_FOUND")
	preflight := r.call("OPTIONS", "/internal/send", "", "", "Origin", "https://evil.test", "Access-Control-Request-Method", "POST")
	wantError(t, "preflight", preflight, 403, "CROSS_SITE")
	got := r.call("POST", "/internal/send", "application/json", body, page...)
	wantError(t, "page", got, 403, "CROSS_SITE")
	wantError(t, "no secret", r.call("POST", "/internal/send", "application/json", body), 401, "UNAUTHORIZED")
	if found := corsHeaders(got.Header); len(found) != 0 {
		t.Errorf("the internal API says %v to a page", found)
	}
	r.call("POST", "/internal/send", "application/json", `{"token":"`+token+`","close":true}`, "Authorization", "Bearer "+internalKey)
	c.wantEnd("")
}

// TestGW13NotEverythingIsAStream: probes and internal paths cost no callback.
func TestGW13NotEverythingIsAStream(t *testing.T) {
	t.Parallel()
	r := setup(t, sockets, nil)
	if got := r.public("HEAD", "/api/sse/tasks?task_id=1", ""); got.Status != 405 {
		t.Errorf("HEAD: %d, want 405", got.Status)
	}
	for _, path := range []string{"/internal/send", "/internal", "/internal/topics/x", "/metrics"} {
		wantError(t, path, r.public("GET", path, ""), 404, "NOT_FOUND")
		c := r.connect("GET http://tidegate.test" + path + " HTTP/1.1\r\nHost: tidegate.test\r\nConnection: close\r\n\r\n")
		wantError(t, "absolute "+path, c.reply(), 404, "NOT_FOUND")
	}
	r.backend.silent("requests that are no streams")
	if n := r.count("tidegate_streams"); n != "0" {
		t.Errorf("%s streams are open, want none", n)
	}
}

// TestGW19LongIntervalsDoNotOverflow: 30 days are more than a timer of 32 bits
// can count in milliseconds.
func TestGW19LongIntervalsDoNotOverflow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := setup(t, pipes, func(o *gateway.Options) { o.Heartbeat = 30 * 24 * time.Hour })
		c, _ := r.accepted("/x")
		time.Sleep(time.Hour)
		synctest.Wait()
		if got := c.text(); got != "" {
			t.Errorf("%d heartbeats in an hour, want none in 22 days", strings.Count(got, "heartbeat"))
		}
	})
}

// TestGW20MostConnectionsAndAge: who comes beyond the bound learns when to come
// again, and old streams make room.
func TestGW20MostConnectionsAndAge(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := setup(t, pipes, func(o *gateway.Options) { o.MaxConns, o.MaxAge = 5, time.Minute })
		for range 5 {
			r.accepted("/x")
		}
		got := r.open("/x").reply()
		wantError(t, "the sixth of five", got, 503, "TOO_MANY_CONNECTIONS")
		if got.Header.Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
		time.Sleep(time.Minute)
		for range 5 {
			if cb := r.backend.next(wire.Disconnect); cb.Detail != wire.DetailMaxAge {
				t.Errorf("disconnect says %s, want max_age", cb.Detail)
			}
		}
		r.accepted("/x")
	})
}

// TestGW21RefusalsTellWhyAndWhen: the status is kept for those that are final,
// and with --retryable-rejections those that may pass do not end EventSource.
func TestGW21RefusalsTellWhyAndWhen(t *testing.T) {
	t.Parallel()
	for _, retryable := range []bool{false, true} {
		for _, status := range []int{401, 403, 404, 429, 503} {
			r := setup(t, sockets, func(o *gateway.Options) { o.RetryableFail = retryable })
			r.backend.handle(func(w http.ResponseWriter, _ callback) {
				w.Header().Set("Retry-After", "30")
				w.WriteHeader(status)
			})
			got := r.open("/x").reply()
			if retryable && status >= 429 {
				if got.Status != 200 {
					t.Errorf("%d: client got %d, want an empty stream", status, got.Status)
				}
				wantRetry(t, fmt.Sprint(status), got.Body, 31_500, 34_500)
				continue
			}
			if code := codeOf(t, got.Body); got.Status != status || !strings.HasPrefix(code, "BACKEND_") || got.Header.Get("Retry-After") != "30" {
				t.Errorf("%d: client got %d %s, Retry-After %q", status, got.Status, code, got.Header.Get("Retry-After"))
			}
		}
	}
}

// TestF15PublishTellsHowManyListen: nobody, too.
func TestF15PublishTellsHowManyListen(t *testing.T) {
	t.Parallel()
	r := setup(t, sockets, nil)
	for n := range 4 {
		got := r.send(`{"topic":"chat:1","event":{"data":"x"}}`)
		if want := fmt.Sprintf(`"receivers":%d}`, n); got.Status != 200 || !strings.HasSuffix(got.Body, want) || fieldOf(t, got.Body, "id") == "" {
			t.Errorf("publish: %d %s, want an id and %s", got.Status, got.Body, want)
		}
		_, token := r.accepted("/x")
		r.subscribe(token, `["chat:1"]`)
	}
}

// TestF16EventSourceSurvivesAFailingBackend: no answer to a reconnect that may
// pass is one that ends EventSource for good.
func TestF16EventSourceSurvivesAFailingBackend(t *testing.T) {
	t.Parallel()
	r := setup(t, sockets, func(o *gateway.Options) { o.RetryableFail, o.CallbackTimeout = true, 50*time.Millisecond })
	survives := func(what string) {
		t.Helper()
		got := r.open("/x").reply()
		if got.Status != 200 || got.Header.Get("Content-Type") != "text/event-stream" || !strings.HasPrefix(got.Body, "retry: ") {
			t.Errorf("%s: client got %d %q", what, got.Status, got.Body)
		}
	}
	r.backend.connects(http.StatusInternalServerError)
	survives("500")
	r.backend.connects(http.StatusTooManyRequests)
	survives("429")
	r.backend.breaks()
	survives("broken connection")
	r.backend.hold()
	survives("timeout")
	r.backend.letGo()
	r.gateway.Drain(t.Context(), 0)
	survives("drain")
}

// TestF18LeavingCompletesNothing: a topic goes on when its last stream has left.
func TestF18LeavingCompletesNothing(t *testing.T) {
	t.Parallel()
	r := setup(t, sockets, nil)
	c, token := r.accepted("/x")
	r.subscribe(token, `["task:1"]`)
	first := r.publish("task:1", "1")
	c.until("data: 1\n\n")
	c.leave()
	r.backend.wantDisconnect(token, wire.ClientClosed, "")
	if got := r.get("/internal/topics/task:1").Body; !strings.Contains(got, `"closed":false`) {
		t.Errorf("topic %s, want it open", got)
	}
	second := r.publish("task:1", "2")
	c, token = r.accepted("/x", "Last-Event-ID: "+first)
	r.subscribe(token, `["task:1"]`)
	if got, want := c.until("data: 2\n\n"), "id: "+second+"\ndata: 2\n\n"; got != want {
		t.Errorf("stream %q, want %q", got, want)
	}
}

// TestF19NoWriteBlocksForEver: a client that has vanished costs --write-timeout,
// one that is idle costs nothing.
func TestF19NoWriteBlocksForEver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := setup(t, pipes, func(o *gateway.Options) { o.Heartbeat, o.WriteTimeout = time.Minute, 5*time.Second })
		r.accepted("/idle")
		begin := time.Now()
		stalled := r.stalled("/stalled")
		time.Sleep(40 * time.Second)
		r.backend.silent("before the first heartbeat")
		time.Sleep(time.Hour)
		cb := r.backend.wantDisconnect(stalled, wire.Failed, wire.DetailSlowConsumer)
		if took := cb.At.Sub(begin); took < 50*time.Second || took > 65*time.Second {
			t.Errorf("ended after %s, want 5s after the first heartbeat", took)
		}
		if open := r.count("tidegate_streams"); open != "1" {
			t.Errorf("%s streams are open, want the idle one", open)
		}
	})
}
