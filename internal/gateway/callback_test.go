package gateway_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tidegate/internal/gateway"
	"tidegate/internal/port"
	"tidegate/internal/wire"
)

// TestCallbackStatusDecides walks the table of what a client gets for what the
// backend answers. Whatever is refused is refused as JSON and without a
// disconnect.
func TestCallbackStatusDecides(t *testing.T) {
	t.Parallel()
	tests := []struct {
		backend, client int
		code            string
	}{
		{200, 200, ""}, {201, 200, ""}, {202, 200, ""}, {204, 200, ""}, {226, 200, ""}, {299, 200, ""},
		{401, 401, "BACKEND_AUTH_FAILED"},
		{403, 403, "BACKEND_FORBIDDEN"},
		{400, 400, "BACKEND_ERROR"}, {402, 402, "BACKEND_ERROR"}, {404, 404, "BACKEND_ERROR"}, {408, 408, "BACKEND_ERROR"},
		{418, 418, "BACKEND_ERROR"}, {429, 429, "BACKEND_ERROR"}, {499, 499, "BACKEND_ERROR"},
		{500, 500, "BACKEND_ERROR"}, {502, 502, "BACKEND_ERROR"}, {503, 503, "BACKEND_ERROR"}, {504, 504, "BACKEND_ERROR"}, {599, 599, "BACKEND_ERROR"},
		{300, 502, "BACKEND_ERROR"}, {301, 502, "BACKEND_ERROR"}, {302, 502, "BACKEND_ERROR"}, {303, 502, "BACKEND_ERROR"},
		{304, 502, "BACKEND_ERROR"}, {307, 502, "BACKEND_ERROR"}, {308, 502, "BACKEND_ERROR"},
		{600, 502, "BACKEND_ERROR"}, {999, 502, "BACKEND_ERROR"},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprint(tt.backend), func(t *testing.T) {
			t.Parallel()
			r := setup(t, sockets, nil)
			r.backend.connects(tt.backend)
			c := r.open("/x")
			connect := r.backend.next(wire.Connect)
			if tt.code == "" {
				if got := c.response(); got.StatusCode != tt.client || got.Header.Get("Content-Type") != "text/event-stream" {
					t.Fatalf("client got %d %q, want a stream", got.StatusCode, got.Header.Get("Content-Type"))
				}
				c.leave()
				r.backend.wantDisconnect(connect.Token, wire.ClientClosed, "")
				return
			}
			got := c.reply()
			want := fmt.Sprintf(`{"error":{"message":"Backend returned %d","code":%q}}`, tt.backend, tt.code)
			if got.Status != tt.client || got.Body != want {
				t.Errorf("client got %d %s, want %d %s", got.Status, got.Body, tt.client, want)
			}
			if h := got.Header; h.Get("Content-Type") != "application/json; charset=utf-8" || h.Get("Retry-After") != "" {
				t.Errorf("headers of a refusal: %v", h)
			}
			if n := r.count(`tidegate_streams_refused_total{code="` + tt.code + `"}`); n != "1" {
				t.Errorf("refusals counted: %s, want 1", n)
			}
			r.halt() // all disconnects there are have been delivered
			r.backend.silent("after a refusal")
		})
	}
}

func TestRetryAfterIsPassedOn(t *testing.T) {
	t.Parallel()
	for _, value := range []string{"7", "Wed, 21 Oct 2037 07:28:00 GMT"} {
		for _, status := range []int{401, 404, 429, 503} {
			r := setup(t, sockets, nil)
			r.backend.handle(func(w http.ResponseWriter, _ callback) {
				w.Header().Set("Retry-After", value)
				w.WriteHeader(status)
			})
			if got := r.open("/x").reply(); got.Status != status || got.Header.Get("Retry-After") != value {
				t.Errorf("Retry-After of %d: %d %q, want %q", status, got.Status, got.Header.Get("Retry-After"), value)
			}
		}
	}
}

// TestStatusOfAnotherAnswerKeepsNoRetryAfter: where the status is not passed
// on, neither is what belongs to it.
func TestStatusOfAnotherAnswerKeepsNoRetryAfter(t *testing.T) {
	t.Parallel()
	r := setup(t, sockets, nil)
	r.backend.handle(func(w http.ResponseWriter, _ callback) {
		w.Header().Set("Retry-After", "7")
		w.WriteHeader(http.StatusFound)
	})
	if got := r.open("/x").reply(); got.Status != http.StatusBadGateway || got.Header.Get("Retry-After") != "" {
		t.Errorf("client got %d with Retry-After %q, want 502 without", got.Status, got.Header.Get("Retry-After"))
	}
}

func TestInformationalAnswersAreNotTheAnswer(t *testing.T) {
	t.Parallel()
	r := setup(t, sockets, nil)
	r.backend.handle(func(w http.ResponseWriter, _ callback) {
		w.WriteHeader(http.StatusProcessing)
		w.WriteHeader(http.StatusEarlyHints)
		w.WriteHeader(http.StatusOK)
	})
	r.accepted("/x")
}

// TestSwitchingProtocolsIsRefusedAtOnce: 101 has no end that could be waited for.
func TestSwitchingProtocolsIsRefusedAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := setup(t, pipes, nil)
		gone := make(chan struct{})
		r.backend.handle(func(w http.ResponseWriter, _ callback) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
			_, _ = io.Copy(io.Discard, conn) // until the gateway hangs up
			_ = conn.Close()
			close(gone)
		})
		begin := time.Now()
		if got := r.open("/x").reply(); got.Status != http.StatusBadGateway {
			t.Errorf("client got %d %s, want 502", got.Status, got.Body)
		}
		<-gone
		if took := time.Since(begin); took != 0 {
			t.Errorf("a 101 was held for %s, want it dropped at once", took)
		}
	})
}

func TestNoStatusInTimeIs504(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := setup(t, pipes, nil)
		r.backend.hold()
		begin := time.Now()
		got := r.open("/x").reply()
		if want := `{"error":{"message":"Gateway timeout","code":"GATEWAY_TIMEOUT"}}`; got.Status != 504 || got.Body != want {
			t.Errorf("client got %d %s, want 504 %s", got.Status, got.Body, want)
		}
		if took := time.Since(begin); took != 5*time.Second {
			t.Errorf("the client waited %s, want 5s", took)
		}
	})
}

func TestUnreachableBackendIs503(t *testing.T) {
	t.Parallel()
	r := setup(t, sockets, func(o *gateway.Options) {
		nobody, release, err := port.Reserve("127.0.0.1")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(release)
		o.Transport = &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", nobody)
		}}
	})
	got := r.open("/x").reply()
	if want := `{"error":{"message":"Backend unavailable","code":"BACKEND_UNAVAILABLE"}}`; got.Status != 503 || got.Body != want {
		t.Errorf("client got %d %s, want 503 %s", got.Status, got.Body, want)
	}
	if n := r.count(`tidegate_callbacks_total{action="disconnect",status="none"}`); n != "0" {
		t.Errorf("a backend that never got a connect received %s disconnects", n)
	}
}

// TestBrokenAnswerIs503AndMayHaveBeenAccepted: the request went out whole, so
// the backend may have acted on it, so a disconnect follows.
func TestBrokenAnswerIs503AndMayHaveBeenAccepted(t *testing.T) {
	t.Parallel()
	r := setup(t, sockets, nil)
	r.backend.breaks()
	got := r.open("/x").reply()
	if c := codeOf(t, got.Body); got.Status != 503 || c != "BACKEND_UNAVAILABLE" {
		t.Errorf("client got %d %s, want 503 BACKEND_UNAVAILABLE", got.Status, got.Body)
	}
	connect := r.backend.next(wire.Connect)
	r.backend.wantDisconnect(connect.Token, wire.Failed, wire.DetailCallbackFailed)
}

func TestWithoutCallbackURLStreamsAre503(t *testing.T) {
	t.Parallel()
	r := setup(t, sockets, func(o *gateway.Options) { o.CallbackURL = "" })
	got := r.open("/x").reply()
	if want := `{"error":{"message":"Service not configured","code":"SERVICE_NOT_CONFIGURED"}}`; got.Status != 503 || got.Body != want {
		t.Errorf("client got %d %s, want 503 %s", got.Status, got.Body, want)
	}
	r.backend.silent("without a callback URL")
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	for _, status := range []int{301, 302, 303, 307, 308} {
		r := setup(t, sockets, nil)
		var requests atomic.Int32
		r.backend.handle(func(w http.ResponseWriter, _ callback) {
			requests.Add(1)
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(status)
		})
		if got := r.open("/x").reply(); got.Status != http.StatusBadGateway {
			t.Errorf("%d: client got %d, want 502", status, got.Status)
		}
		if n := requests.Load(); n != 1 {
			t.Errorf("%d: the backend got %d requests, want 1", status, n)
		}
	}
}

// TestAnswerBodyIsNotWaitedFor: the status opens the stream, whatever the body does.
func TestAnswerBodyIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := setup(t, pipes, nil)
		cut := make(chan time.Time, 1)
		r.backend.handle(func(w http.ResponseWriter, cb callback) {
			if cb.Action == wire.Disconnect {
				return
			}
			w.WriteHeader(http.StatusOK)
			_ = http.NewResponseController(w).Flush()
			for {
				time.Sleep(100 * time.Millisecond) // in the bubble: a body that never ends
				if _, err := io.WriteString(w, " "); err != nil {
					cut <- time.Now()
					panic(http.ErrAbortHandler)
				}
				_ = http.NewResponseController(w).Flush()
			}
		})
		begin := time.Now()
		r.accepted("/x")
		if took := time.Since(begin); took != 0 {
			t.Errorf("the stream opened after %s, want at once", took)
		}
		if took := (<-cut).Sub(begin); took > 2*time.Second {
			t.Errorf("the answer's body was read for %s, want 1s at most", took)
		}
	})
}

func TestAnswerBodyIsNotInterpreted(t *testing.T) {
	t.Parallel()
	for _, body := range []string{"", "{}", `{"event":{"name":"x","data":"y"},"close":true}`, "<html>", strings.Repeat("x", 1<<20)} {
		r := setup(t, sockets, nil)
		r.backend.handle(func(w http.ResponseWriter, _ callback) { _, _ = io.WriteString(w, body) })
		c, token := r.accepted("/x")
		r.mustSend(token, "end", "ok")
		if got := c.until("end"); got != "data: end\n\n" {
			t.Errorf("body %.40q: stream %q, want only what was sent", body, got)
		}
	}
}
