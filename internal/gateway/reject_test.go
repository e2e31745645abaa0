package gateway_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"tidegate/internal/gateway"
)

func TestRetryableRejections(t *testing.T) {
	t.Parallel()
	tests := []struct {
		status    int
		after     string // Retry-After of the backend
		retryable bool
		min, max  int // of the retry field, ms
	}{
		{429, "", true, 1500, 4500}, {500, "", true, 1500, 4500}, {502, "", true, 1500, 4500}, {599, "", true, 1500, 4500},
		{503, "60", true, 61500, 64500}, {503, "soon", true, 1500, 4500}, {503, "-5", true, 1500, 4500},
		{302, "", true, 1500, 4500}, // for the client a 502
		{400, "", false, 0, 0}, {401, "", false, 0, 0}, {403, "", false, 0, 0}, {404, "", false, 0, 0},
	}
	for _, tt := range tests {
		r := setup(t, sockets, func(o *gateway.Options) { o.RetryableFail = true })
		r.backend.handle(func(w http.ResponseWriter, _ callback) {
			if tt.after != "" {
				w.Header().Set("Retry-After", tt.after)
			}
			w.WriteHeader(tt.status)
		})
		got := r.open("/x").reply()
		if !tt.retryable {
			if got.Status != tt.status {
				t.Errorf("%d: client got %d, want the status", tt.status, got.Status)
			}
			continue
		}
		if got.Status != 200 || got.Header.Get("Content-Type") != "text/event-stream" || got.Header.Get("Retry-After") != "" {
			t.Errorf("%d: client got %d %v, want an empty stream", tt.status, got.Status, got.Header)
		}
		wantRetry(t, fmt.Sprint(tt.status, " ", tt.after), got.Body, tt.min, tt.max)
	}
}

// wantRetry checks that a stream is one retry field and nothing else.
func wantRetry(t *testing.T, what, body string, low, high int) {
	t.Helper()
	var ms int
	if _, err := fmt.Sscanf(body, "retry: %d", &ms); err != nil || body != fmt.Sprintf("retry: %d\n\n", ms) {
		t.Errorf("%s: stream %q, want a retry field", what, body)
	}
	if ms < low || ms > high {
		t.Errorf("%s: retry %d, want %d to %d", what, ms, low, high)
	}
}

// TestRetryableRejectionsCoverOwnRefusals: what the gateway itself refuses for
// a while is as fatal to EventSource as what the backend does.
func TestRetryableRejectionsCoverOwnRefusals(t *testing.T) {
	t.Parallel()
	r := setup(t, sockets, func(o *gateway.Options) { o.RetryableFail, o.MaxConns = true, 1 })
	r.accepted("/x")
	got := r.open("/x").reply()
	if got.Status != 200 {
		t.Errorf("client beyond the bound got %d %s, want an empty stream", got.Status, got.Body)
	}
	wantRetry(t, "too many connections", got.Body, 1500, 4500)
}

// TestX10RetryAfterIsSecondsOrADate: what else a backend says of it reaches no client.
func TestX10RetryAfterIsSecondsOrADate(t *testing.T) {
	t.Parallel()
	soon := time.Now().Add(time.Hour).UTC().Format(http.TimeFormat)
	for given, want := range map[string]string{
		"7": "7", " 07 ": "7", "0": "0", "86400": "86400", "999999": "86400", "99999999999999999999999": "86400",
		soon: soon, "Sun, 06 Nov 1994 08:49:37 GMT": "Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT": "Sun, 06 Nov 1994 08:49:37 GMT",
		"": "", "soon": "", "-5": "", "+5": "", "1.5": "", "5 s": "", "1e3": "", "0x10": "", "<script>": "", "5, 6": "", "5;a": "",
	} {
		for _, status := range []int{503, 429, 400} {
			r := setup(t, sockets, nil)
			r.backend.handle(func(w http.ResponseWriter, _ callback) {
				w.Header().Set("Retry-After", given)
				w.WriteHeader(status)
			})
			if got := r.open("/x").reply(); got.Status != status || got.Header.Get("Retry-After") != want {
				t.Errorf("Retry-After %q with %d: client got %d %q, want %q", given, status, got.Status, got.Header.Get("Retry-After"), want)
			}
		}
	}
}

// TestX10JSONAnswersAreNotSniffed on either listener, errors and streams' refusals among them.
func TestX10JSONAnswersAreNotSniffed(t *testing.T) {
	t.Parallel()
	r := setup(t, sockets, nil)
	r.backend.connects(http.StatusForbidden)
	for name, got := range map[string]reply{
		"refused stream": r.public("GET", "/x", ""), "wrong method": r.public("PUT", "/x", ""), "health": r.public("GET", "/healthz", ""), "ready": r.public("GET", "/readyz", ""),
		"send": r.send(`{"token":"x"}`), "listing": r.get("/internal/streams"), "no route": r.get("/nowhere"), "openapi": r.get("/internal/openapi.json"),
		"metrics": r.get("/metrics"), "batch": r.call("POST", "/internal/send", "application/x-ndjson", "{}\n"),
	} {
		if got.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %d %v", name, got.Status, got.Header)
		}
	}
}
