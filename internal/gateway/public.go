package gateway

import (
	"net/http"

	"tidegate/internal/wire"
)

// Public is the listener for browsers: health, and streams on every other path.
// It does not use http.ServeMux, which redirects paths that are not clean: the target
// of a stream is the backend's to interpret.
func (g *Gateway) Public() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch path := fixedPath(r.URL.Path); {
		case path == "/healthz":
			onlyGet(g.Healthz)(w, r)
		case path == "/readyz":
			onlyGet(g.Readyz)(w, r)
		case IsInternal(path), path == "*":
			wire.WriteError(w, errNoRoute)
		default:
			g.Streams(w, r)
		}
	})
}

var errNoRoute = wire.Errorf(http.StatusNotFound, wire.CodeNotFound, "No such route here")

// onlyGet answers 405 to other methods than GET and HEAD.
func onlyGet(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			wire.WriteError(w, wire.Errorf(http.StatusMethodNotAllowed, wire.CodeMethodNotAllowed, "Use GET"))
			return
		}
		h(w, r)
	}
}

// Healthz answers 200 as long as the process runs.
func (g *Gateway) Healthz(w http.ResponseWriter, _ *http.Request) {
	wire.WriteJSON(w, http.StatusOK, struct {
		Status string `json:"status"`
	}{wire.StatusOK})
}

// Readyz answers 200 if new streams should be opened here, else 503 with the reasons.
func (g *Gateway) Readyz(w http.ResponseWriter, _ *http.Request) {
	reasons := g.NotReady()
	body := struct {
		Status     string   `json:"status"`
		Configured bool     `json:"configured"`
		Reasons    []string `json:"reasons,omitempty"`
		Warnings   []string `json:"warnings,omitempty"`
	}{"ready", g.opts.CallbackURL != "", reasons, g.warnings()}
	status := http.StatusOK
	if len(reasons) > 0 {
		status, body.Status = http.StatusServiceUnavailable, "not_ready"
	}
	wire.WriteJSON(w, status, body)
}

// NotReady lists why new streams should not be opened here; nothing if they should.
func (g *Gateway) NotReady() []string {
	var reasons []string
	if g.opts.CallbackURL == "" {
		reasons = append(reasons, "callback URL is not configured (--callback-url)")
	}
	if g.notReady.Load() {
		reasons = append(reasons, "draining")
	}
	if g.opts.Health != nil {
		reasons = append(reasons, g.opts.Health()...)
	}
	return reasons
}

// warnings lists what is reported beside the reasons and does not change readiness.
func (g *Gateway) warnings() []string {
	if g.opts.Warn == nil {
		return nil
	}
	return g.opts.Warn()
}
