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

// Guard refuses requests before anything of their bodies is read. One guard
// belongs to one listener. Its fields are set before it is used.
type Guard struct {
	Names Names
	Sites Sites
	Log   *slog.Logger
	// NoPages says that what is guarded is for no other site's pages, whatever
	// Sites.Origins are for.
	NoPages bool
	// Refused is called for each refusal; may be nil.
	Refused func(wire.Code)
	// CrossSite logs the origin of a page that is refused; nil: it is logged here.
	CrossSite func(origin string)

	hosts, origins once
}

// Route says who may call a handler.
type Route struct {
	Callers *Callers // nil: everybody
	// AnySite is for what changes and lists nothing: the opening of a stream, and
	// files that are the same for everybody.
	AnySite bool
	// AnyHost is for a login, which gives nothing away without a secret.
	AnyHost bool
	// Unknown answers who is not known; nil: with 401 and JSON.
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

// Refuse answers a request with why it is refused.
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

// check says why a request is refused; nil if it is not.
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
	switch route.Callers.admit(r) {
	case bySecret:
		return nil
	case byIdentity: // which is no secret: a page could have written it
		if g.nameAllowed(r) {
			return nil
		}
		return g.unknownHost(r)
	}
	return route.Callers.Unknown()
}

// Knows reports whether a request comes from one of callers who have to be known.
// Where everybody may call, it knows nobody.
func (g *Guard) Knows(callers *Callers, r *http.Request) bool {
	if !callers.asked() {
		return false
	}
	known := callers.admit(r)
	return known == bySecret || known == byIdentity && g.nameAllowed(r)
}

// nameAllowed is whether the Host is fine. A browser cannot reach a Unix socket.
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

// LeaveBody has net/http answer at once. It would read the body first, to use
// the connection again, for as long as the client likes.
func LeaveBody(w http.ResponseWriter, r *http.Request) {
	if r.ProtoMajor == 1 && r.Body != nil && r.Body != http.NoBody {
		w.Header().Set("Connection", "close")
	}
}

// cut bounds what is repeated of a request.
func cut(text string) string {
	const most = 100
	return strings.ToValidUTF8(text[:min(len(text), most)], "?")
}

// maxOnce bounds what a [once] remembers.
const maxOnce = 256

// once remembers what was logged already. When it is full nothing more is new.
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
