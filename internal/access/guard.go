package access

import (
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"

	"tidegate/internal/wire"
)

// Guard refuses requests before their bodies are read. A guard belongs to one listener. Set its
// fields before the first use; then it is safe for concurrent use.
type Guard struct {
	Names Names
	Sites Sites
	Log   *slog.Logger
	// NoPages refuses pages of all other sites, those of Sites.Origins too.
	NoPages bool
	// Refused is called for each refusal; may be nil.
	Refused func(wire.Code)
	// CrossSite logs the origin of a page that was refused; nil: Guard logs it.
	CrossSite func(origin string)

	hosts, origins once
}

// Route says who may call a handler.
type Route struct {
	Callers *Callers // nil: everybody
	// AnySite lets pages of other sites call: for routes that change and list nothing, such as
	// opening a stream.
	AnySite bool
	// AnyHost accepts any Host: for the login, which reveals nothing without a secret.
	AnyHost bool
	// Unknown answers callers that are not known; nil: 401 and JSON.
	Unknown http.HandlerFunc
}

// Protect puts the guard in front of a handler.
func (g *Guard) Protect(route Route, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		err := g.check(route, r)
		if err == nil {
			next.ServeHTTP(w, r)
			return
		}
		LeaveBody(w, r)
		if err.Code == wire.CodeUnauthorized && route.Unknown != nil {
			g.count(err)
			route.Unknown(w, r)
			return
		}
		g.Refuse(w, err)
	})
}

// Refuse answers a request with the error, and counts it.
func (g *Guard) Refuse(w http.ResponseWriter, err *wire.Error) {
	g.count(err)
	if err.Code == wire.CodeUnauthorized {
		w.Header().Set("WWW-Authenticate", `Bearer realm="tidegate"`)
	}
	wire.WriteError(w, err)
}

func (g *Guard) count(err *wire.Error) {
	if g.Refused != nil {
		g.Refused(err.Code)
	}
}

// check returns why the guard refuses a request; nil if it does not.
func (g *Guard) check(route Route, r *http.Request) *wire.Error {
	asked := route.Callers.asked()
	if !asked && !route.AnyHost && !g.nameAllowed(r) {
		return g.unknownHost(r)
	}
	if !route.AnySite && !g.Sites.Allows(r) {
		return g.crossSite(r)
	}
	if !asked {
		return nil
	}
	switch route.Callers.identify(r) {
	case bySecret:
		return nil
	case byIdentity: // no secret: a page could have written it
		if g.nameAllowed(r) {
			return nil
		}
		return g.unknownHost(r)
	}
	return route.Callers.Unknown()
}

// Knows reports whether a request identifies one of callers. It is false where everybody may call.
func (g *Guard) Knows(callers *Callers, r *http.Request) bool {
	if !callers.asked() {
		return false
	}
	known := callers.identify(r)
	return known == bySecret || known == byIdentity && g.nameAllowed(r)
}

// nameAllowed reports whether the Host is allowed. Any is on a Unix socket: browsers cannot reach it.
func (g *Guard) nameAllowed(r *http.Request) bool {
	if local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok && local.Network() == "unix" {
		return true
	}
	return g.Names.Allows(r.Host)
}

func (g *Guard) unknownHost(r *http.Request) *wire.Error {
	host := cut(r.Host)
	if g.hosts.first(host) {
		g.Log.Warn("request refused: unknown Host; if clients call this server by that name, give --allowed-host",
			"host", host)
	}
	return wire.Errorf(http.StatusMisdirectedRequest, wire.CodeUnknownHost, fmt.Sprintf(
		"Unknown host %q: call this server by address, or start it with --allowed-host and the name", host))
}

func (g *Guard) crossSite(r *http.Request) *wire.Error {
	hint, message := "if its pages may call this server, give --cors-origin", errOtherSite
	if g.NoPages {
		hint, message = "the internal API is not for pages", errAnySite
	}
	origin := cut(r.Header.Get("Origin"))
	if g.origins.first(origin) {
		g.Log.Warn("request refused: from a page of another site; "+hint, "origin", origin)
	}
	return message
}

var (
	errOtherSite = wire.Errorf(http.StatusForbidden, wire.CodeCrossSite,
		"Refused: the request comes from a page of another site; --cors-origin names sites that may call /api/")
	errAnySite = wire.Errorf(http.StatusForbidden, wire.CodeCrossSite,
		"Refused: the request comes from a page of another site, which may not call the internal API")
)

// LeaveBody makes net/http answer without reading the body. Otherwise it reads the body first, to
// reuse the connection, for as long as the client takes.
func LeaveBody(w http.ResponseWriter, r *http.Request) {
	if r.ProtoMajor == 1 && r.Body != nil && r.Body != http.NoBody {
		w.Header().Set("Connection", "close")
	}
}

// cut bounds the part of a request that an error or a log line repeats.
func cut(text string) string {
	const most = 100
	return strings.ToValidUTF8(text[:min(len(text), most)], "?")
}

// maxOnce bounds the texts of a [once].
const maxOnce = 256

// once reports texts that it has not seen. When it is full, it reports no more.
type once struct {
	mu   sync.Mutex
	seen map[string]struct{} // guarded by mu
}

func (o *once) first(text string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if _, known := o.seen[text]; known || len(o.seen) >= maxOnce {
		return false
	}
	if o.seen == nil {
		o.seen = make(map[string]struct{})
	}
	o.seen[text] = struct{}{}
	return true
}
