// Package cors lets browsers know which pages of other origins may read an answer:
// https://fetch.spec.whatwg.org/#http-cors-protocol. It protects nothing by itself: a
// request that it does not allow is still made, and only its answer is hidden from the
// page.
package cors

import (
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
)

// Options configure a [Policy].
type Options struct {
	// Origins are those whose pages may read answers, as browsers send them. "*" is
	// every page, without cookies. Empty: no other origin.
	Origins []string
	// Headers are the names of headers that a page may send, besides the few that
	// every page may. "*" is whatever a page asks for, except [Forwarding] ones.
	Headers []string
	Log     *slog.Logger // receives each refused origin once; default: none
}

// Policy decides which pages may read answers. Its methods may be called concurrently,
// and on nil, which allows no page.
type Policy struct {
	// Set once.
	origins    map[string]bool
	any        bool // "*" is among them
	headers    string
	anyHeaders bool

	log     *slog.Logger
	logged  logged
	refused atomic.Uint64
}

// exposed are the headers of answers that a page may read, besides those that every page
// may.
const exposed = "Allow, Location, Retry-After, WWW-Authenticate"

// preflightAge is how long a browser may cache a preflight, in seconds.
const preflightAge = "600"

// New returns a policy.
func New(opts Options) *Policy {
	p := &Policy{origins: map[string]bool{}, log: opts.Log}
	if p.log == nil {
		p.log = slog.New(slog.DiscardHandler)
	}
	for _, origin := range opts.Origins {
		if origin == "*" {
			p.any = true
		} else {
			p.origins[canonical(origin)] = true
		}
	}
	p.anyHeaders = slices.Contains(opts.Headers, "*")
	p.headers = strings.Join(slices.DeleteFunc(slices.Clone(opts.Headers), func(name string) bool { return name == "*" }), ", ")
	return p
}

// canonical is an origin as browsers send it: in lower case, and without the default port
// of its scheme.
func canonical(origin string) string {
	origin = strings.ToLower(origin)
	switch {
	case strings.HasPrefix(origin, "https://"):
		return strings.TrimSuffix(origin, ":443")
	case strings.HasPrefix(origin, "http://"):
		return strings.TrimSuffix(origin, ":80")
	}
	return origin
}

// Allow sets the headers of the answer to r. methods are those of the route, as in the
// header Allow. It is called for errors too, so that a page can read them.
func (p *Policy) Allow(w http.ResponseWriter, r *http.Request, methods string) {
	if p == nil {
		return
	}
	h, origin := w.Header(), r.Header.Get("Origin")
	if len(p.origins) > 0 {
		vary(h, "Origin")
	}
	switch {
	case origin == "":
		if p.any {
			h.Set("Access-Control-Allow-Origin", "*")
			h.Set("Access-Control-Expose-Headers", exposed)
		}
		return
	case p.origins[origin]:
		h.Set("Access-Control-Allow-Origin", origin)
		h.Set("Access-Control-Allow-Credentials", "true")
	case p.any: // browsers do not accept "*" with cookies
		h.Set("Access-Control-Allow-Origin", "*")
	default:
		p.refuse(r, origin)
		return
	}
	if !isPreflight(r) {
		h.Set("Access-Control-Expose-Headers", exposed)
		return
	}
	h.Set("Access-Control-Allow-Methods", methods)
	h.Set("Access-Control-Max-Age", preflightAge)
	p.allowHeaders(h, r, origin)
}

// isPreflight also counts an OPTIONS without Access-Control-Request-Method.
func isPreflight(r *http.Request) bool { return r.Method == http.MethodOptions }

// allowHeaders answers which headers the page may send.
func (p *Policy) allowHeaders(h http.Header, r *http.Request, origin string) {
	asked := strings.Join(r.Header.Values("Access-Control-Request-Headers"), ",")
	allowed := p.headers
	if p.anyHeaders {
		vary(h, "Access-Control-Request-Headers")
		allowed = join(allowed, grantable(asked))
	}
	if allowed != "" {
		h.Set("Access-Control-Allow-Headers", allowed)
	}
	p.complain(origin, asked, allowed)
}

// Handler answers preflights itself, and passes all other requests to next. methods
// returns the methods of a path; a path without any is passed on unchanged.
func (p *Policy) Handler(next http.Handler, methods func(path string) string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if list := methods(r.URL.Path); list != "" {
			p.Allow(w, r, list)
			if p.Preflight(r) {
				w.Header().Set("Allow", list)
				w.WriteHeader(http.StatusNoContent)
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

// Preflight reports whether r is a preflight. It carries neither cookies nor tokens, so
// it must be answered before any check of these.
func (p *Policy) Preflight(r *http.Request) bool {
	return r.Method == http.MethodOptions && r.Header.Get("Origin") != "" && r.Header.Get("Access-Control-Request-Method") != ""
}

// Refused counts the answers that a page of another origin was not allowed to read.
func (p *Policy) Refused() uint64 {
	if p == nil {
		return 0
	}
	return p.refused.Load()
}

// vary adds name to Vary, once.
func vary(h http.Header, name string) {
	for _, line := range h.Values("Vary") {
		for field := range strings.SplitSeq(line, ",") {
			if field = strings.TrimSpace(field); field == "*" || strings.EqualFold(field, name) {
				return
			}
		}
	}
	h.Add("Vary", name)
}
