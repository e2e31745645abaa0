package gateway

import (
	"crypto/sha256"
	"crypto/subtle"
	_ "embed"
	"net/http"
	"strings"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"tidegate/internal/wire"
)

// openapi describes the routes below; a test compares the two.
//
//go:embed openapi.json
var openapi []byte

// Internal is the listener for the backend and for operators. It must not be
// reachable for browsers, and never says that another origin may read it.
func (g *Gateway) Internal() http.Handler {
	next := g.authorized(g.internalMux())
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		wire.NoSniff(w.Header())
		next.ServeHTTP(w, r)
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

// authorized lets requests with the internal secret through, if there is one.
func (g *Gateway) authorized(next http.Handler) http.Handler {
	if g.opts.InternalSecret == "" {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		health := r.URL.Path == "/healthz" || r.URL.Path == "/readyz"
		if !health && !g.allows(r.Header.Get("Authorization")) {
			unauthorized(w)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// allows says whether an Authorization header has the internal secret. The
// comparison takes the same time for every wrong one of any length.
func (g *Gateway) allows(authorization string) bool {
	if g.opts.InternalSecret == "" {
		return true
	}
	given, bearer := strings.CutPrefix(authorization, "Bearer ")
	got := sha256.Sum256([]byte(given))
	return subtle.ConstantTimeCompare(g.secret[:], got[:]) == 1 && bearer
}

func unauthorized(w http.ResponseWriter) {
	w.Header().Set("WWW-Authenticate", `Bearer realm="tidegate"`)
	wire.WriteError(w, wire.Errorf(http.StatusUnauthorized, wire.CodeUnauthorized,
		"Unauthorized: give the internal secret as Authorization: Bearer …"))
}
