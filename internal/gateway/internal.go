package gateway

import (
	_ "embed"
	"net/http"
	"strings"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"tidegate/internal/access"
	"tidegate/internal/wire"
)

// openapi describes the routes below; a test compares them.
//
//go:embed openapi.json
var openapi []byte

// Internal is the listener for the backend and for operators. Browsers must not reach
// it, and it never allows another origin to read its answers.
func (g *Gateway) Internal() http.Handler {
	routes := g.InProcess()
	guarded := g.opts.Guard.Protect(access.Route{Callers: g.callers}, routes)
	metrics := g.opts.Guard.Protect(access.Route{Callers: g.scrapers}, routes)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		wire.NoSniff(w.Header())
		switch fixedPath(r.URL.Path) {
		case "/healthz", "/readyz":
			routes.ServeHTTP(w, r)
		case "/metrics":
			metrics.ServeHTTP(w, r)
		default:
			guarded.ServeHTTP(w, r)
		}
	})
}

// InProcess is [Gateway.Internal] without secrets, for a backend in the same process.
func (g *Gateway) InProcess() http.Handler {
	mux := g.internalMux()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mux.ServeHTTP(w, withFixedPath(r))
	})
}

func (g *Gateway) newInternalMux() *http.ServeMux {
	mux := http.NewServeMux()
	for pattern, handler := range g.internalRoutes() {
		mux.HandleFunc(pattern, handler)
	}
	mux.HandleFunc("/healthz", onlyGet(g.Healthz))
	mux.HandleFunc("/readyz", onlyGet(g.Readyz))
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		methods := g.methodsOf(r.URL.Path)
		if methods == "" {
			wire.WriteError(w, errNoRoute)
			return
		}
		w.Header().Set("Allow", methods)
		wire.WriteError(w, wire.Errorf(http.StatusMethodNotAllowed, wire.CodeMethodNotAllowed, "Use "+methods))
	})
	return mux
}

func (g *Gateway) internalRoutes() map[string]http.HandlerFunc {
	metrics := promhttp.HandlerFor(g.metrics.registry, promhttp.HandlerOpts{})
	return map[string]http.HandlerFunc{
		"POST /internal/send":                 g.send,
		"POST /internal/subscribe":            g.subscribe,
		"POST /internal/unsubscribe":          g.unsubscribe,
		"GET /internal/streams":               g.listStreams,
		"GET /internal/streams/{token}":       g.showStream,
		"DELETE /internal/streams/{token}":    g.closeStream,
		"GET /internal/topics":                g.listTopics,
		"GET /internal/topics/{topic}":        g.showTopic,
		"DELETE /internal/topics/{topic}":     g.deleteTopic,
		"GET /internal/topics/{topic}/events": g.listEvents,
		"GET /internal/cluster":               g.showCluster,
		"GET /internal/openapi.json":          showOpenAPI,
		"GET /metrics":                        metrics.ServeHTTP,
	}
}

// methodsOf lists the methods of a known path, for Allow.
func (g *Gateway) methodsOf(path string) string {
	var methods []string
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodDelete} {
		for pattern := range g.internalRoutes() {
			verb, route, _ := strings.Cut(pattern, " ")
			if verb == method && matches(route, path) {
				methods = append(methods, method)
				break
			}
		}
	}
	return strings.Join(methods, ", ")
}

// matches compares a path with a pattern of constant parts and {names}.
func matches(route, path string) bool {
	want, got := strings.Split(route, "/"), strings.Split(path, "/")
	if len(want) != len(got) {
		return false
	}
	for i := range want {
		if want[i] != got[i] && !(strings.HasPrefix(want[i], "{") && got[i] != "") {
			return false
		}
	}
	return true
}

func showOpenAPI(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	_, _ = w.Write(openapi)
}

// newCallers returns who may call the internal routes, and who may read /metrics.
func newCallers(opts Options) (callers, scrapers *access.Callers) {
	callers = &access.Callers{
		Secrets: []*access.Secrets{opts.Secrets},
		Message: "Unauthorized: give the internal secret as Authorization: Bearer …",
	}
	scrapers = &access.Callers{
		Secrets: []*access.Secrets{opts.Secrets, opts.MetricsSecrets},
		Message: "Unauthorized: give the internal secret or the metrics token as Authorization: Bearer …",
	}
	return callers, scrapers
}

// IsInternal reports whether a path is one of the internal routes, in any case. It is
// for listeners that serve both kinds.
func IsInternal(path string) bool {
	path = fixedPath(path)
	return path == "/internal" || strings.HasPrefix(path, "/internal/") || path == "/metrics"
}
