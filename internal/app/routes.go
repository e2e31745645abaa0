package app

import (
	"net/http"
	"strings"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"tidegate/internal/access"
	"tidegate/internal/config"
	"tidegate/internal/gateway"
	"tidegate/internal/wire"
)

// Paths that several parts use.
const (
	streamsPath  = "/api/sse/"
	callbackPath = "/api/sse/callback"
)

// serveRoutes is the public listener of serve: streams below /api/sse/, the other endpoints of the
// backend below /api/, health, and the page. Streams bypass ServeMux, which would redirect a target
// such as //a/../b. The callback endpoint is not here: only this process calls it.
func (p *program) serveRoutes() http.Handler {
	g, mux := p.gateway, http.NewServeMux()
	mux.Handle("/", p.guards.page(p.secure, p.client)) // first: it makes the login
	mux.Handle("/api/", p.api(p.backend.REST()))
	mux.HandleFunc("GET /healthz", g.Healthz)
	mux.HandleFunc("GET /readyz", g.Readyz) // of both halves
	streams := p.streams()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch path := r.URL.Path; {
		case strings.TrimRight(path, "/") == callbackPath:
			wire.WriteError(w, wire.Errorf(http.StatusNotFound, wire.CodeNotFound, "No such route here"))
		case strings.HasPrefix(path, streamsPath):
			streams.ServeHTTP(w, r)
		default:
			mux.ServeHTTP(w, r)
		}
	})
}

// secure reports whether the client uses TLS, to here or to a trusted proxy.
func (p *program) secure(r *http.Request) bool {
	return r.TLS != nil || p.peers.Trusted(r) && strings.EqualFold(r.Header.Get("X-Forwarded-Proto"), "https")
}

// client is the key under which limits count the client.
func (p *program) client(r *http.Request) string { return p.peers.Client(r).Key().String() }

// backendRoutes is the public listener of a backend alone. Callbacks have a secret of their own;
// without one, the guard of the listener checks them like any other request.
func (p *program) backendRoutes() http.Handler {
	b, mux := p.backend, http.NewServeMux()
	callback := b.Callback()
	if p.cfg.Mode != config.Production {
		callback = p.guards.public.Protect(access.Route{}, callback)
	}
	mux.Handle("/api/", p.api(b.REST()))
	mux.Handle(callbackPath, callback)
	p.addHealth(mux)
	return mux
}

// addHealth adds /healthz and /readyz of a backend alone.
func (p *program) addHealth(mux *http.ServeMux) {
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		wire.WriteJSON(w, http.StatusOK, health{Status: wire.StatusOK})
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		p.writeReady(w, p.health())
	})
}

// health returns the reasons why the process is not ready, without those of its gateway.
func (p *program) health() (reasons []string) {
	if p.storage != nil {
		reasons = p.storage.health()
	}
	if p.backend != nil {
		_, why := p.backend.Ready()
		reasons = append(reasons, why...)
	}
	return reasons
}

// backendInternal is the internal listener of a backend alone: metrics and health.
func (p *program) backendInternal() http.Handler {
	scrapers := &access.Callers{
		Secrets: []*access.Secrets{p.guards.secrets, p.guards.metrics},
		Message: "Unauthorized: give the internal secret or the metrics token as Authorization: Bearer …",
	}
	mux := http.NewServeMux()
	p.addHealth(mux)
	none := func(w http.ResponseWriter, _ *http.Request) {
		wire.WriteError(w, wire.Errorf(http.StatusNotFound, wire.CodeNotFound, "No such route here"))
	}
	mux.Handle("/", p.guards.internal.Protect(access.Route{Callers: scrapers}, http.HandlerFunc(none)))
	metrics := p.guards.internal.Protect(access.Route{Callers: scrapers}, promhttp.HandlerFor(p.metrics, promhttp.HandlerOpts{}))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.EqualFold(strings.TrimSuffix(r.URL.Path, "/"), "/metrics") {
			metrics.ServeHTTP(w, r)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

type health struct {
	Status     string   `json:"status"`
	Configured *bool    `json:"configured,omitempty"`
	Reasons    []string `json:"reasons,omitempty"`
	Warnings   []string `json:"warnings,omitempty"`
}

func (p *program) writeReady(w http.ResponseWriter, reasons []string) {
	body := health{Status: "ready", Configured: new(true), Reasons: reasons}
	if p.storage != nil {
		body.Warnings = p.storage.warnings()
	}
	if len(reasons) > 0 {
		body.Status = "not_ready"
		wire.WriteJSON(w, http.StatusServiceUnavailable, body)
		return
	}
	wire.WriteJSON(w, http.StatusOK, body)
}

// shared puts the internal routes on the public listener, as the Node gateway has them.
func shared(public, internal http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if gateway.IsInternal(r.URL.Path) {
			internal.ServeHTTP(w, r)
			return
		}
		public.ServeHTTP(w, r)
	})
}
