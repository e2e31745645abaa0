package app

import (
	"net/http"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"tidegate/internal/backend"
	"tidegate/internal/gateway"
	"tidegate/internal/page"
	"tidegate/internal/wire"
)

// Paths that more than one part knows.
const (
	streamsPath  = "/api/sse/"
	callbackPath = "/api/sse/callback"
)

// serveRoutes is the public listener of serve: streams below /api/sse/, the
// other endpoints of the backend below /api/, health, and the page. Streams do
// not go through a ServeMux, which would redirect targets that are not in their
// cleanest form. The callback endpoint is not here: only this process calls it.
func serveRoutes(g *gateway.Gateway, b *backend.Backend) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/api/", b.REST())
	mux.HandleFunc("GET /healthz", g.Healthz)
	mux.HandleFunc("GET /readyz", readyz(g, b))
	mux.Handle("/", page.Handler())
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch path := r.URL.Path; {
		case strings.TrimRight(path, "/") == callbackPath:
			wire.WriteError(w, wire.Errorf(http.StatusNotFound, wire.CodeNotFound, "No such route here"))
		case strings.HasPrefix(path, streamsPath):
			g.Streams(w, r)
		default:
			mux.ServeHTTP(w, r)
		}
	})
}

// backendRoutes is the listener of a backend that is alone.
func (p *program) backendRoutes(metrics *prometheus.Registry) http.Handler {
	b, mux := p.backend, http.NewServeMux()
	if p.storage != nil {
		metrics.MustRegister(newStorageMetrics(p.storage))
	}
	mux.Handle("/api/", b.REST())
	mux.Handle(callbackPath, b.Callback())
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		wire.WriteJSON(w, http.StatusOK, health{Status: wire.StatusOK})
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		_, reasons := b.Ready()
		if p.storage != nil {
			reasons = append(reasons, p.storage.health()...)
		}
		writeReady(w, reasons)
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(metrics, promhttp.HandlerOpts{}))
	return mux
}

type health struct {
	Status     string   `json:"status"`
	Configured *bool    `json:"configured,omitempty"`
	Reasons    []string `json:"reasons,omitempty"`
}

func writeReady(w http.ResponseWriter, reasons []string) {
	if len(reasons) > 0 {
		wire.WriteJSON(w, http.StatusServiceUnavailable, health{"not_ready", new(true), reasons})
		return
	}
	wire.WriteJSON(w, http.StatusOK, health{Status: "ready", Configured: new(true)})
}

// readyz of one process is that of both halves.
func readyz(g *gateway.Gateway, b *backend.Backend) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		_, reasons := b.Ready()
		writeReady(w, append(g.NotReady(), reasons...))
	}
}

// shared puts the internal routes on the public listener, for drop-in use.
func shared(public, internal http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if path := r.URL.Path; strings.HasPrefix(path, "/internal/") || path == "/metrics" {
			internal.ServeHTTP(w, r)
			return
		}
		public.ServeHTTP(w, r)
	})
}
