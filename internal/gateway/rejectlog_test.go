package gateway_test

import (
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"tidegate/internal/gateway"
)

func TestX17RefusedConnectsDoNotFillTheLog(t *testing.T) {
	t.Parallel()
	var log logBuffer
	r := setup(t, sockets, func(o *gateway.Options) {
		o.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelInfo}))
	})
	r.backend.status(http.StatusForbidden)
	for range 20 {
		r.open("/a").reply()
	}
	text := log.String()
	if n := strings.Count(text, "\n"); n != 1 || !strings.Contains(text, "BACKEND_FORBIDDEN") || !strings.Contains(text, "address=127.0.0.1") {
		t.Errorf("%d lines for 20 refusals of one kind and address, want 1:\n%s", n, text)
	}
}
