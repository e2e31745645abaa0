package gateway_test

import (
	"fmt"
	"net/http"
	"testing"

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
