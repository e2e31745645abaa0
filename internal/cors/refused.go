package cors

import (
	"net/http"
	"strings"
	"sync"
)

// maxTold bounds what is remembered of what was logged. Origins are the choice of
// whoever sends them: beyond it nothing more is logged.
const maxTold = 256

// maxShown bounds an origin or a header in a log line.
const maxShown = 200

// told remembers what was logged already. It is safe for concurrent use.
type told struct {
	mu   sync.Mutex
	what map[string]bool // guarded by mu
}

// first reports whether what is new, and whether the set is full with it.
func (t *told) first(what string) (is, last bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.what[what] || len(t.what) == maxTold {
		return false, false
	}
	if t.what == nil {
		t.what = map[string]bool{}
	}
	t.what[what] = true
	return true, len(t.what) == maxTold
}

// refuse counts and logs that a page may not read an answer: all that its author
// sees is an error without a reason.
func (p *Policy) refuse(r *http.Request, origin string) {
	if sameOrigin(r, origin) {
		return
	}
	p.refused.Add(1)
	p.LogOrigin(origin)
}

// LogOrigin logs that pages of an origin are refused, once, whoever refuses them.
func (p *Policy) LogOrigin(origin string) {
	origin = cut(origin)
	advice := "allow it with --cors-origin " + origin
	if !strings.Contains(origin, "://") {
		advice = "a page without an origin of its own, such as a file or a sandboxed frame, is allowed by --cors-origin '*' only"
	}
	p.once(origin, "a page of another origin is refused: "+advice, "origin", origin)
}

// complain logs a header that a page asks for and may not send: the browser does
// not make the request then.
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
	first, last := p.told.first(key)
	if first {
		p.log.Warn(message, attrs...)
	}
	if last {
		p.log.Warn("pages of many origins were refused: no further ones are logged", "origins", maxTold)
	}
}

// sameOrigin reports whether a request with an Origin comes from a page of our
// own, as a POST of it does.
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

// trimPort takes off the ports that browsers leave away.
func trimPort(host string) string {
	return strings.TrimSuffix(strings.TrimSuffix(host, ":443"), ":80")
}

func cut(s string) string {
	if len(s) > maxShown {
		return strings.ToValidUTF8(s[:maxShown], "") + "…"
	}
	return s
}
