package cors

import (
	"net/http"
	"strings"
	"sync"
)

// maxLogged bounds the messages that are logged once. Clients choose what origin they
// send: beyond the bound nothing more is logged.
const maxLogged = 256

// maxShown bounds an origin or a header in a log line.
const maxShown = 200

// logged is the set of messages that were logged already. It is safe for concurrent use.
type logged struct {
	mu   sync.Mutex
	what map[string]bool // guarded by mu
}

// first adds what, and reports whether it was new, and whether the set is full now.
func (t *logged) first(what string) (is, last bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.what[what] || len(t.what) == maxLogged {
		return false, false
	}
	if t.what == nil {
		t.what = map[string]bool{}
	}
	t.what[what] = true
	return true, len(t.what) == maxLogged
}

// refuse counts and logs that a page may not read an answer. The browser shows the
// page's author no reason.
func (p *Policy) refuse(r *http.Request, origin string) {
	if sameOrigin(r, origin) {
		return
	}
	p.refused.Add(1)
	p.LogOrigin(origin)
}

// LogOrigin logs that pages of an origin are refused, once for each origin.
func (p *Policy) LogOrigin(origin string) {
	origin = cut(origin)
	advice := "allow it with --cors-origin " + origin
	if !strings.Contains(origin, "://") {
		advice = "a page without an origin of its own, such as a file or a sandboxed frame, is allowed by --cors-origin '*' only"
	}
	p.once(origin, "a page of another origin is refused: "+advice, "origin", origin)
}

// complain logs a header that a page asks for and may not send. The browser does not
// make the request then.
func (p *Policy) complain(origin, asked, allowed string) {
	if asked == "" {
		return
	}
	name := missing(asked, allowed)
	if name == "" {
		return
	}
	p.refused.Add(1)
	name = cut(name)
	advice := "allow it with --cors-header " + name
	if Forwarding(name) {
		advice = "only proxies send it; if pages must, allow it with --cors-header " + name
	}
	p.once(cut(origin)+" "+name, "a page of another origin may not send a header: "+advice, "origin", cut(origin), "header", name)
}

func (p *Policy) once(key, message string, attrs ...any) {
	first, last := p.logged.first(key)
	if first {
		p.log.Warn(message, attrs...)
	}
	if last {
		p.log.Warn("pages of many origins were refused: no further ones are logged", "origins", maxLogged)
	}
}

// sameOrigin reports whether a request with an Origin comes from a page of this server:
// browsers send Origin with every POST.
func sameOrigin(r *http.Request, origin string) bool {
	switch r.Header.Get("Sec-Fetch-Site") {
	case "same-origin":
		return true
	case "same-site", "cross-site":
		return false
	}
	_, host, _ := strings.Cut(origin, "://")
	for _, own := range []string{r.Host, r.Header.Get("X-Forwarded-Host")} {
		if own != "" && strings.EqualFold(trimPort(host), trimPort(own)) {
			return true
		}
	}
	return false
}

// trimPort removes the default ports, which browsers omit.
func trimPort(host string) string {
	return strings.TrimSuffix(strings.TrimSuffix(host, ":443"), ":80")
}

func cut(s string) string {
	if len(s) > maxShown {
		return strings.ToValidUTF8(s[:maxShown], "") + "…"
	}
	return s
}
